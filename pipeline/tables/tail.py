"""Rare classes first: the few columns that speak of them, and how many images are behind each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tables.columns import Description
from pipeline.tables.text import to_markdown, to_terminal

GAINS = ("tail_accuracy_gain", "middle_accuracy_gain", "head_accuracy_gain")
TAIL_COLUMNS = (
    "model", "status", "coverage_tail", "class_accuracy_tail", "class_accuracy_tail_chance", *GAINS, "kid_tail",
    "sharpness_tail",
)  # fmt: skip


def heading(bands: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """What the numbers rest on, from the summary's `bands`, and what is not known."""
    small = ""
    if bands["rare_under_three"]:
        small = f"; {bands['rare_under_three']:,} of these classes have fewer than 3, so say nothing of single classes"
    return (
        f"{few(bands)} (an accuracy near 80 % is known to {100 * bands['tail_known_to']:.1f} points either way){small}."
        " Row real: the ceiling, the reference classifier's own."
        + (" A gain whose interval contains 0 may be none." if known(rows, *GAINS) else "")
        + ("" if known(rows, "coverage_tail") else " Coverage and KID of rare classes are empty: too few images.")
    )


def known(rows: Sequence[Mapping[str, Any]], *columns: str) -> bool:
    """Whether some row has a value of one of the columns."""
    return any(row.get(column) is not None for row in rows for column in columns)


def few(bands: Mapping[str, Any]) -> str:
    """How many classes are rare, and how many images they have."""
    tail = bands["tail"]
    classes = sum(bands[name]["classes"] for name in ("head", "middle", "tail"))
    images = f"{tail['train']:,} training and {tail['test']:,} test images"
    return f"Rare classes: {tail['classes']:,} of {classes:,}, {images}"


def tail_markdown(
    rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description], bands: Mapping[str, Any] | None
) -> str:
    """The heading and the columns of rare classes; nothing for balanced data."""
    return "" if bands is None else f"{heading(bands, rows)}\n\n{to_markdown(rows, metrics, TAIL_COLUMNS)}"


def tail_terminal(
    rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description], bands: Mapping[str, Any] | None
) -> list[str]:
    """The same as lines for a terminal."""
    if bands is None:
        return []
    parts = heading(bands, rows).replace("; ", ".\n").replace(". Row", ".\nRow")
    columns = [name for name in TAIL_COLUMNS if name not in GAINS]
    table = [to_terminal(rows, metrics, columns)] if known(rows, *columns[2:]) else []  # after `model` and `status`
    lines = [*parts.splitlines(), "", *table]
    if tried := [row for row in rows if known([row], *GAINS)]:  # next to the others there is no room for intervals
        lines.append(to_terminal(tried, metrics, ("model", *GAINS), intervals=GAINS))
    return lines
