"""Train the reference classifiers and extract the features of the real images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.datasets.prepared import load_split
from pipeline.features.classifier import extract, is_likeliest, quarter_turns
from pipeline.features.fitting import by_band, fit, share
from pipeline.metrics.bands import bands_of, imbalance_ratio
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext


def run(job: JobContext) -> None:
    """Fit on the training split, report the accuracy on valid and test, keep weights and features.

    The first classifier says what images are of; the others are there for the columns that are averaged over all.
    """
    device = use_device(job)
    paths = {name: job.inputs[name] for name in ("train", "valid", "test")}
    splits = {name: labelled(path, job.config["seed"]) for name, path in paths.items()}
    images, labels = splits["train"]
    classes = 1 + max(int(known.max()) for _, known in splits.values())
    counts = torch.bincount(labels, minlength=classes)
    bands = bands_of(counts)
    if bands is not None:
        job.progress.say(f"classes differ {imbalance_ratio(counts):.0f} times in size: each is shown equally often")
    settings = {key: job.config[key] for key in ("steps", "batch", "learning_rate", "seed")}
    models = []
    for number in range(job.config["count"]):
        given = settings | {"seed": settings["seed"] + number}
        model = fit(
            job.progress, images.to(device), labels.to(device), classes, balanced=bands is not None, settings=given
        )
        models.append(model.cpu())
    model, *more = models
    extracted = {name: extract(model, splits[name][0]) for name in ("valid", "test")}
    right = {name: is_likeliest(found, splits[name][1]) for name, (_, found) in extracted.items()}
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
    job.write_tensors(job.outputs["classifier"], model.state_dict(), metadata)
    features = {name: found for name, (found, _) in extracted.items()}
    for name, path in paths.items():
        whole, labels_known = load_split(path)
        if name not in features or labels_known is None:  # without labels, quarter turns were classified
            features[name] = extract(model, whole)[0]
    for number, other in enumerate(more, start=1):
        held_out = {name: load_split(paths[name])[0] for name in ("valid", "test")}
        features |= {f"{name}.{number}": extract(other, whole)[0] for name, whole in held_out.items()}
    weights = {f"{k}.{key}": x for k, other in enumerate(more, start=1) for key, x in other.state_dict().items()}
    job.write_tensors(job.outputs["more_classifiers"], weights, metadata)
    job.write_tensors(job.outputs["features"], features)
    job.write_json(job.outputs["report"], report)


def labelled(path: Path, seed: int) -> tuple[Tensor, Tensor]:
    """A split with its labels; without labels, quarter turns are the task that any set of images has."""
    images, labels = load_split(path)
    return quarter_turns(images, seed=seed) if labels is None else (images, labels)
