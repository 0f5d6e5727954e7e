"""How many optimiser steps a training takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def total_steps(training: Mapping[str, Any], images: int) -> int:
    """Optimiser steps of a training on `images` training images.

    Args:
        training: a model's resolved `training` block, with `batch` and either `steps` or `epochs`. An epoch is
            `images // batch` steps: the images left over are in no batch of that epoch.
        images: size of the training split, at least `batch`.
    """
    if "steps" in training:
        return int(training["steps"])
    return max(1, round(training["epochs"] * (images // training["batch"])))


def check_warmup(steps: int, warmup: float) -> None:
    """Raise ValueError for a training of which every step would be warm-up."""
    if steps <= warmup:
        raise ValueError(
            f"warmup: found {warmup:g}, expected less than the {steps} steps of the training; else all of it is warm-up"
        )
