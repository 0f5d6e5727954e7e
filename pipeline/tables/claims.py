"""The papers' claims about the order of models: held, reversed or unresolved by paired differences over the seeds.

The claims are rows of published/claims.csv. Each says that one model is better than another on a measure: a column of
the seeds' table, `r_sample` (001 eq. 10), `fools_<judge>` (which share of a model's images passes that judge) or
`caught` (a judge, in the place of the better one, lets less than half of the other's images pass). The differences of
the two models' values with the same seed, on the measure's scale, are taken for normal: Student's t, and Holm's
step-down correction ('A simple sequentially rejective multiple test procedure', 1979) within a family on one measure.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from pipeline.tables.aliases import current_column
from pipeline.tables.columns import Description
from pipeline.tables.rows import Row, Value

HELD, REVERSED, UNRESOLVED = "held", "reversed", "unresolved"
LEVEL = 0.05
HALF_AN_IMAGE = 0.5
REAL_TEST, REAL_TRAIN = "real_test", "real_train"
CLAIM_COLUMNS = (
    "claim", "paper", "section", "family", "measure", "better", "worse", "seeds", "difference", "low", "high",
    "p", "p_holm", "verdict", "reason",
)  # fmt: skip
CLAIMS_SHOWN = ("paper", "claim", "measure", "seeds", "difference", "low", "high", "p_holm", "verdict", "reason")
JUDGED_COLUMNS = ("judge", "judge_seed", "is_eligible", "contestant", "contestant_seed", "errors", "total")
"""One judge of one seed on real images or on one contestant's of one seed; `is_eligible`: 1, or 0 below chance."""

HOW_TO_READ = (
    "A difference is positive where it goes the paper's way: of natural logarithms for distances and r_sample, of log "
    "odds for rates (for K-NN and Bayes of the distances to the row `real`), its 95 % interval by Student's t over "
    "seeds paired by their number. Held or reversed: p at most 0.05 after Holm's correction within the family's claims "
    "on one measure; all else is unresolved, which is no evidence of equality. Five seeds are what a claim wants."
)

Table = Sequence[Mapping[str, Value]]


@dataclass(frozen=True)
class Evidence:
    """What was measured: rows of the seeds' table, the row `real` of the main one, and rows of JUDGED_COLUMNS.

    `judged_by` names the model whose judge a model without one of its own fights with. `metrics` describes the
    measures. Two judges whose error rates on held-out images are further apart than `tolerance` decide no battle.
    """

    seeds: Table
    metrics: Mapping[str, Description]
    real: Mapping[str, Value] = field(default_factory=dict)
    judged: Table = ()
    judged_by: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.3

    def models(self) -> set[str]:
        """Every model that was measured."""
        return {str(row["model"]) for row in self.seeds}

    def values(self, model: str, measure: str) -> dict[int, float]:
        """Seed -> a column's value, where there is one."""
        rows = (row for row in self.seeds if row["model"] == model)
        return {int(row["seed"] or 0): float(row[measure] or 0) for row in rows if row.get(measure) is not None}

    def counts(self, judge: str, contestant: str) -> dict[int, tuple[float, float]]:
        """Seed -> errors and images of a sitting judge on a contestant of the same seed, or on real images."""
        found = {}
        for row in self.judged:
            seed = row["judge_seed"]
            theirs = row["contestant_seed"] in (None, seed) and row["is_eligible"]
            if theirs and (row["judge"], row["contestant"]) == (judge, contestant):
                found[int(seed or 0)] = (float(row["errors"] or 0), float(row["total"] or 0))
        return found


Differences = tuple[dict[int, float], str]
"""Seed -> difference, positive as claimed; and what has to be known of it, or why there is none."""


def claim_rows(claims: Sequence[Mapping[str, str]], evidence: Evidence) -> list[Row]:
    """Rows of CLAIM_COLUMNS for the claims whose two models (and judge) were measured; the other claims are left out.

    With one seed, without any spread, or without a value the verdict is `unresolved` and `reason` says why.
    """
    known = evidence.models()
    kept = [claim for claim in claims if _models_of(claim) <= known]
    tested = [_tested(claim, evidence) for claim in kept]
    families = {(row["family"], row["measure"]) for row in tested}
    for family in sorted(families, key=str):
        members = [row for row in tested if (row["family"], row["measure"]) == family and row["p"] is not None]
        for row, p in zip(members, holm([_number(row["p"]) for row in members]), strict=True):
            row["p_holm"] = p
    return [row | _verdict(row) for row in tested]


def read_claims(text: str) -> list[dict[str, str]]:
    """The claims of published/claims.csv, with today's names of the measures."""
    rows = csv.DictReader(io.StringIO(text))
    return [row | {"measure": current_column(row["measure"])} for row in rows]


def tally(rows: Table) -> str:
    """'3 held, 1 reversed, 2 unresolved'."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (HELD, REVERSED, UNRESOLVED)}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _models_of(claim: Mapping[str, str]) -> set[str]:
    judge = {claim["measure"].removeprefix("fools_")} if claim["measure"].startswith("fools_") else set()
    return {claim["better"], claim["worse"]} | judge


def _tested(claim: Mapping[str, str], evidence: Evidence) -> Row:
    """A claim's row with its test, its reason if there can be none."""
    found, note = differences(claim, evidence)
    row: Row = {**dict.fromkeys(CLAIM_COLUMNS), **{key: claim[key] for key in CLAIM_COLUMNS if key in claim}}
    row |= {"seeds": len(found), "reason": note or None}
    if found:
        row["difference"] = fmean(found.values())
    if len(found) == 1:
        return row | {"reason": _joined("one seed", note)}
    if len(found) > 1:
        low, high, p = paired_t(list(found.values()))
        row |= {"low": low, "high": high, "p": p}
        if p is None:
            row["reason"] = _joined("the seeds do not differ at all, which leaves nothing to test by", note)
    return row


def _verdict(row: Row) -> Row:
    """Held, reversed or unresolved; a battle between judges that are not alike decides nothing."""
    p, reason = row["p_holm"], row["reason"]
    if p is None or _number(p) > LEVEL or (reason and "not alike" in str(reason)):
        return {"verdict": UNRESOLVED, "reason": reason or f"p above {LEVEL:g}"}
    return {"verdict": HELD if _number(row["difference"]) > 0 else REVERSED}


def _joined(*words: str) -> str:
    return "; ".join(filter(None, words))


def _number(value: Value) -> float:
    return float(value) if value is not None else math.nan


# --- differences by seed ----------------------------------------------------------------------------------------


def differences(claim: Mapping[str, str], evidence: Evidence) -> Differences:
    """The claim's difference of every seed that both models have, on the measure's scale."""
    measure = claim["measure"]
    if measure in evidence.metrics:
        return _of_a_column(claim, evidence)
    if not evidence.judged:
        return {}, "no table of the judges by seed"
    if measure == "r_sample":
        return _of_a_battle(claim, evidence)
    if measure == "caught":
        return _of_a_judge(evidence.counts(claim["better"], claim["worse"]))
    judge = measure.removeprefix("fools_")
    sides = [evidence.counts(judge, claim[side]) for side in ("better", "worse")]
    return _paired(*({seed: _log_odds(*counts) for seed, counts in side.items()} for side in sides)), ""


def _of_a_column(claim: Mapping[str, str], evidence: Evidence) -> Differences:
    """Lower, higher or nearer to the row `real`, on the column's scale."""
    measure = claim["measure"]
    description = evidence.metrics[measure]
    sides = [evidence.values(claim[side], measure) for side in ("better", "worse")]
    seen = [value for side in sides for value in side.values()]
    if description["scale"] == "log" and min(seen, default=1.0) <= 0:
        on_scale, note = _scale("linear"), "not on the log scale: a value is not positive"
    else:
        on_scale, note = _scale(description["scale"]), ""
    moved = [{seed: on_scale(value) for seed, value in side.items()} for side in sides]
    if description["better"] == "near_real":
        real = evidence.real.get(measure)
        if real is None:
            return {}, "no row `real` to be near to: the main table is missing"
        goal = on_scale(float(real))
        moved = [{seed: -abs(value - goal) for seed, value in side.items()} for side in moved]
    elif description["better"] == "lower":
        moved = [{seed: -value for seed, value in side.items()} for side in moved]
    return _paired(*moved), note


def _of_a_battle(claim: Mapping[str, str], evidence: Evidence) -> Differences:
    """-log r_sample with the better one as model 1: how much more rarely its judge errs on the other's images."""
    better, worse = claim["better"], claim["worse"]
    judges = [evidence.judged_by.get(model, model) for model in (better, worse)]
    on_worse, on_better = evidence.counts(judges[0], worse), evidence.counts(judges[1], better)
    found = _paired(*({seed: _log_rate(*counts) for seed, counts in side.items()} for side in (on_better, on_worse)))
    if not found:
        return found, "no seed in which both judges beat chance"
    ratio = _log_of_pooled(evidence, judges[0]) - _log_of_pooled(evidence, judges[1])
    if abs(ratio) > math.log1p(evidence.tolerance) + 1e-12:
        return found, f"r_test {math.exp(ratio):.3g}: the judges are not alike (001 eq. 11)"
    return found, ""


def _log_of_pooled(evidence: Evidence, judge: str) -> float:
    """Log error rate of a judge on held-out images, over its seeds."""
    counts = list(evidence.counts(judge, REAL_TEST).values())
    return _log_rate(sum(errors for errors, _ in counts), sum(total for _, total in counts))


def _of_a_judge(counts: Mapping[int, tuple[float, float]]) -> Differences:
    """Minus the log odds of passing: positive where fewer than half of the images pass."""
    return {seed: -_log_odds(*pair) for seed, pair in counts.items()}, "" if counts else "the judge judges nobody"


def _paired(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}


def _log_rate(errors: float, total: float) -> float:
    """Half an image is added to the errors and one to the total: a rate of 0 has no logarithm."""
    return math.log((errors + HALF_AN_IMAGE) / (total + 2 * HALF_AN_IMAGE))


def _log_odds(errors: float, total: float) -> float:
    return math.log((errors + HALF_AN_IMAGE) / (total - errors + HALF_AN_IMAGE))


def _scale(name: str) -> Callable[[float], float]:
    """To 'log', 'logit' (rates of 0 and 1 a tenth of an image of 10,000 inwards) or 'linear'."""

    def logit(value: float) -> float:
        inside = min(max(value, 1e-5), 1 - 1e-5)
        return math.log(inside / (1 - inside))

    scales: dict[str, Callable[[float], float]] = {"log": math.log, "logit": logit, "linear": float}
    return scales[name]


# --- the tests --------------------------------------------------------------------------------------------------


def paired_t(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """95 % interval of the mean of at least two differences and the two-sided p of zero, by Student's t.

    Where all are the same there is no spread to test by: p is 1 if they are 0, else None as are the bounds.
    """
    from scipy.special import stdtr, stdtrit

    mean, freedom = fmean(values), len(values) - 1
    error = stdev(values) / math.sqrt(len(values))
    if error <= 1e-12 * abs(mean):
        return (mean, mean, 1.0) if mean == 0 else (None, None, None)
    reach = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    return mean - reach, mean + reach, 2 * float(stdtr(freedom, -abs(mean) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: (m - k) p_(k) for k = 0, 1, ..., never falling, at most 1."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def claims_columns() -> dict[str, dict[str, Any]]:
    """What the columns of a table of claims mean, in the form of tables.columns."""
    meanings = {
        "claim": ("Claim", "What the paper says."),
        "paper": ("Paper", "The paper that says it."),
        "section": ("Where", "Where the paper says it."),
        "family": ("Family", "Claims that are corrected together on each measure."),
        "measure": ("Measure", "A column of the table, or r_sample, fools_<judge>, caught."),
        "better": ("Better", "The model that the paper has ahead; of `caught`, the judge."),
        "worse": ("Worse", "The model that the paper has behind; of `caught`, the contestant."),
        "seeds": ("Seeds", "Seeds that both have."),
        "difference": ("Difference", "Mean over seeds on the measure's scale; positive goes the paper's way."),
        "low": ("Low", "Lower end of the difference's 95 % interval, uncorrected."),
        "high": ("High", "Upper end of the difference's 95 % interval, uncorrected."),
        "p": ("p", "Two-sided p of no difference, Student's t over the seeds' differences."),
        "p_holm": ("p, Holm", "p corrected for the other claims of its family on its measure."),
        "verdict": ("Verdict", "held, reversed or unresolved."),
        "reason": ("Reason", "Why it is unresolved, or what else has to be known."),
    }
    return {
        name: {"label": label, "meaning": meaning, "better": None, "unit": "", "scale": "linear"}
        for name, (label, meaning) in meanings.items()
    }
