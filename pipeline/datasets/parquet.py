"""Parquet in the layout of the Hugging Face hub: a column of images and one of labels, several files a split.

An image is a struct of a file's bytes and its path, bytes alone, or its pixels as nested lists; a label is a whole
number whose class names may stand in the schema's metadata, or a text. The names of files and folders say the splits:
train-00000-of-00002.parquet, plain_text/test/0000.parquet, ... Rows are read a few at a time.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.datasets import naming
from pipeline.datasets.fitting import decoded
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.members import pointer_hint
from pipeline.datasets.metadata import LABELS
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("image", "label", "class_names", "train_files", "valid_files", "test_files", "broken")
"""What a block of params.yaml may say under `options`: the columns' names, what the classes are called, the splits."""

ROWS = 256

IMAGES = ("image", "img", "images", "pixels", "picture")
"""What the column is called where the block does not say."""


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """Every split that there are files of; ValueError for a file that is damaged or has other columns."""
    source = Source()
    by_split = files_of(place(raw_folder, options), options, source)
    first = next(iter(by_split.values()))[0]
    schema = opened(first).schema_arrow
    image = column(first.name, schema, "image", options.get("image"), IMAGES)
    label = None if options.get("classes") == 0 else label_column(first.name, schema, options)
    if image is None:
        raise ValueError(
            f"{first.name}: no column 'image'; there are: {', '.join(schema.names)}; say `options: {{image: NAME}}`"
        )
    source.labels = f"none; the columns are {', '.join(schema.names)}" if label is None else f"column '{label}'"
    if options.get("classes") == 0:
        source.labels = "none, as `classes: 0` says"
    names, numbers = classes_of(by_split, schema, label, options)
    splits = {split: examples(files, image, label, numbers) for split, files in by_split.items()}
    return spooled(splits, raw_folder, options, names, source)


def files_of(place: Path, options: Mapping[str, Any], source: Source) -> dict[str, list[Path]]:
    """The files of each split, train first, by their names; files of other kinds are passed over."""
    if place.is_file():
        names, place = [place.name], place.parent
    else:
        every = [str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file()]
        visible = [name for name in every if not any(part.startswith(".") for part in Path(name).parts)]
        names = sorted(options.get("files") or ()) or [name for name in visible if name.endswith(".parquet")]
        source.passed_over.update(Path(name).suffix or "no ending" for name in visible if name not in names)
    by_split = naming.by_split(names, options)
    source.files = sum(map(len, by_split.values()))
    source.splits = {split: naming.listed(files, 3) for split, files in by_split.items()}
    if set(by_split) == {"train"} and len(names) > 1 and not any(map(naming.split_of, names)):
        source.remarks.append(f"no split in the names of {len(names)} files, so all were read for training")
    if "train" not in by_split:
        raise ValueError(f"{place}: no file of a training split; expected train*.parquet")
    return {split: [place / name for name in files] for split, files in by_split.items()}


def column(file: str, schema: pa.Schema, what: str, chosen: str | None, usual: Sequence[str]) -> str | None:
    """The column that the block names, or the one with a usual name; ValueError where several have."""
    if chosen is not None:
        if chosen not in schema.names:
            raise ValueError(f"{file}: no column '{chosen}'; there are: {', '.join(schema.names)}")
        return chosen
    found = [name for name in usual if name in schema.names]
    if len(found) > 1 and what not in found:
        raise ValueError(f"{file}: columns {' and '.join(found)}; say which, `options: {{{what}: {found[0]}}}`")
    return what if what in found else next(iter(found), None)


def label_column(file: str, schema: pa.Schema, options: Mapping[str, Any]) -> str | None:
    """The column of labels, or None where there is none; `classes` needs one."""
    found = column(file, schema, "label", options.get("label"), LABELS)
    if found is None and options.get("classes"):
        raise ValueError(
            f"{file}: no column 'label', but the block has `classes`; there are: {', '.join(schema.names)}; "
            "say `options: {label: NAME}`"
        )
    return found


Numbers = Mapping[str, int] | None
"""Label as a text -> its number; None where labels are numbers already."""


def classes_of(
    by_split: Mapping[str, Sequence[Path]], schema: pa.Schema, label: str | None, options: Mapping[str, Any]
) -> tuple[list[str], Numbers]:
    """The classes' names, and their numbers where labels are texts."""
    if label is None:
        return [], None
    kind = schema.field(label).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        names = naming.class_names(texts(by_split, label))
        return list(map(str, options.get("class_names") or names)), {name: number for number, name in enumerate(names)}
    if not pa.types.is_integer(kind):
        found = next(iter(by_split.values()))[0].name
        raise ValueError(f"{found}: found {kind} in column '{label}', expected whole numbers or texts")
    if options.get("class_names"):
        return list(map(str, options["class_names"])), None
    first, *others = [path for files in by_split.values() for path in files]
    names = named(first, schema, label, options.get("classes"))
    for path in others:
        theirs = named(path, opened(path).schema_arrow, label, len(names))
        if theirs != names:
            said = f"{naming.listed(theirs, 3)}; {first.name} has {naming.listed(names, 3)}"
            raise ValueError(f"{path.name}: found other class names in column '{label}', {said}; say `class_names`")
    return names, None


def texts(by_split: Mapping[str, Sequence[Path]], label: str) -> set[str]:
    """Every label of all files."""
    found: set[str] = set()
    for path in (path for files in by_split.values() for path in files):
        for row in rows(path, [label]):
            if row[label] is None:
                raise ValueError(f"{path.name}: a row without a label in column '{label}'; expected one in every row")
            found.add(str(row[label]))
    return found


def named(path: Path, schema: pa.Schema, label: str, classes: int | None) -> list[str]:
    """Names from the schema's metadata; without them numbers, as many as the block says."""
    try:
        names: list[Any] = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
        return list(map(str, names))
    except (KeyError, TypeError, ValueError):
        if classes is None:
            raise ValueError(
                f"{path.name}: column '{label}' has no class names; give their number as `classes`"
            ) from None
        return naming.numbered(classes)


def opened(path: Path) -> pq.ParquetFile:
    """The file, its footer read."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        hint = pointer_hint(path)
        raise ValueError(f"{path.name}: no Parquet file, or a damaged one ({error}){hint}") from None


def rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a file; ValueError where it lacks a column or is damaged."""
    file, number = opened(path), 0
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise ValueError(f"{path.name}: no column '{missing[0]}'; there are: {', '.join(file.schema_arrow.names)}")
    try:
        for batch in file.iter_batches(ROWS, columns=list(columns)):
            for row in batch.to_pylist():
                yield row
                number += 1
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path.name}: damaged after row {number:,} ({error})") from None


def examples(files: Sequence[Path], image: str, label: str | None, numbers: Numbers) -> Iterator[Example]:
    """The rows of some files, one after the other."""
    for path in files:
        for number, row in enumerate(rows(path, [image] if label is None else [image, label])):
            yield example(f"{path.name}[{number}]", row[image], label, None if label is None else row[label], numbers)


def example(name: str, image: Any, column: str | None, label: Any, numbers: Numbers) -> Example:
    """One row; ValueError where it has no image or no label."""
    if column is not None:
        label = numbers[str(label)] if numbers is not None else label
        if not isinstance(label, int):
            raise ValueError(f"{name}: found {label!r} in column '{column}', expected a whole number")
    content = image["bytes"] if isinstance(image, dict) and "bytes" in image else image
    if isinstance(content, list):
        return name, pixels(name, content), label
    if not isinstance(content, bytes):
        raise ValueError(f"{name}: found {type(content).__name__} as image, expected a file's bytes or lists of pixels")
    return name, functools.partial(decoded, name, content), label


def pixels(name: str, content: list[Any]) -> np.ndarray:
    """The pixels of nested lists: rows of numbers, or of lists of a grey level or of red, green and blue."""
    try:
        values = np.array(content)
    except ValueError:
        raise ValueError(f"{name}: found lists of several lengths, expected rows of pixels") from None
    if values.ndim == 3 and values.shape[0] in (1, 3) and values.shape[2] not in (1, 3):
        values = values.transpose(1, 2, 0)
    return (
        values.astype(np.uint8) if values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 255 else values
    )
