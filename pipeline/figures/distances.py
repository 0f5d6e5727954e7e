"""The headline metrics at a glance: every model's value with its interval, next to what real images get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.core.references import REFERENCES
from pipeline.figures.style import (
    BLACK,
    GREY,
    PAGE,
    SMALL,
    ModelStyle,
    Row,
    balanced_columns,
    blank,
    finite,
    interval,
    listed,
    log_axis,
    loss,
    model_styles,
    panels,
    plain_axis,
    short,
    spans_decades,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BETTER = {"lower": "\u2190 lower is better", "higher": "higher is better \u2192", "real": "nearer to real is better"}


class Metric(NamedTuple):
    """A column of the table and how to read it.

    `leaders` are the best model and those not told apart from it; none where noise or a blur is as good as all.
    """

    name: str
    label: str
    better: Literal["lower", "higher", "real"]
    leaders: Sequence[str] | None = None


def ranking(rows: Sequence[Row], metric: Metric) -> list[str]:
    """Models from the best to the worst by one metric, without the reference rows; those without a value last."""
    values = values_of(rows, metric)
    losses = {name: loss(value, metric.better, values.get("real")) for name, value in values.items()}
    models = [str(row["model"]) for row in rows if row["model"] not in REFERENCES]
    return sorted(models, key=lambda name: losses.get(name, math.inf))


def values_of(rows: Sequence[Row], metric: Metric) -> dict[str, float]:
    """The values of one metric by model, those that there are."""
    return {str(row["model"]): value for row in rows if (value := finite(row, metric.name)) is not None}


@styled
def score_overview(rows: Sequence[Row], columns: Sequence[Metric]) -> Figure:
    """One panel per metric, one line per row: its value and 95 % interval; `real` is a dashed line in its panels.

    Rows have `model`, `<name>`, and where known `<name>_low` and `<name>_high`. The best by the first metric is on
    top, the reference rows come last; a value that is missing is said. The title says who leads on that metric.
    """
    metrics = [Metric(*column) for column in columns]
    by_name = {str(row["model"]): row for row in rows}
    order = ranking(rows, metrics[0]) if metrics else list(by_name)
    shown = [by_name[name] for name in (*order, *(name for name in REFERENCES if name in by_name and name != "real"))]
    real = by_name.get("real", {})
    styles = model_styles(by_name)
    across = balanced_columns(max(1, len(metrics)), 5)
    down = math.ceil(len(metrics) / across)
    width = PAGE if across > 2 else 1.2 + 3.0 * across
    said = [message(rows, metric) for metric in metrics]
    figure = blank(width, 0.5 + down * (1.05 + 0.24 * max(len(shown), 2)), title=said[0] if said else "no metrics",
                   alt=" ".join(f"{text}." for text in said))  # fmt: skip
    axes = panels(figure, len(metrics), across, sharey=True)
    for axis, metric in zip(axes, metrics, strict=True):
        scale(axis, metric, [v for row in rows if (v := finite(row, metric.name)) is not None])
        for k, row in enumerate(shown):
            draw_value(axis, k, row, metric.name, styles[str(row["model"])])
        draw_real(axis, finite(real, metric.name))
        axis.set_title(metric.label.replace(" (", "\n(") if across > 2 else metric.label)
        logarithmic = "\n(log scale)" if axis.get_xscale() == "log" else ""
        axis.set_xlabel(BETTER[metric.better] + logarithmic, fontsize=SMALL, color=GREY)
        axis.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(shown)), [str(row["model"]) for row in shown])
    axes[0].set_ylim(len(shown) - 0.4, -0.6)
    note = "bar: 95 % interval; dashed line: real images, where the metric has a value for them"
    figure.supxlabel(note, fontsize=SMALL, color=GREY, x=0.01, ha="left")
    return figure


def message(rows: Sequence[Row], metric: Metric) -> str:
    """Who leads on a metric, by what value, and what real images get."""
    values = values_of(rows, metric)
    measured = [name for name in ranking(rows, metric) if name in values]
    if not measured:
        return f"{metric.label}: no model has a value"
    first = measured[:1] if metric.leaders is None else [name for name in metric.leaders if name in values]
    if not first:
        best = loss(values[measured[0]], metric.better, values.get("real"))
        as_good = [name for name in ("noise", "mean_image")
                   if name in values and loss(values[name], metric.better, values.get("real")) <= best]  # fmt: skip
        words = f"No model leads on {lower(metric.label)}"
        return words + (f": {listed(as_good)} {'is' if len(as_good) == 1 else 'are'} as good" if as_good else "")
    words = f"{first[0]} leads on {lower(metric.label)} with {short(values[first[0]])}"
    words += f", not told apart from {listed(first[1:])}" if len(first) > 1 else ""
    return words + (f"; real images get {short(values['real'])}" if "real" in values else "")


def lower(label: str) -> str:
    """A label within a sentence: its first letter small unless the word is an abbreviation or a name."""
    word = label.split()[0]
    return label if word[1:] != word[1:].lower() or word in NAMES or len(word) == 1 else label[0].lower() + label[1:]


NAMES = ("Frechet", "Fr\u00e9chet")


def draw_value(axis: Axes, k: int, row: Row, name: str, style: ModelStyle) -> None:
    """One row's value and interval on line k; in words where there is no value, or no place for it on a log scale."""
    axis.axhline(k, color="#eeeeee", linewidth=0.7, zorder=0)
    value, ends = finite(row, name), interval(row, name)
    logarithmic = axis.get_xscale() == "log"
    if value is None or (logarithmic and value <= 0):
        text, side = ("not measured", "right") if value is None else (f"\u2190 {value:.1g}", "left")
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        place = (0.98 if side == "right" else 0.02, k)
        axis.text(*place, text, transform=axis.get_yaxis_transform(), ha=side, va="center", color=GREY, fontsize=SMALL,
                  bbox=ground)  # fmt: skip
        return
    if ends:
        low = ends[0] if ends[0] > 0 or not logarithmic else value / 10
        axis.plot((low, ends[1]), (k, k), color=style.colour, linewidth=1.4, solid_capstyle="butt")
    axis.plot(value, k, style.marker, color=style.colour, markersize=5.5 if style.marker != "|" else 8)


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
        log_axis(axis, "x", dense=1.2)
    else:
        plain_axis(axis, "x", 3)
