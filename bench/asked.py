"""What is asked of a run of the benchmark, and the tasks that it falls into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.rows import Row
from bench.timing import Pace


@dataclass(frozen=True)
class Asked:
    """From the command line."""

    to: Path
    """The folder for the tables and the plots."""
    device: Literal["cpu", "cuda"]
    quick: bool
    """One row of each kind, with a few short rounds: to see that it runs, not to be believed."""
    pace: Pace
    threads: int
    results: Path = Path()
    """The folder of the finished run whose stages are told."""
    images: int = 50_000
    """The most images on each side of `cost`."""


@dataclass(frozen=True)
class Task:
    """Something to measure; what is measured and compared in it is measured alternately."""

    what: str
    measure: Callable[[], list[Row]]
