"""Every judge on every contestant: Table 1 of Im et al. 2016 in full, with the contestants that have no judge (Im et
al. 2016 Table 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.battles.ratios import Cells, seed_effects, student_quantile, variance_of_mean, welch_freedom
from pipeline.battles.scores import Contestant, JudgeScores, Logits, beats_chance, errors_on_generated, errors_on_real
from pipeline.battles.verdicts import Row

REAL_TEST = "real_test"
REAL_TRAIN = "real_train"
MATRIX_COLUMNS = ("judge", "contestant", "seeds", "errors", "total", "error", "error_low", "error_high", "note")


def judge_matrix(judges: Sequence[JudgeScores], contestants: Sequence[str] | None = None) -> list[Row]:
    """Rows of MATRIX_COLUMNS: each judge's error rate on test and training images and on every contestant's samples.

    `contestants` picks and orders them (all by name otherwise). On its own model a judge meets the generator that it
    was trained with and no other seed's. `seeds` counts the pairs of seeds, errors are summed and the rate is the mean
    over them. A judge that does not beat chance keeps its rows and is named in `note`.
    """
    names = contestants if contestants is not None else sorted({name for judge in judges for name, _ in judge.samples})
    rows = []
    for model in dict.fromkeys(judge.model for judge in judges):
        seats = sorted((judge for judge in judges if judge.model == model), key=lambda judge: judge.seed)
        note = _note(seats)
        real = {REAL_TEST: [judge.test for judge in seats], REAL_TRAIN: [judge.train for judge in seats]}
        for name, logits in real.items():
            rows.append(_matrix_row(model, name, _real_cells(logits), note))
        rows += [_matrix_row(model, name, _sample_cells(seats, name), note) for name in names]
    return [row for row in rows if row["total"]]


def judged_by_seed(judges: Sequence[JudgeScores], contestants: Sequence[str]) -> list[Row]:
    """One row for every pair: `judge`, `judge_seed`, `is_eligible`, `contestant`, `contestant_seed`, `errors`, `total`.

    `is_eligible` is 0 for a judge that does not beat chance. Real images have no `contestant_seed`. On its own model a
    judge meets its own generator alone.
    """
    rows: list[Row] = []
    for judge in judges:
        head: Row = {"judge": judge.model, "judge_seed": judge.seed, "is_eligible": int(beats_chance(judge)[0])}
        for name, logits in ((REAL_TEST, judge.test), (REAL_TRAIN, judge.train)):
            if len(logits):
                rows.append({**head, "contestant": name, "errors": errors_on_real(logits), "total": len(logits)})
        for (name, seed), logits in sorted(judge.samples.items(), key=lambda item: _place(item[0], contestants)):
            if len(logits) and name in contestants and (name != judge.model or seed == judge.seed):
                counts: Row = {"errors": errors_on_generated(logits), "total": len(logits)}
                rows.append({**head, "contestant": name, "contestant_seed": seed, **counts})
    return rows


def _place(contestant: Contestant, order: Sequence[str]) -> tuple[int, int]:
    name, seed = contestant
    return (order.index(name) if name in order else len(order), seed)


def _note(seats: Sequence[JudgeScores]) -> str | None:
    trials = ((judge, *beats_chance(judge)) for judge in seats)
    failed = [f"seed {judge.seed} does not beat chance ({reason})" for judge, beats, reason in trials if not beats]
    return "; ".join(failed) or None


def _real_cells(logits: Iterable[Logits]) -> Cells:
    """Errors of each seed on the same real images, (J, 1)."""
    counts = [(errors_on_real(values), len(values) or np.nan) for values in logits]
    columns = np.array(counts, dtype=float).T
    return Cells(columns[0][:, None], columns[1][:, None])


def _sample_cells(seats: Sequence[JudgeScores], contestant: str) -> Cells:
    """Errors of each judge seed on each seed of a contestant, (J, G); a judge's own model by its own seed only."""
    own = seats[0].model == contestant
    seeds = sorted({seed for judge in seats for name, seed in judge.samples if name == contestant})
    columns = [0] if own else seeds
    cells = np.full((2, len(seats), max(len(columns), 1)), np.nan)
    for j, judge in enumerate(seats):
        for g, seed in enumerate(columns):
            key: Contestant = (contestant, judge.seed if own else seed)
            logits = judge.samples.get(key)
            if logits is not None and len(logits):
                cells[:, j, g] = errors_on_generated(logits), len(logits)
    return Cells(cells[0], cells[1])


def _matrix_row(judge: str, contestant: str, cells: Cells, note: str | None) -> Row:
    pairs = int(np.isfinite(cells.totals).sum())
    total = cells.total
    row: Row = {"judge": judge, "contestant": contestant, "seeds": pairs, "errors": cells.count, "total": total}
    if total:
        low, high = rate_interval(cells)
        row |= {"error": cells.count / total, "error_low": low, "error_high": high}
    return row | {"note": note}


def wilson_interval(count: float, total: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval of a rate; it holds count / total and stays within [0, 1]."""
    p, spread = count / total, quantile**2 / total
    centre = (p + spread / 2) / (1 + spread)
    reach = quantile * math.sqrt(p * (1 - p) / total + spread / (4 * total)) / (1 + spread)
    return max(min(centre - reach, p), 0.0), min(max(centre + reach, p), 1.0)


def rate_interval(cells: Cells) -> tuple[float, float]:
    """95 % interval of the pooled rate of cells (J, G): over seeds of both sides, over images where there is one seed.

    Wilson's interval at the number of images that has the variance found over the seeds: on few seeds, Student's t.
    """
    images = cells.total / max(cells.judges, 1)  # judges share a contestant's images
    p = (cells.count + 0.5) / (cells.total + 1)
    rates = cells.counts / cells.totals
    parts = [variance_of_mean(seed_effects(rates, p)), variance_of_mean(seed_effects(rates.T, p))]
    variance = sum(part for part, _ in parts) * p**2
    effective = min(images, p * (1 - p) / variance) if variance > 0 else images
    quantile = student_quantile(0.975, welch_freedom(parts, variance / p**2))
    return wilson_interval(cells.count / cells.total * effective, effective, quantile)
