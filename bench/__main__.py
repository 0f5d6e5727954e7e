"""`python -m bench`: measures, with progress, and leaves bench.csv, bench.png and bench.pdf in a folder."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from pathlib import Path

import torch

from bench import figure, rows
from bench.asked import Asked, Task
from bench.rows import Row
from bench.timing import Pace, say
from pipeline.runtime.machine import cpu_model
from pipeline.runtime.progress import duration
from pipeline.training.device import pick_device

ON_A_GPU = ("limit", "train", "sample")
"""Kinds that need neither the peers nor the workflow's libraries."""
MODULES = {
    "limit": "limit",
    "train": "training",
    "sample": "sampling",
    "metrics": "metrics",
    "cost": "cost",
    "prepare": "preparing",
    "pipeline": "overhead",
    "stages": "stages",
}
"""Kind of row -> the module of this package that measures it."""
PACES = {"cpu": Pace(turn=1.0, rounds=5), "cuda": Pace(turn=0.15, rounds=5)}
FEWEST_IMAGES = 1000
QUICK = Pace(turn=0.02, rounds=2)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="the folder for the tables and plots")
    parser.add_argument("--only", help=f"kinds of rows, with commas between them: {','.join(MODULES)} (default: all)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    parser.add_argument("--quick", action="store_true", help="a few short turns, to see that it runs")
    parser.add_argument("--threads", type=int, default=1, help="of everyone measured (default: 1, as the stages have)")
    parser.add_argument("--turn", type=float, help="seconds that each has in each round (default: 1, on a GPU 0.15)")
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--results", type=Path, default=Path(), help="of `stages`: the folder of the finished run")
    parser.add_argument("--images", type=int, default=50_000, help="of `cost`: at most so many (default: 50000)")
    asked = parser.parse_args(words)
    if asked.images < FEWEST_IMAGES:
        parser.error(f"--images: found {asked.images}, expected {FEWEST_IMAGES} or more")
    default = ON_A_GPU if asked.device == "cuda" else tuple(MODULES)
    asked.only = asked.only.split(",") if asked.only else list(default)
    for kind in asked.only:
        if kind not in (ON_A_GPU if asked.device == "cuda" else MODULES):
            parser.error(f"--only: found {kind!r} on {asked.device}, expected some of {', '.join(default)}")
    return asked


def machine(asked: Asked) -> str:
    """What everything was measured on."""
    words = [cpu_model(), f"{os.cpu_count()} cores", f"{asked.threads} threads", f"Python {platform.python_version()}"]
    words.append(f"torch {torch.__version__}")
    if asked.device == "cuda":
        words.append(
            f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        )
    return "; ".join(words)


def measured(task: Task) -> list[Row]:
    """A task's rows; what could not be measured is a loud line and a row that says so, and the others go on."""
    try:
        return task.measure()
    except Exception as error:  # whatever a peer may raise
        say(f"NOT MEASURED: {task.what}: {type(error).__name__}: {error}")
        kind, _, what = task.what.partition(": ")
        return [Row(kind, what, "", "", note=f"not measured: {type(error).__name__}: {error}")]


def run(asked: Asked, kinds: list[str]) -> list[Row]:
    """Every task's rows; the table on disk grows with them."""
    tasks: list[Task] = []
    for kind in kinds:
        tasks += importlib.import_module(f"bench.{MODULES[kind]}").tasks(asked)
    found: list[Row] = []
    words, began = machine(asked), time.monotonic()
    for number, task in enumerate(tasks):
        passed = time.monotonic() - began
        left = f", about {duration(passed / number * (len(tasks) - number))} left" if number else ""
        say(f"{number + 1} of {len(tasks)}{left}: {task.what}")
        for row in measured(task):
            row.machine = words
            found.append(row)
        rows.write(asked.to / "bench.csv", found)
    return found


def main(given: list[str] | None = None) -> int:
    """Measure; 1 if anything could not be measured."""
    words = arguments(given)
    try:
        device = pick_device(words.device)
    except ValueError as error:
        sys.exit(f"bench: {error}")
    torch.set_num_threads(words.threads)
    pace = QUICK if words.quick else PACES[device]
    pace = Pace(words.turn or pace.turn, words.rounds or pace.rounds)
    asked = Asked(words.to, device, words.quick, pace, words.threads, words.results, words.images)  # type: ignore[arg-type]
    found = run(asked, words.only)
    print(machine(asked))
    print(rows.table(found), flush=True)
    figure.write(asked.to / "bench", figure.ratios(found))
    return int(any(row.note.startswith("not measured") for row in found))


if __name__ == "__main__":
    sys.exit(main())
