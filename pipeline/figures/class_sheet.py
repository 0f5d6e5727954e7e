"""The data as they are, class by class: some real images of each, the commonest class first.

What it is for: to see whether labels and images belong together, and how a rare class looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.mosaic import MARGIN, WIDEST, magnification, mosaic, place_picture, titled_sheet, write
from pipeline.figures.style import GREY, SMALL, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPACE, GAP = 28, 2
"""Dots between columns, and image pixels between images."""

HIGHEST = 2500
"""Dots that the rows may take."""

LETTER, DIGIT, LONGEST = 10.8, 12.8, 16
"""Dots of a letter and of a digit at the labels' size, and letters that a label may have."""

MOST_CLASSES = 400


@styled
def class_sheet(
    images: NDArray[np.uint8], labels: NDArray[np.int64], names: Sequence[str], *, per_class: int = 10
) -> Figure:
    """Up to `per_class` images of each class, fewer where that would not fit, with its name and its size in grey.

    `images` are uint8 (n, C, H, W) with labels (n,), indices into `names`. Of more than 400 classes, 400 from the
    commonest to the rarest are shown. Raises ValueError without an image.
    """
    if not len(images):
        raise ValueError("a sheet needs an image")
    counts = np.bincount(labels, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), MOST_CLASSES)).round().astype(int))]
    labels_of = [_short(str(names[k])) for k in shown]
    sizes = [f"{counts[k]:,}" for k in shown]
    number = round(DIGIT * max(map(len, sizes))) + 18
    label = number + round(LETTER * max(map(len, labels_of)))
    side = images.shape[2:]
    across, each, dots = arrangement(len(shown), label, side, per_class)
    down = math.ceil(len(shown) / across)
    row, width = (side[0] + GAP) * dots, label + (side[1] + GAP) * dots * each
    figure, top = titled_sheet(across * (width + SPACE) - SPACE, down * row, message(counts[order], len(shown)))
    for column in range(across):
        left = MARGIN + column * (width + SPACE)
        here = slice(column * down, (column + 1) * down)
        if not len(shown[here]):
            break
        rows = [_row(images, np.flatnonzero(labels == k), each) for k in shown[here]]
        place_picture(figure, mosaic(np.concatenate(rows), each, gap=GAP), left + label, top, dots)
        for place, (word, size) in enumerate(zip(labels_of[here], sizes[here], strict=True)):
            middle = top + place * row + side[0] * dots / 2
            write(figure, word, left + label - number, middle, fontsize=SMALL, ha="right", va="center")
            write(figure, size, left + label - 8, middle, fontsize=SMALL, color=GREY, ha="right", va="center")
    return figure


def message(sizes: NDArray[np.int64], shown: int) -> str:
    """How many classes there are, of how many training images, and how uneven they are; `sizes` fall."""
    most, least = int(sizes[0]), int(sizes[-1])
    if len(sizes) == 1:
        return f"Training images without classes: {most:,}"
    words = f"{len(sizes):,} classes of {least:,} to {most:,} training images"
    words += f": the commonest has {most / least:.0f} times the images of the rarest" if most >= 2 * least else ""
    return words + (f"; {shown:,} classes are shown" if shown < len(sizes) else "")


def arrangement(classes: int, label: int, side: tuple[int, ...], per_class: int) -> tuple[int, int, int]:
    """Columns of classes, images of each, and dots per pixel: the most images, then the largest, that fit the page."""
    largest = magnification(max(side), 56)
    for each in range(per_class, 0, -1):
        for dots in range(largest, 0, -1):
            rows = max(1, (HIGHEST - 2 * MARGIN) // ((side[0] + GAP) * dots))
            across = math.ceil(classes / rows)
            width = label + (side[1] + GAP) * dots * each
            if across * (width + SPACE) - SPACE <= WIDEST:
                return across, each, dots
    return max(1, WIDEST // (label + side[1] + SPACE)), 1, 1


def _row(images: NDArray[np.uint8], members: NDArray[np.int64], each: int) -> NDArray[np.uint8]:
    """`each` images spread over a class's members; white where it has fewer."""
    chosen = members[np.unique(np.linspace(0, len(members) - 1, min(each, len(members))).round().astype(int))]
    row = np.full((each, *images.shape[1:]), 255, dtype=np.uint8)
    row[: len(chosen)] = images[chosen]
    return row


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
