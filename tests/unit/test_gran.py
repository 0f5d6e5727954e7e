"""GRAN: the recurrence of equations 5 to 9, its canvases, and which update moves which network."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d

from pipeline.models.gran import GRAN, conv_from_image, conv_to_image
from tests.small_models import after_noise

small = partial(GRAN, latent=6, kernels=(8, 4))
MNIST = (1, 28, 28)


def test_table_5_counts_of_parameters() -> None:
    model = GRAN(MNIST, latent=60, kernels=(80, 40), time_steps=3)
    convolutions, map_size = 25 * (80 * 40 + 40), 7 * 7 * 80
    f = 60 * 60 + 60 + 120 * map_size + convolutions + 1 + 2 * (80 + 40)
    g = convolutions + map_size * 60 + 60 + 2 * (80 + 40) + 2 * 60
    discriminator = convolutions + map_size + 1 + 2 * (80 + 40)
    assert model.parameter_counts() == {
        "generator": f + g,
        "discriminator": discriminator,
        "total": f + g + discriminator,
    }


def test_a_class_reaches_every_step_beside_its_own_noise() -> None:
    model = small(MNIST, 3, conditional=True, fresh_noise=True, time_steps=2)
    model.fit_batch(torch.rand(6, *MNIST), torch.arange(6) % 3)
    z = model.eval().draw_latents(4, seed=1, label=2)
    assert z.shape == (4, 2, 6 + 3)
    other = z.clone()
    other[:, 1, 6:] = torch.tensor([1.0, 0.0, 0.0])  # another class at the second step alone
    assert torch.equal(model.canvases(z)[:, 0], model.canvases(other)[:, 0])
    assert (model.canvases(z)[:, 1] != model.canvases(other)[:, 1]).any()


def test_image_layers_equal_the_plain_strided_convolutions() -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(6, 3, 5, 5), torch.randn(3)
    small_map, image = torch.randn(2, 6, 7, 7), torch.randn(2, 3, 14, 14)
    plain = conv_transpose2d(small_map, weight, bias, stride=2, padding=2, output_padding=1)
    torch.testing.assert_close(conv_to_image(small_map, weight, bias), plain, rtol=1e-5, atol=1e-5)
    plain = conv2d(image, weight, stride=2, padding=2)
    torch.testing.assert_close(conv_from_image(image, weight), plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("time_steps", [1, 2, 4])
def test_canvases_are_the_sums_of_the_increments_of_equations_5_to_9(time_steps: int, classes: int) -> None:
    """Each step sees the increment before it through g; the first, and so the only one, sees zeros."""
    model = small(MNIST, classes, conditional=classes > 0, time_steps=time_steps)
    model.fit_batch(torch.rand(8, *MNIST), *([torch.arange(8) % classes] if classes else []))
    z = model.eval().draw_latents(4, seed=3)
    h_z = torch.tanh(z @ model.generator.noise.weight.T + model.generator.noise.bias)
    increments = [model.generator.f(torch.cat([h_z, torch.zeros_like(h_z)], dim=1), 0)]
    for step in range(1, time_steps):
        h_c = model.generator.g_norm(model.generator.g(increments[-1]), step - 1).tanh()
        increments.append(model.generator.f(torch.cat([h_z, h_c], dim=1), step))
    torch.testing.assert_close(model.canvases(z), torch.stack(increments, 1).cumsum(1).sigmoid())
    assert hasattr(model.generator, "g") == (time_steps > 1)


def test_more_steps_than_trained_change_no_training_and_continue_the_same_drawing() -> None:
    models = []
    for sample_steps in (0, 7):
        torch.manual_seed(0)
        models.append(after_noise(small(MNIST, time_steps=5, sample_steps=sample_steps), 2))
    model, longer = models
    for name, value in model.state_dict().items():
        assert torch.equal(value, longer.state_dict()[name]), name
    z = model.draw_latents(3, seed=1)
    canvases = longer.canvases(z)
    assert canvases.shape[1] == 7
    torch.testing.assert_close(canvases[:, :5], model.canvases(z), rtol=0, atol=1e-6)
    assert (canvases[:, 5] - canvases[:, 4]).abs().max() > 1e-3


def test_fresh_noise_feeds_each_step_its_own_z() -> None:
    model = after_noise(small(MNIST, time_steps=3, fresh_noise=True), 2)
    z = model.draw_latents(3, seed=1)
    changed = z.clone()
    changed[:, 1] += 1
    before, after = model.canvases(z), model.canvases(changed)
    assert torch.equal(before[:, 0], after[:, 0])
    assert (before[:, 1] - after[:, 1]).abs().max() > 0
    shared = small(MNIST, time_steps=3)
    shared.load_state_dict(model.state_dict())
    same = z[:, :1].expand(-1, 3, -1)
    torch.testing.assert_close(model.canvases(same), shared.eval().canvases(z[:, 0]))


def test_tied_weights_are_shared_by_f_and_g_and_every_parameter_learns() -> None:
    tied, untied = (small(MNIST, time_steps=3, tie_weights=tie) for tie in (True, False))
    shared = sum(weight.numel() for weight in untied.generator.g.weights)
    assert untied.parameter_counts()["generator"] - tied.parameter_counts()["generator"] == shared
    after_noise(tied, 5)
    for of_f, of_g in zip(tied.generator.weights, tied.generator.g.weights, strict=True):
        assert of_f is of_g
    assert not {id(w) for w in tied.generator.weights} & {id(p) for p in tied.discriminator.parameters()}
    for name, parameter in tied.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_untrained_canvas_starts_near_the_mean_pixel() -> None:
    torch.manual_seed(0)
    for time_steps in (1, 3):
        model = small(MNIST, time_steps=time_steps).train()
        images = sum(model.generator(torch.randn(64, 6), time_steps)).sigmoid()
        assert images.mean().item() == pytest.approx(torch.tensor(-1.9).sigmoid().item(), abs=0.03)
