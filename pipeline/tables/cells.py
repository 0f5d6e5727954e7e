"""A table as cells for a page: text, interval, what to sort by, and whether it is the best; no markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tables.columns import REFERENCES, SHORT_LABELS, Description, describe, main_columns
from pipeline.tables.comparison import interval, number, values
from pipeline.tables.text import best_rows, readable

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
    """`columns` with their descriptions and the rows' cells; `few`, which are shown at first, come first.

    Each row has `cells`, and `reference` where no model made it: such rows come last and compete with none.
    """
    known = describe(metrics)
    first = list(columns if few is None else few)
    columns = [*(name for name in first if name in columns), *(name for name in columns if name not in first)]
    best = {name: best_rows(rows, name, known[name]["better"]) for name in columns}
    return {
        "columns": [_column(name, known[name], rows, name in first) for name in columns],
        "rows": [
            {
                "reference": row.get(columns[0]) in REFERENCES,
                "cells": [_cell(row, name, index in best[name]) for name in columns],
            }
            for index, row in enumerate(rows)
        ],
    }


def described(about: Description) -> str:
    """What a column says, in what unit, and which way is better."""
    unit = f"Unit: {about['unit']}." if about["unit"] else ""
    return " ".join(filter(None, [str(about["meaning"]), unit, BETTER[about["better"]]]))


def _column(name: str, about: Description, rows: Sequence[Mapping[str, Any]], first: bool) -> dict[str, Any]:
    better = about["better"]
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
    }


def _cell(row: Mapping[str, Any], name: str, best: bool) -> dict[str, Any]:
    value = row.get(name)
    low, high = (readable(bound, 3) for bound in interval(row, name))
    printed = name.startswith(PAPER)  # as the paper prints it
    text = ("" if value is None else str(value)) if printed else readable(value)
    if isinstance(value, float) and abs(value) >= THOUSANDS:
        text = f"{value:,.0f}"
    return {
        "text": text,
        "interval": f"[{low}, {high}]" if text and low and high else "",
        "sort": "" if value is None else str(value),
        "best": best,
    }
