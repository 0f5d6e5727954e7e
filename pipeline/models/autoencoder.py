"""Autoencoder: an encoder to a few features and a decoder back, without a prior.

Vijayvargiya et al. section 2, which blends two images by mixing their features. As no prior makes its codes probable,
samples come from a Gaussian fitted to the codes of training images (Vijayvargiya et al. do not sample it). The
Gaussian is a running mean and covariance over the last thousand steps or so, while falling learning rates let the
encoder come to rest; latents are the whitened codes, L^-1 (code - mean) with L L^T the covariance, so that N(0, I)
noise decodes to samples and blends stay straight lines between codes. The loss is the squared error summed over the
pixels, or the Bernoulli cross entropy in nats.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline.models.base import ImageGenerator
from pipeline.models.blocks import dense
from pipeline.models.kinds import Count, Fraction, Rate, Shape

__all__ = ["Autoencoder"]

JITTER = 1e-6
"""Added to the codes' variances: a feature that no image uses has none."""


class Autoencoder(ImageGenerator):
    """Fully connected layers on each side of `features` numbers; `hidden` is from the image to the features."""

    code_mean: Tensor
    code_square: Tensor
    seen: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        hidden: tuple[Count, ...] = (512, 256),
        features: Count = 16,
        loss: Literal["squared_error", "cross_entropy"] = "squared_error",
        memory: Fraction = 0.999,
        learning_rate: Rate = 1e-3,
    ) -> None:
        super().__init__(shape)
        pixels = math.prod(shape)
        self.latent_shape = (features,)
        self.loss, self.memory = loss, memory
        self.encoder = dense(pixels, *hidden, features)
        self.decoder = dense(features, *reversed(hidden), pixels)
        self.register_buffer("code_mean", torch.zeros(features))
        self.register_buffer("code_square", torch.zeros(features, features))
        self.register_buffer("seen", torch.zeros(()))
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)

    def networks(self) -> dict[str, list[torch.nn.Module]]:
        return {"generator": [self.decoder], "encoder": [self.encoder]}

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        codes = self.encoder(real.flatten(1))
        loss = self.error(self.decoder(codes), real.flatten(1)).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.remember(codes.detach())
        return {"loss": loss.detach()}

    def error(self, logits: Tensor, pixels: Tensor) -> Tensor:
        """What is lost of each image (N, pixels), summed over its pixels, (N,)."""
        if self.loss == "cross_entropy":
            return binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(1)
        return (logits.sigmoid() - pixels).square().sum(1)

    def remember(self, codes: Tensor) -> None:
        """Let a batch of codes (N, features) into the running first and second moments."""
        codes = codes.float()
        self.code_mean.lerp_(codes.mean(0), 1 - self.memory)
        self.code_square.lerp_(codes.t() @ codes / len(codes), 1 - self.memory)
        self.seen.lerp_(torch.ones_like(self.seen), 1 - self.memory)

    def gaussian(self) -> tuple[Tensor, Tensor]:
        """Mean (features,) and lower-triangular factor L of the covariance of training codes.

        Before the first step there are no codes, and it is N(0, I).
        """
        share = self.seen.clamp_min(1e-12)
        mean, identity = self.code_mean / share, torch.eye(len(self.code_mean), device=self.device)
        covariance = self.code_square / share - torch.outer(mean, mean) + JITTER * identity
        factor, failed = torch.linalg.cholesky_ex(torch.where(self.seen > 0, covariance, identity))
        # Moments of too few codes may have no factor: the variances alone are always one.
        return mean, torch.where(failed > 0, covariance.diagonal().clamp_min(JITTER).sqrt().diag(), factor)

    def encode(self, x: Tensor) -> Tensor:
        """Whitened codes (N, features) of images (N, C, H, W), which `decode` takes."""
        mean, factor = self.gaussian()
        codes = self.encoder(x.flatten(1)) - mean
        return torch.linalg.solve_triangular(factor, codes.t(), upper=False).t()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) through encoder and decoder."""
        logits: Tensor = self.decoder(self.encoder(x.flatten(1)))
        return logits.sigmoid().view(-1, *self.shape)

    def decode(self, z: Tensor) -> Tensor:
        mean, factor = self.gaussian()
        return self.decoder(mean + z @ factor.t()).sigmoid().view(-1, *self.shape)
