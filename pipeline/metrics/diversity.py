"""How far samples lie from each other: mean pairwise pixel distance, over that of the real images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate, Once, now
from pipeline.metrics.distances import prepare, squared_distances
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import jackknife
from pipeline.metrics.kernel_sums import block_sums

ORDER = 100

COLUMNS: dict[str, dict[str, str]] = {
    "diversity": {
        "label": "Diversity",
        "meaning": "Mean pixel distance between two samples over that between two real images; near 0 the generator "
        "has collapsed, but noise has more than 1.",
        "better": "near_real",
        "unit": "ratio",
        "scale": "log",
    },
}


def distance_sums(parts: Sequence[Tensor]) -> Tensor:
    """Sums of Euclidean distances over pairs of points, by groups of points (n_g, d): (G, G) float64."""
    (points,) = prepare(torch.cat(list(parts)))
    sizes = [len(part) for part in parts]

    def distances(rows: slice, columns: slice) -> Tensor:
        squares = squared_distances(points[rows], points[columns])
        return squares.sqrt()  # of whole numbers: float32

    return block_sums(sizes, sizes, distances, symmetric=True) * points.unit**0.5


def _mean(sums: Tensor, sizes: Tensor, without: int | None = None) -> float:
    keep = torch.arange(len(sizes)) != (-1 if without is None else without)
    n = sizes[keep].sum()
    return (sums[keep][:, keep].sum() / (n * (n - 1))).item()


def mean_pairwise_distance(points: Tensor) -> float:
    """Mean Euclidean distance of two different points of (n, d)."""
    return _mean(distance_sums([points]), torch.tensor([len(points)]))


def diversity(*, real: Sequence[Tensor], fake: Sequence[Tensor], once: Once = now) -> Estimate:
    """The ratio, from groups of points (n_g, d), with its jackknife; undefined where all real images are the same."""
    if len(torch.cat(list(real)).unique(dim=0)) < 2:
        return undefined("all real images are the same")
    sums = once(lambda: distance_sums(real)), distance_sums(fake)
    sides = [
        (found, torch.tensor([len(part) for part in side])) for found, side in zip(sums, (real, fake), strict=True)
    ]

    def ratio(without: int | None = None) -> float:
        real_mean, fake_mean = (_mean(sums, sizes, without) for sums, sizes in sides)
        return fake_mean / real_mean if real_mean > 0 else torch.nan

    return jackknife(ratio(), [ratio(g) for g in range(len(real))], "log")


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """On pixels."""
    if not comparison.has("pixels"):
        return {}
    sides = {"real": comparison.real_parts("pixels"), "fake": comparison.fake_parts("pixels")}
    return {"diversity": diversity(**sides, once=partial(comparison.once, "distances in pixels"))}
