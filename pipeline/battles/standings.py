"""Standings: one rating per model from the verdicts of judges of other trainings, with ties.

Each judge model gives a verdict on each pair of contestants that it was not trained with: the one whose images pass it
more often over their seeds, or a tie. Davidson, 'On extending the Bradley-Terry model to accommodate ties in paired
comparison experiments' (1970): a beats b, b beats a and a tie go as pi_a : pi_b : nu sqrt(pi_a pi_b). Olsson et al.,
'Skill rating for generative models', arXiv:1808.04888, rate generators by the discriminators that they fool.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.battles.ratios import student_quantile
from pipeline.battles.scores import JudgeScores
from pipeline.battles.third_party import FEWEST_JUDGES, PassRates, one_judges_verdict, pass_rates
from pipeline.battles.verdicts import Row

Floats = NDArray[np.floating]

HALVES = ("rating_half_1", "rating_half_2")
STANDINGS_COLUMNS = (
    "model", "rating", "rating_low", "rating_high", "judged", "rating_without", "left_out", *HALVES,
)  # fmt: skip
MEAN_RATING = 1500.0
POINTS = 400 / math.log(10)  # per unit of log odds: 400 points more are odds of 10 to 1
RIDGE = 0.01  # precision of the prior N(0, 10^2) on a model's log odds
HALF_A_VERDICT = 0.5
"""Added to both sides of every pair that was compared: a model that wins every verdict has a finite rating."""

PASSES_AS_REAL = 0.5
"""From this part of the real images' share of passing images on, judges let a contestant pass."""

OUTPASSED = "a two-sample test without judges rejects its samples in most seeds, yet judges let them pass"
BEYOND_TRAINING = "sampled for longer than it was trained for"


@dataclass(frozen=True)
class Games:
    """Verdicts by judge model: `wins` (J, C, C), whether a beat b, and `ties` (J, C, C), symmetric."""

    wins: Floats
    ties: Floats
    contestants: tuple[str, ...]

    @property
    def played(self) -> Floats:
        """Verdicts on each pair by each judge, (J, C, C)."""
        return self.wins + self.wins.transpose(0, 2, 1) + self.ties

    @property
    def judged(self) -> NDArray[np.intp]:
        """Judge models with a verdict on each contestant, (C,)."""
        return (self.played.sum(axis=2) > 0).sum(axis=0)

    def half(self, which: int) -> Games:
        """The verdicts of every second judge model, from the one with the index `which`, 0 or 1."""
        return Games(self.wins[which::2], self.ties[which::2], self.contestants)

    def among(self, names: Collection[str]) -> Games:
        """The verdicts on pairs of some contestants."""
        kept = [index for index, name in enumerate(self.contestants) if name in names]
        wins, ties = (table[:, kept][:, :, kept] for table in (self.wins, self.ties))
        return Games(wins, ties, tuple(self.contestants[index] for index in kept))


def play(rates: PassRates, contestants: Sequence[str], judged_by: Mapping[str, str] | None = None) -> Games:
    """Every judge model's verdict on every pair of contestants that do not share its training."""
    shared, judges = judged_by or {}, sorted({judge for judge, _ in rates.log_odds})
    wins, ties = np.zeros((2, len(judges), len(contestants), len(contestants)))
    for j, judge in enumerate(judges):
        for a, first in enumerate(contestants):
            for b, second in enumerate(contestants[:a]):
                if judge in rates.judges_of((first, second), shared):
                    winner = one_judges_verdict(rates, judge, first, second, shared)
                    wins[j, a, b], wins[j, b, a] = winner == first, winner == second
                    ties[j, a, b] = ties[j, b, a] = winner is None
    return Games(wins, ties, tuple(contestants))


def standings(
    judges: Sequence[JudgeScores],
    contestants: Sequence[str],
    *,
    judged_by: Mapping[str, str] | None = None,
    beyond_training: Collection[str] = (),
    rejected: Collection[str] = (),
    draws: int = 1000,
    seed: int = 0,
) -> list[Row]:
    """Rows of STANDINGS_COLUMNS, best first: `judged` counts the judge models that have a verdict on a model.

    Ratings have a mean of 1500; 400 points more mean that a verdict, if it is no tie, goes to this model ten times to
    one. The 95 % interval is a Bayesian bootstrap (Rubin 1981) over judge models, and is empty with fewer than three. A
    model that is compared with nobody has no rating. HALVES are the ratings by two disjoint halves of the judge models.

    Args:
        judged_by: the model whose discriminator a contestant shares.
        beyond_training: contestants that are named but not rated: sampled for more steps than they were trained for.
        rejected: contestants whose samples a two-sample test without judges rejects in most seeds. Those of them that
            judges let pass anyway are left out of `rating_without`.
    """
    rates = pass_rates(judges, contestants)
    games = play(rates, contestants, judged_by).among(set(contestants) - set(beyond_training))
    reasons = {name: OUTPASSED for name in outpassed(rates, rejected, judged_by)} | dict.fromkeys(
        beyond_training, BEYOND_TRAINING
    )
    rows = rated(games, draws, seed)
    without = {row["model"]: row["rating"] for row in rated(games.among(set(contestants) - reasons.keys()), 0, seed)}
    halves = [{row["model"]: row["rating"] for row in rated(games.half(which), 0, seed)} for which in (0, 1)]
    rows += [dict.fromkeys(STANDINGS_COLUMNS) | {"model": name, "judged": 0} for name in beyond_training]
    return [
        row
        | {"rating_without": without.get(row["model"]), "left_out": reasons.get(str(row["model"]))}
        | {name: half.get(row["model"]) for name, half in zip(HALVES, halves, strict=True)}
        for row in rows
    ]


def outpassed(rates: PassRates, rejected: Collection[str], judged_by: Mapping[str, str] | None = None) -> list[str]:
    """Those of the rejected contestants whose images pass third-party judges half as often as real ones, or more."""
    found = []
    for name in rejected:
        judges = rates.judges_of((name,), judged_by or {})
        shares = [float(np.mean(rates.shares_of_real[judge, name])) for judge in judges]
        if shares and np.mean(shares) >= PASSES_AS_REAL:
            found.append(name)
    return found


def rated(games: Games, draws: int, seed: int) -> list[Row]:
    """Ratings with their intervals, best first; without draws, no interval."""
    judged = games.judged
    compared = np.flatnonzero(judged > 0)
    rows: list[Row] = []
    if len(compared):
        count = len(games.wins)
        ratings = rate(games, np.ones((1, count)))[0]
        reach = _reach(games, np.random.default_rng(seed), draws) if draws and count >= FEWEST_JUDGES else None
        for c in sorted(compared, key=lambda c: (-ratings[c], games.contestants[c])):
            low, high = (None, None) if reach is None else (ratings[c] - reach[c], ratings[c] + reach[c])
            rows.append(_standing(games.contestants[c], float(ratings[c]), low, high, int(judged[c])))
    alone = (name for name, count in zip(games.contestants, judged, strict=True) if not count)
    return rows + [_standing(name, None, None, None, 0) for name in alone]


def _standing(model: str, rating: float | None, low: float | None, high: float | None, judged: int) -> Row:
    ends = (None if bound is None else float(bound) for bound in (low, high))
    return dict.fromkeys(STANDINGS_COLUMNS) | dict(zip(STANDINGS_COLUMNS, (model, rating, *ends, judged), strict=False))


def rate(games: Games, weights: Floats) -> Floats:
    """Ratings (B, C) for weights of the judge models (B, J), centred on the contestants that were compared."""
    wins, ties = (np.einsum("bj,jcd->bcd", weights, table) for table in (games.wins, games.ties))
    wins = wins + HALF_A_VERDICT * (games.played.sum(axis=0) > 0)
    skills, _ = davidson(wins, ties)
    compared = np.flatnonzero(games.judged > 0)
    return MEAN_RATING + POINTS * (skills - skills[:, compared].mean(axis=1, keepdims=True))


def davidson(wins: Floats, ties: Floats, ridge: float = RIDGE, steps: int = 200) -> tuple[Floats, Floats]:
    """Log pi (B, C) and log nu (B,) that maximise Davidson's likelihood under a mild normal prior on log pi.

    Args:
        wins: how often a beat b, (B, C, C).
        ties: how often a and b tied, (B, C, C), symmetric. Without any, nu is 0 and the model Bradley and Terry's.

    Damped Newton steps; the log posterior is concave.
    """
    batch, count = wins.shape[:2]
    has_ties = bool(ties.any())
    skills, log_nu = np.zeros((batch, count)), np.full(batch, 0.0 if has_ties else -np.inf)
    played = wins + wins.transpose(0, 2, 1) + ties
    for _ in range(steps):
        gap = skills[:, :, None] - skills[:, None, :]
        tie_weight = np.exp(log_nu)[:, None, None]
        mass = 2 * np.cosh(gap / 2) + tie_weight
        p_win, p_tie = np.exp(gap / 2) / mass, tie_weight / mass
        gradient = (wins + ties / 2 - played * (p_win + p_tie / 2)).sum(axis=2) - ridge * skills
        score = p_win + p_tie / 2  # what a is expected to have of a verdict on a and b
        spread = played * (p_win + p_tie / 4 - score**2)
        hessian = np.eye(count) * (spread.sum(axis=2) + ridge)[:, :, None] - spread
        if has_ties:
            with_nu = (played * p_tie * (0.5 - score)).sum(axis=2)
            own = (played * p_tie * (1 - p_tie)).sum(axis=(1, 2)) / 2
            right = np.concatenate([gradient, ((ties - played * p_tie).sum(axis=(1, 2)) / 2)[:, None]], axis=1)
            hessian = np.concatenate([hessian, with_nu[:, None, :]], axis=1)
            last = np.concatenate([with_nu, own[:, None]], axis=1)
            step = np.linalg.solve(np.concatenate([hessian, last[:, :, None]], axis=2), right[:, :, None])[:, :, 0]
        else:
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        step = step * np.minimum(1.0, 1.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        skills = skills + step[:, :count]
        log_nu = log_nu + step[:, count] if has_ties else log_nu
        if np.abs(step).max() < 1e-10:
            break
    return skills, log_nu


def _reach(games: Games, rng: np.random.Generator, draws: int) -> Floats:
    """Half widths (C,) of the 95 % intervals: random weights of the judge models, so that no draw loses a judge."""
    judges = len(games.wins)
    drawn = rate(games, rng.dirichlet(np.ones(judges), draws) * judges)
    # Dirichlet weights of n give (n - 1) / (n + 1) of the variance of a mean of n.
    shrunk = math.sqrt((judges + 1) / (judges - 1))
    return student_quantile(0.975, judges - 1) * shrunk * drawn.std(axis=0, ddof=1)
