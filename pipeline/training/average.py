"""An exponential moving average of a model's weights: what is sampled, while the training goes on from the raw ones.

Polyak & Juditsky 1992, 'Acceleration of stochastic approximation by averaging'; with the bias correction of Kingma & Ba
2014 (arXiv:1412.6980, section 3). Discriminators stay as they are: they judge what they were trained against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.models.base import ImageGenerator

NORM_BATCHES = 8
NORM_BATCH = 128
"""Samples from which the statistics of batch norms are estimated again: 1,024, each with all places of its maps."""


class Average:
    """The running average of the weights of `model`; `horizon` is about how many steps it looks back."""

    def __init__(self, model: ImageGenerator, horizon: int) -> None:
        judges = {parameter for module in discriminators(model) for parameter in module.parameters()}
        self.weights = {name: p.detach() for name, p in model.named_parameters() if p not in judges}
        """The model's own tensors, which a training changes in place."""
        self.sums = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.share = torch.zeros((), device=model.device)
        """The sum of all steps' shares in `sums`: below 1, as the average begins at zero."""
        self.rate = 1 / horizon

    def update(self) -> None:
        """Take the present weights into the average; a part of the captured step on a GPU."""
        torch._foreach_lerp_([*self.sums.values()], [*self.weights.values()], self.rate)
        self.share.lerp_(torch.ones_like(self.share), self.rate)

    def put_in(self) -> None:
        """Give the model its averaged weights."""
        for name, value in self.weights.items():
            value.copy_(self.sums[name] / self.share)

    def state(self) -> dict[str, Tensor]:
        """What the average is, by name."""
        return {"share": self.share, **{f"sums/{name}": value for name, value in self.sums.items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take what `state` gave, in place: a captured step goes on with these tensors."""
        for name, value in self.state().items():
            value.copy_(state[name])


def discriminators(model: ImageGenerator) -> Iterator[nn.Module]:
    """The networks of a model that judge."""
    for name, modules in model.networks().items():
        if name.endswith("discriminator"):
            yield from modules


@torch.no_grad()
def estimate_norms(model: ImageGenerator, images: Tensor, labels: Tensor | None, seed: int) -> None:
    """Estimate the statistics of the batch norms outside the discriminators again, from samples of a fixed seed.

    Those of an encoder are estimated from the first training `images` (N, C, H, W) uint8 and their `labels`, if the
    model takes any.
    """
    judges = {module for judge in discriminators(model) for module in judge.modules()}
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m not in judges]
    if not norms:
        return
    encode: Any = getattr(model, "encode", None)
    model.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None  # the plain mean over the batches
    for first in range(0, NORM_BATCHES * NORM_BATCH, NORM_BATCH):
        model.decode(model.draw_latents(NORM_BATCH, seed, first=first).to(model.device))
        if encode:
            chosen = torch.arange(first, first + NORM_BATCH, device=images.device) % len(images)
            real = images[chosen].float() / 255
            encode(*((real,) if labels is None else (real, labels[chosen])))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
