"""The verdict on a pair of models by third-party judges: discriminators of neither of the two.

The log odds that an image passes a judge are taken for judge + contestant + seed. A pair's own two judges cannot tell
these apart: with equal generators the better judge's side wins. Within the judges that met both contestants the least
squares difference of the contestants is the mean over judges of their differences, so a judge's ability cancels.
Judge models and the seeds of both sides are random: fewer than three judge models, or one seed, decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.battles.ratios import student_quantile, two_sided_p, variance_of_mean, welch_freedom
from pipeline.battles.scores import (
    MATCHED_ERROR,
    TIE,
    JudgeScores,
    beats_chance,
    errors_on_generated,
    errors_on_real,
    matched_threshold,
)

Floats = NDArray[np.floating]

FEWEST_JUDGES = 3
UNRESOLVED = "unresolved"
LEVEL = 0.05


@dataclass(frozen=True)
class PassRates:
    """How often images pass, by (judge model, contestant): arrays with one value per seed of the contestant.

    Each value is the mean over the judge model's eligible trainings.
    """

    log_odds: Mapping[tuple[str, str], Floats]
    variance: Mapping[tuple[str, str], Floats]
    """Of the log odds, from the images alone."""
    shares_of_real: Mapping[tuple[str, str], Floats]
    """Share of passing images over that of real images, at most 1."""
    seeds: Mapping[str, tuple[int, ...]]

    def judges_of(self, contestants: Sequence[str], judged_by: Mapping[str, str]) -> list[str]:
        """Judge models that met all of `contestants` and were trained with none of them."""
        trained = {judged_by.get(name, name) for name in contestants}
        models = dict.fromkeys(judge for judge, _ in self.log_odds)
        met = [judge for judge in models if all((judge, name) in self.log_odds for name in contestants)]
        return [judge for judge in met if judge not in trained]

    def of(self, judges: Sequence[str], contestant: str) -> Floats:
        """Log odds (J, G) of one contestant before some judge models."""
        return np.stack([self.log_odds[judge, contestant] for judge in judges])

    def image_variance(self, judges: Sequence[str], contestant: str) -> float:
        """Variance of the mean log odds from the images alone: the judges share a contestant's images."""
        return float(np.mean([self.variance[judge, contestant].mean() for judge in judges])) / len(
            self.seeds[contestant]
        )


@dataclass(frozen=True)
class Verdict:
    """Difference of two contestants' log odds of passing, its 95 % interval and p of no difference, and who wins.

    `winner` is a model, TIE (the 90 % interval lies within the tolerance) or UNRESOLVED, for which `reason` says why.
    """

    advantage: float | None
    low: float | None
    high: float | None
    judges: int
    winner: str
    reason: str | None = None
    p: float | None = None


def pass_rates(judges: Sequence[JudgeScores], contestants: Sequence[str]) -> PassRates:
    """Every eligible judge on every contestant, at the threshold with MATCHED_ERROR on real validation images.

    A share above that of held-out real images is set to theirs: no image is more real than real ones. A seed of a
    contestant that some eligible training of a judge model did not meet leaves the pair of them out.
    """
    seeds = {
        name: tuple(sorted({seed for judge in judges for model, seed in judge.samples if model == name}))
        for name in contestants
    }
    eligible = [judge for judge in judges if beats_chance(judge)[0]]
    log_odds, variance, shares = {}, {}, {}
    for model in dict.fromkeys(judge.model for judge in eligible):
        trainings = [judge for judge in eligible if judge.model == model]
        for name in contestants:
            cells = [[_passing(judge, (name, seed)) for seed in seeds[name]] for judge in trainings]
            if seeds[name] and all(cell is not None for row in cells for cell in row):
                key = model, name
                log_odds[key], variance[key], shares[key] = np.array(cells, dtype=float).mean(axis=0).T
    return PassRates(log_odds, variance, shares, seeds)


def _passing(judge: JudgeScores, contestant: tuple[str, int]) -> tuple[float, float, float] | None:
    """Log odds of passing, their variance from the images, and the share over real images' (at most 1).

    None where the judge did not meet the contestant.
    """
    logits = judge.samples.get(contestant)
    if logits is None or not len(logits):
        return None
    threshold = matched_threshold(judge.valid, MATCHED_ERROR)
    real = 1 - errors_on_real(judge.test, threshold) / len(judge.test)
    count = min(errors_on_generated(logits, threshold), real * len(logits))
    passed, failed = count + 0.5, len(logits) - count + 0.5
    return math.log(passed / failed), 1 / passed + 1 / failed, count / len(logits) / real if real else 1.0


def decide(
    rates: PassRates,
    model_1: str,
    model_2: str,
    *,
    judged_by: Mapping[str, str] | None = None,
    tolerance: float = 0.3,
) -> Verdict:
    """The verdict on two contestants.

    Args:
        judged_by: the model whose training a contestant shares; two samples of one training are paired by seed.
        tolerance: odds of passing that are at most this factor (plus 1) apart are a tie.
    """
    shared = judged_by or {}
    judges = rates.judges_of((model_1, model_2), shared)
    if not judges:
        return Verdict(None, None, None, 0, UNRESOLVED, "no third-party judge")
    first, second = (rates.of(judges, name) for name in (model_1, model_2))
    advantage = float(first.mean() - second.mean())
    if reason := _too_little(len(judges), min(first.shape[1], second.shape[1])):
        return Verdict(advantage, None, None, len(judges), UNRESOLVED, reason)
    paired = are_paired(rates, model_1, model_2, shared)
    parts = [variance_of_mean(first.mean(axis=1) - second.mean(axis=1)), *_seed_parts(first, second, paired)]
    # Seeds that agree by luck must not look surer than their images allow.
    images = sum(rates.image_variance(judges, name) for name in (model_1, model_2))
    variance = max(sum(part for part, _ in parts), images)
    freedom = welch_freedom(parts, variance)
    reach, inner = (student_quantile(1 - level, freedom) * math.sqrt(variance) for level in (LEVEL / 2, LEVEL))
    winner = _winner(model_1, model_2, advantage, reach, inner, math.log1p(tolerance))
    reason = None if winner != UNRESOLVED else "the interval holds both 0 and more than the tolerance"
    p = two_sided_p(advantage, math.sqrt(variance), freedom)
    return Verdict(advantage, advantage - reach, advantage + reach, len(judges), winner, reason, p)


def one_judges_verdict(
    rates: PassRates, judge: str, model_1: str, model_2: str, judged_by: Mapping[str, str]
) -> str | None:
    """The contestant that passes one judge model more often, by a test over their seeds at LEVEL; None for a tie.

    With one seed the images are the only replicates.
    """
    first, second = (rates.of([judge], name) for name in (model_1, model_2))
    parts = _seed_parts(first, second, are_paired(rates, model_1, model_2, judged_by))
    images = sum(rates.image_variance([judge], name) for name in (model_1, model_2))
    variance = max(sum(part for part, _ in parts), images)
    reach = student_quantile(1 - LEVEL / 2, welch_freedom(parts, variance)) * math.sqrt(variance)
    advantage = float(first.mean() - second.mean())
    return None if abs(advantage) <= reach else model_1 if advantage > 0 else model_2


def are_paired(rates: PassRates, model_1: str, model_2: str, judged_by: Mapping[str, str]) -> bool:
    """Whether both are samples of the same trainings."""
    same = judged_by.get(model_1, model_1) == judged_by.get(model_2, model_2)
    return same and rates.seeds[model_1] == rates.seeds[model_2]


def _too_little(judges: int, seeds: int) -> str | None:
    """Why nothing can be decided by so many judge models and seeds; None where it can."""
    if judges < FEWEST_JUDGES:
        return f"third-party judges: {judges}, at least {FEWEST_JUDGES} are needed"
    return "one seed: how another training would differ is not known" if seeds < 2 else None


def _seed_parts(first: Floats, second: Floats, paired: bool) -> list[tuple[float, float]]:
    """Variances of the mean over each side's seeds and their degrees of freedom; one where they are paired."""
    if paired:
        return [variance_of_mean((first - second).mean(axis=0))]
    return [variance_of_mean(side.mean(axis=0)) for side in (first, second)]


def _winner(model_1: str, model_2: str, advantage: float, reach: float, inner: float, margin: float) -> str:
    if abs(advantage) > reach:
        return model_1 if advantage > 0 else model_2
    return TIE if abs(advantage) + inner <= margin else UNRESOLVED
