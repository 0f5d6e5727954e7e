"""What each row of a table was given: images seen in training, CPU seconds, and a note where rows differ widely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from pipeline.tables.columns import HEADLINE_COST
from pipeline.tables.rows import Row, Value
from pipeline.tables.sentence import listed
from pipeline.tables.text import readable

BUDGET_COLUMNS = ("model", "seeds", "images_seen", "train_cpu_seconds", "parameters")
FAR_APART = 5
"""A row that saw so many times the images of another is named in a note."""


def images_seen(cost: Mapping[str, Value], steps: int | None = None) -> int | None:
    """Images that one training was shown, from its speed and its time; exact if the number of steps is known.

    A table of costs without the column `images_seen` (up to version 0.2) and without steps gives three digits.
    """
    known = cost.get("images_seen")
    if known is not None:
        return round(float(known))
    speed, seconds = cost.get("train_images_per_second"), cost.get("train_seconds")
    if speed is None or seconds is None or steps == 0:
        return None
    images = float(speed) * float(seconds)
    return int(float(f"{images:.3g}")) if steps is None else steps * round(images / steps)


def budget_rows(costs: Sequence[Mapping[str, Value]], parameters: Mapping[str, Value] | None = None) -> list[Row]:
    """Rows of BUDGET_COLUMNS from a table of costs: means over the seeds of each model."""
    rows: list[Row] = []
    for model in dict.fromkeys(str(cost["model"]) for cost in costs):
        own = [cost for cost in costs if cost["model"] == model]
        row: Row = {"model": model, "seeds": len(own), "parameters": (parameters or {}).get(model)}
        row["images_seen"] = _mean([images_seen(cost) for cost in own])
        rows.append(row | {"train_cpu_seconds": _mean([cost.get("train_cpu_seconds") for cost in own])})
    return rows


def with_cost(rows: Sequence[Row], costs: Sequence[Mapping[str, Value]]) -> list[Row]:
    """Rows of a main table with the mean CPU seconds of each model's trainings, for readers."""
    spent = {row["model"]: row[HEADLINE_COST] for row in budget_rows(costs)}
    return [row | {HEADLINE_COST: spent.get(row["model"])} for row in rows]


def _mean(values: Sequence[Value]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return fmean(known) if known else None


def budget_note(rows: Sequence[Mapping[str, Value]]) -> str:
    """Images seen by every row in one line, and which rows saw FAR_APART times as many as which others."""
    seen = {str(row["model"]): float(images) for row in rows if (images := row.get("images_seen"))}
    if not seen:
        return ""
    pairs: dict[tuple[str, ...], list[str]] = {}
    for model, images in seen.items():
        behind = tuple(other for other, fewer in seen.items() if images >= FAR_APART * fewer)
        if behind:
            pairs.setdefault(behind, []).append(model)
    apart = [
        f"{listed(more)} saw at least {FAR_APART} times the images of {listed(less)}." for less, more in pairs.items()
    ]
    counts = ", ".join(f"{model} {readable(round(images))}" for model, images in seen.items())
    even = [f"No row saw {FAR_APART} times the images of another."] if len(seen) > 1 else []
    return " ".join([f"Images seen in training: {counts}.", *(apart or even)]) + "\n"
