"""DRAW whose latents are matched to the prior by an adversary in place of the KL divergence.

Renkila et al. section VI proposes it; the adversarial autoencoder (Makhzani et al., arXiv:1511.05644, section 2) is its
source, here for the sequence z_1..z_T of a recurrent encoder: one discriminator, two hidden layers of ReLU units as
theirs, sees all T latents of an image side by side, so that their joint law over the images is drawn to N(0, I), from
which samples are decoded. Latents are drawn from DRAW's Gaussians N(mu_t, sigma_t) (their 'Gaussian posterior').
Changed: one update of DRAW descends reconstruction + `weight` times the non-saturating adversarial loss, in place of
two updates by turns; like the KL it stands for, that loss reaches the encoder, and the decoder as far as later glimpses
depend on it. The bound that is reported is still DRAW's: it holds for any posterior, but nothing here was trained to
raise it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pipeline.models.adversarial import non_saturating_loss, update
from pipeline.models.blocks import dense, gaussian_kl
from pipeline.models.draw import DRAW, BernoulliNLL
from pipeline.models.kinds import Count, Number, Rate, Shape, Weight

__all__ = ["DRAWAdversarialPrior"]


class DRAWAdversarialPrior(DRAW):
    """DRAW against a discriminator of latents, which tells N(0, I) from what the encoder makes of images.

    That discriminator judges no images; asked for a class, it sees the class beside the latents (1511.05644, section
    2.3), so that the latents of every class by itself are drawn to N(0, I).
    """

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        glimpses: Count = 10,
        hidden: Count = 256,
        latent: Count = 4,
        read_size: Count = 5,
        write_size: Count = 10,
        attention: bool = True,
        conditional: bool = False,
        log_stride: Number = -0.2,
        log_variance: Number = 0.5,
        weight: Weight = 20.0,
        prior_hidden: Count = 512,
        learning_rate: Rate = 2e-3,
        prior_rate: Rate = 1e-3,
        clip_norm: Weight = 5.0,
    ) -> None:
        super().__init__(
            shape,
            classes,
            glimpses=glimpses,
            hidden=hidden,
            latent=latent,
            read_size=read_size,
            write_size=write_size,
            attention=attention,
            conditional=conditional,
            log_stride=log_stride,
            log_variance=log_variance,
            learning_rate=learning_rate,
            clip_norm=clip_norm,
        )
        self.weight = weight
        self.of_prior = dense(math.prod(self.latent_shape) + self.classes, prior_hidden, prior_hidden, 1)
        self.prior_optimiser = torch.optim.Adam(
            self.of_prior.parameters(), lr=prior_rate, betas=(0.5, 0.999), fused=True
        )

    def networks(self) -> dict[str, list[nn.Module]]:
        return {**super().networks(), "prior_discriminator": [self.of_prior]}

    def judge_latents(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of the noise of latents (T, N, z), of classes `labels` (N,); above 0 says drawn from N(0, I)."""
        logits: Tensor = self.of_prior(self.with_class(z.transpose(0, 1).flatten(1), labels))
        return logits.squeeze(1)

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        noise, prior = self.noise(len(real)), self.noise(len(real))
        done = self.unroll(real, noise, labels)
        z = torch.addcmul(done.mean, done.log_std.exp(), noise)
        on_prior, on_codes = self.judge_latents(torch.cat([prior, z.detach()], 1), _twice(labels)).chunk(2)
        d_loss = softplus(-on_prior).mean() + softplus(on_codes).mean()
        update(self.prior_optimiser, d_loss, self.of_prior)
        nll = BernoulliNLL.apply(done.logits, self.by_rows(real)).sum((1, 2)).mean()
        g_loss = non_saturating_loss(self.judge_latents(z, labels))
        loss = nll + self.weight * g_loss
        self.descend(loss)
        scalars = {
            "loss": loss,
            "reconstruction": nll,
            "kl": gaussian_kl(done.mean, done.log_std).sum(0).mean(),
            "d_loss": d_loss,
            "g_loss": g_loss,
            "d_accuracy_real": (on_prior > 0).float().mean(),
            "d_accuracy_fake": (on_codes <= 0).float().mean(),
        }
        return {name: value.detach() for name, value in scalars.items()}

    def descend(self, loss: Tensor) -> None:
        """One step of all of DRAW, and of nothing else, on `loss`."""
        drawing = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=drawing)
        if self.clip_norm > 0:
            nn.utils.clip_grad_norm_(drawing, self.clip_norm)
        self.optimiser.step()


def _twice(labels: Tensor | None) -> Tensor | None:
    return None if labels is None else labels.repeat(2)
