"""Sampling from a trained model: sample k is the same whatever n and whatever the batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator

BATCH = 250
"""Samples decoded at once. The last batch is filled up, so every product has the same shape and the same bits."""


def in_batches(model: ImageGenerator, n: int, seed: int, decode: Callable[[Tensor], Tensor], batch: int) -> Tensor:
    """`decode` of the latents of samples 0 to n - 1, quantised to uint8, (n, ...) on the CPU."""
    model.eval()
    parts = []
    with torch.inference_mode():
        for first in range(0, n, batch):
            z = model.draw_latents(batch, seed, first=first).to(model.device)
            parts.append(quantise(decode(z)).cpu())
    return torch.cat(parts)[:n]


def sample(model: ImageGenerator, n: int, seed: int, batch: int = BATCH) -> Tensor:
    """n generated images, uint8 (n, C, H, W)."""
    return in_batches(model, n, seed, model.decode, batch)


def sample_canvases(model: ImageGenerator, n: int, seed: int) -> Tensor:
    """The canvases of samples 0 to n - 1 through time, uint8 (n, T, C, H, W)."""
    return in_batches(model, n, seed, model.canvases, n)


def quantise(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8)


def diversity(images: Tensor) -> float:
    """Mean Euclidean distance over all pairs of images (N, C, H, W) uint8, pixels in [0, 1]."""
    flat = images.flatten(1).double() / 255
    return float(torch.pdist(flat).mean())
