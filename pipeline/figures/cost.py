"""What a score costs (Renkila et al. Figs 10 and 11): a metric against CPU seconds or parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipeline.figures.labels import label_points
from pipeline.figures.style import (
    BLACK,
    GREY,
    PAGE,
    POINT,
    REFERENCES,
    SMALL,
    ModelStyle,
    Row,
    blank,
    finite,
    interval,
    log_axis,
    model_styles,
    panels,
    plain_axis,
    say,
    short,
    spans_decades,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COST_LABELS = {
    "train_cpu_seconds": "CPU seconds to train",
    "train_seconds": "seconds to train",
    "parameters": "parameters",
    "peak_memory_mb": "peak memory (MB)",
    "train_images_per_second": "images per second in training",
    "sample_images_per_second": "images per second in sampling",
}
BETTER = {"lower": "lower is better \u2193", "higher": "higher is better \u2191", "real": "nearer to real is better"}


@styled
def score_against_cost(
    rows: Sequence[Row],
    *,
    score: str,
    score_label: str,
    cost: str = "train_cpu_seconds",
    better: Literal["lower", "higher", "real"] = "lower",
    models: Sequence[str] | None = None,
) -> Figure:
    """The metric `score` with its interval against the column `cost`, one named point per row.

    Rows have `model`, `<score>`, `<score>_low`, `<score>_high` and `cost`; a row without the metric or the cost is
    named under the plot; the row `real` is a dashed line. `models` fixes the colours where the rows are only some.
    """
    styles = model_styles([*(models or ()), *(str(row["model"]) for row in rows)])
    placed = [row for row in rows if row["model"] not in REFERENCES and usable(row, score, cost)]
    figure = blank(7.6, 5.0)
    axes = figure.subplots()
    for row in placed:
        draw_point(axes, row, score, cost, styles[str(row["model"])])
    real = next((finite(row, score) for row in rows if row["model"] == "real"), None)
    scale_axes(axes, [point(row, score, cost) for row in placed], real)
    draw_reference(axes, real)
    axes.set_xlabel(COST_LABELS.get(cost, cost.replace("_", " ")))
    axes.set_ylabel(score_label)
    axes.set_title(BETTER[better], fontsize=SMALL, color=GREY)
    note_missing(figure, [str(row["model"]) for row in rows if row["model"] not in REFERENCES and row not in placed])
    name_points(axes, placed, score, cost, [styles[str(row["model"])].colour for row in placed])
    return figure


def usable(row: Row, score: str, cost: str) -> bool:
    """Whether a row has both coordinates."""
    return finite(row, score) is not None and finite(row, cost) is not None


def point(row: Row, score: str, cost: str) -> tuple[float, float]:
    """Cost and metric of a usable row."""
    return float(row[cost]), float(row[score])


def draw_point(axes: Axes, row: Row, score: str, cost: str, style: ModelStyle) -> None:
    """The marker of one row, with its interval."""
    x, y = point(row, score, cost)
    if ends := interval(row, score):
        axes.plot((x, x), ends, color=style.colour, linewidth=1.3, solid_capstyle="butt")
    axes.plot(x, y, style.marker, color=style.colour, **POINT)


def scale_axes(axes: Axes, points: Sequence[tuple[float, float]], real: float | None) -> None:
    """Log scales where the values span decades, the reference's among them, and room around them for the names."""
    axes.margins(x=0.12, y=0.12)
    scale_axis(axes, "x", [x for x, _ in points])
    scale_axis(axes, "y", [*(y for _, y in points), *([real] if real is not None and real > 0 else [])])


def scale_axis(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A log scale where the values span decades."""
    if spans_decades(values, 20.0):
        log_axis(axes, which)
    else:
        plain_axis(axes, which)


def draw_reference(axes: Axes, value: float | None) -> None:
    """What real images get, as a dashed line; its name stands at the right end, clear of the points.

    On a log scale an estimate at or below zero has no place: then only its value stands at the lower right corner.
    """
    if value is None:
        return
    if axes.get_yscale() == "log" and value <= 0:
        axes.text(1.01, 0, f"real\n{value:.1g} \u2193", transform=axes.transAxes, va="bottom", fontsize=SMALL)
        return
    axes.axhline(value, color=BLACK, linewidth=1, linestyle=(0, (4, 2)))
    axes.text(1.01, value, f"real\n{value:.3g}", transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)


def name_points(axes: Axes, rows: Sequence[Row], score: str, cost: str, colours: Sequence[str]) -> None:
    """Each model's name beside its point, clear of the other points' intervals."""
    if not rows:
        say(axes, "nothing measured")
        return
    points = [point(row, score, cost) for row in rows]
    ends = [interval(row, score) for row in rows]
    floor = axes.get_ylim()[0]
    bars = [(x, max(e[0], floor), x, max(e[1], floor)) for (x, _), e in zip(points, ends, strict=True) if e]
    label_points(axes, points, [str(row["model"]) for row in rows], colours, bars)


def note_missing(figure: Figure, names: Sequence[str]) -> None:
    """Name the models that have no point, so that none is dropped in silence."""
    if names:
        text = textwrap.fill("not shown, for want of the metric or the cost: " + ", ".join(names), 110)
        figure.supxlabel(text, fontsize=SMALL, color=GREY, x=0.01, ha="left")


@styled
def training_cost(rows: Sequence[Row], *, costs: Sequence[str] = ("train_cpu_seconds", "parameters")) -> Figure:
    """Bars of what each model costs, one panel per column of `costs`, the models in the order of the rows.

    Several rows of one model (its seeds) give a bar at their mean and a dot each; a missing cost is said.
    """
    names = list(dict.fromkeys(str(row["model"]) for row in rows if row["model"] not in REFERENCES))
    styles = model_styles(names)
    figure = blank(PAGE if len(costs) > 1 else 6.0, 0.9 + 0.27 * max(len(names), 2))
    axes = panels(figure, len(costs), len(costs), sharey=True)
    for axis, cost in zip(axes, costs, strict=True):
        for k, name in enumerate(names):
            draw_bar(axis, k, [v for row in rows if row["model"] == name and (v := finite(row, cost)) is not None],
                     styles[name].colour)  # fmt: skip
        axis.set_xlabel(COST_LABELS.get(cost, cost.replace("_", " ")))
        axis.margins(x=0.18)
        axis.set_xlim(left=0)
        plain_axis(axis, "x")
        axis.grid(visible=False, axis="y")
        axis.tick_params(axis="y", length=0)
    if len(rows) > len({row["model"] for row in rows}):
        axes[0].set_title("bar: mean over seeds; dots: the seeds", fontsize=SMALL, color=GREY)
    figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def draw_bar(axis: Axes, k: int, values: Sequence[float], colour: str) -> None:
    """One model's bar with its length written at its end, and its seeds as dots."""
    if not values:
        write_beside(axis, "not measured", (0, k), GREY)
        return
    mean = float(np.mean(values))
    axis.barh(k, mean, height=0.66, color=colour)
    if len(set(values)) > 1:
        edge = {"markeredgecolor": BLACK, "markeredgewidth": 0.7}
        axis.plot(values, [k] * len(values), "o", color="white", markersize=3.5, **edge)  # type: ignore[arg-type]
    write_beside(axis, short(mean), (max(values), k), BLACK)


def write_beside(axis: Axes, text: str, at: tuple[float, float], colour: str) -> None:
    """Write to the right of a bar's end."""
    axis.annotate(text, at, xytext=(5, 0), textcoords="offset points", va="center", color=colour, fontsize=SMALL)
