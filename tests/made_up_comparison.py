"""A comparison of two Gaussians that has all that a metric may ask for."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from pipeline.metrics.bands import BANDS
from pipeline.metrics.comparison import Comparison


@functools.cache
def drawn(seed: int, n: int = 200, d: int = 3) -> Comparison:
    """One draw, shared by all metrics."""
    generator = torch.Generator().manual_seed(10_000 + seed)

    def points(rows: int) -> Tensor:
        return torch.randn(rows, d, generator=generator)

    def likelihoods(mean: float) -> Tensor:
        return torch.randn(n, generator=generator) * 3 + mean

    real, fake = points(n), points(n) * torch.tensor([1.3, 1.0, 0.7]) + 0.7
    logits = torch.randn(n, 4, generator=generator) * 3 + torch.tensor([0.0, 0.3, 0.6, 1.0])
    memory = points(2 * n)
    return Comparison(
        real=dict.fromkeys(("pixels", "classifier", "classifier.1"), real),
        fake=dict.fromkeys(("pixels", "classifier", "classifier.1"), fake),
        train=dict.fromkeys(("pixels", "classifier"), memory[:n]),
        memory=memory,
        memory_features=memory,
        probabilities=logits.softmax(1),
        real_class_histogram=torch.ones(4),
        real_images=_noise(n, generator, contrast=40),
        fake_images=_noise(n, generator, contrast=30),
        real_labels=torch.randint(4, (n,), generator=generator),
        bands=torch.tensor([0, 1, 2, 2]),
        correct_by_band=dict.fromkeys(
            BANDS, (torch.rand(100, generator=generator) < 0.5, torch.rand(100, generator=generator) < 0.7)
        ),
        elbo=likelihoods(-80),
        iwae_bound=likelihoods(-78),
        log_likelihood=likelihoods(-77),
        asked=torch.randint(4, (n,), generator=generator),
        seed=seed,
        groups=10,
    )


def _noise(n: int, generator: torch.Generator, *, contrast: float) -> Tensor:
    """Grey images (n, 1, 6, 6) uint8, some smooth and some rough."""
    rough = torch.randn(n, 1, 6, 6, generator=generator) * torch.rand(n, 1, 1, 1, generator=generator)
    smooth = torch.randn(n, 1, 1, 6, generator=generator)
    return ((rough + smooth) * contrast + 128).clamp(0, 255).byte()
