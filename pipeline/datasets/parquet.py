"""Parquet in the layout of the Hugging Face hub: a column of image bytes and one of labels, several files a split.

`image` is a struct of the file's bytes and its path (or bytes alone), `label` a whole number whose class names stand
in the schema's metadata. The file's name says its split: train-00000-of-00002.parquet, validation.parquet, ... Rows
are read a few at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.datasets.fitting import decoded
from pipeline.datasets.loaded import Loaded
from pipeline.datasets.spooled import SPLITS, Example, place, spooled

__all__ = ["load"]

OPTIONS = ("image", "label", "class_names")
"""What a block of params.yaml may say under `options`: the columns' names, and what the classes are called."""

ROWS = 256


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """Every split that there are files of; ValueError for a file that is damaged or has other columns."""
    by_split = files_of(place(raw_folder, options), options)
    image, label = options.get("image", "image"), options.get("label", "label")
    first = next(iter(by_split.values()))[0]
    names = options.get("class_names") or class_names(first, label, options.get("classes"))
    splits = {split: examples(files, image, label if names else None) for split, files in by_split.items()}
    return spooled(splits, raw_folder, options, tuple(map(str, names)))


def files_of(place: Path, options: Mapping[str, Any]) -> dict[str, list[Path]]:
    """The files of each split, train first; a file whose name says no split is training data."""
    listed = [place / file for file in options.get("files") or ()]
    found = sorted(listed or ([place] if place.is_file() else place.rglob("*.parquet")))
    by_split: dict[str, list[Path]] = {}
    for path in found:
        word = re.split(r"[^a-z]", path.name.lower())[0]
        by_split.setdefault(SPLITS.get(word, "train"), []).append(path)
    if "train" not in by_split:
        raise ValueError(f"{place}: no file of a training split; expected train*.parquet")
    return dict(sorted(by_split.items(), key=lambda item: item[0] != "train"))


def class_names(path: Path, label: str, classes: int | None) -> list[str]:
    """From the schema's metadata; without them numbers, as many as the block says; none without a column of labels."""
    schema = opened(path).schema_arrow
    if label not in schema.names:
        return []
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError):
        if classes is None:
            raise ValueError(
                f"{path.name}: column '{label}' has no class names; give their number as `classes`"
            ) from None
        return [str(number) for number in range(classes)]


def opened(path: Path) -> pq.ParquetFile:
    """The file, its footer read."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name}: no Parquet file, or a damaged one ({error})") from None


def examples(files: Sequence[Path], image: str, label: str | None) -> Iterator[Example]:
    """The rows of some files, one after the other."""
    for path in files:
        file, columns = opened(path), [image] if label is None else [image, label]
        missing = [column for column in columns if column not in file.schema_arrow.names]
        if missing:
            known = ", ".join(file.schema_arrow.names)
            raise ValueError(f"{path.name}: no column '{missing[0]}'; there are: {known}")
        number = 0
        try:
            for batch in file.iter_batches(ROWS, columns=columns):
                for row in batch.to_pylist():
                    yield example(f"{path.name}[{number}]", row, image, label)
                    number += 1
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path.name}: damaged after row {number:,} ({error})") from None


def example(name: str, row: Mapping[str, Any], image: str, label: str | None) -> Example:
    """One row; ValueError where it has no image or no label."""
    content = row[image]["bytes"] if isinstance(row[image], dict) else row[image]
    if not isinstance(content, bytes):
        raise ValueError(f"{name}: found {type(content).__name__} in column '{image}', expected an image's bytes")
    if label is not None and not isinstance(row[label], int):
        raise ValueError(f"{name}: found {row[label]!r} in column '{label}', expected a whole number")
    return name, decoded(name, content), None if label is None else row[label]
