"""VAE: the variational autoencoder that DRAW-GAN's tables start from, and those of two other papers.

Kingma & Welling, 'Auto-Encoding Variational Bayes', arXiv:1312.6114. The default layers, 784-400-20-400-784, are those
of a widely copied example, and its 400 units those of Ponnuru section 4.3, which states no number of latents (Renkila
et al. state no layers of their baseline); `hidden: [512, 256], latent: 2` is Ponnuru section 5's, `hidden: [512],
latent: 2, likelihood: gaussian` that of Vijayvargiya et al. section 3, whose loss is the squared error. That error is
summed over the pixels, half of it being a unit Gaussian's negative log-likelihood but for a constant: its mean over
the pixels would weigh so little against the KL term that every code collapses to the prior. Losses in nats per image.
A requested class stands beside the image in the encoder's input and beside z in the decoder's.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline.models.base import ImageGenerator
from pipeline.models.blocks import dense, gaussian_kl
from pipeline.models.kinds import Count, Rate, Shape

__all__ = ["VAE"]


class VAE(ImageGenerator):
    """Fully connected layers on each side of a diagonal Gaussian latent; `hidden` is from the image to the latent."""

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        hidden: tuple[Count, ...] = (400,),
        latent: Count = 20,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        conditional: bool = False,
        learning_rate: Rate = 1e-3,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        pixels = math.prod(shape)
        self.latent_shape = (latent,)
        self.likelihood = likelihood
        self.encoder = dense(pixels + self.classes, *hidden, 2 * latent)
        self.decoder = dense(latent + self.classes, *reversed(hidden), pixels)
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)

    def networks(self) -> dict[str, list[nn.Module]]:
        return {"generator": [self.decoder], "encoder": [self.encoder]}

    def posterior(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z | x), each (N, z)."""
        mean, log_std = self.encoder(self.with_class(x.flatten(1), labels)).chunk(2, dim=1)
        return mean, log_std

    def observed(self, x: Tensor) -> Tensor:
        """What the encoder is shown of images (N, C, H, W) in training."""
        return x

    def terms(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Negative log-likelihood (N,), KL(q(z|x) || N(0, I)) (N,), both in nats, and the z that was drawn (N, z)."""
        mean, log_std = self.posterior(self.observed(x), labels)
        z = mean + log_std.exp() * torch.randn_like(mean)
        return self.negative_log_likelihood(x, self.with_class(z, labels)), gaussian_kl(mean, log_std), z

    def negative_log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """-log p(x | z) in nats, (N,), of latents with their class; the Gaussian's constant is left out."""
        logits, pixels = self.decoder(z), x.flatten(1)
        if self.likelihood == "gaussian":
            return 0.5 * (logits.sigmoid() - pixels).square().sum(1)
        return binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(1)

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        nll, kl, _ = self.terms(real, labels)
        loss = (nll + kl).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"loss": loss.detach(), "reconstruction": nll.detach().mean(), "kl": kl.detach().mean()}

    def elbo(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Evidence lower bound of binary images, in nats, (N,); one sample of z each."""
        nll, kl, _ = self.terms(x, labels)
        return -(nll + kl)

    def log_weights(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x, z) - log q(z | x) in nats for one draw of z each, (N,): the weights of importance sampling.

        Burda, Grosse & Salakhutdinov, arXiv:1509.00519, equation 8.
        """
        mean, log_std = self.posterior(self.observed(x), labels)
        noise = torch.randn_like(mean)
        z = mean + log_std.exp() * noise
        # The two Gaussians' constants, -z/2 log 2 pi each, cancel.
        log_ratio = (0.5 * noise.square() + log_std - 0.5 * z.square()).sum(1)
        return log_ratio - self.negative_log_likelihood(x, self.with_class(z, labels))

    def encode(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The posterior's means as latents, class included."""
        return self.with_class(self.posterior(x, labels)[0], labels)

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) decoded from the posterior's mean."""
        return self.decode(self.encode(x, labels))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid().view(-1, *self.shape)
