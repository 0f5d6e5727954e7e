"""KID of the rare classes: all of the tail's held-out images against all generated ones of the tail, in one pool.

Single rare classes have too few images for a distance of their own.
"""

from __future__ import annotations

from pipeline.metrics.bands import LEAST, TAIL, TOO_FEW
from pipeline.metrics.comparison import Comparison, Estimate, random_parts
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import jackknife
from pipeline.metrics.kid import polynomial_sums

ORDER = 32

COLUMNS: dict[str, dict[str, str]] = {
    "kid_tail": {
        "label": "KID (classifier), tail",
        "meaning": "kid_classifier between the real and the generated images of rare classes, pooled; the reference "
        "classifier chooses the generated ones, so those of no class at all are in it too; empty where the data is "
        "balanced or either side has under 20 images.",
        "better": "lower",
        "unit": "squared kernel mean",
        "scale": "linear",
    },
}


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """On the reference classifier's features, where the data has bands and the samples have rare classes."""
    real_bands, fake_bands = comparison.real_bands, comparison.fake_bands
    if not comparison.has("classifier") or real_bands is None or fake_bands is None:
        return {}
    real, fake = comparison.real["classifier"][real_bands == TAIL], comparison.fake["classifier"][fake_bands == TAIL]
    if min(len(real), len(fake)) < LEAST:
        return {"kid_tail": undefined(TOO_FEW)}
    parts = min(comparison.groups, len(real) // 2, len(fake) // 2)
    sides = [
        [points[part] for part in random_parts(len(points), parts, seed=2 * comparison.seed + side)]
        for side, points in enumerate((real, fake))
    ]
    sums = polynomial_sums(real=sides[0], fake=sides[1])
    return {"kid_tail": jackknife(sums.unbiased(), sums.without_each(), "linear")}
