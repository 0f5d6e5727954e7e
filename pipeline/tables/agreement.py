"""Whether the judges' ratings order models as the Frechet distance does, and as ratings by other judges do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tables.columns import Description
from pipeline.tables.text import competing, readable

METRIC = "fd_classifier"
FEWEST = 3
"""Models of which a correlation of ranks says anything."""

Table = Sequence[Mapping[str, Any]]


def spearman(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[float | None, int]:
    """Spearman's correlation of two scores over the names that both have, and their number.

    None for fewer than FEWEST names, or where one side does not vary.
    """
    import numpy as np
    from scipy.stats import rankdata

    names = sorted(first.keys() & second.keys())
    ranked = [rankdata([scores[name] for name in names]) for scores in (first, second)]
    if len(names) < FEWEST or not all(np.ptp(ranks) for ranks in ranked):
        return None, len(names)
    return float(np.corrcoef(ranked)[0, 1]), len(names)


def agreement(rows: Table, standings: Table, metrics: Mapping[str, Description]) -> str:
    """One sentence: Spearman's correlation of ratings with the distance, by all judges and by two halves of them.

    Empty where nothing is known. Models that failed are left out; a lower distance is the better one.
    """
    distances = {str(row["model"]): -value for row in rows if (value := competing(row, METRIC)) is not None}
    ratings = [
        {str(row["model"]): float(row[name]) for row in standings if row.get(name) is not None}
        for name in ("rating", "rating_half_1", "rating_half_2")
    ]
    pairs = [*((rating, distances) for rating in ratings), (ratings[1], ratings[2])]
    (whole, models), *others = (spearman(*pair) for pair in pairs)
    if whole is None:
        return ""
    label = metrics[METRIC]["label"]
    words = f"Spearman's correlation of the rating with the {label} (the better, the higher): {readable(whole, 2)}"
    if None not in (values := [value for value, _ in others]):
        first, second, between = (readable(value, 2) for value in values)
        words += f"; by two halves of the judges {first} and {second}; of the two halves with each other {between}"
    return f"{words} ({models} models)."
