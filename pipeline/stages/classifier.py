"""Train the domain classifier and extract the features of the real images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pipeline.features.classifier import DomainClassifier, accuracy, extract, quarter_turns, train_classifier
from pipeline.infra import artifacts, layout
from pipeline.infra.stage import Work
from pipeline.stages._device import use_device


def run(work: Work) -> None:
    """Fit on the training split, report the accuracy on valid and test, keep weights and features."""
    device = use_device(work)
    splits = {path.stem: labelled(path, work.block["seed"]) for path in work.reads}
    images, labels = splits["train"]
    steps, batch = work.block["steps"], work.block["batch"]

    def progress(step: int, loss: float) -> None:
        work.progress.note(f"step {step} loss {loss:.4f}")
        work.progress.step(step, steps, unit="steps", per_unit=batch, of="images")

    classes = int(labels.max()) + 1
    model = train_classifier(
        images.to(device), labels.to(device), classes=classes, steps=steps, batch=batch,
        learning_rate=work.block["learning_rate"], seed=work.block["seed"], progress=progress,
    )  # fmt: skip
    model.cpu()
    report = {name: accuracy(model, *splits[name]) for name in ("valid", "test")}
    work.progress.say(f"accuracy on held-out images: valid {report['valid']:.4f}, test {report['test']:.4f}")
    # One entry: safetensors writes several in an order of chance, and the file's digest stands beside the metrics.
    metadata = {"classes_and_shape": " ".join(map(str, (classes, *images.shape[1:])))}
    work.write_tensors(work.at(layout.CLASSIFIER), model.state_dict(), metadata)
    features = {name: extract(model, load_split(path)[0])[0] for name, path in zip(splits, work.reads, strict=True)}
    work.write_tensors(work.at(layout.FEATURES), features)
    work.write_json(work.at(layout.CLASSIFIER_REPORT), {"accuracy": report, "classes": classes})


def labelled(path: Path, seed: int) -> tuple[Tensor, Tensor]:
    """A split with its labels; without labels, quarter turns are the task that any set of images has."""
    images, labels = load_split(path)
    return quarter_turns(images, seed=seed) if labels is None else (images, labels)


def load_split(path: Path) -> tuple[Tensor, Tensor | None]:
    """Images uint8 (N, C, H, W) and labels (N,) or None of a prepared split, as tensors."""
    images, labels = artifacts.read_images(path)
    return torch.from_numpy(images.copy()), None if labels is None else torch.from_numpy(labels.copy())


def load_classifier(path: Path) -> DomainClassifier:
    """The trained domain classifier, in evaluation mode on the CPU."""
    classes, channels, height, width = map(int, artifacts.read_metadata(path)["classes_and_shape"].split())
    model = DomainClassifier((channels, height, width), classes)
    model.load_state_dict(artifacts.read_tensors(path))
    return model.eval()
