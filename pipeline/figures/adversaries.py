"""Discriminator against generator (Ponnuru Fig 7): both losses, and the share of real and generated images told
rightly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.figures.losses import IMAGES_LABEL, chance_line, draw_panel, scalars, shared_legend
from pipeline.figures.style import PAGE, ModelStyle, Row, balanced_columns, blank, numbered_style, say, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES, ACCURACIES = ("d_loss", "g_loss"), ("d_accuracy_real", "d_accuracy_fake")


def is_adversarial(history: Sequence[Row]) -> bool:
    """Whether a training recorded a discriminator."""
    return any(name in LOSSES or name in ACCURACIES for name in scalars(history))


@styled
def adversary_sheet(histories: Mapping[str, Sequence[Row]]) -> Figure:
    """Two panels for each model, one over the other: its losses, in nats, and its discriminator's accuracies.

    The models are those of the histories given; one that recorded no discriminator gets a word. Raises ValueError for
    none at all.
    """
    if not histories:
        raise ValueError("a sheet of adversaries needs one at least")
    styles = {name: numbered_style(k) for k, name in enumerate((*LOSSES, *ACCURACIES))}
    columns = balanced_columns(len(histories), 4)
    rows = math.ceil(len(histories) / columns)
    figure = blank(PAGE if columns > 2 else 6.0, 2.8 * rows + 0.7)
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for spare in axes[-2:, (len(histories) - 1) % columns + 1 :].flat:
        spare.set_visible(False)
    for k, (model, history) in enumerate(histories.items()):
        upper, lower = (axes[2 * (k // columns) + half, k % columns] for half in (0, 1))
        upper.set_title(model, fontweight="bold")
        for axis, names, label in ((upper, LOSSES, "nats"), (lower, ACCURACIES, "told rightly")):
            draw_half(axis, history, names, styles, label if k % columns == 0 else "")
        chance_line(lower)
    shared_legend(figure, styles)
    figure.supxlabel(IMAGES_LABEL)
    return figure


def draw_half(
    axis: Axes, history: Sequence[Row], names: Sequence[str], styles: Mapping[str, ModelStyle], label: str
) -> None:
    """One panel of a model with the curves that its history has."""
    there = [name for name in names if name in scalars(history)]
    draw_panel(axis, history, there, styles, ticks=3)
    axis.set_ylabel(label)
    if not there:
        say(axis, "nothing recorded")
