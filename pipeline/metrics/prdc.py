"""Fidelity and diversity apart: precision and recall, density and coverage, on the reference classifier's features.

Kynkaanniemi et al. 2019 (arXiv:1904.06991), Naeem et al. 2020 (arXiv:2002.09797), with balls that reach to the
k-th neighbour, k = 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pipeline.metrics.classifiers import over_classifiers
from pipeline.metrics.comparison import Comparison, Estimate, Once, now
from pipeline.metrics.distances import (
    Points,
    cast,
    chunks,
    nearest,
    pair_distances,
    prepare,
    rounding,
    squared_distances,
    within,
)
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import jackknife_mean, jackknife_rate

ORDER = 60

COLUMNS: dict[str, dict[str, str]] = {
    "precision": {
        "label": "Precision",
        "meaning": "Share of generated images within some real image's ball of 5 neighbours; one outlier among the "
        "real images has a ball that takes anything in.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "recall": {
        "label": "Recall",
        "meaning": "Share of real images within some generated image's ball of 5 neighbours; scattered bad samples "
        "have large balls and raise it.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "density": {
        "label": "Density",
        "meaning": "Real images' balls that a generated image lies in, over 5; it goes above 1 where samples crowd at "
        "the data's densest places.",
        "better": "near_real",
        "unit": "balls over 5",
        "scale": "log",
    },
    "coverage": {
        "label": "Coverage",
        "meaning": "Share of real images whose ball of 5 neighbours holds a generated image, the mean over the "
        "classifiers; real images against real ones get about 0.97, not 1.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "coverage_min": {
        "label": "Coverage, least",
        "meaning": "coverage by the reference classifier that gives the least.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "coverage_max": {
        "label": "Coverage, largest",
        "meaning": "coverage by the reference classifier that gives the largest; where two models' ranges from "
        "least to largest overlap, their order may be the classifier's.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
}

K = 5

SPARE = 4
"""Neighbours looked up, in multiples of k: they stand in where a group is left out."""


@dataclass(frozen=True)
class Membership:
    """Who lies in whose ball of k neighbours: with all images (first row), then without each group in turn.

    A row says nothing about the images of the group that it is without: `kept_real`, `kept_fake` are false there.
    """

    balls: Tensor
    """(1 + G, n_fake) number of real images' balls that hold a generated image."""

    recalled: Tensor
    """(1 + G, n_real) whether a real image lies in a generated image's ball."""

    covered: Tensor
    """(1 + G, n_real) whether a real image's ball holds a generated image."""

    kept_real: Tensor
    kept_fake: Tensor

    def statistics(self, row: int, k: int) -> dict[str, Tensor]:
        """Per-image values whose means are the four statistics."""
        balls, real = self.balls[row, self.kept_fake[row]], self.kept_real[row]
        return {
            "precision": balls > 0,
            "recall": self.recalled[row, real],
            "density": balls.double() / k,
            "coverage": self.covered[row, real],
        }


def radii(points: Points, kept: Tensor, k: int) -> Tensor:
    """Squared distance of every point to its k-th neighbour among the kept points of each row: (rows, n).

    Args:
        points: n points, all of which are centres, kept or not.
        kept: (rows, n) bool.
    """
    values, indices = neighbours(points, min(SPARE * k, len(points) - 1), k)
    found = []
    for row in kept:
        counted = row[indices].cumsum(dim=1)
        # where all spares are left out too, the farthest one known stands in
        position = (counted < k).sum(dim=1).clamp_max(values.shape[1] - 1)
        found.append(values.gather(1, position[:, None]).squeeze(1))
    return torch.stack(found)


def neighbours(points: Points, spare: int, k: int) -> tuple[Tensor, Tensor]:
    """Squared distances (n, spare) float64 and indices of the points that are near each point, ascending.

    They are sought in float32 and measured in float64. The first k are certain to be the nearest.
    """
    quick = cast(points, torch.float32)
    own = torch.arange(len(points))
    values, indices = nearest(quick, quick, spare, own=own)
    exact = pair_distances(points, own.repeat_interleave(spare), points, indices.flatten()).view_as(values)
    exact, order = exact.sort(dim=1, stable=True)
    passed_over = values[:, -1].double() - rounding(points, points)  # no other point is nearer
    if spare < len(points) - 1 and bool((exact[:, k - 1] > passed_over).any()):
        exactly = cast(points, torch.float64)
        values, indices = nearest(exactly, exactly, spare, own=own)
        return values.double(), indices
    return exact, indices.gather(1, order)


def settled(
    near: Tensor, radii: Tensor, centre: Tensor, slack: float, between: tuple[Points, Tensor, Points, Tensor]
) -> Tensor:
    """Squared distances (p,) that lie on the right side of their centres' radii in every row of `radii` (rows, n).

    `near` may be off by `slack`; where that leaves a doubt the distance is measured again, in float64.
    """
    doubtful = torch.zeros(len(near), dtype=torch.bool)
    for row in radii:
        doubtful |= (near - row[centre]).abs() <= slack
    at = doubtful.nonzero().squeeze(1)
    a, i, b, j = between
    return near.index_put((at,), pair_distances(a, i[at], b, j[at]))


def membership(
    *, real: Sequence[Tensor], fake: Sequence[Tensor], k: int = K, recall: bool = True, once: Once = now
) -> Membership:
    """Of groups of features (n_g, d); balls are closed, and their centre does not count as a neighbour.

    Without `recall` generated images have no balls: what is said of real images' balls takes half of the time.

    Only pairs within the widest of a ball's radii are looked at for every group: few of all pairs.

    Raises:
        ValueError: a set has no k-th neighbour.
    """
    n, m = sum(map(len, real)), sum(map(len, fake))
    if min(n, m) <= k:
        raise ValueError(f"k = {k} needs more images than {n} real and {m} generated")
    precise = real[0].dtype == torch.float64  # float32 points are as exact as they came
    x, y = prepare(torch.cat(list(real)), torch.cat(list(fake)), precise=precise)
    kept_real, kept_fake = kept_rows(real), kept_rows(fake)
    real_radii = once(lambda: radii(x, kept_real, k))
    fake_radii = radii(y, kept_fake, k) if recall else torch.full((len(kept_fake), m), -1.0, dtype=torch.float64)
    balls = torch.zeros(len(kept_fake), m, dtype=torch.long)
    recalled, covered = (torch.zeros(len(kept_real), n, dtype=torch.bool) for _ in range(2))
    quick_x, quick_y, slack = cast(x, torch.float32), cast(y, torch.float32), rounding(x, y)
    real_reach, fake_reach = (
        (found.amax(dim=0) + 2 * slack).to(quick_y.norms.dtype) for found in (real_radii, fake_radii)
    )
    for rows in chunks(n, m):
        distances = squared_distances(quick_x[rows], quick_y)
        i, j = within(distances, real_reach[rows, None])
        recalled_i, recalled_j = within(distances, fake_reach) if recall else (i[:0], j[:0])
        near, recalled_near = distances[i, j].double(), distances[recalled_i, recalled_j].double()
        i, recalled_i = i + rows.start, recalled_i + rows.start
        near = settled(near, real_radii, i, slack, between=(x, i, y, j))
        recalled_near = settled(recalled_near, fake_radii, recalled_j, slack, between=(x, recalled_i, y, recalled_j))
        for row in range(len(kept_real)):
            inside = (near <= real_radii[row, i]) & kept_real[row, i]
            balls[row] += torch.bincount(j[inside], minlength=m)
            covered[row, i[inside & kept_fake[row, j]]] = True
            inside = (recalled_near <= fake_radii[row, recalled_j]) & kept_fake[row, recalled_j]
            recalled[row, recalled_i[inside]] = True
    return Membership(balls, recalled, covered, kept_real, kept_fake)


def kept_rows(parts: Sequence[Tensor]) -> Tensor:
    """Who is there, (1 + G, n) bool: all points, then all but one group's; of a single group nothing is left out."""
    group = torch.arange(len(parts)).repeat_interleave(torch.tensor([len(part) for part in parts]))
    left_out = [-1, *(range(len(parts)) if len(parts) > 1 else [])]
    return group[None, :] != torch.tensor(left_out)[:, None]


def prdc(*, real: Tensor, fake: Tensor, k: int = K) -> dict[str, float]:
    """Precision, recall, density and coverage of features (n, d) and (m, d)."""
    found = membership(real=[real], fake=[fake], k=k).statistics(0, k)
    return {name: values.double().mean().item() for name, values in found.items()}


def estimates(found: Membership, k: int = K) -> dict[str, Estimate]:
    """The same of groups of features, with the wider of the per-image and the jackknife interval."""
    without = [found.statistics(row, k) for row in range(1, len(found.kept_real))]
    result = {}
    for name, values in found.statistics(0, k).items():
        fewer = [each[name] for each in without]
        result[name] = jackknife_mean(values, fewer) if name == "density" else jackknife_rate(values, fewer)
    return result


def coverage_over_classifiers(found: Sequence[Membership], k: int = K) -> dict[str, Estimate]:
    """The mean of the coverage by every classifier."""
    rows = [[each.statistics(row, k)["coverage"] for row in range(len(each.kept_real))] for each in found]
    whole, *without = [_mean(group) for group in zip(*rows, strict=True)]
    alone = [jackknife_rate(covered[0], covered[1:]) for covered in rows]
    return over_classifiers("coverage", alone, jackknife_rate(whole, without))


def _mean(indicators: Sequence[Tensor]) -> Tensor:
    """Share of the classifiers that say so, of each image (n,)."""
    return torch.stack(list(indicators)).double().mean(0)


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """On the reference classifiers' features: precision, recall and density by the first one."""
    if not comparison.has("classifier"):
        return {}
    n, m = (len(side["classifier"]) for side in (comparison.real, comparison.fake))
    if min(n, m) <= K:
        return dict.fromkeys(COLUMNS, undefined(f"{n} real and {m} generated images have no neighbour number {K}"))
    found = [
        membership(
            real=comparison.real_parts(space),
            fake=comparison.fake_parts(space),
            recall=space == "classifier",
            once=partial(comparison.once, f"balls in {space}"),
        )
        for space in comparison.classifier_spaces
    ]
    return estimates(found[0]) | coverage_over_classifiers(found)
