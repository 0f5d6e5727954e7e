"""Two-sample test by Gaussian naive Bayes on pixels (Renkila et al. section IV-B), the same as scikit-learn's
GaussianNB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.intervals import jackknife_rate
from pipeline.metrics.two_sample import draw_halves, error_columns, groups_of

ORDER = 50

COLUMNS: dict[str, dict[str, str]] = {
    "naive_bayes_error": {
        "label": "Naive Bayes error",
        "meaning": "Share of a held-out half of real and generated images that Gaussian naive Bayes on pixels sorts "
        "wrongly; a pixel that is constant in one set decides alone, so quantise both sets alike.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "naive_bayes_error_real": {
        "label": "Naive Bayes: real called generated",
        "meaning": "Share of real images that naive Bayes calls generated; real against real it is often near 0 or 1, "
        "since the test leans to one side.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "naive_bayes_error_generated": {
        "label": "Naive Bayes: generated called real",
        "meaning": "Share of generated images that naive Bayes calls real; it mirrors the other rate where the test "
        "leans to one side.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "naive_bayes_error_max": {
        "label": "Naive Bayes, larger rate (as in Renkila et al.)",
        "meaning": "The larger of the two error rates, which Renkila et al. print; real against real has 0.947 on "
        "MNIST, so a great value says little.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
}

VARIANCE_FLOOR = 1e-9
"""Added to every variance, times the largest variance of a pixel in the training mix."""


def naive_bayes_verdicts(train: Tensor, generated: Tensor, test: Tensor, kept: Tensor) -> Tensor:
    """Which of test (m, d) are called generated, (rows, m) bool, after the kept points of train (n, d) of each row.

    Args:
        generated: (n,) bool, which of train are generated.
        kept: (rows, n) bool.
    """
    real, fake = (_Fit.of(train[kind], kept[:, kind]) for kind in (~generated, generated))
    share = fake.n / (real.n + fake.n)
    between = share * (1 - share) * (real.mean - fake.mean).square()
    floor = VARIANCE_FLOOR * (between + (1 - share) * real.variance + share * fake.variance).amax(1, keepdim=True)
    return fake.log_densities(test, floor) + share.logit() > real.log_densities(test, floor)


@dataclass(frozen=True)
class _Fit:
    """Of one class, by rows: images (rows, 1), mean and variance (rows, d), in float64."""

    n: Tensor
    mean: Tensor
    variance: Tensor
    origin: Tensor
    """(d,) one of the points: about it a pixel that is constant has a sum of squares of 0, without rounding."""

    @classmethod
    def of(cls, points: Tensor, kept: Tensor) -> _Fit:
        origin, weights = points[0].double(), kept.double()
        n, moved = weights.sum(1, keepdim=True), points.double() - origin
        mean = weights @ moved / n
        return cls(n, mean + origin, (weights @ moved.square() / n - mean.square()).clamp_min(0), origin)

    def log_densities(self, x: Tensor, floor: Tensor) -> Tensor:
        """sum_d log N(x_d; mean_d, variance_d + floor) of points x (m, d), (rows, m)."""
        moved, mean, precision = x.double() - self.origin, self.mean - self.origin, 1 / (self.variance + floor)
        squares = precision @ moved.square().T - 2 * (precision * mean) @ moved.T
        constant = (precision * mean.square()).sum(1) + (2 * math.pi / precision).log().sum(1)
        return -0.5 * (squares + constant[:, None])


def naive_bayes_errors(*, real: Tensor, fake: Tensor, seed: int = 0, groups: int = 20) -> dict[str, Estimate]:
    """Error rates of naive Bayes on halves drawn by `seed`, as columns `naive_bayes_error*`."""
    halves = draw_halves(real=real, fake=fake, seed=seed)
    left_out = torch.arange(-1, groups)[:, None]
    trained, tested = (groups_of(len(x), groups) != left_out for x in (halves.train_points, halves.test_points))
    called = naive_bayes_verdicts(halves.train_points, halves.train_generated, halves.test_points, trained)
    whole, *others = [(halves.test_generated[rows], found[rows]) for rows, found in zip(tested, called, strict=True)]
    return error_columns("naive_bayes_error", whole, others, jackknife_rate)


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """The test on pixels against held-out images."""
    if not comparison.has("pixels"):
        return {}
    real, fake = comparison.real["pixels"], comparison.fake["pixels"]
    return naive_bayes_errors(real=real, fake=fake, seed=comparison.seed, groups=comparison.groups)
