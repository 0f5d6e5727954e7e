"""What a score costs (Renkila et al. Figs 10 and 11): a metric against CPU seconds or parameters."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipeline.core.references import REFERENCES
from pipeline.figures.labels import label_points
from pipeline.figures.style import (
    BLACK,
    GREY,
    PAGE,
    POINT,
    SMALL,
    ModelStyle,
    Row,
    blank,
    finite,
    interval,
    listed,
    log_axis,
    loss,
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
    named under the plot; the row `real` is a dashed line. `models` are all that a look is needed for. A dotted line
    joins the rows that no other one betters in both; the title names them.
    """
    styles = model_styles([*(models or ()), *(str(row["model"]) for row in rows)])
    placed = [row for row in rows if row["model"] not in REFERENCES and usable(row, score, cost)]
    real = next((finite(row, score) for row in rows if row["model"] == "real"), None)
    best = front(placed, lambda row: (float(row[cost]), loss(float(row[score]), better, real)))
    figure = blank(8.0, 5.0, title=front_told(best), alt=f"{front_told(best)}. {points_told(placed, score, cost)}")
    axes = figure.subplots()
    axes.plot(*zip(*(point(row, score, cost) for row in best), strict=True) if best else ((), ()), color=GREY,
              linewidth=1, linestyle=":", zorder=1)  # fmt: skip
    for row in placed:
        draw_point(axes, row, score, cost, styles[str(row["model"])])
    scale_axes(axes, [point(row, score, cost) for row in placed], real)
    draw_reference(axes, real)
    logarithmic = {which: ", log scale" if axis.get_scale() == "log" else ""
                   for which, axis in (("x", axes.xaxis), ("y", axes.yaxis))}  # fmt: skip
    axes.set_xlabel(cost_label(cost) + logarithmic["x"])
    axes.set_ylabel(score_label + logarithmic["y"])
    axes.set_title(
        f"{BETTER[better]}; dotted line: no other model is both cheaper and better", fontsize=SMALL, color=GREY
    )
    note_missing(figure, [str(row["model"]) for row in rows if row["model"] not in REFERENCES and row not in placed])
    name_points(axes, placed, score, cost, [styles[str(row["model"])].colour for row in placed])
    return figure


def front(rows: Sequence[Row], of: Callable[[Row], tuple[float, float]]) -> list[Row]:
    """Rows that no other one betters in cost and loss, `of` a row, from the cheapest on."""
    best: list[Row] = []
    for row in sorted(rows, key=of):
        if not best or of(row)[1] < of(best[-1])[1]:
            best.append(row)
    return best


def front_told(best: Sequence[Row]) -> str:
    """The rows that no other one betters, in words."""
    if not best:
        return "No model has both the metric and the cost"
    return f"The best for what they cost: {listed([str(row['model']) for row in best])}"


def points_told(rows: Sequence[Row], score: str, cost: str) -> str:
    """Every point in words, from the cheapest on."""
    placed = sorted(rows, key=lambda row: float(row[cost]))
    return " ".join(f"{row['model']}: {short(float(row[score]))} for {short(float(row[cost]))}." for row in placed)


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
        text = textwrap.fill("not shown, since the metric or the cost is missing: " + ", ".join(names), 110)
        figure.supxlabel(text, fontsize=SMALL, color=GREY, x=0.01, ha="left")


@styled
def training_cost(
    rows: Sequence[Row],
    *,
    costs: Sequence[str] = ("train_cpu_seconds", "parameters"),
    models: Sequence[str] | None = None,
) -> Figure:
    """Bars of what each model costs, one panel per column of `costs`, the cheapest by the first on top.

    Several rows of one model (its seeds) give a bar at their mean and a dot each; a missing cost is said. `models` are
    all that a look is needed for.
    """
    means = {name: mean_costs(rows, name, costs) for name in dict.fromkeys(str(row["model"]) for row in rows)
             if name not in REFERENCES}  # fmt: skip
    names = sorted(means, key=lambda name: means[name].get(costs[0], math.inf))
    styles = model_styles([*(models or ()), *means])
    title = cheapest(means, names, costs[0])
    told = "; ".join(f"{cost_label(cost)}: " + ", ".join(f"{name} {short(means[name][cost])}" for name in names
                     if cost in means[name]) for cost in costs)  # fmt: skip
    figure = blank(PAGE if len(costs) > 1 else 6.0, 0.9 + 0.29 * max(len(names), 2), title=title,
                   alt=f"{title}. {told}.")  # fmt: skip
    axes = panels(figure, len(costs), len(costs), sharey=True)
    for axis, cost in zip(axes, costs, strict=True):
        for k, name in enumerate(names):
            draw_bar(axis, k, values_of(rows, name, cost), styles[name].colour)
        axis.set_xlabel(cost_label(cost))
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


def cost_label(cost: str) -> str:
    """What a column of costs is called."""
    return COST_LABELS.get(cost, cost.replace("_", " "))


def values_of(rows: Sequence[Row], name: str, cost: str) -> list[float]:
    """A model's values of a cost, one for each row that has it."""
    return [value for row in rows if row["model"] == name and (value := finite(row, cost)) is not None]


def mean_costs(rows: Sequence[Row], name: str, costs: Sequence[str]) -> dict[str, float]:
    """A model's mean costs, those that it has."""
    return {cost: float(np.mean(values)) for cost in costs if (values := values_of(rows, name, cost))}


def cheapest(means: Mapping[str, Mapping[str, float]], names: Sequence[str], cost: str) -> str:
    """The cheapest model, and how many times as much the dearest costs."""
    known = [name for name in names if cost in means[name]]
    if not known:
        return f"{cost_label(cost)}: not measured"
    first, last = (means[name][cost] for name in (known[0], known[-1]))
    words = f"{known[0]} costs least, {short(first)} {cost_label(cost)}"
    return words + (f"; {known[-1]} {last / first:.1f} times as much" if first > 0 and len(known) > 1 else "")


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
