"""Preparing data, seconds and memory of the whole process: CIFAR-10, and a folder of small pictures."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from PIL import Image

from bench import commands, pictures
from bench.asked import Asked, Task
from bench.rows import Row, alone
from bench.timing import say
from pipeline.workflow.job_hash import ROOT

PICTURES, CLASSES, SHAPE = 20_000, 10, (3, 64, 64)
QUICK_PICTURES = 200
MOST_ROUNDS = 5


def rounds(dataset: str, words: tuple[str, ...], folder: Path, asked: Asked) -> list[commands.Ended]:
    """The stage `prepare`, its first run among them: a user's is the first one, too."""
    made = []
    for _ in range(min(asked.pace.rounds, MOST_ROUNDS)):
        shutil.rmtree(folder / "data/prepared", ignore_errors=True)
        made.append(commands.stage("prepare", "--dataset", dataset, *words, folder=folder))
    return made


def row_of(made: list[commands.Ended], what: str, setting: str) -> Row:
    """Medians of the seconds, the highest of the memory."""
    row = alone(Row("prepare", what, setting, "s"), [run.seconds for run in made])
    row.memory_mb = max(run.memory_mb for run in made)
    row.note = "the whole process, its start included"
    return row


def project(folder: Path) -> Path:
    """A folder in which stages can be called."""
    shutil.copy2(ROOT / "params.yaml", folder)
    return folder


def cifar10(asked: Asked) -> list[Row]:
    """60,000 images of 3x32x32, from the folder that $DATA_MIRROR names; they are fetched before anything is timed."""
    if "DATA_MIRROR" not in os.environ:
        say("NOT MEASURED: prepare: CIFAR-10: DATA_MIRROR is not set; nothing is downloaded for a benchmark")
        return [Row("prepare", "CIFAR-10", "", "s", note="not measured: DATA_MIRROR is not set")]
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as name:
        folder = project(Path(name))
        fetched = commands.stage("fetch", "--dataset", "cifar10", folder=folder)
        row = row_of(rounds("cifar10", (), folder, asked), "CIFAR-10", "60,000 images of 3x32x32")
    row.note += f"; fetched from the mirror in {fetched.seconds:.1f} s before"
    return [row]


def folder_of_pictures(asked: Asked) -> list[Row]:
    """PNG files in class folders, as a user brings them."""
    count = QUICK_PICTURES if asked.quick else PICTURES
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as name:
        folder = project(Path(name))
        write(folder / "pictures", count)
        block = {"reader": "images", "path": str(folder / "pictures"), "shape": SHAPE, "models": ["vae"]}
        words = ("--set", f"datasets.pictures={json.dumps(block)}")
        commands.stage("fetch", "--dataset", "pictures", *words, folder=folder)
        made = rounds("pictures", words, folder, asked)
    return [row_of(made, "a folder of PNG files", f"{count:,} images of {'x'.join(map(str, SHAPE))}")]


def write(folder: Path, count: int) -> None:
    """Made-up pictures in class folders."""
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
    for number, image in enumerate(pictures.made_up(count, SHAPE)):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.save(folder / str(number % CLASSES) / f"{number:06}.png")


def tasks(asked: Asked) -> list[Task]:
    """One per source."""
    of_pictures = Task("prepare: a folder of pictures", partial(folder_of_pictures, asked))
    return [of_pictures] if asked.quick else [Task("prepare: CIFAR-10", partial(cifar10, asked)), of_pictures]
