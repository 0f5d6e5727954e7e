"""When a conditional model is said to ignore the requested class."""

from __future__ import annotations

LEAST_AGREEMENT = 0.1
"""Cohen's kappa (1960) below which images hardly follow the class."""


def ignores_class(accuracy: float, chance: float) -> bool:
    """Whether images agree with the requested classes hardly more often than by chance."""
    return accuracy - chance < LEAST_AGREEMENT * (1 - chance)
