"""Battles: who errs on whom (Im et al. 2016 Table 1), the verdict on every pair, and the rating of all models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.style import (
    GREY,
    POINT,
    VERMILLION,
    Row,
    blank,
    finite,
    interval,
    model_styles,
    plain_axis,
    say,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def battle_matrix(rows: Sequence[Row], *, models: Sequence[str] | None = None) -> Figure:
    """Error rate of every judge (row) on every contestant's images (column), written in the cell and as its shade.

    Rows have `judge`, `contestant` and `error` (a fraction); a pair that is missing, or has no error, stays empty.
    A judge's own generator is framed. `models` fixes the order of both sides; else first appearance does.
    """
    order = list(models or dict.fromkeys(str(row[side]) for side in ("judge", "contestant") for row in rows))
    judges = [name for name in order if any(row["judge"] == name for row in rows)]
    contestants = [name for name in order if any(row["contestant"] == name for row in rows)]
    rates = error_rates(rows, judges, contestants)
    label_room = 0.075 * max([len(name) for name in order], default=4)
    size = (1.6 + label_room + 0.36 * len(contestants), 0.8 + label_room + 0.3 * len(judges))
    figure = blank(max(size[0], 4.6), max(size[1], 2.4))
    axes = figure.subplots()
    if not rates.size:
        say(axes, "no model judges another")
        axes.set_axis_off()
        return figure
    draw_cells(axes, rates, judges, contestants)
    name_cells(axes, judges, contestants)
    axes.set_xlabel("contestant: whose images are judged", loc="left")
    axes.xaxis.set_label_position("bottom")
    axes.set_ylabel("judge")
    return figure


def error_rates(rows: Sequence[Row], judges: Sequence[str], contestants: Sequence[str]) -> NDArray[np.float64]:
    """Error rates (judges, contestants), nan where there is none."""
    rates = np.full((len(judges), len(contestants)), np.nan)
    for row in rows:
        error = finite(row, "error")
        if error is not None and row["judge"] in judges and row["contestant"] in contestants:
            rates[judges.index(row["judge"]), contestants.index(row["contestant"])] = error
    return rates


def draw_cells(axes: Axes, rates: NDArray[np.float64], judges: Sequence[str], contestants: Sequence[str]) -> None:
    """Shades from 0 to at least one half (chance), numbers readable on them, a frame on each judge's own generator."""
    from matplotlib.patches import Rectangle

    top = max([0.5, *rates[np.isfinite(rates)].tolist()])
    axes.set_facecolor("#f4f4f4")
    picture = axes.imshow(rates, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    for (j, k), rate in np.ndenumerate(rates):
        text, dark = ("\u2013", False) if np.isnan(rate) else (cell_text(float(rate)), rate < 0.55 * top)
        axes.text(k, j, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
        if judges[j] == contestants[k]:
            axes.add_patch(Rectangle((k - 0.46, j - 0.46), 0.92, 0.92, fill=False, edgecolor=VERMILLION, linewidth=1.6))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(picture, ax=axes, aspect=12, shrink=0.9, pad=0.02)
    bar.set_label("error rate (fraction;\nframe: its own generator)", fontsize=8)
    bar.outline.set_visible(False)


def cell_text(rate: float) -> str:
    """Two decimals without the leading zero; only a rate that is exactly 0 or 1 reads as 0 or 1."""
    if rate in (0, 1):
        return f"{rate:.0f}"
    if rate < 0.005:
        return "<.01"
    return ">.99" if rate >= 0.995 else f"{rate:.2f}".lstrip("0")


@styled
def verdict_matrix(rows: Sequence[Row], *, models: Sequence[str] | None = None) -> Figure:
    """Log odds by which a model (row) passes third-party judges more often than another (column).

    Rows have `model_1`, `model_2`, `verdict` and `advantage`, which may be None. A decided pair is framed, a tie has an
    equals sign; a number alone is unresolved. `models` fixes the order of both sides; else first appearance does.
    """
    order = list(models or dict.fromkeys(str(row[side]) for row in rows for side in ("model_1", "model_2")))
    room = 0.075 * max([len(name) for name in order], default=4)
    figure = blank(max(1.6 + room + 0.4 * len(order), 4.6), max(1.2 + room + 0.34 * len(order), 2.6))
    axes = figure.subplots()
    values = advantages(rows, order)
    if not np.isfinite(values).any():
        say(axes, "no third-party judges of any pair")
        axes.set_axis_off()
        return figure
    reach = max(1.0, float(np.nanmax(np.abs(values))))
    axes.imshow(values, cmap="PuOr_r", vmin=-1.6 * reach, vmax=1.6 * reach, aspect="auto")
    verdicts = {(row["model_1"], row["model_2"]): str(row["verdict"]) for row in rows}
    for (i, j), value in np.ndenumerate(values):
        verdict = verdicts.get((order[i], order[j])) or verdicts.get((order[j], order[i]), "")
        draw_verdict(axes, i, j, float(value), verdict, verdict in (order[i], order[j]))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    name_cells(axes, order, order)
    axes.set_xlabel("log odds of passing, row minus column\n(framed: decided; =: tie)", loc="left")
    axes.xaxis.set_label_position("bottom")
    return figure


def name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """The names of a matrix's rows on the left and of its columns above it."""
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)


def advantages(rows: Sequence[Row], models: Sequence[str]) -> NDArray[np.float64]:
    """Advantage of every model (row) over every other (column), antisymmetric, nan where there is none."""
    values = np.full((len(models), len(models)), np.nan)
    for row in rows:
        value = finite(row, "advantage")
        if value is not None and row["model_1"] in models and row["model_2"] in models:
            i, j = models.index(row["model_1"]), models.index(row["model_2"])
            values[i, j], values[j, i] = value, -value
    return values


def draw_verdict(axes: Axes, i: int, j: int, value: float, verdict: str, decided: bool) -> None:
    """One cell's number; a decided pair is framed, a tie has an equals sign."""
    from matplotlib.patches import Rectangle

    if np.isnan(value):
        return
    mark = "= " if verdict == "tie" else ""
    axes.text(j, i, f"{mark}{round(value, 1) + 0.0:+.1f}", ha="center", va="center", fontsize=8, color="black")
    if decided:
        axes.add_patch(Rectangle((j - 0.45, i - 0.45), 0.9, 0.9, fill=False, edgecolor="black", linewidth=1.2))


@styled
def standings_plot(rows: Sequence[Row], *, rating_label: str = "rating", models: Sequence[str] | None = None) -> Figure:
    """Ratings with their 95 % intervals, the best on top; a model that nobody judged is named without a point.

    Rows have `model`, `rating`, `rating_low`, `rating_high` and, optionally, `judged` (verdicts on it).
    """
    styles = model_styles([*(models or ()), *(str(row["model"]) for row in rows)])
    ranked = sorted(rows, key=lambda row: (finite(row, "rating") is None, -(finite(row, "rating") or 0.0)))
    figure = blank(6.8, 1.0 + 0.27 * max(len(rows), 2))
    axes = figure.subplots()
    for k, row in enumerate(ranked):
        rating, ends = finite(row, "rating"), interval(row, "rating")
        style = styles[str(row["model"])]
        if rating is None:
            axes.text(0.01, k, "not rated", transform=axes.get_yaxis_transform(), va="center", color=GREY, fontsize=8)
            continue
        if ends:
            axes.plot(ends, (k, k), color=style.colour, solid_capstyle="butt")
        axes.plot(rating, k, style.marker, color=style.colour, **POINT)
    axes.set_yticks(range(len(ranked)), [standing_name(row) for row in ranked])
    axes.set_ylim(len(ranked) - 0.4, -0.6)
    axes.margins(x=0.08)
    axes.set_xlabel(f"{rating_label} (higher is better \u2192; bar: 95 % interval)")
    plain_axis(axes, "x", 6)
    return figure


def standing_name(row: Row) -> str:
    """The model and how often it was judged."""
    judged = finite(row, "judged")
    return str(row["model"]) if judged is None else f"{row['model']}  ({int(judged)} verdicts)"
