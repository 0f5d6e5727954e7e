"""A VAE with a mixture in its prior's place: the fit against scikit-learn's, the bound against the integral."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pipeline.models.vae import VAE
from pipeline.models.vae_mixture import VAEMixture, fit_mixture, log_densities
from pipeline.training.loop import Settings, Trainer
from tests.small_models import bars

SHAPE = (1, 6, 6)


def clusters(n: int) -> Tensor:
    """Points (n, 2) around three centres, of different shapes and numbers."""
    generator = torch.Generator().manual_seed(0)
    which = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, replacement=True, generator=generator)
    centres = torch.tensor([[0.0, 0.0], [4.0, 1.0], [-3.0, 5.0]])
    spreads = torch.tensor([[[1.0, 0.0], [0.8, 0.4]], [[0.3, 0.0], [0.0, 0.9]], [[0.5, 0.0], [-0.4, 0.5]]])
    noise = torch.randn(n, 2, 1, generator=generator)
    return (centres[which] + (spreads[which] @ noise).squeeze(2)).double()


@pytest.fixture(scope="module")
def model() -> VAEMixture:
    torch.manual_seed(0)
    model = VAEMixture(SHAPE, hidden=(24,), latent=2, components=4, learning_rate=1e-2)
    for _ in range(150):
        model.fit_batch(bars(32))
    model.eval().fit_prior([bars(500), bars(200)])
    return model


def test_the_fit_is_as_likely_as_scikit_learns() -> None:
    from sklearn.mixture import GaussianMixture

    points = clusters(3000)
    shares, means, factors = fit_mixture(points, 3, 100)
    ours = (log_densities(points, shares, means, factors).logsumexp(1) - math.log(2 * math.pi)).mean()
    theirs = GaussianMixture(3, random_state=0).fit(points.numpy())
    assert float(ours) == pytest.approx(theirs.score(points.numpy()), abs=2e-3)
    order, other = means[:, 0].argsort(), theirs.means_[:, 0].argsort()
    assert torch.allclose(means[order], torch.from_numpy(theirs.means_[other]), atol=0.05)
    covariances = (factors @ factors.transpose(1, 2))[order]
    assert torch.allclose(covariances, torch.from_numpy(theirs.covariances_[other]), atol=0.05)


def test_every_step_of_the_fit_makes_the_points_more_likely() -> None:
    points = clusters(400)
    likelihoods = [float(log_densities(points, *fit_mixture(points, 5, k)).logsumexp(1).mean()) for k in range(0, 12)]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(likelihoods))


def test_a_component_of_one_code_does_not_end_the_fit() -> None:
    points = torch.cat([clusters(20), torch.full((1, 2), 1e3, dtype=torch.float64)])
    assert all(value.isfinite().all() for value in fit_mixture(points, 30, 20))


def test_before_the_fit_it_is_the_vae_under_a_standard_normal_prior() -> None:
    torch.manual_seed(0)
    untouched, plain = VAEMixture(SHAPE, hidden=(24,), latent=2), VAE(SHAPE, hidden=(24,), latent=2)
    plain.load_state_dict({key: value for key, value in untouched.state_dict().items() if key in plain.state_dict()})
    z = untouched.draw_latents(6, seed=0)
    torch.testing.assert_close(untouched.decode(z), plain.decode(z[:, 1:]))
    with torch.no_grad():
        torch.manual_seed(1)
        one = untouched.elbo(bars(6))
        torch.manual_seed(1)
        torch.testing.assert_close(one, plain.log_weights(bars(6)))


def test_samples_follow_the_mixture(model: VAEMixture) -> None:
    drawn: list[Tensor] = []
    model.decoder.register_forward_pre_hook(lambda _, given: drawn.append(given[0]))
    with torch.no_grad():
        model.decode(model.draw_latents(20_000, seed=0))
    model.decoder._forward_pre_hooks.clear()
    (codes,) = drawn
    mean = model.shares @ model.means
    spread = model.factors @ model.factors.transpose(1, 2) + torch.einsum("ki,kj->kij", model.means, model.means)
    covariance = torch.einsum("k,kij->ij", model.shares, spread) - torch.outer(mean, mean)
    error = covariance.diagonal().sqrt() / 20_000**0.5
    assert ((codes.mean(0) - mean).abs() < 5 * error).all()
    assert torch.allclose(codes.t().cov(), covariance, rtol=0.05, atol=0.05)


def test_the_bound_is_below_the_likelihood_under_the_mixture_and_above_that_under_the_old_prior(
    model: VAEMixture,
) -> None:
    x, axis = bars(6), torch.linspace(-9, 9, 361)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_prior = log_densities(grid, model.shares, model.means, model.factors).logsumexp(1) - math.log(2 * math.pi)
        cell = 2 * math.log(float(axis[1] - axis[0]))
        assert float((log_prior.double().logsumexp(0) + cell).exp()) == pytest.approx(1.0, abs=1e-3)
        nll = [model.negative_log_likelihood(image.expand(len(grid), *SHAPE), grid) for image in x.split(1)]
        exact = torch.stack([(log_prior.double() - part.double()).logsumexp(0) + cell for part in nll])
        torch.manual_seed(0)
        repeated, n = x.repeat(50_000, 1, 1, 1), 50_000
        draws = model.log_weights(repeated).double().view(n, 6)
        bound, weighted = draws.mean(0), draws.logsumexp(0) - math.log(n)
        old = VAE.log_weights(model, repeated).double().view(n, 6).mean(0)
    assert (bound < exact + 0.02).all()
    assert (weighted.mean() - exact.mean()).abs() < 0.03
    assert bound.mean() > old.mean(), "the mixture is nearer to the codes than N(0, I)"


def test_latents_of_an_image_are_decoded_to_its_reconstruction(model: VAEMixture) -> None:
    with torch.no_grad():
        codes = model.posterior(bars(9))[0]
        expected = model.decoder(codes).sigmoid().view(-1, *SHAPE)
        torch.testing.assert_close(model.decode(model.encode(bars(9))), expected, atol=1e-4, rtol=0)


def test_the_loop_fits_the_prior_to_the_images_as_they_are_trained_on() -> None:
    torch.manual_seed(0)
    pixels = (bars(60) * 255).byte()
    model = VAEMixture(SHAPE, hidden=(8,), latent=2, components=3)
    trainer = Trainer(model, pixels, Settings(5, 12, "binarised", "float32", 0))
    while not trainer.finished:
        trainer.advance()
    torch.manual_seed(7)
    trainer.fit_prior()
    torch.manual_seed(7)
    with torch.no_grad():
        again = (torch.rand(60, *SHAPE) < bars(60)).float()
        codes = model._sampled(again)[0].double()
    torch.testing.assert_close(model.means.double(), fit_mixture(codes, 3, 40)[1], atol=1e-5, rtol=0)
