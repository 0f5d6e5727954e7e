"""DRAW-GAN: DRAW as the generator of a GAN whose discriminator also measures the reconstruction.

Renkila et al. section III, equations 20-21 and Algorithm 1; L_like as in VAE-GAN (Larsen et al. 2016, equation 7).
Both updates come, as in Algorithm 1, from one pass of the discriminator over x, x_rec and x_p:
- the discriminator descends the cross entropy -L_GAN and nothing else, its update being left out while it is far
  ahead (`lead`): the equilibrium of VAE-GAN's code;
- all of DRAW, its encoder too (eq. 21 updates theta_Draw as a whole), descends L_prior + gamma L_like + adversary;
  x_p reaches only the decoder. L_like = |f(x) - f(x_rec)|^2 / 2, f the discriminator's features, those of x detached.
The first `warmup` steps descend DRAW's own loss, L_prior + Bernoulli negative log-likelihood, while the
discriminator already learns. Images are grey, which that likelihood takes as probabilities: no bound on a density.
The paper states no layers of its discriminator; ours is a small strided convolutional one with a dropout of 0.2.
There is no `elbo`: after the warm-up nothing fits sigma(c_T) to a pixel likelihood.
`reconstruction: ssim` is the paper's own proposal (section VI): 1 - SSIM of x and x_rec in place of L_like, times the
number of pixels, so that gamma weighs a sum over the image either way.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, softplus

from pipeline.models.adversarial import pick_logit
from pipeline.models.base import ImageGenerator
from pipeline.models.blocks import gaussian_kl
from pipeline.models.draw import DRAW, BernoulliNLL
from pipeline.models.kinds import Count, Fraction, Number, Rate, Shape, Weight

__all__ = ["DRAWGAN"]


class Discriminator(nn.Module):
    """Two strided convolutions, whose activations are the features f, then two dense layers to 1 + classes outputs."""

    def __init__(self, shape: Shape, kernels: int, dropout: float, classes: int) -> None:
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
            nn.Linear(8 * kernels, 1 + classes),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, 1 + classes), larger is more real, and features (N, F) of images in [0, 1]."""
        features = self.features(2 * x - 1)
        return self.verdict(features), features


class DRAWGAN(ImageGenerator):
    """DRAW against a discriminator; z_t ~ N(0, I) at every step in sampling."""

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        glimpses: Count = 10,
        hidden: Count = 256,
        latent: Count = 10,
        read_size: Count = 5,
        write_size: Count = 10,
        attention: bool = True,
        conditional: bool = False,
        log_stride: Number = -0.2,
        log_variance: Number = 0.5,
        objective: Literal["non_saturating", "minimax"] = "non_saturating",
        reconstruction: Literal["features", "ssim"] = "features",
        gamma: Weight = 10.0,
        warmup: Weight = 2000,
        lead: Fraction = 0.6,
        kernels: Count = 16,
        dropout: Fraction = 0.2,
        learning_rate: Rate = 2e-3,
        discriminator_rate: Rate = 5e-4,
        clip_norm: Weight = 5.0,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        self.draw = DRAW(
            shape,
            classes,
            conditional=conditional,
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
        self.reconstruction = reconstruction
        self.discriminator = Discriminator(shape, kernels, dropout, self.classes)
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

    def encode(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The posterior's means of every step as latents (N, T, z), class included."""
        return self.draw.encode(x, labels)

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) decoded from the posterior's means."""
        return self.draw.reconstruct(x, labels)

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of images in [0, 1], of `labels` or of any class; larger is more real, the threshold is 0."""
        return pick_logit(self, self.discriminator(x)[0], labels)

    def adversary(self, fake: Tensor) -> Tensor:
        """What DRAW descends for the logits (N,) of its images: log(1 - D), or -log D."""
        return -softplus(fake) if self.objective == "minimax" else softplus(-fake)

    def losses(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Every term of both losses, means over the batch, and the discriminator's accuracies."""
        n, posterior = len(real), self.draw.noise(len(real))
        prior = self.with_class(self.draw.noise(n).transpose(0, 1), labels).transpose(0, 1)
        done = self.draw.unroll(real, posterior, labels, prior=prior)
        drawn = self.draw.images(done.logits)
        outputs, features = self.discriminator(torch.cat([real, drawn]))
        logits = pick_logit(self, outputs, None if labels is None else labels.repeat(3))
        on_real, on_drawn = logits.split([n, 2 * n])
        of_real, of_rec, _ = features.chunk(3)
        if self.reconstruction == "ssim":
            like = real[0].numel() * (1 - structural_similarity(drawn[:n], real)).mean()
        else:
            like = 0.5 * (of_rec - of_real.detach()).square().sum(1).mean()
        return {
            "kl": gaussian_kl(done.mean, done.log_std).sum(0).mean(),
            "reconstruction": BernoulliNLL.apply(done.logits[:n], self.draw.by_rows(real)).sum((1, 2)).mean(),
            "like": like,
            # x_rec and x_p come in halves of equal size: twice the mean is the sum of their two means.
            "g_loss": 2 * self.adversary(on_drawn).mean(),
            "d_loss": softplus(-on_real).mean() + 2 * softplus(on_drawn).mean(),
            "d_lead": (on_real.sigmoid().mean() - on_drawn.sigmoid().mean()).detach(),
            "d_accuracy_real": (on_real > 0).float().mean(),
            "d_accuracy_fake": (on_drawn < 0).float().mean(),
        }

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        terms = self.losses(real, labels)
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


def structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of pairs of images (N, C, H, W) in [0, 1], (N,).

    Wang, Bovik, Sheikh & Simoncelli, 'Image quality assessment: from error visibility to structural similarity', 2004:
    Gaussian windows of 11x11 pixels with a deviation of 1.5 that lie within the image (smaller ones in an image that
    is smaller), K1 = 0.01, K2 = 0.03.
    """
    size = min(11, x.shape[2], x.shape[3])
    offsets = torch.arange(size, device=x.device, dtype=x.dtype) - (size - 1) / 2
    weights = (-offsets.square() / (2 * 1.5**2)).softmax(0)

    def windowed(images: Tensor) -> Tensor:
        planes = images.flatten(0, 1).unsqueeze(1)
        return conv2d(conv2d(planes, weights.view(1, 1, size, 1)), weights.view(1, 1, 1, size))

    mean_x, mean_y, of_xx, of_yy, of_xy = windowed(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    means, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * means + c1) / (squares + c1)
    contrast_and_structure = (2 * (of_xy - means) + c2) / (of_xx + of_yy - squares + c2)
    return (luminance * contrast_and_structure).view(len(x), -1).mean(1)


def assign(parameters: list[nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    """Give each parameter its gradient."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
