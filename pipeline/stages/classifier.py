"""Train the reference classifier and extract the features of the real images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.core import artifacts
from pipeline.features.classifier import DomainClassifier, correct, extract, quarter_turns, train_classifier
from pipeline.metrics.bands import BANDS, bands_of, imbalance_ratio
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.training.sampler import balanced_order
from pipeline.workflow import layout


def run(job: JobContext) -> None:
    """Fit on the training split, report the accuracy on valid and test, keep weights and features."""
    device = use_device(job)
    splits = {path.stem: labelled(path, job.block["seed"]) for path in job.reads}
    images, labels = splits["train"]
    classes = 1 + max(int(known.max()) for _, known in splits.values())
    counts = torch.bincount(labels, minlength=classes)
    bands = bands_of(counts)
    if bands is not None:
        job.progress.say(f"classes differ {imbalance_ratio(counts):.0f} times in size: each is shown equally often")
    settings = {key: job.block[key] for key in ("steps", "batch", "learning_rate", "seed")}
    model = fit(job, images.to(device), labels.to(device), classes, balanced=bands is not None, settings=settings)
    model.cpu()
    right = {name: correct(model, *splits[name]) for name in ("valid", "test")}
    report: dict[str, Any] = {"accuracy": {name: share(found) for name, found in right.items()}, "classes": classes}
    said = ", ".join(f"{name} {value:.4f}" for name, value in report["accuracy"].items())
    job.progress.say(f"accuracy on held-out images: {said}")
    if bands is not None:
        of_test = by_band(right["test"], bands[splits["test"][1]])
        report["accuracy_by_band"] = {"valid": by_band(right["valid"], bands[splits["valid"][1]]), "test": of_test}
        said = ", ".join(f"{name} {value:.4f}" for name, value in of_test.items() if value is not None)
        job.progress.say(f"accuracy on test images by class frequency: {said}")
    # One entry: safetensors writes several in an order of chance, and the file's digest stands beside the metrics.
    metadata = {"classes_and_shape": " ".join(map(str, (classes, *images.shape[1:])))}
    job.write_tensors(job.at(layout.CLASSIFIER), model.state_dict(), metadata)
    features = {name: extract(model, load_split(path)[0])[0] for name, path in zip(splits, job.reads, strict=True)}
    job.write_tensors(job.at(layout.FEATURES), features)
    job.write_json(job.at(layout.CLASSIFIER_REPORT), report)


def fit(
    job: JobContext, images: Tensor, labels: Tensor, classes: int, *, balanced: bool, settings: Mapping[str, Any]
) -> DomainClassifier:
    """The classifier trained with the params' settings; `balanced` shows each class equally often."""
    steps, batch = settings["steps"], settings["batch"]

    def progress(step: int, loss: float) -> None:
        job.progress.note(f"step {step} loss {loss:.4f}")
        job.progress.step(step, steps, unit="steps", per_unit=batch, of="images")

    order = None
    if balanced:
        order = torch.from_numpy(balanced_order(labels.cpu().numpy(), steps * batch, settings["seed"]))
    return train_classifier(images, labels, classes=classes, **settings, order=order, progress=progress)


def share(found: Tensor) -> float:
    """Of true values among (n,)."""
    return found.double().mean().item()


def by_band(found: Tensor, bands: Tensor) -> dict[str, float | None]:
    """The same by band of the images, given as (n,); None for a band without an image."""
    parts = {name: found[bands == band] for band, name in enumerate(BANDS)}
    return {name: share(part) if len(part) else None for name, part in parts.items()}


def labelled(path: Path, seed: int) -> tuple[Tensor, Tensor]:
    """A split with its labels; without labels, quarter turns are the task that any set of images has."""
    images, labels = load_split(path)
    return quarter_turns(images, seed=seed) if labels is None else (images, labels)


def load_split(path: Path) -> tuple[Tensor, Tensor | None]:
    """Images uint8 (N, C, H, W) and labels (N,) or None of a prepared split, as tensors."""
    images, labels = artifacts.read_images(path)
    return torch.from_numpy(images.copy()), None if labels is None else torch.from_numpy(labels.copy())


def load_classifier(path: Path) -> DomainClassifier:
    """The trained reference classifier, in evaluation mode on the CPU."""
    classes, channels, height, width = map(int, artifacts.read_metadata(path)["classes_and_shape"].split())
    model = DomainClassifier((channels, height, width), classes)
    model.load_state_dict(artifacts.read_tensors(path))
    return model.eval()
