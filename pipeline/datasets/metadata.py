"""Labels in `metadata.csv` or `metadata.jsonl` next to the images, as Hugging Face's `datasets` has them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

__all__ = ["FILES", "labels_of"]

FILES = ("metadata.csv", "metadata.jsonl")
FILE_NAME = "file_name"
"""The column with each image's path, relative to the metadata's folder."""


def labels_of(texts: Mapping[str, bytes], column: str | None) -> dict[str, str]:
    """Path of each image -> its label, of all metadata files (name -> bytes); nothing where no file has the column.

    `column` is `label` unless the block names one; a named one must be there. Raises ValueError in one line.
    """
    found: dict[str, str] = {}
    for name, content in texts.items():
        for number, row in enumerate(_rows(name, content), start=1):
            if FILE_NAME not in row:
                raise ValueError(f"{name}: no column '{FILE_NAME}'; there are: {', '.join(map(str, row))}")
            if (column or "label") not in row:
                if column is None:
                    break
                raise ValueError(f"{name}: no column '{column}'; there are: {', '.join(map(str, row))}")
            value = row[column or "label"]
            if value is None or isinstance(value, list | dict) or str(value) == "":
                raise ValueError(f"{name}, row {number}: found {value!r} as label, expected a number or a text")
            path = str(PurePosixPath(name).parent / str(row[FILE_NAME]).replace("\\", "/"))
            if found.setdefault(path, str(value)) != str(value):
                raise ValueError(f"{name}, row {number}: {path} is there twice with other labels; expected one row")
    return found


def _rows(name: str, content: bytes) -> Iterator[dict[str, Any]]:
    """The rows of a file as column -> value."""
    try:
        text = content.decode("utf-8-sig")
        if name.endswith(".csv"):
            yield from csv.DictReader(io.StringIO(text), strict=True)
            return
        for line in filter(str.strip, text.splitlines()):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"a row is {type(row).__name__}")
            yield row
    except (csv.Error, ValueError, RecursionError) as error:
        raise ValueError(f"{name}: no metadata of images, or damaged ones ({error}); expected UTF-8 text") from None
