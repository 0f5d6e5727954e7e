"""One look for all figures: sizes, a colour-blind-safe palette, axes, and the bytes that a figure is kept as.

The palette is Okabe & Ito's ('Color Universal Design', 2008) without its yellow, which is too pale for a line on
white, and with black and grey kept for the references. Marker and line style change with the colour, so that no
figure is read by colour alone. No pyplot: a figure holds no global state. matplotlib is imported when one is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

Row = Mapping[str, Any]
"""A row of a table: values are numbers, text of numbers, or missing (None or empty)."""

DPI = 160
PAGE = 10.0
"""Width of a full-width figure in inches."""

BLACK, GREY, PALE = "#000000", "#6e6e6e", "#d9d9d9"
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
# Six colours, seven markers and five dashes share no divisor: 42 points and 30 lines differ before any pair repeats.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (9, 2))
POINT: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.7}
"""Keywords of a marker that stands on its interval."""
REFERENCES = ("real", "noise", "mean_image", "copies", "duplicates", "half_the_classes", "other_fonts")
"""Rows of a table that are no model: what a perfect model, noise, a blur and known faults would get."""

RC: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.5,
    "lines.markersize": 6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "easel",
}


@dataclass(frozen=True)
class ModelStyle:
    """How one model looks in every figure."""

    colour: str
    marker: str
    dashes: tuple[float, ...]

    def line(self) -> dict[str, Any]:
        """Keywords of `Axes.plot`."""
        return {"color": self.colour, "dashes": self.dashes} if self.dashes else {"color": self.colour}


def model_styles(names: Iterable[str]) -> dict[str, ModelStyle]:
    """The style of each name, by its position among the models; the reference rows are black and grey."""
    models = [name for name in dict.fromkeys(names)]
    numbered = [name for name in models if name not in REFERENCES]
    styles = {name: numbered_style(k) for k, name in enumerate(numbered)}
    greys = {name: ModelStyle(BLACK if name == "real" else GREY, "|", (4, 2)) for name in REFERENCES}
    return {name: styles[name] if name in styles else greys[name] for name in models}


def numbered_style(position: int) -> ModelStyle:
    """The style of the model, or of the curve, at `position` in its list (0, 1, ...)."""
    return ModelStyle(
        PALETTE[position % len(PALETTE)], MARKERS[position % len(MARKERS)], DASHES[position % len(DASHES)]
    )


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under this look and matplotlib's own defaults, whatever the user's matplotlibrc says."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        from matplotlib import style

        with style.context(["default", RC]):
            return draw(*args, **kwargs)

    return drawn


def blank(width: float, height: float, *, layout: str = "constrained") -> Figure:
    """An empty figure of `width` by `height` inches on an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


@styled
def save(figure: Figure) -> tuple[bytes, bytes]:
    """The figure as PNG (160 dots per inch) and as SVG (text kept as text); equal figures give equal bytes."""
    png, svg = BytesIO(), BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


def number(value: Any) -> float | None:
    """A table's value as a float, None where it is missing; nan and inf stay what they are."""
    return None if value is None or value == "" else float(value)


def finite(row: Row, name: str) -> float | None:
    """The value of `name` in `row`, None where it is missing or not finite."""
    value = number(row.get(name))
    return value if value is not None and math.isfinite(value) else None


def interval(row: Row, name: str) -> tuple[float, float] | None:
    """`<name>_low` and `<name>_high` of a row, None where either is missing."""
    low, high = finite(row, f"{name}_low"), finite(row, f"{name}_high")
    return None if low is None or high is None else (low, high)


def spans_decades(values: Sequence[float], ratio: float = 50.0) -> bool:
    """Whether a log scale shows these better: all positive, the largest over `ratio` times the smallest."""
    return bool(values) and min(values) > 0 and max(values) > ratio * min(values)


def short(value: float) -> str:
    """A number in at most three digits and a suffix: 0.012, 950, 1.2k, 35M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}".replace("e-0", "e-")


def log_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make one axis logarithmic with plain numbers at its ticks, 1-2-5 where a decade apart would be too few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low) if low > 0 else 1.0
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_formatter(NullFormatter())


def plain_axis(axes: Axes, which: Literal["x", "y"], ticks: int = 5) -> None:
    """Give a linear axis at most `ticks` + 1 ticks, written as 1.2k and 35M rather than with an offset."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def panels(figure: Figure, count: int, columns: int, **options: Any) -> list[Axes]:
    """`count` axes in rows of `columns`; the cells left over in the last row are hidden."""
    rows = math.ceil(count / columns)
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for spare in axes[count:]:
        spare.set_visible(False)
    return axes[:count]


def say(axes: Axes, text: str) -> None:
    """Say in the middle of empty axes why they are empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def balanced_columns(count: int, most: int) -> int:
    """Columns of a grid of `count` cells, at most `most`, that leaves the fewest empty."""
    return math.ceil(count / math.ceil(count / most))
