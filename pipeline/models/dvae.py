"""Denoising VAE: the encoder is shown a corrupted image, the bound is that of the clean one.

Im, Ahn, Memisevic & Bengio, 'Denoising criterion for variational auto-encoding framework', arXiv:1511.06406, whose
images the GRAN paper lets its judges score (Im et al. 2016 Table 3). The loss is the paper's tractable one, equation 6
with one corruption drawn per image: E over x~ of the clean image's negative log-likelihood under q(z | x~), plus KL(q(z
| x~) || p(z)). `elbo` and the importance weights take the encoder of the uncorrupted image: any q(z) that does not
depend on z's draw bounds log p(x), and this one is what the trained encoder gives when there is nothing to denoise.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pipeline.models.kinds import Count, Fraction, Rate, Shape
from pipeline.models.vae import VAE

__all__ = ["DVAE"]


class DVAE(VAE):
    """The VAE's networks; `noise` is the share of pixels that become 0 or 1 by chance, or a Gaussian's deviation."""

    def __init__(
        self,
        shape: Shape,
        *,
        hidden: tuple[Count, ...] = (400,),
        latent: Count = 20,
        corruption: Literal["salt_and_pepper", "gaussian"] = "salt_and_pepper",
        noise: Fraction = 0.1,
        learning_rate: Rate = 1e-3,
    ) -> None:
        super().__init__(shape, hidden=hidden, latent=latent, learning_rate=learning_rate)
        self.corruption, self.noise = corruption, noise

    def observed(self, x: Tensor) -> Tensor:
        """x~ of images (N, C, H, W) in training, else x."""
        if not self.training:
            return x
        if self.corruption == "gaussian":
            return x + self.noise * torch.randn_like(x)
        chance = torch.rand_like(x)
        # Of the pixels with noise, every other one becomes 0 and the rest 1.
        return torch.where(chance < self.noise, (chance < self.noise / 2).to(x), x)
