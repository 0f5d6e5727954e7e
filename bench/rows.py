"""Rows of the benchmark: one per comparison, as CSV and as an aligned table."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pipeline.core import artifacts

NO_PEER = ""


@dataclass
class Row:
    """One comparison; empty cells where there is nothing to compare with, or nothing was measured."""

    kind: str
    """train, sample, metrics, prepare, pipeline, limit or stages."""
    what: str
    setting: str
    unit: str
    """Of `ours` and `peer_value`: `images/s` (more is better) or `s` (less is better), among others."""
    ours: float | None = None
    """Median over the rounds."""
    peer: str = NO_PEER
    """Name and version."""
    peer_value: float | None = None
    ratio: float | None = None
    """How many times better ours is, above 1 meaning ours: the median over the rounds of each round's own ratio."""
    ratio_low: float | None = None
    ratio_high: float | None = None
    rounds: int | None = None
    agreement: str = ""
    """Of the values, where both compute the same quantity."""
    memory_mb: float | None = None
    """Peak above what the process held before."""
    peer_memory_mb: float | None = None
    mflop_per_image: float | None = None
    """Of matrix products and convolutions in one training step of ours, per image."""
    of_float32: float | None = None
    """Share of the measured float32 matrix-product rate that ours reaches."""
    of_tf32: float | None = None
    note: str = ""
    machine: str = ""


COLUMNS = tuple(field.name for field in fields(Row))
SHOWN = tuple(name for name in COLUMNS if name not in ("machine", "rounds"))
"""Columns of the table for the terminal; the machine stands above it."""


def compared(row: Row, ours: Sequence[float], peer: str, peers: Sequence[float]) -> Row:
    """The row with both sides' values, one per round; a unit that ends in /s is a rate, else less is better."""
    row.ours, row.peer, row.peer_value = statistics.median(ours), peer, statistics.median(peers)
    pairs = list(zip(ours, peers, strict=True))
    ratios = [a / b if row.unit.endswith("/s") else b / a for a, b in pairs]
    row.ratio, row.ratio_low, row.ratio_high = statistics.median(ratios), min(ratios), max(ratios)
    row.rounds = len(pairs)
    return row


def alone(row: Row, ours: Sequence[float]) -> Row:
    """The row of something that has no peer."""
    row.ours, row.rounds = statistics.median(ours), len(ours)
    return row


def text_of(rows: Iterable[Row]) -> str:
    """As CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_plain(getattr(row, name)) for name in COLUMNS] for row in rows)
    return text.getvalue()


def write(path: Path, rows: Iterable[Row]) -> None:
    """As a CSV file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    artifacts.write_text(path, text_of(rows))


def _plain(value: float | int | str | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def table(rows: Sequence[Row]) -> str:
    """For the terminal: columns that hold anything at all, numbers to the right."""
    names = [name for name in SHOWN if any(getattr(row, name) not in (None, "") for row in rows)]
    lines = [names, *([_shown(getattr(row, name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    right = [any(isinstance(getattr(row, name), float | int) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _shown(value: float | int | str | None) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)
