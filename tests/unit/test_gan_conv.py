"""The convolutional GAN of Vijayvargiya et al.: its layers as the report lists them, its sizes, and its optimiser."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, interpolate, max_pool2d

from pipeline.models.gan_conv import ConvolutionalGAN
from pipeline.models.kinds import Shape
from tests.small_models import after_noise

MNIST: Shape = (1, 28, 28)
FACES: Shape = (3, 64, 64)


def of_kind(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def test_layers_on_faces_are_those_of_002() -> None:
    model = ConvolutionalGAN(FACES)
    dense = [(m.in_features, m.out_features) for m in of_kind(model.generator, nn.Linear)]
    assert dense == [(100, 1024), (1024, 128 * 16 * 16)]
    convolutions = [(m.in_channels, m.out_channels, m.kernel_size) for m in of_kind(model.generator, nn.Conv2d)]
    assert convolutions == [(128, 64, (5, 5)), (64, 3, (5, 5))]
    assert len(of_kind(model.generator, nn.Tanh)) == 4
    assert [m.num_features for m in of_kind(model.generator, nn.BatchNorm1d)] == [128 * 16 * 16]
    convolutions = [(m.in_channels, m.out_channels, m.padding) for m in of_kind(model.discriminator, nn.Conv2d)]
    assert convolutions == [(3, 64, (2, 2)), (64, 128, (0, 0))]
    dense = [(m.in_features, m.out_features) for m in of_kind(model.discriminator, nn.Linear)]
    assert dense == [(128 * 14 * 14, 1024), (1024, 1)]


def test_the_generator_equals_its_layers_one_by_one() -> None:
    model = after_noise(ConvolutionalGAN(MNIST, width=3, hidden=6), 2)
    first, second = of_kind(model.generator, nn.Linear)
    norm = of_kind(model.generator, nn.BatchNorm1d)[0]
    z = model.draw_latents(4, seed=0)
    h = norm(second(first(z).tanh())).tanh().reshape(4, 6, 7, 7)
    for layer in of_kind(model.generator, nn.Conv2d):
        h = conv2d(interpolate(h, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=2).tanh()
    torch.testing.assert_close(model.decode(z), (h + 1) / 2, rtol=1e-4, atol=1e-6)


def test_the_discriminator_takes_the_maximum_of_tanh() -> None:
    model = after_noise(ConvolutionalGAN(MNIST, width=3, hidden=6), 2)
    x = torch.rand(4, *MNIST)
    h = 2 * x - 1
    for layer in of_kind(model.discriminator, nn.Conv2d):
        h = max_pool2d(layer(h).tanh(), 2)
    hidden, last = of_kind(model.discriminator, nn.Linear)
    torch.testing.assert_close(model.discriminate(x), last(hidden(h.flatten(1)).tanh()).squeeze(1))


def test_weights_start_within_glorots_bounds_and_biases_at_zero() -> None:
    torch.manual_seed(0)
    model = ConvolutionalGAN(MNIST, width=16, hidden=64)
    for layer in of_kind(model, nn.Linear) + of_kind(model, nn.Conv2d):
        taps = layer.weight[0, 0].numel()
        bound = (6 / (taps * (layer.weight.shape[0] + layer.weight.shape[1]))) ** 0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
        assert layer.bias is None or not layer.bias.any()


def test_an_update_is_nesterovs() -> None:
    rate, momentum = 0.1, 0.5
    model = ConvolutionalGAN(MNIST, width=2, hidden=4, learning_rate=rate, momentum=momentum)
    for optimiser in (model.generator_optimiser, model.discriminator_optimiser):
        parameter = optimiser.param_groups[0]["params"][0]
        expected, velocity = parameter.detach().clone(), torch.zeros_like(parameter)
        for seed in range(3):
            gradient = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
            parameter.grad = gradient.clone()
            optimiser.step()
            velocity = momentum * velocity + gradient
            expected = expected - rate * (gradient + momentum * velocity)
        torch.testing.assert_close(parameter.detach(), expected)
