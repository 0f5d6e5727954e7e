"""KID: the kernel distance of Binkowski et al. 2018 (arXiv:1801.01401), the full unbiased estimator.

Kernel (x.y / d + 1)^3. The public tools average 100 subsets of 1,000 images; all pairs at once have no such noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.metrics.classifiers import jackknife_over_classifiers
from pipeline.metrics.comparison import Comparison, Estimate, Once, now
from pipeline.metrics.kernel_sums import KernelSums, block_sums
from pipeline.metrics.linear_algebra import inner_products

ORDER = 30

COLUMNS: dict[str, dict[str, str]] = {
    "kid_classifier": {
        "label": "KID (classifier)",
        "meaning": "Unbiased squared maximum mean discrepancy of reference classifier features under the polynomial "
        "kernel of degree 3, the mean over the classifiers; it has no bias in n, and is negative by chance where the "
        "sets cannot be told apart.",
        "better": "lower",
        "unit": "squared kernel mean",
        "scale": "linear",
    },
    "kid_classifier_min": {
        "label": "KID (classifier), least",
        "meaning": "kid_classifier by the reference classifier that gives the least.",
        "better": "lower",
        "unit": "squared kernel mean",
        "scale": "linear",
    },
    "kid_classifier_max": {
        "label": "KID (classifier), largest",
        "meaning": "kid_classifier by the reference classifier that gives the largest; where two models' ranges from "
        "least to largest overlap, their order may be the classifier's.",
        "better": "lower",
        "unit": "squared kernel mean",
        "scale": "linear",
    },
}

DEGREE = 3
OFFSET = 1.0

PARTS = 20
"""In which `kid` computes within a set."""


def polynomial(a: Tensor, b: Tensor) -> Tensor:
    """(a.b / d + 1)^3 of points (n, d) and (m, d), (n, m)."""
    return inner_products(a, b).div_(a.shape[1]).add_(OFFSET).pow_(DEGREE)


def polynomial_sums(*, real: Sequence[Tensor], fake: Sequence[Tensor], once: Once = now) -> KernelSums:
    """Kernel sums of real and generated features, given as groups of points (n_g, d)."""
    # values in float32, sums in float64: the roundings of so many values are independent and cancel
    x, y = torch.cat(list(real)).float(), torch.cat(list(fake)).float()
    sizes = [len(g) for g in real], [len(g) for g in fake]
    cross = block_sums(*sizes, lambda r, c: polynomial(x[r], y[c]))
    within_real = once(lambda: _within(x, sizes[0]))
    return KernelSums(within_real, _within(y, sizes[1]), cross, *map(torch.tensor, sizes))


def _within(points: Tensor, sizes: Sequence[int]) -> Tensor:
    """Sums over pairs of two different points, by groups."""
    sums = block_sums(sizes, sizes, lambda r, c: polynomial(points[r], points[c]), symmetric=True)
    own = (points.double().square().sum(1) / points.shape[1] + OFFSET) ** DEGREE
    sums.diagonal().sub_(torch.stack([group.sum() for group in torch.split(own, list(sizes))]))
    return sums


def kid(*, real: Tensor, fake: Tensor) -> float:
    """Kernel distance of features (n, d) and (m, d)."""
    parts = min(PARTS, len(real), len(fake))  # of which only the pairs on one side of the diagonal are computed
    return polynomial_sums(real=real.tensor_split(parts), fake=fake.tensor_split(parts)).unbiased()


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """KID on the reference classifiers' features."""
    sums = [
        polynomial_sums(
            real=comparison.real_parts(space),
            fake=comparison.fake_parts(space),
            once=partial(comparison.once, f"kernel in {space}"),
        )
        for space in comparison.classifier_spaces
    ]
    if not sums:
        return {}
    values = [(found.unbiased(), found.without_each()) for found in sums]
    return jackknife_over_classifiers("kid_classifier", values, "linear")
