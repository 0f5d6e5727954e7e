"""The perceptrons of Ponnuru: their layers, what dropout and label smoothing do, and images as a function of the
latent.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline.models.gan import GAN
from pipeline.models.kinds import Shape
from tests.small_models import after_noise

MNIST: Shape = (1, 28, 28)


def widths_of(network: nn.Module) -> list[int]:
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def test_layers_and_parameters_are_those_of_004() -> None:
    model = GAN(MNIST)
    assert widths_of(model.generator) == [100, 32, 64, 128, 784]
    assert widths_of(model.discriminator) == [784, 128, 64, 32, 1]
    for network, activation in ((model.generator, nn.ReLU), (model.discriminator, nn.LeakyReLU)):
        kinds = [type(module) for module in network if not isinstance(module, nn.Flatten | nn.Tanh)]
        assert kinds == [*[nn.Linear, activation, nn.Dropout] * 3, nn.Linear]
        assert {module.p for module in network if isinstance(module, nn.Dropout)} == {0.3}
    assert {module.negative_slope for module in model.discriminator if isinstance(module, nn.LeakyReLU)} == {0.2}
    assert isinstance(model.generator[-1], nn.Tanh)
    assert widths_of(GAN(MNIST, discriminator_widths=(256,)).discriminator) == [784, 256, 1], "section 4.2"
    assert model.parameter_counts()["discriminator"] == 785 * 128 + 129 * 64 + 65 * 32 + 33


def test_dropout_belongs_to_training_alone() -> None:
    model = after_noise(GAN(MNIST), 1)
    z, x = model.draw_latents(4, seed=1), torch.rand(4, *MNIST)
    torch.testing.assert_close(2 * model.decode(z).flatten(1) - 1, model.generator(z))
    model.train()  # in evaluation mode every model gives the same twice: test_model_contract.py
    assert not torch.equal(model.decode(z), model.decode(z))
    assert not torch.equal(model.discriminate(x), model.discriminate(x))


@pytest.mark.parametrize("target", [1.0, 0.9])
def test_the_discriminator_descends_the_cross_entropy_with_the_label_of_real_images(target: float) -> None:
    model = GAN(MNIST, real_label=target)
    real, fake = torch.randn(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    expected = binary_cross_entropy_with_logits(real, torch.full_like(real, target))
    expected = expected + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    torch.testing.assert_close(model.discriminator_loss(real, fake), expected)
