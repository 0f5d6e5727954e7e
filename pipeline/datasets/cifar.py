"""CIFAR's binary files: records of label bytes and 3 x 32 x 32 pixels, red before green before blue.

Krizhevsky, 'Learning multiple layers of features from tiny images', 2009. CIFAR-10 has one label byte a record,
CIFAR-100 two (the coarse one first): `label_bytes: 2` reads the last of them. The official pickles are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.naming import listed
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("class_names", "label_bytes", "train_files", "test_files")
"""What a block of params.yaml may say under `options`; `train_files` and `test_files` are lists of file names."""

SIDE = 32
FOLDER = "cifar-10-batches-bin"
"""In the official archive."""
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
FILES: Mapping[str, Sequence[str]] = {"train": TRAIN, "test": ("test_batch.bin",)}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The official training and test images; ValueError for a file of another length or a label out of range."""
    folder = place(raw_folder, options)
    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    names = tuple(options.get("class_names", CLASSES))
    label_bytes = int(options.get("label_bytes", 1))
    chosen = {split: list(map(str, options.get(f"{split}_files", files))) for split, files in FILES.items()}
    splits = {split: records([folder / file for file in files], label_bytes) for split, files in chosen.items()}
    source = Source(f"byte {label_bytes} of each record", {split: listed(files) for split, files in chosen.items()})
    source.files = sum(map(len, chosen.values()))
    return spooled(splits, raw_folder, options, names, source)


def records(files: Sequence[Path], label_bytes: int) -> Iterator[Example]:
    """The examples of some files, a thousand read at a time."""
    size = label_bytes + 3 * SIDE * SIDE
    for path in files:
        if not path.is_file():
            raise ValueError(
                f"{path}: not found; expected CIFAR's binary version, or its names as `options.train_files`"
            )
        if path.stat().st_size == 0 or path.stat().st_size % size:
            raise ValueError(f"{path.name}: found {path.stat().st_size:,} bytes, expected records of {size:,} each")
        number = 0
        with path.open("rb") as stream:
            while chunk := stream.read(1000 * size):
                for record in np.frombuffer(chunk, np.uint8).reshape(-1, size):
                    pixels = record[label_bytes:].reshape(3, SIDE, SIDE).transpose(1, 2, 0)
                    yield f"{path.name}[{number}]", pixels, int(record[label_bytes - 1])
                    number += 1
