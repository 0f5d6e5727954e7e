"""DCGAN: sizes, the two rearranged convolutions, and which update moves which network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from pipeline.models.blocks import UpsampledConv
from pipeline.models.dcgan import DCGAN, ImageConv
from tests.small_models import after_noise

MNIST = (1, 28, 28)
SHAPES_AND_SIDES = [(MNIST, 7), ((1, 32, 32), 8), ((3, 32, 32), 8), ((3, 64, 64), 8), ((3, 128, 128), 8)]


@pytest.mark.parametrize(("shape", "side"), SHAPES_AND_SIDES)
def test_the_smallest_map_has_a_quarter_of_the_side_or_8_pixels(shape: tuple[int, int, int], side: int) -> None:
    assert DCGAN(shape, width=8).discriminator[:-2](torch.rand(3, *shape)).shape == (3, 8, side, side)


@pytest.mark.parametrize(("width", "layers"), [(128, 1), (8, 2)])
def test_counts_of_parameters_without_batch_norm(width: int, layers: int) -> None:
    model, half = DCGAN(MNIST, latent=100, width=width, layers_per_size=layers, batch_norm=False), width // 2
    convolutions, deeper = 25 * width * half, (layers - 1) * ((25 * width + 1) * width + (25 * half + 1) * half)
    generator = 101 * 7 * 7 * width + convolutions + half + 25 * half + 1 + deeper
    discriminator = 25 * half + half + convolutions + width + 7 * 7 * width + 1 + deeper
    expected = {"generator": generator, "discriminator": discriminator, "total": generator + discriminator}
    assert model.parameter_counts() == expected


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


@pytest.mark.parametrize(("shape", "options"), [(MNIST, {"batch_norm": False}), ((3, 32, 32), {"layers_per_size": 3})])
def test_networks_of_other_options_train_and_draw(shape: tuple[int, int, int], options: dict[str, Any]) -> None:
    model = after_noise(DCGAN(shape, width=8, **options), 5)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
    assert model.decode(model.draw_latents(2, seed=0)).shape == (2, *shape)


@pytest.mark.parametrize("n", [6, 7])
def test_joint_and_separate_halves_keep_the_order_of_images(n: int) -> None:
    model = after_noise(DCGAN(MNIST, width=8), 2)
    real, fake = torch.rand(n, *MNIST), torch.rand(n, *MNIST)
    real_logits, fake_logits = model.tell_apart(real=real, fake=fake)
    torch.testing.assert_close(real_logits, model.discriminate(real), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fake_logits, model.discriminate(fake), rtol=1e-4, atol=1e-5)
