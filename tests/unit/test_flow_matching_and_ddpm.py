"""Flow matching and DDPM: paths and schedule, what is predicted where it is known, and the canvases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.base import ImageGenerator
from pipeline.models.ddpm import DDPM, shares
from pipeline.models.flow_matching import FlowMatching, UNet

SHAPE = (1, 8, 8)


def small(kind: type[FlowMatching] = FlowMatching, **arguments: object) -> FlowMatching:
    torch.manual_seed(0)
    return kind(SHAPE, channels=(8, 8), **arguments)  # type: ignore[arg-type]


class Known(nn.Module):
    """What a network would predict at x_t where all images, in [-1, 1], are one."""

    def __init__(self, predict: Callable[[Tensor, Tensor, Tensor], Tensor], image: Tensor) -> None:
        super().__init__()
        self.predict, self.image = predict, image

    def forward(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        return self.predict(x, t.view(-1, 1, 1, 1), self.image)


def exact_velocity(x: Tensor, t: Tensor, image: Tensor) -> Tensor:
    """E[image - noise | x_t]."""
    return (image - x) / (1 - t)


def exact_v(x: Tensor, t: Tensor, image: Tensor) -> Tensor:
    """v = sqrt(abar) noise - sqrt(1 - abar) image, with the noise in x_t."""
    signal, sigma = shares(t)
    return signal * (x - signal * image) / sigma - sigma * image


def test_a_path_leads_from_noise_to_the_image_and_the_velocity_is_their_difference() -> None:
    model = small()
    image, noise = torch.rand(64, *SHAPE) * 2 - 1, torch.randn(64, *SHAPE)
    noised, t, velocity = model.noised(image, noise)
    share = t.view(-1, 1, 1, 1)
    torch.testing.assert_close(noised - share * velocity, noise)
    torch.testing.assert_close(noised + (1 - share) * velocity, image)


@pytest.mark.parametrize("times", ["logit_normal", "uniform"])
def test_times_have_their_law_and_are_spread_over_the_batch(times: str) -> None:
    t = small(times=times).draw_times(1000, torch.device("cpu")).double()
    assert t.min() > 0 and t.max() < 1
    shares = torch.special.ndtr(t.logit()) if times == "logit_normal" else t
    assert torch.equal((shares * 1000 - 1e-4).floor().clamp(0, 999).long().sort().values.unique(), torch.arange(1000))


@pytest.mark.parametrize("steps", [1, 3, 25])
def test_euler_steps_through_the_exact_field_of_one_image_end_at_it(steps: int) -> None:
    model = small(euler_steps=steps)
    image = torch.rand(SHAPE)
    model.network = Known(exact_velocity, 2 * image - 1)  # type: ignore[assignment]
    z = model.draw_latents(5, seed=0)
    torch.testing.assert_close(model.decode(z), image.expand(5, *SHAPE), atol=1e-5, rtol=0)
    states = torch.stack(list(model.path(z)), 1)
    share = torch.arange(1, steps + 1).view(-1, 1, 1, 1) / steps  # straight lines, at even speed
    expected = (1 - share) * z.view(5, 1, *SHAPE) + share * (2 * image - 1)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)
    assert model.canvases(z).shape == (5, steps, *SHAPE)


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_ddim_steps_by_the_exact_noise_of_one_image_end_at_it(steps: int) -> None:
    model = small(DDPM, ddim_steps=steps)
    image = 0.1 + 0.8 * torch.rand(SHAPE)
    model.network = Known(exact_v, 2 * image - 1)  # type: ignore[assignment]
    z = model.draw_latents(5, seed=0)
    torch.testing.assert_close(model.decode(z), image.expand(5, *SHAPE), atol=1e-3, rtol=0)
    assert model.canvases(z).shape == (5, steps, *SHAPE)


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
    model = small(DDPM)
    image, noise = torch.rand(64, *SHAPE) * 2 - 1, torch.randn(64, *SHAPE)
    noised, t, target = model.noised(image, noise)
    signal, sigma = (share.view(-1, 1, 1, 1) for share in shares(t))
    assert torch.equal(target, noise)
    torch.testing.assert_close(noised, signal * image + sigma * noise)
    model.network = Known(exact_v, image)  # type: ignore[assignment]
    torch.testing.assert_close(model.predict(noised, t, noised), noise, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", [FlowMatching, DDPM])
def test_it_learns_to_draw_the_only_image_there_is(kind: type[FlowMatching]) -> None:
    torch.manual_seed(0)
    model = kind(SHAPE, channels=(8, 8), learning_rate=1e-2)
    image = torch.zeros(SHAPE)
    image[0, 2:6, 3:5] = 1.0
    for _ in range(150):
        model.fit_batch(image.expand(32, *SHAPE))
    with torch.no_grad():
        drawn = model.eval().decode(model.draw_latents(20, seed=0))
    assert (drawn - image).abs().mean() < 0.1


def test_a_conditional_model_draws_the_class_that_is_asked_for() -> None:
    torch.manual_seed(0)
    model = FlowMatching(SHAPE, 2, channels=(8, 8), conditional=True, learning_rate=1e-2)
    images, labels = torch.stack([torch.zeros(SHAPE), torch.ones(SHAPE)]), torch.arange(32) % 2
    for _ in range(150):
        model.fit_batch(images[labels], labels)
    with torch.no_grad():
        for label in (0, 1):
            drawn = model.eval().decode(model.draw_latents(10, seed=0, label=label))
            assert (drawn - images[label]).abs().mean() < 0.1


def test_a_gradient_is_clipped_to_its_norm() -> None:
    def moved(clip: float) -> float:
        model = small(clip=clip)
        model.optimiser = torch.optim.SGD(model.parameters(), lr=1.0)  # type: ignore[assignment]
        before = [value.detach().clone() for value in model.parameters()]
        model.fit_batch(torch.ones(4, *SHAPE))
        pairs = zip(model.parameters(), before, strict=True)
        return float(sum((now.detach() - was).square().sum() for now, was in pairs) ** 0.5)

    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved(0.0) > 0.1


@pytest.mark.parametrize(("channels", "patch"), [((8,), 2), ((8, 16), 4), ((4, 8, 8), 1), ((6, 10), 2)])
def test_the_network_keeps_an_images_shape(channels: tuple[int, ...], patch: int) -> None:
    network = UNet((3, 16, 8), channels, patch, classes=0)
    x, t = torch.randn(2, 3, 16, 8), torch.tensor([0.0, 0.9])
    found = network(x, t, x.new_zeros(2, 0))
    assert found.shape == x.shape and not torch.equal(found, network(x, t.flip(0), x.new_zeros(2, 0)))


def test_sides_that_do_not_halve_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"3 levels on patches of 2x2 for 28x28 .* divisible by 8"):
        FlowMatching((1, 28, 28), channels=(8, 8, 8))
    assert isinstance(FlowMatching((1, 28, 28)), ImageGenerator)
