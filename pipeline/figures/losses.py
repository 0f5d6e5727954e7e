"""Loss curves (Ponnuru Figs 7 and 9): the bound and its terms, the adversarial losses, the discriminator's accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.style import (
    GREY,
    PAGE,
    SMALL,
    VERMILLION,
    ModelStyle,
    Row,
    balanced_columns,
    blank,
    log_axis,
    number,
    numbered_style,
    panels,
    plain_axis,
    say,
    spans_decades,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

IMAGES_LABEL = "training images seen (thousands)"
NOT_CURVES = frozenset({"model", "seed", "step", "kimg", "epoch", "seconds", "cpu_seconds", "train_seconds"})
OVERVIEW = ("loss", "reconstruction", "kl", "d_loss", "g_loss")
TERMS_LABEL, ADVERSARIAL_LABEL, ACCURACY_LABEL, OTHER_LABEL = (
    "likelihood terms",
    "adversarial losses",
    "discriminator accuracy",
    "other scalars",
)
SMOOTH_FROM = 120
"""Curves of more points than this are drawn pale, their running mean over a fortieth of them on top."""


def panel_of(name: str) -> str:
    """Which panel the scalar `name` belongs to."""
    if name.startswith("d_accuracy"):
        return ACCURACY_LABEL
    if name in ("d_loss", "g_loss"):
        return ADVERSARIAL_LABEL
    parts = ("loss", "reconstruction", "kl", "nll", "elbo", "prior", "like", "likelihood")
    return TERMS_LABEL if any(name == part or name.endswith(f"_{part}") for part in parts) else OTHER_LABEL


@styled
def loss_curves(history: Sequence[Row], *, model: str, unit: str = "nats per image") -> Figure:
    """Every scalar of `history` against the training images seen, in panels by kind.

    A row has `step`, `kimg` (thousands of images) and named scalars; a missing value (None) is left out, a value
    that is not finite leaves a gap and is marked. `unit` is that of the losses; accuracies are fractions.
    """
    names = scalars(history)
    groups = {
        label: chosen
        for label in (TERMS_LABEL, ADVERSARIAL_LABEL, ACCURACY_LABEL, OTHER_LABEL)
        if (chosen := [name for name in names if panel_of(name) == label])
    }
    count = max(1, len(groups))
    columns = balanced_columns(count, 2)
    figure = blank(PAGE if columns > 1 else 6.5, 3.3 * math.ceil(count / columns) + 0.4)
    axes = panels(figure, count, columns)
    for axis, (label, chosen) in zip(axes, groups.items(), strict=False):
        draw_panel(axis, history, chosen, {name: numbered_style(k) for k, name in enumerate(chosen)})
        axis.set_title(label, pad=22)
        axis.set_ylabel({ACCURACY_LABEL: "fraction classified correctly", OTHER_LABEL: "own unit"}.get(label, unit))
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2)
        axis.set_xlabel(IMAGES_LABEL)
        if label == ACCURACY_LABEL:
            chance_line(axis)
    if not groups:
        say_nothing(axes[0])
    figure.suptitle(model, x=0.01, ha="left", fontweight="bold")
    return figure


@styled
def loss_overview(histories: Mapping[str, Sequence[Row]], *, unit: str = "nats per image") -> Figure:
    """One small panel per model with its loss, the bound's terms and the adversarial losses, each on its own scale."""
    styles = {name: numbered_style(k) for k, name in enumerate(OVERVIEW)}
    columns = balanced_columns(max(1, len(histories)), 4)
    width = PAGE if columns > 2 else 4.2 * columns
    figure = blank(width, 1.9 * math.ceil(len(histories) / columns) + 0.9)
    axes = panels(figure, len(histories), columns)
    for axis, (model, history) in zip(axes, histories.items(), strict=True):
        chosen = [name for name in scalars(history) if name in OVERVIEW]
        draw_panel(axis, history, chosen, styles, ticks=3)
        axis.set_title(model, fontweight="bold")
        if not chosen:
            say_nothing(axis)
    used = [name for name in OVERVIEW if any(name in scalars(history) for history in histories.values())]
    shared_legend(figure, {name: styles[name] for name in used})
    figure.supxlabel(IMAGES_LABEL)
    figure.supylabel(unit)
    return figure


def scalars(history: Sequence[Row]) -> list[str]:
    """Names of the scalars that have at least one value, in the order of their first appearance."""
    names = dict.fromkeys(name for row in history for name in row if name not in NOT_CURVES)
    return [name for name in names if any(number(row.get(name)) is not None for row in history)]


def curve(history: Sequence[Row], name: str) -> Curve:
    """Thousands of images and the values of `name`, rows without it left out."""
    kept = [(number(row["kimg"]), value) for row in history if (value := number(row.get(name))) is not None]
    points = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def draw_panel(
    axis: Axes, history: Sequence[Row], names: Sequence[str], styles: Mapping[str, ModelStyle], ticks: int = 5
) -> None:
    """Draw the named curves; a log scale where they span decades."""
    values: list[float] = []
    for name in names:
        kimg, height = curve(history, name)
        label = name.replace("_", " ")
        if name.endswith("elbo"):  # negated: it is to be read beside the loss that bounds it
            height, label = -height, f"\u2212{label}"
        values += height[np.isfinite(height)].tolist()
        draw_curve(axis, (kimg, height), styles[name], label)
    if spans_decades(values):
        log_axis(axis, "y")
    else:
        plain_axis(axis, "y", ticks)
    plain_axis(axis, "x", ticks)


def draw_curve(axis: Axes, points: Curve, style: ModelStyle, label: str) -> None:
    """One curve: pale where it is noisy with its running mean on top, a line where it stops being finite."""
    kimg, height = points
    finite = np.isfinite(height)
    if len(height) == 1 or finite.sum() == 1:
        axis.plot(kimg, height, label=label, marker=style.marker, **style.line())
    elif len(height) > SMOOTH_FROM and finite.all():
        axis.plot(kimg, height, color=style.colour, alpha=0.25, linewidth=0.7)
        window = max(3, len(height) // 40)
        mean = np.convolve(height, np.full(window, 1 / window), mode="valid")
        start = (window - 1) // 2
        axis.plot(kimg[start : start + len(mean)], mean, label=label, **style.line())
    else:
        axis.plot(kimg, np.where(finite, height, np.nan), label=label, **style.line())
    if not finite.all():
        mark_divergence(axis, kimg, float(kimg[int(np.argmin(finite))]), label)


def mark_divergence(axis: Axes, kimg: NDArray[np.float64], first: float, label: str) -> None:
    """A dotted line at the first value that is not finite, with a word."""
    axis.axvline(first, color=VERMILLION, linewidth=1, linestyle=":")
    side = "left" if first < np.mean(kimg[[0, -1]]) else "right"
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    text = f" {label} not finite from here "
    axis.text(first, 0.03, text, transform=axis.get_xaxis_transform(), fontsize=SMALL, ha=side, bbox=ground)


def chance_line(axis: Axes) -> None:
    """Accuracies lie in [0, 1]; a discriminator that guesses gets a half."""
    axis.set_yscale("linear")  # shares may span decades, and a share of 0 has no logarithm
    axis.set_ylim(-0.02, 1.02)
    axis.axhline(0.5, color=GREY, linewidth=1, linestyle=(0, (2, 2)))
    place = axis.get_yaxis_transform()
    axis.text(1.0, 0.515, "chance", transform=place, ha="right", va="bottom", color=GREY, fontsize=SMALL)


def say_nothing(axis: Axes) -> None:
    """An empty history gets an empty panel with a word, and no scale."""
    axis.set(xticks=[], yticks=[])
    say(axis, "nothing recorded")


def shared_legend(figure: Figure, styles: Mapping[str, ModelStyle]) -> None:
    """One legend over all panels."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], label=name.replace("_", " "), **style.line()) for name, style in styles.items()]
    if lines:
        figure.legend(handles=lines, loc="outside upper left", ncols=len(lines))
