"""Does a model drop classes? The shares of the classes in its samples against those in the data (Ponnuru Fig 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.figures.style import (
    BLACK,
    GREY,
    PAGE,
    PALE,
    SMALL,
    VERMILLION,
    ModelStyle,
    balanced_columns,
    blank,
    legend,
    listed,
    log_axis,
    model_styles,
    name_panel,
    panels,
    plain_axis,
    say,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shares = NDArray[np.float64]

RASTERISED_FROM = 100
"""Classes of more than this are pixels in the SVG too: as drawings they would make it large."""

NAMED_UP_TO = 30
"""With more classes they are drawn as a curve, from the commonest to the rarest, and not named."""


@styled
def class_histogram(
    data: NDArray[Any], models: Mapping[str, NDArray[Any]], *, class_names: Sequence[str] | None = None
) -> Figure:
    """Shares of the classes in the data (grey) and in each model's samples, one panel per model.

    `data` and every value of `models` are counts or shares (k,) of k classes. Each title gives the total variation
    distance, 1/2 sum |p - q|, and the classes that have a sample at all. Raises ValueError on other lengths.
    """
    truth = shares(data)
    if any(len(counts) != len(truth) for counts in models.values()):
        raise ValueError(f"every model needs {len(truth)} classes, as the data")
    few = len(truth) <= NAMED_UP_TO
    count = max(1, len(models))
    columns = balanced_columns(count, 4 if count > 6 or (few and len(truth) <= 12) else 3)
    width = PAGE if columns > 2 else 5.0 * columns
    figure = blank(width, 0.8 + (2.1 if columns > 2 else 2.6) * math.ceil(count / columns),
                   title=message(truth, models), alt=told(truth, models))  # fmt: skip
    axes = panels(figure, count, columns, sharex=True, sharey=True)
    styles = model_styles(models)
    order = np.argsort(-truth, kind="stable")
    names = [str(name) for name in (class_names if class_names is not None else range(len(truth)))]
    most = float(np.nanmax([truth, *(shares(counts) for counts in models.values())]))
    for axis in axes:
        draw_data(axis, truth, order, names, top=min(1.08 * most, 2.2 * float(truth.max())))
    for axis, (model, counts) in zip(axes, models.items(), strict=False):
        draw_model(axis, truth, shares(counts), order, styles[model])
        name_panel(axis, panel_title(model, truth, shares(counts)), styles[model])
    finish(figure, axes, columns, few)
    return figure


def distance(truth: Shares, found: Shares) -> float:
    """Total variation distance between two sets of shares, nan where there is no sample."""
    return 0.5 * float(np.abs(truth - found).sum())


def message(truth: Shares, models: Mapping[str, NDArray[Any]]) -> str:
    """Which models leave classes out, and whose shares are nearest to the data's and farthest from them."""
    apart = {model: value for model, counts in models.items()
             if not math.isnan(value := distance(truth, shares(counts)))}  # fmt: skip
    if not apart:
        return "No model has samples with classes"
    count, present = int((truth > 0).sum()), truth > 0
    missing = [model for model in apart if not (np.asarray(models[model])[present] > 0).all()]
    some = f"All {len(apart)} models" if len(missing) == len(apart) else f"{len(missing)} of {len(apart)} models"
    words = f"{listed(missing) if len(missing) <= 3 else some} "
    words += f"{'leaves' if len(missing) == 1 else 'leave'} out some of {count} classes"
    words = words if missing else f"Every model draws all {count} classes"
    near, far = (choose(apart, key=apart.__getitem__) for choose in (min, max))
    words += f"; {near}'s shares are nearest to the data's (total variation, TV, {apart[near]:.3f})"
    return words + (f", {far}'s farthest ({apart[far]:.3f})" if far != near else "")


def told(truth: Shares, models: Mapping[str, NDArray[Any]]) -> str:
    """Every panel's title as a sentence."""
    panels = [panel_title(model, truth, shares(counts)).replace("\n", ": ") for model, counts in models.items()]
    return " ".join(f"{words}." for words in (message(truth, models), *panels))


def shares(counts: NDArray[Any]) -> Shares:
    """Counts or shares (k,) made to sum to 1; all nan where there is no sample or a value is missing."""
    values = np.asarray(counts, dtype=np.float64)
    total = values.sum()
    return values / total if total > 0 else np.full(values.shape, np.nan)


def panel_title(model: str, truth: Shares, found: Shares) -> str:
    """The model, how far its shares are from the data's, and how many classes it covers."""
    if np.isnan(found).any():
        return f"{model}: no samples"
    return f"{model}\nTV {distance(truth, found):.3f}, {int((found > 0).sum())} of {int((truth > 0).sum())} classes"


def draw_data(axis: Axes, truth: Shares, order: NDArray[np.intp], names: Sequence[str], *, top: float) -> None:
    """The data's shares: bars up to `top` with the class names under them, or a filled curve by rank."""
    if len(truth) <= NAMED_UP_TO:
        axis.bar(range(len(truth)), truth, width=0.84, color=PALE)
        crowded = len(truth) > 12 or max(map(len, names)) > 3
        axis.set_xticks(range(len(truth)), names, rotation=90 if crowded else 0)
        axis.grid(visible=False, axis="x")
        plain_axis(axis, "y", 4)
        axis.set_ylim(0, top)
    else:
        ranked = np.where(truth[order] > 0, truth[order], np.nan)
        axis.fill_between(np.arange(1, len(truth) + 1), ranked, 1e-9, color=PALE, linewidth=0)
        axis.plot(np.arange(1, len(truth) + 1), ranked, color=BLACK, linewidth=1)
        axis.set_ylim(0.1 * np.nanmin(ranked), 4 * np.nanmax(ranked))
        log_axis(axis, "y")
        plain_axis(axis, "x", 4)


def draw_model(axis: Axes, truth: Shares, found: Shares, order: NDArray[np.intp], style: ModelStyle) -> None:
    """The model's shares as markers over the data's; dropped classes as ticks at the bottom."""
    if np.isnan(found).any():
        say(axis, "no samples")
    elif len(truth) <= NAMED_UP_TO:
        draw_marks(axis, truth, found, style)
    else:
        ranked = found[order]
        rank = np.arange(1, len(truth) + 1)
        axis.plot(rank[ranked > 0], ranked[ranked > 0], ".", color=style.colour, markersize=4, markeredgewidth=0,
                  rasterized=len(truth) > RASTERISED_FROM)  # fmt: skip
        dropped = rank[(ranked == 0) & (truth[order] > 0)]
        axis.plot(dropped, np.full(len(dropped), 0.04), "|", color=VERMILLION, markersize=6, markeredgewidth=0.7,
                  transform=axis.get_xaxis_transform())  # fmt: skip


def draw_marks(axis: Axes, truth: Shares, found: Shares, style: ModelStyle) -> None:
    """A marker per class on a stem from the data's bar; one above the panel stays at its top, with a number."""
    top = axis.get_ylim()[1]
    axis.vlines(range(len(truth)), truth, found, color=style.colour, linewidth=1.2)
    heights = np.minimum(found, 0.97 * top)
    axis.plot(range(len(truth)), heights, style.marker, color=style.colour, markersize=5, clip_on=False)
    for k in np.flatnonzero(found > top):
        right = k < len(truth) / 2
        axis.annotate(f"{found[k]:.2f}", (k, 0.97 * top), xytext=(6 if right else -6, 0), textcoords="offset points",
                      ha="left" if right else "right", va="center", fontsize=SMALL)  # fmt: skip


def finish(figure: Figure, axes: Sequence[Axes], columns: int, few: bool) -> None:
    """Axis titles once for the figure, a word on the marks, and class names under the lowest panel of each column."""
    for axis in axes:
        axis.label_outer()  # a log scale brings back the labels that sharing had hidden
    for axis in axes[-columns:]:
        axis.tick_params(labelbottom=True)
    figure.supylabel("share of images" if few else "share of images (log scale)")
    figure.supxlabel("class" if few else "class, from the commonest to the rarest in the data")
    explain(figure, few)


def explain(figure: Figure, few: bool) -> None:
    """What grey, marks and ticks mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=PALE, label="data")]
    handles.append(Line2D([], [], marker="o" if few else ".", linestyle="", color=GREY, label="samples of the model"))
    if not few:
        handles.append(Line2D([], [], marker="|", linestyle="", color=VERMILLION, label="class without a sample"))
    legend(figure, handles, len(handles) if figure.get_size_inches()[0] > 5 else 2)
