"""DRAW-GAN: DRAW as the generator of a GAN whose discriminator also measures the reconstruction.

000 section III, equations 20-21 and Algorithm 1; L_like as in VAE-GAN (Larsen et al., arXiv:1512.09300, equation 7).
Both updates come, as in Algorithm 1, from one pass of the discriminator over x, x_rec and x_p:
- the discriminator descends the cross entropy -L_GAN and nothing else, its update being left out while it is far
  ahead (`lead`): the equilibrium of VAE-GAN's code;
- all of DRAW, its encoder too (eq. 21 updates theta_Draw as a whole), descends L_prior + gamma L_like + adversary;
  x_p reaches only the decoder. L_like = |f(x) - f(x_rec)|^2 / 2, f the discriminator's features, those of x detached.
The first `warmup` steps descend DRAW's own loss, L_prior + Bernoulli negative log-likelihood, while the
discriminator already learns. Images are grey, which that likelihood takes as probabilities: no bound on a density.
Our discriminator is a small strided convolutional one in place of the authors' 1024-500-100-1 perceptron, with their
dropout of 0.2. There is no `elbo`: after the warm-up nothing fits sigma(c_T) to a pixel likelihood.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pipeline.models.base import ImageGenerator
from pipeline.models.blocks import gaussian_kl
from pipeline.models.draw import DRAW, BernoulliNLL
from pipeline.models.kinds import Count, Fraction, Number, Rate, Shape, Weight

__all__ = ["DRAWGAN"]


class Discriminator(nn.Module):
    """Two strided convolutions, whose activations are the features f, then two dense layers to one logit."""

    def __init__(self, shape: Shape, kernels: int, dropout: float) -> None:
        super().__init__()
        channels, height, width = shape
        self.features = nn.Sequential(
            nn.Conv2d(channels, kernels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(kernels, 2 * kernels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        size = 2 * kernels * (height // 4) * (width // 4)
        self.verdict = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(size, 8 * kernels),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(8 * kernels, 1),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,), larger is more real, and features (N, F) of images in [0, 1]."""
        features = self.features(2 * x - 1)
        return self.verdict(features).squeeze(1), features


class DRAWGAN(ImageGenerator):
    """DRAW against a discriminator; z_t ~ N(0, I) at every step in sampling."""

    def __init__(
        self,
        shape: Shape,
        *,
        glimpses: Count = 10,
        hidden: Count = 256,
        latent: Count = 10,
        read_size: Count = 5,
        write_size: Count = 10,
        attention: bool = True,
        log_stride: Number = -0.2,
        log_variance: Number = 0.5,
        objective: Literal["non_saturating", "minimax"] = "non_saturating",
        gamma: Weight = 10.0,
        warmup: Weight = 2000,
        lead: Fraction = 0.6,
        kernels: Count = 16,
        dropout: Fraction = 0.2,
        learning_rate: Rate = 2e-3,
        discriminator_rate: Rate = 5e-4,
        clip_norm: Weight = 5.0,
    ) -> None:
        super().__init__(shape)
        self.draw = DRAW(
            shape,
            glimpses=glimpses,
            hidden=hidden,
            latent=latent,
            read_size=read_size,
            write_size=write_size,
            attention=attention,
            log_stride=log_stride,
            log_variance=log_variance,
            learning_rate=learning_rate,
            clip_norm=clip_norm,
        )
        self.latent_shape = self.draw.latent_shape
        self.objective, self.gamma, self.warmup, self.lead = objective, gamma, warmup, lead
        self.discriminator = Discriminator(shape, kernels, dropout)
        self.optimiser = self.draw.optimiser
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), lr=discriminator_rate, betas=(0.5, 0.999), fused=True
        )
        self.steps_taken: Tensor
        self.register_buffer("steps_taken", torch.zeros(()))

    def networks(self) -> dict[str, list[nn.Module]]:
        return {**self.draw.networks(), "discriminator": [self.discriminator]}

    def decode(self, z: Tensor) -> Tensor:
        return self.draw.decode(z)

    def canvases(self, z: Tensor) -> Tensor:
        return self.draw.canvases(z)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) decoded from the posterior's means."""
        return self.draw.reconstruct(x)

    def discriminate(self, x: Tensor) -> Tensor:
        """Logits (N,) of images in [0, 1]; larger is more real, the threshold is 0."""
        return self.discriminator(x)[0]

    def adversary(self, fake: Tensor) -> Tensor:
        """What DRAW descends for the logits (N,) of its images: log(1 - D), or -log D."""
        return -softplus(fake) if self.objective == "minimax" else softplus(-fake)

    def losses(self, real: Tensor) -> dict[str, Tensor]:
        """Every term of both losses, means over the batch, and the discriminator's accuracies."""
        n = len(real)
        done = self.draw.encode(real, self.draw.noise(n), self.draw.noise(n))
        drawn = self.draw.images(done.logits)
        logits, features = self.discriminator(torch.cat([real, drawn]))
        on_real, on_drawn = logits.split([n, 2 * n])
        of_real, of_rec, _ = features.chunk(3)
        return {
            "kl": gaussian_kl(done.mean, done.log_std).sum(0).mean(),
            "reconstruction": BernoulliNLL.apply(done.logits[:n], self.draw.by_rows(real)).sum((1, 2)).mean(),
            "like": 0.5 * (of_rec - of_real.detach()).square().sum(1).mean(),
            # x_rec and x_p come in halves of equal size: twice the mean is the sum of their two means.
            "g_loss": 2 * self.adversary(on_drawn).mean(),
            "d_loss": softplus(-on_real).mean() + 2 * softplus(on_drawn).mean(),
            "d_lead": (on_real.sigmoid().mean() - on_drawn.sigmoid().mean()).detach(),
            "d_accuracy_real": (on_real > 0).float().mean(),
            "d_accuracy_fake": (on_drawn < 0).float().mean(),
        }

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        terms = self.losses(real)
        warm = (self.steps_taken < self.warmup).float()
        adversarial = self.gamma * terms["like"] + terms["g_loss"]
        loss = terms["kl"] + warm * terms["reconstruction"] + (1 - warm) * adversarial
        self.update(loss, terms["d_loss"], ahead=terms["d_lead"] > self.lead)
        self.steps_taken += 1
        return {"loss": loss.detach()} | {name: value.detach() for name, value in terms.items()}

    def update(self, loss: Tensor, d_loss: Tensor, *, ahead: Tensor) -> None:
        """Step DRAW on `loss` and, unless it is `ahead` (a boolean scalar), the discriminator on `d_loss`."""
        drawing, judging = list(self.draw.parameters()), list(self.discriminator.parameters())
        assign(judging, torch.autograd.grad(d_loss, judging, retain_graph=True))
        assign(drawing, torch.autograd.grad(loss, drawing))
        if self.draw.clip_norm > 0:
            nn.utils.clip_grad_norm_(drawing, self.draw.clip_norm)
        # Fused Adam leaves parameters and moments as they are where its `found_inf` is 1: no branch on the host.
        self.discriminator_optimiser.found_inf = ahead.float()  # type: ignore[attr-defined]
        self.discriminator_optimiser.step()
        self.optimiser.step()


def assign(parameters: list[nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    """Give each parameter its gradient."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
