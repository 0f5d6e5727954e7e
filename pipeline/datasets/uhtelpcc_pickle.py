"""UHTelPCC as a pickle: three pairs (images, labels), for training, validation and testing, in this order.

Images are (n, 1024) or (n, 32, 32), of zeros and ones or of grey levels. The pickle is read by an unpickler that can
rebuild arrays and nothing else (`pipeline.datasets.pickles`). It comes in one piece, so all of it is in memory once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import pickles
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.naming import numbered
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("class_names",)
"""What a block of params.yaml may say under `options`."""

SIDE = 32
ORDER = ("train", "valid", "test")


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The three splits; ValueError for a pickle of another content."""
    found = place(raw_folder, options)
    path = found / next(iter(options["files"])) if options.get("files") else found
    content = pickles.read(path)
    if not isinstance(content, list | tuple) or len(content) != 3 or any(len(pair) != 2 for pair in content):
        raise ValueError(f"{path.name}: expected three pairs of images and labels, for {', '.join(ORDER)}")
    splits = {split: examples(f"{path.name}, {split}", *pair) for split, pair in zip(ORDER, content, strict=True)}
    names = options.get("class_names") or numbered(options["classes"])
    source = Source("the pickle", {split: f"pair {number}" for number, split in enumerate(ORDER, start=1)})
    return spooled(splits, raw_folder, options, tuple(map(str, names)), source)


def examples(name: str, images: Any, labels: Any) -> Iterator[Example]:
    """The examples of one split."""
    images, labels = np.asarray(images), np.asarray(labels).reshape(-1)
    if images.dtype.kind not in "buif" or images.size != len(labels) * SIDE * SIDE or labels.dtype.kind not in "iuf":
        raise ValueError(
            f"{name}: found images {images.dtype} {images.shape} and {len(labels):,} labels, "
            f"expected {SIDE * SIDE:,} numbers for each label"
        )
    scale = 255.0 if images.size and images.max() <= 1 else 1.0
    for number, (image, label) in enumerate(zip(images.reshape(-1, SIDE, SIDE), labels, strict=True)):
        yield f"{name}[{number}]", grey(image, scale), int(label)


def grey(image: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    """One image's levels as uint8."""
    levels: NDArray[np.uint8] = (image.astype(np.float64) * scale).round().clip(0, 255).astype(np.uint8)
    return levels
