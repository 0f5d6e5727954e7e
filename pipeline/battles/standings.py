"""Standings: one rating per model from all judges' verdicts, a judge's own generator left out.

Bradley & Terry, 'Rank analysis of incomplete block designs' (1952). Olsson et al., 'Skill rating for generative
models', arXiv:1808.04888, rate generators by the discriminators that they fool (there with Glicko). Changed here: a
verdict is not one bit but the judge's odds. Show a judge one image of a and one of b, and let it be fooled by exactly
one of them: it was a's with the probability p_a (1 - p_b) / (p_a (1 - p_b) + p_b (1 - p_a)), where p is the share of a
contestant's images that fools this judge. The judge's strictness cancels: lenient and strict judges count alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.battles.ratios import student_quantile
from pipeline.battles.scores import JudgeScores, beats_chance, errors_on_generated
from pipeline.battles.verdicts import Row

Floats = NDArray[np.floating]

STANDINGS_COLUMNS = ("model", "rating", "rating_low", "rating_high", "judged")
MEAN_RATING = 1500.0
POINTS = 400 / math.log(10)  # per unit of log odds: 400 points more are odds of 10 to 1
RIDGE = 0.01  # precision of the prior N(0, 10^2) on a model's log odds


@dataclass(frozen=True)
class Verdicts:
    """Smoothed shares of images that fooled each judge, (J, C, S); nan where a judge did not judge or must not.

    `clusters` (J,) numbers the judges' models; `contestants` names the C models, S is the largest number of seeds.
    """

    shares: Floats
    clusters: NDArray[np.intp]
    contestants: tuple[str, ...]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which judge judged which contestant, (J, C); a judge of fewer than two compares nobody."""
        seen = np.isfinite(self.shares).any(axis=2)
        return seen & (seen.sum(axis=1, keepdims=True) > 1)


def collect_verdicts(
    judges: Sequence[JudgeScores], contestants: Sequence[str], judged_by: Mapping[str, str] | None = None
) -> Verdicts:
    """Verdicts of every judge that beats chance on every contestant but those that share its discriminator."""
    sitting = [judge for judge in judges if beats_chance(judge)[0]]
    models = sorted({judge.model for judge in sitting})
    seeds = sorted({seed for judge in sitting for _, seed in judge.samples})
    shares = np.full((len(sitting), len(contestants), max(len(seeds), 1)), np.nan)
    for j, judge in enumerate(sitting):
        for c, name in enumerate(contestants):
            if (judged_by or {}).get(name, name) == judge.model:
                continue
            for s, seed in enumerate(seeds):
                logits = judge.samples.get((name, seed), np.empty(0))
                if len(logits):
                    shares[j, c, s] = (errors_on_generated(logits) + 0.5) / (len(logits) + 1)
    clusters = np.array([models.index(judge.model) for judge in sitting], dtype=np.intp)
    return Verdicts(shares, clusters, tuple(contestants))


def standings(
    judges: Sequence[JudgeScores],
    contestants: Sequence[str],
    *,
    judged_by: Mapping[str, str] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> list[Row]:
    """Rows of STANDINGS_COLUMNS, best first: `judged` counts the judges (model and seed) whose verdict a model has.

    Ratings have a mean of 1500; 400 points more mean that, of two images of which one fooled a judge, it was this
    model's ten times to one. `judged_by` names the model whose discriminator a contestant shares. Judges that do not
    beat chance are left out. A mild normal prior (standard deviation 10 in log odds) keeps ratings finite where a
    contestant fools nobody, and identified where few judges leave contestants barely compared: it pulls towards 1500.

    The 95 % interval is a Bayesian bootstrap (Rubin 1981: random weights, never zero, so that no draw loses a judge)
    clustered by judge model, then by its seeds, with the contestants' seeds beside; one seed leaves out how a model's
    seeds differ. It is empty where the verdicts fit exactly, with nothing left over to see a spread by. A model that
    is compared with nobody has no rating.
    """
    verdicts = collect_verdicts(judges, contestants, judged_by)
    judged = verdicts.judged.sum(axis=0)
    compared = judged > 0
    rows: list[Row] = []
    if compared.any():
        rng = np.random.default_rng(seed)
        ratings = rate(verdicts, *_equal_weights(verdicts))[0]
        drawn = rate(verdicts, *_random_weights(verdicts, draws, rng))
        reach = _reach(verdicts, drawn)
        for c in sorted(np.flatnonzero(compared), key=lambda c: (-ratings[c], verdicts.contestants[c])):
            low, high = (ratings[c] - reach[c], ratings[c] + reach[c]) if reach is not None else (None, None)
            rows.append(_standing(verdicts.contestants[c], float(ratings[c]), low, high, int(judged[c])))
    alone = (name for name, known in zip(verdicts.contestants, compared, strict=True) if not known)
    return rows + [_standing(name, None, None, None, 0) for name in alone]


def _standing(model: str, rating: float | None, low: float | None, high: float | None, judged: int) -> Row:
    bounds = (None if bound is None else float(bound) for bound in (low, high))
    return dict(zip(STANDINGS_COLUMNS, (model, rating, *bounds, judged), strict=True))


def _equal_weights(verdicts: Verdicts) -> tuple[Floats, Floats]:
    """Every judge model the same weight, shared by its seeds, (1, J); every seed of a contestant alike, (1, C, S)."""
    sizes = np.bincount(verdicts.clusters)[verdicts.clusters]
    return (1 / sizes)[None], np.ones((1, *verdicts.shares.shape[1:]))


def _random_weights(verdicts: Verdicts, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Dirichlet(1, ..., 1) weights of the judge models, of the seeds within each, and of the contestants' seeds."""
    _, members = np.unique(verdicts.clusters, return_counts=True)
    between = _dirichlet(rng, draws, len(members))
    within = np.ones((draws, len(verdicts.clusters)))
    for cluster, size in enumerate(members):
        within[:, verdicts.clusters == cluster] = _dirichlet(rng, draws, size) / size
    _, contestants, seeds = verdicts.shares.shape
    generator = np.stack([_dirichlet(rng, draws, seeds) for _ in range(contestants)], axis=1)
    return between[:, verdicts.clusters] * within, generator


def _dirichlet(rng: np.random.Generator, draws: int, n: int) -> Floats:
    """Rubin's random weights, (draws, n), of mean 1."""
    return rng.dirichlet(np.ones(n), draws) * n


def rate(verdicts: Verdicts, judge_weights: Floats, seed_weights: Floats) -> Floats:
    """Ratings (B, C) for weights of the judges (B, J) and of the contestants' seeds (B, C, S)."""
    wins = np.zeros((len(judge_weights), len(verdicts.contestants), len(verdicts.contestants)))
    for shares, seen, weights in zip(verdicts.shares, verdicts.judged, judge_weights.T, strict=True):
        present = np.isfinite(shares)
        mass = np.where(present, seed_weights, 0.0)
        mean = np.where(present, shares, 0.0) * mass
        p = np.where(seen, mean.sum(axis=2) / np.maximum(mass.sum(axis=2), 1e-300), 0.5)
        a = p[:, :, None] * (1 - p[:, None, :])
        both = seen[:, None] & seen[None, :] & ~np.eye(len(seen), dtype=bool)
        wins += weights[:, None, None] * both * a / (a + a.transpose(0, 2, 1))
    return MEAN_RATING + POINTS * _centred(bradley_terry(wins), np.flatnonzero(verdicts.judged.any(axis=0)))


def _centred(skills: Floats, compared: NDArray[np.intp]) -> Floats:
    """Skills (B, C) less the mean over the contestants that were compared."""
    return skills - skills[:, compared].mean(axis=1, keepdims=True)


def bradley_terry(wins: Floats, ridge: float = RIDGE, steps: int = 100) -> Floats:
    """Log odds (B, C) that maximise the Bradley-Terry likelihood of fractional wins (B, C, C) under a normal prior.

    `wins[:, a, b]` is how often a beat b. Damped Newton steps; the log posterior is strictly concave.
    """
    skills = np.zeros(wins.shape[:2])
    games = wins + wins.transpose(0, 2, 1)
    identity = np.eye(wins.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(skills[:, None, :] - skills[:, :, None]))
        gradient = (wins - games * p).sum(axis=2) - ridge * skills
        curvature = games * p * (1 - p)
        hessian = identity * (curvature.sum(axis=2) + ridge)[:, :, None] - curvature
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        skills = skills + step * np.minimum(1.0, 1.0 / np.maximum(largest, 1e-300))
        if largest.max() < 1e-10:
            break
    return skills


def _reach(verdicts: Verdicts, drawn: Floats) -> Floats | None:
    """Half widths (C,) of the 95 % intervals; None where no verdict is left over to tell a spread by."""
    seen = verdicts.judged
    models, seeds = np.unique(verdicts.clusters), np.isfinite(verdicts.shares).sum(axis=2).max()
    per_model = np.array([seen[verdicts.clusters == model].any(axis=0).sum() for model in models])
    spare = int(np.maximum(per_model - 1, 0).sum() - (seen.any(axis=0).sum() - 1))
    largest_cluster = int(np.bincount(verdicts.clusters).max())
    clusters = len(models) if spare > 0 else max(largest_cluster, int(seeds))
    if clusters < 2:
        return None
    # Dirichlet weights of n give (n - 1) / (n + 1) of the variance of a mean of n.
    shrunk = math.sqrt((clusters + 1) / (clusters - 1))
    return student_quantile(0.975, clusters - 1) * shrunk * drawn.std(axis=0, ddof=1)
