"""Two-sample tests by nearest neighbours on pixels (Renkila et al. section IV-B; Lopez-Paz & Oquab 2017,
arXiv:1610.06545).

K-NN with k = 5 on stratified halves, against held-out and against training images, and leave-one-out 1-NN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.distances import chunks, mask_own, nearest, prepare, squared_distances
from pipeline.metrics.intervals import jackknife, subsampled_rate
from pipeline.metrics.two_sample import Verdict, draw_halves, error_columns, groups_of

ORDER = 40

COLUMNS: dict[str, dict[str, str]] = {
    "knn_error": {
        "label": "K-NN error",
        "meaning": "Share of a held-out half of real and generated images that 5 nearest neighbours in pixels sort "
        "wrongly; chance is 0.5, and blur can exceed what real images get.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "knn_error_real": {
        "label": "K-NN: real called generated",
        "meaning": "Share of real images that 5 nearest neighbours call generated; high alone it means that generated "
        "images crowd around real ones, as averages do.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "knn_error_generated": {
        "label": "K-NN: generated called real",
        "meaning": "Share of generated images that 5 nearest neighbours call real; a generator that covers little of "
        "the data keeps it low even with good images.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "knn_error_max": {
        "label": "K-NN, larger rate (as in Renkila et al.)",
        "meaning": "The larger of the two error rates, which Renkila et al. print; it rewards a classifier that always "
        "answers one way.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "c2st_1nn_error": {
        "label": "1-NN two-sample test error",
        "meaning": "Share of all real and generated images whose nearest other image is of the other kind; 0.5 is "
        "ideal, and above it the samples are copies of, or nearer to, these real images.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "knn_train_error": {
        "label": "K-NN error against training images",
        "meaning": "knn_error with as many training images in place of the held-out ones; above the row `real` it "
        "warns of copying.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
}

K = 5


def knn_verdict(train: Tensor, generated: Tensor, test: Tensor, *, k: int = K) -> Tensor:
    """Majority of the k nearest of train (n, d), of which (n,) bool are generated, for each of test (m, d): (m,) bool.

    Euclidean distances, ties by the lowest index. An even k's tie goes to 'real'.
    """
    base, queries = prepare(train, test)
    _, indices = nearest(queries, base, min(k, len(train)))
    return generated[indices].double().mean(dim=1) > 0.5


def knn_errors(*, real: Tensor, fake: Tensor, seed: int = 0, k: int = K, groups: int = 20) -> dict[str, Estimate]:
    """Error rates of K-NN on halves drawn by `seed`, as columns `knn_error*`."""
    halves = draw_halves(real=real, fake=fake, seed=seed)
    # fewer subsamples of a small set: each votes with k neighbours
    groups = max(2, min(groups, len(halves.train_points) // k))
    train_group, test_group = (groups_of(len(x), groups) for x in (halves.train_points, halves.test_points))

    def verdict(train: Tensor | slice, test: Tensor | slice) -> Verdict:
        points, generated = halves.train_points[train], halves.train_generated[train]
        return halves.test_generated[test], knn_verdict(points, generated, halves.test_points[test], k=k)

    whole = verdict(slice(None), slice(None))
    blocks = [verdict(train_group == g, test_group == g) for g in range(groups)]
    return error_columns("knn_error", whole, blocks, subsampled_rate)


class LeaveOneOut:
    """Squared distances from every point to its nearest other point in every group of real and of generated ones.

    From them the leave-one-out error follows with all groups and without any one of them.
    """

    def __init__(self, *, real: Sequence[Tensor], fake: Sequence[Tensor]) -> None:
        sizes = [len(part) for part in (*real, *fake)]
        (points,) = prepare(torch.cat([*real, *fake]))
        self.groups = len(real)
        self.group = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)) % self.groups
        self.generated = torch.arange(len(points)) >= sum(map(len, real))
        found = []
        for rows in chunks(len(points), len(points)):
            distances = squared_distances(points[rows], points)
            mask_own(distances, torch.arange(rows.start, rows.stop))
            found.append(torch.stack([part.amin(1) for part in torch.split(distances, sizes, dim=1)], dim=1))
        self.nearest = torch.cat(found)

    def error(self, without: int | None = None) -> float:
        """Share of points whose nearest other one is of the other kind; equally near ones count as real."""
        keep = torch.arange(self.groups) != (-1 if without is None else without)
        rows = self.group != (-1 if without is None else without)
        to_real, to_fake = (side[rows][:, keep].amin(1) for side in torch.split(self.nearest, self.groups, dim=1))
        return ((to_fake < to_real) != self.generated[rows]).double().mean().item()


def c2st_1nn_error(*, real: Tensor, fake: Tensor) -> float:
    """Leave-one-out 1-NN error on real (n, d) and fake (m, d) together."""
    return LeaveOneOut(real=[real], fake=[fake]).error()


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Both tests against held-out images, and K-NN against as many training images where they are given."""
    if not comparison.has("pixels"):
        return {}
    fake = comparison.fake["pixels"]
    settings = {"seed": comparison.seed, "groups": comparison.groups}
    found = knn_errors(real=comparison.real["pixels"], fake=fake, **settings)
    loo = LeaveOneOut(real=comparison.real_parts("pixels"), fake=comparison.fake_parts("pixels"))
    found["c2st_1nn_error"] = jackknife(loo.error(), [loo.error(g) for g in range(loo.groups)], "logit")
    if comparison.has("pixels", train=True):
        against_train = knn_errors(real=comparison.train["pixels"], fake=fake, **settings)
        found["knn_train_error"] = against_train["knn_error"]
    return found
