"""One look for all figures: sizes, a colour-blind-safe palette, axes, and the bytes that a figure is kept as.

The palette is Okabe & Ito's ('Color Universal Design', 2008) without its yellow, which is too pale for a line on
white, and with black and grey kept for the references. Marker and line style change with the colour, so that no
figure is read by colour alone. No pyplot: a figure holds no global state. matplotlib is imported when one is drawn.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from pipeline.core.references import REFERENCES

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
WINE = "#882255"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
# Six colours share no divisor with seven markers and seven dashes: 42 points and lines differ before any pair repeats.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[tuple[float, ...], ...] = (
    (), (5, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (9, 2), (1.2, 3), (4, 1.2, 1.2, 1.2, 1.2, 1.2),
)  # fmt: skip
FAMILIES = {
    BLUE: ("vae", "vae_2d", "vae_faces", "vae_wide", "vae_mixture", "autoencoder", "dvae"),
    SKY: ("info_vae", "made"),
    ORANGE: ("draw", "draw_grey", "draw_adversarial_prior"),
    VERMILLION: (
        "draw_gan", "draw_gan_ssim", "draw_gan_as_written", "draw_gan_no_features", "draw_gan_no_gate", "vae_gan",
    ),
    PURPLE: ("dcgan", "gan", "gan_conv", "dcgan_wider", "dcgan_deeper", "gan_first_try", "gan_small"),
    GREEN: ("gran3", "gran1", "gran5", "gran5_at7", "gran5_at9", "gran3_noise"),
    WINE: ("flow_matching", "ddpm"),
}  # fmt: skip
"""Models that look the same in the figures of every data set: a colour per family, a marker per member."""
SMALL = 9
"""Points of the smallest text: 11 pixels at least where a figure is shown in a page of 1024 pixels."""
POINT: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.7}
"""Keywords of a marker that stands on its interval."""

RC: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "font.size": SMALL,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "figure.labelsize": 9.5,
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
    """The style of each name: models of `FAMILIES` have their own, others follow by position, references are grey."""
    models = list(dict.fromkeys(names))
    fixed = {name: family_style(k, j) for k, family in enumerate(FAMILIES.values()) for j, name in enumerate(family)}
    styles = {name: ModelStyle(BLACK if name == "real" else GREY, "|", (4, 2)) for name in REFERENCES} | fixed
    taken = {(styles[name].colour, styles[name].marker) for name in models if name in fixed}
    numbered = map(numbered_style, range(len(PALETTE) * len(MARKERS)))
    free = itertools.cycle([style for style in numbered if (style.colour, style.marker) not in taken] or [PLAIN])
    return {name: styles[name] if name in styles else next(free) for name in models}


def family_style(family: int, member: int) -> ModelStyle:
    """The style of a family's member; the first members of all families differ in their markers too."""
    return ModelStyle(
        tuple(FAMILIES)[family], MARKERS[(family + member) % len(MARKERS)], DASHES[(family + member) % len(DASHES)]
    )


def numbered_style(position: int) -> ModelStyle:
    """The style of the model, or of the curve, at `position` in its list (0, 1, ...)."""
    return ModelStyle(
        PALETTE[position % len(PALETTE)], MARKERS[position % len(MARKERS)], DASHES[position % len(DASHES)]
    )


PLAIN = ModelStyle(GREY, "o", ())
"""The style of a model of more than the palette has."""


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under this look and matplotlib's own defaults, whatever the user's matplotlibrc says."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        from matplotlib import style

        with style.context(["default", RC]):
            return draw(*args, **kwargs)

    return drawn


def blank(width: float, height: float, *, layout: str = "constrained", title: str = "", alt: str = "") -> Figure:
    """An empty figure of `width` by `height` inches on an Agg canvas.

    A title, which says what the figure shows, adds its lines to the height. `alt` says the same result in full to who
    does not see the figure; both are kept in its files.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, int(TITLE_CHARACTERS * width))
    figure = Figure(figsize=(width, height + TITLE_LINE * len(lines)), layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    if lines:
        figure.suptitle("\n".join(lines), x=0.06 / width, ha="left")
    describe(figure, title, alt)
    return figure


def legend(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    """One legend over all panels, under the figure's title: the layout has one place for both."""
    title = figure.get_suptitle()
    figure.suptitle("")
    weight = {"weight": "bold", "size": RC["figure.titlesize"]}
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, title=title or None, alignment="left",
                  handlelength=2.6, columnspacing=1.6, title_fontproperties=weight, borderpad=0.1)  # fmt: skip


TITLE_CHARACTERS, TITLE_LINE = 10.6, 0.2
"""Characters of a title per inch, and inches of one of its lines."""


def describe(figure: Figure, title: str, alt: str = "") -> None:
    """Keep a figure's title and alternative text with it, for `save`."""
    figure.set_label(f"{title}\n{alt or title}")


@styled
def save(figure: Figure) -> tuple[bytes, bytes]:
    """The figure as PNG (160 dots per inch) and as SVG (text kept as text), with its title and its alternative text.

    Equal figures give equal bytes.
    """
    png, svg = BytesIO(), BytesIO()
    title, _, alt = str(figure.get_label()).partition("\n")
    words = {"Title": title, "Description": alt} if title else {}
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None} | words)
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None} | words)
    return png.getvalue(), svg.getvalue()


def number(value: Any) -> float | None:
    """A table's value as a float, None where it is missing; nan and inf stay what they are."""
    return None if value is None or value == "" else float(value)


def finite(row: Row, name: str) -> float | None:
    """The value of `name` in `row`, None where it is missing or not finite."""
    value = number(row.get(name))
    return value if value is not None and math.isfinite(value) else None


def loss(value: float, better: str, real: float | None) -> float:
    """A value as one of which less is better: itself, its negative, or its distance to what real images get."""
    return {"lower": value, "higher": -value}.get(better, abs(value - (real or 0.0)))


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


def listed(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def log_axis(axes: Axes, which: Literal["x", "y"], *, dense: float = 2.5) -> None:
    """Make one axis logarithmic with plain numbers at its ticks, 1-2-5 of less than `dense` decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low) if low > 0 else 1.0
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < dense else (1.0,), numticks=8))
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


def name_panel(axes: Axes, text: str, look: ModelStyle) -> None:
    """Title a panel with its model's name behind the model's marker."""
    from matplotlib.transforms import ScaledTranslation

    figure, cells = axes.get_figure(root=True), axes.get_gridspec()
    assert figure is not None and cells is not None
    inches = figure.get_size_inches()[0] / cells.ncols
    axes.set_title(text, x=0.21 / inches)
    line = 10 / 72
    up = ScaledTranslation(5 / 72, (text.count("\n") * 1.2 + 0.95) * line, figure.dpi_scale_trans)
    axes.scatter([0], [1], s=40, marker=look.marker, color=look.colour, transform=axes.transAxes + up, clip_on=False)


def say(axes: Axes, text: str) -> None:
    """Say in the middle of empty axes why they are empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def balanced_columns(count: int, most: int) -> int:
    """Columns of a grid of `count` cells, at most `most`, that leaves the fewest empty."""
    return math.ceil(count / math.ceil(count / most))
