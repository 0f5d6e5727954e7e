"""How far tables may lie from recorded ones where other CPUs or libraries round otherwise: rows in, verdicts out.

Other kernels sum in another order, and training carries that on. How far was measured: the smoke tables of one machine
with its own kernels, and again with those of a CPU without AVX-512. The largest differences, in half-widths of the
recorded 95 % intervals: 0.00 on pixels where nothing is trained, 0.04 for the likelihood models, 1.7 for adversarial
ones (GRAN's two networks chase each other, its loss is another after 60 steps), 2.2 where the features are trained too,
3.0 for judges, 0.4 for ratings. HALF_WIDTHS allows about three times that; so it sees a metric that computes something
else on another CPU, and it cannot see a small change of an adversarial model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.references import REFERENCES
from pipeline.tables import comparison
from pipeline.tables.comparison import ROW, Table, number
from pipeline.tables.rows import Row, Value

HALF_WIDTHS = {
    ("reference", "pixels"): 0.1,
    ("likelihood", "pixels"): 0.5,
    ("adversarial", "pixels"): 5.0,
    ("reference", "classifier"): 6.0,
    ("likelihood", "classifier"): 3.0,
    ("adversarial", "classifier"): 5.0,
    ("adversarial", "judge"): 9.0,
    ("likelihood", "rating"): 1.0,
    ("adversarial", "rating"): 1.0,
}
"""(how a row's images were made, what the column is measured with) -> half-widths."""

CLASSES = (
    "classes_covered", "class_tv", "confident_fraction", "class_accuracy", "class_accuracy_chance",
    "class_accuracy_head", "class_accuracy_middle", "class_accuracy_tail", "class_accuracy_tail_chance",
)  # fmt: skip
"""The classifier's hard answers. Those of another training on blurred images moved by 8.5 half-widths while its
distances moved by 1: they are compared for reference images alone."""
BY_CLASSIFIER = (
    "fd_classifier", "fd_classifier_infinite", "kid_classifier", "precision", "recall", "density", "coverage",
    "coverage_head", "coverage_middle", "coverage_tail", "kid_tail", "sharpness_head", "sharpness_middle",
    "sharpness_tail", "tail_accuracy_gain", "middle_accuracy_gain", "head_accuracy_gain",
    "authenticity", "fld", "fld_gap", "fd_classifier_min", "fd_classifier_max",
    "kid_classifier_min", "kid_classifier_max", "coverage_min", "coverage_max", *CLASSES,
)  # fmt: skip
"""Columns of features that were trained too."""

RELATIVE = 1e-3
"""Of the recorded value, always allowed: an interval may have no width."""
ABSOLUTE = {
    "class_accuracy_chance": 0.05,
    "class_accuracy_tail_chance": 0.05,
    "classes_covered": 1.0,
    "gap_1": 0.05,
    "gap_2": 0.05,
    "auc_1_on_2": 0.05,
    "auc_2_on_1": 0.05,
    "advantage": 1.0,
    "rating": 100.0,
    "rating_without": 100.0,
    "rating_half_1": 100.0,
    "rating_half_2": 100.0,
}
"""Allowed in the column's unit where it has no interval, or one without a width."""
RATIOS = ("r_test", "r_sample", "r_sample_matched")
"""Compared by their logarithms, on which their intervals are symmetric."""
EXACT = ("seeds", "n_real", "n_fake", "parameters", "status", "judged", "total_1_test", "total_2_test", "total_1_on_2",
         "total_2_on_1", "total", "third_party_judges")  # fmt: skip
VERDICTS = ("winner", "winner_tested", "verdict")
BY_RATIOS = {"r_test": math.log(1.3), "r_sample": 0.0}
DECIDED_AT = {"winner": BY_RATIOS, "winner_tested": BY_RATIOS, "verdict": {"advantage": 0.0}}
"""Where a battle's verdict turns over, as |log ratio| (Im et al. 2016 eq. 11) or as the size of the advantage."""
TABLES = ("main", "battles", "judges", "standings")
"""The seeds' table holds the main one's numbers again."""

IN_WORDS = (
    "tolerances, in half-widths of the recorded 95 % intervals: "
    + "; ".join(f"{made} by {measured} {count:g}" for (made, measured), count in HALF_WIDTHS.items())
    + f"; or {RELATIVE:.1%} of a value; a battle's winner where its ratios may cross what decides it; "
    f"counts and status exactly; {', '.join(CLASSES)} of models not at all"
)


@dataclass(frozen=True)
class Judged:
    """What came of a comparison: `outside` holds rows of comparison.COLUMNS."""

    cells: int
    outside: Sequence[Row]
    largest: float
    where: str

    @property
    def failed(self) -> bool:
        """Whether any cell lies outside."""
        return bool(self.outside)

    @property
    def summary(self) -> str:
        """In one line."""
        if self.failed:
            return f"outside the tolerances: {len(self.outside)}, of {self.cells} cells"
        furthest = f"the furthest at {self.largest:.0%} of what it may ({self.where})"
        return f"within the tolerances: {self.cells} cells, {furthest}"


def judge(recorded: Mapping[str, Table], found: Mapping[str, Table]) -> Judged:
    """Every cell of TABLES against its recorded one; a row that one side lacks is outside."""
    adversarial = {str(row["judge"]) for row in recorded.get("judges", [])}
    outside: list[Row] = []
    shares: dict[str, float] = {}
    for table in TABLES:
        before, now = recorded.get(table, []), found.get(table, [])
        changes = {(row["row"], row["column"]): row for row in comparison.changed_rows(table, before, now)}
        outside += [row for (_, column), row in changes.items() if column == ROW]
        for (name, column), share in _shares(table, before, now, adversarial).items():
            shares[f"{name} {column}"] = share
            if share > 1:
                times = "not allowed" if math.isinf(share) else f"{share:.3g} times what is allowed"
                outside.append({**changes[name, column], "verdict": times})
    where = max(shares, key=lambda cell: shares[cell], default="")
    return Judged(len(shares), outside, shares.get(where, 0.0), where)


def _shares(table: str, recorded: Table, found: Table, adversarial: set[str]) -> dict[tuple[str, str], float]:
    """(row, column) -> share of what is allowed, for the cells of a table that are compared."""
    rows, rows_now = comparison.keyed(table, recorded), comparison.keyed(table, found)
    shares = {
        (name, column): share_of_allowed(table, column, rows[name], rows_now[name], adversarial)
        for name in rows
        if name in rows_now
        for column in comparison.values(comparison.columns_of(recorded))
        if column not in comparison.KEYS[table]
    }
    return {cell: share for cell, share in shares.items() if share is not None}


def share_of_allowed(
    table: str, column: str, recorded: Mapping[str, Value], found: Mapping[str, Value], adversarial: set[str]
) -> float | None:
    """Difference over what is allowed: infinite where none is allowed, None for what is not compared."""
    before, now = recorded.get(column), found.get(column)
    if column in EXACT or (before is None) != (now is None):
        return 0.0 if before == now else math.inf
    if column in VERDICTS:
        return 0.0 if before == now or _undecided(recorded, column) else math.inf
    first, second = number(before), number(now)
    if first is None or second is None or column.startswith(("errors", "advantage_p", "rank_")):
        # errors are compared as rates, a p as its advantage, ranks as the values that they are made of
        return None
    if column in CLASSES and recorded["model"] not in REFERENCES:
        return None
    allowed = allowed_difference(recorded, column, HALF_WIDTHS[kind_of(table, column, recorded, adversarial)])
    difference = abs(on_scale(column, second) - on_scale(column, first))
    return difference / allowed if allowed else (math.inf if difference else 0.0)


def kind_of(table: str, column: str, row: Mapping[str, Value], adversarial: set[str]) -> tuple[str, str]:
    """The key of HALF_WIDTHS for a cell."""
    if table in ("battles", "judges"):
        return "adversarial", "judge"
    made = "reference" if row["model"] in REFERENCES else "adversarial" if row["model"] in adversarial else "likelihood"
    if table == "standings":
        return made, "rating"
    return made, "classifier" if column in BY_CLASSIFIER else "pixels"


def on_scale(column: str, value: float) -> float:
    """The logarithm of a ratio, any other value itself."""
    return math.log(value) if column in RATIOS and value > 0 else value


def allowed_difference(row: Mapping[str, Value], column: str, half_widths: float) -> float:
    """Half-widths of the recorded cell's interval, its wider side, but never less than RELATIVE and ABSOLUTE allow."""
    value = on_scale(column, number(row[column]) or 0.0)
    bounds = [on_scale(column, bound) for bound in comparison.interval(row, column) if bound is not None]
    reach = half_widths * max((abs(bound - value) for bound in bounds), default=0.0)
    return max(reach, RELATIVE * abs(value), 0.0 if reach else ABSOLUTE.get(column, 0.0))


def _undecided(battle: Mapping[str, Value], verdict: str) -> bool:
    """Whether what decides a recorded battle's verdict may, within its tolerance, cross where the verdict turns."""
    for column, threshold in DECIDED_AT[verdict].items():
        ratio = number(battle.get(column))
        if ratio is not None:
            allowed = allowed_difference(battle, column, HALF_WIDTHS["adversarial", "judge"])
            if abs(abs(on_scale(column, ratio)) - threshold) <= allowed:
                return True
    return False
