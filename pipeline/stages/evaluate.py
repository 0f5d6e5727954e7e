"""Measure one model and seed against held-out real images: every metric, in one job."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sized
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline import metrics
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.features.classifier import extract
from pipeline.features.pixels import LARGEST_DIMENSION, PrincipalComponents, flatten
from pipeline.metrics.bands import bands_of
from pipeline.metrics.comparison import Comparison
from pipeline.metrics.likelihood import importance_weighted
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.stages.classifier import load_classifier, load_split
from pipeline.training.trained import rebuilt
from pipeline.workflow import layout

ELBO_BATCH = 500

FEWEST = 8
"""Images of a set: a fifth neighbour needs six, a covariance of each half four."""


def run(job: JobContext) -> None:
    """One file of estimates with the protocol beside them."""
    use_device(job)
    samples, train, test, classifier, features, *more = job.reads
    known: dict[str, Any] = dict(likelihood(job, test, more.pop(0))) if "importance_samples" in job.block else {}
    if job.block.get("augmented"):
        known["tail_correct"] = tail_correct(more.pop(0))
    evaluator = Evaluator(job, train, test, classifier, features)
    job.write_json(job.at(layout.METRICS), evaluator.measure(artifacts.read_images(samples)[0], known))


class Evaluator:
    """What every set of generated images is compared with: held-out and training images and their features."""

    def __init__(self, job: JobContext, train: Path, test: Path, classifier: Path, features: Path) -> None:
        self.job = job
        n, seed = job.block["n"], job.block["protocol_seed"]
        self.classifier = load_classifier(classifier)
        kept = artifacts.read_tensors(features)
        (test_images, test_labels), (train_images, train_labels) = load_split(test), load_split(train)
        self.enough(test.stem, test_images)
        chosen = subset(len(test_images), n, seed)
        # As many training images as held-out ones, so that the two comparisons are alike.
        seen = subset(len(train_images), len(chosen), seed + 1)
        self.components = None
        if test_images[0].numel() > LARGEST_DIMENSION:
            self.components = PrincipalComponents.fit(train_images)
        held_out = kept[
            test.stem
        ]  # the split's own name: a search for settings is given `valid` in the test split's place
        self.real = {"pixels": self.pixels(test_images[chosen]), "classifier": held_out[chosen]}
        self.memory = self.pixels(train_images)
        self.train = {"pixels": self.memory[seen], "classifier": kept["train"][seen]}
        self.images = test_images[chosen]
        self.classes = self.labels = self.bands = None
        if test_labels is not None and train_labels is not None:
            self.labels = test_labels[chosen]
            self.classes = torch.bincount(test_labels, minlength=self.classifier.classes)
            self.bands = bands_of(torch.bincount(train_labels, minlength=self.classifier.classes))
        self.digest = artifacts.sha256(classifier)[:12]

    def enough(self, split: str, images: Sized) -> None:
        """Raise `UserError` for a split of fewer images than metrics can be computed on."""
        if len(images) < FEWEST:
            raise UserError(
                f"params.yaml: datasets.{self.job.wildcards['dataset']}.{split}: the split holds {len(images)} "
                f"images, but a comparison needs at least {FEWEST}; hold out more, or bring more images"
            )

    def pixels(self, images: Tensor) -> Tensor:
        """The space `pixels`: flattened, projected where there are too many of them."""
        return flatten(images) if self.components is None else self.components.project(images)

    def measure(self, images: np.ndarray, known: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """All estimates of a set of generated images (n, C, H, W) uint8, and the protocol that they were made by.

        `known` is what else the model's comparison holds, by its name: bounds, answers of an augmented classifier.
        """
        fake = torch.from_numpy(images.copy())
        features, probabilities = extract(self.classifier, fake)
        comparison = Comparison(
            real=self.real,
            fake={"pixels": self.pixels(fake), "classifier": features},
            train=self.train,
            memory=self.memory,
            probabilities=probabilities if self.classes is not None else None,
            real_class_histogram=self.classes,
            real_images=self.images,
            fake_images=fake,
            real_labels=self.labels,
            bands=self.bands,
            **known,
            seed=self.job.block["protocol_seed"],
            groups=self.job.block["groups"],
        )
        content: dict[str, Any] = {"protocol": self.protocol(len(fake)), "estimates": dict(self.estimates(comparison))}
        if self.classes is not None:
            content["class_histogram"] = torch.bincount(
                probabilities.argmax(1), minlength=self.classifier.classes
            ).tolist()
        return content

    def estimates(self, comparison: Comparison) -> Iterator[tuple[str, dict[str, Any]]]:
        """(column, estimate) of every metric; what is not finite is left out."""
        names = metrics.names()
        for done, name in enumerate(names, start=1):
            for column, estimate in metrics.load(name).measure(comparison).items():
                if estimate is None or not math.isfinite(estimate.value):
                    self.job.progress.note(f"{column}: no finite value")
                    continue
                bounds = {side: finite(getattr(estimate, side)) for side in ("low", "high")}
                yield column, {"value": estimate.value, **bounds, "kind": estimate.kind}
            self.job.progress.note(f"{name} done")
            self.job.progress.step(done, len(names), unit="metrics")

    def protocol(self, n_fake: int) -> dict[str, Any]:
        """What stands beside the numbers: n, d and the extractor's digest of each space; n <= d is flagged."""
        n_real = len(self.real["pixels"])
        spaces = {}
        for space, points in self.real.items():
            d = points.shape[1]
            spaces[space] = {"d": d, "n_at_most_d": min(n_real, n_fake) <= d}
        spaces["classifier"]["extractor"] = self.digest
        if self.components is not None:
            spaces["pixels"]["projected"] = True
        return {
            "n_real": n_real,
            "n_fake": n_fake,
            "quantised": "uint8",
            "spaces": spaces,
            "seed": self.job.block["protocol_seed"],
        }


def subset(size: int, n: int, seed: int) -> Tensor:
    """Indices of min(n, size) images drawn at random, ascending."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:n].sort().values


def finite(value: float) -> float | None:
    """JSON has no NaN: a bound that is not there is null."""
    return value if math.isfinite(value) else None


def tail_correct(path: Path) -> tuple[Tensor, Tensor] | None:
    """Which held-out images of the tail a classifier knows: without generated images in its training, and with them.

    None where there were no such images: nothing was tried.
    """
    found = artifacts.read_json(path)
    answers = found["tail_correct"]
    without, augmented = (torch.tensor(answers[name], dtype=torch.bool) for name in ("without", "augmented"))
    return (without, augmented) if found["generated"]["images"] else None


def likelihood(job: JobContext, test: Path, weights: Path) -> dict[str, Tensor]:
    """Bounds in nats of the test images (N,), binarised once by the protocol's seed: one draw of latents, and several.

    A conditional model bounds the likelihood of an image given its class.
    """
    block, seed = job.block, job.block["protocol_seed"]
    model: Any = rebuilt(block, artifacts.read_tensors(weights), job.device)
    images, labels = load_split(test)
    chosen = subset(len(images), block["n"], seed)
    grey = images[chosen].float() / 255
    binary = (torch.rand(grey.shape, generator=torch.Generator().manual_seed(seed)) < grey).float()
    given = [binary, labels[chosen]] if model.classes and labels is not None else [binary]
    parts = list(zip(*(x.to(job.device).split(ELBO_BATCH) for x in given), strict=True))
    with torch.no_grad():
        torch.manual_seed(seed)
        elbo = [model.elbo(*part).cpu() for part in parts]
        torch.manual_seed(seed + 1)
        weighted = []
        for done, part in enumerate(parts, start=1):
            weighted.append(importance_weighted(partial(model.log_weights, *part), block["importance_samples"]).cpu())
            job.progress.step(done, len(parts), unit="parts", per_unit=ELBO_BATCH, of="bounds")
    return {"elbo": torch.cat(elbo), "iwae_bound": torch.cat(weighted)}
