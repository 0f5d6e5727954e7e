"""VAE: the variational autoencoder that DRAW-GAN's tables start from.

Kingma & Welling, 'Auto-Encoding Variational Bayes', arXiv:1312.6114; the layer sizes 784-400-20-400-784 are those
of the baseline in DRAW-GAN (000 section II-A) and of 004 section 4.3. Bernoulli likelihood; loss in nats per image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline.models.base import ImageGenerator
from pipeline.models.blocks import gaussian_kl
from pipeline.models.kinds import Count, Rate, Shape

__all__ = ["VAE"]


class VAE(ImageGenerator):
    """One hidden layer on each side of a diagonal Gaussian latent."""

    def __init__(self, shape: Shape, *, hidden: Count = 400, latent: Count = 20, learning_rate: Rate = 1e-3) -> None:
        super().__init__(shape)
        pixels = shape[0] * shape[1] * shape[2]
        self.latent_shape = (latent,)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels))
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)

    def networks(self) -> dict[str, list[nn.Module]]:
        return {"generator": [self.decoder], "encoder": [self.encoder]}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z | x), each (N, z)."""
        mean, log_std = self.encoder(x).chunk(2, dim=1)
        return mean, log_std

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Negative log-likelihood (N,), KL(q(z|x) || N(0, I)) (N,), both in nats, and the z that was drawn (N, z)."""
        mean, log_std = self.posterior(x)
        z = mean + log_std.exp() * torch.randn_like(mean)
        logits = self.decoder(z)
        nll = binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)
        return nll, gaussian_kl(mean, log_std), z

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        nll, kl, _ = self.terms(real)
        loss = (nll + kl).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"loss": loss.detach(), "reconstruction": nll.detach().mean(), "kl": kl.detach().mean()}

    def elbo(self, x: Tensor) -> Tensor:
        """Evidence lower bound of binary images, in nats, (N,); one sample of z each."""
        nll, kl, _ = self.terms(x)
        return -(nll + kl)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) decoded from the posterior's mean."""
        return self.decode(self.posterior(x)[0])

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid().view(-1, *self.shape)
