"""Made-up images of a data set's shape: how long a step takes depends on the shape, not on what is shown."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

CHUNK = 5000


@functools.lru_cache(maxsize=2)
def made_up(n: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    """Discs of random place, size and shade with soft edges on black, uint8 (n, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    images = torch.empty(n, channels, height, width, dtype=torch.uint8)
    for part in images.split(CHUNK):
        x, y, radius, shade = torch.rand(4, len(part), channels, 1, 1, generator=generator)
        distance = ((columns - 0.3 - 0.4 * x).square() + (rows - 0.3 - 0.4 * y).square()).sqrt()
        inside = ((0.1 + 0.2 * radius - distance) * 6).clamp(0, 1)
        part.copy_(inside * (0.3 + 0.7 * shade) * 255)
    return images
