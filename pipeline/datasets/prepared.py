"""Prepared splits as tensors, and random subsets of them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pipeline.core import artifacts


def load_split(path: Path) -> tuple[Tensor, Tensor | None]:
    """Images uint8 (N, C, H, W) and labels (N,) or None of a prepared split."""
    images, labels = artifacts.read_images(path)
    return torch.from_numpy(images.copy()), None if labels is None else torch.from_numpy(labels.copy())


def subset(size: int, n: int, seed: int) -> Tensor:
    """Indices of min(n, size) images drawn at random, ascending."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:n].sort().values
