"""Blocks that several models share."""

from __future__ import annotations

from torch import Tensor


def gaussian_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, exp(log_std)^2) || N(0, I)) in nats, summed over the last dimension."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 2 * log_std - 1).sum(-1)
