"""Pixels as a feature space: flattened images in [0, 1]; of many, principal components and the length of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_DIMENSION = 1024
"""Above this many pixels `space` projects on `COMPONENTS` principal components of the training split."""

LARGEST_COVARIANCE = 2048
"""Above this many pixels (colour images of 32x32 have 3,072) a sample's products are the smaller matrix to solve."""

SAMPLED = 2048
"""Images of that sample: eight to a component."""

COMPONENTS = 256


def flatten(images_u8: Tensor) -> Tensor:
    """Pixels (N, d) float32 in [0, 1] of images (N, C, H, W) uint8."""
    return images_u8.flatten(1).float() / 255


def space(train: Tensor) -> Callable[[Tensor], Tensor]:
    """The space `pixels`: flattened, projected where there are more than LARGEST_DIMENSION of them."""
    return flatten if train[0].numel() <= LARGEST_DIMENSION else PrincipalComponents.fit(train).project


@dataclass(frozen=True)
class PrincipalComponents:
    """The directions of largest variance of a training split."""

    mean: Tensor
    """(d,) float32."""

    directions: Tensor
    """(d, components) float32, orthonormal, the largest variance first."""

    @classmethod
    def fit(cls, images_u8: Tensor, *, components: int = COMPONENTS, chunk: int = 2000) -> PrincipalComponents:
        """Of images (N, C, H, W) uint8, from their covariance in float64, `chunk` images at a time.

        The sign of a direction is fixed by making its largest element positive, so that a solver's choice does not
        show. Above LARGEST_COVARIANCE pixels it is of SAMPLED images, drawn at random but always the same: they lie in
        a space of no more dimensions than there are images, and so fewer components may come back.
        """
        if images_u8[0].numel() > LARGEST_COVARIANCE:
            return cls._of_sample(images_u8, components)
        n, d = len(images_u8), images_u8[0].numel()
        total, outer = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
        for part in torch.split(images_u8, chunk):
            x = flatten(part)
            total += x.double().sum(0)
            outer += (x.T @ x).double()
        mean = total / n
        covariance = outer / n - mean.outer(mean)
        return cls(mean.float(), _signed(torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :components]))

    @classmethod
    def _of_sample(cls, images_u8: Tensor, components: int) -> PrincipalComponents:
        """From the inner products of a sample's images: the covariance's eigenvectors are combinations of them."""
        order = torch.randperm(len(images_u8), generator=torch.Generator().manual_seed(0))[:SAMPLED].sort().values
        x = flatten(images_u8[order])
        mean = x.mean(0)
        x -= mean
        values, vectors = torch.linalg.eigh((x @ x.T).double())
        kept = (values > 1e-6 * values.max()).nonzero().squeeze(1).flip(0)[:components]
        directions = x.T @ vectors[:, kept].float()
        return cls(mean, _signed(directions / directions.norm(dim=0)))

    def project(self, images_u8: Tensor, *, chunk: int = 2000) -> Tensor:
        """Coordinates (N, components + 1) float32 of images (N, C, H, W) uint8.

        The last one is the length of what the components leave of an image. Without it everything that they do not
        see, noise above all, would lie at the mean image, nearer to real images than these are to each other.
        Distances stay below those of pixels.
        """
        return torch.cat([self._project(flatten(part)) for part in torch.split(images_u8, chunk)])

    def _project(self, x: Tensor) -> Tensor:
        centred = x - self.mean
        seen = centred @ self.directions
        left = torch.linalg.vector_norm(centred - seen @ self.directions.T, dim=1, keepdim=True)
        return torch.cat([seen, left], dim=1)


def _signed(directions: Tensor) -> Tensor:
    """Directions (d, components) as float32, the largest element of each positive."""
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    return (directions * largest.sign()).float()
