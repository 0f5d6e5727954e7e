"""Discriminator against generator (Ponnuru Fig 7): both losses, and the share of real and generated images told
rightly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.figures.losses import IMAGES_LABEL, chance_line, curve, draw_panel, scalars, shared_legend
from pipeline.figures.style import (
    PAGE,
    ModelStyle,
    Row,
    balanced_columns,
    blank,
    model_styles,
    name_panel,
    say,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES, ACCURACIES = ("d_loss", "g_loss"), ("d_accuracy_real", "d_accuracy_fake")
CURVES = (*LOSSES, *ACCURACIES)


def is_adversarial(history: Sequence[Row]) -> bool:
    """Whether a training recorded a discriminator."""
    return any(name in CURVES for name in scalars(history))


@styled
def adversary_sheet(
    histories: Mapping[str, Sequence[Row]],
    *,
    warmups: Mapping[str, float] | None = None,
    models: Sequence[str] = (),
) -> Figure:
    """Two panels for each model, one over the other: its losses, in nats, and its discriminator's accuracies.

    The models are those of the histories given; one that recorded no discriminator gets a word. The first
    `warmups[model]` steps are shaded; `models` are all models that a look is needed for. Raises ValueError for none
    at all.
    """
    if not histories:
        raise ValueError("a sheet of adversaries needs one at least")
    looks = model_styles([*models, *histories])
    columns = balanced_columns(len(histories), 4)
    rows = math.ceil(len(histories) / columns)
    right = ", ".join(f"{model} {100 * share:.0f} %" for model, share in accuracies(histories).items())
    figure = blank(PAGE if columns > 2 else 6.0, 2.9 * rows + 0.7, title=message(histories),
                   alt=f"{message(histories)}. Images told rightly at the end: {right or 'none'}.")  # fmt: skip
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for spare in axes[-2:, (len(histories) - 1) % columns + 1 :].flat:
        spare.set_visible(False)
    for k, (model, history) in enumerate(histories.items()):
        upper, lower = (axes[2 * (k // columns) + half, k % columns] for half in (0, 1))
        for axis, names, label in ((upper, LOSSES, "loss, nats"), (lower, ACCURACIES, "share told rightly")):
            draw_half(axis, history, names, looks[model], label if k % columns == 0 else "",
                      (warmups or {}).get(model, 0))  # fmt: skip
        name_panel(upper, model, looks[model])
        chance_line(lower)
    shared_legend(figure, CURVES, histories, warmup=bool(warmups), chance=True)
    figure.supxlabel(IMAGES_LABEL)
    return figure


def accuracies(histories: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """Mean over the last tenth of its training of how often each discriminator is right, real and generated alike."""
    found: dict[str, float] = {}
    for model, history in histories.items():
        curves = [curve(history, name)[1] for name in ACCURACIES if name in scalars(history)]
        if len(curves) == len(ACCURACIES):
            share = float(np.mean([values[-max(1, len(values) // 10) :].mean() for values in curves]))
            found |= {model: share} if math.isfinite(share) else {}
    return found


def message(histories: Mapping[str, Sequence[Row]]) -> str:
    """Whose discriminator is right most often at the end, and whose least often."""
    right = accuracies(histories)
    if not right:
        return "No discriminator's accuracy was recorded"
    most, least = (choose(right, key=right.__getitem__) for choose in (max, min))
    words = f"{most}'s discriminator is right on {100 * right[most]:.0f} % of images at the end"
    return words + (f", {least}'s on {100 * right[least]:.0f} %" if least != most else "")


def draw_half(
    axis: Axes, history: Sequence[Row], names: Sequence[str], look: ModelStyle, label: str, warmup: float
) -> None:
    """One panel of a model with the curves that its history has."""
    there = [name for name in names if name in scalars(history)]
    draw_panel(axis, history, there, look, CURVES, warmup=warmup)
    axis.set_ylabel(label)
    if not there:
        say(axis, "nothing recorded")
