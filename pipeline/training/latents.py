"""Ways through a trained model's latents: blends of two images, walks along one element, circles, the plane.

Blends are Vijayvargiya et al. section 2's, walks along one element Stiff et al.'s (figures 6 and 9), the plane of a
model with two latents is Ponnuru section 5's. Whatever moves, the class requested of a conditional model stays
what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator

BATCH = 250
"""Latents decoded at once."""

FARTHEST = 3.0
"""Standard deviations to which a walk leads on either side where latents are normal."""

TRIED_ELEMENTS = 128
"""Elements of a latent among which the strongest are looked for."""


def blends(model: ImageGenerator, pairs: Tensor, shares: Sequence[float], labels: Tensor | None = None) -> Tensor:
    """Images (N, S, C, H, W) of the codes (1 - p) a + p b, for each share p of the second image.

    `pairs` is (N, 2, C, H, W) in [0, 1], `labels` (N, 2) their classes: a conditional model that is not told them
    takes the classes' shares. The straight line is Vijayvargiya et al.'s 'defined percentage' of encoded features.
    """
    first, second = (encode(model, pairs[:, k], None if labels is None else labels[:, k]) for k in (0, 1))
    codes = torch.stack([(1 - share) * first + share * second for share in shares], 1)
    return decode(model, codes.flatten(0, 1)).unflatten(0, codes.shape[:2])


def walks(model: ImageGenerator, z: Tensor, elements: Sequence[int], positions: Tensor) -> Tensor:
    """Images (N, S, C, H, W): element `elements[k]` of latent k is set to every one of `positions` (S,) in turn.

    Where every step of a model has a latent of its own, the element is set at all steps at once: what a single one
    of many steps does can hardly be seen.
    """
    moved = z.unsqueeze(1).repeat(1, len(positions), *[1] * (z.dim() - 1))
    for k, element in enumerate(elements):
        moved[k, ..., element] = positions.to(z).view(-1, *[1] * (z.dim() - 2))
    return decode(model, moved.flatten(0, 1)).unflatten(0, moved.shape[:2])


def positions(model: ImageGenerator, count: int) -> Tensor:
    """Evenly spaced values that a latent's element takes on a walk."""
    farthest = FARTHEST if model.latent_law == "normal" else 1.0
    return farthest * (2 * torch.arange(count) / (count - 1) - 1)


def strongest(model: ImageGenerator, z: Tensor, count: int) -> list[int]:
    """The elements that change the images of latents (N, ...) most from one end of their walk to the other.

    At most `count`, the strongest first; by the mean absolute change of a pixel. Of more than `TRIED_ELEMENTS`, evenly
    spread ones are tried: a model's noise may be as large as its images.
    """
    size, ends, changes = model.latent_shape[-1], positions(model, 2), []
    elements = torch.arange(0, size, -(-size // TRIED_ELEMENTS))
    for element in elements.tolist():
        low, high = walks(model, z, [element] * len(z), ends).unbind(1)
        changes.append((high - low).abs().mean())
    return elements[torch.stack(changes).argsort(descending=True, stable=True)[:count]].tolist()


def circle(model: ImageGenerator, z: Tensor, other: Tensor, frames: int) -> Tensor:
    """Images (N, frames, C, H, W) on the way from latents z to others and back, in a circle that closes.

    Of normal latents it is a cos t + b sin t, on which every point is as probable as a draw; uniform ones go straight
    to the other draw and back, and stay within their bounds.
    """
    size = model.latent_shape[-1]
    a, b = z[..., :size], other[..., :size].to(z)
    shown = []
    for k in range(frames):
        turn = 2 * math.pi * k / frames
        weights = (math.cos(turn), math.sin(turn))
        if model.latent_law == "uniform":
            weights = (0.5 + 0.5 * math.cos(turn), 0.5 - 0.5 * math.cos(turn))
        shown.append(decode(model, torch.cat([weights[0] * a + weights[1] * b, z[..., size:]], -1)))
    return torch.stack(shown, 1)


def plane(model: ImageGenerator, side: int) -> Tensor:
    """Images (side^2, C, H, W) of a model with two latents, row by row from the upper left corner.

    Rows and columns stand at equal shares of the prior's probability, by its inverse distribution function. Raises
    ValueError for a model whose latents are not two numbers.
    """
    if model.latent_shape != (2,):
        raise ValueError(f"a plane needs latents of shape (2,), found {model.latent_shape}")
    shares = (torch.arange(side) + 0.5) / side
    places = torch.special.ndtri(shares) if model.latent_law == "normal" else 2 * shares - 1
    second, first = torch.meshgrid(-places, places, indexing="ij")
    z = torch.stack([first, second], -1).view(-1, 2)
    return decode(model, model.with_class(z, None))


def encode(model: ImageGenerator, images: Tensor, labels: Tensor | None = None) -> Tensor:
    """The latents that images (N, C, H, W) in [0, 1] are decoded from; a conditional model is told `labels` (N,)."""
    encoder: Callable[..., Tensor] = model.encode  # type: ignore[assignment]
    given = [images] if labels is None or not model.classes else [images, labels]
    with torch.inference_mode():
        parts = zip(*(side.to(model.device).split(BATCH) for side in given), strict=True)
        return torch.cat([encoder(*part) for part in parts])


def decode(model: ImageGenerator, z: Tensor) -> Tensor:
    """Images (N, C, H, W) in [0, 1] of latents, on the CPU."""
    with torch.inference_mode():
        return torch.cat([model.decode(part.to(model.device)).cpu() for part in z.split(BATCH)])
