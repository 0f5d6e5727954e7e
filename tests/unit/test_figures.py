"""The figures: what they show, that they are legible, and that equal inputs give equal bytes."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from pipeline.figures import (
    adversaries,
    alt,
    battles,
    canvases,
    class_sheet,
    class_sizes,
    classes,
    cost,
    distances,
    losses,
    mosaic,
    planes,
    samples,
    strips,
    style,
)
from pipeline.metrics import columns
from pipeline.stages import figures as figures_stage
from pipeline.tables.claims import Evidence
from pipeline.tables.ranks import with_ranks
from pipeline.workflow import layout
from tests.conftest import ROOT

MODELS = [
    "autoencoder", "vae", "vae_2d", "vae_faces", "info_vae", "dvae", "draw", "draw_gan", "gan", "gan_conv", "dcgan",
    "gran1", "gran3", "gran5", "gran5_at7", "gran5_at9", "gran3_noise", "draw_gan_ssim", "draw_adversarial_prior",
    "vae_gan",
]  # fmt: skip

pytestmark = pytest.mark.filterwarnings("error::UserWarning")


FD = distances.Metric("fd", "Fréchet distance", "lower")
RECALL = distances.Metric("recall", "recall", "higher")


def images(n: int, channels: int = 1, side: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, channels, side, side), dtype=np.uint8)


def score_rows(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(count)
    rows: list[dict[str, Any]] = []
    for name in MODELS[:count]:
        fd, seconds = rng.lognormal([2, 6], [1, 0.7]).tolist()
        rows.append({"model": name, "fd": fd, "fd_low": 0.8 * fd, "fd_high": 1.3 * fd, "recall": rng.random()})
        rows[-1] |= {"train_cpu_seconds": seconds, "parameters": int(rng.integers(100_000, 10_000_000))}
    references = {"real": 0.3, "noise": 900.0, "mean_image": 300.0}
    return rows + [{"model": name, "fd": fd, "recall": 0.9} for name, fd in references.items()]


def history(points: int, *names: str) -> list[dict[str, Any]]:
    rng = np.random.default_rng(points)
    return [{"step": k, "kimg": 0.1 * k, **{name: 1.0 + rng.random() for name in names}} for k in range(points)]


def error_rows(judges: list[str], contestants: list[str]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [{"judge": j, "contestant": c, "error": float(rng.beta(1, 4))} for j in judges for c in contestants]


def rating_rows(count: int) -> list[dict[str, Any]]:
    ratings = np.random.default_rng(1).standard_normal(count)
    return [
        {"model": name, "rating": r, "rating_low": r - 0.3, "rating_high": r + 0.4, "judged": 12}
        for name, r in zip(MODELS, ratings.tolist(), strict=False)
    ]


def overview(count: int) -> Figure:
    return distances.score_overview(score_rows(count), [FD, RECALL])


def histogram(count: int, k: int = 10) -> Figure:
    counts = np.random.default_rng(k).multinomial(1000, 0.97 ** np.arange(k) / (0.97 ** np.arange(k)).sum(), count)
    data = 1000 * 0.97 ** np.arange(k)
    return classes.class_histogram(data, dict(zip(MODELS, counts, strict=False)))


def sheet_of(count: int) -> Figure:
    """Up to 325 classes of falling size."""
    labels = np.repeat(np.arange(count), np.maximum(1, 12 - np.arange(count)))
    return class_sheet.class_sheet(images(len(labels)), labels, [f"s-tt-r{k}" for k in range(count)])


TAILED = np.maximum(6, 1700 * (6 / 1700) ** (np.arange(325) / 324)).astype(int)
"""Classes of 6 to 1,700 images."""
THIRDS = {name: np.arange(325) // 109 == k for k, name in enumerate(("head", "middle", "tail"))}


def sizes(count: int) -> Figure:
    drawn = np.random.default_rng(0).multinomial(10_000, TAILED / TAILED.sum(), count)
    return class_sizes.class_sizes(TAILED, dict(zip(MODELS, drawn, strict=False)), bands=THIRDS)


def strip_sheet(count: int) -> Figure:
    """Blocks of the size that a training on images of 28 x 28 pixels has, with all that can be written on one."""
    block = images(24, side=28).reshape(3, 8, 1, 28, 28)
    names = [strips.Strip(name, block, ["1.92M"] * 8, "elements 97, 13, 55, 8, from -3 to 3") for name in MODELS]
    warned = strips.Strip("gran3", block[:2, :3], note="diversity 0.97", warning="diversity fell from 1.00 to 0.50")
    return strips.strip_sheet([warned, *names[1:count]], title="Walks", reading="Each row: one sample. " * 8)


def plane_sheet(count: int) -> Figure:
    chance = np.random.default_rng(count)
    labels = np.arange(600) % 10
    codes = chance.normal(size=(600, 2)) / 4 + 2 * np.stack([np.cos(labels), np.sin(labels)], 1)
    return plane_rows(2 if count > 1 else 1, codes, labels)


def plane_rows(count: int, codes: NDArray[np.float64] | None, labels: NDArray[np.int64] | None) -> Figure:
    return planes.plane_sheet([planes.Plane(name, images(400, side=28), codes, labels) for name in MODELS[:count]])


def verdict_rows(models: Sequence[str]) -> list[dict[str, Any]]:
    """Every pair: the first is ahead of the last, others tie."""
    return [
        {"model_1": a, "model_2": b, "advantage": 0.3 * n, "verdict": a if n > 1 else "tie"}
        for n, (a, b) in enumerate(combinations(models, 2))
    ]


def crowded(count: int) -> Figure:
    """All points within a few marker widths of several others."""
    rng = np.random.default_rng(0)
    places = zip(MODELS[:count], 10 + rng.random(count), 100 + 20 * rng.random(count), strict=True)
    rows = [{"model": name, "fd": fd, "train_cpu_seconds": seconds} for name, fd, seconds in places]
    return cost.score_against_cost(rows, score="fd", score_label="Fréchet distance")


FIGURES: dict[str, Callable[[int], Figure]] = {
    "samples": lambda n: samples.sample_sheet(
        {name: images(30, side=28) for name in [*MODELS[:n], "real"]},
        notes=dict.fromkeys(MODELS, "FD 0.0111, rank 10 of 20"),
        title="gran5_at9 leads on Frechet distance (classifier) with 1.33, not told apart from gran5_at7",
    ),
    "canvases": lambda n: canvases.canvas_sheet(images(8 * 20).reshape(8, 20, 1, 8, 8)[:, :n], title="gran: canvases"),
    "loss_overview": lambda n: losses.loss_overview(
        {m: history(20, *losses.OVERVIEW) for m in MODELS[:n]}, warmups={MODELS[0]: 10}
    ),
    "cost": lambda n: cost.score_against_cost(score_rows(n), score="fd", score_label="Fréchet distance"),
    "crowded_cost": crowded,
    "training_cost": lambda n: cost.training_cost(score_rows(n)),
    "classes": lambda n: histogram(n),
    "many_classes": lambda n: histogram(n, 325),
    "class_sheet": lambda n: sheet_of(16 * n),
    "class_sizes": sizes,
    "matrix": lambda n: battles.battle_matrix(error_rows(MODELS[:n], MODELS[:n])),
    "standings": lambda n: battles.standings_plot(rating_rows(n)),
    "verdicts": lambda n: battles.verdict_matrix(verdict_rows(MODELS[: max(n, 2)])),
    "overview": overview,
    "strips": strip_sheet,
    "planes": plane_sheet,
    "adversaries": lambda n: adversaries.adversary_sheet(
        {m: history(20, *adversaries.CURVES) for m in MODELS[:n]}, warmups={MODELS[0]: 10}
    ),
}


PAGE_WIDTH = 968
"""CSS pixels of a figure in a page 1024 wide: what the report's margins leave."""


class Drawn(NamedTuple):
    """A text as it was drawn."""

    string: str
    size: float
    box: Bbox


@style.styled
def texts(figure: Figure) -> list[Drawn]:
    """Every text that drawing the figure puts on the page, with its box without leader lines, in dots."""
    drawn: list[Drawn] = []

    def record(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            box = Text.get_window_extent(text, renderer)
            drawn.append(Drawn(text.get_text(), float(text.get_fontsize()), box))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", record)
        figure.draw_without_rendering()
    return drawn


def words(figure: Figure) -> str:
    """All texts of a figure, one a line."""
    return "\n".join(text.string for text in texts(figure))


def titles(figure: Figure) -> list[str]:
    return [axis.get_title("left") for axis in figure.axes]


def names(figure: Figure, axis: str = "y") -> list[str]:
    """The labels of the ticks of the first panel."""
    return [label.get_text() for label in getattr(figure.axes[0], f"get_{axis}ticklabels")()]


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in ("many_classes", "crowded_cost")])
def test_equal_inputs_give_equal_bytes(name: str) -> None:
    before = dict(matplotlib.rcParams)
    first, second = (style.save(FIGURES[name](1)) for _ in range(2))
    assert first == second
    png, svg = first
    assert png.startswith(b"\x89PNG") and b"Date" not in png and b"<dc:date>" not in svg and b"Software" not in png
    assert dict(matplotlib.rcParams) == before


DIGEST = """
import hashlib, sys
from pipeline.figures import losses, style
figure = losses.loss_overview({"vae": [{"step": k, "kimg": k, "loss": 1.0 + k} for k in range(5)]})
digest = hashlib.sha256(b"".join(style.save(figure))).hexdigest()
"""


def test_bytes_are_the_same_in_another_process_that_never_imports_pyplot() -> None:
    code = DIGEST + "print(digest); assert 'matplotlib.pyplot' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    exec(DIGEST, here := {})
    assert done.stdout.strip() == here["digest"]


def overlapping(drawn: Sequence[Drawn]) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share more than their edges."""
    left, low, right, high = np.array([text.box.padded(-1).extents for text in drawn]).T
    across = (left[:, None] <= right) & (left <= right[:, None]) & (low[:, None] <= high) & (low <= high[:, None])
    return [(drawn[a].string, drawn[b].string) for a, b in zip(*np.triu(across, 1).nonzero(), strict=True)]


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("name", FIGURES)
def test_legible_with_one_and_with_twenty(name: str, count: int) -> None:
    figure = FIGURES[name](count)
    width, height = figure.get_size_inches()
    assert 2 < width <= 11.5 and 1 < height <= 16
    shown = min(1.0, PAGE_WIDTH / (96 * width))
    drawn = texts(figure)
    if name not in ("matrix", "verdicts"):  # slanted names: their upright boxes cross, their letters do not
        assert not overlapping(drawn)
    for text in drawn:
        assert text.size * shown * 96 / 72 >= 11, f"{text.string} is less than 11 pixels high"
        inside = text.box.x0 >= -1 and text.box.y0 >= -1
        assert inside and text.box.x1 <= figure.bbox.x1 + 1 and text.box.y1 <= figure.bbox.y1 + 1, text.string


def test_cost_plot_names_every_model_within_its_frame() -> None:
    figure = crowded(20)
    figure.draw_without_rendering()
    labels = [label for label in figure.axes[0].texts if isinstance(label, Annotation)]
    assert sorted(label.get_text() for label in labels) == sorted(MODELS)
    frame = figure.axes[0].get_window_extent()
    corners = np.vstack([Text.get_window_extent(label).get_points() for label in labels])
    assert all(frame.contains(x, y) for x, y in corners)


def test_cost_plot_says_units_direction_reference_and_what_is_missing() -> None:
    rows = score_rows(5)
    rows[1]["fd"], rows[2]["fd"], rows[3]["train_cpu_seconds"] = None, float("nan"), ""
    shown = words(cost.score_against_cost(rows, score="fd", score_label="Fréchet distance"))
    assert "CPU seconds to train" in shown and "Fréchet distance" in shown and "lower is better" in shown
    assert "real\n0.3" in shown and "noise" not in shown
    assert "not shown, since the metric or the cost is missing: vae, vae_2d, vae_faces" in shown
    _, svg = style.save(FIGURES["cost"](3))
    assert re.search(rb"<text[^>]*>autoencoder</text>", svg) and b"CPU seconds to train" in svg, "text stays text"


def test_cost_plot_draws_real_and_joins_the_models_that_none_betters() -> None:
    points = {"vae": (10, 9.0), "draw": (100, 3.0), "gan": (200, 5.0), "dcgan": (300, 2.0)}
    rows: list[dict[str, Any]] = [{"model": m, "train_cpu_seconds": c, "fd": v} for m, (c, v) in points.items()]
    rows.append({"model": "real", "fd": 0.1})
    figure = cost.score_against_cost(rows, score="fd", score_label="Frechet distance")
    title, alt_text = str(figure.get_label()).split("\n")
    assert title == "The best for what they cost: vae, draw and dcgan"
    assert alt_text == f"{title}. vae: 9 for 10. draw: 3 for 100. gan: 5 for 200. dcgan: 2 for 300."
    joined, *others = figure.axes[0].lines
    assert list(zip(joined.get_xdata(), joined.get_ydata(), strict=True)) == [(10, 9), (100, 3), (300, 2)]
    assert [line.get_ydata() for line in others if line.get_color() == style.BLACK] == [[0.1, 0.1]]


def test_training_cost_is_the_mean_over_seeds() -> None:
    rows = [{"model": "vae", "train_cpu_seconds": s, "parameters": 1200} for s in (10.0, 30.0)] + [{"model": "gan"}]
    figure = cost.training_cost(rows)
    assert [bar.get_width() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)] == [20.0]
    assert "1.2k" in words(figure) and words(figure).count("not measured") == 2
    rows += [{"model": "draw", "train_cpu_seconds": 5.0, "parameters": 9}]
    figure = cost.training_cost(rows)
    assert names(figure) == ["draw", "vae", "gan"]
    assert "draw costs least, 5 CPU seconds to train; vae 4.0 times as much" in words(figure)


def test_class_sheet_shows_each_class_beside_its_name() -> None:
    shades = np.array([40, 80, 120], dtype=np.uint8)
    labels = np.array([0, 1, 2, 1, 1, 2])
    pictures = np.broadcast_to(shades[labels][:, None, None, None], (6, 1, 8, 8))
    figure = class_sheet.class_sheet(pictures, labels, ["few", "most", "some"], per_class=2)
    assert [text.string for text in texts(figure)] == [
        "3 classes of 1 to 3 training images:\nthe commonest has 3 times the images of\nthe rarest",
        "most", "3", "some", "2", "few", "1",
    ]  # fmt: skip
    (picture,) = [image.get_array() for axes in figure.axes for image in axes.get_images()]
    firsts, seconds = picture[4::10, 4, 0], picture[4::10, 14, 0]
    assert firsts.tolist() == [80, 120, 40] and seconds.tolist() == [80, 120, 255]


def test_class_sheet_with_too_many_classes() -> None:
    many = class_sheet.class_sheet(images(900), np.arange(900), [str(k) for k in range(900)])
    assert "900 classes of 1 to 1 training images; 400 classes are shown" in words(many).replace("\n", " ")
    assert "899\n1" in words(many)


def test_samples_begin_with_real_and_stand_under_their_names_and_scores() -> None:
    sheet = samples.sample_sheet(
        {"gan": images(4), "vae": images(40), "real": images(3), "dcgan": images(0)},
        notes={"gan": "FD 2", "real": "FD 0.1"},
        title="gan leads",
    )
    assert [text.string for text in texts(sheet)] == ["gan leads", "real images", "FD 0.1", "gan", "FD 2", "vae",
                                                      "dcgan", "no samples"]  # fmt: skip
    assert len(sheet.axes) == 4
    assert str(sheet.get_label()) == "gan leads\ngan leads. Samples of real, gan, vae, dcgan. gan: FD 2; real: FD 0.1."


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_of_a_sheet_are_whole_and_unblurred(channels: int) -> None:
    """Every dot of a sheet's PNG equals the image pixel it belongs to: no interpolation, no fraction of a dot."""
    tile = images(1, channels, side=28)
    png, _ = style.save(samples.sample_sheet({"real": tile}, per_model=1))
    drawn = np.rint(255 * imread(io.BytesIO(png))[..., :3]).astype(np.uint8)
    dots = mosaic.magnification(28, 84)
    top, left = samples.MARGIN + samples.LABEL, samples.MARGIN
    block = drawn[top : top + 28 * dots, left : left + 28 * dots]
    expected = np.broadcast_to(tile[0].transpose(1, 2, 0), (28, 28, 3)).repeat(dots, 0).repeat(dots, 1)
    np.testing.assert_array_equal(block, expected)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        *((lambda wrong=wrong: mosaic.mosaic(wrong, 2), "uint8 images")
          for wrong in (np.zeros((2, 2, 8, 8), np.uint8), np.zeros((2, 1, 8, 8)), np.zeros((8, 8), np.uint8))),
        *((lambda wrong=wrong: strips.strip_sheet([strips.Strip("gan", each) for each in wrong], title=""), "strips")
          for wrong in ([], [images(4)], [images(4).reshape(2, 2, 1, 8, 8), images(4, side=9)[None]])),
        (lambda: samples.sample_sheet({"real": images(2), "vae": images(2, side=9)}), "one size"),
        (lambda: canvases.canvas_sheet(images(3), title="no time axis"), "canvases"),
        (lambda: class_sheet.class_sheet(images(0), np.arange(0), ()), "needs an image"),
        (lambda: classes.class_histogram(np.ones(3), {"vae": np.ones(4)}), "3 classes"),
        (lambda: class_sizes.class_sizes(TAILED, {"vae": np.ones(4)}), "325 classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(draw: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        draw()


@pytest.mark.parametrize(("count", "most"), [(1, 12), (5, 12), (12, 12), (13, 12), (64, 12), (64, 2)])
def test_chosen_steps_hold_the_first_and_the_last(count: int, most: int) -> None:
    steps = canvases.chosen_steps(count, most)
    assert steps[0] == 1 and steps[-1] == count and len(steps) == min(count, most)
    gaps = np.diff(steps)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_canvas_sheet_numbers_its_steps_and_marks_the_untrained() -> None:
    stack = images(4 * 9, 3).reshape(4, 9, 3, 8, 8)
    figure = canvases.canvas_sheet(stack, title="gran5 at 9 steps", trained_steps=5)
    assert [text.string for text in texts(figure)] == ["gran5 at 9 steps", "step 1", *map(str, range(2, 10))]
    assert str(figure.get_label()).endswith("gran5 at 9 steps: 4 samples after steps 1, 2, 3, 4, 5, 6, 7, 8, 9.")
    assert any(isinstance(artist, Line2D) for artist in figure.artists)
    assert not canvases.canvas_sheet(stack, title="gran9", trained_steps=9).artists


def heights(line: Line2D) -> NDArray[Any]:
    return np.asarray(line.get_ydata())


def test_losses_have_their_models_colour_the_discriminators_is_black() -> None:
    rows = history(5, "loss", "kl", "d_loss", "g_loss", "d_accuracy_real", "gradient_norm")
    figure = losses.loss_overview({"gan": rows, "vae": history(5, "loss", "kl")})
    looks = style.model_styles(["gan", "vae"])
    drawn = [{line.get_label(): line.get_color() for line in axis.lines} for axis in figure.axes]
    colour = looks["gan"].colour
    assert drawn[0] == dict.fromkeys(("loss", "KL", "generator loss"), colour) | {"discriminator loss": style.BLACK}
    assert drawn[1] == dict.fromkeys(("loss", "KL"), looks["vae"].colour)
    shown = words(figure)
    assert shown.count("nats per image") == 1 and shown.count("training images seen") == 1
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["loss", "KL", "discriminator loss", "generator loss"]


def test_losses_skip_the_missing_and_mark_the_divergence() -> None:
    rows = history(6, "loss", "kl")
    rows[1]["kl"] = None
    rows[4]["loss"], rows[5]["loss"] = float("nan"), float("inf")
    figure = losses.loss_overview({"vae": rows, "draw": []})
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(np.isnan(heights(drawn["loss"])), [False] * 4 + [True] * 2)
    assert len(heights(drawn["KL"])) == 5 and heights(drawn["KL"])[0] == rows[0]["kl"]
    shown = words(figure)
    assert "loss not finite from here" in shown and "nothing recorded" in shown and "vae diverged" in shown


def test_losses_say_which_were_still_falling() -> None:
    flat = [{"step": k, "kimg": k, "loss": 2.0} for k in range(40)]
    falls = [{"step": k, "kimg": k, "loss": 2.0 - 0.01 * k} for k in range(40)]
    adversarial = [row | {"d_loss": 1.0} for row in falls]
    assert losses.message({"vae": flat, "gan": adversarial}) == "No training diverged"
    said = "No training diverged; the loss of draw still fell at the end"
    assert losses.message({"draw": falls, "vae": flat}) == said
    assert losses.message({"mine": [{"kimg": 1, "loss": float("nan")}]}) == "mine diverged"
    assert losses.told({"draw": falls}) == f"{said}. draw, at last: loss 1.61."


def test_the_warm_up_is_shaded_to_the_images_of_its_last_step() -> None:
    rows = [{"step": 10 * k, "kimg": 0.5 * k, "loss": 1.0 + k} for k in range(8)]
    shaded, plain = losses.loss_overview({"draw_gan": rows, "vae": rows}, warmups={"draw_gan": 45}).axes
    (area,) = shaded.patches
    assert isinstance(area, Rectangle) and (area.get_x(), area.get_width()) == (0, 2000.0)
    assert not plain.patches
    legend = losses.loss_overview({"draw_gan": rows}, warmups={"draw_gan": 45}).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["loss", "warm-up"]


def test_a_noisy_curve_is_drawn_with_its_running_mean_and_a_log_scale_is_said() -> None:
    rows = history(400, "loss")
    axis = losses.loss_overview({"vae": rows}).axes[0]
    raw, mean = axis.lines
    assert len(heights(raw)) == 400
    assert heights(mean)[0] == pytest.approx(np.mean([row["loss"] for row in rows[:10]]))
    assert np.asarray(mean.get_xdata())[0] == pytest.approx(100 * 4)
    assert axis.get_yscale() == "linear" and not axis.get_title("right")
    falling = [row | {"loss": 1000.0 / (row["step"] + 1), "d_accuracy_real": 0.9} for row in rows]
    (axis,) = losses.loss_overview({"vae": falling}).axes
    assert axis.get_yscale() == "log" and axis.get_title("right") == "log scale"


def test_class_titles_give_total_variation_and_coverage() -> None:
    data = np.array([50, 25, 25])
    found = {"half": np.array([1, 1, 0]), "same": 0.01 * data, "none": np.zeros(3)}
    half, same, none = titles(classes.class_histogram(data, found, class_names=list("abc")))
    assert half == "half\nTV 0.250, 2 of 3 classes" and "TV 0.000, 3 of 3" in same and none == "none: no samples"
    assert classes.message(data / 100, found) == (
        "half leaves out some of 3 classes; same's shares are nearest to the data's (total variation, TV, 0.000), "
        "half's farthest (0.250)"
    )
    assert classes.message(data / 100, {"same": data}).startswith("Every model draws all 3 classes; same's")


def test_dropped_classes_of_many_are_ticked_and_a_collapsed_model_does_not_squash_the_others() -> None:
    data = np.arange(325, 0, -1)
    found = np.where(np.arange(325) < 300, data, 0)
    dropped = histogram_lines(classes.class_histogram(data, {"vae": found}))
    np.testing.assert_array_equal(dropped, np.arange(301, 326))
    figure = classes.class_histogram(np.full(10, 100), {"gan": np.eye(10)[3] * 500, "vae": np.full(10, 100)})
    assert figure.axes[0].get_ylim()[1] < 0.3
    assert "1.00" in words(figure)


def test_class_sizes_say_what_each_band_gets_of_its_share() -> None:
    half = TAILED * np.where(THIRDS["tail"], 0, 1000)
    figure = class_sizes.class_sizes(TAILED, {"vae": 1000 * TAILED, "gan": half}, bands=THIRDS)
    share = 1 / (TAILED[~THIRDS["tail"]].sum() / TAILED.sum())
    assert titles(figure) == ["vae: 325 of 325 classes", "gan: 218 of 325 classes"]
    said = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert said[0] == ["head\nx1.00", "middle\nx1.00", "tail\nx1.00"]
    assert said[1] == [f"head\nx{share:.2f}", f"middle\nx{share:.2f}", "tail\nx0.00"]
    message = "vae draws most classes, 325 of 325; vae's tail is nearest to its share of the data, x1.00"
    first = "vae: 325 of 325 classes, head x1.00, middle x1.00, tail x1.00."
    assert str(figure.get_label()).startswith(f"{message}\n{first} gan: 218 of 325 classes")
    marks = next(line for line in figure.axes[0].lines if len(np.asarray(line.get_xdata())) == 325)
    np.testing.assert_allclose(np.asarray(marks.get_xdata()), np.asarray(marks.get_ydata()))
    of_gan = class_sizes.class_sizes(TAILED, {"gan": half}, bands=THIRDS)
    np.testing.assert_allclose(histogram_lines(of_gan), TAILED[THIRDS["tail"]] / TAILED.sum())


def test_class_sizes_without_bands_or_labels() -> None:
    balanced = class_sizes.class_sizes(np.full(10, 5000), {"vae": np.full(10, 100), "gan": np.zeros(10)})
    assert titles(balanced) == ["vae: 10 of 10 classes", "gan: no samples"]
    assert "no labels" in words(class_sizes.class_sizes(np.zeros(0), {"vae": np.zeros(0)}))
    assert "no samples" in words(class_sizes.class_sizes(TAILED, {}))


def histogram_lines(figure: Figure) -> NDArray[Any]:
    (ticks,) = (line for line in figure.axes[0].lines if line.get_marker() == "|")
    return np.asarray(ticks.get_xdata())


def test_matrix_shows_every_rate_and_frames_the_own_generator() -> None:
    rows = error_rows(["gran1", "gran3"], ["vae", "gran1", "gran3"])
    for row, error in zip(rows, [0.1234, 0.0, 0.001, None, float("nan"), 1.0], strict=True):
        row["error"] = error
    figure = battles.battle_matrix(rows)
    cells = [text.get_text() for text in figure.axes[0].texts]
    said = "vae's samples pass the other models' judges most often: 12 %"
    assert figure.get_suptitle().replace("\n", " ").startswith(said)
    assert cells == ["0", "<.01", ".12", "\u2013", "1", "\u2013"]  # models in order of appearance: gran1, gran3, vae
    assert len(figure.axes[0].patches) == 2
    ordered = battles.battle_matrix(rows, models=["vae", "gran3", "gran1"])
    assert names(ordered, "x") == ["vae", "gran3", "gran1"]


def test_matrix_begins_with_real_images_and_titles_with_the_mean_over_other_judges() -> None:
    rates = {"aa": 0.9, "ab": 0.2, "ba": 0.1, "bb": 0.9, "ac": 0.3, "bc": 0.5}
    rows: list[dict[str, Any]] = [{"judge": j, "contestant": c, "error": error} for (j, c), error in rates.items()]
    rows += [{"judge": "a", "contestant": name, "error": 0.05} for name in ("real_train", "real_test")]
    figure = battles.battle_matrix(rows, models=["a", "b", "c"])
    assert names(figure, "x") == ["real, held out", "real, training", "a", "b", "c"]
    assert str(figure.get_label()).split("\n") == [
        "c's samples pass the other models' judges most often: 40 % on average",
        "Samples that pass other models' judges: c 40 %, b 20 %, a 10 %.",
    ]


def test_verdicts_are_antisymmetric_and_frame_the_decided_pairs() -> None:
    rows = [
        {"model_1": "a", "model_2": "b", "advantage": 0.5, "verdict": "a"},
        {"model_1": "a", "model_2": "c", "advantage": -0.1, "verdict": "tie"},
        {"model_1": "b", "model_2": "c", "advantage": None, "verdict": "unresolved"},
    ]
    figure = battles.verdict_matrix(rows)
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["-0.5", "0.5", "=-0.1", "=0.1"]
    assert len(figure.axes[0].patches) == 2
    assert figure.get_suptitle() == "1 of 3 pairs are decided, 1 tie, 1 are unresolved"
    assert str(figure.get_label()).endswith("a beats b.")


def test_standings_are_ordered_and_name_the_unrated() -> None:
    rows = rating_rows(4)
    rows[2]["rating"] = None
    figure = battles.standings_plot(rows, rating_label="rating (log odds)")
    rated = sorted((row for row in rows if row["rating"] is not None), key=lambda row: -row["rating"])
    assert [name.split()[0] for name in names(figure)] == [row["model"] for row in [*rated, rows[2]]]
    assert "not rated" in words(figure) and "log odds" in words(figure)
    three = [{"model": m, "rating": r, "rating_low": r - 90, "rating_high": r + 90} for m, r in
             (("c", 1000.0), ("a", 1700.0), ("b", 1600.0))]  # fmt: skip
    figure = battles.standings_plot(three)
    assert figure.get_suptitle() == "a rates highest, 1700; its interval overlaps that of b"
    assert str(figure.get_label()).endswith(
        "Ratings: a 1700 (1610 to 1790), b 1600 (1510 to 1690), c 1000 (910 to 1090)."
    )
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert colours == {look.colour for look in style.model_styles("cab").values()}


def test_overview_has_direction_reference_and_missing_values() -> None:
    rows = score_rows(3)
    rows[0]["fd"], rows[1]["recall"] = "", None
    figure = distances.score_overview(rows, [FD, RECALL])
    assert titles(figure) == ["Fréchet distance", "recall"]
    shown = words(figure)
    assert "\u2190 lower is better" in shown and "higher is better \u2192" in shown and shown.count("not measured") == 2
    in_order = ["vae", "vae_2d", "autoencoder", "noise", "mean_image"]
    assert names(figure) == in_order, "by distance, one without a value last"
    dashed = [np.asarray(line.get_xdata())[0] for line in figure.axes[0].lines if line.get_color() == style.BLACK]
    assert dashed == [0.3]


def test_overview_is_titled_with_who_leads_and_its_alternative_text_tells_every_metric(tmp_path: Path) -> None:
    rows = [{"model": "vae", "fd": 13.1, "recall": 0.8}, {"model": "draw", "fd": 3.9, "recall": 0.95}]
    rows += [{"model": "gan", "fd": 4.0, "recall": 0.7}, {"model": "real", "fd": 0.09, "recall": 0.9}]
    fd = distances.Metric("fd", "Frechet distance", "lower", ["draw", "gan"])
    recall = distances.Metric("recall", "Recall", "real")
    assert distances.ranking(rows, fd) == ["draw", "gan", "vae"]
    assert distances.ranking(rows, recall) == ["draw", "vae", "gan"]
    title = "draw leads on Frechet distance with 3.9, not told apart from gan; real images get 0.09"
    file = tmp_path / "scores.png"
    png, svg = style.save(distances.score_overview(rows, [fd, recall]))
    file.write_bytes(png)
    assert alt.read(file) == (title, f"{title}. draw leads on recall with 0.95; real images get 0.9.")
    assert f"<title>{title}</title>".encode() in svg
    assert distances.message(rows, distances.Metric("kid", "KID", "lower")) == "KID: no model has a value"
    assert distances.message(rows, fd._replace(leaders=[])) == "No model leads on Frechet distance"
    rows += [{"model": "noise", "fd": 3.9}, {"model": "mean_image", "fd": 8.0}]
    said = "No model leads on Frechet distance: noise is as good"
    assert distances.message(rows, fd._replace(leaders=[])) == said


def test_estimates_below_zero_do_not_break_a_log_scale() -> None:
    """Unbiased MMD and KID of real images against real images are about 0, on either side."""
    rows = score_rows(4)
    rows[0]["fd"], rows[1]["fd_low"], rows[4]["fd"] = -1e-5, -0.1, -2e-5
    figure = distances.score_overview(rows, [distances.Metric("fd", "KID", "lower")])
    assert figure.axes[0].get_xscale() == "log" and "\u2190 -1e-05" in words(figure)
    style.save(figure)


def test_models_look_the_same_in_every_table_and_differ() -> None:
    styles = style.model_styles([*MODELS, "real"])
    assert len({(s.colour, s.marker) for s in styles.values()}) == 21
    lines = {(styles[name].colour, styles[name].dashes) for name in MODELS}
    assert len(lines) == 20
    assert style.model_styles(["real", *MODELS])["gran5"] == styles["gran5"] and styles["real"].colour == style.BLACK
    assert style.model_styles(["dcgan", "vae"]) == {name: styles[name] for name in ("dcgan", "vae")}
    heads = [family[0] for family in style.FAMILIES.values()]
    looks = style.model_styles(heads).values()
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(heads)


def test_models_of_ones_own_look_unlike_the_projects() -> None:
    own = ["mine", *MODELS, "hers", *(f"other_{k}" for k in range(9))]
    styles = style.model_styles(own)
    assert len({(look.colour, look.marker) for look in styles.values()}) == len(own)
    assert style.model_styles(MODELS[6:9])["draw"] == styles["draw"]
    assert len(style.model_styles(f"m{k}" for k in range(60))) == 60, "more models than looks"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (999, "999"), (1200, "1.2k"), (35e6, "35M"), (999_600, "1M"), (0, "0"), (1e-5, "1e-5")],
)
def test_short_numbers(value: float, text: str) -> None:
    assert style.short(value) == text


def test_strips_say_what_they_show_and_warn_in_another_colour() -> None:
    block = images(6).reshape(2, 3, 1, 8, 8)
    figure = strips.strip_sheet(
        [strips.Strip("gan", block, ["A", "50 %", "B"], "a note", "collapsed")], title="Blends", reading="Each row: two"
    )
    assert [text.string for text in texts(figure)] == ["Blends", "Each row: two", "gan", "a note", "collapsed", "A",
                                                       "50 %", "B"]  # fmt: skip
    assert figure.get_label() == "Blends\nBlends. Each row: two gan: a note; collapsed."
    colours = {text.get_text(): text.get_color() for text in figure.texts}
    assert colours["a note"] == style.GREY and colours["collapsed"] == style.VERMILLION
    empty = strips.Strip("gan", np.empty((0, 0, 1, 8, 8), np.uint8), note="none")
    figure = strips.strip_sheet([empty, strips.Strip("vae", images(4)[None])], title="")
    assert len(figure.axes) == 1 and "none" in words(figure), "a training that kept no samples"


def test_a_plane_names_few_classes_and_leaves_many_to_their_colours() -> None:
    codes = np.random.default_rng(0).normal(size=(100, 2)) + 5 * (np.arange(100) % 3)[:, None]
    few = [text.string for text in texts(plane_rows(1, codes, np.arange(100) % 3))]
    assert {"0", "1", "2"} <= set(few) and "codes of held-out images, by class" in few
    many = planes.colours(325)
    assert len({tuple(row) for row in many}) > 200
    figure = plane_rows(1, codes, np.arange(100))
    assert not figure.axes[1].texts
    assert "codes of held-out images" in words(plane_rows(1, codes, None))
    assert len(plane_rows(1, None, None).axes) == 1, "a model without an encoder has no codes"


def test_adversaries_show_losses_over_accuracies_and_leave_no_empty_frame() -> None:
    rows = history(10, "d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake", "kl")
    figure = adversaries.adversary_sheet({name: rows for name in MODELS[:5]} | {"vae": history(10, "loss")})
    visible = [axis for axis in figure.axes if axis.get_visible()]
    assert len(visible) == 2 * 6 - 2 * (len({*MODELS[:5], "vae"}) == 5)
    assert words(figure).count("nothing recorded") == 2
    last = {"step": 1, "kimg": 1, "d_accuracy_real": 1.0, "d_accuracy_fake": 0.8}
    assert (
        adversaries.message({"gan": history(10, "d_loss"), "dcgan": [last]})
        == "dcgan's discriminator is right on 90 % of images at the end"
    )
    assert adversaries.is_adversarial(rows) and not adversaries.is_adversarial(history(10, "loss"))


def comparison(sizes: Sequence[int]) -> Any:
    """What the stage reads of a comparison of three models on images of classes of these sizes."""
    values = {"vae": 13.0, "draw": 4.0, "gran3": 2.0, "real": 0.1}
    bounds = {"_low": 0.99, "_high": 1.01}
    rows = [
        {"model": name, "fd_classifier": value, "parameters": 9, "status": "ok", "seeds": 1}
        | {f"fd_classifier{end}": value * by for end, by in bounds.items()}
        for name, value in values.items()
    ]
    table = with_ranks(rows, Evidence([], columns()))
    pairs = list(combinations(("vae", "draw", "gran3"), 2))
    return SimpleNamespace(
        models=["vae", "draw", "gran3"],
        warmups={},
        table=table,
        costs=lambda: [row | {"train_cpu_seconds": 10.0} for row in table],
        samples={name: images(4) for name in values if name != "real"},
        real=images(40),
        histories={name: history(5, "loss") for name in values},
        summary={"test": {"class_histogram": {str(k): n for k, n in enumerate(sizes)}}, "classes": list("abc")},
        histograms=lambda: {name: np.array(sizes) for name in values},
        training_images=images(9),
        training_labels=np.arange(9) % 3,
        sizes=lambda: np.array(sizes),
        judges=error_rows(["gran3"], ["vae", "draw", "gran3"]),
        battles=[{"model_1": a, "model_2": b, "advantage": 0.1, "verdict": "tie"} for a, b in pairs],
        standings=rating_rows(3),
    )


def test_the_stage_draws_no_figure_that_has_nothing_to_show() -> None:
    material = comparison((500, 500, 490))
    assert [name for name, _ in figures_stage.figures(material)] == [n for n in layout.FIGURES if n != "class_sizes"]
    material.summary, material.training_labels, material.histograms = {"test": {"class_histogram": None}}, None, dict
    material.sizes, material.judges = lambda: np.array([], dtype=np.int64), []
    material.battles = [row | {"advantage": None, "verdict": "unresolved"} for row in material.battles]
    material.standings = [row | {"rating": None} for row in material.standings]
    always = [name for name in layout.FIGURES if name not in layout.OF_SOME]
    assert [name for name, _ in figures_stage.figures(material)] == always


def test_the_stage_sorts_every_figure_by_score() -> None:
    drawn = dict(figures_stage.figures(comparison((900, 90, 9))))
    assert list(drawn) == list(layout.FIGURES)
    shown = [text.get_text() for text in drawn["samples"].texts]
    assert shown[0].replace("\n", " ") == ("gran3 leads on Frechet distance (classifier) with 2; real images get 0.1")
    assert shown[1:] == ["real images", "FD 0.1", "gran3", "FD 2, rank 1 of 3", "draw", "FD 4, rank 2 of 3", "vae",
                         "FD 13, rank 3 of 3"]  # fmt: skip
    order = [[title.split("\n")[0] for title in titles(drawn[name])] for name in ("losses", "classes")]
    assert order == [["gran3", "draw", "vae"]] * 2
    looks = style.model_styles(["gran3", "draw", "vae"])
    for axis, name in zip(drawn["losses"].axes, order[0], strict=True):
        assert {line.get_color() for line in axis.lines} == {looks[name].colour}
    bars = drawn["training_cost"].axes[0].patches
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [looks[name].colour for name in ("vae", "draw", "gran3")]
    real = [line for line in drawn["score_against_cost"].axes[0].lines if line.get_color() == style.BLACK]
    assert [np.asarray(line.get_ydata()).tolist() for line in real] == [[0.1, 0.1]]


def test_the_stage_ranks_what_overlaps_as_equal_and_what_failed_not_at_all() -> None:
    tied = comparison((500, 500, 490))
    for row in tied.table[:2]:
        row |= {"fd_classifier_low": 1.0, "fd_classifier_high": 20.0}
    tied.table[2] = {"model": "gran3", "fd_classifier": 2.0, "parameters": 9, "status": "collapsed"}
    tied.table = with_ranks(tied.table, Evidence([], columns()))
    sheet = next(figure for name, figure in figures_stage.figures(tied) if name == "samples")
    assert {"FD 13, rank 1-2 of 2", "FD 4, rank 1-2 of 2", "FD 2"} <= {text.get_text() for text in sheet.texts}
