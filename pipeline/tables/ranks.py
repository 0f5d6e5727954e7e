"""Ranks of models with 95 % confidence sets, from pairwise comparisons.

Mogstad, Romano, Shaikh and Wilhelm, 'Inference for Ranks with Applications to Mobility across Neighbourhoods and
Academic Achievement across Countries', Review of Economic Studies 91(1), 2024: of K models, the rank of one lies
between 1 + (those that are better by a test) and K - (those that are worse by a test). The tests of all pairs are
corrected together (Holm), so all sets of a column hold their models' true ranks at once in 95 % of all cases.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from pipeline.tables.claims import LEVEL, Evidence, classifiers_disagree, holm
from pipeline.tables.columns import Description, headline_columns
from pipeline.tables.comparison import interval
from pipeline.tables.rows import Row
from pipeline.tables.text import competing, losses_of

Table = Sequence[Mapping[str, Any]]
ENDS = ("", "_low", "_high")


class Rank(NamedTuple):
    """A model's rank, 1 being the best, and the least and the largest that the tests leave open."""

    value: int
    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True)
class Position:
    """A model's loss on the scale of the test; `freedom` is infinite where images are the only replicates."""

    model: str
    loss: float
    upward: float
    """Standard error that the upper side of the loss's interval stands for; of a symmetric one it is `downward` too."""
    downward: float
    freedom: float


def with_ranks(rows: Sequence[Row], evidence: Evidence) -> list[Row]:
    """The rows of a main table with the columns `rank_<metric>` of the headline metrics."""
    found: dict[str, Row] = {}
    for column in (name for name in headline_columns(evidence.metrics, rows) if name in evidence.metrics):
        for model, rank in ranks(rows, column, evidence).items():
            names = (f"rank_{column}{end}" for end in ENDS)
            found.setdefault(model, {}).update(zip(names, rank, strict=True))
    return [row | found.get(str(row["model"]), {}) for row in rows]


def rank_of(row: Mapping[str, Any], metric: str) -> Rank | None:
    """A row's rank by a metric as `with_ranks` has put it into the table; None where there is none."""
    cells = [row.get(f"rank_{metric}{end}") for end in ENDS]
    return None if None in cells else Rank(*(int(cell) for cell in cells if cell is not None))


def ranks(rows: Table, column: str, evidence: Evidence) -> dict[str, Rank]:
    """Rank of each model that competes in a column and has an interval there, the best first.

    Two models that the reference classifiers order differently count as not told apart.
    """
    models = positions(rows, column, evidence.metrics[column])
    pairs = list(combinations(models, 2))
    decided = [
        (better, worse)
        for (better, worse), p in zip(pairs, holm([p_value(*pair) for pair in pairs]), strict=True)
        if p <= LEVEL and not classifiers_disagree({"measure": column}, evidence, (better.model, worse.model))
    ]
    ahead, behind = (Counter(pair[side] for pair in decided) for side in (1, 0))
    return {
        model.model: Rank(1 + sum(x.loss < model.loss for x in models), 1 + ahead[model], len(models) - behind[model])
        for model in models
    }


def positions(rows: Table, column: str, description: Description) -> list[Position]:
    """Loss (see `losses_of`) of each model, the least first: distances by their logarithm, on which they are tested."""
    from scipy.special import stdtrit

    better, real = description["better"], next((row.get(column) for row in rows if row["model"] == "real"), None)
    losses = losses_of(rows, column, better)
    kept = {i: loss for i, loss in losses.items() if competing(rows[i], column) is not None}
    log = description["scale"] == "log" and better == "lower" and min(kept.values(), default=0) > 0
    found = []
    for index, loss in kept.items():
        low, high = interval(rows[index], column)
        if low is None or high is None or (log and low <= 0):
            continue
        freedom = int(rows[index].get("seeds") or 1) - 1 or math.inf
        quantile = float(stdtrit(freedom, 1 - LEVEL / 2))
        if log:  # symmetric about the mean of the logarithms
            upward = downward = math.log(high / low) / 2
        else:
            least, most = loss_bounds(low, high, better, real)
            upward, downward = max(0.0, most - loss), max(0.0, loss - least)
        model, on_scale = str(rows[index]["model"]), math.log(loss) if log else loss
        found.append(Position(model, on_scale, upward / quantile, downward / quantile, freedom))
    return sorted(found, key=lambda model: model.loss)


def loss_bounds(low: float, high: float, better: str | None, real: float | None) -> tuple[float, float]:
    """The least and the largest loss of the values within an interval."""
    if better in ("lower", "higher") or real is None:
        return (low, high) if better == "lower" else (-high, -low)
    ends = sorted((abs(low - real), abs(high - real)))
    return 0.0 if low <= real <= high else ends[0], ends[1]


def p_value(first: Position, second: Position) -> float:
    """Two-sided p of equal losses, of which the first is the lower one: Welch's t over seeds, else the normal one.

    Of each interval the side towards the other model counts (Zou and Donner 2008, Statistics in Medicine 27): those
    of shares near 0 or 1 are not symmetric.
    """
    from scipy.special import stdtr

    gap, parts = second.loss - first.loss, [first.upward**2, second.downward**2]
    if not gap or not sum(parts):
        return 0.0 if gap else 1.0
    spread = sum(part**2 / model.freedom for part, model in zip(parts, (first, second), strict=True))
    freedom = sum(parts) ** 2 / spread if spread else math.inf
    return 2 * float(stdtr(freedom, -gap / math.sqrt(sum(parts))))
