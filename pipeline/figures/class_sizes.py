"""Does a model leave rare classes out? Each class's share of the samples against its share of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.classes import RASTERISED_FROM, Shares, shares
from pipeline.figures.style import (
    BLACK,
    GREY,
    PAGE,
    SMALL,
    VERMILLION,
    ModelStyle,
    balanced_columns,
    blank,
    legend,
    log_axis,
    model_styles,
    name_panel,
    panels,
    say,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND_SHADES = ("#f6f6f6", "#ebebeb", "#dedede")
"""Of head, middle and tail: the rarer, the darker."""


@styled
def class_sizes(
    data: NDArray[Any], models: Mapping[str, NDArray[Any]], *, bands: Mapping[str, NDArray[np.bool_]] | None = None
) -> Figure:
    """One panel per model: share of its samples against share of the training images, one mark per class, log-log.

    `data` are the training images of k classes, (k,), and every value of `models` the samples of each, (k,) counts.
    `bands` (name -> (k,) bool) are shaded, and each says which part of its share in the data it gets. Dashed lines
    hold 95 % of what a perfect model's classes would get by chance. Raises ValueError on other lengths.
    """
    truth = shares(data)
    if any(len(counts) != len(truth) for counts in models.values()):
        raise ValueError(f"every model needs {len(truth)} classes, as the data")
    count = max(1, len(models))
    columns = balanced_columns(count, 3 if count <= 6 else 4)
    rows = math.ceil(count / columns)
    said = [summary(model, truth, shares(counts), bands) for model, counts in models.items()]
    figure = blank(PAGE if columns > 2 else 5.0 * columns, 0.9 + (2.7 if columns > 1 else 3.6) * rows,
                   title=message(truth, models, bands), alt=" ".join(f"{text}." for text in said))  # fmt: skip
    axes = panels(figure, count, columns, sharex=True, sharey=True)
    styles = model_styles(models)
    present = truth > 0
    if not models or not present.any():
        say(axes[0], "no labels, no classes" if models else "no samples")
        return figure
    limits = _limits(truth[present], [shares(counts) for counts in models.values()])
    for axis, (model, counts) in zip(axes, models.items(), strict=False):
        _ground(axis, truth, shares(counts), bands, limits)
        _marks(axis, truth, np.asarray(counts, dtype=np.float64), styles[model])
        name_panel(
            axis, _title(model, truth, shares(counts)).replace(": ", ": " if columns < 4 else "\n"), styles[model]
        )
    for axis in axes:
        axis.set(xlim=limits[0], ylim=limits[1])
        log_axis(axis, "x")
        log_axis(axis, "y")
        axis.label_outer()
    for axis in axes[-columns:]:
        axis.tick_params(labelbottom=True)
    figure.supxlabel("share of the training images (log scale)")
    figure.supylabel("share of the samples (log scale)")
    _legend(figure, 4 if columns > 1 else 2)
    return figure


def parts(truth: Shares, found: Shares, bands: Mapping[str, NDArray[np.bool_]] | None) -> dict[str, float]:
    """Share of the samples over share of the data of each band that has classes."""
    return {name: float(found[of].sum() / truth[of].sum()) for name, of in (bands or {}).items() if truth[of].any()}


def message(truth: Shares, models: Mapping[str, NDArray[Any]], bands: Mapping[str, NDArray[np.bool_]] | None) -> str:
    """Which model draws most classes, and how much of its share the rarest band gets from the models."""
    drawn = {model: values for model, counts in models.items() if not np.isnan(values := shares(counts)).any()}
    if not drawn or not (truth > 0).any():
        return "No class sizes to compare"
    covered = {model: int((values[truth > 0] > 0).sum()) for model, values in drawn.items()}
    first = max(covered, key=covered.__getitem__)
    words = f"{first} draws most classes, {covered[first]} of {int((truth > 0).sum())}"
    rarest = list(bands or {})[-1:]
    ratios = {model: value for model, values in drawn.items() for name, value in parts(truth, values, bands).items()
              if name in rarest}  # fmt: skip
    if not ratios:
        return words
    near = min(ratios, key=lambda model: abs(math.log(max(ratios[model], 1e-9))))
    return words + f"; {near}'s {rarest[0]} is nearest to its share of the data, x{ratios[near]:.2f}"


def summary(model: str, truth: Shares, found: Shares, bands: Mapping[str, NDArray[np.bool_]] | None) -> str:
    """One model's panel in words."""
    factors = ", ".join(f"{name} x{value:.2f}" for name, value in parts(truth, found, bands).items())
    return _title(model, truth, found) + (f", {factors}" if factors and not np.isnan(found).any() else "")


def _limits(truth: Shares, found: Sequence[Shares]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of both axes: all shares above 0, with room beneath for the classes without a sample and above for names."""
    x = float(truth.min()) / 1.4, float(truth.max()) * 1.4
    drawn = np.concatenate([values[values > 0] for values in found])
    low, high = min(x[0], *(drawn / 1.4)), max(x[1], *(drawn * 1.4))
    room = (high / low) ** 0.12
    return x, (low / room, high * room * room)


def _ground(
    axis: Axes,
    truth: Shares,
    found: Shares,
    bands: Mapping[str, NDArray[np.bool_]] | None,
    limits: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """The bands with the part of their share that they get, and the line of classes drawn as often as they occur."""
    (left, right), _ = limits
    edges, factors = [right], {} if np.isnan(found).any() else parts(truth, found, bands)
    for shade, (name, of) in zip(BAND_SHADES, (bands or {}).items(), strict=False):
        rest = truth[(truth > 0) & (truth < (truth[of].min() if of.any() else edges[-1]))]
        edges.append(math.sqrt(truth[of].min() * rest.max()) if of.any() and len(rest) else left)
        axis.axvspan(edges[-1], edges[-2], color=shade, linewidth=0)
        text = f"{name}\nx{factors[name]:.2f}" if name in factors else name
        axis.annotate(text, (math.sqrt(edges[-1] * edges[-2]), 1), xycoords=("data", "axes fraction"), ha="center",
                      va="top", xytext=(0, -2), textcoords="offset points", color=GREY, fontsize=SMALL)  # fmt: skip
        if edges[-1] == left:
            break
    axis.plot(limits[0], limits[0], color=BLACK, linewidth=0.8)


def _marks(axis: Axes, truth: Shares, counts: NDArray[np.float64], style: ModelStyle) -> None:
    """A mark per class, a tick at the bottom for one without a sample, and what chance alone would do."""
    total = counts.sum()
    if not total > 0:
        say(axis, "no samples")
        return
    found, present = counts / total, truth > 0
    drawn = present & (counts > 0)
    axis.plot(truth[drawn], found[drawn], style.marker, color=style.colour, markersize=3.5, alpha=0.7,
              markeredgewidth=0, clip_on=False, rasterized=len(truth) > RASTERISED_FROM)  # fmt: skip
    missing = truth[present & (counts == 0)]
    axis.plot(missing, np.full(len(missing), 0.03), "|", color=VERMILLION, markersize=7, markeredgewidth=0.8,
              transform=axis.get_xaxis_transform())  # fmt: skip
    line = np.geomspace(truth[present].min() / 1.4, truth.max() * 1.4, 100)
    spread = 1.96 * np.sqrt(line * (1 - np.minimum(line, 1)) / total)
    for edge in (line + spread, line - spread):
        axis.plot(line, np.where(edge > 0, edge, np.nan), color=BLACK, linewidth=0.6, dashes=(4, 3))


def _title(model: str, truth: Shares, found: Shares) -> str:
    """The model, and how many of the classes it draws."""
    if np.isnan(found).any():
        return f"{model}: no samples"
    return f"{model}: {int((found[truth > 0] > 0).sum())} of {int((truth > 0).sum())} classes"


def _legend(figure: Figure, columns: int) -> None:
    """What lines, marks and ticks mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=GREY, markersize=4, label="a class"),
        Line2D([], [], marker="|", linestyle="", color=VERMILLION, label="class without a sample"),
        Line2D([], [], color=BLACK, linewidth=0.8, label="as often as in the data"),
        Line2D([], [], color=BLACK, linewidth=0.6, dashes=(4, 3), label="95 % of classes by chance"),
    ]
    legend(figure, handles, columns)
