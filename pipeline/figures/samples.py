"""The sample sheet: every model's samples beside real images (the papers all show one; Im et al. 2016 Figs 3-8, Stiff
et al. Figs 4-8).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.mosaic import MARGIN, WIDEST, magnification, mosaic, place_picture, titled_sheet, write
from pipeline.figures.style import GREY, SMALL, balanced_columns, describe, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPACE, LABEL, NOTE = 36, 34, 26
"""Dots between blocks, above a block for its label, and for a note under the label."""


@styled
def sample_sheet(
    images: Mapping[str, NDArray[np.uint8]],
    *,
    per_model: int = 30,
    notes: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:
    """One labelled block of the first `per_model` images of each name, `real` first, the others in the order given.

    `images` maps a name to uint8 images (n, C, H, W), grey (C = 1) or colour (C = 3), all of one size; a model
    without images (n = 0: one that diverged) keeps its block, with a word. `notes` are written under the names, such
    as scores. Raises ValueError for images of other shapes or none at all.
    """
    names = sorted(images, key=lambda name: name != "real")
    height, width = one_size(images)
    columns, rows = block_grid(per_model)
    dots = magnification(max(height, width), 84 if len(names) <= 3 else 56)
    block = ((columns * (width + 2) - 2) * dots, (rows * (height + 2) - 2) * dots)
    across = balanced_columns(len(names), max(1, min(4, (WIDEST + SPACE) // (block[0] + SPACE))))
    label = LABEL + (NOTE if notes else 0)
    down = math.ceil(len(names) / across)
    size = block[0] * across + SPACE * (across - 1), (label + block[1] + SPACE) * down - SPACE
    figure, first = titled_sheet(*size, title)
    told = "; ".join(f"{name}: {note}" for name, note in (notes or {}).items())
    describe(figure, title, f"{title}. Samples of {', '.join(names)}." + (f" {told}." if told else ""))
    for k, name in enumerate(names):
        left = MARGIN + (k % across) * (block[0] + SPACE)
        top = first + (k // across) * (block[1] + label + SPACE) + label
        heading = "real images" if name == "real" else name
        write(figure, heading, left, top - label + LABEL - 10, fontsize=10, fontweight="bold", va="baseline")
        if note := (notes or {}).get(name):
            write(figure, note, left, top - 10, color=GREY, fontsize=SMALL, va="baseline")
        if len(images[name]) == 0:
            write(figure, "no samples", left + 8, top + 30, color=GREY, fontsize=SMALL, va="baseline")
        place_picture(figure, mosaic(images[name][:per_model], columns, rows), left, top, dots)
    return figure


def one_size(images: Mapping[str, NDArray[np.uint8]]) -> tuple[int, int]:
    """Height and width of all images; ValueError where they differ."""
    sizes = {array.shape[2:] for array in images.values()}
    if len(sizes) != 1:
        raise ValueError(f"a sheet needs images of one size, got {sorted(sizes)}")
    return sizes.pop()


def block_grid(per_model: int) -> tuple[int, int]:
    """Columns and rows of a block, a little wider than high."""
    columns = math.ceil(math.sqrt(1.2 * per_model))
    return columns, math.ceil(per_model / columns)
