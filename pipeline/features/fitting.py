"""Fit the reference classifier with progress, load it, and count what it knows by class frequency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pipeline.core import artifacts
from pipeline.features.classifier import DomainClassifier, train_classifier
from pipeline.metrics.bands import BANDS
from pipeline.training.sampler import balanced_order


class Reporter(Protocol):
    """What `fit` tells its progress to."""

    def note(self, message: str) -> None:
        """A line for the log."""

    def step(self, done: int, total: int, *, unit: str, per_unit: float = 1.0, since: int = 0, of: str = "") -> None:
        """Progress of a loop."""


def fit(
    progress: Reporter, images: Tensor, labels: Tensor, classes: int, *, balanced: bool, settings: Mapping[str, Any]
) -> DomainClassifier:
    """The classifier trained with the params' settings; `balanced` shows each class equally often."""
    steps, batch = settings["steps"], settings["batch"]

    def report(step: int, loss: float) -> None:
        progress.note(f"step {step} loss {loss:.4f}")
        progress.step(step, steps, unit="steps", per_unit=batch, of="images")

    order = None
    if balanced:
        order = torch.from_numpy(balanced_order(labels.cpu().numpy(), steps * batch, settings["seed"]))
    return train_classifier(images, labels, classes=classes, **settings, order=order, progress=report)


def share(found: Tensor) -> float:
    """Of true values among (n,)."""
    return found.double().mean().item()


def by_band(found: Tensor, bands: Tensor) -> dict[str, float | None]:
    """The same by band of the images, given as (n,); None for a band without an image."""
    parts = {name: found[bands == band] for band, name in enumerate(BANDS)}
    return {name: share(part) if len(part) else None for name, part in parts.items()}


def load_classifier(path: Path) -> DomainClassifier:
    """The trained reference classifier, in evaluation mode on the CPU."""
    return _rebuilt(path, artifacts.read_tensors(path))


def load_more(path: Path) -> dict[str, DomainClassifier]:
    """Further reference classifiers by their number, '1' on, of weights named `<number>.<name>`."""
    weights: dict[str, dict[str, Tensor]] = {}
    for key, tensor in sorted(artifacts.read_tensors(path).items()):
        number, name = key.split(".", 1)
        weights.setdefault(number, {})[name] = tensor
    return {number: _rebuilt(path, found) for number, found in weights.items()}


def _rebuilt(path: Path, weights: Mapping[str, Tensor]) -> DomainClassifier:
    """A network of the file's shape with these weights."""
    classes, channels, height, width = map(int, artifacts.read_metadata(path)["classes_and_shape"].split())
    model = DomainClassifier((channels, height, width), classes)
    model.load_state_dict(weights)
    return model.eval()
