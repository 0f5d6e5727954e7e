"""SVHN's cropped digits: MATLAB files of images (32, 32, 3, n) and labels 1 to 10, where 10 is the digit 0.

Netzer et al., 'Reading digits in natural images with unsupervised feature learning', 2011: train_32x32.mat,
test_32x32.mat, and extra_32x32.mat with easier training images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("extra",)
"""What a block of params.yaml may say under `options`: `extra: true` trains on the easier images too."""

DIGITS = tuple("0123456789")


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The official training and test images; ValueError for a file that is missing, damaged or of another layout."""
    folder, extra = place(raw_folder, options), options.get("extra", False)
    files = {"train": ["train_32x32.mat", *(["extra_32x32.mat"] if extra else [])], "test": ["test_32x32.mat"]}
    splits = {split: examples([folder / name for name in names]) for split, names in files.items()}
    source = Source(
        "array y", {split: ", ".join(names) for split, names in files.items()}, files=sum(map(len, files.values()))
    )
    if not extra and (folder / "extra_32x32.mat").exists():
        source.passed_over["extra_32x32.mat"] = 1
    return spooled(splits, raw_folder, options, DIGITS, source)


def examples(paths: list[Path]) -> Iterator[Example]:
    """The images of some files."""
    for path in paths:
        images, labels = matrices(path)
        for number, label in enumerate(labels):
            yield f"{path.name}[{number}]", images[..., number], int(label) % len(DIGITS)


def matrices(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images (H, W, 3, n) uint8 and labels (n,), 1 to 10."""
    from scipy.io import loadmat

    if not path.is_file():
        raise ValueError(f"{path}: not found; expected SVHN's cropped digits (format 2)")
    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = np.asarray(content["X"]), np.asarray(content["y"]).reshape(-1)
    except Exception as error:  # SciPy raises of every kind for a file that is damaged
        raise ValueError(f"{path.name}: no MATLAB file with 'X' and 'y' in it, or a damaged one ({error})") from None
    if images.ndim != 4 or images.shape[2:] != (3, len(labels)) or images.dtype != np.uint8:
        raise ValueError(f"{path.name}: found X {images.dtype} {images.shape}, expected uint8 (H, W, 3, {len(labels)})")
    if labels.dtype.kind not in "iuf" or not all(1 <= label <= len(DIGITS) for label in labels):
        raise ValueError(f"{path.name}: found y {labels.dtype} from {labels.min()} to {labels.max()}, expected 1 to 10")
    return images, labels
