"""Two-sample test by Gaussian naive Bayes on pixels (Renkila et al. section IV-B), the same as scikit-learn's
GaussianNB.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.intervals import jackknife_rate
from pipeline.metrics.two_sample import Verdict, draw_halves, error_columns, groups_of

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


def naive_bayes_verdict(train: Tensor, generated: Tensor, test: Tensor, *, chunk: int = 2000) -> Tensor:
    """Which of test (m, d) are called generated, (m,) bool, after train (n, d), of which (n,) bool are generated."""
    train = train.double()
    floor = VARIANCE_FLOOR * train.var(dim=0, correction=0).max()
    classes = []
    for kind in (~generated, generated):
        points = train[kind]
        log_prior = math.log(len(points) / len(train))
        classes.append((points.mean(0), points.var(dim=0, correction=0) + floor, log_prior))
    parts = []
    for part in torch.split(test, chunk):
        real, fake = (_log_joint(part.double(), *fitted) for fitted in classes)
        parts.append(fake > real)
    return torch.cat(parts)


def _log_joint(x: Tensor, mean: Tensor, variance: Tensor, log_prior: float) -> Tensor:
    """log p(class) + sum_d log N(x_d; mean_d, variance_d), (n,)."""
    log_density = -0.5 * (2 * math.pi * variance).log().sum() - 0.5 * ((x - mean).square() / variance).sum(1)
    return log_prior + log_density


def naive_bayes_errors(*, real: Tensor, fake: Tensor, seed: int = 0, groups: int = 20) -> dict[str, Estimate]:
    """Error rates of naive Bayes on halves drawn by `seed`, as columns `naive_bayes_error*`."""
    halves = draw_halves(real=real, fake=fake, seed=seed)
    train_group, test_group = (groups_of(len(x), groups) for x in (halves.train_points, halves.test_points))

    def verdict(without: int = -1) -> Verdict:
        train, test = train_group != without, test_group != without
        called = naive_bayes_verdict(
            halves.train_points[train], halves.train_generated[train], halves.test_points[test]
        )
        return halves.test_generated[test], called

    return error_columns("naive_bayes_error", verdict(), [verdict(g) for g in range(groups)], jackknife_rate)


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """The test on pixels against held-out images."""
    if not comparison.has("pixels"):
        return {}
    real, fake = comparison.real["pixels"], comparison.fake["pixels"]
    return naive_bayes_errors(real=real, fake=fake, seed=comparison.seed, groups=comparison.groups)
