"""Canvases through time: how DRAW, DRAW-GAN and GRAN build their images (Im et al. 2016 Figs 9-10, 25, 29-33)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.mosaic import magnification, mosaic, place_picture, write
from pipeline.figures.style import DPI, GREY, SMALL, VERMILLION, blank, describe, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN, HEADER, LINE, APART = 24, 38, 30, 48
"""Dots around the sheet, of the step numbers, and of one line of the title, and between groups."""


@styled
def canvas_sheet(
    canvases: NDArray[np.uint8],
    *,
    title: str,
    max_steps: int = 12,
    max_rows: int = 8,
    trained_steps: int | None = None,
) -> Figure:
    """Samples as rows, steps as columns, left to right, of canvases (n, T, C, H, W) uint8.

    At most `max_steps` steps, evenly chosen with the first and the last among them, and at most `max_rows` rows;
    where the steps are few, several groups of samples stand side by side. `trained_steps` draws a line after the
    last step that the model was trained for. Raises ValueError for any other shape.
    """
    if canvases.ndim != 5 or 0 in canvases.shape:
        raise ValueError(f"expected canvases (n, T, C, H, W), got {canvases.shape}")
    steps = chosen_steps(canvases.shape[1], max_steps)
    groups, rows = arrangement(len(canvases), len(steps), max_rows)
    shown = canvases[: groups * rows][:, [step - 1 for step in steps]]
    dots = magnification(max(shown.shape[3:]), 84)
    pitch = (shown.shape[4] + 2) * dots
    size = (groups * (len(steps) * pitch + APART) - APART, rows * (shown.shape[3] + 2) * dots)
    wide = max(2 * MARGIN + size[0], 520)
    lines = textwrap.wrap(title, width=(wide - 2 * MARGIN) // 14) or [""]
    top = MARGIN + LINE * len(lines) + HEADER
    figure = blank(wide / DPI, (top + size[1] + MARGIN) / DPI, layout="none")
    describe(figure, title, f"{title}: {groups * rows} samples after steps {', '.join(map(str, steps))}.")
    write(figure, "\n".join(lines), MARGIN, MARGIN - 4, fontsize=10, fontweight="bold", va="top")
    for k in range(groups):
        left = MARGIN + k * (len(steps) * pitch + APART)
        group = shown[k * rows : (k + 1) * rows]
        place_picture(figure, mosaic(group.reshape(-1, *shown.shape[2:]), len(steps)), left, top, dots)
        write_steps(figure, steps, (left, top), pitch, trained_steps)
    return figure


def arrangement(samples: int, steps: int, max_rows: int) -> tuple[int, int]:
    """Groups side by side, and rows in each, that show the samples in about a page's width."""
    room = max(1, 13 // (steps + 1))
    rows = min(max_rows, math.ceil(samples / room))
    return min(room, math.ceil(samples / rows)), rows


def write_steps(
    figure: Figure, steps: Sequence[int], corner: tuple[int, int], pitch: int, trained_steps: int | None
) -> None:
    """The steps' numbers above a group whose upper left corner is given in dots."""
    left, top = corner
    for k, step in enumerate(steps):
        beyond = trained_steps is not None and step > trained_steps
        label = f"step {step}" if k == 0 else str(step)
        middle = left + (k + 0.5) * pitch - 2
        write(figure, label, middle, top - 8, color=VERMILLION if beyond else GREY, ha="center", fontsize=SMALL)
    if trained_steps is not None and trained_steps < steps[-1]:
        mark_training_end(figure, left + sum(step <= trained_steps for step in steps) * pitch - 3, top)


def mark_training_end(figure: Figure, left: int, top: int) -> None:
    """A line down the sheet at `left` dots: the steps right of it were never trained."""
    from matplotlib.lines import Line2D

    width, height = (inches * DPI for inches in figure.get_size_inches())
    ends = (1 - (top - HEADER + 6) / height, MARGIN / height)
    figure.add_artist(Line2D((left / width, left / width), ends, color=VERMILLION, linewidth=1.5))


def chosen_steps(count: int, most: int) -> list[int]:
    """At most `most` of the steps 1 to `count`, evenly spaced, the first and the last always among them."""
    if most < 2:
        return [count]
    return sorted({round(step) for step in np.linspace(1, count, min(count, most))})
