"""What every model shares: latents that belong to one sample each, and sampling built on them.

A model is an `nn.Module` that knows no file, no tracker and no clock. It declares `latent_shape` and
`latent_law`, and implements `fit_batch` and `decode`; the sequential ones override `canvases`, the adversarial
ones add `discriminate`, the likelihood ones `elbo` and `log_weights`, those with an encoder `encode` and
`reconstruct`. One that can draw a requested class (`conditional: true`) takes the number of `classes` after the shape
and the labels (N,) after the images; the class stands in its latents as a one-hot after the noise.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import one_hot

from pipeline.models import philox
from pipeline.models.kinds import Shape


class ImageGenerator(nn.Module):
    """Base of all models.

    Images are float tensors (N, C, H, W) in [0, 1]; latents are (N, *latent_shape), their last axis longer by
    `classes`, which is 0 for a model that cannot draw a requested class.
    """

    latent_law: ClassVar[Literal["normal", "uniform"]] = "normal"
    """N(0, 1) per element, or U[-1, 1); `decode` may put uniform ones through another prior's quantile function."""

    latent_shape: tuple[int, ...]
    """Shape of one sample's noise: (z,), or (T, z) where every step draws its own."""

    class_counts: Tensor
    """Images of each class in the training split, (classes,): how often samples are of each class."""

    def __init__(self, shape: Shape, classes: int = 0) -> None:
        super().__init__()
        self.shape: Shape = tuple(shape)  # type: ignore[assignment]
        self.classes = classes
        if classes:
            self.register_buffer("class_counts", torch.ones(classes))

    # -- what a model implements ------------------------------------------------------------------------------

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        """Take one training step on `real` (N, C, H, W); return named scalars, detached, still on the device.

        A model with classes takes `labels` (N,) after it.
        """
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of latents, class included; deterministic in evaluation mode."""
        raise NotImplementedError

    def canvases(self, z: Tensor) -> Tensor:
        """The image under construction after every step, (N, T, C, H, W) in [0, 1]; the last one is the image."""
        return self.decode(z).unsqueeze(1)

    def networks(self) -> dict[str, list[nn.Module]]:
        """Which modules are the generator, the encoder and the discriminator: their sizes are reported apart."""
        return {"generator": [self]}

    # -- what a model gets for it -----------------------------------------------------------------------------

    def draw_latents(self, n: int, seed: int, *, first: int = 0, label: int | None = None) -> Tensor:
        """Latents of samples `first` to `first + n - 1` as `decode` takes them, float32 on the CPU.

        Sample k's numbers come from a counter-based generator keyed by (seed, k), so they depend neither on
        n nor on the batch that k is drawn in. Classes are drawn as often as the training split has them, unless one
        `label` is asked for; the noise is the same either way.
        """
        noise, shares = self._noise(n, seed, first)
        labels = np.zeros(n, dtype=np.int64)
        if self.classes:
            bounds = self._class_shares().cumsum(0).cpu().numpy()
            labels = np.minimum(np.searchsorted(bounds, shares, "right"), self.classes - 1)
        if label is not None:
            labels[:] = label
        return self.with_class(torch.from_numpy(noise), torch.from_numpy(labels))

    def _noise(self, n: int, seed: int, first: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Noise (n, *latent_shape) of some samples, and a number from [0, 1) each (n,), by which a class is chosen."""
        if self.latent_law == "uniform":
            noise, shares = philox.uniforms(seed, first, n, math.prod(self.latent_shape))
            return 2.0 * noise.reshape(n, *self.latent_shape) - 1.0, shares
        noise, shares = np.empty((n, *self.latent_shape), dtype=np.float32), np.zeros(n)
        for k, generator in enumerate(philox.generators(seed, first, n)):
            generator.standard_normal(dtype=np.float32, out=noise[k])
            if self.classes:
                shares[k] = generator.random()
        return noise, shares

    def with_class(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Noise (N, *latent_shape) with the one-hot of `labels` (N,) after it on the last axis.

        Without labels it is the classes' shares of the training split; a model without classes takes z as it is.
        """
        if not self.classes:
            return z
        if labels is None:
            chosen = self._class_shares().to(z).expand(len(z), -1)
        else:
            chosen = one_hot(labels.to(z.device), self.classes).to(z.dtype)
        return torch.cat([z, chosen.view(len(z), *[1] * (z.dim() - 2), -1).expand(*z.shape[:-1], -1)], -1)

    def _class_shares(self) -> Tensor:
        return self.class_counts.double() / self.class_counts.sum()

    def parameter_counts(self) -> dict[str, int]:
        """Number of trainable parameters by network, each parameter counted once in each, and `total` over all."""
        counts = {
            name: sum(p.numel() for p in {p for module in modules for p in module.parameters() if p.requires_grad})
            for name, modules in self.networks().items()
        }
        counts["total"] = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return counts

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.parameters()).device


def optimisers(model: nn.Module) -> dict[str, torch.optim.Optimizer]:
    """The optimisers that a model holds as attributes, by attribute name: part of every checkpoint."""
    return {name: value for name, value in vars(model).items() if isinstance(value, torch.optim.Optimizer)}
