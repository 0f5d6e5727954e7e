"""What adversarial models share: the updates of a step, what they report, and the logit of a class.

Goodfellow et al., 'Generative adversarial nets', arXiv:1406.2661, with the non-saturating loss of the generator
(Im et al. 2016 eq. 2). A model that derives from `AdversarialPair` declares its two networks and optimisers and how a
batch of
training samples is drawn. The class enters the discriminator by its last layer, which has one more output per class:
Miyato & Koyama, 'cGANs with projection discriminator', arXiv:1802.05637.
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

    discriminator_steps: int = 1
    """Updates of the discriminator per update of the generator (k of 1406.2661, Ponnuru section 4.2), each on an equal
    part of the batch."""

    update_when_wrong: bool = False
    """Im et al. 2016 section 2's update rule: the discriminator learns from the images that it judges wrongly, the
    generator from those of its own that are judged rightly. The others count as 0 in the loss, which stays a mean over
    the batch, so
    an optimiser with momentum still moves where none is left."""

    redraw: bool = False
    """Whether the generator's update has latents of its own, as Algorithm 1 of Goodfellow et al. 2014 has; without, one
    forward pass of the generator serves both updates."""

    objective: str = "non_saturating"
    """What the generator descends: `non_saturating`, -log D, or `minimax`, log(1 - D) (Goodfellow et al. 2014)."""

    real_label: float = 1.0
    """The probability of being real that the discriminator is asked to give to real images; 1 or a little less."""

    def training_samples(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        """Images (n, C, H, W) in [0, 1] from fresh latents, of classes `labels` (n,), in training mode."""
        raise NotImplementedError

    def networks(self) -> dict[str, list[nn.Module]]:
        return {"generator": [self.generator], "discriminator": [self.discriminator]}

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Train the discriminator, then the generator, on `real` (N, C, H, W) and fakes of the same classes (N,).

        Raises ValueError for fewer than two images per update of the discriminator.
        """
        fake = self.training_samples(len(real), real.device, labels)
        d_loss, real_logits, fake_logits = self._fit_discriminator(real, fake.detach(), labels)
        if self.redraw:
            fake = self.training_samples(len(real), real.device, labels)
        logits = self.discriminate(fake, labels)
        of_generator = minimax_loss if self.objective == "minimax" else non_saturating_loss
        g_loss = of_generator(logits, where=logits <= 0 if self.update_when_wrong else None)
        update(self.generator_optimiser, g_loss, self.generator)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss.detach(),
            "d_accuracy_real": (real_logits > 0).float().mean(),
            "d_accuracy_fake": (fake_logits <= 0).float().mean(),
        }

    def _fit_discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """`discriminator_steps` updates: their mean loss, and the logits (N,) of real and fake images before each."""
        k = self.discriminator_steps
        if len(real) < 2 * k:
            raise ValueError(f"discriminator_steps: found {k} for a batch of {len(real)}; expected at most half of it")
        losses, judged = [], []
        of_class = labels.tensor_split(k) if labels is not None else [None] * k
        for x, made, classes in zip(real.tensor_split(k), fake.tensor_split(k), of_class, strict=True):
            logits = self.tell_apart(real=x, fake=made, labels=classes)
            loss = self.discriminator_loss(*logits)
            update(self.discriminator_optimiser, loss, self.discriminator)
            losses.append(loss.detach())
            judged.append(torch.stack(logits).detach())
        real_logits, fake_logits = torch.cat(judged, dim=1)
        return torch.stack(losses).mean(), real_logits, fake_logits

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z))) in nats, with `real_label` as the target of real images."""
        real = softplus(-real_logits)
        if self.real_label < 1:
            real = real + (1 - self.real_label) * real_logits  # the cross entropy with the softer target
        wrong = (real_logits <= 0, fake_logits > 0) if self.update_when_wrong else (None, None)
        return _mean(real, wrong[0]) + _mean(softplus(fake_logits), wrong[1])

    def tell_apart(self, *, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Training logits, each (N,): half of each kind is normalised apart, as is usual, and half in one joint batch.

        Apart alone, the discriminator never trains on the joint statistics that evaluation mode applies to both kinds:
        on MNIST it then took up to 85 % of held-out fakes for real. Jointly alone, GRAN3's samples came out worse.
        """
        half = len(real) // 2
        first, second = (None, None) if labels is None else (labels[:half], labels[half:].repeat(2))
        joint_real, joint_fake = self.discriminate(torch.cat([real[half:], fake[half:]]), second).chunk(2)
        real_logits = torch.cat([self.discriminate(real[:half], first), joint_real])
        return real_logits, torch.cat([self.discriminate(fake[:half], first), joint_fake])

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [0, 1] as ones of their `labels` (N,), or as ones of any class.

        Above 0 says real.
        """
        return pick_logit(self, self.discriminator(x), labels)


def pick_logit(model: ImageGenerator, outputs: Tensor, labels: Tensor | None) -> Tensor:
    """Logits (N,) from the last layer's `outputs` (N, 1 + classes) of `model`'s discriminator; (N, 1) without classes.

    out_0 + out_{1 + y} for class y of `labels` (N,) (1802.05637). Without labels the odds are averaged over the
    classes' shares in the training split: out_0 + log sum_y p(y) exp(out_{1 + y}).
    """
    if not model.classes:
        return outputs.squeeze(1)
    shared, of_class = outputs[:, 0], outputs[:, 1:]
    if labels is None:
        shares = model.class_counts / model.class_counts.sum()
        return shared + (of_class + shares.log()).logsumexp(1)
    return shared + of_class.gather(1, labels.unsqueeze(1)).squeeze(1)


def non_saturating_loss(fake_logits: Tensor, where: Tensor | None = None) -> Tensor:
    """-E log D(G(z)) in nats (Im et al. 2016 eq. 2): it falls as the discriminator takes the fakes for real.

    Images for which `where` (N,) is false count as 0.
    """
    return _mean(softplus(-fake_logits), where)


def minimax_loss(fake_logits: Tensor, where: Tensor | None = None) -> Tensor:
    """E log(1 - D(G(z))) in nats (Goodfellow et al. 2014, Algorithm 1); images where `where` (N,) is false count as 0.

    Its gradient vanishes where the discriminator is sure.
    """
    return _mean(-softplus(fake_logits), where)


def _mean(losses: Tensor, where: Tensor | None) -> Tensor:
    return (losses if where is None else losses * where).mean()


def update(optimiser: torch.optim.Optimizer, loss: Tensor, network: nn.Module) -> None:
    """One step of `network` alone: no gradient is computed for, or left in, the other network's parameters."""
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss, inputs=list(network.parameters()))
    optimiser.step()
