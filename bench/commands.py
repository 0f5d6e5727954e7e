"""The project's own commands in a folder, as processes: how long they take and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.workflow.job_hash import ROOT


@dataclass(frozen=True)
class Ended:
    """A command that came to its end."""

    seconds: float
    memory_mb: float
    """Peak of the process itself, or of its largest child."""
    said: str


class Failed(RuntimeError):
    """A command that did not."""


def python(*words: str, folder: Path, **environment: str) -> Ended:
    """This Python with some words, in a folder; raises `Failed` with the last thing that it said."""
    command = [sys.executable, *words]
    own = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as name:
        report = Path(name) / "report.json"
        wrapped = [sys.executable, "-m", "bench.wrapped", str(report), *command]
        done = subprocess.run(
            wrapped, cwd=folder, env=own, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {"code": done.returncode or 1}
    text = done.stdout + done.stderr
    if found["code"]:
        last = (text.strip().splitlines() or ["nothing was said"])[-1]
        raise Failed(f"{' '.join(command[1:4])} ... ended with {found['code']}: {last}")
    return Ended(found["seconds"], found["memory_mb"], text)


def stage(*words: str, folder: Path, **environment: str) -> Ended:
    """`python -m pipeline ...`, its work done again although its results are stored."""
    return python("-m", "pipeline", *words, folder=folder, EASEL_AFRESH="1", **environment)


def snakemake(*words: str, folder: Path) -> Ended:
    """The project's workflow in a folder of its own."""
    words = ("--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--cores", "1", *words)
    return python("-m", "snakemake", *words, folder=ROOT)
