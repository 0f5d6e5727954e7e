"""DRAW-GAN: which loss reaches which network, the signs of both objectives, the equilibrium and the warm-up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.models.draw_gan import DRAWGAN, structural_similarity

SHAPE = (1, 12, 12)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def small(**arguments: object) -> DRAWGAN:
    return DRAWGAN(SHAPE, glimpses=3, hidden=16, latent=3, write_size=3, kernels=4, **arguments)  # type: ignore[arg-type]


def gradients(loss: Tensor, network: torch.nn.Module) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True))


def largest(found: list[Tensor | None]) -> float:
    return max((float(g.abs().max()) for g in found if g is not None), default=0.0)


def changed(before: dict[str, Tensor], network: torch.nn.Module) -> bool:
    return any(not torch.equal(before[name], value) for name, value in network.state_dict().items())


def copy(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("objective", ["non_saturating", "minimax"])
def test_draw_gains_when_the_discriminator_finds_its_images_more_real(objective: str) -> None:
    """Algorithm 1's sign trap: DRAW's adversary has to fall as D(x_p) rises, under either objective."""
    model = small(objective=objective)
    logits = torch.linspace(-6, 6, 25, requires_grad=True)
    values = model.adversary(logits)
    assert (values.diff() < 0).all()
    d = logits.detach().sigmoid()
    expected = torch.log(1 - d) if objective == "minimax" else -torch.log(d)
    torch.testing.assert_close(values.detach(), expected, atol=1e-5, rtol=1e-5)


def losses_and_images(model: DRAWGAN, real: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The terms of a batch, and its reconstructions and prior images by the same draws."""
    torch.manual_seed(3)
    terms = model.losses(real)
    torch.manual_seed(3)
    done = model.draw.unroll(real, model.draw.noise(len(real)), prior=model.draw.noise(len(real)))
    return terms, model.draw.images(done.logits)


def test_losses_are_those_of_equation_20_and_half_the_squared_feature_distance() -> None:
    model, real = small(dropout=0.0), torch.rand(4, *SHAPE)
    terms, drawn = losses_and_images(model, real)
    d_rec, d_prior = model.discriminate(drawn).sigmoid().chunk(2)
    l_gan = model.discriminate(real).sigmoid().log().mean() + (1 - d_rec).log().mean() + (1 - d_prior).log().mean()
    torch.testing.assert_close(terms["d_loss"], -l_gan)
    torch.testing.assert_close(terms["g_loss"], -(d_rec.log().mean() + d_prior.log().mean()))
    of_real, of_rec = model.discriminator(real)[1], model.discriminator(drawn[:4])[1]
    torch.testing.assert_close(terms["like"], 0.5 * ((of_rec - of_real) ** 2).sum(1).mean())


def test_each_update_moves_its_own_network_alone() -> None:
    model = small(warmup=0)
    real = torch.rand(6, *SHAPE)
    terms, nothing = model.losses(real), torch.zeros(())
    draw, judge = copy(model.draw), copy(model.discriminator)
    model.update(terms["kl"] + model.gamma * terms["like"] + terms["g_loss"], terms["d_loss"], ahead=torch.tensor(True))
    assert changed(draw, model.draw) and not changed(judge, model.discriminator)
    terms, draw = model.losses(real), copy(model.draw)
    still = terms["kl"] * nothing
    model.optimiser.param_groups[0]["lr"] = 0.0
    model.update(still, terms["d_loss"], ahead=torch.tensor(False))
    assert changed(judge, model.discriminator) and not changed(draw, model.draw)


def test_the_discriminator_follows_its_cross_entropy_only() -> None:
    """Its gradient after an update is that of d_loss, whatever weight L_like has in DRAW's loss."""
    real = torch.rand(6, *SHAPE)
    seen = []
    for gamma in (0.0, 1e4):
        torch.manual_seed(1)
        model = small(warmup=0, gamma=gamma)
        torch.manual_seed(2)
        model.fit_batch(real)
        seen.append([p.grad.clone() for p in model.discriminator.parameters()])
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=0)
    assert largest(seen[0]) > 0


def test_x_p_reaches_the_decoder_and_never_the_encoder() -> None:
    model = small()
    z = torch.randn(4, 3, 3)
    loss = model.adversary(model.discriminate(model.decode(z))).sum()
    assert largest(gradients(loss, model.draw.decoder)) > 0
    assert largest(gradients(loss, model.draw.encoder)) == 0


@pytest.mark.parametrize(("lead", "moves"), [(1.0, True), (0.0, False)])
def test_a_discriminator_that_is_ahead_waits(lead: float, moves: bool) -> None:
    model = small(lead=1.0, warmup=0)
    real = torch.ones(8, *SHAPE)
    for _ in range(20):  # white images are easily told from drawn ones
        model.fit_batch(real)
    model.lead = lead
    judge, drawn = copy(model.discriminator), copy(model.draw)
    moment = model.discriminator_optimiser.state_dict()["state"][0]["exp_avg"].clone()
    assert float(model.fit_batch(real)["d_lead"]) > 0
    assert changed(judge, model.discriminator) is moves
    moment_after = model.discriminator_optimiser.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(moment_after, moment) is not moves
    assert changed(drawn, model.draw)


def test_warm_up_descends_the_elbo_and_then_the_adversarial_loss() -> None:
    model = small(warmup=2, gamma=3.0)
    real = torch.rand(6, *SHAPE)
    for step in range(4):
        s = model.fit_batch(real)
        expected = s["kl"] + (s["reconstruction"] if step < 2 else 3.0 * s["like"] + s["g_loss"])
        torch.testing.assert_close(s["loss"], expected)
        assert not any(value.requires_grad for value in s.values())
    assert int(model.state_dict()["steps_taken"]) == 4


# -- classes ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_image_is_drawn_and_judged_as_of_its_class() -> None:
    sizes = {"glimpses": 3, "hidden": 16, "latent": 3, "write_size": 3, "kernels": 4, "dropout": 0.0}
    model = DRAWGAN(SHAPE, 3, conditional=True, **sizes).double()
    real, labels = torch.rand(6, *SHAPE, dtype=torch.float64), torch.tensor([0, 2, 1, 1, 0, 2])
    noise, prior = torch.randn(2, 3, 6, 3, dtype=torch.float64)
    drawn_in_turn = iter([noise, prior])
    model.draw.noise = lambda batch: next(drawn_in_turn)  # type: ignore[method-assign]
    terms = model.losses(real, labels)
    drawn = model.decode(model.with_class(prior.transpose(0, 1), labels))
    rebuilt = model.draw.images(model.draw.unroll(real, noise, labels).logits)
    d_real, d_rec, d_prior = (model.discriminate(x, labels).sigmoid() for x in (real, rebuilt, drawn))
    l_gan = d_real.log().mean() + (1 - d_rec).log().mean() + (1 - d_prior).log().mean()
    torch.testing.assert_close(terms["d_loss"], -l_gan)
    outputs = model.discriminator(real)[0]
    projected = torch.stack([row[0] + row[1 + label] for row, label in zip(outputs, labels.tolist(), strict=True)])
    torch.testing.assert_close(model.discriminate(real, labels), projected)


# -- SSIM ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("whole_torch")
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_ssim_is_the_one_that_others_compute(shape: tuple[int, int, int]) -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure as reference

    torch.manual_seed(0)
    x = torch.rand(5, *shape, dtype=torch.float64)
    y = (x + 0.2 * torch.randn_like(x)).clamp(0, 1)
    _, everywhere = reference(y, x, data_range=1.0, sigma=1.5, reduction="none", return_full_image=True)
    # The reference reflects the image at its border; ours are the windows that lie within it.
    expected = everywhere[..., 5:-5, 5:-5].flatten(1).mean(1)
    torch.testing.assert_close(structural_similarity(x, y), expected, rtol=1e-9, atol=1e-9)


def test_ssim_is_one_of_equal_images_symmetric_and_differentiable() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(2, 4, 1, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(structural_similarity(x, x), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(structural_similarity(x, y), structural_similarity(y, x))
    flat = torch.zeros(4, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(structural_similarity(flat, y).sum(), flat)
    assert gradient.isfinite().all() and gradient.any()


def test_ssim_takes_the_place_of_the_features() -> None:
    model, real = small(warmup=0, reconstruction="ssim", dropout=0.0), torch.rand(6, *SHAPE)
    terms, drawn = losses_and_images(model, real)
    lost = 1 - structural_similarity(drawn[:6], real)
    torch.testing.assert_close(terms["like"], real[0].numel() * lost.mean())
    judging = torch.autograd.grad(terms["like"], list(model.discriminator.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in judging)
