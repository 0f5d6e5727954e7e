"""Does a generator copy? The share of authentic samples: AuthPct of Alaa et al. 2022 (arXiv:2102.08921).

A sample is authentic if it lies further from its nearest training image than that image lies from the nearest other
training image, in the reference classifier's features. All training images are searched.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.distances import nearest, pair_distances, prepare
from pipeline.metrics.intervals import delta, rate, wider

ORDER = 82

COLUMNS: dict[str, dict[str, str]] = {
    "authenticity": {
        "label": "Authentic samples",
        "meaning": "Share of samples that lie further from their nearest training image than that lies from its own "
        "nearest, in classifier features; below the row `real` they are copies, above it far from the data.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
}


def authentic(*, fake: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the generated points (m, d) are authentic among training points (n, d), n > 1: (m,) bool.

    Also the number of each one's nearest training point, (m,).
    """
    samples, seen = prepare(fake, train)
    index = nearest(samples, seen, 1)[1].squeeze(1)
    originals, back = index.unique(return_inverse=True)
    neighbour = nearest(seen[originals], seen, 1, own=originals)[1].squeeze(1)
    # sought in float32, compared in float64: a copy lies at no distance from its original
    to_train = pair_distances(samples, torch.arange(len(index)), seen, index)
    return to_train > pair_distances(seen, originals, seen, neighbour)[back], back


def share(authentic: Tensor, original: Tensor) -> Estimate:
    """Share of authentic samples (m,) bool with the wider of two intervals.

    One takes samples for independent; the other takes those with the same nearest training image (m,) for one.
    """
    per_image = rate(authentic)
    residuals = authentic.double() - per_image.value
    by_original = torch.zeros(int(original.max()) + 1, dtype=torch.float64).index_add_(0, original, residuals)
    return wider(per_image, delta(per_image.value, by_original.norm().item() / len(authentic), "logit"))


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Where the training images' features are given."""
    train = comparison.memory_features
    if "classifier" not in comparison.fake or train is None or len(train) < 2:
        return {}
    return {"authenticity": share(*authentic(fake=comparison.fake["classifier"], train=train))}
