"""Train the reference classifier once more, with generated images of the rare classes among the real ones.

What people who read rare characters want of a generator. Each class of the tail is filled up, to the size at which
the tail ends, with images that a model was asked for, or that the reference classifier is sure of where it cannot be
asked. Recipe, seed and steps are the reference classifier's own; so without a generated image the two are one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.datasets.prepared import load_split
from pipeline.features.classifier import correct
from pipeline.features.fitting import by_band, fit, load_classifier
from pipeline.features.rare_classes import recognised, wanted_images
from pipeline.metrics.bands import BANDS, IMBALANCED_FROM, bands_of, imbalance_ratio
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.training.requested import requested, seed_of
from pipeline.training.trained import rebuilt


def run(job: JobContext) -> None:
    """Which test images each classifier knows, and what the second was given."""
    device = use_device(job)
    without = load_classifier(job.inputs["classifier"])
    (images, labels), (test_images, test_labels) = known(job.inputs["train"]), known(job.inputs["test"])
    weights = job.inputs.get("weights")
    counts = torch.bincount(labels, minlength=without.classes)
    bands = bands_of(counts)
    if bands is None:
        raise UserError(
            f"params.yaml: datasets.{job.config['dataset']}.imbalanced: found true, but the largest class has only "
            f"{imbalance_ratio(counts):.1f} times the images of the smallest (expected {IMBALANCED_FROM:g}); say false"
        )
    wanted = wanted_images(counts, bands)
    if weights:
        made, classes = asked_for(job, weights, wanted, device)
    else:
        samples = load_split(job.inputs["samples"])[0]
        rows, classes = recognised(without, samples, wanted)
        made = samples[rows]
    filled = len(classes.unique())
    job.progress.say(f"{len(made):,} of {int(wanted.sum()):,} images wanted, for {filled} of {int((wanted > 0).sum())}"
                      " rare classes")  # fmt: skip
    augmented = without  # trained on real images alone, in the same order, it would be the same
    if len(made):
        shown, named = torch.cat([images, made]).to(device), torch.cat([labels, classes]).to(device)
        settings = job.config["classifier"]
        augmented = fit(job.progress, shown, named, without.classes, balanced=True, settings=settings).cpu()
    right = {
        name: correct(model, test_images, test_labels)
        for name, model in (("without", without), ("augmented", augmented))
    }
    of_test = bands[test_labels]
    content: dict[str, Any] = {
        "generated": {"images": len(made), "classes": filled, "labelled_by": "request" if weights else "classifier"},
        "accuracy_by_band": {name: by_band(found, of_test) for name, found in right.items()},
        "correct_by_band": {
            band: {name: found[of_test == number].int().tolist() for name, found in right.items()}
            for number, band in enumerate(BANDS)
        },
    }
    job.write_json(job.outputs["augmented"], content)
    for name, accuracy in content["accuracy_by_band"].items():
        job.progress.say(f"{name}: " + ", ".join(f"{band} {v:.4f}" for band, v in accuracy.items() if v is not None))


def known(path: Path) -> tuple[Tensor, Tensor]:
    """Images (n, C, H, W) and labels (n,) of a split; `UserError` where it has no labels."""
    images, labels = load_split(path)
    if labels is None:
        raise UserError(f"{path}: has no labels, so that no class is rare; say `imbalanced: false` for this data set")
    return images, labels


def asked_for(job: JobContext, weights: Path, wanted: Tensor, device: str) -> tuple[Tensor, Tensor]:
    """Images of a conditional model, as many of each class as are wanted, and their classes."""
    model = rebuilt(job.config, artifacts.read_tensors(weights), device)
    classes = torch.arange(len(wanted)).repeat_interleave(wanted)
    return requested(model, classes, seed_of(job.config["protocol_seed"], job.config["seed"])), classes
