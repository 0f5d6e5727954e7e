"""`python -m bench.quality FULL SHORTER`: are trainings of another recipe as good as those of a finished table?

FULL and SHORTER are folders of two finished comparisons of one data set: `results/tables`, or one of results/published.
Models are compared by name; each has the same name in both folders, with another recipe (an overlay of params.yaml).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core import artifacts
from pipeline.tables.folder import TableFolder
from pipeline.tables.rows import Row

LEVEL = 0.95
HIGHEST_RATIO = 1.10
"""The upper bound of the ratio of Frechet distances must not exceed this."""
LARGEST_LOSS = {"coverage": 0.02, "elbo": 0.5}
"""By how much the mean of a column may be lower: a share, and nats."""


@dataclass(frozen=True)
class Quality:
    """One model: the shorter trainings against the full ones; None where a value is missing."""

    model: str
    seeds: int
    cpu_seconds_full: float
    cpu_seconds: float
    fd_full: float
    fd: float
    fd_ratio: float
    """Of geometric means over seeds."""
    fd_ratio_upper: float | None
    """One-sided 95 % bound by Welch's t on the logarithms."""
    coverage_change: float | None
    elbo_change: float | None
    verdict: str


def qualities(full: TableFolder, shorter: TableFolder) -> list[Quality]:
    """One row for each model whose trainings both folders have, in the order of the shorter one.

    Raises:
        ValueError: a table is missing or is another one, or the folders have no model in common.
    """
    before, after = _by_model(full.by_seed()), _by_model(shorter.by_seed())
    spent = [_by_model(folder.rows("cost")) for folder in (full, shorter)]
    models = [model for model in after if model in before and model in spent[1]]
    if not models:
        raise ValueError(f"{shorter.path}: no model of {full.path} is in its table; expected at least one")
    return [_quality(model, before[model], after[model], *(side.get(model, []) for side in spent)) for model in models]


def _quality(model: str, full: list[Row], shorter: list[Row], *spent: list[Row]) -> Quality:
    logs = [np.log(_values(rows, "fd_classifier")) for rows in (full, shorter)]
    fd_full, fd = (float(np.exp(values.mean())) for values in logs)
    upper = upper_ratio(*logs)
    changes = {name: _change(full, shorter, name) for name in LARGEST_LOSS}
    return Quality(
        model=model,
        seeds=min(len(full), len(shorter)),
        cpu_seconds_full=_mean(spent[0], "train_cpu_seconds"),
        cpu_seconds=_mean(spent[1], "train_cpu_seconds"),
        fd_full=fd_full,
        fd=fd,
        fd_ratio=fd / fd_full,
        fd_ratio_upper=upper,
        coverage_change=changes["coverage"],
        elbo_change=changes["elbo"],
        verdict=verdict_of(upper, changes),
    )


def upper_ratio(full: np.ndarray, shorter: np.ndarray) -> float | None:
    """One-sided bound of exp(mean(shorter) - mean(full)), Welch's t (1947); None with fewer than two values a side."""
    if min(len(full), len(shorter)) < 2:
        return None
    from scipy.stats import ttest_ind  # slow to import

    test = ttest_ind(shorter, full, equal_var=False, alternative="less")
    return float(np.exp(test.confidence_interval(LEVEL).high))


def verdict_of(upper: float | None, changes: Mapping[str, float | None]) -> str:
    """'as good', or what is worse or open."""
    found = []
    if upper is None:
        found.append("distance open: expected two seeds or more")
    elif not upper <= HIGHEST_RATIO:  # nan if no seed differs from another
        found.append(f"distance: bound above {HIGHEST_RATIO:.2f}")
    for name, change in changes.items():
        if change is not None and change < -LARGEST_LOSS[name]:
            found.append(f"{name}: lower by more than {LARGEST_LOSS[name]:g}")
    return "; ".join(found) or "as good"


def _by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    models: dict[str, list[Row]] = {}
    for row in rows:
        models.setdefault(str(row["model"]), []).append(row)
    return models


def _values(rows: Sequence[Row], column: str) -> np.ndarray:
    return np.array([row[column] for row in rows if row.get(column) is not None], dtype=float)


def _mean(rows: Sequence[Row], column: str) -> float:
    values = _values(rows, column)
    return float(values.mean()) if len(values) else float("nan")


def _change(full: Sequence[Row], shorter: Sequence[Row], column: str) -> float | None:
    change = _mean(shorter, column) - _mean(full, column)
    return None if np.isnan(change) else change


def main(words: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 if a model of the shorter table is not as good."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("full", type=Path, help="the folder of the finished table")
    parser.add_argument("shorter", type=Path, help="the folder of the table with the other recipe")
    parser.add_argument("--dataset", default="mnist", help="default: mnist")
    parser.add_argument("--to", type=Path, metavar="FILE.csv", help="also write the table")
    asked = parser.parse_args(words)
    try:
        rows = qualities(TableFolder(asked.full, asked.dataset), TableFolder(asked.shorter, asked.dataset))
    except ValueError as error:
        sys.exit(f"bench: {error}")
    import pandas as pd  # type: ignore[import-untyped]  # slow to import

    table = pd.DataFrame(rows)
    print(table.to_string(index=False, na_rep="-", float_format="{:.4g}".format))
    if asked.to:
        artifacts.write_text(asked.to, table.to_csv(index=False, float_format="%.6g"))
    return int(any(row.verdict != "as good" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
