"""MADE: a distribution over images whose probabilities sum to one, and samples that follow it."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from pipeline.models.made import MADE

SHAPE = (1, 3, 3)


def every_image() -> Tensor:
    """All 512 binary images of 3x3 pixels."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=9))).view(-1, *SHAPE)


def made(hidden: int = 20, steps: int = 0) -> MADE:
    torch.manual_seed(0)
    model = MADE(SHAPE, hidden=hidden, learning_rate=1e-2)
    for _ in range(steps):
        model.fit_batch((torch.rand(64, *SHAPE) < torch.linspace(0.1, 0.9, 9).view(SHAPE)).float())
    return model.eval()


@pytest.mark.parametrize("hidden", [1, 5, 8, 20, 70])
@pytest.mark.parametrize("steps", [0, 30])
def test_the_probabilities_of_all_images_sum_to_one(hidden: int, steps: int) -> None:
    model = made(hidden, steps)
    with torch.no_grad():
        total = model.log_likelihood(every_image()).double().exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-5)


def test_a_pixel_is_predicted_from_all_pixels_before_it_and_from_no_other() -> None:
    model = made(hidden=40)
    torch.nn.init.ones_(model.input.weight)  # so that no dependence cancels
    torch.nn.init.ones_(model.output.weight)
    pixels = torch.rand(1, 9, requires_grad=True)
    depends = torch.stack([torch.autograd.grad(logit, pixels, retain_graph=True)[0][0] != 0
                           for logit in model.logits(pixels)[0]])  # fmt: skip
    assert torch.equal(depends, torch.ones(9, 9).tril(-1).bool())


def test_samples_are_drawn_pixel_by_pixel_from_the_models_own_conditionals() -> None:
    model = made(steps=30)
    z = model.draw_latents(11, seed=0)
    with torch.no_grad():
        means = model.decode(z).flatten(1)
        drawn = (z < 2 * means - 1).float()
        torch.testing.assert_close(model.logits(drawn).sigmoid(), means)


def test_samples_follow_the_likelihood() -> None:
    model, n = made(steps=200), 20_000
    z = model.draw_latents(n, seed=1)
    with torch.no_grad():
        drawn = (z < 2 * model.decode(z).flatten(1) - 1).long()
        wanted = model.log_likelihood(every_image()).double().exp()
    found = torch.bincount(drawn @ 2 ** torch.arange(8, -1, -1), minlength=512) / n
    assert ((found - wanted).abs() <= 5 * (wanted * (1 - wanted) / n).sqrt() + 1e-4).all()


def test_it_learns_what_independent_pixels_are_worth() -> None:
    """Their entropy is the best that a model can do."""
    p = torch.linspace(0.1, 0.9, 9).double()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log()).sum()
    images = (torch.rand(20_000, *SHAPE, generator=torch.Generator().manual_seed(5)) < p.view(SHAPE)).float()
    model = made(steps=300)
    with torch.no_grad():
        nats = model.log_likelihood(images).double()
    assert -nats.mean() == pytest.approx(float(entropy), abs=0.1)
