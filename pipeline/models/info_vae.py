"""InfoVAE in its MMD form: the VAE's KL term gives way to the maximum mean discrepancy between q(z) and p(z).

Zhao, Song & Ermon, 'InfoVAE: Balancing Learning and Inference in Variational Autoencoders', arXiv:1706.02262 (Renkila
et al. reference [6]); their alpha = 1, at which no KL to the prior is left, so the loss is reconstruction + lambda
MMD^2. The kernel is the inverse multiquadratic k(a, b) = C / (C + |a - b|^2) with C = 2z, the mean of |a - b|^2 under
the prior (Tolstikhin et al., arXiv:1711.01558, section 4): its tails still pull on codes that a Gaussian kernel no
longer sees.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.models.kinds import Count, Rate, Shape, Weight
from pipeline.models.vae import VAE

__all__ = ["InfoVAE"]


def squared_mmd(z: Tensor, prior: Tensor) -> Tensor:
    """Biased estimate (V-statistic, >= 0) of MMD^2 between the samples z and prior, both (N, z): a scalar."""
    codes = torch.cat([z, prior])
    squares = codes.square().sum(1)
    distances = (squares[:, None] + squares - 2 * codes @ codes.t()).clamp_min(0)
    scale = 2.0 * z.shape[1]
    weights = torch.cat([z.new_full((len(z),), 1 / len(z)), z.new_full((len(prior),), -1 / len(prior))])
    return weights @ (scale / (scale + distances)) @ weights


class InfoVAE(VAE):
    """The VAE's networks under reconstruction + `mmd_weight` * MMD^2.

    The weight has to match a reconstruction that is summed over pixels, in nats: 1 leaves q(z) unmatched.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        hidden: tuple[Count, ...] = (400,),
        latent: Count = 20,
        mmd_weight: Weight = 500.0,
        learning_rate: Rate = 1e-3,
    ) -> None:
        super().__init__(shape, hidden=hidden, latent=latent, learning_rate=learning_rate)
        self.mmd_weight = mmd_weight

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        nll, kl, z = self.terms(real, labels)
        reconstruction, mmd = nll.mean(), squared_mmd(z, torch.randn_like(z))
        loss = reconstruction + self.mmd_weight * mmd
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        scalars = {"loss": loss, "reconstruction": reconstruction, "mmd": mmd, "kl": kl.mean()}
        return {name: value.detach() for name, value in scalars.items()}
