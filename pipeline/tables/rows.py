"""Rows of the main table, of the single runs' and of the costs'. Values only: no file, no text, no clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.core.references import REFERENCES
from pipeline.tables.columns import COST_COLUMNS, NETWORK_COLUMNS, Description

Value = str | int | float | None
Row = dict[str, Value]

WORST_FIRST = ("diverged", "collapsed", "unconditional in effect", "poor", "ok")
COLLAPSED_BELOW = {"classes_covered": 0.8, "diversity": 0.5}
"""Parts of the row `real` below which samples have collapsed."""
POOR_BELOW = {"coverage": 0.25}
"""Parts of the row `real` below which they are poor; a blurry VAE on MNIST has 0.3."""


class Interval(Protocol):
    """An estimate with its 95 % interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def kind(self) -> str: ...


Combine = Callable[[Sequence[Any], Any], Interval]
"""(estimates of the seeds, the column's scale) -> their mean with its interval over seeds."""


@dataclass(frozen=True)
class Estimate:
    """One number with its 95 % interval, nan where it has none, and how that was made."""

    value: float
    low: float
    high: float
    kind: str


@dataclass(frozen=True)
class Run:
    """What was measured of one model and seed; `estimates` maps a column to its value, low, high (or None) and kind."""

    seed: int
    estimates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    n_real: int | None = None
    n_fake: int | None = None
    parameters: int | None = None
    status: str | None = "ok"


def main_table(
    results: Mapping[str, Sequence[Run]],
    metrics: Mapping[str, Description],
    *,
    combine: Combine,
    references: Mapping[str, Sequence[Run]] | None = None,
    published: Mapping[str, Mapping[str, Value]] | None = None,
) -> list[Row]:
    """Rows of `main_columns(metrics)`: the models in the order given, then the references that there are.

    A metric that a seed lacks (its training diverged) is the mean over the others; one that all lack is None.
    `published` holds each model's paper_* columns. Raises ValueError for a model without a run.
    """
    known = references or {}
    ordered = {**results, **{name: known[name] for name in REFERENCES if name in known}}
    rows = [_main_row(model, runs, metrics, combine) for model, runs in ordered.items()]
    real = next((row for row in rows if row["model"] == "real"), {})
    return [row | {"status": status_of(row, real)} | dict((published or {}).get(str(row["model"]), {})) for row in rows]


def status_of(row: Mapping[str, Value], real: Mapping[str, Value]) -> str | None:
    """The worst of the trainings' status and of what the samples show next to real images; None for a reference."""
    if row["status"] is None:
        return None
    seen = {str(row["status"])}
    for status, limits in (("collapsed", COLLAPSED_BELOW), ("poor", POOR_BELOW)):
        for column, part in limits.items():
            value, goal = row.get(column), real.get(column)
            if value is not None and goal is not None and float(value) < part * float(goal):
                seen.add(status)
    return worst_status(seen)


def _main_row(model: str, runs: Sequence[Run], metrics: Mapping[str, Description], combine: Combine) -> Row:
    if not runs:
        raise ValueError(f"{model} has no run: its row would be empty")
    row: Row = {"model": model, "seeds": len(runs)}
    row |= {name: _smallest(getattr(run, name) for run in runs) for name in ("n_real", "n_fake")}
    kinds: dict[str, None] = {}
    for column, description in metrics.items():
        found = [_estimate(run.estimates[column]) for run in runs if column in run.estimates]
        if found:
            combined = combine(found, description["scale"])
            row |= {column: combined.value, f"{column}_low": combined.low, f"{column}_high": combined.high}
            kinds[combined.kind] = None
    row["interval_kind"] = "; ".join(kinds) or None
    row["parameters"] = _smallest(run.parameters for run in runs)
    row["status"] = worst_status(run.status for run in runs)
    return row


def _estimate(entry: Mapping[str, Any]) -> Estimate:
    low, high = (math.nan if entry.get(side) is None else float(entry[side]) for side in ("low", "high"))
    return Estimate(float(entry["value"]), low, high, str(entry["kind"]))


def _smallest(values: Any) -> int | None:
    return min((value for value in values if value is not None), default=None)


def worst_status(statuses: Any) -> str | None:
    """The first of WORST_FIRST that is there; None for what has no status (a reference)."""
    there = set(statuses)
    return next((status for status in WORST_FIRST if status in there), None)


def seeds_table(results: Mapping[str, Sequence[Run]], metrics: Mapping[str, Description]) -> list[Row]:
    """Rows of `seeds_columns(metrics)`, one per model and seed."""
    rows: list[Row] = []
    for model, runs in results.items():
        for run in sorted(runs, key=lambda run: run.seed):
            measured = {name: run.estimates[name] for name in metrics if name in run.estimates}
            values = {name: entry["value"] for name, entry in measured.items()}
            each = {f"{name}_each": parted(entry["each"]) for name, entry in measured.items() if "each" in entry}
            rows.append({"model": model, "seed": run.seed, **values, **each})
    return rows


def parted(values: Sequence[float]) -> str:
    """One cell of several numbers, each to 6 significant digits."""
    return " ".join(f"{value:.6g}" for value in values)


def cost_table(costs: Mapping[tuple[str, int], Mapping[str, Value]]) -> list[Row]:
    """Rows of COST_COLUMNS by (model, seed), in the order given; what was not measured is None."""
    rows: list[Row] = []
    for (model, seed), cost in costs.items():
        rows.append({"model": model, "seed": seed, **{name: cost.get(name) for name in COST_COLUMNS[2:]}})
    return rows


def network_table(
    sizes: Mapping[str, Mapping[str, int]], costs: Mapping[tuple[str, int], Mapping[str, Value]]
) -> list[Row]:
    """Rows of NETWORK_COLUMNS (Ponnuru Table 1): each model's parameters by network, and the means of what its seeds
    cost.

    A network that a model does not have, and what was not measured, is None.
    """
    rows: list[Row] = []
    for model, counts in sizes.items():
        networks: Row = {f"parameters_{name}": count for name, count in counts.items() if name != "total"}
        row: Row = {"model": model, **networks, "parameters": counts["total"]}
        own = [cost for (name, _), cost in costs.items() if name == model]
        row["seeds"] = len(own)
        for column in NETWORK_COLUMNS[NETWORK_COLUMNS.index("seeds") + 1 :]:
            values = [float(value) for cost in own if (value := cost.get(column)) is not None]
            row[column] = sum(values) / len(values) if values else None
        rows.append({name: row.get(name) for name in NETWORK_COLUMNS})
    return rows
