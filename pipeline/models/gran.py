"""GRAN: a generative recurrent adversarial network, which draws its image as a sum of increments on a canvas.

Im, Kim, Jiang & Memisevic, 'Generating images with recurrent adversarial networks', arXiv:1602.05110 (Im et al. 2016),
section 3.1, equations 5 to 9, Algorithm 1 and Table 5. Where the paper is silent: h_z and h_c are as long as z, and h_c
is batch-normalised before its tanh, as in the authors' code; weights start from N(0, 0.02), as in DCGAN, which GRAN
varies; batch-norm statistics are kept per time step, and later steps than trained reuse the last step's. The learning
rates are those that gave the best samples of MNIST in 50,000 images: a slow discriminator (2e-4) collapses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad, pixel_shuffle, pixel_unshuffle, relu

from pipeline.models.adversarial import AdversarialPair
from pipeline.models.kinds import Count, Fraction, Number, Rate, Shape

__all__ = ["GRAN"]


class GRAN(AdversarialPair):
    """C = sigma(sum_t dC_t), dC_t = f([h_z, h_c,t]), h_c,t = g(dC_{t-1}), h_c,1 = 0.

    `kernels` counts f's feature maps from the smallest size up: Table 5 without its last entry, which is the image's
    channels. A class to draw (`conditional`) is a one-hot beside z in eq. 7, the same at every step.
    `sample_steps` is the number of steps to sample with, 0 for as many as trained (Table 4 runs GRAN5 for 7 and 9).
    `fresh_noise` draws a z per step, else one z serves all steps. `tie_weights` lets g's convolutions share f's
    weights (supplement). `initial_logit` is the logit of the mean pixel that the untrained canvas starts from.
    """

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        conditional: bool = False,
        time_steps: Count = 3,
        sample_steps: int = 0,
        latent: Count = 60,
        kernels: tuple[int, ...] = (80, 40),
        fresh_noise: bool = False,
        tie_weights: bool = False,
        discriminator_steps: Count = 1,
        update_when_wrong: bool = False,
        learning_rate_generator: Rate = 5e-4,
        learning_rate_discriminator: Rate = 2e-3,
        beta1: Fraction = 0.5,
        initial_logit: Number = -1.9,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        side, kernels = _smallest_side(shape, kernels), (*kernels, shape[0])
        self.time_steps, self.sample_steps = time_steps, sample_steps or time_steps
        self.latent, self.fresh_noise = latent, fresh_noise
        self.latent_shape = (self.sample_steps, latent) if fresh_noise else (latent,)
        self.discriminator_steps, self.update_when_wrong = discriminator_steps, update_when_wrong
        self.generator = _Generator(kernels, side, latent, time_steps, tie_weights, self.classes)
        self.discriminator = _Encoder(kernels, side, 1 + self.classes, nn.LeakyReLU(0.2))
        nn.init.constant_(self.generator.bias, initial_logit / time_steps)
        adam = partial(torch.optim.Adam, betas=(beta1, 0.999), fused=True)
        self.generator_optimiser = adam(self.generator.parameters(), lr=learning_rate_generator)
        self.discriminator_optimiser = adam(self.discriminator.parameters(), lr=learning_rate_discriminator)

    def training_samples(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        z = torch.randn(n, *([self.time_steps] if self.fresh_noise else []), self.latent, device=device)
        return sum(self.generator(self.with_class(z, labels), self.time_steps)).sigmoid()

    def canvases(self, z: Tensor) -> Tensor:
        increments = torch.stack(self.generator(z, self.sample_steps), dim=1)
        return increments.cumsum(dim=1).sigmoid()

    def decode(self, z: Tensor) -> Tensor:
        return self.canvases(z)[:, -1]


class _Generator(nn.Module):
    """The recurrence of f, and for more than one step g; returns the increments dC_1 .. dC_T, each (N, C, H, W)."""

    def __init__(
        self, kernels: tuple[int, ...], side: int, latent: int, steps: int, tie_weights: bool, classes: int
    ) -> None:
        super().__init__()
        self.first_map = (side, side, kernels[0])
        self.noise = nn.Linear(latent + classes, latent)
        self.fully_connected = _normal_(nn.Linear(2 * latent, side * side * kernels[0], bias=False))
        self.weights = _conv_weights(kernels)
        self.norms = nn.ModuleList(_StepNorm(nn.BatchNorm2d, channels, steps) for channels in kernels[:-1])
        self.bias = nn.Parameter(torch.zeros(kernels[-1]))
        if steps > 1:
            weights = self.weights if tie_weights else None
            self.g = _Encoder(kernels, side, latent, nn.ReLU(), weights=weights, steps=steps - 1)
            self.g_norm = _StepNorm(nn.BatchNorm1d, latent, steps - 1)

    def f(self, h: Tensor, step: int) -> Tensor:
        """The increment dC (N, C, H, W) of the hidden state h = [h_z, h_c] (N, 2z); eq. 8."""
        x = self.fully_connected(h).view(-1, *self.first_map).permute(0, 3, 1, 2)
        for norm, weight in zip(self.norms[:-1], self.weights[:-1], strict=True):
            x = relu(norm(x, step))
            x = conv_transpose2d(x, weight, stride=2, padding=2, output_padding=1)
        return conv_to_image(relu(self.norms[-1](x, step)), self.weights[-1], self.bias)

    def forward(self, z: Tensor, steps: int) -> list[Tensor]:
        h_z = self.noise(z).tanh()  # eq. 7
        h_c = torch.zeros_like(h_z if h_z.dim() == 2 else h_z[:, 0])
        increments: list[Tensor] = []
        for step in range(steps):
            if step > 0:
                h_c = self.g_norm(self.g(increments[-1], step - 1), step - 1).tanh()  # eq. 6
            h = torch.cat([h_z if h_z.dim() == 2 else h_z[:, step], h_c], dim=1)
            increments.append(self.f(h, step))
        return increments


class _Encoder(nn.Module):
    """f's mirror image: strided convolutions, then one fully connected layer. It is g, and it is the discriminator."""

    def __init__(
        self,
        kernels: tuple[int, ...],
        side: int,
        features: int,
        activation: nn.Module,
        *,
        weights: nn.ParameterList | None = None,
        steps: int = 1,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.weights = _conv_weights(kernels) if weights is None else weights
        self.norms = nn.ModuleList(_StepNorm(nn.BatchNorm2d, channels, steps) for channels in kernels[:-1])
        self.fully_connected = _normal_(nn.Linear(side * side * kernels[0], features))

    def forward(self, x: Tensor, step: int = 0) -> Tensor:
        x = conv_from_image(x, self.weights[-1])
        for norm, weight in zip(reversed(self.norms[1:]), reversed(self.weights[:-1]), strict=True):
            x = conv2d(self.activation(norm(x, step)), weight, stride=2, padding=2)
        x = self.activation(self.norms[0](x, step))
        features: Tensor = self.fully_connected(x.permute(0, 2, 3, 1).flatten(1))
        return features


class _StepNorm(nn.Module):
    """Batch norm with one scale and shift, but own statistics for each of `steps`; later steps use the last one's."""

    def __init__(self, kind: type[nn.BatchNorm1d | nn.BatchNorm2d], channels: int, steps: int) -> None:
        super().__init__()
        self.at_step = nn.ModuleList(kind(channels) for _ in range(steps))
        for norm in self.at_step[1:]:
            norm.weight, norm.bias = self.at_step[0].weight, self.at_step[0].bias

    def forward(self, x: Tensor, step: int) -> Tensor:
        normalised: Tensor = self.at_step[min(step, len(self.at_step) - 1)](x)
        return normalised


def conv_to_image(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`conv_transpose2d(x, weight, bias, stride=2, padding=2, output_padding=1)` for a 5x5 `weight` (in, out, 5, 5).

    Computed as a 3x3 convolution to four channels per image channel, one for each parity of row and column: with
    so few channels it is several times faster on a CPU than the library's transposed convolution.
    """
    parities = pad(weight, (0, 1, 0, 1)).reshape(*weight.shape[:2], 3, 2, 3, 2).flip(2, 4)
    kernel = parities.permute(1, 3, 5, 0, 2, 4).flatten(0, 2)
    return pixel_shuffle(conv2d(x, kernel, bias.repeat_interleave(4), padding=1), 2)


def conv_from_image(x: Tensor, weight: Tensor) -> Tensor:
    """`conv2d(x, weight, stride=2, padding=2)` for a 5x5 `weight` (out, in, 5, 5), as in `conv_to_image`."""
    parities = pad(weight, (0, 1, 0, 1)).reshape(*weight.shape[:2], 3, 2, 3, 2)
    kernel = parities.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    return conv2d(pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last), kernel, padding=1)


def _conv_weights(kernels: Sequence[int]) -> nn.ParameterList:
    """One 5x5 weight per doubling of size, from the smallest up: (in, out) of f's layer, (out, in) of g's."""
    return nn.ParameterList(nn.Parameter(torch.randn(*pair, 5, 5) * 0.02) for pair in pairwise(kernels))


def _normal_(layer: nn.Linear) -> nn.Linear:
    nn.init.normal_(layer.weight, std=0.02)
    return layer


def _smallest_side(shape: Shape, kernels: tuple[int, ...]) -> int:
    """Side of f's first feature map; ValueError where `kernels` do not fit the image."""
    _, height, width = shape
    factor = 1 << len(kernels)
    if not kernels or min(kernels) < 1 or height != width or height % factor:
        raise ValueError(
            f"GRAN cannot draw {height}x{width} images with kernels {list(kernels)}: expected at least one kernel, all "
            f"at least 1, and a square side divisible by {factor}, twice for each kernel"
        )
    return height // factor
