"""Flow matching: a U-Net that carries noise to images along straight lines, and draws by a few Euler steps.

Lipman et al. 2023, 'Flow matching for generative modeling', arXiv:2210.02747; Liu, Gong & Liu 2023, 'Flow straight and
fast', arXiv:2209.03003. With images in [-1, 1], x_t = (1 - t) noise + t image, so t = 0 is noise; the
network predicts the velocity image - noise. Times of training are logit-normal (Esser et al. 2024, arXiv:2403.03206),
and spread evenly over a batch. The U-Net is that of Ho et al. 2020 (arXiv:2006.11239) made small: its finest level
works on 2x2 patches, each level has one residual block, the coarsest one attention.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, scaled_dot_product_attention, silu

from pipeline.models.base import ImageGenerator
from pipeline.models.kinds import Count, Rate, Shape, Weight

__all__ = ["FlowMatching"]

FREQUENCIES = 16
"""Sines and cosines of the time that the network is shown, half an octave apart."""

HEAD = 32
"""Channels of one head of attention."""

GROUPS = 8
"""Of channels that are normalised together, at most."""

SMALL = 0.1
"""What the last weights of each branch are multiplied by at first, so that it begins as a small change."""

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class FlowMatching(ImageGenerator):
    """A U-Net of a time and, with classes, a class; `euler_steps` Euler steps, each of which is a canvas."""

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        channels: tuple[Count, ...] = (32, 64),
        patch: Count = 2,
        euler_steps: Count = 25,
        times: Literal["logit_normal", "uniform"] = "logit_normal",
        clip: Weight = 1.0,
        conditional: bool = False,
        learning_rate: Rate = 3e-3,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        self.latent_shape = (math.prod(shape),)
        self.euler_steps, self.times, self.clip = euler_steps, times, clip
        self.network = UNet(shape, channels, patch, self.classes)
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        image, noise = 2 * real - 1, torch.randn_like(real)
        noised, t, target = self.noised(image, noise)
        loss = (self.predict(noised, t, self.class_of(labels, noised)) - target).square().mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.parameters(), self.clip)
        self.optimiser.step()
        return {"loss": loss.detach()}

    def predict(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        """The velocity (N, C, H, W) at x_t, with times t (N,) and one-hot classes (N, classes)."""
        velocity: Tensor = self.network(x, t, classes)
        return velocity

    def noised(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_t (N, C, H, W) of images and noise, its times t (N,), and what the network is to predict of it."""
        t = self.draw_times(len(image), image.device)
        share = t.view(-1, 1, 1, 1)
        return (1 - share) * noise + share * image, t, image - noise

    def draw_times(self, n: int, device: torch.device) -> Tensor:
        """Times in (0, 1), (n,): one in each of n parts of equal probability, from one random offset."""
        even = (torch.rand((), device=device) + torch.arange(n, device=device)) / n
        return torch.special.ndtri(even.clamp(1e-4, 1 - 1e-4)).sigmoid() if self.times == "logit_normal" else even

    def class_of(self, labels: Tensor | None, like: Tensor) -> Tensor:
        """One-hot of labels (N,), (N, classes): of no columns where there are no classes."""
        return self.with_class(like.new_zeros(len(like), 0), labels)

    def path(self, z: Tensor) -> Iterator[Tensor]:
        """The image in [-1, 1] after every Euler step from latents z."""
        noise, classes = z.split([self.latent_shape[0], self.classes], 1)
        x = noise.view(-1, *self.shape)
        for step in range(self.euler_steps):
            t = x.new_full((len(x),), step / self.euler_steps)
            x = x + self.predict(x, t, classes) / self.euler_steps
            yield x

    def canvases(self, z: Tensor) -> Tensor:
        return torch.stack([(x + 1) / 2 for x in self.path(z)], 1).clamp(0, 1)

    def decode(self, z: Tensor) -> Tensor:
        *_, last = self.path(z)
        return ((last + 1) / 2).clamp(0, 1)


class UNet(nn.Module):
    """From an image (N, C, H, W), times (N,) and one-hot classes (N, classes) to a prediction (N, C, H, W)."""

    def __init__(self, shape: Shape, channels: tuple[int, ...], patch: int, classes: int) -> None:
        super().__init__()
        _check_sides(shape, patch, len(channels))
        self.patch, last, width = patch, channels[-1], 2 * channels[-1]
        self.condition = nn.Sequential(
            nn.Linear(2 * FREQUENCIES + classes, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.enter = nn.Conv2d(shape[0] * patch**2, channels[0], 3, padding=1)
        self.down = nn.ModuleList(Block(size, size, width) for size in channels)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(channels))
        self.attention, self.middle = Attention(last), Block(last, last, width)
        self.grow = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairwise(channels))
        self.up = nn.ModuleList(Block(2 * size, size, width) for size in channels)
        self.leave = nn.Sequential(
            _norm(channels[0]), nn.SiLU(), _small(nn.Conv2d(channels[0], shape[0] * patch**2, 3, padding=1))
        )

    def forward(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        condition = self.condition(torch.cat([_waves(t), classes], 1))
        h = self.enter(pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last))
        kept = []
        for level, block in enumerate(self.down):
            h = block(h if level == 0 else self.shrink[level - 1](h), condition)
            kept.append(h)
        h = self.middle(self.attention(h), condition)
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, kept[level]], 1), condition)
            if level:
                h = pixel_shuffle(self.grow[level - 1](h), 2)
        predicted: Tensor = pixel_shuffle(self.leave(h), self.patch)
        return predicted


class Block(nn.Module):
    """Two convolutions around a residual; the condition scales and shifts what stands between them."""

    def __init__(self, channels_in: int, channels_out: int, width: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = _norm(channels_in), _norm(channels_out)
        self.conv_in = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv_out = _small(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.modulation = nn.Linear(width, 2 * channels_out)
        self.skip = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
        h = self.norm_out(self.conv_in(silu(self.norm_in(x))))
        out: Tensor = self.skip(x) + self.conv_out(silu(h * (1 + scale) + shift))
        return out


class Attention(nn.Module):
    """Every place of a map looks at all of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD if channels % HEAD == 0 else 1
        self.norm, self.out = _norm(channels), _small(nn.Linear(channels, channels))
        self.queries_keys_values = nn.Linear(channels, 3 * channels)

    def forward(self, x: Tensor) -> Tensor:
        places = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.queries_keys_values(places).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(mixed).transpose(1, 2).unflatten(2, x.shape[2:])


def _waves(t: Tensor) -> Tensor:
    """Sines and cosines (N, 2 FREQUENCIES) of times (N,)."""
    angles = t[:, None] * math.pi * 2 ** (torch.arange(FREQUENCIES, device=t.device) / 2)
    return torch.cat([angles.sin(), angles.cos()], 1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def _small(layer: Layer) -> Layer:
    with torch.no_grad():
        layer.weight.mul_(SMALL)
    return layer


def _check_sides(shape: Shape, patch: int, levels: int) -> None:
    """Raise ValueError where the sides of an image do not halve as often as there are levels."""
    factor = patch * 2 ** (levels - 1)
    if any(side % factor for side in shape[1:]):
        raise ValueError(
            f"channels: found {levels} levels on patches of {patch}x{patch} for {shape[1]}x{shape[2]} images, whose "
            f"sides are not divisible by {factor}; expected fewer channels, or another patch"
        )
