"""DRAW with an adversary on its latents: which loss reaches which network, and that latents come to be N(0, I)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline.models.draw import DRAW
from pipeline.models.draw_adversarial_prior import DRAWAdversarialPrior
from pipeline.workflow import job_hash

SHAPE = (1, 12, 12)
SIZES: dict[str, Any] = {"glimpses": 3, "hidden": 16, "latent": 2, "read_size": 2, "write_size": 3}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def small(shape: tuple[int, int, int] = SHAPE, classes: int = 0, **arguments: Any) -> DRAWAdversarialPrior:
    return DRAWAdversarialPrior(shape, classes, **{**SIZES, "prior_hidden": 16, "clip_norm": 0.0, **arguments})


def parts(model: DRAWAdversarialPrior, real: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Negative log-likelihood, adversarial loss of the encoder, and the discriminator's, from the same draws."""
    torch.manual_seed(3)
    noise, prior = model.noise(len(real)), model.noise(len(real))
    done = model.unroll(real, noise, labels)
    nll = binary_cross_entropy_with_logits(model.images(done.logits).logit(), real, reduction="none")
    z = done.mean + done.log_std.exp() * noise
    d_prior, d_codes = model.judge_latents(prior, labels).sigmoid(), model.judge_latents(z, labels).sigmoid()
    d_loss = -(d_prior.log() + (1 - d_codes).log()).mean()
    return nll.sum((1, 2, 3)).mean(), -d_codes.log().mean(), d_loss


def drawing(model: DRAW) -> list[Tensor]:
    return [parameter for name, parameter in model.named_parameters() if not name.startswith("of_prior")]


@pytest.mark.parametrize("weight", [0.0, 7.0])
@pytest.mark.parametrize("labels", [None, torch.tensor([0, 2, 1, 1, 0, 2])], ids=["unconditional", "conditional"])
def test_losses_and_gradients_are_those_of_an_adversarial_autoencoder(labels: Tensor | None, weight: float) -> None:
    """Every parameter of DRAW has the gradient of nll + weight * adversary, the discriminator that of its entropy."""
    model = small(classes=3, conditional=labels is not None, weight=weight, prior_rate=1e-12)
    real = torch.rand(6, *SHAPE).round()
    nll, g_loss, d_loss = parts(model, real, labels)
    judging = list(model.of_prior.parameters())
    of_draw = torch.autograd.grad(nll + weight * g_loss, drawing(model), retain_graph=True)
    of_judge = torch.autograd.grad(d_loss, judging)
    torch.manual_seed(3)
    found = model.fit_batch(real, labels)
    expected = {"reconstruction": nll, "g_loss": g_loss, "d_loss": d_loss, "loss": nll + weight * g_loss}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.detach(), rtol=1e-4, atol=1e-4, msg=name)
    torch.testing.assert_close([p.grad for p in drawing(model)], list(of_draw), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close([p.grad for p in judging], list(of_judge), rtol=1e-4, atol=1e-6)


def test_the_discriminator_sees_every_step_of_a_sequence_and_its_class() -> None:
    model = small(classes=3, conditional=True)
    z, labels = torch.randn(3, 4, 2), torch.tensor([0, 1, 2, 0])
    before = model.judge_latents(z, labels)
    for step in range(3):
        other = z.clone()
        other[step, 1] += 1.0
        assert (model.judge_latents(other, labels) != before).tolist() == [False, True, False, False]
    assert (model.judge_latents(z, (labels + 1) % 3) != before).all()
    assert (model.judge_latents(z.flip(0), labels) != before).any()


def test_it_draws_and_bounds_as_draw_does() -> None:
    """Decoder, posterior and bound are DRAW's own: the same weights give the same images, which have no judge."""
    assert "discriminate" not in job_hash.methods_of("pipeline.models.draw_adversarial_prior")
    model, plain = small(), DRAW(SHAPE, **SIZES)
    plain.load_state_dict({n: v for n, v in model.state_dict().items() if not n.startswith("of_prior")})
    z = model.draw_latents(4, seed=0)
    assert torch.equal(model.canvases(z), plain.canvases(z))
    x, bounds = torch.rand(4, *SHAPE).round(), []
    for one in (model, plain):
        torch.manual_seed(5)
        bounds.append(one.elbo(x))
    assert torch.equal(*bounds)


def test_latents_of_images_come_to_follow_the_prior() -> None:
    """Where a bias has put every latent at 4, the adversary brings their mean near 0 and their deviation near 1."""
    deviations = {}
    for weight in (0.0, 200.0):
        torch.manual_seed(1)
        model = small(weight=weight, clip_norm=5.0, learning_rate=3e-3, prior_rate=1e-2)
        with torch.no_grad():
            model.posterior.bias[:2] = 4.0
        x = torch.rand(64, *SHAPE).round()
        for _ in range(100):
            model.fit_batch(x)
        noise = model.noise(64)
        with torch.no_grad():
            done = model.unroll(x, noise)
            z = torch.addcmul(done.mean, done.log_std.exp(), noise)
        deviations[weight] = (float(z.mean((0, 1)).abs().max()), float(z.std((0, 1)).log().abs().max()))
    assert deviations[200.0][0] < 1.0 < 3.0 < deviations[0.0][0]
    assert deviations[200.0][1] < 0.7
