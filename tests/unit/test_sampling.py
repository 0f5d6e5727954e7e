"""Sampling from a model: rounding to uint8, one latent per sample, and the distance between samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator
from pipeline.training.sampling import diversity, in_batches, quantise, sample, sample_canvases


class Echo(ImageGenerator):
    """Shows its latents; notes how many it is asked for at once, and in which mode."""

    latent_law = "uniform"

    def __init__(self) -> None:
        super().__init__((1, 2, 3))
        self.latent_shape = (6,)
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.asked: list[tuple[int, bool, bool]] = []

    def decode(self, z: Tensor) -> Tensor:
        images: Tensor = self.weight * (z.view(-1, 1, 2, 3) + 1) / 2
        self.asked.append((len(z), self.training, images.requires_grad))
        return images

    def canvases(self, z: Tensor) -> Tensor:
        image = self.decode(z)
        return torch.stack([image / 2, image], 1)


def test_quantising_rounds_to_the_nearest_level_and_clamps() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(quantise(levels.float() / 255), levels)
    values = torch.tensor([0.0, 0.49, 0.51, 254.49, 254.51, 255.0]) / 255
    assert quantise(values).tolist() == [0, 0, 1, 254, 255, 255]
    assert quantise(torch.tensor([-0.1, 1.1])).tolist() == [0, 255]


@pytest.mark.parametrize("n", [1, 4, 5, 8, 11])
def test_the_first_samples_are_the_same_whatever_n_and_the_batch(n: int) -> None:
    model = Echo()
    images = sample(model, n, 3, batch=4)
    assert images.shape == (n, 1, 2, 3)
    assert torch.equal(images, quantise((model.draw_latents(n, 3).view(n, 1, 2, 3) + 1) / 2))
    assert torch.equal(images, sample(model, 11, 3, batch=4)[:n])
    assert torch.equal(images, sample(model, n, 3, batch=7))
    assert not torch.equal(images, sample(model, n, 4, batch=4))


def test_every_batch_is_full_in_evaluation_mode_and_without_gradients() -> None:
    model = Echo().train()
    in_batches(model, 9, 0, model.decode, 4)
    assert model.asked == [(4, False, False)] * 3


def test_canvases_are_those_of_the_samples() -> None:
    model = Echo()
    canvases = sample_canvases(model, 5, 2)
    assert canvases.shape == (5, 2, 1, 2, 3)
    assert torch.equal(canvases[:, -1], sample(model, 5, 2))


def test_diversity_of_images_at_known_distances() -> None:
    images = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    images[1] = 255  # at distance 2 from the black image
    images[2, 0, 0, 0] = 255  # at distance 1 from the black one, sqrt(3) from the white one
    assert diversity(images) == pytest.approx((2 + 1 + math.sqrt(3)) / 3, abs=1e-12)
    assert diversity(images[:1].expand(4, -1, -1, -1)) == 0
