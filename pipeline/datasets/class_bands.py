"""Head, middle and tail: which classes of an imbalanced data set are common and which are rare. Defined here alone.

The rule uses the training split. Where the largest class has at least ten times the images of the smallest, the range
between the two is cut into three equal parts on the logarithmic scale: with 8 to 1,728 images, the tail has under 48
and the head 288 or more. It depends on no number of images, never parts two classes of one size, and leaves neither
head nor tail empty. Liu et al. 2019 (arXiv:1904.05160) cut at 20 and 100 images, whatever the data set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

BANDS = ("head", "middle", "tail")
"""Names of the bands 0, 1 and 2."""

HEAD, MIDDLE, TAIL, NO_BAND = 0, 1, 2, -1

IMBALANCED_FROM = 10.0
"""Largest class over smallest one from which a data set is imbalanced: below it has no bands."""


def imbalance_ratio(counts: Counts) -> float:
    """Largest class over the smallest that has images at all, of counts (classes,); 1 where there are none."""
    present = counts[counts > 0]
    return float(present.max() / present.min()) if len(present) else 1.0


def tail_ends_at(counts: Counts) -> float:
    """Training images from which a class is no longer of the tail."""
    present = counts[counts > 0].astype(np.float64)
    return float(present.min() ** (2 / 3) * present.max() ** (1 / 3))


def bands_of(counts: Counts) -> NDArray[np.int64] | None:
    """The band of each class (classes,) from the training split's counts (classes,); None for balanced data.

    A class without a training image is in no band (NO_BAND).
    """
    if imbalance_ratio(counts) < IMBALANCED_FROM:
        return None
    present = counts[counts > 0].astype(np.float64)
    head_from = float(present.min() ** (1 / 3) * present.max() ** (2 / 3))
    # the cube roots are not exact: a class that lies on a boundary belongs above it
    margin = 1 - 1e-9
    bands = np.full(counts.shape, TAIL, dtype=np.int64)
    bands[counts >= margin * tail_ends_at(counts)] = MIDDLE
    bands[counts >= margin * head_from] = HEAD
    bands[counts == 0] = NO_BAND
    return bands
