"""Text tables with an image in each row: pixels in columns of numbers, or all in one column; a label in another.

    label,pixel0,pixel1,...      Kaggle's digit recognizer (train.csv, test.csv), Sign Language MNIST, HMNIST
    0,0,255,...,7                no names of columns, as UHTelPCC of Renkila et al. has it: `label: last`, or `first`
    emotion,pixels,Usage         FER2013: all pixels as one text; the column `Usage`, or `split`, says the splits

Commas, semicolons or tabs between the columns; compressed by gzip or not. Without a column of splits the files' names
say them. Some thousand rows are read at a time.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow
from numpy.typing import NDArray

from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.metadata import LABELS
from pipeline.datasets.naming import ORDER, SPLITS, by_split, class_names, listed, words
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("label", "pixels", "channels", "class_names", "train_files", "valid_files", "test_files")
"""What a block of params.yaml may say under `options`: the columns, where colours stand, the classes, the splits."""

ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
PIXELS, SPLIT = "pixels", ("usage", "split")
"""What columns of all pixels, and of splits, are called."""

FEWEST = 4
"""Columns of pixels."""

BLOCK = 1 << 23
"""Bytes that are read at a time; no row is longer."""


@dataclass(frozen=True)
class Table:
    """A file, and the numbers of its columns of pixels, of labels and of splits."""

    path: Path
    delimiter: str
    names: list[str]
    named: bool
    pixels: list[int]
    label: int | None
    split: int | None

    def column(self, number: int) -> str:
        """What a column is called in messages."""
        return f"column '{self.names[number]}'" if self.named else self.names[number]

    def unused(self) -> list[str]:
        """The columns that nothing is made of."""
        used = {*self.pixels, self.label, self.split}
        return [name or "''" for number, name in enumerate(self.names) if number not in used]

    def blocks(self, columns: list[int]) -> Iterator[list[NDArray[Any]]]:
        """Some columns, block by block: pixels as numbers, unless they stand in one column, and all others as texts."""
        number = {str(column) for column in self.pixels if len(self.pixels) > 1}
        kinds = {str(column): pa.float32() if str(column) in number else pa.string() for column in columns}
        reading = arrow.ReadOptions(block_size=BLOCK, skip_rows=int(self.named), use_threads=False)
        reading.column_names = list(map(str, range(len(self.names))))
        done = 1 + self.named
        try:
            with arrow.open_csv(
                self.path,
                reading,
                arrow.ParseOptions(delimiter=self.delimiter),
                arrow.ConvertOptions(column_types=kinds, include_columns=list(kinds), strings_can_be_null=True),
            ) as stream:
                for batch in stream:
                    for column, values in zip(columns, batch.columns, strict=True):
                        if values.null_count:
                            row = done + values.is_null().index(pa.scalar(True)).as_py()
                            raise ValueError(f"row {row:,}: no value in {self.column(column)}")
                    yield [values.to_numpy(zero_copy_only=False) for values in batch.columns]
                    done += batch.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ValueError(f"{self.path.name}: no table of images, or a damaged one ({error})") from None


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The splits that a column or the files' names say; ValueError for what is damaged or can be read in two ways."""
    found = place(raw_folder, options)
    folder, names = (found.parent, [found.name]) if found.is_file() else (found, tables_in(found, options))
    if not names:
        raise ValueError(f"{found}: no table in it; expected files that end in {', '.join(ENDINGS)}")
    splits: dict[str, list[tuple[Table, str | None]]] = {}
    tables = []
    for split, files in by_split(names, options).items():
        for table in (table_of(folder / name, options) for name in files):
            tables.append(table)
            for value in usages(table):
                splits.setdefault(split_of(table, value) or split, []).append((table, value))
    check_labels(tables, options)
    known = class_names((label for table in tables for label in labels(table)), options.get("classes"))
    numbers = {name: number for number, name in enumerate(known)}
    read = {split: examples(splits[split], numbers, options) for split in ORDER if split in splits}
    names_of_classes = list(map(str, options.get("class_names") or known))
    return spooled(read, raw_folder, options, names_of_classes, described(tables, splits))


def tables_in(folder: Path, options: Mapping[str, Any]) -> list[str]:
    """The names of a folder's tables, or those of the block's files."""
    found = sorted(path.name for path in folder.glob("*") if path.is_file() and path.name.lower().endswith(ENDINGS))
    return sorted(options.get("files") or ()) or found


def described(tables: list[Table], splits: Mapping[str, list[tuple[Table, str | None]]]) -> Source:
    """Where labels and splits come from, and the columns that nothing was made of."""
    labelled = sorted({table.column(table.label) for table in tables if table.label is not None})
    source = Source(listed(labelled) or "none", files=len(tables))
    for split, parts in splits.items():
        source.splits[split] = listed((f"{table.path.name} {value or ''}".strip() for table, value in parts), 3)
    unused = sorted({name for table in tables for name in table.unused()})
    if unused:
        source.remarks.append(f"columns not used: {listed(unused)}")
    return source


# --- columns ----------------------------------------------------------------------------------------------------


def table_of(path: Path, options: Mapping[str, Any]) -> Table:
    """A file by its first row, which may name the columns."""
    line = first_line(path)
    delimiter = max(",;\t", key=line.count)
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(f"{path.name}, row 1: no columns, or damaged ones ({error})") from None
    named = is_header(names)
    if not named:
        names = [f"column {number}" for number in range(1, len(names) + 1)]
    label, lower = label_column(names, named, options), [name.strip().lower() for name in names]
    split = next((lower.index(name) for name in SPLIT if named and name in lower), None)
    chosen = str(options.get("pixels") or PIXELS)
    alone = [number for number, name in enumerate(lower) if named and name == chosen.lower()]
    if options.get("pixels") and len(alone) != 1:
        raise ValueError(f"{path.name}: no column '{chosen}'; there are: {listed(names, 8)}")
    pixels = alone if len(alone) == 1 else pixel_columns(path.name, lower, {label, split})
    return Table(path, delimiter, names, named, pixels, None if options.get("classes") == 0 else label, split)


def is_header(cells: list[str]) -> bool:
    """Whether a first row is words, or the columns' numbers, as pandas writes them.

    Numbers that come twice are pixels of an image whose label is a word.
    """
    numbers = [cell for cell in cells if cell.strip() and is_number(cell)]
    counted = len(cells) > 2 and any(
        cells[1:] == list(map(str, range(first, first + len(cells) - 1))) for first in (0, 1)
    )
    return counted or (len(numbers) == len(set(numbers)) and not all(map(is_number, cells)))


def pixel_columns(file: str, names: list[str], others: set[int | None]) -> list[int]:
    """The columns whose names differ in numbers alone, by these; ValueError where there are several kinds of such.

    Names of two numbers, a row's and a column's, stay in the file's order.
    """
    kinds: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if number not in others and name:
            kinds.setdefault(re.sub(r"\d+", "", name), []).append(number)
    many = sorted((columns for columns in kinds.values() if len(columns) >= FEWEST), key=len, reverse=True)
    if len(many) != 1:
        found = f"columns of {len(many)} kinds" if many else f"the columns {listed(names, 8)}"
        raise ValueError(
            f"{file}: found {found}, expected pixels in columns that differ in their numbers alone (pixel0, pixel1, "
            "...), or all in one column `pixels`; say its name, `options: {pixels: NAME}`"
        )
    counts = {number: re.findall(r"\d+", names[number]) for number in many[0]}
    in_order = any(len(count) != 1 for count in counts.values())
    return many[0] if in_order else sorted(many[0], key=lambda number: int(counts[number][0]))


def first_line(path: Path) -> str:
    """The first row, without the mark of UTF-8 that some programs write."""
    if not path.is_file():
        raise ValueError(f"{path}: not found; expected a table")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            line = stream.readline(BLOCK)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name}: could not be read ({error})") from None
    if len(line) == BLOCK:
        raise ValueError(f"{path.name}, row 1: more than {BLOCK:,} bytes; expected a row an image")
    return re.split("[\r\n]", line.decode("utf-8-sig", "replace"))[0]  # an old Mac ends its lines by \r alone


def is_number(text: str) -> bool:
    """Whether a cell is a number, or nothing."""
    return re.fullmatch(r"\s*([+-]?[\d.]+(e[+-]?\d+)?)?\s*", text, re.IGNORECASE | re.ASCII) is not None


def label_column(names: list[str], named: bool, options: Mapping[str, Any]) -> int | None:
    """The column that the block names, by its name or as the first or last; or the one with a usual name."""
    chosen, lower = options.get("label"), [name.strip().lower() for name in names]
    if chosen in names:
        return names.index(chosen)
    if chosen in ("first", "last"):
        return 0 if chosen == "first" else len(names) - 1
    usual = [name for name in LABELS if named and name in lower] if chosen is None else []
    return lower.index(usual[0]) if usual else None


def check_labels(tables: list[Table], options: Mapping[str, Any]) -> None:
    """Raise ValueError where no file has the named column of labels, or `classes` has none at all."""
    chosen, classes = options.get("label"), options.get("classes")
    if classes != 0 and (chosen or classes) and all(table.label is None for table in tables):
        first = tables[0]
        said = f"'{chosen}'" if chosen else "'label', but the block has `classes`"
        there = f"there are: {listed(first.unused() or first.names, 8)}" if first.named else "the columns have no names"
        raise ValueError(f"{first.path.name}: no column {said}; {there}; say `options: {{label: NAME}}`, first or last")


def usages(table: Table) -> Sequence[str | None]:
    """The values of the column of splits, in order; None alone for a file without it."""
    if table.split is None:
        return [None]
    return sorted({str(value) for (values,) in table.blocks([table.split]) for value in values})


def split_of(table: Table, value: str | None) -> str | None:
    """The split that a value of the column of splits names; ValueError for one that names none."""
    if value is None or table.split is None:
        return None
    split = next((SPLITS[word] for word in words(value) if word in SPLITS), None)
    if split is None:
        raise ValueError(
            f"{table.path.name}: found {value!r} in {table.column(table.split)}, expected train, valid or test"
        )
    return split


def labels(table: Table) -> Iterator[str]:
    """All labels of a file, as texts."""
    if table.label is not None:
        for (values,) in table.blocks([table.label]):
            yield from set(values)


# --- rows ---------------------------------------------------------------------------------------------------------


def examples(
    parts: list[tuple[Table, str | None]], numbers: Mapping[str, int], options: Mapping[str, Any]
) -> Iterator[Example]:
    """The rows of some files, or those of one value of the column of splits."""
    for table, usage in parts:
        columns = [*table.pixels, *(column for column in (table.label, table.split) if column is not None)]
        row = int(table.named)
        for block in table.blocks(columns):
            pixels = np.stack(block[: len(table.pixels)], axis=1)
            marks = None if table.label is None else block[len(table.pixels)]
            for number, values in enumerate(pixels):
                row += 1
                if usage is None or block[-1][number] == usage:
                    name = f"{table.path.name}, row {row:,}"
                    image = laid_out(name, one_text(name, values), table, options)
                    yield name, image, None if marks is None else numbers[marks[number]]


def one_text(name: str, values: NDArray[Any]) -> NDArray[np.float32]:
    """A row's pixels as numbers, also where they are one text."""
    if values.dtype != object:
        return values
    try:
        return np.array(re.split(r"[\s,;]+", values[0].strip("[]() ")), dtype=np.float32)
    except ValueError as error:
        raise ValueError(f"{name}: found {values[0][:40]!r} as pixels, expected numbers ({error})") from None


def laid_out(name: str, values: NDArray[np.float32], table: Table, options: Mapping[str, Any]) -> NDArray[np.float32]:
    """A row's pixels as (H, W) or (H, W, 3): of the block's shape, else square."""
    channels, height, width = options["shape"]
    side, third = math.isqrt(len(values)), math.isqrt(len(values) // 3)
    if len(values) == channels * height * width:
        size = (height, width, channels)
    elif side * side == len(values):
        size = (side, side, 1)
    elif 3 * third * third == len(values):
        size = (third, third, 3)
    else:
        hint = "" if table.named else "; say where the label stands, `options: {label: first}` or `{label: last}`"
        raise ValueError(
            f"{name}: found {len(values):,} pixels, expected {channels * height * width:,} of the block's shape, "
            f"or a square's{hint}"
        )
    if size[2] == 1:
        return values.reshape(size[:2])
    first = options.get("channels")
    if first not in ("first", "last"):
        raise ValueError(
            f"{name}: found colours, all of a pixel together or one colour after the other; "
            "say `options: {channels: last}` or `{channels: first}`"
        )
    return values.reshape(size) if first == "last" else values.reshape(3, *size[:2]).transpose(1, 2, 0)
