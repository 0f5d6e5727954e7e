"""Compare a set of generated images with held-out and training images: every metric, with its protocol."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline import features, metrics
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.datasets.prepared import load_split, subset
from pipeline.features.classifier import extract
from pipeline.features.fitting import Reporter, load_classifier, load_more
from pipeline.features.held_out import compared_and_real
from pipeline.features.pixels import flatten
from pipeline.metrics.bands import bands_of
from pipeline.metrics.comparison import Comparison
from pipeline.metrics.estimates import UNDEFINED

FEWEST = 8
"""Images of a set: a fifth neighbour needs six, a covariance of each half four."""


class Evaluator:
    """What every set of generated images is compared with: held-out and training images and their features."""

    def __init__(
        self, inputs: Mapping[str, Path], config: Mapping[str, Any], *, dataset: str, progress: Reporter
    ) -> None:
        """`inputs` has `train`, `valid`, `test`, `classifier`, `more_classifiers` and `features`.

        It may have `baselines`: those that an evaluator with the same inputs and configuration had computed.

        `config` has `n`, images of each side that are compared; `protocol_seed`, `groups` and `frechet_images`, the
        `seed`, `groups` and `frechet_images` of a `Comparison`; `pooled`: see `compared_and_real`.
        """
        self.seed, self.progress = config["protocol_seed"], progress
        self.settings = {"seed": self.seed, **{name: config[name] for name in ("groups", "frechet_images")}}
        self.baselines = artifacts.read_tensors(inputs["baselines"]) if "baselines" in inputs else {}
        self.settings["kept"] = self.baselines
        self.classifier, self.more = load_classifier(inputs["classifier"]), load_more(inputs["more_classifiers"])
        kept = artifacts.read_tensors(inputs["features"])
        train_images, train_labels = load_split(inputs["train"])
        of_splits = {"n": config["n"], "seed": self.seed, "pooled": config["pooled"]}
        chosen, self.others = compared_and_real(inputs, kept, **of_splits)
        enough(dataset, inputs["test"].stem, chosen)
        # As many training images as held-out ones, so that the two comparisons are alike.
        seen = subset(len(train_images), len(chosen), self.seed + 1)
        self.spaces = {name: space(train_images) for name, space in features.spaces().items()}
        self.images, self.labels = chosen.images, None
        self.real = self.points(self.images) | dict(chosen.features)
        every = self.points(train_images)
        self.memory, self.memory_features = every["pixels"], kept["train"]
        self.train = {name: points[seen] for name, points in every.items()} | {"classifier": kept["train"][seen]}
        self.classes = self.bands = None
        if chosen.labels is not None and train_labels is not None:
            self.labels = chosen.labels
            self.classes = torch.bincount(self.labels, minlength=self.classifier.classes)
            self.bands = bands_of(torch.bincount(train_labels, minlength=self.classifier.classes))
        self.digest = artifacts.sha256(inputs["classifier"])[:12]

    def points(self, images: Tensor) -> dict[str, Tensor]:
        """Images in every space that needs no classifier."""
        return {name: points_of(images) for name, points_of in self.spaces.items()}

    def measure(self, images: np.ndarray, known: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """All estimates of a set of generated images (n, C, H, W) uint8, and the protocol that they were made by.

        Of more images than there are held-out ones the first are compared. `known` is what else the model's comparison
        holds, or holds in place of what all have, by its name: bounds, answers of an augmented classifier.
        """
        fake = torch.from_numpy(images[: len(self.images)].copy())
        of_classifier, probabilities = extract(self.classifier, fake)
        given: dict[str, Any] = {
            "real": self.real,
            "fake": self.points(fake) | {"classifier": of_classifier} | self.further(fake),
            "train": self.train,
            "memory": self.memory,
            "memory_features": self.memory_features,
            "probabilities": probabilities if self.classes is not None else None,
            "real_class_histogram": self.classes,
            "real_images": self.images,
            "fake_images": fake,
            "real_labels": self.labels,
            "bands": self.bands,
        }
        comparison = Comparison(**{**given, **known, **self.settings})
        found = dict(self.estimates(comparison))
        known_values = {column: entry for column, entry in found.items() if "reason" not in entry}
        content: dict[str, Any] = {"protocol": self.protocol(len(fake)), "estimates": known_values}
        content["undefined"] = {column: entry["reason"] for column, entry in found.items() if "reason" in entry}
        if self.classes is not None:
            content["class_histogram"] = torch.bincount(
                probabilities.argmax(1), minlength=self.classifier.classes
            ).tolist()
        return content

    def further(self, images: Tensor) -> dict[str, Tensor]:
        """Features of images by the reference classifiers after the first."""
        return {f"classifier.{number}": extract(model, images)[0] for number, model in self.more.items()}

    def estimates(self, comparison: Comparison) -> Iterator[tuple[str, dict[str, Any]]]:
        """(column, estimate) of every metric, or the reason why there is none."""
        names = metrics.names()
        for done, name in enumerate(names, start=1):
            for column, estimate in metrics.load(name).measure(comparison).items():
                if estimate is None or not math.isfinite(estimate.value):
                    kind = "" if estimate is None else estimate.kind
                    reason = kind.removeprefix(UNDEFINED) if kind.startswith(UNDEFINED) else "no finite value"
                    self.progress.note(f"{column}: {reason}")
                    yield column, {"reason": reason}
                    continue
                bounds = {side: finite(getattr(estimate, side)) for side in ("low", "high")}
                each = {"each": list(estimate.each)} if estimate.each else {}
                yield column, {"value": estimate.value, **bounds, "kind": estimate.kind, **each}
            self.progress.note(f"{name} done")
            self.progress.step(done, len(names), unit="metrics")

    def protocol(self, n_fake: int) -> dict[str, Any]:
        """What stands beside the numbers: n, d and the extractor's digest of each space; n <= d is flagged."""
        n_real = len(self.real["pixels"])
        spaces: dict[str, dict[str, Any]] = {}
        for space, points in self.real.items():
            d = points.shape[1]
            spaces[space] = {"d": d, "n_at_most_d": min(n_real, n_fake) <= d}
        spaces["classifier"]["extractor"] = self.digest
        if self.spaces["pixels"] is not flatten:
            spaces["pixels"]["projected"] = True
        return {
            "n_real": n_real,
            "n_fake": n_fake,
            "quantised": "uint8",
            "spaces": spaces,
            "seed": self.seed,
        }


def enough(dataset: str, split: str, images: Sized) -> None:
    """Raise `UserError` for fewer held-out images than metrics can be computed on."""
    if len(images) < FEWEST:
        raise UserError(
            f"params.yaml: datasets.{dataset}.{split}: the split holds {len(images)} "
            f"images, but a comparison needs at least {FEWEST}; hold out more, or bring more images"
        )


def finite(value: float) -> float | None:
    """JSON has no NaN: a bound that is not there is null."""
    return value if math.isfinite(value) else None
