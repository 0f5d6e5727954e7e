"""The plots: every ratio with its spread, and what each metric costs as the sets grow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rows import Row
from pipeline.core import artifacts
from pipeline.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"train": style.BLUE, "sample": style.GREEN, "metrics": style.VERMILLION, "limit": style.PURPLE}
"""Kinds whose rows have a peer."""

ROW = 0.27
"""Inches of height per row."""


@style.styled
def ratios(rows: Sequence[Row]) -> Figure:
    """One point per comparison, the spread over the rounds as a line; right of 1 ours is better."""
    drawn = [row for row in rows if row.ratio is not None and row.ratio > 0][::-1]
    faster = sum(row.ratio >= 1 for row in drawn if row.ratio is not None)
    title = f"As fast as its peer or faster in {faster} of {len(drawn)} comparisons"
    figure = style.blank(style.PAGE, 1.2 + ROW * max(len(drawn), 3), title=title)
    axes = figure.subplots()
    axes.axvline(1, color=style.BLACK, linewidth=0.8)
    for place, row in enumerate(drawn):
        assert row.ratio is not None and row.ratio_low is not None and row.ratio_high is not None
        colour = KINDS.get(row.kind, style.GREY)
        axes.plot([row.ratio_low, row.ratio_high], [place, place], color=colour, linewidth=2)
        axes.plot([row.ratio], [place], marker="o", linestyle="none", color=colour, **style.POINT)
        axes.text(1.01, place, f"{row.ratio:.2f}", transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(drawn)), [label(row) for row in drawn])
    axes.set_ylim(-0.7, max(len(drawn), 1) - 0.3)
    axes.grid(axis="y", visible=False)
    if drawn:
        style.log_axis(axes, "x")
    else:
        style.say(axes, "nothing was compared")
    axes.set_xlabel("times as fast as the peer, log scale\n(median of the rounds; line: lowest to highest)")
    return figure


def label(row: Row) -> str:
    """What was compared with whom."""
    return f"{row.kind}: {row.what}, {row.setting}  |  {row.peer}"


@style.styled
def cost(points: Mapping[str, Sequence[tuple[int, float, float]]], exponents: Mapping[str, float]) -> Figure:
    """Seconds against n, a named line per metric, the slowest on top; and the peak memory at the largest n, as bars.

    `points` are (n, seconds, MB) of each metric. One that takes less than `LEAST` seconds at its largest n is only
    named under the lines.
    """
    slowest = sorted(points, key=lambda metric: -points[metric][-1][1])
    drawn = [metric for metric in slowest if points[metric][-1][1] >= LEAST]
    figure = style.blank(style.PAGE, 1.6 + 0.26 * max(len(drawn), 10), title=cost_message(points, exponents, slowest))
    if not drawn:
        style.say(figure.subplots(), f"no metric takes {LEAST} s")
        return figure
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    looks = {metric: style.numbered_style(k) for k, metric in enumerate(drawn)}
    for metric in drawn:
        n, seconds, _ = zip(*points[metric], strict=True)
        look = looks[metric]
        left.plot(n, seconds, marker=look.marker, markersize=4, **look.line())
    style.log_axis(left, "x")
    style.log_axis(left, "y")
    left.set(xlabel="images on each side (log scale)\nn^: how the seconds grow with them", ylabel="seconds (log scale)")
    name_lines(left, points[drawn[0]][-1][0], {metric: points[metric][-1][1] for metric in drawn}, exponents, looks)
    note = ", ".join(metric for metric in slowest if metric not in drawn)
    if note:
        text = f"under {LEAST} s at every size: {note}"
        figure.supxlabel(text, fontsize=style.SMALL, color=style.GREY, x=0.01, ha="left")
    memory_bars(right, [(metric, points[metric][-1][2], looks[metric].colour) for metric in drawn])
    return figure


LEAST = 0.01
"""Seconds below which a metric's cost is not drawn: a run that short is mostly the clock."""


def cost_message(
    points: Mapping[str, Sequence[tuple[int, float, float]]], exponents: Mapping[str, float], slowest: Sequence[str]
) -> str:
    """Which metric takes longest, and which needs most memory."""
    if not slowest:
        return "No metric was measured"
    (n, seconds, _), first = points[slowest[0]][-1], slowest[0]
    hungriest = max(points, key=lambda metric: points[metric][-1][2])
    words = f"{first} takes longest, {style.short(seconds)} s for {n:,} images on each side (n^{exponents[first]:.2f})"
    return words + f"; {hungriest} needs most memory, {style.short(points[hungriest][-1][2])} MB"


def name_lines(
    axes: Axes,
    largest: float,
    ends: Mapping[str, float],
    exponents: Mapping[str, float],
    looks: Mapping[str, style.ModelStyle],
) -> None:
    """The names of lines to the right of their ends, from the highest, each clear of the one above."""
    free = 1.0
    low, high = axes.get_ylim()
    for metric, end in ends.items():
        at = math.log(end / low) / math.log(high / low)
        place = min(at, free)
        free = place - 0.052 * 10 / max(len(ends), 10)
        line = {"arrowstyle": "-", "color": looks[metric].colour, "linewidth": 0.8, "relpos": (0, 0.5), "shrinkA": 1}
        axes.annotate(f"{metric}  n^{exponents[metric]:.2f}", (largest, end), xytext=(1.06, place), va="center",
                      textcoords="axes fraction", arrowprops=line, annotation_clip=False)  # fmt: skip


def memory_bars(axes: Axes, found: Sequence[tuple[str, float, str]]) -> None:
    """Peak memory of each metric, with its number at the bar's end."""
    for k, (_, memory, colour) in enumerate(found):
        axes.barh(k, memory, color=colour, height=0.66)
        axes.annotate(style.short(memory) if memory >= 1 else "under 1", (memory, k), xytext=(5, 0),
                      textcoords="offset points", va="center")  # fmt: skip
    axes.axvline(2048, color=style.GREY, linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(found)), [metric for metric, *_ in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    style.plain_axis(axes, "x")
    axes.set_xlabel("peak memory, MB\n(above the data; dashed: 2 GiB)")
    axes.grid(visible=False, axis="y")


@style.styled
def write(path: Path, figure: Figure) -> None:
    """As PNG and as PDF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "pdf"):
        drawn = BytesIO()
        figure.savefig(
            drawn, format=kind, dpi=style.DPI, metadata={"Software" if kind == "png" else "CreationDate": None}
        )
        artifacts.write_bytes(path.with_suffix(f".{kind}"), drawn.getvalue())
