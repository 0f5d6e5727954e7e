"""What the study of rare classes compares: one classifier, one number of updates, and remedies for few images.

Re-weighting, balanced sampling, logit adjustment (Menon et al. 2021, arXiv:2007.07314, eq. 10), affine and ink
augmentation, and more images (generated or rendered), which count less in the loss (DiffuLT: Shao et al. 2024,
arXiv:2403.05170).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, cross_entropy, grid_sample

from pipeline.features.classifier import DomainClassifier
from pipeline.training.sampler import epoch_order

WIDTH, STEPS, BATCH = 16, 600, 128
"""Half the channels of the reference classifier: a training takes half a minute of one core."""
TURN, SHIFT, SCALE, SHEAR = math.radians(8), 0.08, 0.1, 0.1
"""Standard deviations of the affine augmentation at strength 1; the shift is a share of the side."""
INK = 0.4
"""Standard deviation, at strength 1, of what is added near ink, or taken away near paper."""


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained; the defaults are the plain one."""

    learning_rate: float = 3e-3
    power: float = 1.0
    """A class of n images is sampled in proportion to n^power: 1 as it is, 0 balanced."""
    reweight: float = 0.0
    """Its images count n^-reweight in the loss."""
    tau: float = 0.0
    """Logits get tau log(prior of the class) during training."""
    augment: float = 0.0
    """Strength of affine and ink augmentation."""
    extra: str = ""
    """The further images: none, `generated` or `real`."""
    each: int = 0
    """At most so many of them in a rare class."""
    extra_weight: float = 1.0
    """What one of them counts in the loss, against an image of the training split."""


def priors(counts: Tensor, power: float) -> Tensor:
    """How often each class (classes,) is sampled; 0 for one without an image."""
    weights = torch.where(counts > 0, counts.double().pow(power), 0.0)
    return weights / weights.sum()


def class_weights(counts: Tensor, recipe: Recipe) -> Tensor:
    """n^-reweight, scaled so that the mean over sampled images is 1, (classes,) float32."""
    weights = torch.where(counts > 0, counts.double().pow(-recipe.reweight), 0.0)
    return (weights / (weights * priors(counts, recipe.power)).sum()).float()


def image_weights(labels: Tensor, is_extra: Tensor, counts: Tensor, recipe: Recipe) -> Tensor:
    """What each image counts in the loss, (n,) float32.

    Further images count less than the others of their class, and not their class less than other classes: the mean
    over a class is its weight, whatever `extra_weight` is.
    """
    share = torch.where(is_extra, recipe.extra_weight, 1.0)
    mean = torch.bincount(labels, share, len(counts)) / counts.clamp_min(1)
    return (class_weights(counts, recipe)[labels] * share / mean[labels]).float()


def adjustment(counts: Tensor, recipe: Recipe) -> Tensor:
    """tau log(prior), (classes,) float32, which is added to the logits in training; 0 for an absent class."""
    sampled = priors(counts, recipe.power)
    return (recipe.tau * torch.where(sampled > 0, sampled, 1.0).log()).float()


def loss_of(logits: Tensor, labels: Tensor, weights: Tensor, shift: Tensor) -> Tensor:
    """Cross-entropy of shifted logits (N, classes), each image times its weight (N,); mean over the batch."""
    return (weights * cross_entropy(logits + shift, labels, reduction="none")).mean()


def augmented(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Images (N, 1, H, W) in [0, 1], each turned, shifted, scaled, sheared, and its ink thickened or thinned."""
    n = len(images)
    turn, scale, shear, right, down, ink = strength * torch.randn(6, n, generator=generator)
    size, slant, angle = (SCALE * scale).exp(), SHEAR * shear, TURN * turn
    rows = [size * angle.cos(), size * (slant - angle.sin()), 2 * SHIFT * right,
            size * angle.sin(), size * angle.cos(), 2 * SHIFT * down]  # fmt: skip
    grid = affine_grid(torch.stack(rows, 1).view(n, 2, 3), list(images.shape), align_corners=False)
    moved = grid_sample(images, grid, align_corners=False)
    near = avg_pool2d(moved, 3, stride=1, padding=1)
    ink = INK * ink.view(-1, 1, 1, 1)
    return (moved + ink.clamp_min(0) * near + ink.clamp_max(0) * (1 - near)).clamp(0, 1)


def order(labels: Tensor, power: float, seed: int) -> Tensor:
    """Images (STEPS, BATCH) of every update."""
    epochs = range(-(-STEPS * BATCH // len(labels)))
    shown = [epoch_order(len(labels), (seed, epoch), labels.numpy(), power) for epoch in epochs]
    return torch.from_numpy(np.concatenate(shown)[: STEPS * BATCH]).view(STEPS, BATCH)


def train(
    images: Tensor,
    labels: Tensor,
    is_extra: Tensor,
    classes: int,
    recipe: Recipe,
    seed: int,
    say: Callable[[int], None] = lambda step: None,
) -> DomainClassifier:
    """The classifier of a recipe, on images (n, 1, H, W) uint8; `is_extra` (n,) marks the further ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DomainClassifier(tuple(images.shape[1:]), classes, width=WIDTH)  # type: ignore[arg-type]
    model = model.to(memory_format=torch.channels_last).train()
    generator = torch.Generator().manual_seed(seed)
    counts = torch.bincount(labels, minlength=classes)
    weights = image_weights(labels, is_extra, counts, recipe)
    shift = adjustment(counts, recipe)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=STEPS, pct_start=0.2)
    for step, rows in enumerate(order(labels, recipe.power, seed)):
        batch = images[rows].float() / 255
        if recipe.augment:
            batch = augmented(batch, recipe.augment, generator)
        loss = loss_of(model(batch), labels[rows], weights[rows], shift)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        say(step + 1)
    return model.eval()
