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
    listed,
    model_styles,
    plain_axis,
    short,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


REAL = {"real_test": "real, held out", "real_train": "real, training"}
"""Contestants of the table of judges that no model made."""
MOST_CELLS = 10.0
"""Inches that a matrix may be wide, so that its numbers stay legible in a page."""


@styled
def battle_matrix(rows: Sequence[Row], *, models: Sequence[str] | None = None) -> Figure:
    """Error rate of every judge (row) on every contestant's images (column), written in the cell and as its shade.

    Rows have `judge`, `contestant` and `error` (a fraction); a pair that is missing, or has no error, stays empty.
    Real images come first; a judge's own generator is framed. `models` fixes the order of both sides; else first
    appearance does. The title says whose samples pass the other models' judges most often.
    """
    order = list(models or dict.fromkeys(str(row[side]) for side in ("judge", "contestant") for row in rows))
    order = [name for name in order if name not in REAL]
    judges = [name for name in order if any(row["judge"] == name for row in rows)]
    contestants = [name for name in (*REAL, *order) if any(row["contestant"] == name for row in rows)]
    rates = error_rates(rows, judges, contestants)
    names = [REAL.get(name, name) for name in contestants]
    means = passing(rates, judges, contestants)
    figure = matrix_page(judges, names, 0.42, title=most_passing(means), alt=matrix_alt(means))
    axes = figure.subplots()
    draw_cells(axes, rates, judges, contestants)
    name_cells(axes, judges, names)
    note = "shade and number: share that the judge gets wrong\nframed: the judge's own generator"
    axes.set_xlabel(f"whose images are judged\n{note}", loc="left")
    axes.xaxis.set_label_position("bottom")
    axes.set_ylabel("judge")
    return figure


def matrix_page(rows: Sequence[str], columns: Sequence[str], cell: float, *, title: str, alt: str) -> Figure:
    """An empty page for a matrix with cells of up to `cell` inches, as wide as its names, cells and title need."""
    side, above = 0.095 * max(map(len, rows)), 0.075 * max(map(len, columns))
    wide = min(side + 0.6 + cell * len(columns) + 0.7 * above, MOST_CELLS)
    return blank(max(wide, 5.4), max(1.0 + above + 0.31 * len(rows), 2.2), title=title, alt=alt)


def passing(rates: NDArray[np.float64], judges: Sequence[str], contestants: Sequence[str]) -> dict[str, float]:
    """Mean rate at which each model's samples are taken for real by the judges of other models."""
    means = {}
    for k, name in enumerate(contestants):
        others = [rates[j, k] for j, judge in enumerate(judges) if judge != name and np.isfinite(rates[j, k])]
        if others and name not in REAL:
            means[name] = float(np.mean(others))
    return means


def most_passing(means: dict[str, float]) -> str:
    """The model whose samples pass most often, in words."""
    if not means:
        return "No model is judged by another's judge"
    first = max(means, key=means.__getitem__)
    return f"{first}'s samples pass the other models' judges most often: {100 * means[first]:.0f} % on average"


def matrix_alt(means: dict[str, float]) -> str:
    """How often each model's samples pass, from the most to the least often."""
    ranked = sorted(means.items(), key=lambda item: -item[1])
    return f"Samples that pass other models' judges: {', '.join(f'{n} {100 * m:.0f} %' for n, m in ranked) or 'none'}."


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
    axes.imshow(rates, cmap="Blues", vmin=0, vmax=1.25 * top, aspect="auto")
    for (j, k), rate in np.ndenumerate(rates):
        text, dark = ("\u2013", False) if np.isnan(rate) else (cell_text(float(rate)), rate > 0.7 * top)
        axes.text(k, j, text, ha="center", va="center", color="white" if dark else "black")
        if judges[j] == contestants[k]:
            axes.add_patch(
                Rectangle((k - 0.46, j - 0.46), 0.92, 0.92, fill=False, edgecolor=VERMILLION, linewidth=1.6, zorder=3)
            )
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    real = sum(name in REAL for name in contestants)
    if 0 < real < len(contestants):
        axes.axvline(real - 0.5, color="white", linewidth=4, zorder=1)


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
    values = advantages(rows, order)
    figure = matrix_page(order, order, 0.5, title=verdicts_counted(rows), alt=verdicts_listed(rows))
    axes = figure.subplots()
    reach = max(1.0, float(np.nanmax(np.abs(values))))
    axes.imshow(values, cmap="PuOr_r", vmin=-1.6 * reach, vmax=1.6 * reach, aspect="auto")
    verdicts = {(row["model_1"], row["model_2"]): str(row["verdict"]) for row in rows}
    for (i, j), value in np.ndenumerate(values):
        verdict = verdicts.get((order[i], order[j])) or verdicts.get((order[j], order[i]), "")
        draw_verdict(axes, i, j, float(value), verdict, verdict in (order[i], order[j]))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    name_cells(axes, order, order)
    note = "framed: decided; =: tie; a number alone: unresolved"
    axes.set_xlabel(f"log odds of passing, row minus column\n{note}", loc="left")
    axes.xaxis.set_label_position("bottom")
    return figure


def decided(rows: Sequence[Row]) -> list[Row]:
    """Rows of pairs with a winner."""
    return [row for row in rows if row["verdict"] in (row["model_1"], row["model_2"])]


def verdicts_counted(rows: Sequence[Row]) -> str:
    """How many pairs are decided, tie, or stay unresolved."""
    ties = sum(row["verdict"] == "tie" for row in rows)
    won = len(decided(rows))
    return f"{won} of {len(rows)} pairs are decided, {ties} tie, {len(rows) - won - ties} are unresolved"


def verdicts_listed(rows: Sequence[Row]) -> str:
    """Whom each model beats."""
    beaten: dict[str, list[str]] = {}
    for row in decided(rows):
        loser = row["model_1"] if row["verdict"] == row["model_2"] else row["model_2"]
        beaten.setdefault(str(row["verdict"]), []).append(str(loser))
    said = "".join(f" {winner} beats {listed(losers)}." for winner, losers in beaten.items())
    return f"{verdicts_counted(rows)}.{said}"


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
    mark = "=" if verdict == "tie" else ""
    axes.text(j, i, f"{mark}{round(value, 1) + 0.0:.1f}", ha="center", va="center", color="black")
    if decided:
        axes.add_patch(Rectangle((j - 0.45, i - 0.45), 0.9, 0.9, fill=False, edgecolor="black", linewidth=1.2))


@styled
def standings_plot(rows: Sequence[Row], *, rating_label: str = "rating", models: Sequence[str] | None = None) -> Figure:
    """Ratings with their 95 % intervals, the best on top; a model that nobody judged is named without a point.

    Rows have `model`, `rating`, `rating_low`, `rating_high` and, optionally, `judged` (verdicts on it). The
    title says who rates highest and whom its interval overlaps.
    """
    styles = model_styles([*(models or ()), *(str(row["model"]) for row in rows)])
    ranked = sorted(rows, key=lambda row: (finite(row, "rating") is None, -(finite(row, "rating") or 0.0)))
    figure = blank(8.0, 0.9 + 0.29 * max(len(rows), 2), title=highest(ranked), alt=ratings_told(ranked))
    axes = figure.subplots()
    for k, row in enumerate(ranked):
        rating, ends = finite(row, "rating"), interval(row, "rating")
        style = styles[str(row["model"])]
        if rating is None:
            axes.text(0.01, k, "not rated", transform=axes.get_yaxis_transform(), va="center", color=GREY)
            continue
        if ends:
            axes.plot(ends, (k, k), color=style.colour, solid_capstyle="butt")
        axes.plot(rating, k, style.marker, color=style.colour, **POINT)
        axes.text(1.01, k, points(rating), transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(ranked)), [standing_name(row) for row in ranked])
    axes.set_ylim(len(ranked) - 0.4, -0.6)
    axes.margins(x=0.06)
    axes.set_xlabel(f"{rating_label} (higher is better \u2192; bar: 95 % interval; 400 more: odds of ten to one)")
    axes.grid(visible=False, axis="y")
    plain_axis(axes, "x", 6)
    return figure


def highest(ranked: Sequence[Row]) -> str:
    """The model that rates highest, and those whose intervals overlap its."""
    if not ranked or finite(ranked[0], "rating") is None:
        return "No model is rated"
    first, ends = ranked[0], interval(ranked[0], "rating")
    near = [
        str(row["model"])
        for row in ranked[1:]
        if ends and (other := interval(row, "rating")) and other[1] >= ends[0] and other[0] <= ends[1]
    ]
    words = f"{first['model']} rates highest, {points(float(first['rating']))}"
    return words + (f"; its interval overlaps {'that' if len(near) == 1 else 'those'} of {some(near)}" if near else "")


def some(names: Sequence[str]) -> str:
    """At most three names, then how many more there are."""
    more = len(names) - 3
    return listed([*names[:3], f"{more} more"]) if more > 1 else listed(names)


def points(rating: float) -> str:
    """A rating in whole points; one of another scale in three digits."""
    return f"{rating:.0f}" if abs(rating) >= 100 else short(rating)


def ratings_told(ranked: Sequence[Row]) -> str:
    """Every rating with its interval."""
    told = []
    for row in ranked:
        rating, ends = finite(row, "rating"), interval(row, "rating")
        value = "not rated" if rating is None else points(rating)
        told.append(f"{row['model']} {value}" + (f" ({points(ends[0])} to {points(ends[1])})" if ends else ""))
    return f"{highest(ranked)}. Ratings: {', '.join(told)}."


def standing_name(row: Row) -> str:
    """The model and how often it was judged."""
    judged = finite(row, "judged")
    return str(row["model"]) if judged is None else f"{row['model']}  ({int(judged)} judges)"
