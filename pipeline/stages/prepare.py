"""Prepare a data set: train, valid and test splits of one shape as Arrow files, and a summary."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.datasets import load_reader
from pipeline.datasets.band_counts import band_counts
from pipeline.datasets.band_counts import lines as band_lines
from pipeline.datasets.description import check, description, lines, too_few
from pipeline.datasets.loaded import Loaded
from pipeline.datasets.splits import SMALLEST, Part, mean_image, parted, summary
from pipeline.runtime.job_context import JobContext
from pipeline.workflow import content_hash, layout

GATHERED = 1000
"""Images that are copied at a time."""


def run(job: JobContext) -> None:
    """Read the raw files, hold out what the source does not, write the three splits and what they hold."""
    raw, block = job.at(layout.RAW), job.config
    path = content_hash.located(job.runtime_only["path"]) if job.runtime_only.get("path") else None
    check_raw(raw, path, artifacts.read_json(job.inputs["fetched"]))
    loaded, parts = read(raw, path, block, functools.partial(job.progress.step, unit="images"))
    shape, names = list(loaded.train_images.shape[1:]), loaded.class_names
    content: dict[str, object] = {"dataset": block["dataset"], "shape": shape, "classes": list(names)}
    content |= {**loaded.facts, "description": (described := description(loaded, parts))}
    for split in ("train", "valid", "test"):
        with gathered(raw, *parts[split]) as (images, labels):
            job.write_images(job.outputs[split], images, labels)
            content[split] = summary(images, labels, names)
            if split == "train":
                content["mean_image"] = mean_image(images).round(6).tolist()
    bands = bands_in(parts, names)
    job.write_json(job.outputs["summary"], content | ({"bands": bands} if bands else {}))
    for line in (*lines(described), *(band_lines(bands) if bands else ())):
        job.progress.say(line)
    warn(job, loaded)
    for warning in too_few(parts, job.runtime_only.get("batches", {})):
        job.progress.say(f"warning: {warning}")


def read(
    raw: Path, path: Path | None, block: Mapping[str, Any], step: Callable[[int, int], None] | None = None
) -> tuple[Loaded, dict[str, Part]]:
    """What the block's reader finds, and its splits; `UserError` in one line for what cannot be used."""
    options = {**block["options"], **block, "path": path and str(path), "step": step}
    try:
        loaded = load_reader(block["reader"])(raw, options).without_one_class()
        loaded = loaded.without_labels() if block["classes"] == 0 else loaded
        loaded = loaded.pooled() if block.get("pool") else loaded
        check(loaded, block)
        draw = {key: block[key] for key in ("valid", "test", "limit")}
        return loaded, parted(loaded, **draw, seed=block["split_seed"])
    except ValueError as error:
        raise UserError(f"{block['dataset']}: {error}") from error
    except OSError as error:
        raise UserError(f"{error.filename or raw}: could not be read: {error.strerror}; check its rights") from error


def bands_in(parts: Mapping[str, Part], names: Sequence[str]) -> dict[str, Any] | None:
    """Images of common and rare classes by split; None for balanced data and for images without labels."""
    labels = {split: of[chosen] for split, (_, of, chosen) in parts.items() if of is not None}
    return band_counts(labels, names) if len(labels) == len(parts) else None


def warn(job: JobContext, loaded: Loaded) -> None:
    """Say which classes no split, or not every split, has images of."""
    if loaded.train_labels is None:
        return
    counts = np.bincount(loaded.train_labels, minlength=len(loaded.class_names))
    for found, said in ((counts == 0, "no image"), ((counts > 0) & (counts < SMALLEST), "fewer than three images")):
        names = [name for name, here in zip(loaded.class_names, found, strict=True) if here]
        if names:
            listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            job.progress.say(f"warning: {len(names)} classes with {said} to train on: {listed}")


@contextlib.contextmanager
def gathered(raw: Path, images: np.ndarray, labels: np.ndarray | None, chosen: np.ndarray) -> Iterator[Any]:
    """The chosen images, on the disk rather than in memory, and their labels or None."""
    labels = None if labels is None else labels[chosen]
    if len(chosen) == len(images):
        yield images, labels
        return
    with tempfile.TemporaryFile(prefix=".gathered-", dir=raw) as file:
        for first in range(0, len(chosen), GATHERED):
            file.write(images[chosen[first : first + GATHERED]].tobytes())
        file.flush()
        yield np.memmap(file, dtype=np.uint8, mode="r", shape=(len(chosen), *images.shape[1:])), labels


def check_raw(raw: Path, path: Path | None, fetched: Mapping[str, Any]) -> None:
    """Raise `UserError` for raw files that are missing or not what was fetched."""
    if path is not None and content_hash.digest(path, raw) != fetched["content"]:
        raise UserError(f"{path}: changed or not there any more; delete {raw}/.fetched and run the same command")
    for name, digest in fetched.get("files", {}).items():
        path = raw / name
        if not path.exists():
            raise UserError(f"{path}: not found; delete {raw}/.fetched and run the same command to fetch it again")
        found = artifacts.sha256(path)
        if found != digest:
            raise UserError(
                f"{path}: damaged (SHA-256 {found[:12]}, expected {digest[:12]}); "
                f"delete it and {raw}/.fetched and run the same command to fetch it again"
            )
