"""The plane of a model with two latents (Ponnuru section 5, Vijayvargiya et al. section 3): what it decodes to, and
where codes lie on it.

The grid stands at equal shares of the prior's probability, by its inverse distribution function (Kingma & Welling
2013, Fig. 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.mosaic import mosaic, place_picture, write
from pipeline.figures.style import BLUE, DPI, GREY, SMALL, blank, describe, listed, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN, HEADING, GUTTER, SCATTER, BETWEEN = 24, 64, 110, 700, 70
"""Dots around the sheet, over a row, between the grid and the codes, of the codes' side, and between rows."""

GRID = 700
"""Dots that the grid's side is brought near to."""

MOST_NAMED = 12
"""Classes whose names are written on the plane; of more the colours alone tell."""


@dataclass(frozen=True)
class Plane:
    """One model: a grid of images (side^2, C, H, W) uint8, and codes (N, 2) of held-out images with their labels."""

    name: str
    images: NDArray[np.uint8]
    codes: NDArray[np.float64] | None = None
    labels: NDArray[np.int64] | None = None


def grid_side(size: int) -> int:
    """Images on a side of the grid, for images of `size` pixels: about as many as a picture of 560 dots holds."""
    return int(np.clip(560 // size, 6, 20))


@styled
def plane_sheet(planes: Sequence[Plane]) -> Figure:
    """A row for each model: the grid to the left, the codes to the right. Raises ValueError for no model at all."""
    if not planes:
        raise ValueError("a sheet of planes needs one at least")
    pictures = [mosaic(plane.images, round(len(plane.images) ** 0.5), gap=0) for plane in planes]
    dots = max(1, round(GRID / max(picture.shape[0] for picture in pictures)))
    wide = max(picture.shape[1] for picture in pictures) * dots
    high = max(SCATTER + 50, *(picture.shape[0] * dots for picture in pictures))
    page = 2 * MARGIN + wide + GUTTER + SCATTER, 2 * MARGIN + len(planes) * (HEADING + high + BETWEEN) - BETWEEN
    figure = blank(page[0] / DPI, page[1] / DPI, layout="none")
    describe(figure, f"What {listed([plane.name for plane in planes])} draw over the plane of two latents")
    for k, (plane, picture) in enumerate(zip(planes, pictures, strict=True)):
        top = MARGIN + k * (HEADING + high + BETWEEN)
        write(figure, plane.name, MARGIN, top + 24, fontsize=10, fontweight="bold", va="baseline")
        note = "images at equal shares of the prior's probability"
        write(figure, note, MARGIN, top + 50, fontsize=SMALL, color=GREY, va="baseline")
        place_picture(figure, picture, MARGIN, top + HEADING, dots)
        if plane.codes is not None:
            left = MARGIN + wide + GUTTER
            box = left / page[0], 1 - (top + HEADING + SCATTER) / page[1], SCATTER / page[0], SCATTER / page[1]
            scatter(figure.add_axes(box), plane)
    return figure


def scatter(axes: Axes, plane: Plane) -> None:
    """Codes by class, each class named at its median where they are few."""
    assert plane.codes is not None
    x, y = plane.codes.T
    if plane.labels is None:
        axes.scatter(x, y, s=5, color=BLUE, linewidths=0)
        axes.set_title("codes of held-out images", fontsize=SMALL, color=GREY)
    else:
        count = int(plane.labels.max()) + 1
        shades = colours(count)
        axes.scatter(x, y, s=5, color=shades[plane.labels], linewidths=0)
        if count <= MOST_NAMED:
            name_classes(axes, plane.codes, plane.labels, shades)
        axes.set_title("codes of held-out images, by class", fontsize=SMALL, color=GREY)
    axes.set_xlabel("first latent")
    axes.set_ylabel("second latent")


def name_classes(
    axes: Axes, codes: NDArray[np.float64], labels: NDArray[np.int64], shades: NDArray[np.float64]
) -> None:
    """Each class's number at the median of its codes, so that it is not told by its colour alone."""
    for label in np.unique(labels):
        middle = np.median(codes[labels == label], axis=0)
        ground = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": shades[label], "alpha": 0.9}
        axes.text(
            middle[0], middle[1], str(label), fontsize=SMALL, fontweight="bold", ha="center", va="center", bbox=ground
        )


def colours(count: int) -> NDArray[np.float64]:
    """A colour (count, 4) for each class: ten that differ well, or hues around the wheel."""
    from matplotlib import colormaps

    if count <= 10:
        return np.array([colormaps["tab10"](k) for k in range(count)])
    return np.array([colormaps["gist_rainbow"](k / count) for k in range(count)])
