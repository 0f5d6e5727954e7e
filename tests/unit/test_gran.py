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


@pytest.mark.parametrize(
    ("shape", "kernels"),
    [
        ((1, 30, 30), (8, 4)),
        ((3, 32, 32), (8, 6, 4, 4, 4, 4)),
        ((1, 28, 32), (8, 4)),
        ((1, 28, 28), ()),
        ((1, 28, 28), (8, 0)),
    ],
)
def test_a_size_that_cannot_work_says_what_was_found(shape: tuple[int, int, int], kernels: tuple[int, ...]) -> None:
    found = f"{shape[1]}x{shape[2]} images with kernels {list(kernels)}"
    with pytest.raises(ValueError, match=found.replace("[", r"\[")) as caught:
        GRAN(shape, kernels=kernels)
    assert "\n" not in str(caught.value)


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


def test_one_step_is_the_feed_forward_network_and_has_no_g() -> None:
    model = after_noise(small(MNIST, time_steps=1), 2)
    assert not hasattr(model.generator, "g")
    z = model.draw_latents(4, seed=3)
    h_z = torch.tanh(z @ model.generator.noise.weight.T + model.generator.noise.bias)
    increment = model.generator.f(torch.cat([h_z, torch.zeros_like(h_z)], dim=1), 0)
    torch.testing.assert_close(model.decode(z), increment.sigmoid())


def test_the_second_step_sees_the_first_increment_through_g() -> None:
    model = after_noise(small(MNIST, time_steps=2), 2)
    z = model.draw_latents(4, seed=3)
    h_z = model.generator.noise(z).tanh()
    first = model.generator.f(torch.cat([h_z, torch.zeros_like(h_z)], dim=1), 0)
    h_c = model.generator.g_norm(model.generator.g(first), 0).tanh()
    second = model.generator.f(torch.cat([h_z, h_c], dim=1), 1)
    torch.testing.assert_close(model.canvases(z), torch.stack([first, first + second], dim=1).sigmoid())


def test_canvases_are_partial_sums_and_end_in_the_image() -> None:
    model = after_noise(small(MNIST, time_steps=4), 2)
    z = model.draw_latents(3, seed=1)
    canvases = model.canvases(z)
    assert torch.equal(canvases[:, -1], model.decode(z))
    logits = canvases.logit()
    increments = torch.stack(model.generator(z, 4), dim=1)
    torch.testing.assert_close(logits[:, 1:] - logits[:, :-1], increments[:, 1:], rtol=1e-3, atol=1e-4)


def test_more_steps_than_trained_continue_the_same_drawing() -> None:
    model = after_noise(small(MNIST, time_steps=5), 2)
    longer = small(MNIST, time_steps=5, sample_steps=7)
    longer.load_state_dict(model.state_dict())
    z = model.draw_latents(3, seed=1)
    canvases = longer.eval().canvases(z)
    assert canvases.shape[1] == 7
    torch.testing.assert_close(canvases[:, :5], model.canvases(z), rtol=0, atol=1e-6)
    assert (canvases[:, 5] - canvases[:, 4]).abs().max() > 1e-3
    assert longer.parameter_counts() == model.parameter_counts()


def test_training_ignores_the_number_of_steps_to_sample_with() -> None:
    torch.manual_seed(0)
    plain = small(MNIST, time_steps=2)
    torch.manual_seed(0)
    longer = small(MNIST, time_steps=2, sample_steps=4)
    after_noise(plain, 2), after_noise(longer, 2)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, longer.state_dict()[name]), name


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


def test_tied_weights_are_shared_by_f_and_g() -> None:
    tied, untied = (small(MNIST, time_steps=2, tie_weights=tie) for tie in (True, False))
    shared = sum(weight.numel() for weight in untied.generator.g.weights)
    assert untied.parameter_counts()["generator"] - tied.parameter_counts()["generator"] == shared
    after_noise(tied, 2)
    for of_f, of_g in zip(tied.generator.weights, tied.generator.g.weights, strict=True):
        assert of_f is of_g
    assert not {id(w) for w in tied.generator.weights} & {id(p) for p in tied.discriminator.parameters()}


def test_with_tied_weights_every_parameter_gets_a_finite_gradient() -> None:
    model = after_noise(small(MNIST, time_steps=3, tie_weights=True), 5)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_untrained_canvas_starts_near_the_mean_pixel() -> None:
    torch.manual_seed(0)
    for time_steps in (1, 3):
        model = small(MNIST, time_steps=time_steps).train()
        images = sum(model.generator(torch.randn(64, 6), time_steps)).sigmoid()
        assert images.mean().item() == pytest.approx(torch.tensor(-1.9).sigmoid().item(), abs=0.03)
