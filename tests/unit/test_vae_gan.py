"""VAE-GAN: Larsen et al.'s three losses, which network descends which of them, and the sizes that it works on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from pipeline.models.vae_gan import VAEGAN

SHAPE = (1, 12, 12)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def small(shape: tuple[int, int, int] = SHAPE, classes: int = 0, **arguments: Any) -> VAEGAN:
    return VAEGAN(shape, classes, **{"latent": 3, "width": 4, "dropout": 0.0, **arguments})


def passed(model: VAEGAN, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
    """The terms written out: one pass of every network, the images of each kind judged by themselves."""
    torch.manual_seed(3)
    mean, log_std = model.posterior(real, labels)
    law = torch.distributions.Normal(mean, log_std.exp())
    z = mean + law.stddev * torch.randn_like(mean)
    both = torch.cat([z, torch.randn_like(z)])
    if labels is not None:
        both = torch.cat([both, one_hot(labels, model.classes).repeat(2, 1)], 1)
    reconstructed, generated = model.decode(both).chunk(2)
    d_real, d_rec, d_gen = (model.discriminate(x, labels).sigmoid() for x in (real, reconstructed, generated))
    f_real, f_rec = (model.discriminator(x)[1] for x in (real, reconstructed))
    unit = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return {
        "kl": torch.distributions.kl_divergence(law, unit).sum(1).mean(),
        "like": 0.5 * ((f_rec - f_real.detach()) ** 2).sum(1).mean(),
        "g_loss": -(d_rec.log() + d_gen.log()).mean(),
        "d_loss": -(d_real.log() + (1 - d_rec).log() + (1 - d_gen).log()).mean(),
    }


def parameters(modules: list[nn.Module]) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters()]


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 2, 1, 1, 0, 2])], ids=["unconditional", "conditional"])
def test_the_terms_are_those_of_the_paper(labels: Tensor | None) -> None:
    model, real = small(classes=3, conditional=labels is not None), torch.rand(6, *SHAPE)
    expected = passed(model, real, labels)
    torch.manual_seed(3)
    terms = model.losses(real, labels)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)


@pytest.mark.parametrize("gamma", [0.0, 0.7, 30.0])
def test_each_network_descends_its_own_loss(gamma: float) -> None:
    """Algorithm 1: the encoder L_prior + L_like, the decoder gamma L_like and the adversary, the judge L_GAN alone."""
    model, real = small(gamma=gamma), torch.rand(6, *SHAPE)
    terms = passed(model, real)
    losses = {
        "encoder": terms["kl"] + terms["like"],
        "generator": gamma * terms["like"] + terms["g_loss"],
        "discriminator": terms["d_loss"],
    }
    networks = {name: parameters(modules) for name, modules in model.networks().items()}
    expected = {name: torch.autograd.grad(loss, networks[name], retain_graph=True) for name, loss in losses.items()}
    torch.manual_seed(3)
    model.fit_batch(real)
    for name, held in networks.items():
        torch.testing.assert_close([p.grad for p in held], list(expected[name]), msg=name)
        assert any(p.grad.abs().max() > 0 for p in held), name


def test_the_adversary_is_not_heard_by_the_encoder_and_would_be_without_care() -> None:
    model, real = small(), torch.rand(6, *SHAPE)
    encoding = parameters(model.networks()["encoder"])
    heard = torch.autograd.grad(model.losses(real)["g_loss"], encoding)
    assert max(g.abs().max() for g in heard) > 0, "the path exists: x_rec depends on the encoder"
    seen = []
    for factor in (1.0, 1e3):  # whatever the discriminator's verdict, with its features left as they are
        torch.manual_seed(1)
        model = small()
        with torch.no_grad():
            model.discriminator.verdict[-1].weight.mul_(factor)
        torch.manual_seed(2)
        model.fit_batch(real)
        seen.append([p.grad.clone() for p in parameters(model.networks()["encoder"])])
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=0)


SMALLEST = {(1, 28, 28): (7, 7), (1, 32, 32): (8, 8), (3, 32, 32): (8, 8), (3, 64, 64): (8, 8), (2, 12, 20): (6, 10)}


@pytest.mark.parametrize(("shape", "smallest"), SMALLEST.items())
def test_the_discriminators_features_are_its_smallest_maps(shape: Any, smallest: tuple[int, int]) -> None:
    model = small(shape, latent=5, width=2).eval()
    x = torch.rand(3, *shape)
    torch.testing.assert_close(model.reconstruct(x), model.decode(model.encode(x)))
    features = model.discriminator(x)[1]
    assert features.shape == (3, smallest[0] * smallest[1] * 2 * (shape[1] // smallest[0]) // 2)


@pytest.mark.parametrize("shape", [(1, 27, 28), (1, 28, 27), (1, 8, 8), (3, 31, 31)])
def test_images_that_cannot_be_halved_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=rf"vae_gan cannot draw {shape[1]}x{shape[2]} images: expected even sides"):
        VAEGAN(shape)


def test_it_learns_to_reconstruct_and_to_draw_what_it_is_asked_for() -> None:
    """Two classes, the left half white or the right: asked for one of them, the other never comes."""
    model = small(classes=2, conditional=True, width=8, learning_rate=5e-3)
    x = torch.zeros(32, *SHAPE)
    x[:16, :, :, :6], x[16:, :, :, 6:] = 1, 1
    labels = torch.arange(32) // 16
    for _ in range(60):
        model.fit_batch(x, labels)
    model.eval()
    with torch.no_grad():
        assert (model.reconstruct(x, labels) - x).abs().mean() < 0.15
        halves = slice(0, 6), slice(6, 12)
        for label in (0, 1):
            drawn = model.decode(model.draw_latents(20, seed=0, label=label))
            assert drawn[..., halves[label]].mean() > 0.6 > 0.4 > drawn[..., halves[1 - label]].mean()
