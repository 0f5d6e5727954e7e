"""Frechet distance between Gaussians fitted to real and generated features (Heusel et al. 2017, arXiv:1706.08500).

|mu_1 - mu_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^{1/2}), in float64 by a Cholesky factor and symmetric eigenvalues:
MNIST's pixel covariance is singular, which breaks a factor without pivots. Extrapolation to infinite n: Chong &
Forsyth 2020, arXiv:1911.07023.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.metrics.classifiers import jackknife_over_classifiers
from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import jackknife
from pipeline.metrics.linear_algebra import eigenvalues, gram, square_root

ORDER = 20

COLUMNS: dict[str, dict[str, str]] = {
    "fd_classifier": {
        "label": "Frechet distance (classifier)",
        "meaning": "Frechet distance of Gaussians fitted to reference classifier features, the geometric mean over the "
        "classifiers; even perfect samples get more than 0, the more the fewer images there are.",
        "better": "lower",
        "unit": "squared feature units",
        "scale": "log",
    },
    "fd_classifier_min": {
        "label": "Frechet distance (classifier), least",
        "meaning": "fd_classifier by the reference classifier that gives the least.",
        "better": "lower",
        "unit": "squared feature units",
        "scale": "log",
    },
    "fd_classifier_max": {
        "label": "Frechet distance (classifier), largest",
        "meaning": "fd_classifier by the reference classifier that gives the largest; where two models' ranges from "
        "least to largest overlap, their order may be the classifier's.",
        "better": "lower",
        "unit": "squared feature units",
        "scale": "log",
    },
    "fd_pixels": {
        "label": "Frechet distance (pixels)",
        "meaning": "Frechet distance of Gaussians fitted to pixels; it sees means and covariances only, and its bias "
        "grows with the square of the number of pixels.",
        "better": "lower",
        "unit": "squared [0, 1] pixels",
        "scale": "log",
    },
    "fd_pixels_as_written": {
        "label": "Frechet distance (pixels, as written in Renkila et al.)",
        "meaning": "The same with the distance of the means not squared, as Renkila et al. write it: the two terms "
        "have different units, so it changes with the scale of the pixels.",
        "better": "lower",
        "unit": "mixed",
        "scale": "log",
    },
    "fd_classifier_infinite": {
        "label": "Frechet distance (classifier, n to infinity)",
        "meaning": "fd_classifier by the first classifier, extrapolated to infinitely many real and generated images "
        "along 1 / n, which takes its bias off; it is negative by chance for perfect samples.",
        "better": "lower",
        "unit": "squared feature units",
        "scale": "linear",
    },
}

SUBSET_SHARES = (0.5, 0.625, 0.75, 0.875, 1.0)
"""Sizes, in parts of n, at which the distance is computed to be extrapolated."""

SUBSETS = 4
"""Subsets of each size."""

ROUNDING = 1e-14
"""Of the terms, as a part of the traces (of the mean's distance, of their root): less is 0."""


@dataclass(frozen=True)
class FrechetTerms:
    """The two parts of the distance."""

    mean_distance: float
    """|mu_1 - mu_2|, not squared."""

    covariance: float
    """tr(C_1 + C_2 - 2 (C_1 C_2)^{1/2})."""

    @property
    def standard(self) -> float:
        """Heusel et al. 2017: the mean term squared."""
        return self.mean_distance**2 + self.covariance

    @property
    def as_written(self) -> float:
        """DRAW-GAN (Renkila et al. section IV-A): the mean term not squared."""
        return self.mean_distance + self.covariance


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and unbiased covariance (d, d) in float64."""

    mean: Tensor
    covariance: Tensor


def moments(points: Tensor) -> Moments:
    """Of points (n, d), n > 1."""
    points = points.double()
    mean = points.mean(0)
    centred = points - mean
    return Moments(mean, gram(centred) / (len(points) - 1))


def frechet_of_moments(*, real: Moments, fake: Moments) -> FrechetTerms:
    """Between two Gaussians. With C_1 = L L^T, (C_1 C_2) has the eigenvalues of L^T C_2 L."""
    root = square_root(real.covariance)
    product = root.T @ fake.covariance @ root
    overlap = eigenvalues(product).clamp_min_(0).sqrt().sum()
    return _terms(real.mean - fake.mean, real.covariance.trace() + fake.covariance.trace(), overlap)


def frechet_of_few(*, real: Tensor, fake: Tensor) -> FrechetTerms:
    """Between points (n, d) and (m, d) with few points: tr (C_1 C_2)^{1/2} is the nuclear norm of X Y^T, (n, m)."""
    x, y = real.double(), fake.double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = (x - x_mean) / (len(x) - 1) ** 0.5, (y - y_mean) / (len(y) - 1) ** 0.5
    return _terms(x_mean - y_mean, x.square().sum() + y.square().sum(), torch.linalg.svdvals(x @ y.T).sum())


def _terms(gap: Tensor, traces: Tensor, overlap: Tensor) -> FrechetTerms:
    # what is left of equal sets is rounding, above 0 or below
    covariance = (traces - 2 * overlap).item()
    distance = gap.norm().item()
    return FrechetTerms(
        0.0 if distance**2 <= ROUNDING**2 * traces.item() else distance,
        0.0 if covariance <= ROUNDING * traces.item() else covariance,
    )


def frechet_terms(*, real: Tensor, fake: Tensor) -> FrechetTerms:
    """Between points (n, d) and (m, d), by the cheaper route.

    Raises:
        ValueError: a set of fewer than two points has no covariance.
    """
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"a covariance needs two points, got {len(real)} real and {len(fake)} generated")
    if max(len(real), len(fake)) < real.shape[1]:
        return frechet_of_few(real=real, fake=fake)
    return frechet_of_moments(real=moments(real), fake=moments(fake))


def frechet_distance(*, real: Tensor, fake: Tensor) -> float:
    """The standard Frechet distance between points (n, d) and (m, d)."""
    return frechet_terms(real=real, fake=fake).standard


class GroupedMoments:
    """Sums and outer products of groups of points, from which the moments of any union of groups follow."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        # about the common mean, so that no digits are lost when a mean's outer product is taken off
        self.centre = torch.cat(list(parts)).double().mean(0)
        centred = [part.double() - self.centre for part in parts]
        self.sizes = torch.tensor([len(part) for part in parts])
        self.sums = torch.stack([part.sum(0) for part in centred])
        self.outers = torch.stack([gram(part) for part in centred])
        self.outer = self.outers.sum(0)

    def union(self, keep: Sequence[int]) -> Moments:
        """Moments of the points in the groups `keep`."""
        index = torch.tensor(keep)
        n, offset = int(self.sizes[index].sum()), self.sums[index].sum(0) / self.sizes[index].sum()
        left_out = sorted(set(range(len(self.sizes))) - set(keep))
        fewer = len(left_out) < len(keep)
        outer = self.outer - self.outers[left_out].sum(0) if fewer else self.outers[index].sum(0)
        return Moments(self.centre + offset, (outer - n * offset.outer(offset)) / (n - 1))


class GroupedFrechet:
    """The distance between unions of groups of real and of generated points (n_g, d), cheap to ask for again."""

    def __init__(self, *, real: Sequence[Tensor], fake: Sequence[Tensor]) -> None:
        self.real, self.fake, self.groups = real, fake, len(real)
        self.few = max(sum(map(len, real)), sum(map(len, fake))) < real[0].shape[1]
        if not self.few:
            self.real_moments, self.fake_moments = GroupedMoments(real), GroupedMoments(fake)

    def terms(self, keep: Sequence[int]) -> FrechetTerms:
        """From the groups `keep` of both sets."""
        if self.few:
            real, fake = (torch.cat([side[g] for g in keep]) for side in (self.real, self.fake))
            return frechet_of_few(real=real, fake=fake)
        return frechet_of_moments(real=self.real_moments.union(keep), fake=self.fake_moments.union(keep))

    def with_and_without(self) -> tuple[FrechetTerms, list[FrechetTerms]]:
        """From all groups, and without each group in turn."""
        every = list(range(self.groups))
        return self.terms(every), [self.terms(every[:g] + every[g + 1 :]) for g in every]

    def infinite(self, among: Sequence[int]) -> float:
        """Intercept of the distance in 1 / n, from subsets of the groups `among`, both sets subsampled together."""
        sizes, distances = [], []
        for keep in _subsets(among):
            sizes.append(len(keep) / self.groups)
            distances.append(self.terms(keep).standard)
        x, y = 1 / torch.tensor(sizes, dtype=torch.float64), torch.tensor(distances, dtype=torch.float64)
        slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
        return (y.mean() - slope * x.mean()).item()


def _subsets(among: Sequence[int]) -> Iterable[list[int]]:
    """Runs of groups, around the circle, of several lengths; the groups themselves were drawn at random."""
    n = len(among)
    sizes = sorted({max(1, round(share * n)) for share in SUBSET_SHARES})
    for size in sizes:
        starts = range(0, n, max(1, -(-n // SUBSETS))) if size < n else [0]
        yield from ([among[(start + i) % n] for i in range(size)] for start in starts)


def frechet_infinite(*, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Estimate:
    """The distance at infinite n from groups of points (n_g, d), three groups at least, with its jackknife."""
    grouped, every = GroupedFrechet(real=real, fake=fake), list(range(len(real)))
    without = [grouped.infinite(every[:g] + every[g + 1 :]) for g in every]
    return jackknife(grouped.infinite(every), without, "linear")


def _flagged(estimate: Estimate, parts: Sequence[Sequence[Tensor]]) -> Estimate:
    """Say so where a covariance has fewer points than dimensions: the distance is then mostly bias."""
    n, d = min(sum(map(len, side)) for side in parts), parts[0][0].shape[1]
    return replace(estimate, kind=f"{estimate.kind}, n <= d") if n <= d else estimate


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """The distances on pixels and on the reference classifier's features, where these are given; not of few images."""
    n, fewest = next(map(len, comparison.real.values()), 0), comparison.frechet_images
    if 0 < n < fewest:
        reason = f"of {n:,} held-out images, under {fewest:,}, a Frechet distance would be mostly bias"
        return dict.fromkeys(COLUMNS, undefined(reason))
    return {**_of_classifiers(comparison), **_of_pixels(comparison)}


def _of_classifiers(comparison: Comparison) -> dict[str, Estimate]:
    spaces = comparison.classifier_spaces
    if not spaces:
        return {}
    parts = [(comparison.real_parts(space), comparison.fake_parts(space)) for space in spaces]
    computed = [GroupedFrechet(real=real, fake=fake).with_and_without() for real, fake in parts]
    values = [(whole.standard, [terms.standard for terms in without]) for whole, without in computed]
    found = jackknife_over_classifiers("fd_classifier", values, "log")
    real, fake = parts[0]
    if len(real) > 2:
        found["fd_classifier_infinite"] = frechet_infinite(real=real, fake=fake)
    return {column: _flagged(estimate, (real, fake)) for column, estimate in found.items()}


def _of_pixels(comparison: Comparison) -> dict[str, Estimate]:
    if not comparison.has("pixels"):
        return {}
    real, fake = comparison.real_parts("pixels"), comparison.fake_parts("pixels")
    whole, without = GroupedFrechet(real=real, fake=fake).with_and_without()
    found = {
        "fd_pixels": jackknife(whole.standard, [terms.standard for terms in without], "log"),
        "fd_pixels_as_written": jackknife(whole.as_written, [terms.as_written for terms in without], "log"),
    }
    return {column: _flagged(estimate, (real, fake)) for column, estimate in found.items()}
