"""The evidence lower bound on held-out images, for models that have one."""

from __future__ import annotations

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
}


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """The mean over images, where the model gave bounds."""
    return {} if comparison.elbo is None else {"elbo": per_image_mean(comparison.elbo)}
