"""Intervals at 95 %: over seeds, by the delete-a-group jackknife, and from per-image indicators.

No bootstrap: its duplicates break nearest neighbours and covariances. Every interval holds its point estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.metrics.estimates import (
    NORMAL_QUANTILE,
    SMALLEST_RATE,
    Estimate,
    Scale,
    around,
    combine_seeds,
    forward,
    t_quantile,
    usable,
)

__all__ = ["around", "combine_seeds", "delta", "jackknife", "larger", "per_image_mean", "rate", "t_quantile"]


def jackknife(value: float, without: Sequence[float], scale: Scale) -> Estimate:
    """Delete-a-group jackknife (Shao & Wu 1989) from the statistic computed without each of G groups in turn.

    Squared error (G - 1) / G * sum_g (theta_g - mean)^2 on `scale`, Student's t with G - 1 degrees.
    """
    kind = "delete-d jackknife"
    if not all(map(math.isfinite, [value, *without])):
        return Estimate(value, math.nan, math.nan, kind)
    scale = usable([value, *without], scale)
    moved = torch.tensor([forward(v, scale) for v in without], dtype=torch.float64)
    groups = len(moved)
    error = math.sqrt((groups - 1) * moved.var(correction=0).item())
    return around(value, forward(value, scale), t_quantile(groups - 1) * error, scale, kind)


def rate(indicators: Tensor) -> Estimate:
    """Share of true indicators (n,), one per image, with Wilson's interval (1927)."""
    share = indicators.double().mean().item()
    return _wilson(share, indicators.numel(), NORMAL_QUANTILE, "per-image")


def _wilson(share: float, n: float, quantile: float, kind: str) -> Estimate:
    z2 = quantile**2 / n
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * share * (1 - share) + z2 * z2 / 4) / (1 + z2)
    return around(share, centre, half, "linear", kind)


def jackknife_rate(indicators: Tensor, without: Sequence[Tensor]) -> Estimate:
    """Share of true indicators (n,), given also without each group: the wider of Wilson's interval and the jackknife's.

    Per-image indicators alone forget that a classifier or a ball would differ with other images; the jackknife alone
    sees no uncertainty in a rate of 0.
    """
    per_image = rate(indicators)
    fewer = [each.double().mean().item() for each in without]
    return wider(per_image, jackknife(per_image.value, fewer, "logit"))


def jackknife_mean(values: Tensor, without: Sequence[Tensor]) -> Estimate:
    """Mean of positive values (n,), one per image, in the same way, on the scale 'log'."""
    per_image = per_image_mean(values, "log")
    fewer = [each.double().mean().item() for each in without]
    return wider(per_image, jackknife(per_image.value, fewer, "log"))


def subsampled_rate(indicators: Tensor, blocks: Sequence[Tensor]) -> Estimate:
    """Share of true indicators (n,), with those of the same test on disjoint subsamples (Politis & Romano 1994).

    The subsamples' rates vary more than independent images would let them, by a factor phi (the design effect);
    Wilson's interval is taken at n / phi images, with Student's quantile. It suits K-NN votes, on which the jackknife
    is far too wide.
    """
    shares = torch.tensor([block.double().mean().item() for block in blocks], dtype=torch.float64)
    size = sum(block.numel() for block in blocks) / len(blocks)
    share = shares.mean().item()
    by_chance = share * (1 - share) / size
    design_effect = max(1.0, shares.var().item() / by_chance) if by_chance > 0 else 1.0
    value, n = indicators.double().mean().item(), indicators.numel()
    return _wilson(value, n / design_effect, t_quantile(len(blocks) - 1), "subsampling")


def per_image_mean(values: Tensor, scale: Scale = "linear") -> Estimate:
    """Mean of one value per image (n,), with Student's t by the delta method on `scale`."""
    values = values.double()
    mean = values.mean().item()
    error = values.std().item() / math.sqrt(len(values))
    return delta(mean, error, scale, degrees=len(values) - 1)


def delta(value: float, error: float, scale: Scale, *, degrees: int = 10**6) -> Estimate:
    """An interval from a standard error, carried over to `scale` by its derivative; kind 'per-image'."""
    scale = usable([value], scale)
    slope = {"log": value, "logit": max(value * (1 - value), SMALLEST_RATE), "linear": 1.0}[scale]
    half = t_quantile(degrees) * error / slope if degrees > 0 else math.nan
    return around(value, forward(value, scale), half, scale, "per-image")


def larger(first: Estimate, second: Estimate) -> Estimate:
    """The larger of two rates, with its own interval."""
    return first if first.value >= second.value else second


def wider(first: Estimate, second: Estimate) -> Estimate:
    """Of two estimates of one value the one with the longer interval."""
    return first if first.high - first.low >= second.high - second.low else second
