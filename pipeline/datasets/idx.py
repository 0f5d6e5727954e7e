"""IDX: the format of MNIST's four files, and of Fashion-MNIST's, KMNIST's and QMNIST's.

A file is a big-endian header (two zero bytes, the element type, the number of dimensions, then each dimension as
a uint32) and the elements in row-major order. Format: LeCun, Cortes & Burges, 'The MNIST database of handwritten
digits'. Only unsigned bytes are read here; files are uncompressed (the fetching step has unpacked them).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.loaded import Loaded

__all__ = ["load", "read"]

OPTIONS = ("train_images", "train_labels", "test_images", "test_labels", "class_names")
"""What a block of params.yaml may say under `options`."""

UNSIGNED_BYTE = 0x08

FILES: Mapping[str, str] = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""MNIST's file names, which the data sets made after it kept."""


def read(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, of the shape that the file declares.

    Raises ValueError in one line (file, expected, found) on anything else, trailing bytes included.
    """
    with path.open("rb") as stream:
        shape = _shape(path.name, stream.read(4), stream.read(4 * 255))
    header, found = 4 + 4 * len(shape), path.stat().st_size
    expected = header + math.prod(shape)
    if found != expected:
        raise ValueError(f"{path.name}: expected {expected} bytes for shape {shape}, found {found}")
    return np.fromfile(path, dtype=np.uint8, offset=header).reshape(shape)


def _shape(name: str, magic: bytes, rest: bytes) -> tuple[int, ...]:
    if len(magic) < 4 or magic[:3] != bytes([0, 0, UNSIGNED_BYTE]) or magic[3] == 0:
        raise ValueError(f"{name}: expected an IDX file of unsigned bytes (it starts 00 00 08), found {_hex(magic)}")
    ndim = magic[3]
    if len(rest) < 4 * ndim:
        raise ValueError(
            f"{name}: expected {ndim} dimensions in a header of {4 + 4 * ndim} bytes, found {4 + len(rest)}"
        )
    return struct.unpack(f">{ndim}I", rest[: 4 * ndim])


def _hex(magic: bytes) -> str:
    return magic.hex(" ") or "an empty file"


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """MNIST and its relatives.

    `options` may give other file names (`train_images`, `train_labels`, `test_images`, `test_labels`) and
    `class_names` (the digits unless told). Raises ValueError on a malformed file, FileNotFoundError on a missing one.
    """
    arrays = {part: read(raw_folder / options.get(part, name)) for part, name in FILES.items()}
    for part, ndim in {"train_images": 3, "train_labels": 1, "test_images": 3, "test_labels": 1}.items():
        if arrays[part].ndim != ndim:
            name = options.get(part, FILES[part])
            raise ValueError(f"{name}: expected {ndim} dimensions for {part}, found shape {arrays[part].shape}")
    return Loaded(
        train_images=arrays["train_images"][:, None],
        train_labels=arrays["train_labels"].astype(np.int64),
        test_images=arrays["test_images"][:, None],
        test_labels=arrays["test_labels"].astype(np.int64),
        class_names=tuple(str(name) for name in options.get("class_names", range(10))),
    )
