"""Prepare a data set: train, valid and test splits of one shape as Arrow files, and a summary."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets import load_reader
from pipeline.datasets.splits import hold_out, mean_image, summary
from pipeline.infra import artifacts, layout
from pipeline.infra.errors import UserError
from pipeline.infra.stage import Work


def run(work: Work) -> None:
    """Read the raw files, hold out the validation split, write the three splits and what they hold."""
    raw = work.at(layout.RAW)
    check_raw(raw, artifacts.read_json(work.reads[0])["files"])
    block = work.block
    try:
        loaded = load_reader(block["reader"])(raw, block)
        train, valid = hold_out(
            loaded.train_labels, len(loaded.train_images), count=block["valid"], seed=block["split_seed"]
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    shape = list(loaded.train_images.shape[1:])
    if shape != list(block["shape"]):
        where = f"params.yaml: datasets.{block['dataset']}.shape"
        raise UserError(f"{where}: found {block['shape']}, but the files hold {shape}")
    splits = {
        layout.TRAIN: (loaded.train_images[train], of(loaded.train_labels, train)),
        layout.VALID: (loaded.train_images[valid], of(loaded.train_labels, valid)),
        layout.TEST: (loaded.test_images, loaded.test_labels),
    }
    content: dict[str, object] = {"dataset": block["dataset"], "shape": shape, "classes": list(loaded.class_names)}
    for pattern, (images, labels) in splits.items():
        work.write_images(work.at(pattern), images, labels)
        content[Path(pattern).stem] = summary(images, labels, loaded.class_names)
        work.progress.say(f"{Path(pattern).stem}: {len(images):,} images of {'x'.join(map(str, shape))}")
    content["mean_image"] = mean_image(loaded.train_images[train]).round(6).tolist()
    work.write_json(work.at(layout.SUMMARY), content)


def of(labels: np.ndarray | None, chosen: np.ndarray) -> np.ndarray | None:
    """The chosen examples' labels, where there are labels."""
    return None if labels is None else labels[chosen]


def check_raw(raw: Path, files: dict[str, str]) -> None:
    """Raise `UserError` for a raw file that is missing or not what was fetched."""
    for name, digest in files.items():
        path = raw / name
        if not path.exists():
            raise UserError(f"{path}: not found; delete {raw}/fetched.json and run the same command to fetch it again")
        found = artifacts.sha256(path)
        if found != digest:
            raise UserError(
                f"{path}: damaged (SHA-256 {found[:12]}, expected {digest[:12]}); "
                f"delete it and {raw}/fetched.json and run the same command to fetch it again"
            )
