"""Images of common and of rare classes in each split, and how much can be known with so few of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.class_bands import BANDS, TAIL, bands_of
from pipeline.datasets.naming import listed

FEWEST_OF_A_CLASS = 3
"""Held-out images of a class below which nothing can be said about it."""

TYPICAL_ACCURACY, WANTED = 0.8, 0.015
"""Of a classifier on rare classes, and the half-width of an interval that shows a gain of a few points."""

QUANTILE = 1.96


def band_counts(labels: Mapping[str, NDArray[np.int64]], names: Sequence[str]) -> dict[str, Any] | None:
    """What the splits `train`, `valid` and `test` have of each band, ready for JSON; None for balanced data."""
    counts = {split: np.bincount(of, minlength=len(names)) for split, of in labels.items()}
    bands = bands_of(counts["train"])
    if bands is None:
        return None
    found: dict[str, Any] = {}
    for band, name in enumerate(BANDS):
        inside = bands == band
        found[name] = {"classes": int(inside.sum())} | {split: int(of[inside].sum()) for split, of in counts.items()}
    few = (counts["test"] < FEWEST_OF_A_CLASS) & (counts["train"] > 0)
    found["under_three_test_images"] = [name for name, is_few in zip(names, few, strict=True) if is_few]
    found["rare_under_three"] = int((few & (bands == TAIL)).sum())
    found["tail_known_to"] = round(half_width(found["tail"]["test"]), 4)
    return found


def half_width(n: int) -> float:
    """Half of the 95 % interval of an accuracy of TYPICAL_ACCURACY on n images."""
    return QUANTILE * math.sqrt(TYPICAL_ACCURACY * (1 - TYPICAL_ACCURACY) / n) if n else 1.0


def enough() -> int:
    """Images from which that half-width is WANTED."""
    return math.ceil(QUANTILE**2 * TYPICAL_ACCURACY * (1 - TYPICAL_ACCURACY) / WANTED**2)


def lines(content: Mapping[str, Any]) -> Iterator[str]:
    """The counts in words, and a warning where they are too few."""
    for name in BANDS:
        of = content[name]
        yield (
            f"{name}: {of['classes']:,} classes; images to train, validate and test: "
            f"{of['train']:,}, {of['valid']:,}, {of['test']:,}"
        )
    tail, few = content["tail"], content["under_three_test_images"]
    if few:
        rare = content["rare_under_three"]
        yield (
            f"warning: {len(few):,} classes have fewer than {FEWEST_OF_A_CLASS} test images, {rare} of them rare "
            f"({listed(few, 5)}); raise `test` in the block, or bring more images"
        )
    if tail["test"] < enough():
        yield (
            f"warning: {tail['test']:,} test images of rare classes: an accuracy near {TYPICAL_ACCURACY:.0%} is known "
            f"to {100 * content['tail_known_to']:.1f} points either way; {enough():,} images give {100 * WANTED:g}"
        )
