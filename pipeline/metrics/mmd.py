"""Maximum mean discrepancy on pixels: with a mixture of Gaussian kernels, and with the identity.

Gretton et al. 2012, 'A kernel two-sample test'. DRAW-GAN (Renkila et al. section IV-A) writes || mean phi(x) - mean
phi(y) ||^2 and leaves phi unstated, so its numbers cannot be compared with either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate, Once, now
from pipeline.metrics.distances import Points, prepare, squared_distances
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import jackknife
from pipeline.metrics.kernel_sums import KernelSums, block_sums

ORDER = 10

COLUMNS: dict[str, dict[str, str]] = {
    "mmd_rbf": {
        "label": "MMD (RBF, pixels)",
        "meaning": "Unbiased squared maximum mean discrepancy of pixels under five Gaussian kernels around the real "
        "images' median distance; it is negative by chance where the two sets cannot be told apart.",
        "better": "lower",
        "unit": "squared kernel mean, 0 to 2",
        "scale": "linear",
    },
    "mmd_linear": {
        "label": "MMD (linear, pixels)",
        "meaning": "Squared distance of the two mean images, as written in Renkila et al. with phi = identity; any "
        "generator with the right mean image gets 0, a blur among them.",
        "better": "lower",
        "unit": "squared [0, 1] pixels",
        "scale": "log",
    },
}

LARGEST_MULTIPLE = 2.0
"""Bandwidths are 2, sqrt 2, 1, 1 / sqrt 2 and 1 / 2 times the median distance: each kernel is the last one squared."""

KERNELS = 5

MEDIAN_POINTS = 2000
"""Real images, evenly spread over the set, whose pairs give the median distance: it depends on the data set alone."""


def median_distance(*, real: Tensor) -> float:
    """Median Euclidean distance of pairs of (at most 2,000) different points of real (n, d).

    Where it is 0, as of mostly equal points, it is that of the pairs that differ; 0 where all points are equal.
    """
    rows = torch.linspace(0, len(real) - 1, min(len(real), MEDIAN_POINTS)).long()
    (points,) = prepare(real[rows])
    upper = torch.triu_indices(len(points), len(points), offset=1)
    squares = squared_distances(points, points)[upper[0], upper[1]]
    if squares.median() == 0 and bool((squares > 0).any()):
        squares = squares[squares > 0]
    return (squares.median().double() * points.unit).sqrt().item()


def gaussian_mixture(squares: Tensor, rate: float) -> Tensor:
    """Mean of the kernels exp(-rate * 2^j * squares), j = 0..4, in place where `squares` is floating point."""
    kernel = squares.float() if not squares.is_floating_point() else squares
    kernel.mul_(-rate).exp_()
    total = kernel.clone()
    for _ in range(KERNELS - 1):
        total.add_(kernel.square_())
    return total.div_(KERNELS)


def rbf_sums(*, real: Sequence[Tensor], fake: Sequence[Tensor], median: float, once: Once = now) -> KernelSums:
    """Kernel sums of real and generated points, given as groups of points (n_g, d)."""
    x, y = prepare(torch.cat(list(real)), torch.cat(list(fake)))
    rate = x.unit / (2 * (LARGEST_MULTIPLE * median) ** 2)
    real_sizes, fake_sizes = [len(g) for g in real], [len(g) for g in fake]

    def kernel(a: Points, b: Points) -> Callable[[slice, slice], Tensor]:
        return lambda rows, columns: gaussian_mixture(squared_distances(a[rows], b[columns]), rate)

    def within(points: Points, sizes: Sequence[int]) -> Tensor:
        sums = block_sums(sizes, sizes, kernel(points, points), symmetric=True)
        return sums - torch.tensor(sizes).diag()  # k(x, x) = 1

    cross = block_sums(real_sizes, fake_sizes, kernel(x, y))
    within_real = once(lambda: within(x, real_sizes))
    return KernelSums(within_real, within(y, fake_sizes), cross, *map(torch.tensor, (real_sizes, fake_sizes)))


def mmd_rbf(*, real: Tensor, fake: Tensor) -> float:
    """Unbiased squared discrepancy of points (n, d) and (m, d) under the mixture; NaN where all real ones are equal."""
    median = median_distance(real=real)
    return rbf_sums(real=[real], fake=[fake], median=median).unbiased() if median else math.nan


def mmd_linear(*, real: Tensor, fake: Tensor) -> float:
    """|| mean of real (n, d) - mean of fake (m, d) ||^2."""
    return (real.double().mean(0) - fake.double().mean(0)).square().sum().item()


def _linear_estimate(*, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Estimate:
    sums = [torch.stack([g.double().sum(0) for g in side]) for side in (real, fake)]
    sizes = [torch.tensor([len(g) for g in side]).double() for side in (real, fake)]

    def mean(side: int, without: int | None = None) -> Tensor:
        keep = torch.arange(len(sizes[side])) != (-1 if without is None else without)
        return sums[side][keep].sum(0) / sizes[side][keep].sum()

    value = (mean(0) - mean(1)).square().sum().item()
    without = [(mean(0, g) - mean(1, g)).square().sum().item() for g in range(len(real))]
    return jackknife(value, without, "log")


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Both discrepancies on pixels; the linear one alone where all real images are equal: nothing sets a bandwidth."""
    if not comparison.has("pixels"):
        return {}
    real, fake = comparison.real_parts("pixels"), comparison.fake_parts("pixels")
    linear = {"mmd_linear": _linear_estimate(real=real, fake=fake)}
    median = median_distance(real=comparison.real["pixels"])
    if not median:
        return {"mmd_rbf": undefined("all real images are the same, so no bandwidth suits them")} | linear
    sums = rbf_sums(real=real, fake=fake, median=median, once=partial(comparison.once, "kernel in pixels"))
    return {"mmd_rbf": jackknife(sums.unbiased(), sums.without_each(), "linear")} | linear
