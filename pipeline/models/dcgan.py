"""DCGAN: a convolutional generator against a convolutional discriminator, without pooling or hidden dense layers.

Stiff et al. section 3.4 (figures 3 and 4), a variant of Radford, Metz & Chintala, arXiv:1511.06434: upsampling and 5x5
convolutions in the generator, strided 5x5 convolutions in the discriminator, LeakyReLU in both; layers are dropped
for images smaller than 128x128. Where Stiff et al. is silent, Radford et al.: weights from N(0, 0.02), slope 0.2, Adam
2e-4 with beta1 0.5, and batch norm in every layer but the generator's last and the discriminator's first and last.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_unshuffle

from pipeline.models.adversarial import AdversarialPair, pick_logit
from pipeline.models.blocks import UpsampledConv
from pipeline.models.kinds import Count, Fraction, Rate, Shape

__all__ = ["DCGAN"]

SLOPE = 0.2
"""Of LeakyReLU below 0."""


class DCGAN(AdversarialPair):
    """z ~ U(-1, 1) -> dense -> 8x8 x `width` (28x28 images: 7x7) -> upsampled x2 and halved in channels up to C.

    `width` counts the channels of the smallest map; `layers_per_size` above 1 adds 5x5 convolutions at every size
    but the image's (the wider and deeper networks of Stiff et al. section 5.3).
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
        width: Count = 128,
        layers_per_size: Count = 1,
        batch_norm: bool = True,
        discriminator_steps: Count = 1,
        update_when_wrong: bool = False,
        learning_rate: Rate = 2e-4,
        beta1: Fraction = 0.5,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        side, halvings = _smallest_map(shape, width)
        channels = [shape[0], *(width >> (halvings - 1 - level) for level in range(halvings))]
        self.latent_shape = (latent,)
        self.discriminator_steps, self.update_when_wrong = discriminator_steps, update_when_wrong
        self.generator = _generator(latent + self.classes, side, channels, layers_per_size, batch_norm)
        self.discriminator = _discriminator(side, channels, layers_per_size, batch_norm, 1 + self.classes)
        for weight in (parameter for parameter in self.parameters() if parameter.dim() > 1):
            nn.init.normal_(weight, std=0.02)
        adam = partial(torch.optim.Adam, lr=learning_rate, betas=(beta1, 0.999), fused=True)
        self.generator_optimiser = adam(self.generator.parameters())
        self.discriminator_optimiser = adam(self.discriminator.parameters())

    def training_samples(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.with_class(2 * torch.rand(n, *self.latent_shape, device=device) - 1, labels))

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [0, 1] as ones of their `labels` (N,), or as ones of any class.

        Above 0 says real.
        """
        return pick_logit(self, self.discriminator(2 * x - 1), labels)

    def decode(self, z: Tensor) -> Tensor:
        y: Tensor = self.generator(z)
        return (y + 1) / 2


class ImageConv(nn.Conv2d):
    """A 5x5 convolution of stride 2 on an image, (N, C, H, W) to (N, out, H/2, W/2).

    Computed as a 3x3 convolution on the image's 2x2 blocks, since the library's gradient with respect to so few
    channels takes a CPU several times longer than the convolution itself.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 5, stride=2, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        blocks = pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        parities = pad(self.weight, (0, 1, 0, 1)).reshape(*self.weight.shape[:2], 3, 2, 3, 2)
        return conv2d(blocks, parities.permute(0, 1, 3, 5, 2, 4).flatten(1, 3), self.bias, padding=1)


def _generator(latent: int, side: int, channels: list[int], layers: int, batch_norm: bool) -> nn.Sequential:
    """`channels` from the image's up to the smallest map's."""
    modules: list[nn.Module] = [nn.Linear(latent, side * side * channels[-1], bias=not batch_norm), _ToMap(side)]
    for inner, outer in pairwise(reversed(channels)):
        modules += _activated(inner, batch_norm)
        for _ in range(layers - 1):
            modules += [nn.Conv2d(inner, inner, 5, padding=2, bias=not batch_norm), *_activated(inner, batch_norm)]
        modules.append(UpsampledConv(inner, outer, bias=not batch_norm or outer == channels[0]))
    return nn.Sequential(*modules, nn.Tanh())


def _discriminator(side: int, channels: list[int], layers: int, batch_norm: bool, outputs: int) -> nn.Sequential:
    """The way back down, to (N, outputs)."""
    modules: list[nn.Module] = []
    for level, (outer, inner) in enumerate(pairwise(channels)):
        if level == 0:
            modules += [ImageConv(outer, inner), nn.LeakyReLU(SLOPE)]
        else:
            down = nn.Conv2d(outer, inner, 5, stride=2, padding=2, bias=not batch_norm)
            modules += [down, *_activated(inner, batch_norm)]
        for _ in range(layers - 1):
            modules += [nn.Conv2d(inner, inner, 5, padding=2, bias=not batch_norm), *_activated(inner, batch_norm)]
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(side * side * channels[-1], outputs))


class _ToMap(nn.Module):
    """(N, side * side * channels) to (N, channels, side, side), channels last in memory."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), self.side, self.side, -1).permute(0, 3, 1, 2)


def _activated(channels: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE)] if batch_norm else [nn.LeakyReLU(SLOPE)]


def _smallest_map(shape: Shape, width: int) -> tuple[int, int]:
    """Side of the smallest map (8, or 7 as for 28x28) and the number of halvings down to it."""
    _, height, width_of_image = shape
    for side in (8, 7):
        halvings = (height // side).bit_length() - 1
        if height == width_of_image == side * 2**halvings and halvings > 0 and width % 2 ** (halvings - 1) == 0:
            return side, halvings
    raise ValueError(
        f"DCGAN cannot draw {height}x{width_of_image} images from {width} channels: expected a square side of 7 or 8 "
        "doubled at least once (14, 16, 28, 32, 56, 64, 112, 128, ...) and a width that halves once less"
    )
