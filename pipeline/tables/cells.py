"""A table as cells for a page: text, interval and its bar, what to sort by, who is best; no markup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pipeline.core.references import REFERENCES
from pipeline.tables.columns import SHORT_LABELS, Description, describe, group_of, in_groups, main_columns
from pipeline.tables.comparison import interval, number, values
from pipeline.tables.sentence import leading_rows
from pipeline.tables.text import marked_rows, readable

BETTER = {
    "lower": "Lower is better.",
    "higher": "Higher is better.",
    "near_real": "Nearer to the row real is better.",
    None: "",
}
ARROWS = {"lower": "\u2193", "higher": "\u2191", "near_real": "\u2248", None: ""}
"""Down, up, near: which way is better, beside a column's name."""
PAPER = "paper_"
LONG = 30
"""Characters of a text that is broken into lines."""
THOUSANDS = 1000
"""From here on a number is written without decimals and with its thousands parted, as whole numbers are."""
PRINTED = 9
"""Columns that fit a printed page beside the one that names the row; one of long text counts as LONG_WIDTH."""
LONG_WIDTH = 4


class Axis(NamedTuple):
    """Where the bars of a column's intervals lie: from `low` at 0 to `high` at 100, on a log scale or a linear one."""

    low: float
    high: float
    log: bool

    def place(self, value: float) -> float:
        """The place of a value, at most at either end."""
        if self.log:
            value = max(value, self.low)
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 1)


def axis(rows: Sequence[Mapping[str, Any]], name: str, scale: str) -> Axis | None:
    """The axis of a column with intervals: all models' and that of the row `real`; None where nothing varies."""
    shown = [row for row in rows if row.get("model") not in REFERENCES[1:] and number(row.get(name)) is not None]
    ends = [end for row in shown for end in (number(row[name]), *interval(row, name)) if end is not None]
    if len(ends) == len(shown) or not ends or min(ends) == max(ends):
        return None
    return Axis(min(ends), max(ends), scale == "log" and min(ends) > 0)


def main_names(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description]) -> list[str]:
    """The main table's columns that have a value in some row, but for the bounds of intervals."""
    there = [name for name in main_columns(metrics) if any(row.get(name) is not None for row in rows)]
    return values(there)


def to_cells(
    rows: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Description],
    columns: Sequence[str],
    few: Sequence[str] | None = None,
) -> dict[str, Any]:
    """`columns` with their descriptions and the rows' cells; with `few`, those shown at first, they are in groups.

    Each row has `name`, `cells`, and `reference` where no model made it: such rows come last and compete with none.
    """
    known = describe(metrics)
    columns = list(columns) if few is None else in_groups(columns)
    described = [_column(name, known[name], rows, few is None or name in few) for name in columns]
    cells = [_cells(rows, name, known[name]) for name in columns]
    groups = [(group, len(list(names))) for group, names in groupby(columns, key=group_of)] if few is not None else []
    return {
        "columns": described,
        "groups": [{"name": group, "size": size} for group, size in groups],
        "printed": printed(described),
        "rows": [
            {"name": str(row.get(columns[0])), "reference": row.get(columns[0]) in REFERENCES, "cells": [*across]}
            for row, across in zip(rows, zip(*cells, strict=True), strict=True)
        ],
    }


def printed(columns: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Indices of the columns of every printed part of a table; the first column, which names the row, is in each."""
    parts, room = [[0]], PRINTED
    for index, column in enumerate(columns[1:], start=1):
        width = LONG_WIDTH if column["long"] else 1
        if width > room:
            parts, room = [*parts, [0]], PRINTED
        parts[-1].append(index)
        room -= width
    return parts


def described(about: Description) -> str:
    """What a column says, in what unit, and which way is better."""
    unit = f"Unit: {about['unit']}." if about["unit"] else ""
    return " ".join(filter(None, [str(about["meaning"]), unit, BETTER[about["better"]]]))


def _column(name: str, about: Description, rows: Sequence[Mapping[str, Any]], first: bool) -> dict[str, Any]:
    better = about["better"]
    real = next((row.get(name) for row in rows if row.get("model") == "real"), None)
    return {
        "name": name,
        "label": about["label"],
        "short": SHORT_LABELS.get(name, about["label"]),
        "meaning": described(about),
        "better": better or "",
        "arrow": ARROWS[better],
        "numeric": any(number(row.get(name)) is not None for row in rows),
        "long": max((len(str(row.get(name) or "")) for row in rows), default=0) > LONG,
        "first": first,
        "group": group_of(name),
        "real": "" if real is None else str(real),
    }


def _cells(rows: Sequence[Mapping[str, Any]], name: str, about: Description) -> list[dict[str, Any]]:
    """A column's cells, row by row."""
    best = marked_rows(rows, name, about["better"])
    first = leading_rows(rows, name, about["better"])
    scale = axis(rows, name, about["scale"])
    real = next((row for row in rows if row.get("model") == "real"), {})
    return [
        _cell(row, name)
        | {
            "best": index in best,
            "alike": index not in best and index in first,
            "bar": bar(row, name, scale, real),
        }
        for index, row in enumerate(rows)
    ]


def _cell(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = row.get(name)
    low, high = (readable(bound, 3) for bound in interval(row, name))
    as_printed = name.startswith(PAPER)  # as the paper prints it
    text = ("" if value is None else str(value)) if as_printed else readable(value)
    if isinstance(value, float) and abs(value) >= THOUSANDS:
        text = f"{value:,.0f}"
    return {
        "text": text,
        "interval": f"[{low}, {high}]" if text and low and high else "",
        "sort": "" if value is None else str(value),
    }


def bar(row: Mapping[str, Any], name: str, scale: Axis | None, real: Mapping[str, Any]) -> dict[str, float] | None:
    """A cell's interval as a bar: where it begins, its width, where its value is, and where that of `real` is."""
    value, (low, high), goal = number(row.get(name)), interval(row, name), number(real.get(name))
    if scale is None or value is None or low is None or high is None:
        return None
    start, end = scale.place(low), scale.place(high)
    drawn = {"start": start, "width": round(end - start, 1), "value": scale.place(value)}
    return drawn | ({} if goal is None else {"real": scale.place(goal)})
