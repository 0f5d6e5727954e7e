"""Labels of image files in a table or a list beside them.

    metadata.csv, metadata.jsonl    Hugging Face's `datasets`: columns `file_name` and `label`
    dataset.json                    StyleGAN's: {"labels": [["00000/img00000000.png", 6], ...]}
    labels.csv, .tsv, .txt          as Kaggle's competitions have them: a column of names, with or without the ending
    instances_train.json            COCO's: images, annotations and categories; one category an image

Those of the second half are read where the block names them: `options: {metadata: labels.csv}`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

__all__ = ["FILES", "LABELS", "labels_of"]

STYLEGAN = "dataset.json"
FILES = ("metadata.csv", "metadata.jsonl", STYLEGAN)
"""Read wherever they lie, unless the block names others."""

FILE_NAMES = ("file_name", "filename", "file", "image", "image_id", "id", "path", "image_path", "img")
LABELS = ("label", "labels", "class", "category", "target", "y", "fine_label", "coarse_label")
"""What columns of names, and of labels, are called."""

Key = tuple[str, str]
"""The metadata's own name, and an image's in it."""


def labels_of(texts: Mapping[str, bytes], column: str | None, file_column: str | None = None) -> dict[Key, str]:
    """What each row says, of all metadata files (name -> bytes); nothing where no file has the column of labels.

    Named columns must be there. Raises ValueError in one line.
    """
    found: dict[Key, str] = {}
    for name, content in texts.items():
        for number, row in enumerate(_rows(name, content), start=1):
            file = _column(name, row, file_column, FILE_NAMES)
            label = _column(name, row, column, LABELS)
            if file is None:
                raise ValueError(f"{name}: no column '{FILE_NAMES[0]}'; there are: {', '.join(map(str, row))}")
            if label is None:
                break
            value = row[label]
            if value is None or isinstance(value, list | dict) or str(value) == "":
                raise ValueError(f"{name}, row {number}: found {value!r} as label, expected a number or a text")
            key = name, str(row[file]).replace("\\", "/").removeprefix("./")
            if found.setdefault(key, str(value)) != str(value):
                path = PurePosixPath(name).parent / key[1]
                raise ValueError(f"{name}, row {number}: {path} is there twice with other labels; expected one row")
    return found


def _column(name: str, row: Mapping[str, Any], chosen: str | None, usual: Sequence[str]) -> str | None:
    """The named column, or the one with a usual name."""
    if chosen is not None and chosen not in row:
        raise ValueError(f"{name}: no column '{chosen}'; there are: {', '.join(map(str, row))}")
    found = [column for column in usual if column in row]
    if chosen is None and usual is LABELS and len(found) > 1 and found[0] != LABELS[0]:
        raise ValueError(f"{name}: columns {' and '.join(found)}; say which, `options: {{label: {found[0]}}}`")
    return chosen or next(iter(found), None)


def _rows(name: str, content: bytes) -> Iterator[Mapping[str, Any]]:
    """The rows of a file as column -> value."""
    try:
        text = content.decode("utf-8-sig")
        if name.endswith(".json"):
            yield from _of_json(json.loads(text))
        elif name.endswith(".jsonl"):
            for line in filter(str.strip, text.splitlines()):
                yield dict(json.loads(line))
        elif name.endswith(".txt"):
            pairs = (line.replace(",", " ").rsplit(maxsplit=1) for line in filter(str.strip, text.splitlines()))
            yield from ({"file_name": file, "label": label} for file, label in pairs)
        else:
            delimiter = max(",;\t", key=text.partition("\n")[0].count)
            yield from csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    except (csv.Error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{name}: no metadata of images, or damaged ones ({error}); expected UTF-8 text") from None


def _of_json(content: Any) -> Iterator[Mapping[str, Any]]:
    """The rows of a whole JSON file: StyleGAN's pairs, COCO's three lists, a list of rows, or names and labels."""
    if isinstance(content, list):
        yield from map(dict, content)
    elif "annotations" in content:
        files = {row["id"]: row["file_name"] for row in content["images"]}
        classes = {row["id"]: row["name"] for row in content["categories"]}
        for row in content["annotations"]:
            yield {"file_name": files[row["image_id"]], "label": classes[row["category_id"]]}
    else:
        labels = content.get("labels", content)
        pairs = labels.items() if isinstance(labels, dict) else labels or ()
        yield from ({"file_name": file, "label": label} for file, label in pairs)
