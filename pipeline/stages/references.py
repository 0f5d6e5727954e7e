"""Make and measure the reference rows: sets of images that no model made, whose faults are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pipeline.core import artifacts
from pipeline.core.references import REFERENCES
from pipeline.features.evaluator import Evaluator, enough
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext

PIXEL_NOISE = 0.1 * 255
"""Standard deviation of the noise on the mean image."""

REPEATED = 10
"""Times that `duplicates` shows each of its images."""

UNSEEN: dict[str, Any] = {"train": {}, "memory": None, "memory_features": None}
"""In place of the training images, where samples of them would be called copies."""

EVERY_COLUMN = "every column"
"""In place of a column's name in the note on an empty row."""

Images = np.ndarray[Any, np.dtype[np.uint8]]


class Given(NamedTuple):
    """What reference rows are made of, and how many images each has."""

    train: Images
    train_labels: np.ndarray | None
    real: Images
    """Held-out images that no row is compared with."""
    n: int


def run(job: JobContext) -> None:
    """What a perfect model would get (`real`), what nothing gets (`noise`), what known faults get (the others)."""
    use_device(job)
    config, dataset = job.config, job.wildcards["dataset"]
    evaluator = Evaluator(job.inputs, config, dataset=dataset, progress=job.progress)
    enough(dataset, "valid", evaluator.others)
    train, labels = artifacts.read_images(job.inputs["train"])
    given = Given(train, labels, evaluator.others.images.numpy(), len(evaluator.images))
    baselines = evaluator.baselines  # of the test images; the last row's evaluator may compare with others
    measured: dict[str, Any] = {}
    for stream, name in enumerate(REFERENCES):
        known: dict[str, Any] = dict(UNSEEN) if name == "half_the_classes" else {}
        if name not in config["rows"] or (known and (labels is None or len(np.unique(labels)) < 2)):
            continue
        if name == "other_fonts":  # the last row: the validation split against the test split
            if short := too_few(job):
                measured[name] = short
                job.progress.note(f"{name}: {short['undefined'][EVERY_COLUMN]}")
                continue
            evaluator = Evaluator(job.inputs, {**config, "pooled": False}, dataset=dataset, progress=job.progress)
            given = given._replace(real=evaluator.others.images.numpy())
        if name == "real" and evaluator.others.labels is not None:
            known["asked"] = evaluator.others.labels
        images = MAKERS[name](given, generator(job, stream))
        measured[name] = evaluator.measure(images, known)
        job.progress.note(f"{name}: {len(images):,} images measured")
    artifacts.write_tensors(job.outputs["baselines"], baselines)
    job.write_json(job.outputs["metrics"], measured)
    job.progress.say(f"{len(measured)} rows")


def too_few(job: JobContext) -> dict[str, Any] | None:
    """An empty row with its reason if the validation split has too few images; with test images among them the row
    would no longer compare the two splits.
    """
    test, valid = (len(artifacts.read_images(job.inputs[split])[0]) for split in ("test", "valid"))
    n = min(job.config["n"], test)
    reason = f"the validation split has {valid:,} images, but the comparison needs {n:,}"
    empty = {"protocol": {"n_real": n, "n_fake": valid}, "estimates": {}, "undefined": {EVERY_COLUMN: reason}}
    return empty if valid < n else None


def generator(job: JobContext, stream: int) -> np.random.Generator:
    """The random numbers of a reference."""
    return np.random.Generator(np.random.Philox(key=[job.config["protocol_seed"], stream]))


def real(given: Given, draw: np.random.Generator) -> Images:
    """Held-out real images, as many as each row is compared with."""
    return given.real


def noise(given: Given, draw: np.random.Generator) -> Images:
    """Uniform noise."""
    return draw.integers(0, 256, (given.n, *given.train.shape[1:]), dtype=np.uint8)


def mean_image(given: Given, draw: np.random.Generator) -> Images:
    """The training split's mean image with normal noise on every pixel."""
    mean = given.train.mean(0, dtype=np.float64)
    noisy = mean + PIXEL_NOISE * draw.standard_normal((given.n, *mean.shape), dtype=np.float32)
    return noisy.round().clip(0, 255).astype(np.uint8)


def copies(given: Given, draw: np.random.Generator) -> Images:
    """Training images: a model that has learnt them by heart."""
    return given.train[np.sort(draw.permutation(len(given.train))[: given.n])]


def duplicates(given: Given, draw: np.random.Generator) -> Images:
    """Few held-out real images, each of them many times: sharp, and of little variety."""
    few = draw.permutation(len(given.real))[: -(-given.n // REPEATED)]
    return given.real[np.resize(few, given.n)]


def half_the_classes(given: Given, draw: np.random.Generator) -> Images:
    """Training images of the first half of the classes: the others are dropped."""
    assert given.train_labels is not None
    kept = np.unique(given.train_labels)
    rows = np.flatnonzero(np.isin(given.train_labels, kept[: len(kept) // 2]))
    return given.train[np.sort(draw.permutation(rows)[: given.n])]


MAKERS: dict[str, Callable[[Given, np.random.Generator], Images]] = {
    "real": real,
    "noise": noise,
    "mean_image": mean_image,
    "copies": copies,
    "duplicates": duplicates,
    "half_the_classes": half_the_classes,
    "other_fonts": real,
}
