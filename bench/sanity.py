"""Which metrics can be trusted with what? The sanity checks of Räisä et al. 2025 (arXiv:2505.22450) on our columns.

`python -m bench.sanity --to FILE.csv --page FILE.md`. Toy distributions are compared whose relation is known, by the
code that fills the tables. The shapes, bounds and tolerances are the paper's; the points of each sweep are fewer.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.sanity_checks import CHECKS, COPYING, KINDS, SAME_AS_REAL, Check, Sets, gaussian
from bench.sanity_page import page
from pipeline import metrics
from pipeline.core import artifacts
from pipeline.metrics.comparison import Comparison
from pipeline.runtime.job_context import commit
from pipeline.runtime.machine import cpu_model
from pipeline.tables.rows import Row
from pipeline.tables.text import to_csv
from pipeline.workflow import job_hash

MODULES = ("mmd", "frechet", "kid", "neighbours", "naive_bayes", "prdc", "copying", "authenticity", "fld", "diversity")
MODULES_OF_COPYING = ("neighbours", "copying", "authenticity", "fld")
OF_ONE_DRAW = "fld"
"""The metric that takes as long as all others together."""
ERRORS = ("c2st_1nn_error", "knn_error", "naive_bayes_error")
SQUARED = ("mmd_rbf", "fd_classifier", "fd_classifier_infinite", "kid_classifier")
DISTANCES = (*SQUARED, "fld")
LADDER = (0.0, 0.1, 0.25, 0.5, 1.0)
LADDER_COLUMNS = {"copying": 1, "knn_train_error": 1, "authenticity": -1, "fld_gap": -1, "fld": 1}
"""Column -> whether copies raise or lower it."""
SEEN_AS_A_COPY = {"copying": 0.1, "knn_train_error": 0.1, "authenticity": -0.1, "fld_gap": -10.0}
"""Column -> how far from the row `real` it accuses a generator of copying."""

Values = dict[str, float]


def measured(sets: Sets, repeat: int, modules: Sequence[str] = MODULES) -> Values:
    """Column -> value of real, generated and training points (n, d), both the pixels and the features of images."""
    points = [torch.from_numpy(each.astype(np.float32)) for each in sets]
    real, fake, train = ({"pixels": each, "classifier": each} for each in points)
    comparison = Comparison(real=real, fake=fake, train=train, memory=points[2], memory_features=points[2], groups=4)
    return {
        column: estimate.value
        for name in modules
        if name != OF_ONE_DRAW or not repeat
        for column, estimate in metrics.load(name).measure(comparison).items()
        if column in KINDS
    }


def sweep(check: Check, repeats: int, seed: int = 0) -> list[Row]:
    """Rows of a check: each column's mean over the repeats at every point of every variant, and the same of `real`.

    All points of a sweep have the same random numbers: what differs is what the check is about.
    """
    rows: list[Row] = []
    known: dict[bytes, Values] = {}
    for number, (variant, draw) in enumerate(check.draws.items()):
        for x in check.xs:
            found, reference = [], []
            for repeat in range(repeats):
                rng = np.random.default_rng([seed, number, repeat])
                real, fake, train = draw(x, rng)
                found.append(measured((real, fake, train), repeat))
                key = real.tobytes() + train.tobytes()
                if key not in known:
                    known[key] = measured((real, draw(x, rng)[0], train), repeat, MODULES_OF_COPYING)
                reference.append(known[key])
            for column in found[0]:
                real_value = mean_of(reference, column) if KINDS[column] == COPYING else None
                row: Row = {"check": check.title, "variant": variant, "x": x, "column": column}
                rows.append({**row, "value": mean_of(found, column), "real": real_value})
    return rows


def mean_of(found: Sequence[Values], column: str) -> float:
    """Of the values that there are."""
    return float(np.mean([values[column] for values in found if column in values]))


def scores(column: str, rows: Sequence[Row]) -> list[float]:
    """A column's values along a sweep, as the checks read them: 1 as good as real, 0 nothing in common.

    An error rate of 0.5 is 1. A distance (the root of a squared one) has no worst value: it is taken relative to the
    largest one of the sweep.
    """
    values = [float(row["value"] or 0) for row in rows]
    if column in SQUARED:
        values = [max(value, 0.0) ** 0.5 for value in values]
    if column in ERRORS:
        return [2 * value for value in values]
    if column in DISTANCES:
        largest = max(map(abs, values)) or 1.0
        return [1 - value / largest for value in values]
    return values


def accuses(column: str, row: Row) -> bool:
    """Whether a column of copying takes samples for copies: it lies beyond the row `real`."""
    excess, limit = float(row["value"] or 0) - float(row["real"] or 0), SEEN_AS_A_COPY[column]
    return excess > limit if limit > 0 else excess < limit


def verdicts(check: Check, rows: Sequence[Row]) -> list[Row]:
    """Rows `check`, `desideratum`, `column`, `passed` of one check; what is not defined for a column has no row."""
    found: list[Row] = []
    for column, kind in KINDS.items():
        by_variant = [
            [row for row in rows if (row["variant"], row["column"]) == (variant, column)] for variant in check.draws
        ]
        if not all(by_variant):
            continue
        cell: Row = {"check": check.title, "column": column}
        if kind == COPYING:
            innocent = not any(accuses(column, row) for variant in by_variant for row in variant)
            found.append({**cell, "desideratum": "no false alarm", "passed": innocent})
            continue
        lines = [scores(column, variant) for variant in by_variant]
        shapes, targets = check.shapes.get(kind, ()), check.targets_of(kind)
        if column in DISTANCES:  # a worst value by construction is no bound
            targets = [[(x, target) for x, target in option if target == SAME_AS_REAL] for option in targets]
        if shapes:
            right = any(all(shape(check.xs, line) for line in lines) for shape in shapes)
            found.append({**cell, "desideratum": check.shape_is, "passed": right})
        if any(targets):
            right = any(all(check.holds(option, line) for line in lines) for option in targets if option)
            found.append({**cell, "desideratum": check.values_are, "passed": right})
    return found


def ladder(repeats: int, n: int = 1000, d: int = 16) -> list[Row]:
    """Rows of the copy ladder: what every column says of samples of which a share are training points."""
    rows: list[Row] = []
    for share in LADDER:
        found = []
        for repeat in range(repeats):
            rng = np.random.default_rng(repeat)
            real, fake, train = (gaussian(n, d, rng) for _ in range(3))
            copies = round(share * n)
            fake[:copies] = train[rng.permutation(n)[:copies]]
            found.append(measured((real, fake, train), repeat))
        rows.append({"share": share, **{column: mean_of(found, column) for column in found[0]}})
    return rows


def is_monotone(column: str, rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether more copies always move a column the way that copies should."""
    values: NDArray[np.float64] = np.array([row[column] for row in rows], dtype=float)
    return bool(np.all(np.diff(values) * LADDER_COLUMNS[column] > 0))


def made_by(begun: str | None) -> str:
    """What decides the numbers: the commit that the command was started at, the libraries, the CPU."""
    versions = job_hash.library_versions(job_hash.code_closure(tuple(f"pipeline.metrics.{name}" for name in MODULES)))
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"One run of the command at commit {begun or 'unknown'}, with {libraries}, on {cpu_model()}."


def main(words: list[str] | None = None) -> None:
    """Run every check, write all values and the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.sanity", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE.csv", help="every value")
    parser.add_argument("--page", type=Path, required=True, metavar="FILE.md", help="pass or fail, in words")
    parser.add_argument("--repeats", type=int, default=3, help="draws that each value is the mean of (default: 3)")
    parser.add_argument("--only", nargs="+", metavar="TITLE", help="checks whose title begins so")
    asked = parser.parse_args(words)
    begun = commit()
    values: list[Row] = []
    judged: list[Row] = []
    for check in CHECKS:
        if asked.only and not check.title.startswith(tuple(asked.only)):
            continue
        rows = sweep(check, asked.repeats)
        values += rows
        found = verdicts(check, rows)
        judged += found
        failed = [f"{row['column']} ({row['desideratum']})" for row in found if not row["passed"]]
        print(f"{check.title}: failed by {', '.join(failed) or 'none'}", flush=True)
    steps = ladder(asked.repeats)
    monotone = {column: is_monotone(column, steps) for column in LADDER_COLUMNS}
    artifacts.write_text(asked.to, to_csv(values, ("check", "variant", "x", "column", "value", "real")))
    artifacts.write_text(asked.page, page(judged, steps, monotone, asked.repeats, made_by(begun)))


if __name__ == "__main__":
    main()
