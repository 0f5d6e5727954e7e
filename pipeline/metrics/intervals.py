"""Intervals at 95 %: over seeds, by the delete-a-group jackknife, and from per-image indicators.

No bootstrap: its duplicates break nearest neighbours and covariances. Every interval holds its point estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pipeline.metrics.comparison import Estimate

Scale = Literal["log", "logit", "linear"]
"""Where an interval is symmetric: distances on 'log', rates on 'logit', what may be negative on 'linear'."""

NORMAL_QUANTILE = 1.959963984540054
"""97.5 % of the standard normal."""

# 97.5 % quantiles of Student's t with 1 to 20 degrees of freedom
T_QUANTILES = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
    2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963,
)  # fmt: skip

SMALLEST_RATE = 1e-5
"""Rates of exactly 0 and 1 have no logit: they are moved inwards by a tenth of an image in 10,000."""

LARGEST_EXPONENT = 700.0
"""Ends beyond exp(700) are given as that: a float64 holds no more."""


def t_quantile(degrees: int) -> float:
    """97.5 % quantile of Student's t; beyond 20 degrees by Cornish-Fisher (Abramowitz & Stegun 26.7.5)."""
    if degrees <= len(T_QUANTILES):
        return T_QUANTILES[degrees - 1]
    z = NORMAL_QUANTILE
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3


def _forward(value: float, scale: Scale) -> float:
    if scale == "log":
        return math.log(value)
    if scale == "logit":
        inside = min(max(value, SMALLEST_RATE), 1 - SMALLEST_RATE)
        return math.log(inside / (1 - inside))
    return value


def _back(value: float, scale: Scale) -> float:
    if scale == "log":
        return math.exp(min(value, LARGEST_EXPONENT))
    return 1 / (1 + math.exp(min(-value, LARGEST_EXPONENT))) if scale == "logit" else value


def _usable(values: Sequence[float], scale: Scale) -> Scale:
    """The scale itself, or 'linear' where a value has no logarithm (a distance of exactly 0)."""
    return "linear" if scale == "log" and min(values) <= 0 else scale


def around(value: float, centre: float, half_width: float, scale: Scale, kind: str) -> Estimate:
    """The interval centre -+ half_width, both on `scale`, widened where rounding would leave `value` outside.

    A half-width that is not finite (one image, a model that diverged) gives an interval without bounds' meaning:
    both ends are NaN.
    """
    if not math.isfinite(half_width) or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, kind)
    low, high = _back(centre - half_width, scale), _back(centre + half_width, scale)
    return Estimate(value, min(low, value), max(high, value), kind)


def jackknife(value: float, without: Sequence[float], scale: Scale) -> Estimate:
    """Delete-a-group jackknife (Shao & Wu 1989) from the statistic computed without each of G groups in turn.

    Squared error (G - 1) / G * sum_g (theta_g - mean)^2 on `scale`, Student's t with G - 1 degrees.
    """
    kind = "delete-d jackknife"
    if not all(map(math.isfinite, [value, *without])):
        return Estimate(value, math.nan, math.nan, kind)
    scale = _usable([value, *without], scale)
    moved = torch.tensor([_forward(v, scale) for v in without], dtype=torch.float64)
    groups = len(moved)
    error = math.sqrt((groups - 1) * moved.var(correction=0).item())
    return around(value, _forward(value, scale), t_quantile(groups - 1) * error, scale, kind)


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
    scale = _usable([value], scale)
    slope = {"log": value, "logit": max(value * (1 - value), SMALLEST_RATE), "linear": 1.0}[scale]
    half = t_quantile(degrees) * error / slope if degrees > 0 else math.nan
    return around(value, _forward(value, scale), half, scale, "per-image")


def larger(first: Estimate, second: Estimate) -> Estimate:
    """The larger of two rates, with its own interval."""
    return first if first.value >= second.value else second


def wider(first: Estimate, second: Estimate) -> Estimate:
    """Of two estimates of one value the one with the longer interval."""
    return first if first.high - first.low >= second.high - second.low else second


def combine_seeds(estimates: Sequence[Estimate], scale: Scale) -> Estimate:
    """Arithmetic mean over seeds with Student's t on `scale`; a single seed's own interval is passed through.

    Raises:
        ValueError: no estimate at all.
    """
    if not estimates:
        raise ValueError("no seed to combine")
    if len(estimates) == 1:
        return estimates[0]
    kind = "Student's t over seeds"
    values = [e.value for e in estimates]
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        return Estimate(mean, math.nan, math.nan, kind)
    scale = _usable(values, scale)
    moved = torch.tensor([_forward(v, scale) for v in values], dtype=torch.float64)
    half = t_quantile(len(values) - 1) * moved.std().item() / math.sqrt(len(values))
    return around(mean, moved.mean().item(), half, scale, kind)
