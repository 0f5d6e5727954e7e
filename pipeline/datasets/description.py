"""One description of what was read, whatever the reader: checked before anything is written, printed, and kept.

Files, pixels, labels, splits and equal images: each is a block of the summary's `description` and one printed line.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UserError
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.naming import listed
from pipeline.datasets.splits import Part

__all__ = ["check", "description", "lines", "too_few"]

FEWEST = 8
"""Held-out images that a comparison needs."""

ACROSS = (("valid", "train"), ("test", "train"), ("test", "valid"))


def check(loaded: Loaded, block: Mapping[str, Any]) -> None:
    """Raise `UserError` where the files do not hold what the block says of shape and classes."""
    where, shape = f"params.yaml: datasets.{block['dataset']}", list(loaded.train_images.shape[1:])
    if shape != list(block["shape"]):
        raise UserError(f"{where}.shape: found {list(block['shape'])}, but the files hold {shape}")
    odd = [name for name in loaded.class_names if not name.isprintable()]
    if odd:
        raise UserError(f"{where}: found the class name {odd[0]!a}, expected printable UTF-8; rename its folder")
    classes, found = block["classes"], len(loaded.class_names)
    if classes and loaded.train_labels is None:
        raise UserError(
            f"{where}.classes: found {classes}, but the files hold no labels ({loaded.source.labels}); "
            "name what holds them in `options`, or say `classes: 0`"
        )
    if loaded.train_labels is not None and classes not in (None, found):
        raise UserError(f"{where}.classes: found {classes}, but the files hold {found} classes")


def too_few(parts: Mapping[str, Part], batches: Mapping[str, int]) -> Iterator[str]:
    """What later stages will refuse: splits too small for the models' batches or for a comparison, and what to do."""
    train, test = len(parts["train"][2]), len(parts["test"][2])
    if test < FEWEST:
        yield f"{test} test images, but a comparison needs {FEWEST}; raise `test` in the block, or bring more images"
    large = {model: batch for model, batch in batches.items() if batch > train}
    if large:
        model, batch = max(large.items(), key=lambda item: item[1])
        setting = f"settings: {{{model}: {{batch: {2 ** (train.bit_length() - 1)}}}}}"
        yield (
            f"{train} training images, but {model} has a batch of {batch}; say `{setting}` in the block "
            f"(the same for: {listed(large, 20)}), or bring more images"
        )


def description(loaded: Loaded, parts: Mapping[str, Part]) -> dict[str, Any]:
    """What was read, ready for JSON."""
    source = loaded.source
    return {
        "files": {
            "read": source.files,
            "passed_over": dict(source.passed_over.most_common()),
            "broken": source.broken,
            "further_frames": source.frames,
            "remarks": source.remarks,
        },
        "pixels": {
            "values": [
                {"dtype": kind, "range": [values.low, values.high], "read_as": list(values.range)}
                for kind, values in source.values.items()
            ],
            "modes": dict(source.modes.most_common()),
        },
        "labels": {"from": source.labels, "names": list(loaded.class_names)},
        "splits": {split: {"count": len(parts[split][2]), "from": _origin(source, loaded, split)} for split in parts},
        "equal_images": equal_images(parts),
    }


def _origin(source: Source, loaded: Loaded, split: str) -> str:
    """Where a split's images come from."""
    drawn = {"test": not len(loaded.test_images), "valid": loaded.valid_images is None}
    if drawn.get(split):
        return "drawn from train"
    return source.splits.get(split, "all images" if split == "train" else "the source's own")


def equal_images(parts: Mapping[str, Part]) -> dict[str, int]:
    """How many images are repeated within each split, and how many of one split are in another too."""
    digests = {split: _digests(images, chosen) for split, (images, _, chosen) in parts.items()}
    found = {split: len(values) - len(np.unique(values)) for split, values in digests.items()}
    return found | {f"{one} in {other}": int(np.isin(digests[one], digests[other]).sum()) for one, other in ACROSS}


def _digests(images: NDArray[np.uint8], chosen: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 bits of the SHA-256 of each image."""
    return np.array(
        [int.from_bytes(hashlib.sha256(images[place].tobytes()).digest()[:8], "little") for place in chosen], np.uint64
    )


def lines(content: Mapping[str, Any]) -> list[str]:
    """The description in words: files, pixels, labels, splits, equal images."""
    return [
        f"files: {_files(content['files'])}",
        f"pixels: {_pixels(content['pixels'])}",
        f"labels: {_labels(content['labels'])}",
        "splits: " + ", ".join(f"{name} {of['count']:,} ({of['from']})" for name, of in content["splits"].items()),
        f"equal images: {_equal(content['equal_images'])}",
    ]


def _files(content: Mapping[str, Any]) -> str:
    passed_over, said = Counter(content["passed_over"]), [f"{content['read']:,} read"]
    if passed_over:
        kinds = listed((f"{ending} {count:,}" for ending, count in passed_over.most_common()), 8)
        said.append(f"{passed_over.total():,} passed over ({kinds})")
    if content["broken"]:
        said.append(f"{len(content['broken']):,} broken images left out ({listed(content['broken'], 3)})")
    if content["further_frames"]:
        said.append(f"{content['further_frames']:,} with further pages or frames, the first of each read")
    return "; ".join([*said, *content["remarks"]])


def _pixels(content: Mapping[str, Any]) -> str:
    ranges = [
        f"{of['dtype']} {of['range'][0]:g} to {of['range'][1]:g}"
        + (f" read as {of['read_as'][0]:g} to {of['read_as'][1]:g}" if list(of["read_as"]) != [0, 255] else "")
        for of in content["values"]
    ]
    modes = listed(f"{mode} {count:,}" for mode, count in content["modes"].items())
    return "; ".join([*ranges, *([modes] if modes else [])]) or "made by the reader"


def _labels(content: Mapping[str, Any]) -> str:
    names = content["names"]
    return f"{len(names)} classes from {content['from']}: {listed(names)}" if names else content["from"]


def _equal(content: Mapping[str, int]) -> str:
    said = [
        f"{count:,} {'' if ' in ' in where else 'repeated in '}{where}" for where, count in content.items() if count
    ]
    return ", ".join(said) or "none"
