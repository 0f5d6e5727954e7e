"""How many samples the reference classifier recognises without doubt."""

from __future__ import annotations

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.intervals import rate

ORDER = 110

COLUMNS: dict[str, dict[str, str]] = {
    "confident_fraction": {
        "label": "Confident fraction",
        "meaning": "Share of samples of which the reference classifier is more than 0.8 sure; it is sure of some noise "
        "too, and one class repeated gets 1.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
}

SURE = 0.8


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Where the samples' class probabilities are given."""
    if comparison.probabilities is None:
        return {}
    return {"confident_fraction": rate(comparison.probabilities.amax(dim=1) > SURE)}
