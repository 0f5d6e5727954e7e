"""A convolutional GAN of tanh layers and max pooling, trained by momentum SGD.

Vijayvargiya et al. section 3, layer by layer: generator 100 -> dense 1024 -> dense 128x16x16 -> batch norm, tanh ->
twice upsampled x2 and convolved 5x5, to 64 maps (tanh) and to the image (tanh); discriminator 5x5 to 64 maps (zero
padding), tanh, 2x2 maximum, 5x5 to 128 maps (no padding), tanh, 2x2 maximum -> dense 1024, tanh -> dense 1; one update
of each per batch. 16x16 is a quarter of their 64x64 images; other images start from a quarter of their own size.
Algorithm 1 draws new noise for the generator's update (`redraw`) and descends log(1 - D(G(z))) (`objective: minimax`);
both are set at the budget `paper` alone, since -log D(G(z)) and shared noise train faster. Where the paper is silent,
the widely copied code with these layers: tanh after the first dense layer too, Nesterov momentum of 0.9 at a rate of
5e-4, z ~ U(-1, 1), and Glorot's initialisation (Glorot and Bengio 2010). Changed: no bias before the batch norm, which
takes it away again.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.models.adversarial import AdversarialPair
from pipeline.models.blocks import UpsampledConv
from pipeline.models.kinds import Count, Fraction, Rate, Shape

__all__ = ["ConvolutionalGAN"]


class ConvolutionalGAN(AdversarialPair):
    """`width` counts the maps next to the image, half of the others; `hidden` the units of the dense layers.

    A class to draw (`conditional`) is a one-hot beside z.
    """

    latent_law = "uniform"

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        conditional: bool = False,
        latent: Count = 100,
        hidden: Count = 1024,
        width: Count = 64,
        discriminator_steps: Count = 1,
        update_when_wrong: bool = False,
        objective: Literal["non_saturating", "minimax"] = "non_saturating",
        redraw: bool = False,
        learning_rate: Rate = 5e-4,
        momentum: Fraction = 0.9,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        _check(shape)
        self.latent_shape = (latent,)
        self.discriminator_steps, self.update_when_wrong = discriminator_steps, update_when_wrong
        self.objective, self.redraw = objective, redraw
        self.generator = _generator(latent + self.classes, hidden, width, shape)
        self.discriminator = _discriminator(shape, width, hidden, 1 + self.classes)
        for layer in (module for module in self.modules() if isinstance(module, nn.Linear | nn.Conv2d)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        sgd = partial(torch.optim.SGD, lr=learning_rate, momentum=momentum, nesterov=momentum > 0, fused=True)
        self.generator_optimiser = sgd(self.generator.parameters())
        self.discriminator_optimiser = sgd(self.discriminator.parameters())

    def training_samples(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.with_class(2 * torch.rand(n, *self.latent_shape, device=device) - 1, labels))

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [0, 1] as ones of their `labels` (N,), or as ones of any class.

        Above 0 says real.
        """
        return super().discriminate(2 * x - 1, labels)

    def decode(self, z: Tensor) -> Tensor:
        y: Tensor = self.generator(z)
        return (y + 1) / 2


def _generator(latent: int, hidden: int, width: int, shape: Shape) -> nn.Sequential:
    channels, height, width_of_image = shape
    quarter = (2 * width, height // 4, width_of_image // 4)
    size = 2 * width * (height // 4) * (width_of_image // 4)
    return nn.Sequential(
        *(nn.Linear(latent, hidden), nn.Tanh()),
        *(nn.Linear(hidden, size, bias=False), nn.BatchNorm1d(size), nn.Tanh(), nn.Unflatten(1, quarter)),
        *(UpsampledConv(2 * width, width, bias=True), nn.Tanh()),
        *(UpsampledConv(width, channels, bias=True), nn.Tanh()),
    )


def _discriminator(shape: Shape, width: int, hidden: int, outputs: int) -> nn.Sequential:
    """To (N, outputs). tanh rises, so the maximum may be taken first: the same values from a quarter of the work."""
    channels, height, width_of_image = shape
    size = 2 * width * ((height // 2 - 4) // 2) * ((width_of_image // 2 - 4) // 2)
    return nn.Sequential(
        *(nn.Conv2d(channels, width, 5, padding=2), nn.MaxPool2d(2), nn.Tanh()),
        *(nn.Conv2d(width, 2 * width, 5), nn.MaxPool2d(2), nn.Tanh(), nn.Flatten()),
        *(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, outputs)),
    )


def _check(shape: Shape) -> None:
    """ValueError for images that cannot be halved twice, or that the unpadded 5x5 convolution leaves nothing of."""
    _, height, width = shape
    if height % 4 or width % 4 or min(height, width) < 12:
        raise ValueError(
            f"gan_conv cannot draw {height}x{width} images: expected sides of at least 12 that are divisible by 4"
        )
