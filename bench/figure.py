"""The plots: every ratio with its spread, and what each metric costs as the sets grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rows import Row
from pipeline.core import artifacts
from pipeline.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"train": style.BLUE, "sample": style.GREEN, "metrics": style.VERMILLION, "limit": style.PURPLE}
"""Kinds whose rows have a peer."""

ROW = 0.24
"""Inches of height per row."""


@style.styled
def ratios(rows: Sequence[Row]) -> Figure:
    """One point per comparison, the spread over the rounds as a line; right of 1 ours is better."""
    drawn = [row for row in rows if row.ratio is not None and row.ratio > 0][::-1]
    figure = style.blank(style.PAGE, 1.1 + ROW * max(len(drawn), 3))
    axes = figure.subplots()
    axes.axvline(1, color=style.BLACK, linewidth=0.8)
    for place, row in enumerate(drawn):
        assert row.ratio is not None and row.ratio_low is not None and row.ratio_high is not None
        colour = KINDS.get(row.kind, style.GREY)
        axes.plot([row.ratio_low, row.ratio_high], [place, place], color=colour, linewidth=2)
        axes.plot([row.ratio], [place], marker="o", linestyle="none", color=colour, **style.POINT)
        axes.text(1.01, place, f"{row.ratio:.2f}", transform=axes.get_yaxis_transform(), va="center", fontsize=7)
    axes.set_yticks(range(len(drawn)), [label(row) for row in drawn], fontsize=7)
    axes.set_ylim(-0.7, max(len(drawn), 1) - 0.3)
    axes.grid(axis="y", visible=False)
    if drawn:
        style.log_axis(axes, "x")
    else:
        style.say(axes, "nothing was compared")
    axes.set_xlabel("times as fast as the peer (median of the rounds; line: lowest to highest)")
    return figure


def label(row: Row) -> str:
    """What was compared with whom."""
    return f"{row.kind}: {row.what}, {row.setting}  |  {row.peer}"


@style.styled
def cost(points: Mapping[str, Sequence[tuple[int, float, float]]], exponents: Mapping[str, float]) -> Figure:
    """Seconds and memory against n, a line per metric."""
    figure = style.blank(style.PAGE, 5.4)
    left, right = figure.subplots(1, 2)
    for place, (metric, found) in enumerate(points.items()):
        look = style.numbered_style(place)
        n = [point[0] for point in found]
        named = f"{metric} (n^{exponents[metric]:.2f})"
        for axes, column in ((left, 1), (right, 2)):
            values = [max(point[column], 1e-3 if column == 1 else 1.0) for point in found]
            axes.plot(n, values, marker=look.marker, label=named if axes is left else None, markersize=4, **look.line())
    right.axhline(2048, color=style.GREY, linewidth=0.8, linestyle="--")
    for axes, words in ((left, "seconds"), (right, "peak memory above the data, MB (dashed: 2 GiB)")):
        style.log_axis(axes, "x")
        style.log_axis(axes, "y")
        axes.set_xlabel("images on each side")
        axes.set_ylabel(words)
    figure.legend(loc="outside lower center", ncols=5, fontsize=7)
    return figure


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
