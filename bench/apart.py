"""Work that is measured in a process of its own: its memory is its own, and it waits while another one works."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.workflow.job_hash import ROOT

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class NotMeasured(RuntimeError):
    """Why a child could not do its work: a package that is missing, above all."""


@dataclass(frozen=True)
class Measured:
    """One run of some work."""

    seconds: float
    cpu_seconds: float
    memory_mb: float
    """Peak above what the process held before."""
    values: dict[str, float]


class Child:
    """A process that does one function's work whenever it is asked to."""

    def __init__(self, module: str, function: str, threads: int) -> None:
        environment = os.environ | dict.fromkeys(THREADS, str(threads)) | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "bench.child", module, function]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        )

    def prepare(self, **arguments: Any) -> None:
        """Make ready what is not to be timed."""
        self._ask({"prepare": arguments})

    def go(self) -> Measured:
        """Do the work once."""
        return Measured(**self._ask({"go": True}))

    def close(self) -> None:
        """Let it end."""
        with contextlib.suppress(OSError):
            self.process.communicate()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise NotMeasured(f"the process ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NotMeasured(answer["error"])
        return answer


@contextlib.contextmanager
def child(module: str, function: str, threads: int) -> Iterator[Child]:
    """A child that ends with the block."""
    started = Child(module, function, threads)
    try:
        yield started
    finally:
        started.close()
