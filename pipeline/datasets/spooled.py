"""From examples that come one by one to a loaded data set, whose pixels lie on the disk: memory does not grow with it.

A reader hands over, split by split, names, images and labels. Each image is fitted at once and appended to a nameless
file in the data set's raw folder, which is gone when its last user is, however that ends; the array that comes back
is that file, memory-mapped.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from pipeline.datasets.fitting import Fit
from pipeline.datasets.loaded import Loaded

__all__ = ["SPLITS", "Example", "place", "spooled"]

Example = tuple[str, Image | NDArray[np.uint8], int | None]
"""What it is called in messages, the image, and its label or None."""

SPLITS: Mapping[str, str] = {
    "train": "train", "training": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What the splits are called in folders and files, by the names that they have here."""


def place(raw: Path, options: Mapping[str, Any]) -> Path:
    """Where a reader finds its files: the user's own path, or the folder of the raw files."""
    return Path(options["path"]) if options.get("path") else raw


def spooled(
    splits: Mapping[str, Iterable[Example]], raw: Path, options: Mapping[str, Any], class_names: Sequence[str] = ()
) -> Loaded:
    """All examples, each fitted to the block's shape; the first `limit` of each split where there is one.

    `splits` has train, and valid and test where the source has them. Raises ValueError for an image that does not
    fit, for labels on some images alone, and for a training split without images.
    """
    fit, limit = Fit.of(options), options.get("limit")
    found = {split: _spool(itertools.islice(examples, limit), fit, raw) for split, examples in splits.items()}
    if "train" not in found or not len(found["train"][0]):
        raise ValueError("no training images; expected at least one")
    nothing = found["train"][0][:0], None if found["train"][1] is None else found["train"][1][:0]
    test, valid = found.get("test", nothing), found.get("valid", (None, None))
    return Loaded(*found["train"], *test, tuple(class_names), *valid)


def _spool(examples: Iterable[Example], fit: Fit, raw: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Images (n, C, H, W) and labels (n,) or None of one split."""
    labels: list[int | None] = []
    with tempfile.TemporaryFile(prefix=".decoded-", dir=raw) as file:
        for name, image, label in examples:
            file.write(fit(name, image).tobytes())
            labels.append(label)
        file.flush()
        shape = (len(labels), *fit.shape)
        images = np.memmap(file, dtype=np.uint8, mode="r", shape=shape) if labels else np.empty(shape, np.uint8)
    without = labels.count(None)
    if 0 < without < len(labels):
        raise ValueError(f"{without:,} of {len(labels):,} images have no label; expected labels for all or for none")
    return images, None if without == len(labels) else np.array(labels, dtype=np.int64)
