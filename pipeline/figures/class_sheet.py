"""The data as they are, class by class: some real images of each, the commonest class first.

What it is for: to see whether labels and images belong together, and how a rare class looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.mosaic import magnification, mosaic, place_picture, write
from pipeline.figures.style import DPI, SMALL, blank, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN, SPACE, HEAD, GAP = 24, 28, 40, 2
"""Dots around the sheet, between columns, above them for the heading, and image pixels between images."""

WIDEST, HIGHEST = 1750, 2500
"""Dots that a sheet may have."""

LETTER, LONGEST = 11.8, 16
"""Dots of a letter at the labels' size, and letters that a label may have."""

MOST_CLASSES = 400


@styled
def class_sheet(
    images: NDArray[np.uint8], labels: NDArray[np.int64] | None, names: Sequence[str], *, per_class: int = 10
) -> Figure:
    """Up to `per_class` images of each class, fewer where that would not fit, with its name and its size.

    `images` are uint8 (n, C, H, W) with labels (n,), indices into `names`. Of more than 400 classes, 400 from the
    commonest to the rarest are shown; unlabelled images stand as one class. Raises ValueError without an image.
    """
    if not len(images):
        raise ValueError("a sheet needs an image")
    if labels is None:
        labels, names = np.zeros(len(images), dtype=np.int64), ["all"]
    counts = np.bincount(labels, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), MOST_CLASSES)).round().astype(int))]
    words = [f"{_short(str(names[k]))} {counts[k]:,}" for k in shown]
    label = round(LETTER * max(len(word) for word in words))
    side = images.shape[2:]
    across, each, dots = arrangement(len(shown), label, side, per_class)
    down = math.ceil(len(shown) / across)
    row, width = (side[0] + GAP) * dots, label + (side[1] + GAP) * dots * each
    high = HEAD + down * row + 2 * MARGIN
    figure = blank(max(600, 2 * MARGIN + across * (width + SPACE) - SPACE) / DPI, high / DPI, layout="none")
    kept = f"{len(shown):,} of {len(order):,} classes" if len(shown) < len(order) else f"{len(order):,} classes"
    write(figure, f"real images by class, with the class's size: {kept}", MARGIN, MARGIN + 14, fontsize=10)
    for column in range(across):
        left, top = MARGIN + column * (width + SPACE), MARGIN + HEAD
        here = slice(column * down, (column + 1) * down)
        if not len(shown[here]):
            break
        rows = [_row(images, np.flatnonzero(labels == k), each) for k in shown[here]]
        place_picture(figure, mosaic(np.concatenate(rows), each, gap=GAP), left + label, top, dots)
        for place, word in enumerate(words[here]):
            middle = top + place * row + side[0] * dots / 2
            write(figure, word, left + label - 8, middle, fontsize=SMALL, ha="right", va="center")
    return figure


def arrangement(classes: int, label: int, side: tuple[int, ...], per_class: int) -> tuple[int, int, int]:
    """Columns of classes, images of each, and dots per pixel: the most images, then the largest, that fit the page."""
    largest = magnification(max(side), 56)
    for each in range(per_class, 0, -1):
        for dots in range(largest, 0, -1):
            rows = max(1, (HIGHEST - HEAD - 2 * MARGIN) // ((side[0] + GAP) * dots))
            across = math.ceil(classes / rows)
            width = label + (side[1] + GAP) * dots * each
            if across * (width + SPACE) - SPACE <= WIDEST - 2 * MARGIN:
                return across, each, dots
    return max(1, (WIDEST - 2 * MARGIN) // (label + side[1] + SPACE)), 1, 1


def _row(images: NDArray[np.uint8], members: NDArray[np.int64], each: int) -> NDArray[np.uint8]:
    """`each` images spread over a class's members; white where it has fewer."""
    chosen = members[np.unique(np.linspace(0, len(members) - 1, min(each, len(members))).round().astype(int))]
    row = np.full((each, *images.shape[1:]), 255, dtype=np.uint8)
    row[: len(chosen)] = images[chosen]
    return row


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
