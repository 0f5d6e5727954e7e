"""What a metric gives back, on which scale its interval is symmetric, and the mean over seeds; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal


@dataclass(frozen=True)
class Estimate:
    """One number of a table with its 95 % interval, and how the interval was made (`kind`)."""

    value: float
    low: float
    high: float
    kind: str
    each: tuple[float, ...] = ()
    """Of a mean over several reference classifiers: each one's value."""


UNDEFINED = "undefined: "
"""Start of the `kind` of an estimate that cannot be had: the reason follows."""


def undefined(reason: str) -> Estimate:
    """An estimate that these images do not have, with the reason for the table's notes."""
    return Estimate(math.nan, math.nan, math.nan, f"{UNDEFINED}{reason}")


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


def forward(value: float, scale: Scale) -> float:
    """A value on a scale."""
    if scale == "log":
        return math.log(value)
    if scale == "logit":
        inside = min(max(value, SMALLEST_RATE), 1 - SMALLEST_RATE)
        return math.log(inside / (1 - inside))
    return value


def back(value: float, scale: Scale) -> float:
    """A value from a scale; inverts `forward`."""
    if scale == "log":
        return math.exp(min(value, LARGEST_EXPONENT))
    return 1 / (1 + math.exp(min(-value, LARGEST_EXPONENT))) if scale == "logit" else value


def usable(values: Sequence[float], scale: Scale) -> Scale:
    """The scale itself, or 'linear' where a value has no logarithm (a distance of exactly 0)."""
    return "linear" if scale == "log" and min(values) <= 0 else scale


def around(value: float, centre: float, half_width: float, scale: Scale, kind: str) -> Estimate:
    """The interval centre -+ half_width, both on `scale`, widened where rounding would leave `value` outside.

    A half-width that is not finite (one image, a model that diverged) gives an interval without bounds' meaning:
    both ends are NaN.
    """
    if not math.isfinite(half_width) or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, kind)
    low, high = back(centre - half_width, scale), back(centre + half_width, scale)
    return Estimate(value, min(low, value), max(high, value), kind)


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
    scale = usable(values, scale)
    moved = [forward(v, scale) for v in values]
    half = t_quantile(len(values) - 1) * stdev(moved) / math.sqrt(len(values))
    return around(mean, fmean(moved), half, scale, kind)
