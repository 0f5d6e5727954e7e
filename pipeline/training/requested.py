"""Images of requested classes, and the classes of samples that are drawn as often as the data has them."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator
from pipeline.training.sampling import BATCH, quantise

SEED_STEP, SEED_OFFSET = 1_000_003, 500_000
"""Seeds of trainings lie SEED_STEP apart. Samples that are measured begin at the protocol's seed itself; images
that a classifier is trained with are others."""


def seed_of(protocol_seed: int, training: int) -> int:
    """The seed of the latents of a training's requested images."""
    return protocol_seed + SEED_STEP * training + SEED_OFFSET


def requested(model: ImageGenerator, classes: Tensor, seed: int) -> Tensor:
    """Image k is sample k of the seed, of class `classes[k]`; uint8 (n, C, H, W) on the CPU."""
    parts = [torch.empty(0, *model.shape, dtype=torch.uint8)]
    with torch.inference_mode():
        for first in range(0, len(classes), BATCH):
            some = classes[first : first + BATCH]
            noise = model.draw_latents(len(some), seed, first=first)[..., : -model.classes]
            parts.append(quantise(model.decode(model.with_class(noise, some).to(model.device))).cpu())
    return torch.cat(parts)


def drawn_classes(model: ImageGenerator, n: int, seed: int) -> Tensor | None:
    """Classes (n,) of samples 0 to n - 1 of a seed, as their latents have them; None for a model without classes."""
    if not model.classes:
        return None
    parts = [
        model.draw_latents(min(BATCH, n - first), seed, first=first)[..., -model.classes :].argmax(-1)
        for first in range(0, n, BATCH)
    ]
    return torch.cat([part.flatten(1)[:, 0] if part.dim() > 1 else part for part in parts])
