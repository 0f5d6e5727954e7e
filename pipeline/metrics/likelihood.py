"""Log-likelihoods of held-out images: the evidence lower bound, its importance-weighted form, or the exact value.

Burda, Grosse & Salakhutdinov, 'Importance weighted autoencoders', arXiv:1509.00519, equation 8: with K draws z_k of
q(z | x), log 1/K sum_k p(x, z_k) / q(z_k | x) bounds log p(x) from below in expectation, the tighter the more draws;
K = 1 is the ELBO.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.intervals import per_image_mean

ORDER = 90

COLUMNS: dict[str, dict[str, str]] = {
    "elbo": {
        "label": "ELBO",
        "meaning": "Mean evidence lower bound of held-out images; compare only models with the same likelihood on the "
        "same binarisation, and note that a bound says nothing about how samples look.",
        "better": "higher",
        "unit": "nats per image",
        "scale": "linear",
    },
    "iwae_bound": {
        "label": "IWAE bound",
        "meaning": "The same bound with several importance-weighted draws of the latents for each image "
        "(protocol.importance_samples of params.yaml): nearer to the log-likelihood, the more so the more draws.",
        "better": "higher",
        "unit": "nats per image",
        "scale": "linear",
    },
    "log_likelihood": {
        "label": "Log-likelihood",
        "meaning": "Mean log-likelihood of the same binary held-out images, exact, of models that give it in place of "
        "a bound; a bound of another model is at most that model's own log-likelihood.",
        "better": "higher",
        "unit": "nats per image",
        "scale": "linear",
    },
}


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """The means over images of what the model gave."""
    nats = {name: getattr(comparison, name) for name in COLUMNS}
    return {name: per_image_mean(values) for name, values in nats.items() if values is not None}


def importance_weighted(log_weights: Callable[[], Tensor], draws: int) -> Tensor:
    """log 1/K sum_k exp(log_weights()) over K = `draws` calls, each (N,) in nats: (N,) float64."""
    total = log_weights().double()
    for _ in range(draws - 1):
        total = torch.logaddexp(total, log_weights().double())
    return total - math.log(draws)
