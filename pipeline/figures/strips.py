"""Strips: images in rows and columns that mean something, one block for each model, with what they mean in words.

Blends (Vijayvargiya et al. section 2), walks along one latent element (Stiff et al. Figs 6 and 9), samples with the
training images nearest to them (Im et al. 2016 Figs 7, 8, 24, 27, 28), canvases with shared and with fresh noise (Im et
al. 2016 Figs 9-12, 29-33), one model's samples after 5, 7 and 9 steps (Im et al. 2016 Table 4), and samples through a
training (Stiff et al. Figs 11 and 12) are all of this form.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.mosaic import magnification, mosaic, place_picture, write
from pipeline.figures.style import DPI, GREY, SMALL, VERMILLION, balanced_columns, blank, describe, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN, SPACE, HEADING, LINE, HEADS = 24, 40, 34, 26, 28
"""Dots around the sheet and between blocks, and of a block's name, of a line of its note, and of its columns' heads."""

WIDEST = 1710
"""Dots that blocks and the spaces between them may take side by side."""

NARROWEST = 400
"""Dots of a block, so that its note has room."""

CHARACTER, TITLE_CHARACTER, HEAD_CHARACTER = 10.6, 14, 12
"""Dots that a character takes, on average, in a note, in the title, and in a head, which is mostly digits."""


@dataclass(frozen=True)
class Strip:
    """One block: images (rows, columns, C, H, W) uint8, its name, heads over its columns, a note and a warning."""

    name: str
    images: NDArray[np.uint8]
    heads: Sequence[str] = ()
    note: str = ""
    warning: str = ""


@styled
def strip_sheet(strips: Sequence[Strip], *, title: str, reading: str = "") -> Figure:
    """All blocks under a title and a sentence that says how a row and a column is read.

    Images are of one size throughout, blocks may differ in rows and columns. Raises ValueError for none at all, and
    for images of other shapes.
    """
    if not strips:
        raise ValueError("a sheet of strips needs one at least")
    sizes = {strip.images.shape[3:] for strip in strips}
    if len(sizes) != 1 or any(strip.images.ndim != 5 for strip in strips):
        raise ValueError(f"strips are (rows, columns, C, H, W) of one size, got {[s.images.shape for s in strips]}")
    height, width = sizes.pop()
    dots = magnification(max(height, width), 56 if len(strips) > 2 else 84)
    rows, columns = (max(strip.images.shape[axis] for strip in strips) for axis in (0, 1))
    wide = max((columns * (width + 2) - 2) * dots, NARROWEST)
    noted = max(len(note_lines(strip, wide)) for strip in strips)
    head = HEADING + LINE * noted + (HEADS if any(strip.heads for strip in strips) else 8)
    high = head + (rows * (height + 2) - 2) * dots
    across = balanced_columns(len(strips), max(1, (WIDEST + SPACE) // (wide + SPACE)))
    down = math.ceil(len(strips) / across)
    page = max(2 * MARGIN + across * (wide + SPACE) - SPACE, 640)
    lines = (wrapped(title, page - 2 * MARGIN, TITLE_CHARACTER), wrapped(reading, page - 2 * MARGIN, CHARACTER))
    top = MARGIN + LINE * sum(map(len, lines)) + 20
    figure = blank(page / DPI, (top + down * (high + SPACE) - SPACE + MARGIN) / DPI, layout="none")
    told = [f"{strip.name}: {'; '.join(filter(None, (strip.note, strip.warning)))}." for strip in strips]
    describe(figure, title, " ".join(filter(None, (f"{title}.", reading, *told))))
    write(figure, "\n".join(lines[0]), MARGIN, MARGIN - 4, fontsize=10, fontweight="bold", va="top")
    write(figure, "\n".join(lines[1]), MARGIN, MARGIN + 4 + LINE * len(lines[0]), fontsize=SMALL, color=GREY, va="top")
    for k, strip in enumerate(strips):
        corner = MARGIN + (k % across) * (wide + SPACE), top + (k // across) * (high + SPACE)
        draw_strip(figure, strip, corner, (wide, head), dots)
    return figure


def draw_strip(figure: Figure, strip: Strip, corner: tuple[int, int], size: tuple[int, int], dots: int) -> None:
    """One block from its upper left corner; its picture begins `size[1]` dots below."""
    left, top = corner
    wide, head = size
    write(figure, strip.name, left, top + HEADING - 10, fontsize=10, fontweight="bold", va="baseline")
    for k, (line, colour) in enumerate(note_lines(strip, wide)):
        write(figure, line, left, top + HEADING + LINE * (k + 1) - 8, fontsize=SMALL, color=colour, va="baseline")
    pitch = (strip.images.shape[4] + 2) * dots
    free = 0.0  # a head that would touch the one before it is left out
    for k, text in enumerate(strip.heads):
        middle, half = left + (k + 0.5) * pitch - dots, len(text) * HEAD_CHARACTER / 2
        if text and middle - half >= free:
            write(figure, text, middle, top + head - 6, fontsize=SMALL, color=GREY, ha="center", va="baseline")
            free = middle + half + 6
    if strip.images.size:  # a training that diverged at once kept none
        picture = mosaic(strip.images.reshape(-1, *strip.images.shape[2:]), strip.images.shape[1])
        place_picture(figure, picture, left, top + head, dots)


def note_lines(strip: Strip, wide: int) -> list[tuple[str, str]]:
    """(line, colour) of a block's note, and of its warning after it."""
    return [(line, GREY) for line in wrapped(strip.note, wide, CHARACTER)] + [
        (line, VERMILLION) for line in wrapped(strip.warning, wide, CHARACTER)
    ]


def wrapped(text: str, wide: int, character: float) -> list[str]:
    """The lines of a text in a column of `wide` dots."""
    return textwrap.wrap(text, width=int(wide / character))
