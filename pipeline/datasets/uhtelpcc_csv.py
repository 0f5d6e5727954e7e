"""UHTelPCC as text: a row for each image, its 1,024 pixels and the label last, separated by commas.

UHTelPCC, University of Hyderabad, is the data set of printed Telugu characters of Renkila et al.: 32x32, binary, 325
classes. The file's name says its split (train, valid, test). Rows are read one at a time; a first row of words is
passed over.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.naming import by_split, listed, numbered
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("ink", "class_names", "train_files", "valid_files", "test_files")
"""What a block of params.yaml may say under `options`; `ink` is the value of a full pixel, 1 or 255."""

SIDE = 32

LONGEST = 1 << 16
"""Characters of a row."""


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The splits that there are files of; ValueError, with the row's number, for one that is short or no numbers."""
    found = place(raw_folder, options)
    folder, only = (found.parent, [found.name]) if found.is_file() else (found, sorted(options.get("files") or ()))
    names_of = by_split(only or sorted(path.name for path in found.glob("*.csv") if path.is_file()), options)
    grouped = {split: [folder / name for name in files] for split, files in names_of.items()}
    source = Source("the last column", {split: listed(files) for split, files in names_of.items()})
    source.files = sum(map(len, names_of.values()))
    ink, names = int(options.get("ink", 1)), tuple(map(str, options.get("class_names") or numbered(options["classes"])))
    splits = {split: rows(files, ink) for split, files in grouped.items()}
    return spooled(splits, raw_folder, options, names, source)


def rows(paths: Sequence[Path], ink: int) -> Iterator[Example]:
    """The rows of some files."""
    for path in paths:
        with path.open(encoding="ascii", errors="replace") as stream:
            for number, line in enumerate(iter(functools.partial(stream.readline, LONGEST), ""), start=1):
                if len(line) == LONGEST:
                    raise ValueError(
                        f"{path.name}, row {number}: more than {LONGEST:,} characters; expected a row an image"
                    )
                words = line.split(",")
                if line.strip() and not (number == 1 and not any(word.strip().isdigit() for word in words)):
                    yield example(f"{path.name}, row {number}", words, ink)


def example(name: str, words: Sequence[str], ink: int) -> Example:
    """One row."""
    if len(words) != SIDE * SIDE + 1:
        raise ValueError(f"{name}: found {len(words):,} values, expected {SIDE * SIDE:,} pixels and a label")
    try:
        values = [int(word) for word in words]
    except ValueError:
        odd = next(word.strip() for word in words if not word.strip().lstrip("+-").isdigit())
        raise ValueError(f"{name}: found {odd[:40]!r}, expected a whole number") from None
    *pixels, label = values
    if min(pixels) < 0 or max(pixels) > ink:
        raise ValueError(f"{name}: found pixels from {min(pixels)} to {max(pixels)}, expected 0 to {ink} (options.ink)")
    return name, (np.array(pixels) * 255 // ink).astype(np.uint8).reshape(SIDE, SIDE), label
