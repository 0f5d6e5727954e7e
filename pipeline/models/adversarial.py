"""What plain adversarial models share: the two updates of a step, and what they report.

Goodfellow et al., 'Generative adversarial nets', arXiv:1406.2661, with the non-saturating loss of the generator
(001 eq. 2). A model that derives from `AdversarialPair` declares its two networks and optimisers and how a batch of
training samples is drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pipeline.models.base import ImageGenerator


class AdversarialPair(ImageGenerator):
    """A generator and a discriminator, each with an optimiser of its own."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer

    def training_samples(self, n: int, device: torch.device) -> Tensor:
        """Images (n, C, H, W) in [0, 1] from fresh latents, in training mode."""
        raise NotImplementedError

    def networks(self) -> dict[str, list[nn.Module]]:
        return {"generator": [self.generator], "discriminator": [self.discriminator]}

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        fake = self.training_samples(len(real), real.device)  # one forward pass serves both updates
        real_logits, fake_logits = self.tell_apart(real=real, fake=fake.detach())
        d_loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
        update(self.discriminator_optimiser, d_loss, self.discriminator)
        g_loss = non_saturating_loss(self.discriminate(fake))
        update(self.generator_optimiser, g_loss, self.generator)
        return {
            "d_loss": d_loss.detach(),
            "g_loss": g_loss.detach(),
            "d_accuracy_real": (real_logits > 0).float().mean(),
            "d_accuracy_fake": (fake_logits <= 0).float().mean(),
        }

    def tell_apart(self, *, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Training logits, each (N,): half of each kind is normalised apart, as is usual, and half in one joint batch.

        Apart alone, the discriminator never trains on the joint statistics that evaluation mode applies to both kinds:
        on MNIST it then took up to 85 % of held-out fakes for real. Jointly alone, GRAN3's samples came out worse.
        """
        half = len(real) // 2
        joint_real, joint_fake = self.discriminate(torch.cat([real[half:], fake[half:]])).chunk(2)
        real_logits = torch.cat([self.discriminate(real[:half]), joint_real])
        return real_logits, torch.cat([self.discriminate(fake[:half]), joint_fake])

    def discriminate(self, x: Tensor) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [0, 1]; above 0 says real."""
        logits: Tensor = self.discriminator(x)
        return logits.squeeze(1)


def non_saturating_loss(fake_logits: Tensor) -> Tensor:
    """-E log D(G(z)) in nats (001 eq. 2): it falls as the discriminator takes the fakes for real."""
    return softplus(-fake_logits).mean()


def update(optimiser: torch.optim.Optimizer, loss: Tensor, network: nn.Module) -> None:
    """One step of `network` alone: no gradient is computed for, or left in, the other network's parameters."""
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss, inputs=list(network.parameters()))
    optimiser.step()
