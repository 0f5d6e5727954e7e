"""The papers' claims about the order of models: held, reversed or unresolved over the seeds.

The claims are rows of published/claims.csv. Each says that one model is better than another on a measure, by the
paper's definition or by ours, and what the paper leaves open. A measure is a column of the seeds' table, one of
COST_MEASURES, `r_sample` (Im et al. 2016, eq. 10), `third_party` (the verdict of third-party judges), `fools_<judge>`
(which share of a model's images passes that judge) or `caught` (a judge, in the place of the better one, lets less than
half of the other's images pass). Values are taken for normal on the measure's scale: two trainings are compared by
Welch's t over their seeds, samples of one training and what one judge says are paired. Holm's step-down correction ('A
simple sequentially rejective multiple test procedure', 1979) is over all claims of one paper by one definition.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from statistics import fmean, stdev
from typing import Any

from pipeline.tables.aliases import current_column
from pipeline.tables.columns import Description
from pipeline.tables.rows import Row, Value

HELD, REVERSED, UNRESOLVED = "held", "reversed", "unresolved"
LEVEL = 0.05
HALF_AN_IMAGE = 0.5
THIRD_PARTY, NOT_ALIKE = "third_party", "not alike"
DISAGREE = "the reference classifiers disagree on the order"
NO_VERDICT = "no verdict of third-party judges"
ANY, COLUMNS_OWN = "any", "column"
REAL = "real"
CPU_SECONDS, PER_IMAGE = COST_MEASURES = ("train_cpu_seconds", "cpu_seconds_per_image")
"""CPU seconds of a training, and for each training image that it was shown; of these more is as claimed."""
REAL_TEST, REAL_TRAIN = "real_test", "real_train"
CLAIM_COLUMNS = (
    "claim", "paper", "section", "family", "definition", "open", "measure", "better", "worse", "seeds", "difference",
    "low", "high", "p", "p_holm", "verdict", "reason",
)  # fmt: skip
CLAIMS_SHOWN = (
    "paper", "claim", "definition", "measure", "seeds", "difference", "low", "high", "p_holm", "verdict", "reason",
    "open",
)  # fmt: skip
JUDGED_COLUMNS = ("judge", "judge_seed", "is_eligible", "contestant", "contestant_seed", "errors", "total")
"""One judge of one seed on real images or on one contestant's of one seed; `is_eligible`: 1, or 0 below chance."""

HOW_TO_READ = (
    "A difference is positive where it goes the paper's way: of natural logarithms for distances, costs and r_sample, "
    "of log odds for rates (by our definition, for K-NN and Bayes, of the distances to the row `real`). Its 95 % "
    "interval is Welch's over the seeds of two trainings; samples of one training are paired by seed. Held or "
    "reversed: p at most 0.05 after Holm's correction over a paper's claims by one definition; else it is unresolved, "
    "which is no evidence of equality. What a paper leaves open has one reading here. Five seeds are what a claim "
    "wants."
)

Table = Sequence[Mapping[str, Value]]


@dataclass(frozen=True)
class Evidence:
    """What was measured: rows of the seeds' table, the row `real` of the main one, and rows of JUDGED_COLUMNS.

    `judged_by` names the model whose judge a model without one of its own fights with. `metrics` describes the
    measures. Two judges whose error rates on held-out images are further apart than `tolerance` decide no battle of
    Im et al. 2016. `battles` has the verdicts of third-party judges, `costs` what each training took.
    """

    seeds: Table
    metrics: Mapping[str, Description]
    real: Mapping[str, Value] = field(default_factory=dict)
    judged: Table = ()
    judged_by: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.3
    battles: Table = ()
    dataset: str = ""
    costs: Table = ()

    def models(self) -> set[str]:
        """Every model that was measured."""
        return {str(row["model"]) for row in self.seeds}

    def are_paired(self, model: str, other: str) -> bool:
        """Whether two models are samples of the same trainings."""
        return self.judged_by.get(model, model) == self.judged_by.get(other, other)

    def values(self, model: str, measure: str) -> dict[int, float]:
        """Seed -> a column's value, where there is one."""
        rows = (row for row in self.seeds if row["model"] == model)
        return {int(row["seed"] or 0): float(row[measure] or 0) for row in rows if row.get(measure) is not None}

    def each(self, model: str, measure: str) -> list[dict[int, float]]:
        """The same by each reference classifier, where there are several."""
        cells = {int(row["seed"] or 0): row.get(f"{measure}_each") for row in self.seeds if row["model"] == model}
        parts = {seed: list(map(float, str(cell).split())) for seed, cell in cells.items() if cell is not None}
        count = min(map(len, parts.values()), default=0)
        return [{seed: values[k] for seed, values in parts.items()} for k in range(count)]

    def counts(self, judge: str, contestant: str) -> dict[int, tuple[float, float]]:
        """Seed -> errors and images of a sitting judge on a contestant of the same seed, or on real images."""
        found = {}
        for row in self.judged:
            seed = row["judge_seed"]
            theirs = row["contestant_seed"] in (None, seed) and row["is_eligible"]
            if theirs and (row["judge"], row["contestant"]) == (judge, contestant):
                found[int(seed or 0)] = (float(row["errors"] or 0), float(row["total"] or 0))
        return found


@dataclass(frozen=True)
class Sides:
    """Values of the better and of the worse model by seed, on the measure's scale, greater being better.

    `worse` None: the better one's are compared with 0. `note`: what has to be known, or why there are no values.
    """

    better: Mapping[int, float] = field(default_factory=dict)
    worse: Mapping[int, float] | None = None
    paired: bool = False
    note: str = ""

    def test(self) -> Row:
        """`seeds`, `difference` and, from two seeds on, `low`, `high` and `p`."""
        if self.worse is not None and not self.paired:
            sides = [list(side.values()) for side in (self.better, self.worse)]
            seeds = min(map(len, sides))
            difference = fmean(sides[0]) - fmean(sides[1]) if seeds else None
            bounds = welch_t(*sides) if seeds > 1 else (None, None, None)
        else:
            gaps = [self.better[s] - (self.worse or {}).get(s, 0.0) for s in self._common()]
            seeds, difference = len(gaps), fmean(gaps) if gaps else None
            bounds = paired_t(gaps) if seeds > 1 else (None, None, None)
        return {"seeds": seeds, "difference": difference, **dict(zip(("low", "high", "p"), bounds, strict=True))}

    def _common(self) -> list[int]:
        return sorted(self.better.keys() if self.worse is None else self.better.keys() & self.worse.keys())


def claim_rows(claims: Sequence[Mapping[str, str]], evidence: Evidence) -> list[Row]:
    """Rows of CLAIM_COLUMNS for the claims whose two models (and judge) were measured; the other claims are left out.

    With one seed, without any spread, or without a value the verdict is `unresolved` and `reason` says why.
    """
    known = evidence.models()
    kept = [claim for claim in claims if _models_of(claim) <= known and _is_about(claim, evidence.dataset)]
    tested = [_tested(claim, evidence) for claim in kept]
    families = {(row["paper"], row["definition"]) for row in tested}
    for family in sorted(families, key=str):
        members = [row for row in tested if (row["paper"], row["definition"]) == family and row["p"] is not None]
        for row, p in zip(members, holm([_number(row["p"]) for row in members]), strict=True):
            row["p_holm"] = p
    return [row | _verdict(row) for row in tested]


def _is_about(claim: Mapping[str, str], dataset: str) -> bool:
    """Whether a claim is about any data set, or about one whose name begins with the claim's."""
    return claim.get("dataset", ANY) == ANY or dataset.startswith(claim["dataset"])


def read_claims(text: str) -> list[dict[str, str]]:
    """The claims of published/claims.csv, with today's names of the measures."""
    rows = csv.DictReader(io.StringIO(text))
    return [row | {"measure": current_column(row["measure"])} for row in rows]


def tally(rows: Table) -> str:
    """'3 held, 1 reversed, 2 unresolved'."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (HELD, REVERSED, UNRESOLVED)}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def shown_rows(rows: Table) -> tuple[list[Row], dict[str, dict[str, Any]], list[str]]:
    """Rows, descriptions and columns of a table for readers: a difference has its interval, no column is empty."""
    shown: list[Row] = [{**row, "difference_low": row["low"], "difference_high": row["high"]} for row in rows]
    columns = [column for column in CLAIMS_SHOWN if any(row.get(column) is not None for row in rows)]
    return shown, claims_columns(), [column for column in columns if column not in ("low", "high")]


def _models_of(claim: Mapping[str, str]) -> set[str]:
    judge = {claim["measure"].removeprefix("fools_")} if claim["measure"].startswith("fools_") else set()
    return {claim["better"], claim["worse"]} | judge


def _tested(claim: Mapping[str, str], evidence: Evidence) -> Row:
    """A claim's row with its test, its reason if there can be none."""
    row: Row = {**dict.fromkeys(CLAIM_COLUMNS), **{key: claim[key] for key in CLAIM_COLUMNS if key in claim}}
    if claim["measure"] == THIRD_PARTY:
        return row | _of_third_parties(claim, evidence)
    sides = sides_of(claim, evidence)
    found = sides.test()
    reason = sides.note
    if not found["seeds"]:
        reason = reason or "not measured of both models"
    elif found["seeds"] == 1:
        reason = _joined("one seed", reason)
    elif found["p"] is None:
        reason = _joined("the seeds do not differ at all, which leaves nothing to test by", reason)
    return row | found | {"reason": reason or None}


def _of_third_parties(claim: Mapping[str, str], evidence: Evidence) -> Row:
    """The advantage before third-party judges, turned so that it is positive as claimed."""
    for row in evidence.battles:
        pair = (row["model_1"], row["model_2"])
        if pair in ((claim["better"], claim["worse"]), (claim["worse"], claim["better"])):
            low, value, high, p = (row.get(f"advantage{end}") for end in ("_low", "", "_high", "_p"))
            if pair[0] == claim["worse"]:
                low, value, high = (None if bound is None else -_number(bound) for bound in (high, value, low))
            reason = str(row.get("note") or NO_VERDICT).split("; ")[0] if p is None else None
            seeds = min(len(evidence.values(str(model), "seed")) for model in pair)
            return {"seeds": seeds, "difference": value, "low": low, "high": high, "p": p, "reason": reason}
    return {"seeds": 0, "reason": NO_VERDICT}


def _verdict(row: Row) -> Row:
    """Held, reversed or unresolved; judges that are not alike, and classifiers that disagree, decide nothing."""
    p, reason = row["p_holm"], row["reason"]
    if p is None or _number(p) > LEVEL or any(words in str(reason) for words in (NOT_ALIKE, DISAGREE)):
        return {"verdict": UNRESOLVED, "reason": reason or f"p above {LEVEL:g}"}
    return {"verdict": HELD if _number(row["difference"]) > 0 else REVERSED}


def _joined(*words: str) -> str:
    return "; ".join(filter(None, words))


def _number(value: Value) -> float:
    return float(value) if value is not None else math.nan


# --- values by seed -------------------------------------------------------------------------------------------------


def sides_of(claim: Mapping[str, str], evidence: Evidence) -> Sides:
    """Both models' values of a claim."""
    measure = claim["measure"]
    if measure in evidence.metrics:
        return _of_a_column(claim, evidence)
    if measure in COST_MEASURES:
        return _of_a_cost(claim, evidence)
    if not evidence.judged:
        return Sides(note="no table of the judges by seed")
    if measure == "r_sample":
        return _of_a_battle(claim, evidence)
    if measure == "caught":
        return _of_a_judge(evidence.counts(claim["better"], claim["worse"]))
    judge = measure.removeprefix("fools_")
    sides = [evidence.counts(judge, claim[side]) for side in ("better", "worse")]
    better, worse = ({seed: _log_odds(*counts) for seed, counts in side.items()} for side in sides)
    return Sides(better, worse, paired=True)  # by the judge's training, which judges both


def _of_a_column(claim: Mapping[str, str], evidence: Evidence) -> Sides:
    """Lower, higher or nearer to the row `real`, as the claim or else the column has it, on the column's scale."""
    measure, pair = claim["measure"], [claim[side] for side in ("better", "worse")]
    moved, note = _on_its_scale(claim, evidence, [evidence.values(model, measure) for model in pair])
    if not moved:
        return Sides(note=note)
    if classifiers_disagree(claim, evidence, pair):
        note = _joined(DISAGREE, note)
    better, worse = moved
    return Sides(better, worse, paired=evidence.are_paired(*pair), note=note)


def _of_a_cost(claim: Mapping[str, str], evidence: Evidence) -> Sides:
    """Logarithms of what the two models' trainings took, if they ran on one kind of device."""
    sides: dict[str, dict[int, float]] = {claim["better"]: {}, claim["worse"]: {}}
    devices = set()
    for row in evidence.costs:
        images = row.get("images_seen") if claim["measure"] == PER_IMAGE else 1
        if row["model"] in sides and row.get(CPU_SECONDS) and images:
            sides[str(row["model"])][int(row["seed"] or 0)] = math.log(_number(row[CPU_SECONDS]) / _number(images))
            devices.add(row["device"])
    if len(devices) > 1:
        return Sides(note="trained on different devices, whose seconds do not compare")
    return Sides(sides[claim["better"]], sides[claim["worse"]])


def _on_its_scale(
    claim: Mapping[str, str], evidence: Evidence, sides: Sequence[Mapping[int, float]], real: Value = None
) -> tuple[list[dict[int, float]], str]:
    """Both sides' values such that greater is better, and what has to be known; none without a row to be near to.

    `real` takes the place of the row `real`'s value.
    """
    description = evidence.metrics[claim["measure"]]
    direction = claim.get("direction", COLUMNS_OWN)
    direction = description["better"] if direction == COLUMNS_OWN else direction
    seen = [value for side in sides for value in side.values()]
    if description["scale"] == "log" and min(seen, default=1.0) <= 0:
        on_scale, note = _scale("linear"), "not on the log scale: a value is not positive"
    else:
        on_scale, note = _scale(description["scale"]), ""
    moved = [{seed: on_scale(value) for seed, value in side.items()} for side in sides]
    if direction == "near_real":
        real = evidence.real.get(claim["measure"]) if real is None else real
        if real is None:
            return [], "no row `real` to be near to: the main table is missing"
        goal = on_scale(float(real))
        moved = [{seed: -abs(value - goal) for seed, value in side.items()} for side in moved]
    elif direction == "lower":
        moved = [{seed: -value for seed, value in side.items()} for side in moved]
    return moved, note


def classifiers_disagree(claim: Mapping[str, str], evidence: Evidence, pair: Sequence[str]) -> bool:
    """Whether two models' order is not the same by every reference classifier, each with its own value of `real`.

    A table by seed without the row `real` has the mean over the classifiers in its place.
    """
    sides = zip(*(evidence.each(model, claim["measure"]) for model in pair), strict=False)
    goals = [fmean(goal.values()) for goal in evidence.each(REAL, claim["measure"])]
    ahead = set()
    for both, goal in zip(sides, goals or repeat(None), strict=False):
        better, worse = (fmean(side.values()) for side in _on_its_scale(claim, evidence, both, goal)[0])
        ahead.add(better > worse)
    return len(ahead) > 1


def _of_a_battle(claim: Mapping[str, str], evidence: Evidence) -> Sides:
    """-log r_sample with the better one as model 1: how much more rarely its judge errs on the other's images."""
    better, worse = claim["better"], claim["worse"]
    judges = [evidence.judged_by.get(model, model) for model in (better, worse)]
    counts = evidence.counts(judges[1], better), evidence.counts(judges[0], worse)
    on_better, on_worse = ({seed: _log_rate(*counted) for seed, counted in side.items()} for side in counts)
    if not on_better or not on_worse:
        return Sides(note="no seed in which both judges beat chance")
    ratio = _log_of_pooled(evidence, judges[0]) - _log_of_pooled(evidence, judges[1])
    far = abs(ratio) > math.log1p(evidence.tolerance) + 1e-12
    note = f"r_test {math.exp(ratio):.3g}: the judges are {NOT_ALIKE} (Im et al. 2016, eq. 11)" if far else ""
    return Sides(on_better, on_worse, paired=evidence.are_paired(better, worse), note=note)


def _log_of_pooled(evidence: Evidence, judge: str) -> float:
    """Log error rate of a judge on held-out images, over its seeds."""
    counts = list(evidence.counts(judge, REAL_TEST).values())
    return _log_rate(sum(errors for errors, _ in counts), sum(total for _, total in counts))


def _of_a_judge(counts: Mapping[int, tuple[float, float]]) -> Sides:
    """Minus the log odds of passing: positive where fewer than half of the images pass."""
    values = {seed: -_log_odds(*pair) for seed, pair in counts.items()}
    return Sides(values, note="" if counts else "the judge judges nobody")


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


def welch_t(first: Sequence[float], second: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """95 % interval of the difference of two means and the two-sided p of zero (Welch 1947), two values a side.

    Where neither side varies there is no spread to test by: p is 1 if the means are equal, else None as are the bounds.
    """
    from scipy.special import stdtr, stdtrit

    gap = fmean(first) - fmean(second)
    parts = [stdev(side) ** 2 / len(side) for side in (first, second)]
    error = math.sqrt(sum(parts))
    if error <= 1e-12 * max(abs(fmean(first)), abs(fmean(second))):
        return (gap, gap, 1.0) if gap == 0 else (None, None, None)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, (first, second), strict=True)
    )
    reach = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    return gap - reach, gap + reach, 2 * float(stdtr(freedom, -abs(gap) / error))


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
        "family": ("Family", "What the claim is about."),
        "definition": ("Definition", "Whose definition of the measure: the paper's, or ours."),
        "open": ("Left open", "What the paper leaves open, so that the measure is one reading of it."),
        "measure": ("Measure", "A column of the table, a cost, r_sample, third_party, fools_<judge> or caught."),
        "better": ("Better", "The model that the paper has ahead; of `caught`, the judge."),
        "worse": ("Worse", "The model that the paper has behind; of `caught`, the contestant."),
        "seeds": ("Seeds", "Seeds that each has."),
        "difference": ("Difference", "Mean over seeds on the measure's scale; positive goes the paper's way."),
        "low": ("Low", "Lower end of the difference's 95 % interval, uncorrected."),
        "high": ("High", "Upper end of the difference's 95 % interval, uncorrected."),
        "p": ("p", "Two-sided p of no difference over the seeds: Welch's t, or paired within one training."),
        "p_holm": ("p, Holm", "p corrected for the other claims of its paper by the same definition."),
        "verdict": ("Verdict", "held, reversed or unresolved."),
        "reason": ("Reason", "Why it is unresolved, or what else has to be known."),
    }
    return {
        name: {"label": label, "meaning": meaning, "better": None, "unit": "", "scale": "linear"}
        for name, (label, meaning) in meanings.items()
    }
