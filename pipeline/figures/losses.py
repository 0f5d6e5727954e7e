"""Loss curves (Ponnuru Figs 7 and 9): the bound and its terms, and the adversarial losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.style import (
    BLACK,
    DASHES,
    GREY,
    PAGE,
    PALE,
    SMALL,
    VERMILLION,
    ModelStyle,
    Row,
    balanced_columns,
    blank,
    legend,
    listed,
    log_axis,
    model_styles,
    name_panel,
    number,
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

    Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

IMAGES_LABEL = "training images seen"
NOT_CURVES = frozenset({"model", "seed", "step", "kimg", "epoch", "seconds", "cpu_seconds", "train_seconds"})
OVERVIEW = ("loss", "reconstruction", "kl", "d_loss", "g_loss")
LABELS = {"kl": "KL", "d_loss": "discriminator loss", "g_loss": "generator loss",
          "d_accuracy_real": "accuracy on real", "d_accuracy_fake": "accuracy on generated"}  # fmt: skip
OF_DISCRIMINATOR = ("d_loss", "d_accuracy_real")
"""Curves in black; all others have their model's colour."""
SMOOTH_FROM = 120
"""Curves of more points than this are drawn pale, their running mean over a fortieth of them on top."""
WARMUP: dict[str, Any] = {"color": PALE, "alpha": 0.5, "linewidth": 0, "zorder": 0}
"""Keywords of the shade over a warm-up."""
CHANCE: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (2, 2))}
"""Keywords of the line at the accuracy of a guess."""
STILL_FALLING = 0.005
"""Part by which a loss fell over the last tenth of a training that was not at its end."""


@styled
def loss_overview(
    histories: Mapping[str, Sequence[Row]],
    *,
    unit: str = "nats per image",
    warmups: Mapping[str, float] | None = None,
    models: Sequence[str] = (),
) -> Figure:
    """One small panel per model with its loss, the bound's terms and the adversarial losses, each on its own scale.

    A row has `step`, `kimg` (thousands of images) and named scalars; a missing value (None) is left out, a value that
    is not finite leaves a gap and is marked. The first `warmups[model]` steps are shaded. `models` are all models that
    a look is needed for. The title says what diverged and what was still falling.
    """
    looks = model_styles([*models, *histories])
    columns = balanced_columns(max(1, len(histories)), 4)
    width = PAGE if columns > 2 else 5.0 * columns
    height = 2.0 * math.ceil(len(histories) / columns) + 0.9
    figure = blank(width, height, title=message(histories), alt=told(histories))
    axes = panels(figure, len(histories), columns)
    for axis, (model, history) in zip(axes, histories.items(), strict=True):
        chosen = [name for name in scalars(history) if name in OVERVIEW]
        draw_panel(axis, history, chosen, looks[model], OVERVIEW, warmup=(warmups or {}).get(model, 0))
        name_panel(axis, model, looks[model])
        if not chosen:
            say_nothing(axis)
    shared_legend(figure, OVERVIEW, histories, warmup=bool(warmups))
    figure.supxlabel(IMAGES_LABEL)
    figure.supylabel(unit)
    return figure


def message(histories: Mapping[str, Sequence[Row]]) -> str:
    """Which trainings diverged, and which of those without a discriminator still improved at their end."""
    diverged = [model for model, history in histories.items() if diverges(history)]
    falling = [model for model, history in histories.items() if model not in diverged and still_falling(history)]
    words = f"{listed(diverged)} diverged" if diverged else "No training diverged"
    return words + (f"; the loss of {listed(falling)} still fell at the end" if falling else "")


def diverges(history: Sequence[Row]) -> bool:
    """Whether a loss stops being finite."""
    return any(not np.isfinite(curve(history, name)[1]).all() for name in scalars(history) if name in OVERVIEW)


def still_falling(history: Sequence[Row]) -> bool:
    """Whether the loss of a training without a discriminator fell over its last tenth by more than half a per cent."""
    _, loss = curve(history, "loss")
    tenth = len(loss) // 10
    if tenth < 1 or "d_loss" in scalars(history):
        return False
    before, last = loss[-2 * tenth : -tenth].mean(), loss[-tenth:].mean()
    return bool(before - last > STILL_FALLING * abs(before))


def told(histories: Mapping[str, Sequence[Row]]) -> str:
    """The last value of every curve of every model."""
    words = f"{message(histories)}."
    for model, history in histories.items():
        last = {
            name: values[-1] for name in scalars(history) if name in OVERVIEW and len(values := curve(history, name)[1])
        }
        if last:
            words += f" {model}, at last: {', '.join(f'{label(name)} {short(float(v))}' for name, v in last.items())}."
    return words


def label(name: str) -> str:
    """What a curve is called."""
    return LABELS.get(name, name.replace("_", " "))


def scalars(history: Sequence[Row]) -> list[str]:
    """Names of the scalars that have at least one value, in the order of their first appearance."""
    names = dict.fromkeys(name for row in history for name in row if name not in NOT_CURVES)
    return [name for name in names if any(number(row.get(name)) is not None for row in history)]


def curve(history: Sequence[Row], name: str) -> Curve:
    """Images seen and the values of `name`, rows without it left out."""
    kept = [(number(row["kimg"]), value) for row in history if (value := number(row.get(name))) is not None]
    points = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return 1000 * points[:, 0], points[:, 1]


def draw_panel(
    axis: Axes,
    history: Sequence[Row],
    names: Sequence[str],
    look: ModelStyle,
    order: Sequence[str],
    *,
    warmup: float = 0,
) -> None:
    """Draw the named curves, dashed by their place in `order`; a log scale, which is said, where they span decades."""
    values: list[float] = []
    for name in names:
        seen, height = curve(history, name)
        values += height[np.isfinite(height)].tolist()
        draw_curve(axis, (seen, height), curve_style(name, look, order), label(name))
    if spans_decades(values):
        log_axis(axis, "y")
        axis.set_title("log scale", loc="right", fontsize=SMALL, color=GREY)
    else:
        plain_axis(axis, "y", 4)
    plain_axis(axis, "x", 3)
    if warmup:
        shade_warmup(axis, history, warmup)


def curve_style(name: str, look: ModelStyle, order: Sequence[str]) -> ModelStyle:
    """A curve's style: its model's colour, black if it is the discriminator's or of real images, and its own dashes."""
    return ModelStyle(BLACK if name in OF_DISCRIMINATOR else look.colour, look.marker, DASHES[order.index(name)])


def shade_warmup(axis: Axes, history: Sequence[Row], steps: float) -> None:
    """Shade the images that a training saw in its first `steps` steps."""
    seen = [number(row["kimg"]) or 0.0 for row in history if (number(row.get("step")) or 0.0) <= steps]
    end = 1000 * max(seen, default=0.0)
    if end > 0:
        axis.axvspan(0, end, **WARMUP)


def draw_curve(axis: Axes, points: Curve, style: ModelStyle, name: str) -> None:
    """One curve: pale where it is noisy with its running mean on top, a line where it stops being finite."""
    seen, height = points
    finite = np.isfinite(height)
    if len(height) == 1 or finite.sum() == 1:
        axis.plot(seen, height, label=name, marker=style.marker, **style.line())
    elif len(height) > SMOOTH_FROM and finite.all():
        axis.plot(seen, height, color=style.colour, alpha=0.25, linewidth=0.7)
        window = max(3, len(height) // 40)
        mean = np.convolve(height, np.full(window, 1 / window), mode="valid")
        start = (window - 1) // 2
        axis.plot(seen[start : start + len(mean)], mean, label=name, **style.line())
    else:
        axis.plot(seen, np.where(finite, height, np.nan), label=name, **style.line())
    if not finite.all():
        mark_divergence(axis, seen, float(seen[int(np.argmin(finite))]), name)


def mark_divergence(axis: Axes, seen: NDArray[np.float64], first: float, name: str) -> None:
    """A dotted line at the first value that is not finite, with a word."""
    axis.axvline(first, color=VERMILLION, linewidth=1, linestyle=":")
    side = "left" if first < np.mean(seen[[0, -1]]) else "right"
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    text = f" {name} not finite from here "
    axis.text(first, 0.03, text, transform=axis.get_xaxis_transform(), fontsize=SMALL, ha=side, bbox=ground)


def chance_line(axis: Axes) -> None:
    """Accuracies lie in [0, 1]; a discriminator that guesses gets a half."""
    axis.set_yscale("linear")  # shares may span decades, and a share of 0 has no logarithm
    axis.set_title("", loc="right")
    axis.set_ylim(-0.02, 1.02)
    axis.axhline(0.5, **CHANCE)


def say_nothing(axis: Axes) -> None:
    """An empty history gets an empty panel with a word, and no scale."""
    axis.set(xticks=[], yticks=[])
    say(axis, "nothing recorded")


def shared_legend(
    figure: Figure, order: Sequence[str], histories: Mapping[str, Sequence[Row]], *, warmup: bool, chance: bool = False
) -> None:
    """One legend over all panels, of the curves that some history has, and of the shade and the line that are drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    grey = ModelStyle(GREY, "o", ())
    used = [name for name in order if any(name in scalars(history) for history in histories.values())]
    lines: list[Any] = [Line2D([], [], label=label(name), **curve_style(name, grey, order).line()) for name in used]
    lines += [Patch(label="warm-up", **WARMUP)] if warmup and lines else []
    lines += [Line2D([], [], label="chance", **CHANCE)] if chance and lines else []
    if lines:
        legend(figure, lines, len(lines) if figure.get_size_inches()[0] > 6 else 2)
