"""Does a generator copy? The data-copying test of Meehan et al. 2020 (arXiv:2004.05675) as its Mann-Whitney AUC.

Distances to the nearest of all training images, of samples against held-out images: of a part of them, as many as are
held out, most copies would go unseen. Their Z grows with n; the AUC does not. It needs no labels, and where images are
large the distances are those of 256 principal components and of the length of the rest (features/pixels.py).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate, Once, now
from pipeline.metrics.distances import nearest_distances, prepare
from pipeline.metrics.intervals import delta

ORDER = 80

COLUMNS: dict[str, dict[str, str]] = {
    "copying": {
        "label": "Copying",
        "meaning": "Probability that a sample lies nearer to its nearest training image in pixels than a held-out real "
        "image does; 0.5 is ideal, above it samples are copies of training images, or smoother than real ones.",
        "better": "near_real",
        "unit": "probability",
        "scale": "logit",
    },
}


def auc(*, smaller: Tensor, larger: Tensor) -> Estimate:
    """P(a < b) + P(a = b) / 2 for a of `smaller` (n,) and b of `larger` (m,).

    The error is DeLong's (1988): the variance of every image's own probability.
    """
    a, b = smaller.double().contiguous(), larger.double().contiguous()
    a_sorted, b_sorted = a.sort().values, b.sort().values
    above = len(b) - 0.5 * (torch.searchsorted(b_sorted, a) + torch.searchsorted(b_sorted, a, right=True))
    below = 0.5 * (torch.searchsorted(a_sorted, b) + torch.searchsorted(a_sorted, b, right=True))
    placements_a, placements_b = above / len(b), below / len(a)
    error = (placements_a.var() / len(a) + placements_b.var() / len(b)).sqrt().item()
    return delta(placements_a.mean().item(), error, "logit")


def copying(*, real: Tensor, fake: Tensor, train: Tensor, once: Once = now) -> Estimate:
    """Of held-out (n, d), generated (m, d) and training (t, d) images."""
    held_out, generated, seen = prepare(real, fake, train)
    to_real = once(lambda: nearest_distances(held_out, seen))
    return auc(smaller=nearest_distances(generated, seen), larger=to_real)


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """On pixels, where the training images are given."""
    if not comparison.has("pixels") or comparison.memory is None:
        return {}
    sides = {"real": comparison.real["pixels"], "fake": comparison.fake["pixels"]}
    return {"copying": copying(**sides, train=comparison.memory, once=partial(comparison.once, "copying"))}
