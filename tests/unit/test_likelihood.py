"""The importance-weighted bound: against the likelihood itself, where two latents let it be integrated."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from pipeline.metrics.likelihood import importance_weighted
from pipeline.models.draw import DRAW
from pipeline.models.vae import VAE
from tests.small_models import bars

SHAPE = (1, 6, 6)


@pytest.fixture(scope="module")
def vae() -> VAE:
    torch.manual_seed(0)
    model = VAE(SHAPE, hidden=(24,), latent=2, learning_rate=1e-2)
    for _ in range(150):
        model.fit_batch(bars(32))
    return model.eval()


def log_likelihood(model: VAE, x: Tensor) -> Tensor:
    """log p(x) by a sum over a fine grid of z, which is exact here but for its cells: (N,)."""
    axis = torch.linspace(-6, 6, 241)
    grid = torch.cartesian_prod(axis, axis)
    log_prior = (-0.5 * grid.square().sum(1) - math.log(2 * math.pi)).double()
    log_cell = 2 * math.log(float(axis[1] - axis[0]))
    with torch.no_grad():
        each = [model.negative_log_likelihood(image.expand(len(grid), *SHAPE), grid) for image in x.split(1)]
    return torch.stack([(log_prior - nll.double()).logsumexp(0) + log_cell for nll in each])


def test_the_bound_rises_with_the_draws_to_the_likelihood(vae: VAE) -> None:
    x, exact = bars(12), log_likelihood(vae, bars(12))
    with torch.no_grad():
        torch.manual_seed(0)
        elbo = torch.stack([vae.elbo(x).double() for _ in range(400)]).mean(0)
        bounds = {k: importance_weighted(partial(vae.log_weights, x), k).mean() for k in (1, 10, 4000)}
        one = torch.stack([vae.log_weights(x).double() for _ in range(400)])
    error = one.std(0) / 400**0.5
    assert ((one.mean(0) - elbo).abs() < 5 * error + 0.02).all(), "one draw: the ELBO, in expectation"
    assert elbo.mean() < bounds[10] < bounds[4000]
    assert (bounds[4000] - exact.mean()).abs() < 0.02
    assert elbo.mean() < exact.mean() - 0.02, "else nothing would be tested here"


@pytest.mark.parametrize("attention", [True, False])
def test_draws_weights_have_the_elbo_as_their_mean(attention: bool) -> None:
    torch.manual_seed(0)
    model = DRAW(SHAPE, glimpses=3, hidden=8, latent=2, read_size=2, write_size=3, attention=attention).eval()
    x = bars(4)
    with torch.no_grad():
        torch.manual_seed(1)
        weights = torch.stack([model.log_weights(x) for _ in range(500)]).double()
        elbo = torch.stack([model.elbo(x) for _ in range(500)]).double()
    error = (weights.var(0) + elbo.var(0)).sqrt() / 500**0.5
    assert ((weights.mean(0) - elbo.mean(0)).abs() < 5 * error).all()


def test_equal_weights_are_their_own_bound_and_large_ones_do_not_overflow() -> None:
    weights = torch.tensor([-1e4, -90.0, 0.0, 700.0])
    assert torch.equal(importance_weighted(lambda: weights, 7), weights.double())
    draws = iter([torch.tensor([0.0]), torch.tensor([math.log(3.0)])])
    torch.testing.assert_close(importance_weighted(lambda: next(draws), 2), torch.tensor([math.log(2.0)]).double())
