"""The generative adversarial metric: r_test, r_sample and the winner of a battle between two models (Im et al. 2016 eqs
10, 11).

Im et al., 'Generating images with recurrent adversarial networks' (Im et al. 2016), section 4. These describe what a
pair's own judges say; the verdict on a pair is that of third-party judges (third_party.py). The paper's rule stands
next to a tested one (equivalence of the judges, an interval of r_sample that excludes 1) and r_sample with both judges
set to the same error on real validation images. All pairs of seeds fight; rates are pooled over them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from pipeline.battles.ratios import Cells, Ratio, is_near_one, paired_ratio, ratio_of_cells
from pipeline.battles.scores import (
    MATCHED_ERROR,
    TIE,
    JudgeScores,
    beats_chance,
    errors_on_generated,
    errors_on_real,
    matched_threshold,
    ranks_above,
)
from pipeline.battles.third_party import Verdict, decide, pass_rates

RatioOf = Literal["error", "accuracy"]
Value = str | int | float | None
Row = dict[str, Value]

TOLERANCE = 0.3  # on r_test; reproduces every winner of Im et al. 2016's Table 2

BATTLE_COLUMNS = (
    "model_1", "model_2", "verdict", "advantage", "advantage_low", "advantage_high", "advantage_p",
    "third_party_judges", "r_test", "r_test_low", "r_test_high", "r_sample", "r_sample_low", "r_sample_high",
    "r_sample_matched", "r_sample_matched_low", "r_sample_matched_high", "auc_1_on_2", "auc_2_on_1",
    "errors_1_test", "total_1_test", "errors_2_test", "total_2_test",
    "errors_1_on_2", "total_1_on_2", "errors_2_on_1", "total_2_on_1",
    "gap_1", "gap_2", "winner", "winner_tested", "r_sample_even", "winner_even", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One model in a battle: its seeds, and for each the discriminator that judges for it (None: it may not judge)."""

    model: str
    judge_model: str
    seeds: tuple[int, ...]
    judges: tuple[JudgeScores | None, ...]
    refusals: tuple[str, ...]

    @property
    def sitting(self) -> list[JudgeScores]:
        """The judges that beat chance."""
        return [judge for judge in self.judges if judge is not None]


def side_of(model: str, judges: Sequence[JudgeScores], judged_by: Mapping[str, str]) -> Side:
    """Model with its judges; `judged_by` names the model whose discriminator it shares (gran5_at7 has gran5's)."""
    judge_model = judged_by.get(model, model)
    own = sorted((judge for judge in judges if judge.model == judge_model), key=lambda judge: judge.seed)
    if not own:
        raise ValueError(f"{model} has no judge: no scores of {judge_model}'s discriminator were given")
    trials = [beats_chance(judge) for judge in own]
    refusals = tuple(
        f"the judge of {judge_model}, seed {judge.seed}, does not beat chance ({reason}) and judges nobody"
        for judge, (beats, reason) in zip(own, trials, strict=True)
        if not beats
    )
    seated = tuple(judge if beats else None for judge, (beats, _) in zip(own, trials, strict=True))
    return Side(model, judge_model, tuple(judge.seed for judge in own), seated, refusals)


def battle_rows(
    models: Sequence[str],
    judges: Sequence[JudgeScores],
    *,
    judged_by: Mapping[str, str] | None = None,
    tolerance: float = TOLERANCE,
    ratio: RatioOf = "error",
    doubled: Collection[str] = (),
) -> list[Row]:
    """One row of BATTLE_COLUMNS per pair of `models`, in their order.

    The verdict is that of third-party judges (see `decide`). The columns of `battle` describe what the pair's own
    judges say; they are empty where one of the two has none. `doubled` are the models whose judges were trained on two
    generated images for each real one: `r_sample_even` and `winner_even` are what they would say of as many.
    """
    shared, judging = judged_by or {}, {judge.model for judge in judges}
    evened = [even(judge) if judge.model in doubled else judge for judge in judges]
    rates = pass_rates(judges, models)
    rows = []
    for pair in combinations(models, 2):
        row: Row = dict.fromkeys(BATTLE_COLUMNS)
        row |= dict(zip(("model_1", "model_2"), pair, strict=True))
        if all(shared.get(model, model) in judging for model in pair):
            rule: dict[str, Any] = {"judged_by": judged_by, "tolerance": tolerance, "ratio": ratio}
            row = battle(*pair, judges, **rule)
            if any(shared.get(model, model) in doubled for model in pair):
                other = battle(*pair, evened, **rule)
                row |= {"r_sample_even": other["r_sample"], "winner_even": other["winner"]}
        rows.append(row | _verdict(decide(rates, *pair, judged_by=judged_by, tolerance=tolerance), row["note"]))
    return rows


def even(judge: JudgeScores) -> JudgeScores:
    """A judge of two generated images for each real one as one of as many of both: its log odds of real plus log 2."""
    more = math.log(2)
    samples = {key: logits + more for key, logits in judge.samples.items()}
    return replace(judge, test=judge.test + more, train=judge.train + more, valid=judge.valid + more, samples=samples)


def _verdict(found: Verdict, note: Value) -> Row:
    """The verdict's columns, with its reason before what else has to be known."""
    advantage = {"advantage": found.advantage, "advantage_low": found.low, "advantage_high": found.high}
    advantage["advantage_p"] = found.p
    words = "; ".join(str(part) for part in (found.reason, note) if part)
    return {"verdict": found.winner, **advantage, "third_party_judges": found.judges, "note": words or None}


def battle(
    model_1: str,
    model_2: str,
    judges: Sequence[JudgeScores],
    *,
    judged_by: Mapping[str, str] | None = None,
    tolerance: float = TOLERANCE,
    ratio: RatioOf = "error",
) -> Row:
    """Row of BATTLE_COLUMNS for two adversarial models: ratios with 95 % intervals, raw counts, winners, a note.

    `judges` holds every seed of both models' discriminators. `ratio` 'error' is Im et al. 2016 eq. 10; 'accuracy' is
    what the authors' code computes: ratios of accuracies, larger is better, and no condition on r_test. None where a
    judge that does not beat chance leaves nothing to say. Raises ValueError where a model has no judge at all.
    """
    side_1, side_2 = (side_of(model, judges, judged_by or {}) for model in (model_1, model_2))
    notes = list(dict.fromkeys(side_1.refusals + side_2.refusals))
    row: Row = dict.fromkeys(BATTLE_COLUMNS)
    row |= {"model_1": model_1, "model_2": model_2}
    if side_1.sitting and side_2.sitting:
        _fill(row, notes, side_1, side_2, tolerance, ratio)
    else:
        notes.append("no verdict: a battle needs a judge on each side")
    row["note"] = "; ".join(notes) or None
    return row


def _fill(row: Row, notes: list[str], side_1: Side, side_2: Side, tolerance: float, ratio: RatioOf) -> None:
    """Counts, gaps, ratios and winners of a battle that has a judge on each side."""
    row |= _real_counts("1", side_1) | _real_counts("2", side_2)
    on_2, on_1 = sample_cells(side_1, side_2), sample_cells(side_2, side_1)
    row |= {"errors_1_on_2": on_2.count, "total_1_on_2": on_2.total}
    row |= {"errors_2_on_1": on_1.count, "total_2_on_1": on_1.total}
    if not on_1.total or not on_2.total:
        notes.append("no verdict: one of the two has no samples before the other's judge")
        return
    r_test = judges_ratio(side_1, side_2, ratio)
    r_sample = _ratio_as(ratio, on_2, on_1)
    matched_2, matched_1 = (sample_cells(*sides, matched=True) for sides in ((side_1, side_2), (side_2, side_1)))
    threshold_variance = _threshold_variance(side_1, side_2, ratio) + _threshold_variance(side_2, side_1, ratio)
    matched = _ratio_as(ratio, matched_2, matched_1, threshold_variance)
    row |= _bounds("r_test", r_test) | _bounds("r_sample", r_sample) | _bounds("r_sample_matched", matched)
    row |= {"auc_1_on_2": sample_auc(side_1, side_2), "auc_2_on_1": sample_auc(side_2, side_1)}
    row["winner"] = winner(side_1.model, side_2.model, r_test.value, r_sample.value, tolerance, ratio)
    row["winner_tested"] = winner_tested(side_1.model, side_2.model, r_test, r_sample, tolerance, ratio)
    notes += _remarks(side_1, side_2, row, ratio)


def _bounds(name: str, ratio: Ratio) -> Row:
    low, high = ratio.interval()
    return {name: ratio.value, f"{name}_low": low, f"{name}_high": high}


def _real_counts(which: str, side: Side) -> Row:
    """Errors on held-out images over the judges' seeds, and the gap: error rate on test minus on training images."""
    errors = sum(errors_on_real(judge.test) for judge in side.sitting)
    total = sum(len(judge.test) for judge in side.sitting)
    return {
        f"errors_{which}_test": errors,
        f"total_{which}_test": total,
        f"gap_{which}": generalisation_gap(side.sitting),
    }


def generalisation_gap(judges: Sequence[JudgeScores]) -> float | None:
    """Mean over seeds of a judge's error rate on test images minus that on training images; None without any."""
    gaps = [np.mean(judge.test < 0) - np.mean(judge.train < 0) for judge in judges if len(judge.train)]
    return float(np.mean(gaps)) if gaps else None


def sample_cells(judging: Side, generating: Side, *, matched: bool = False) -> Cells:
    """Errors of one side's judges on the other's samples, (J, G); `matched` sets each judge to 10 % error on valid."""
    shape = len(judging.seeds), len(generating.seeds)
    counts, totals = np.full(shape, np.nan), np.full(shape, np.nan)
    for j, judge in enumerate(judging.judges):
        for g, seed in enumerate(generating.seeds):
            logits = judge.samples.get((generating.model, seed)) if judge is not None else None
            if judge is None or logits is None or not len(logits):
                continue
            threshold = matched_threshold(judge.valid, MATCHED_ERROR) if matched else 0.0
            counts[j, g], totals[j, g] = errors_on_generated(logits, threshold), len(logits)
    return Cells(counts, totals)


def sample_auc(judging: Side, generating: Side) -> float | None:
    """Mean over pairs of seeds of the AUC of one side's judges between held-out images and the other's samples."""
    found = [
        ranks_above(judge.test, logits)
        for judge in judging.sitting
        for seed in generating.seeds
        if len(logits := judge.samples.get((generating.model, seed), np.empty(0)))
    ]
    return float(np.mean(found)) if found else None


def _ratio_as(ratio: RatioOf, cells_1: Cells, cells_2: Cells, extra_variance: float = 0.0) -> Ratio:
    if ratio == "accuracy":
        cells_1, cells_2 = cells_1.complement(), cells_2.complement()
    return ratio_of_cells(cells_1, cells_2, extra_variance)


def judges_ratio(side_1: Side, side_2: Side, ratio: RatioOf) -> Ratio:
    """r_test, paired over the test images; exactly 1 where both sides share their judges."""
    if side_1.judge_model == side_2.judge_model:
        return Ratio(1.0, 0.0)
    events = [np.stack([judge.test for judge in side.sitting]) for side in (side_1, side_2)]
    wrong_1, wrong_2 = (logits < 0 for logits in events)
    return paired_ratio(~wrong_1, ~wrong_2) if ratio == "accuracy" else paired_ratio(wrong_1, wrong_2)


def _threshold_variance(judging: Side, generating: Side, ratio: RatioOf) -> float:
    """Variance of the log matched rate because the threshold is read off finitely many validation images.

    Half the change of the log rate as the validation error moves one standard error to either side, squared.
    """
    judges = judging.sitting
    n = min(len(judge.valid) for judge in judges)
    step = math.sqrt(MATCHED_ERROR * (1 - MATCHED_ERROR) / n)
    logs = []
    for error in (max(MATCHED_ERROR - step, 0.0), MATCHED_ERROR + step):
        count, total = 0, 0
        for judge in judges:
            threshold = matched_threshold(judge.valid, error)
            for seed in generating.seeds:
                logits = judge.samples.get((generating.model, seed), np.empty(0))
                count, total = count + errors_on_generated(logits, threshold), total + len(logits)
        counted = total - count if ratio == "accuracy" else count
        logs.append(math.log((counted + 0.5) / (total + 1)))
    return ((logs[0] - logs[1]) / 2) ** 2


def _better(model_1: str, model_2: str, r_sample: float, ratio: RatioOf) -> str:
    """Whose judge errs less on the other's samples; eq. 11 without its condition."""
    if r_sample == 1:
        return TIE
    return model_1 if (r_sample < 1) == (ratio == "error") else model_2


def winner(
    model_1: str, model_2: str, r_test: float, r_sample: float, tolerance: float = TOLERANCE, ratio: RatioOf = "error"
) -> str:
    """The paper's rule (Im et al. 2016 eq. 11): model_1, model_2 or 'tie'; the authors' accuracies have no gate on
    r_test.
    """
    if ratio == "error" and not is_near_one(r_test, tolerance):
        return TIE
    return _better(model_1, model_2, r_sample, ratio)


def winner_tested(
    model_1: str, model_2: str, r_test: Ratio, r_sample: Ratio, tolerance: float = TOLERANCE, ratio: RatioOf = "error"
) -> str:
    """A winner only if the 90 % interval of r_test lies within the tolerance and r_sample's 95 % interval excludes 1.

    The first is the two one-sided tests of equivalence at 5 % (Schuirmann 1987).
    """
    if r_test.within(tolerance, confidence=0.90) and r_sample.excludes_one(0.95):
        return _better(model_1, model_2, r_sample.value, ratio)
    return TIE


def _remarks(side_1: Side, side_2: Side, row: Row, ratio: RatioOf) -> list[str]:
    """What a reader of the row has to know, in words."""
    remarks = []
    if side_1.judge_model == side_2.judge_model:
        remarks.append(f"both share the judge of {side_1.judge_model}: r_test is 1 by construction")
    pairs = {"test": ("1_test", "2_test"), "sample": ("1_on_2", "2_on_1")}
    for name, ends in pairs.items():
        errors = [row[f"errors_{end}"] for end in ends]
        missed = [row[f"total_{end}"] for end in ends] if ratio == "accuracy" else [0, 0]
        if any(error == empty for error, empty in zip(errors, missed, strict=True)):
            remarks.append(f"r_{name} is smoothed by one half: a count is zero")
    single = [side.model for side in (side_1, side_2) if len(side.seeds) == 1]
    if single:
        remarks.append(f"one seed of {' and '.join(single)}: the interval leaves out how its seeds would differ")
    if ratio == "accuracy":
        remarks.append("ratios of accuracies, as in the authors' code: larger is better, no gate on r_test")
    return remarks
