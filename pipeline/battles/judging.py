"""A trained discriminator as a judge: its batch-norm statistics taken again, and its logits of images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

BATCH = 500
REFRESHED_WITH = 2000
"""Images on which batch-norm statistics are estimated again: half real training images, half its own samples."""


def logits(judge: Any, images: Tensor) -> Tensor:
    """The discriminator's logits (N,) of uint8 images, in evaluation mode."""
    judge.eval()
    with torch.inference_mode():
        parts = [judge.discriminate(part.to(judge.device).float() / 255).cpu() for part in images.split(BATCH)]
    return torch.cat(parts).float()


def refresh(judge: Any, real: Tensor, generated: Tensor) -> None:
    """Take the discriminator's batch-norm statistics again on a fixed 50:50 set (uint8 images).

    In training it met real and generated images in batches apart, so its running statistics fit neither.
    """
    discriminator: nn.Module = judge.discriminator
    layers = [m for m in discriminator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over the batches
    judge.eval()
    for layer in layers:
        layer.train()
    half = min(len(real), len(generated))
    mixed = torch.stack([real[:half], generated[:half]], 1).flatten(0, 1)  # real, generated, real, ...
    with torch.no_grad():
        for part in mixed.split(BATCH):
            judge.discriminate(part.to(judge.device).float() / 255)
    judge.eval()
