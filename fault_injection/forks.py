"""Stages in forked processes, each with its fault and without 3 CPU seconds of imports.

One process, started with the faulty C library, imports torch and all stages. For each order it forks a child that does
what `python -m pipeline ...` does; the child alone is armed.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fault_injection import shim
from fault_injection.project import ROOT
from pipeline.workflow import layout

LIMIT = 300
"""Seconds after which a child counts as hung and is killed."""


@dataclass(frozen=True)
class Fault:
    """Which calls fail, and with what."""

    at: int = 0
    """The first: 1, 2, ...; 0 for none, calls are only counted."""
    error: int = 0
    lasting: bool = False
    reads: bool = False
    """Openings of files to read, instead of all that writes."""


@dataclass(frozen=True)
class Ended:
    """What became of a child."""

    code: int
    said: str
    calls: int
    """How many calls were concerned."""


class Forks:
    """The forking process, seen from a campaign."""

    def __init__(self, library: Path, environment: dict[str, str]) -> None:
        own = {"LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fault_injection.forks"],
            cwd=ROOT,
            env={**environment, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )

    def close(self) -> None:
        """End it."""
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()

    def run(self, folder: Path, words: Sequence[str], fault: Fault | None = None) -> Ended:
        """One stage to its end."""
        assert self.process.stdin is not None and self.process.stdout is not None
        order = {"folder": str(folder), "words": list(words), "fault": asdict(fault or Fault())}
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return Ended(**json.loads(self.process.stdout.readline()))


# --- in the forking process ---------------------------------------------------------------------------------------


def serve() -> None:
    """Answer orders until there are no more."""
    from pipeline.workflow import job_hash, params

    for name in layout.OUTPUTS:
        importlib.import_module(f"pipeline.stages.{name}")
        job_hash.code_closure((f"pipeline.stages.{name}",))
    for name in params.files_in("models"):
        importlib.import_module(f"pipeline.models.{name}")
    for order in map(json.loads, sys.stdin):
        print(json.dumps(asdict(_forked(order))), flush=True)


def _forked(order: dict[str, Any]) -> Ended:
    told, tells = os.pipe()
    said = os.memfd_create("said")
    if not (child := os.fork()):
        _live(order, said, tells)
    os.close(tells)
    with os.fdopen(told) as pipe, os.fdopen(said) as text:
        calls = int(pipe.read() or 0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        text.seek(0)
        return Ended(code, text.read(), calls)


# --- in a child ---------------------------------------------------------------------------------------------------


def _live(order: dict[str, Any], said: int, tells: int) -> None:
    """Do what was ordered, and end."""
    from pipeline.cli import main

    signal.alarm(LIMIT)
    os.chdir(order["folder"])
    for stream in (1, 2):
        os.dup2(said, stream)
    code = 70
    try:
        shim.arm(
            order["fault"]["at"],
            order["fault"]["error"],
            lasting=order["fault"]["lasting"],
            reads=order["fault"]["reads"],
        )
        main(order["words"])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.write(tells, str(shim.calls()).encode())
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
