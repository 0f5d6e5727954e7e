"""The headline metrics at a glance: every model's value with its interval, beside what real images get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.figures.style import (
    BLACK,
    GREY,
    PAGE,
    REFERENCES,
    ModelStyle,
    Row,
    balanced_columns,
    blank,
    finite,
    interval,
    log_axis,
    model_styles,
    panels,
    plain_axis,
    spans_decades,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BETTER = {"lower": "\u2190 lower is better", "higher": "higher is better \u2192", "real": "nearer to real is better"}


class Metric(NamedTuple):
    """A column of the table and how to read it."""

    name: str
    label: str
    better: Literal["lower", "higher", "real"]


@styled
def score_overview(rows: Sequence[Row], columns: Sequence[Metric]) -> Figure:
    """One panel per metric, one line per row: its value and 95 % interval; `real` is a dashed line in all panels.

    Rows have `model`, `<name>`, and where known `<name>_low` and `<name>_high`. The reference rows come last; a value
    that is missing is said.
    """
    shown = [row for row in rows if row["model"] != "real"]
    shown.sort(key=lambda row: row["model"] in REFERENCES)
    real = next((row for row in rows if row["model"] == "real"), {})
    styles = model_styles(str(row["model"]) for row in rows)
    across = balanced_columns(max(1, len(columns)), 4)
    down = math.ceil(len(columns) / across)
    width = PAGE if across > 2 else 1.2 + 3.0 * across
    figure = blank(width, 0.5 + down * (0.95 + 0.22 * max(len(shown), 2)))
    axes = panels(figure, len(columns), across, sharey=True)
    for axis, column in zip(axes, columns, strict=True):
        metric = Metric(*column)
        scale(axis, metric, [v for row in rows if (v := finite(row, metric.name)) is not None])
        for k, row in enumerate(shown):
            draw_value(axis, k, row, metric.name, styles[str(row["model"])])
        draw_real(axis, finite(real, metric.name))
        axis.set_title(metric.label, fontsize=9)
        axis.set_xlabel(BETTER[metric.better], fontsize=8, color=GREY)
        axis.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(shown)), [str(row["model"]) for row in shown])
    axes[0].set_ylim(len(shown) - 0.4, -0.6)
    figure.supxlabel("bar: 95 % interval; dashed line: real images", fontsize=8, color=GREY, x=0.01, ha="left")
    return figure


def draw_value(axis: Axes, k: int, row: Row, name: str, style: ModelStyle) -> None:
    """One row's value and interval on line k; in words where there is no value, or no place for it on a log scale."""
    axis.axhline(k, color="#eeeeee", linewidth=0.7, zorder=0)
    value, ends = finite(row, name), interval(row, name)
    logarithmic = axis.get_xscale() == "log"
    if value is None or (logarithmic and value <= 0):
        text, side = ("not measured", "right") if value is None else (f"\u2190 {value:.1g}", "left")
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        place = (0.98 if side == "right" else 0.02, k)
        axis.text(*place, text, transform=axis.get_yaxis_transform(), ha=side, va="center", color=GREY, fontsize=8,
                  bbox=ground)  # fmt: skip
        return
    if ends:
        low = ends[0] if ends[0] > 0 or not logarithmic else value / 10
        axis.plot((low, ends[1]), (k, k), color=style.colour, linewidth=1.4, solid_capstyle="butt")
    axis.plot(value, k, style.marker, color=style.colour, markersize=5 if style.marker != "|" else 8)


def draw_real(axis: Axes, value: float | None) -> None:
    """What a perfect model would get; an unbiased estimate of zero may fall below a log scale: then at its edge."""
    if value is None:
        return
    if axis.get_xscale() == "log" and value <= 0:
        axis.plot((0, 0), (0, 1), transform=axis.transAxes, color=BLACK, linewidth=2.5, dashes=(2, 1), clip_on=False)
    else:
        axis.axvline(value, color=BLACK, linewidth=1, linestyle=(0, (4, 2)), zorder=1)


def scale(axis: Axes, metric: Metric, values: Sequence[float]) -> None:
    """A log scale for distances that span decades, as uniform noise is far from every model; never for rates."""
    axis.margins(x=0.08)
    positive = [value for value in values if value > 0]
    if metric.better == "lower" and spans_decades(positive, 20.0):
        axis.set_xlim(min(positive) / 2, max(positive) * 2)
        log_axis(axis, "x")
    else:
        plain_axis(axis, "x", 4)
