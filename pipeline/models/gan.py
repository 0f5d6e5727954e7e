"""GAN: two multilayer perceptrons, the plainest of the adversarial models.

Ponnuru sections 4.2 and 5, after Goodfellow et al., 'Generative adversarial nets', arXiv:1406.2661: a generator
100-32-64-128-784 (ReLU, tanh at the end), a discriminator 784-128-64-32-1 (LeakyReLU of slope 0.2), dropout 0.3 in
the hidden layers of both, Adam with 2e-4 (the 2e-3 that Ponnuru tried first is a matter of `learning_rate`). Where
Ponnuru is silent, the widely copied code with these very layers: z ~ U(-1, 1), real images labelled 0.9, generated ones
0. Changed: dropout in the generator belongs to training alone, so that an image is a function of its latent, and layers
scale with the image (784 is its number of values); Adam's beta1 is 0.5, as Radford et al. (arXiv:1511.06434) found.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from pipeline.models.adversarial import AdversarialPair
from pipeline.models.kinds import Count, Fraction, Rate, Shape

__all__ = ["GAN"]


class GAN(AdversarialPair):
    """z ~ U(-1, 1) -> dense layers of `generator_widths` -> image; image -> `discriminator_widths` -> one logit.

    `discriminator_widths` of [256] is the smaller discriminator of Ponnuru section 4.2. A class to draw (`conditional`)
    is a one-hot beside z.
    """

    latent_law = "uniform"

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        conditional: bool = False,
        latent: Count = 100,
        generator_widths: tuple[Count, ...] = (32, 64, 128),
        discriminator_widths: tuple[Count, ...] = (128, 64, 32),
        dropout: Fraction = 0.3,
        real_label: Fraction = 0.9,
        discriminator_steps: Count = 1,
        update_when_wrong: bool = False,
        learning_rate: Rate = 2e-4,
        beta1: Fraction = 0.5,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        self.latent_shape = (latent,)
        self.real_label = real_label
        self.discriminator_steps, self.update_when_wrong = discriminator_steps, update_when_wrong
        values = shape[0] * shape[1] * shape[2]
        self.generator = nn.Sequential(
            *_layers((latent + self.classes, *generator_widths, values), nn.ReLU(), dropout), nn.Tanh()
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), *_layers((values, *discriminator_widths, 1 + self.classes), nn.LeakyReLU(0.2), dropout)
        )
        adam = partial(torch.optim.Adam, lr=learning_rate, betas=(beta1, 0.999), fused=True)
        self.generator_optimiser = adam(self.generator.parameters())
        self.discriminator_optimiser = adam(self.discriminator.parameters())

    def training_samples(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.with_class(2 * torch.rand(n, *self.latent_shape, device=device) - 1, labels))

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [0, 1] as ones of their `labels` (N,), or as ones of any class.

        Above 0 says real.
        """
        return super().discriminate(2 * x - 1, labels)

    def decode(self, z: Tensor) -> Tensor:
        y: Tensor = self.generator(z)
        return (y.view(-1, *self.shape) + 1) / 2


def _layers(widths: tuple[int, ...], activation: nn.Module, dropout: float) -> list[nn.Module]:
    """Dense layers from each width to the next, all but the last one activated and thinned out."""
    modules: list[nn.Module] = []
    for width, following in pairwise(widths):
        modules += [nn.Linear(width, following), activation, nn.Dropout(dropout)]
    return modules[:-2]
