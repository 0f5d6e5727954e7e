"""How many generated images each rare class lacks, and which samples the reference classifier takes for one."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.features.classifier import DomainClassifier, extract
from pipeline.metrics.bands import TAIL, tail_ends_at

SURE = 0.9
"""Probability above which the reference classifier's word is taken for a label."""


def wanted_images(counts: Tensor, bands: Tensor) -> Tensor:
    """Generated images of each class (classes,): what fills the tail's classes up to the size at which it ends."""
    missing = (torch.tensor(tail_ends_at(counts)).ceil().long() - counts).clamp_min(0)
    return torch.where(bands == TAIL, missing, torch.zeros_like(missing))


def recognised(classifier: DomainClassifier, samples: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the first samples (n, C, H, W) that are surely of each class, class by class, and their classes.

    There are at most as many as wanted, (classes,).
    """
    sure, classes = extract(classifier, samples)[1].max(dim=1)
    chosen = [
        ((classes == c) & (sure > SURE)).nonzero().squeeze(1)[: int(wanted[c])] for c in wanted.nonzero().squeeze(1)
    ]
    rows = torch.cat([torch.empty(0, dtype=torch.long), *chosen])
    return rows, classes[rows]
