"""DCGAN: sizes, the two rearranged convolutions, and which update moves which network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from pipeline.models.adversarial import non_saturating_loss
from pipeline.models.blocks import UpsampledConv
from pipeline.models.dcgan import DCGAN, ImageConv
from tests.small_models import after_noise

MNIST = (1, 28, 28)
SHAPES_AND_SIDES = [(MNIST, 7), ((1, 32, 32), 8), ((3, 32, 32), 8), ((3, 64, 64), 8), ((3, 128, 128), 8)]


@pytest.mark.parametrize(("shape", "side"), SHAPES_AND_SIDES)
def test_the_smallest_map_has_a_quarter_of_the_side_or_8_pixels(shape: tuple[int, int, int], side: int) -> None:
    assert DCGAN(shape, width=8).discriminator[:-2](torch.rand(3, *shape)).shape == (3, 8, side, side)


@pytest.mark.parametrize("shape", [(1, 30, 30), (1, 28, 32), (1, 7, 7), (3, 96, 96)])
def test_a_size_that_cannot_work_says_what_was_found(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"{shape[1]}x{shape[2]}") as caught:
        DCGAN(shape)
    assert "\n" not in str(caught.value)


def test_a_width_that_does_not_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="from 9 channels"):
        DCGAN(MNIST, width=9)


def test_counts_of_parameters_without_batch_norm() -> None:
    model = DCGAN(MNIST, latent=100, width=128, batch_norm=False)
    convolutions = 25 * (128 * 64 + 64)
    generator = 101 * 7 * 7 * 128 + convolutions + 64 + 1
    discriminator = convolutions + 64 + 128 + 7 * 7 * 128 + 1
    expected = {"generator": generator, "discriminator": discriminator, "total": generator + discriminator}
    assert model.parameter_counts() == expected


def test_wider_and_deeper_networks() -> None:
    plain, deeper = (DCGAN(MNIST, width=8, layers_per_size=layers, batch_norm=False) for layers in (1, 2))
    extra = (25 * 8 + 1) * 8 + (25 * 4 + 1) * 4
    counts = plain.parameter_counts(), deeper.parameter_counts()
    assert counts[1]["generator"] - counts[0]["generator"] == extra
    assert counts[1]["discriminator"] - counts[0]["discriminator"] == extra
    assert after_noise(deeper, 1).decode(deeper.draw_latents(2, seed=0)).shape == (2, *MNIST)


@pytest.mark.parametrize(("width", "layers"), [(16, 1), (32, 3)])
def test_wider_and_deeper_networks_train_and_draw_colour(width: int, layers: int) -> None:
    model = after_noise(DCGAN((3, 32, 32), width=width, layers_per_size=layers), 2)
    assert model.decode(model.draw_latents(2, seed=0)).shape == (2, 3, 32, 32)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in model.generator) == 2 * layers
    assert sum(isinstance(module, torch.nn.Conv2d) for module in model.discriminator) == 2 * layers


@pytest.mark.parametrize("bias", [False, True])
def test_folded_upsampling_equals_upsampling_then_convolution(bias: bool) -> None:
    torch.manual_seed(0)
    layer, x = UpsampledConv(6, 4, bias=bias), torch.randn(2, 6, 5, 7)
    plain = conv2d(interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=2)
    torch.testing.assert_close(layer(x), plain, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), layer.weight)[0] for y in (layer(x), plain)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


def test_image_convolution_equals_the_plain_strided_one() -> None:
    torch.manual_seed(0)
    layer, x = ImageConv(3, 4), torch.randn(2, 3, 12, 14)
    plain = conv2d(x, layer.weight, layer.bias, stride=2, padding=2)
    torch.testing.assert_close(layer(x), plain, rtol=1e-5, atol=1e-5)


def test_weights_start_from_a_normal_of_standard_deviation_002() -> None:
    torch.manual_seed(0)
    for name, parameter in DCGAN(MNIST).named_parameters():
        if parameter.dim() > 1:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name
            assert abs(parameter.mean().item()) < 0.002, name


@pytest.mark.parametrize("options", [{"batch_norm": False}, {"layers_per_size": 2}])
def test_every_parameter_gets_a_finite_gradient(options: dict[str, Any]) -> None:
    model = after_noise(DCGAN(MNIST, width=8, **options), 5)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_discriminator_sees_images_from_minus_one_to_one() -> None:
    model = after_noise(DCGAN(MNIST, width=8), 1)
    seen: list[Tensor] = []
    model.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.discriminate(torch.stack([torch.zeros(MNIST), torch.ones(MNIST)]))
    assert torch.equal(seen[0], torch.stack([-torch.ones(MNIST), torch.ones(MNIST)]))


@pytest.mark.parametrize("n", [6, 7])
def test_joint_and_separate_halves_keep_the_order_of_images(n: int) -> None:
    model = after_noise(DCGAN(MNIST, width=8), 2)
    real, fake = torch.rand(n, *MNIST), torch.rand(n, *MNIST)
    real_logits, fake_logits = model.tell_apart(real=real, fake=fake)
    torch.testing.assert_close(real_logits, model.discriminate(real), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fake_logits, model.discriminate(fake), rtol=1e-4, atol=1e-5)


def test_the_generator_loss_falls_as_the_fakes_pass_for_real() -> None:
    logits = torch.tensor([-2.0, 0.0, 2.0])
    losses = torch.stack([non_saturating_loss(logit) for logit in logits])
    torch.testing.assert_close(losses, -logits.sigmoid().log())
    assert losses.diff().max() < 0


def test_a_class_is_a_one_hot_beside_the_noise() -> None:
    model = DCGAN(MNIST, 3, width=8, conditional=True)
    model.fit_batch(torch.rand(6, *MNIST), torch.arange(6) % 3)
    z = model.eval().draw_latents(2, seed=1, label=1)
    assert torch.equal(z[:, 100:], torch.tensor([[0.0, 1.0, 0.0]]).expand(2, -1))
    assert torch.equal(z[:, :100], DCGAN(MNIST).draw_latents(2, seed=1))
    assert model.generator[0].in_features == 103
    assert model.discriminator[-1].out_features == 4
