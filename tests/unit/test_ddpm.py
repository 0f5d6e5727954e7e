"""DDPM: a schedule that keeps the variance, and deterministic steps that end where the exact noise leads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.ddpm import DDPM, shares

SHAPE = (1, 8, 8)


def small(**arguments: object) -> DDPM:
    torch.manual_seed(0)
    return DDPM(SHAPE, channels=(8, 8), **arguments)  # type: ignore[arg-type]


class ExactNoise(nn.Module):
    """v = sqrt(abar) noise - sqrt(1 - abar) image, with the noise in x_t where all images are one."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        signal, sigma = (share.view(-1, 1, 1, 1) for share in shares(t))
        return signal * (x - signal * self.image) / sigma - sigma * self.image


def test_the_schedule_keeps_the_variance_and_leads_from_noise_to_the_image() -> None:
    t = torch.linspace(0, 1, 101).double()
    signal, sigma = shares(t)
    torch.testing.assert_close(signal.square() + sigma.square(), torch.ones_like(t))
    assert (signal.diff() > 0).all()
    assert signal[0].abs() < 1e-12 and sigma[-1] < 0.013
    # Nichol & Dhariwal, eq. 17, with their time running the other way
    abar = torch.cos((1 - t + 0.008) / 1.008 * torch.pi / 2) ** 2
    torch.testing.assert_close(signal.square(), abar)


def test_what_is_predicted_of_a_noised_image_is_its_noise() -> None:
    model = small()
    image, noise = torch.rand(64, *SHAPE) * 2 - 1, torch.randn(64, *SHAPE)
    noised, t, target = model.noised(image, noise)
    signal, sigma = (share.view(-1, 1, 1, 1) for share in shares(t))
    assert torch.equal(target, noise)
    torch.testing.assert_close(noised, signal * image + sigma * noise)
    model.network = ExactNoise(image)  # type: ignore[assignment]
    torch.testing.assert_close(model.predict(noised, t, noised), noise, atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_steps_by_the_exact_noise_of_one_image_end_at_it(steps: int) -> None:
    model = small(ddim_steps=steps)
    image = 0.1 + 0.8 * torch.rand(SHAPE)
    model.network = ExactNoise(2 * image - 1)  # type: ignore[assignment]
    z = model.draw_latents(5, seed=0)
    torch.testing.assert_close(model.decode(z), image.expand(5, *SHAPE), atol=1e-3, rtol=0)
    assert model.canvases(z).shape == (5, steps, *SHAPE)
