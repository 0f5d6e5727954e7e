"""The benchmark: the textbook models compute what ours do; its tables have their columns; its fits are right."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench import settings, textbook
from bench.timing import Pace, race
from pipeline.models.base import ImageGenerator

BATCH = 16
"""Times an even number of latents, the one draw of normal noise that ours makes equals the textbook's many."""


def real(shape: tuple[int, int, int] = (1, 28, 28)) -> Tensor:
    return (torch.rand(BATCH, *shape, generator=torch.Generator().manual_seed(1)) < 0.3).float()


def pair(name: str, dataset: str = "mnist", **changed: Any) -> tuple[ImageGenerator, Any]:
    """Ours, and its textbook form, as params.yaml has the model but for what is changed."""
    model = settings.model(name, dataset=dataset)
    arguments = {**model.arguments, **changed}
    found = textbook.made(model.source, arguments, model.shape)
    assert found is not None
    model.arguments.update(changed)
    return model.built("cpu"), found


def losses(of: Any, x: Tensor) -> dict[str, float]:
    """Of a training step from a fixed seed."""
    torch.manual_seed(3)
    of.train()
    step = of.fit if isinstance(of, textbook.Textbook) else of.fit_batch
    return {name: float(value) for name, value in step(x).items()}


@torch.no_grad()
def copy_layer(to: Any, weight: Tensor, bias: Tensor | None = None) -> None:
    to.weight.copy_(weight)
    if bias is not None:
        to.bias.copy_(bias)


@torch.no_grad()
def copy_lstm(to: nn.LSTMCell, of: Any) -> None:
    """Our gates are input, forget, output, candidate; torch's input, forget, candidate, output, with two biases."""
    i, f, o, c = of.weight.chunk(4)
    inputs = to.weight_ih.shape[1]
    weight = torch.cat([i, f, c, o])
    to.weight_ih.copy_(weight[:, :inputs])
    to.weight_hh.copy_(weight[:, inputs:])
    i, f, o, c = of.bias.chunk(4)
    to.bias_ih.copy_(torch.cat([i, f, c, o]))
    to.bias_hh.zero_()


@torch.no_grad()
def copy_draw(to: textbook.DRAW, of: Any) -> None:
    copy_lstm(to.encoder, of.encoder)
    copy_lstm(to.decoder, of.decoder)
    for place, layer in ((to.mean, 0), (to.log_std, 1)):
        copy_layer(place, of.posterior.weight.chunk(2)[layer], of.posterior.bias.chunk(2)[layer])
    copy_layer(to.read_window, of.read_head.weight, of.read_head.bias)
    copy_layer(to.write_window, of.write_head.weight[:5], of.write_head.bias[:5])
    copy_layer(to.patch, of.write_head.weight[5:], of.write_head.bias[5:])


def copy_vae(to: textbook.VAE, of: Any) -> None:
    """Ours gives the log of the standard deviation, the textbook's the log of the variance."""
    (mean, log_std), (of_mean, of_log_std) = of.encoder[2].weight.chunk(2), of.encoder[2].bias.chunk(2)
    copy_layer(to.fc1, of.encoder[0].weight, of.encoder[0].bias)
    copy_layer(to.fc21, mean, of_mean)
    copy_layer(to.fc22, 2 * log_std, 2 * of_log_std)
    copy_layer(to.fc3, of.decoder[0].weight, of.decoder[0].bias)
    copy_layer(to.fc4, of.decoder[2].weight, of.decoder[2].bias)


def copy_draw_gan(to: textbook.DRAWGAN, of: Any) -> None:
    copy_draw(to.drawer, of.draw)
    to.features.load_state_dict(of.discriminator.features.state_dict())
    to.verdict.load_state_dict(of.discriminator.verdict.state_dict())


def by_channels(weight: Tensor, side: int, *, rows: bool) -> Tensor:
    """A dense layer's weight whose rows or columns go by (place, channel), gone by (channel, place)."""
    places = weight if rows else weight.t()
    moved = places.view(side * side, -1, places.shape[1]).transpose(0, 1).flatten(0, 1)
    return moved if rows else moved.t()


def copy_encoder(to: textbook.GRANEncoder, of: Any, side: int) -> None:
    for conv, weight in zip(to.convs, reversed(of.weights), strict=True):
        copy_layer(conv, weight)
    copy_layer(to.fc, by_channels(of.fully_connected.weight, side, rows=False), of.fully_connected.bias)


def copy_gran(to: textbook.GRAN, of: Any) -> None:
    ours, theirs, side = of.generator, to.generator, 7
    assert isinstance(theirs, textbook.GRANGenerator) and isinstance(to.discriminator, textbook.GRANEncoder)
    copy_layer(theirs.noise, ours.noise.weight, ours.noise.bias)
    copy_layer(theirs.fc, by_channels(ours.fully_connected.weight, side, rows=True))
    for deconv, weight in zip(theirs.deconvs, ours.weights, strict=True):
        copy_layer(deconv, weight)
    with torch.no_grad():
        theirs.deconvs[-1].bias.copy_(ours.bias)  # type: ignore[union-attr, operator]
    copy_encoder(theirs.g, ours.g, side)
    copy_encoder(to.discriminator, of.discriminator, side)


def copy_dcgan(to: textbook.DCGAN, of: Any) -> None:
    side = of.generator[1].side
    for theirs_of, ours_of in ((to.generator, of.generator), (to.discriminator, of.discriminator)):
        convolutions = [[m for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (theirs_of, ours_of)]
        for theirs, mine in zip(*convolutions, strict=True):
            copy_layer(theirs, mine.weight, mine.bias)
    copy_layer(to.generator[0], by_channels(of.generator[0].weight, side, rows=True))
    copy_layer(to.discriminator[-1], of.discriminator[-1].weight, of.discriminator[-1].bias)


SHORT = {"glimpses": 3, "hidden": 32, "latent": 4}
CASES: dict[str, tuple[Any, dict[str, Any], int]] = {
    # how weights are copied, what is changed of params.yaml, and LSTM cells: each has a bias that is one too many
    "vae": (copy_vae, {}, 0),
    "draw": (copy_draw, SHORT, 2),
    "draw_gan": (copy_draw_gan, SHORT | {"dropout": 0.0}, 2),
    "gran3": (copy_gran, {}, 0),
    "dcgan": (copy_dcgan, {}, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_textbook_model_has_our_losses_with_our_weights(name: str) -> None:
    """At the first step, and to what two ways of adding floats may differ at the second."""
    copy, changed, lstms = CASES[name]
    ours, theirs = pair(name, **changed)
    counts = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert counts[1] - counts[0] == lstms * 4 * changed.get("hidden", 0)
    copy(theirs, ours)
    for tolerance in (2e-4, 2e-2):
        mine, plain = losses(ours, real()), losses(theirs, real())
        assert plain == {key: pytest.approx(mine[key], rel=tolerance) for key in plain}


def test_dcgan_of_colour_has_as_many_weights_in_both() -> None:
    ours, theirs = pair("dcgan", "celeba")
    assert len({sum(p.numel() for p in model.parameters()) for model in (ours, theirs)}) == 1


def test_contestants_take_turns_and_are_timed_by_what_they_do() -> None:
    calls: list[str] = []
    contestants = {name: lambda n, name=name: calls.extend([name] * n) for name in ("ours", "peer")}
    rates = race(contestants, Pace(turn=0.0, rounds=3))
    assert calls[-6:] == ["ours", "peer"] * 3
    assert all(len(of) == 3 and min(of) > 0 for of in rates.values())
