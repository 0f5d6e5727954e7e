"""Ratios of error rates with their intervals: the arithmetic under r_test and r_sample (Im et al. 2016 eq. 10).

All of it is on the log scale, where a ratio and its reciprocal are mirror images, so that a battle told from the other
side has the same interval turned over. Variances are linearised (delta method): the seeds of both sides resample as
clusters, Student's t with Welch and Satterthwaite's degrees of freedom; one seed leaves the images as the only
replicates. Nothing is drawn at random, so the same scores give the same bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Ratio:
    """A ratio of two rates; `deviation` is the standard error of its logarithm, `freedom` its degrees of freedom."""

    value: float
    deviation: float
    freedom: float = math.inf

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Bounds of the two-sided interval."""
        reach = _bounded(student_quantile((1 + confidence) / 2, self.freedom) * self.deviation)
        return self.value * math.exp(-reach), self.value * math.exp(reach)

    def excludes_one(self, confidence: float = 0.95) -> bool:
        low, high = self.interval(confidence)
        return low > 1 or high < 1

    def within(self, tolerance: float, confidence: float) -> bool:
        """Equivalence: the whole interval lies between 1 / (1 + tolerance) and 1 + tolerance."""
        return all(is_near_one(bound, tolerance) for bound in self.interval(confidence))


@dataclass(frozen=True)
class Cells:
    """Event counts of every judge seed (rows) on every generator seed (columns), (J, G) each; nan where none judged."""

    counts: Floats
    totals: Floats

    @property
    def count(self) -> int:
        return int(np.nansum(self.counts))

    @property
    def total(self) -> int:
        return int(np.nansum(self.totals))

    @property
    def judges(self) -> int:
        """Judges that judged somebody."""
        return int(np.count_nonzero(np.isfinite(self.counts).any(axis=1)))

    def complement(self) -> Cells:
        """Counts of the images without the event: accuracies out of errors."""
        return Cells(self.totals - self.counts, self.totals)


def _bounded(exponent: float) -> float:
    """An exponent whose exponential is finite and, times any rate of images, stays so."""
    return min(exponent, 300.0)


def student_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t; the normal's for infinite degrees of freedom."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(probability) if math.isinf(freedom) else stdtrit(freedom, probability))


def two_sided_p(value: float, error: float, freedom: float) -> float:
    """P-value of no difference by Student's t, or the normal for infinite degrees of freedom."""
    from scipy.special import ndtr, stdtr

    if not value:
        return 1.0
    t = -abs(value) / error if error else -math.inf
    return 2 * float(ndtr(t) if math.isinf(freedom) else stdtr(freedom, t))


def is_near_one(value: float, tolerance: float) -> bool:
    """'~= 1' of Im et al. 2016 eq. 11, made symmetric: |log value| <= log(1 + tolerance)."""
    return abs(math.log(value)) <= math.log1p(tolerance) + 1e-12


def smoothed_rates(count_1: int, total_1: int, count_2: int, total_2: int) -> tuple[float, float]:
    """The two rates as counted, or both with one half added to the count (and one to the total) if either is zero.

    Two zero counts say nothing about an order, so unequal totals must not make one: both get the smaller total.
    """
    if count_1 and count_2:
        return count_1 / total_1, count_2 / total_2
    if not count_1 and not count_2:
        total_1 = total_2 = min(total_1, total_2)
    return (count_1 + 0.5) / (total_1 + 1), (count_2 + 0.5) / (total_2 + 1)


def welch_freedom(parts: list[tuple[float, float]], total: float) -> float:
    """Degrees of freedom of a sum of variances, each given with its own (Satterthwaite 1946)."""
    known = [(variance, freedom) for variance, freedom in parts if freedom > 0]
    if not known:
        return math.inf
    spread = sum(variance**2 / freedom for variance, freedom in known)
    return max(total**2 / spread, min(f for _, f in known)) if spread > 0 else sum(f for _, f in known)


def seed_effects(rates: Floats, pooled: float) -> Floats:
    """Relative deviation of each row's mean rate, (rows,); a row that is missing weighs on nobody and gets 0."""
    present = np.array([np.isfinite(row).any() for row in rates])
    means = np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in rates])
    return np.where(present, means / pooled - np.nanmean(means) / pooled, 0.0) * len(rates) / max(present.sum(), 1)


def variance_of_mean(effects: Floats) -> tuple[float, float]:
    """Variance of the mean of seeds' effects (S,) and its degrees of freedom; (0, 0) for a single seed."""
    if len(effects) < 2:
        return 0.0, 0.0
    return float(np.var(effects, ddof=1) / len(effects)), len(effects) - 1.0


def _image_variance(cells: Cells) -> float:
    """Variance of the log rate from the images alone. Judges share a generator's images, so they add no images."""
    share = 1 / max(cells.judges, 1)
    return 1 / (cells.count * share + 0.5) - 1 / (cells.total * share + 0.5)


def ratio_of_cells(cells_1: Cells, cells_2: Cells, extra_variance: float = 0.0) -> Ratio:
    """Ratio of model 1's judges' rate on model 2's images (J1, G2) to model 2's judges' on model 1's (J2, G1).

    A seed acts twice, as judge and as generator: both effects are added up before their variance is taken, since a
    generator is the better for a strict judge. `extra_variance` is what else is known to vary, on the log scale.
    """
    p_1, p_2 = smoothed_rates(cells_1.count, cells_1.total, cells_2.count, cells_2.total)
    rates_1, rates_2 = cells_1.counts / cells_1.totals, cells_2.counts / cells_2.totals
    parts = [
        variance_of_mean(seed_effects(rates_1, p_1) - seed_effects(rates_2.T, p_2)),
        variance_of_mean(seed_effects(rates_1.T, p_1) - seed_effects(rates_2, p_2)),
    ]
    # Two seeds that agree by luck must not look surer than their images allow.
    images = _image_variance(cells_1) + _image_variance(cells_2)
    seeds = sum(variance for variance, _ in parts)
    variance = max(seeds, images) + extra_variance
    return Ratio(p_1 / p_2, math.sqrt(variance), welch_freedom(parts, variance))


def paired_ratio(events_1: NDArray[np.bool_], events_2: NDArray[np.bool_]) -> Ratio:
    """Ratio of two rates on the same images; events (seeds, n) of each side, n the same images in the same order.

    For one seed a side the variance is that of McNemar's table, (b + c) / (e_1 e_2); seeds add their own.
    """
    count_1, count_2 = int(events_1.sum()), int(events_2.sum())
    p_1, p_2 = smoothed_rates(count_1, events_1.size, count_2, events_2.size)
    images = events_1.shape[1]
    per_image = events_1.mean(axis=0) / p_1 - events_2.mean(axis=0) / p_2
    # A side without a single event shows no spread: it has that of one half event, as in the smoothing.
    unseen = sum(1 / 0.5 - 1 / (images + 0.5) for count in (count_1, count_2) if not count)
    parts = [
        variance_of_mean(events_1.mean(axis=1) / p_1),
        variance_of_mean(events_2.mean(axis=1) / p_2),
    ]
    variance = float(np.var(per_image, ddof=1)) / images + unseen + sum(v for v, _ in parts)
    return Ratio(p_1 / p_2, math.sqrt(variance), welch_freedom(parts, variance))
