"""A trained model, rebuilt from its job's block and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pipeline.models.base import ImageGenerator
from pipeline.training.device import build


def network(block: Mapping[str, Any], device: str) -> ImageGenerator:
    """The untrained model of a block: class, arguments, shape, and classes where it can draw one."""
    arguments, classes = block["arguments"], block.get("classes", 0)
    return build(block["class"], arguments, block["shape"], seed=0, device=device, classes=classes)


def rebuilt(block: Mapping[str, Any], weights: Mapping[str, Tensor], device: str = "cpu") -> ImageGenerator:
    """The trained model in evaluation mode."""
    model = network(block, device)
    model.load_state_dict(weights)
    return model.eval()
