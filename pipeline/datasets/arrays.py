"""NumPy arrays: images and labels as .npy files or in .npz archives, never a pickle.

Images are (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or Booleans; labels are whole numbers (n,). One archive may
hold both under `images` and `labels`, and under `test_images`, `valid_labels`, ... the other splits; or each is a file
of that name. Arrays of .npy files are memory-mapped; those of an archive are unpacked one at a time.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.loaded import Loaded
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("images", "labels", "class_names")
"""What a block of params.yaml may say under `options`: the arrays' names, and what the classes are called."""

PREFIXES = {"train": ("", "train_", "x_"), "valid": ("valid_", "val_"), "test": ("test_",)}


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The splits that there are arrays of; ValueError for a damaged file or arrays of other kinds."""
    folder = place(raw_folder, options)
    listed = [folder / file for file in options.get("files") or ()]
    paths = listed or ([folder] if folder.is_file() else sorted([*folder.glob("*.npz"), *folder.glob("*.npy")]))
    owners = {name: path for path in paths for name in names_in(path)}
    images, labels = str(options.get("images", "images")), str(options.get("labels", "labels"))
    splits, most = {}, -1
    for split, prefixes in PREFIXES.items():
        key = next((prefix for prefix in prefixes if f"{prefix}{images}" in owners), None)
        if key is None:
            continue
        marks = array(owners, f"{key}{labels}") if f"{key}{labels}" in owners else None
        if marks is not None:
            most = max(most, check_labels(f"{key}{labels}", marks))
        splits[split] = examples(f"{key}{images}", array(owners, f"{key}{images}"), marks, options["shape"][0])
    if "train" not in splits:
        raise ValueError(f"no array '{images}' in {folder}; there are: {', '.join(owners) or 'none'}")
    count = options.get("classes") or most + 1
    return spooled(splits, raw_folder, options, tuple(map(str, options.get("class_names") or range(count))))


def names_in(path: Path) -> list[str]:
    """What the arrays of a file are called: a .npy file's is the file's own."""
    if path.suffix == ".npy":
        return [path.stem]
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name}: no .npz archive, or a damaged one ({error})") from None


def array(owners: Mapping[str, Path], name: str) -> NDArray[Any]:
    """One array, memory-mapped where it lies in a file of its own."""
    path = owners[name]
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, mmap_mode="r"))
        with np.load(path) as archive:
            return np.asarray(archive[name])
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        raise ValueError(f"{path.name}: array '{name}' cannot be read ({error}); pickles are refused") from None


def check_labels(name: str, labels: NDArray[Any]) -> int:
    """The largest label; ValueError unless they are whole numbers from 0."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{name}: found {labels.dtype} {labels.shape}, expected whole numbers (n,)")
    if len(labels) and labels.min() < 0:
        raise ValueError(f"{name}: found {labels.min()}, expected labels from 0")
    return int(labels.max(initial=-1))


def examples(name: str, images: NDArray[Any], labels: NDArray[Any] | None, channels: int) -> Iterator[Example]:
    """The examples, in order."""
    if images.dtype == np.bool_:
        images = images.astype(np.uint8) * 255
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(f"{name}: found {images.dtype} {images.shape}, expected uint8 (n, H, W) or with channels")
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"{name}: {len(images):,} images but {len(labels):,} labels")
    first = images.ndim == 4 and images.shape[1] == channels and images.shape[3] != channels
    for number, image in enumerate(images):
        pixels = image.transpose(1, 2, 0) if first else image
        yield f"{name}[{number}]", pixels, None if labels is None else int(labels[number])
