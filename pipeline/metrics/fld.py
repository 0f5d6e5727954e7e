"""Feature likelihood divergence (Jiralerspong et al. 2023, arXiv:2302.04440): fidelity, diversity and copying in one.

A mixture of Gaussians stands on the samples' features; the variances are fitted to training images, and held-out
images are scored. A copy of a training image gets a variance near 0, which explains no held-out image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate, Once, now
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import jackknife

ORDER = 85

COLUMNS: dict[str, dict[str, str]] = {
    "fld": {
        "label": "FLD",
        "meaning": "Feature likelihood divergence: 100 times the nats per feature that held-out images lose under "
        "Gaussians on the samples, against Gaussians on real images; copies of training images raise it.",
        "better": "lower",
        "unit": "0.01 nats per feature",
        "scale": "linear",
    },
    "fld_gap": {
        "label": "FLD, generalisation gap",
        "meaning": "The same loss of training images minus that of held-out ones; far below the row `real` samples "
        "are copies of training images.",
        "better": "near_real",
        "unit": "0.01 nats per feature",
        "scale": "linear",
    },
}

STEPS, RATE, BETAS, EPSILON = 50, 0.5, (0.9, 0.999), 1e-8
"""Of Adam, as in the authors' code."""
ORIGIN_SHARE = 0.1
NEAREST_AT_LEAST = 1e-3
LOG_VARIANCES = (-40.0, 20.0)
CHUNK = 1000
"""Points whose densities are computed at once."""
CACHED = 300_000
"""Densities worked on at once while fitting: few enough to stay in the cache."""
SMALLEST_LOG = -87.0
"""Of a density's share: torch's exp takes five times as long where its value is too small for a float32."""
FEWEST = 4
MOST_REPEATED = 0.1
"""Share of images that are another's copy: a Gaussian there has no width, and a likelihood without bound."""


@dataclass(frozen=True)
class Mixture:
    """Equally likely Gaussians with means (m, d) and log variances (m,)."""

    means: Tensor
    log_variances: Tensor

    def log_likelihoods(self, points: Tensor, groups: Sequence[Tensor] | None = None) -> Tensor:
        """Of points (n, d), (n, 1) nats; with groups of means, also without each group in turn: (n, 1 + G)."""
        every = [torch.arange(len(self.means))]
        parts = [squares(part, self.means) for part in points.split(CHUNK)]
        logs = [log_densities(part, self.log_variances, points.shape[1]) for part in parts]
        by_group = torch.cat([torch.stack([log_of_sums(part[:, g]) for g in groups or every], 1) for part in logs])
        if groups is None:
            return by_group
        others = 1 - torch.eye(len(groups), dtype=points.dtype)
        kept = by_group[:, None, :] + others.log()  # of the group that is left out: -inf
        counts = torch.tensor([len(group) for group in groups], dtype=points.dtype)
        fewer = kept.logsumexp(2) - (1 - counts / counts.sum()).log()
        return torch.cat([by_group.logsumexp(1, keepdim=True), fewer], 1)


def log_of_sums(logs: Tensor) -> Tensor:
    """log sum exp (n,) over the columns of (n, m), all finite."""
    largest = logs.amax(1, keepdim=True)
    return exp_below_0(logs - largest).sum(1).log_().add_(largest.squeeze(1))


def exp_below_0(logs: Tensor) -> Tensor:
    """exp of values up to 0, in place; those below SMALLEST_LOG become its exp, which is nothing beside an exp of 0."""
    return logs.clamp_min_(SMALLEST_LOG).exp_()


def squares(points: Tensor, means: Tensor) -> Tensor:
    """Squared distances (n, m)."""
    return torch.cdist(points, means).square()


def log_densities(distances: Tensor, log_variances: Tensor, d: int) -> Tensor:
    """Log of each Gaussian's share of the density, (n, m), from squared distances (n, m) in d dimensions."""
    constant = d / 2 * (log_variances + math.log(2 * math.pi)) + math.log(distances.shape[1])
    return (distances * (-0.5 / log_variances.exp())).sub_(constant)


def fit(means: Tensor, points: Tensor) -> Mixture:
    """Gaussians on means (m, d) whose variances explain points (n, d): Adam from each mean's nearest point.

    While they are fitted a broad Gaussian at the points' mean explains what no mean is near to.
    """
    distances, d = squares(points, means), points.shape[1]
    origin = (1 - ORIGIN_SHARE) ** 2 * squares(points, points.mean(0, keepdim=True))
    logs = torch.cat([((distances.amin(0) + NEAREST_AT_LEAST) / d).log(), torch.zeros(1, dtype=points.dtype)])
    mean, square = torch.zeros_like(logs), torch.zeros_like(logs)
    rows = max(1, CACHED // len(means))
    for step in range(1, STEPS + 1):
        gradient = torch.zeros_like(logs)
        for near, far in zip(distances.split(rows), origin.split(rows), strict=True):
            add_gradients(gradient, near, far, logs, d, len(points))
        adam_step(logs, gradient, mean, square, step)
        logs[:-1].clamp_(*LOG_VARIANCES)
    return Mixture(means, logs[:-1])


def adam_step(x: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, step: int) -> None:
    """One step (from 1) of Adam in place, as torch.optim.Adam takes it, whose first use imports 2 s of a compiler.

    `mean` and `square` are the moving averages of the gradient and of its square.
    """
    mean.lerp_(gradient, 1 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    deviation = (square.sqrt() / (1 - BETAS[1] ** step) ** 0.5).add_(EPSILON)
    x.addcdiv_(mean, deviation, value=-RATE / (1 - BETAS[0] ** step))


def add_gradients(gradient: Tensor, near: Tensor, far: Tensor, logs: Tensor, d: int, n: int) -> None:
    """Add the gradient of some points' part of the mean loss, from squared distances (k, m) and (k, 1), in place.

    `logs` (m + 1,) are log variances, the last of them the broad Gaussian's.
    """
    log_variances, broad = logs[:-1], logs[-1:]
    weights = log_densities(near, log_variances, d)
    largest = weights.amax(1, keepdim=True)
    exp_below_0(weights.sub_(largest))
    from_far = log_densities(far, broad, d)
    total = torch.logaddexp(largest + weights.sum(1, keepdim=True).log(), from_far)
    shares = (largest - total).exp().squeeze(1)
    mass = shares @ weights
    spread = shares @ weights.mul_(near)
    gradient[:-1] -= (spread / log_variances.exp() - d * mass) / (2 * n * d)
    gradient[-1:] -= ((from_far - total).exp() * (far / broad.exp() - d)).sum(0) / (2 * n * d)


def losses(mixture: Mixture, points: Tensor, groups: Sequence[Tensor] | None = None) -> Tensor:
    """100 nats per dimension of points (n, d): (n, 1), or (n, 1 + G) with and without groups of the means."""
    return -100 * mixture.log_likelihoods(points, groups) / points.shape[1]


def baseline(train: Tensor, test: Tensor, seed: int) -> Tensor:
    """Mean loss of held-out points under Gaussians on one random half of the training points, fitted to the other."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    half = len(train) // 2
    return losses(fit(train[order[:half]], train[order[half:]]), test).mean()


def without_each(values: Tensor, groups: Sequence[Tensor]) -> list[float]:
    """Mean of (n, 1 + G) losses of the points outside each group, by the mixture without it."""
    found = []
    for g, group in enumerate(groups, start=1):
        kept = torch.ones(len(values), dtype=torch.bool)
        kept[group] = False
        found.append(values[kept, g].mean().item())
    return found


def fld(
    *,
    real: Tensor,
    fake: Tensor,
    train: Tensor,
    parts: tuple[Sequence[Tensor], Sequence[Tensor]],
    seed: int = 0,
    once: Once = now,
) -> dict[str, Estimate]:
    """FLD and its gap of held-out (n, d), generated (m, d) and training (t, d) features, scaled by held-out ones.

    Features that are constant among held-out images are dropped. The interval leaves out groups of held-out and of
    generated images (`parts`: their indices), and of training images, with the variances as they were fitted.
    """
    deviation = real.std(0)
    kept = deviation > 0
    test, samples, seen = (((side - real.mean(0)) / deviation)[:, kept] for side in (real, fake, train))
    mixture = fit(samples, seen)
    held_out, trained = losses(mixture, test, parts[1]), losses(mixture, seen, parts[1])
    start = once(lambda: baseline(seen, test, seed)).item()
    value, fewer = held_out[:, 0].mean().item() - start, [x - start for x in without_each(held_out, parts[0])]
    seen_parts = [torch.arange(g, len(seen), len(parts[0])) for g in range(len(parts[0]))]
    gaps = [x - y for x, y in zip(without_each(trained, seen_parts), without_each(held_out, parts[0]), strict=True)]
    gap = trained[:, 0].mean().item() - held_out[:, 0].mean().item()
    return {"fld": jackknife(value, fewer, "linear"), "fld_gap": jackknife(gap, gaps, "linear")}


def no_density(*, real: Tensor, fake: Tensor, train: Tensor) -> str | None:
    """Why Gaussians around the samples would say nothing of these features (n, d); None where they do."""
    if min(map(len, (real, fake, train))) < FEWEST:
        return f"fewer than {FEWEST} held-out, generated or training images"
    if not bool((real.std(0) > 0).any()):
        return "all real images are the same"
    for name, side in (("real", real), ("training", train)):
        if len(side.unique(dim=0)) < (1 - MOST_REPEATED) * len(side):
            return f"over {MOST_REPEATED:.0%} of the {name} images are repeated, where a density has no bound"
    return None


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """On the reference classifier's features, where training images' are given."""
    if not comparison.has("classifier", train=True):
        return {}
    sides = {"real": comparison.real["classifier"], "fake": comparison.fake["classifier"]}
    train = comparison.train["classifier"]
    reason = no_density(train=train, **sides)
    if reason:
        return dict.fromkeys(COLUMNS, undefined(reason))
    parts = comparison.real_groups, comparison.fake_groups
    return fld(**sides, train=train, parts=parts, seed=comparison.seed, once=partial(comparison.once, "fld"))
