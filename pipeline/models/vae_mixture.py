"""VAE with a mixture of Gaussians in the prior's place, fitted to the codes of training images once the VAE is trained.

The VAE (Kingma & Welling, arXiv:1312.6114) is trained as ever, against N(0, I), which its codes do not fill: samples of
N(0, I) also fall where no code was, and the decoder has learnt nothing there. Here one sample of q(z | x) for each
training image is fitted by a mixture with full covariances, by expectation maximisation (Ghosh et al. 2020,
arXiv:1903.12436, section 4, fit a deterministic autoencoder's codes so). Samples are drawn from the mixture, and the
bound is that of the mixture as the prior: log p(x | z) + log mixture(z) - log q(z | x), by Monte Carlo. Before the fit
it is N(0, I).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from pipeline.models.kinds import Count, Rate, Shape
from pipeline.models.vae import VAE

__all__ = ["VAEMixture"]

JITTER = 1e-6
"""Added to the variances, so that a component of few codes has a covariance that can be factored."""

SEED = 0
"""Of the codes that the components begin at: part of the fit, like its number of iterations."""

CODES = 25_000
"""Codes that the mixture is fitted to, at most."""


class VAEMixture(VAE):
    """The VAE's networks. A latent is N(0, I): its first number chooses the component, the others lie within it."""

    shares: Tensor
    means: Tensor
    factors: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        hidden: tuple[Count, ...] = (400,),
        latent: Count = 20,
        components: Count = 50,
        iterations: Count = 40,
        learning_rate: Rate = 1e-3,
    ) -> None:
        super().__init__(shape, hidden=hidden, latent=latent, learning_rate=learning_rate)
        self.latent_shape, self.iterations = (1 + latent,), iterations
        self.register_buffer("shares", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, latent))
        self.register_buffer("factors", torch.eye(latent).repeat(components, 1, 1))

    @torch.no_grad()
    def fit_prior(self, batches: Iterable[Tensor]) -> None:
        """Fit the mixture to one sample of q(z | x) of each image in batches (N, C, H, W), at most `CODES` of them."""
        codes = torch.cat([self._sampled(batch)[0] for batch in batches])
        fitted = fit_mixture(codes[:: -(-len(codes) // CODES)].double(), len(self.shares), self.iterations)
        for buffer, value in zip((self.shares, self.means, self.factors), fitted, strict=True):
            buffer.copy_(value)

    def _sampled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A sample of q(z | x) (N, z) and its log density (N,) but for the constant -z/2 log 2 pi."""
        mean, log_std = self.posterior(x)
        noise = torch.randn_like(mean)
        return mean + log_std.exp() * noise, -(0.5 * noise.square() + log_std).sum(1)

    def log_weights(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x | z) + log mixture(z) - log q(z | x) in nats for one draw of z each, (N,)."""
        z, log_posterior = self._sampled(x)
        log_prior = log_densities(z, self.shares, self.means, self.factors).logsumexp(1)
        return log_prior - log_posterior - self.negative_log_likelihood(x, z)

    def elbo(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Evidence lower bound of binary images under the mixture, in nats, (N,); one sample of z each."""
        return self.log_weights(x)

    def encode(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, 1 + z) that `decode` takes to the posterior's means, each by its likeliest component."""
        codes = self.posterior(x)[0]
        chosen = log_densities(codes, self.shares, self.means, self.factors).argmax(1)
        middle = torch.special.ndtri(self.shares.cumsum(0) - self.shares / 2)[chosen]
        offset = (codes - self.means[chosen]).unsqueeze(2)
        within = torch.linalg.solve_triangular(self.factors[chosen], offset, upper=False).squeeze(2)
        return torch.cat([middle.unsqueeze(1), within], 1)

    def decode(self, z: Tensor) -> Tensor:
        ends = self.shares.cumsum(0)[:-1]
        chosen = torch.bucketize(torch.special.ndtr(z[:, 0].contiguous()), ends, right=True)
        within = torch.einsum("nij,nj->ni", self.factors[chosen], z[:, 1:])
        return super().decode(self.means[chosen] + within)


def log_densities(z: Tensor, shares: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """log of share times density of z (N, d) in every component, (N, K), but for the constant -d/2 log 2 pi.

    `factors` (K, d, d) are lower triangular, L L^T a component's covariance.
    """
    offsets = (z - means[:, None]).transpose(1, 2)  # (K, d, N)
    whitened = torch.linalg.solve_triangular(factors, offsets, upper=False)
    log_volumes = factors.diagonal(dim1=1, dim2=2).log().sum(1)
    return (shares.log() - log_volumes) - 0.5 * whitened.square().sum(1).t()


def fit_mixture(points: Tensor, components: int, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """Shares (K,), means (K, d) and factors (K, d, d) of a mixture fitted to points (N, d) by expectation maximisation.

    Components begin at points of a fixed seed, each with the covariance of all points. Fewer points than components are
    used again.
    """
    n = len(points)
    first = torch.randperm(n, generator=torch.Generator().manual_seed(SEED))
    means = points[first[torch.arange(components) % n].to(points.device)]
    factors = _factor(_covariance(points, points.new_full((n,), 1 / n), points.mean(0))).repeat(components, 1, 1)
    shares = points.new_full((components,), 1 / components)
    for _ in range(iterations):
        belongs = log_densities(points, shares, means, factors).softmax(1)
        counts = belongs.sum(0).clamp_min(math.ulp(1.0))
        shares, means = counts / counts.sum(), belongs.t() @ points / counts[:, None]
        weights = (belongs / counts).t()
        factors = torch.stack([_factor(_covariance(points, w, m)) for w, m in zip(weights, means, strict=True)])
    return shares, means, factors


def _covariance(points: Tensor, weights: Tensor, mean: Tensor) -> Tensor:
    """(d, d), of points (N, d) with weights (N,) that sum to 1."""
    offsets = points - mean
    return (offsets * weights[:, None]).t() @ offsets


def _factor(covariance: Tensor) -> Tensor:
    return torch.linalg.cholesky(covariance + JITTER * torch.eye(len(covariance)).to(covariance))
