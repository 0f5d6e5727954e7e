"""What every model shares: latents that belong to one sample each, and sampling built on them.

A model is an `nn.Module` that knows no file, no tracker and no clock. It declares `latent_shape` and
`latent_law`, and implements `fit_batch` and `decode`; the sequential ones override `canvases`, the adversarial
ones add `discriminate`, the likelihood ones `elbo`, those with an encoder `reconstruct`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.models.kinds import Shape


class ImageGenerator(nn.Module):
    """Base of all models.

    Images are float tensors (N, C, H, W) in [0, 1]; latents are (N, *latent_shape).
    """

    latent_law: ClassVar[Literal["normal", "uniform"]] = "normal"
    """N(0, 1) per element, or U(-1, 1)."""

    latent_shape: tuple[int, ...]
    """Shape of one sample's latent: (z,), or (T, z) where every step draws its own."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape: Shape = tuple(shape)  # type: ignore[assignment]

    # -- what a model implements ------------------------------------------------------------------------------

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        """Take one training step on `real` (N, C, H, W); return named scalars, detached, still on the device."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of latents (N, *latent_shape); deterministic in evaluation mode."""
        raise NotImplementedError

    def canvases(self, z: Tensor) -> Tensor:
        """The image under construction after every step, (N, T, C, H, W) in [0, 1]; the last one is the image."""
        return self.decode(z).unsqueeze(1)

    def networks(self) -> dict[str, list[nn.Module]]:
        """Which modules are the generator, the encoder and the discriminator: their sizes are reported apart."""
        return {"generator": [self]}

    # -- what a model gets for it -----------------------------------------------------------------------------

    def draw_latents(self, n: int, seed: int, *, first: int = 0) -> Tensor:
        """Latents of samples `first` to `first + n - 1`, (n, *latent_shape), float32 on the CPU.

        Sample k's numbers come from a counter-based generator keyed by (seed, k), so they depend neither on
        n nor on the batch that k is drawn in.
        """
        rows = np.empty((n, *self.latent_shape), dtype=np.float32)
        for row, k in zip(rows, range(first, first + n), strict=True):
            generator = np.random.Generator(np.random.Philox(key=[seed, k]))
            if self.latent_law == "normal":
                row[...] = generator.standard_normal(self.latent_shape, dtype=np.float32)
            else:
                row[...] = 2.0 * generator.random(self.latent_shape, dtype=np.float32) - 1.0
        return torch.from_numpy(rows)

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
