"""Names written beside the points of a scatter, none over another, over a point or over an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.figures.style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Box = tuple[float, float, float, float]

POINT_RADIUS = 4.5
"""Half the side of a marker's box, in points."""


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    colours: Sequence[str],
    obstacles: Sequence[tuple[float, float, float, float]] = (),
) -> None:
    """Write names[k] near points[k] (data coordinates), with a thin leader line where it had to move away.

    Call it last: it freezes the layout. `obstacles` are boxes (x low, y low, x high, y high) in data coordinates,
    such as intervals, that a label avoids where it can. Labels never overlap each other while a place is left.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    unit = figure.dpi / 72
    frame = tuple(axes.get_window_extent().extents)
    anchors = [tuple(axes.transData.transform(point)) for point in points]
    taken: list[Box] = []
    marks = [around(x, y, POINT_RADIUS * unit) for x, y in anchors]
    marks += [data_box(axes, box, unit) for box in obstacles]
    for k in crowded_first(anchors):
        text = axes.annotate(names[k], points[k], color="black", fontsize=SMALL, va="center", ha="center")
        size = text.get_window_extent()
        ring, box = best_place(anchors[k], (size.width, size.height), frame, taken, marks, unit)
        taken.append(box)
        text.remove()
        write_at(axes, names[k], points[k], colours[k] if ring else None, offset(anchors[k], box, unit))


def crowded_first(anchors: Sequence[tuple[float, ...]]) -> list[int]:
    """Indices by distance to the nearest other point, the closest pairs first: they have the fewest places."""

    def room(k: int) -> float:
        return min((math.dist(anchors[k], other) for j, other in enumerate(anchors) if j != k), default=0.0)

    return sorted(range(len(anchors)), key=lambda k: (room(k), k))


def best_place(
    anchor: tuple[float, ...],
    size: tuple[float, float],
    frame: tuple[float, ...],
    taken: Sequence[Box],
    marks: Sequence[Box],
    unit: float,
) -> tuple[int, Box]:
    """The cheapest of many places around `anchor`: near, inside the frame, clear of labels, points and intervals."""

    def price(place: tuple[int, Box]) -> float:
        ring, box = place
        gaps = (frame[0] - box[0], frame[1] - box[1], box[2] - frame[2], box[3] - frame[3])
        outside = sum(max(0.0, gap) for gap in gaps)
        over_labels = sum(overlap(box, other, 1.5 * unit) for other in taken)
        over_marks = sum(overlap(box, mark, 0.0) for mark in marks)
        forbidden = 1e4 * (over_labels > 0) + 1e3 * (outside > 0)
        return forbidden + over_labels + outside + 3.0 * over_marks / unit + 6.0 * ring

    return min(places(anchor, size, unit), key=price)


def places(anchor: tuple[float, ...], size: tuple[float, float], unit: float) -> list[tuple[int, Box]]:
    """Boxes of `size` around `anchor`, ring by ring outwards; to the right of the point first."""
    width, height = size
    found = []
    for ring in range(16):
        reach = (7.0 + 6.0 * ring) * unit
        for turn in range(16):
            angle = math.pi * turn / 8
            x = anchor[0] + math.cos(angle) * (reach + width / 2)
            y = anchor[1] + math.sin(angle) * (reach + height / 2)
            found.append((ring, (x - width / 2, y - height / 2, x + width / 2, y + height / 2)))
    return found


def overlap(a: Box, b: Box, clearance: float) -> float:
    """Area that two boxes share when one is widened by `clearance` on every side."""
    wide = min(a[2], b[2]) - max(a[0], b[0]) + clearance
    high = min(a[3], b[3]) - max(a[1], b[1]) + clearance
    return max(0.0, wide) * max(0.0, high)


def around(x: float, y: float, radius: float) -> Box:
    """The square of half side `radius` around (x, y)."""
    return x - radius, y - radius, x + radius, y + radius


def data_box(axes: Axes, box: tuple[float, float, float, float], unit: float) -> Box:
    """A box of data coordinates in dots, at least a line wide."""
    x0, y0 = axes.transData.transform(box[:2])
    x1, y1 = axes.transData.transform(box[2:])
    return min(x0, x1) - unit, min(y0, y1) - unit, max(x0, x1) + unit, max(y0, y1) + unit


def offset(anchor: tuple[float, ...], box: Box, unit: float) -> tuple[float, float]:
    """From the point to the middle of its label, in points of 1/72 inch."""
    return ((box[0] + box[2]) / 2 - anchor[0]) / unit, ((box[1] + box[3]) / 2 - anchor[1]) / unit


def write_at(axes: Axes, name: str, point: tuple[float, float], colour: str | None, shift: tuple[float, float]) -> None:
    """The label at `shift` points from `point`, with a leader line of `colour` unless it stands right beside it."""
    line = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 3, "alpha": 0.7}
    ground = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    options: dict[str, Any] = {"arrowprops": line if colour else None, "bbox": ground, "ha": "center", "va": "center"}
    axes.annotate(name, point, xytext=shift, textcoords="offset points", fontsize=SMALL, zorder=4, **options)
