"""IDX: the format of MNIST's four files, and of Fashion-MNIST's, KMNIST's and QMNIST's.

A file is a big-endian header (two zero bytes, the element type, the number of dimensions, then each dimension as
a uint32) and the elements in row-major order. Format: LeCun, Cortes & Burges, 'The MNIST database of handwritten
digits'. Only unsigned bytes are read here. EMNIST has the same files with a prefix, images on their side, and labels
from 1 in one of its parts.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.naming import numbered
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load", "read"]

OPTIONS = (
    "train_images", "train_labels", "test_images", "test_labels", "class_names", "prefix", "transpose", "first_label",
)  # fmt: skip
"""What a block of params.yaml may say under `options`.

The four files' names or what stands before them (`prefix: emnist-letters-`), whether images lie on their side
(`transpose: true`, as EMNIST's do), and the number of the first class (`first_label: 1`).
"""

UNSIGNED_BYTE = 0x08

LARGEST = 1 << 33
"""Bytes of an unpacked file."""

FILES: Mapping[str, str] = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""MNIST's file names, which the data sets made after it kept."""


def read(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, compressed by gzip or not, of the shape that the file declares.

    Raises ValueError in one line (file, expected, found) on anything else, trailing bytes included.
    """
    content = _content(path)
    shape = _shape(path.name, content[:4], content[4 : 4 + 4 * 255])
    header, found = 4 + 4 * len(shape), len(content)
    expected = header + math.prod(shape)
    if found != expected:
        raise ValueError(f"{path.name}: expected {expected} bytes for shape {shape}, found {found}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytes:
    """A file's bytes, unpacked where its name ends in .gz; a small file that unfolds without end is refused."""
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name}: no gzip file, or a damaged one ({error})") from None
    if len(content) > LARGEST:
        raise ValueError(f"{path.name}: more than {LARGEST:,} bytes")
    return content


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
    """MNIST and its relatives; `options` may be without a shape, which then is the files' own.

    Raises ValueError on a malformed file or one that is missing.
    """
    files = {part: find(place(raw_folder, options), part, options) for part in FILES}
    arrays = {part: read(path) for part, path in files.items()}
    for part, ndim in {"train_images": 3, "train_labels": 1, "test_images": 3, "test_labels": 1}.items():
        if arrays[part].ndim != ndim:
            raise ValueError(
                f"{files[part].name}: expected {ndim} dimensions for {part}, found shape {arrays[part].shape}"
            )
    for split in ("train", "test"):
        images, labels = len(arrays[f"{split}_images"]), len(arrays[f"{split}_labels"])
        if images != labels:
            raise ValueError(f"{split}: {images} images but {labels} labels")
    first, height, width = int(options.get("first_label", 0)), *arrays["train_images"].shape[1:]
    shape = (1, width, height) if options.get("transpose") else (1, height, width)
    names = options.get("class_names") or numbered(options.get("classes") or 10, first)
    splits = {split: examples(files, arrays, split, options) for split in ("train", "test")}
    source = Source("their own files", {split: files[f"{split}_images"].name for split in splits}, files=len(FILES))
    return spooled(splits, raw_folder, {"shape": shape, **options}, tuple(map(str, names)), source)


def find(folder: Path, part: str, options: Mapping[str, Any]) -> Path:
    """One of the four files, in the folder or below it; ValueError where there is none, or several."""
    if options.get(part):
        name = str(options[part])
    else:
        known = FILES[part].replace("t10k", "test") if options.get("prefix") else FILES[part]
        name = f"{options.get('prefix', '')}{known}"
    if (folder / name).is_file():
        return folder / name
    ends = tuple({name, name.replace("t10k", "test"), name.replace("-idx", ".idx")})
    found = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name.removesuffix(".gz").endswith(ends)
    )
    plain = [path for path in found if path.suffix != ".gz"] or found
    if len(plain) != 1:
        several = f"found {', '.join(path.name for path in plain[:6])}" if plain else "not found"
        hint = "say which, `options: {prefix: ...}`" if plain else f"say its name, `options: {{{part}: ...}}`"
        raise ValueError(f"{folder / name}: {several}; expected one file; {hint}")
    return plain[0]


def examples(
    files: Mapping[str, Path], arrays: Mapping[str, NDArray[np.uint8]], split: str, options: Mapping[str, Any]
) -> Iterator[Example]:
    """The images of a split, upright, with labels from 0."""
    name, first = files[f"{split}_images"].name, int(options.get("first_label", 0))
    pairs = zip(arrays[f"{split}_images"], arrays[f"{split}_labels"].astype(np.int64) - first, strict=True)
    for number, (image, label) in enumerate(pairs):
        yield f"{name}[{number}]", image.T if options.get("transpose") else image, int(label)
