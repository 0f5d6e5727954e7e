"""The bands of pipeline/datasets/class_bands.py for tensors, and when a band is too small to measure."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.datasets import class_bands
from pipeline.datasets.class_bands import BANDS, HEAD, IMBALANCED_FROM, MIDDLE, NO_BAND, TAIL

__all__ = [
    "BANDS",
    "HEAD",
    "IMBALANCED_FROM",
    "LEAST",
    "MIDDLE",
    "NO_BAND",
    "TAIL",
    "TOO_FEW",
    "bands_of",
    "imbalance_ratio",
    "tail_ends_at",
]

LEAST = 20
"""Images of a band on either side below which nothing is said about it: its columns stay empty."""

TOO_FEW = f"fewer than {LEAST} images of the band"
"""Why."""


def imbalance_ratio(counts: Tensor) -> float:
    """Largest class over the smallest that has images at all, of counts (classes,); 1 where there are none."""
    return class_bands.imbalance_ratio(counts.numpy())


def tail_ends_at(counts: Tensor) -> float:
    """Training images from which a class is no longer of the tail."""
    return class_bands.tail_ends_at(counts.numpy())


def bands_of(counts: Tensor) -> Tensor | None:
    """The band of each class (classes,) from the training split's counts (classes,); None for balanced data."""
    bands = class_bands.bands_of(counts.numpy())
    return None if bands is None else torch.from_numpy(bands)
