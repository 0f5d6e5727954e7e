"""Images side by side, every image pixel a whole number of dots, so that no digit is blurred by its figure."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.style import DPI, blank, describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP_SHADE = 255
MARGIN, WIDEST, NARROWEST = 24, 1700, 640
"""Dots around a sheet of pictures, and of the width that its pictures may take and that its title needs."""
TITLE_CHARACTER, TITLE_LINE = 15, 30
"""Dots of a character of a sheet's title, on average, and of a line."""


def mosaic(images: NDArray[np.uint8], columns: int, rows: int | None = None, *, gap: int = 2) -> NDArray[np.uint8]:
    """Images (n, C, H, W) row by row in one (rows * (H + gap) - gap, columns * (W + gap) - gap, 3) picture.

    One channel is shown as grey. Cells without an image stay white. Raises ValueError unless C is 1 or 3 and uint8.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != np.uint8:
        raise ValueError(f"expected uint8 images (n, 1 or 3, H, W), got {images.dtype} {images.shape}")
    n, _, height, width = images.shape
    rows = math.ceil(n / columns) if rows is None else rows
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), GAP_SHADE, dtype=np.uint8)
    for k, image in enumerate(images[: rows * columns]):
        top, left = (k // columns) * (height + gap), (k % columns) * (width + gap)
        picture[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return picture


def magnification(side: int, target: int) -> int:
    """Dots per image pixel, a whole number, that bring `side` pixels nearest to `target` dots."""
    return max(1, round(target / side))


def place_picture(figure: Figure, picture: NDArray[np.uint8], left: int, top: int, dots: int) -> Axes:
    """Show `picture` (H, W, 3) with its upper left corner at (left, top) dots, `dots` dots to a pixel."""
    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    high, wide = picture.shape[0] * dots, picture.shape[1] * dots
    axes = figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return axes


def write(figure: Figure, text: str, left: float, top: float, **options: object) -> None:
    """Write `text` at (left, top) dots from the upper left corner of the figure."""
    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    figure.text(left / width, 1 - top / height, text, **options)  # type: ignore[arg-type]


def titled_sheet(width: int, height: int, title: str) -> tuple[Figure, int]:
    """An empty sheet for pictures that take `width` by `height` dots, and the dots above them, its title's included."""
    page = max(2 * MARGIN + width, NARROWEST if title else 0)
    lines = textwrap.wrap(title, width=(page - 2 * MARGIN) // TITLE_CHARACTER)
    top = MARGIN + (TITLE_LINE * len(lines) + 10 if lines else 0)
    figure = blank(page / DPI, (top + height + MARGIN) / DPI, layout="none")
    write(figure, "\n".join(lines), MARGIN, MARGIN - 4, fontsize=11, fontweight="bold", va="top")
    describe(figure, title)
    return figure, top
