"""The report's page: what is on it, that nothing in it runs but our own script, that nothing is asked of a network."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from pipeline.core import artifacts
from pipeline.metrics import columns
from pipeline.report import captions, page, pictures
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.stage_cli import as_paths
from pipeline.stages import report
from pipeline.tables import from_csv
from pipeline.tables.cells import main_names, printed, to_cells
from pipeline.workflow import layout, params, store
from pipeline.workflow.plan import Plan
from tests.conftest import EVERYTHING, REPORT, ROOT, TABLE, snakemake

Attributes = dict[str, str | None]


class Read(HTMLParser):
    """Elements in their order, and the page's text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[Attributes]:
        return [attributes for name, attributes in self.elements if name == tag]


class Made(NamedTuple):
    """The tiny budget's report, and what its page was rendered from."""

    text: str
    read: Read
    context: list[dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def made(tiny: Path) -> Iterator[Made]:
    text = (tiny / REPORT).read_text()
    job = Plan(params.load(["budget=tiny"], tiny / "params.yaml")).job
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tiny)
        planned = job("report")
        assert store.is_complete(planned.folder)
        block = json.loads(json.dumps(planned.config))
        inputs = {name: as_paths(found) for name, found in planned.paths().items()}
        stage_job = JobContext(
            "report", {}, block, planned.modules, planned.hash, inputs, progress=SimpleNamespace(note=str)
        )  # type: ignore[arg-type]
        known = captions.read(ROOT / "report")
        sources = {name: report.Source(stage_job, name, about) for name, about in block["report"].items()}
        context = [report.dataset(sources[name], about, known) for name, about in block["report"].items()]
    yield Made(text, Read(text), context, tiny)


def render(context: list[dict[str, Any]]) -> str:
    return page.render(context, captions=captions.read(ROOT / "report"), budget="tiny", caveat="None.")


# --- the workflow ---------------------------------------------------------------------------------------------------


@pytest.mark.workflow
def test_a_changed_model_makes_the_report_again(tiny: Path, mnist_mirror: Path) -> None:
    other = ('models={"vae": {"hidden": 399}}',)
    done = snakemake(tiny, mnist_mirror, EVERYTHING, REPORT, options=("-n",), config=other)
    assert re.search(r"^report +1$", done.stdout + done.stderr, re.MULTILINE)


@pytest.mark.workflow
def test_snakemakes_own_report_has_every_figure(tiny: Path, mnist_mirror: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.zip"
    done = snakemake(tiny, mnist_mirror, EVERYTHING, options=("--report", str(target)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert target.stat().st_size > 100_000


# --- what is on the page ----------------------------------------------------------------------------------------------


def test_it_is_one_file_that_asks_nothing_of_anybody(made: Made) -> None:
    own = made.read
    for tag, attributes in own.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
        assert "style" not in attributes and not [name for name in attributes if name.startswith("on")]
    assert len(own.all("script")) == len(own.all("style")) == 1
    style = (page.FOLDER / "page.css").read_text()
    assert "url(" not in style and "@import" not in style
    (policy,) = [item["content"] for item in own.all("meta") if item.get("http-equiv") == "Content-Security-Policy"]
    assert policy and policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert len(made.text.encode()) < 15_000_000
    assert not [path for path in (str(made.folder), str(ROOT), "file://") if path in made.text], "no machine's path"


def test_every_picture_is_described_and_decodes(made: Made) -> None:
    images = made.read.all("img")
    assert len(images) > 20
    for image in images:
        assert image["alt"] and len(image["alt"]) > 10
        kind, content = re.fullmatch(r"data:image/(png|svg\+xml);base64,(.+)", image["src"] or "").groups()  # type: ignore[union-attr]
        decoded = base64.b64decode(content)
        if kind == "png":
            Image.open(io.BytesIO(decoded)).verify()
        else:
            assert b"<svg" in decoded and b"<script" not in decoded


def test_the_main_table_has_every_row_and_column_with_its_meaning(made: Made) -> None:
    (shown,) = made.context
    table = from_csv((made.folder / TABLE).read_text())
    assert [row["cells"][0]["text"] for row in shown["table"]["rows"]] == [row["model"] for row in table]
    names = {column["name"] for column in shown["table"]["columns"]}
    filled = {name for name in table[0] if any(row[name] is not None for row in table)}
    assert names == {name for name in filled if not name.endswith(("_low", "_high"))} | set(report.COST_SHOWN)
    described = columns()
    text = " ".join(made.read.words)
    for column in shown["table"]["columns"]:
        assert column["meaning"].strip() and column["meaning"].split(".")[0] in text.replace("\n", " ")
        if column["name"] in described and described[column["name"]]["better"]:
            assert "better" in column["meaning"]
    assert {"paper_fid", "paper_mmd"} <= names and "701.546" in text


def test_the_pictures_are_the_models_own(made: Made) -> None:
    (shown,) = made.context
    ranked = [name for _, name in shown["verdict"]["ranks"]]
    assert sorted(ranked) == ["draw_gan", "gran3", "vae"]
    assert [sheet["name"] for sheet in shown["sample_grids"]] == ["real", *ranked]
    assert [strip["name"] for strip in shown["strips"]] == [*ranked, "real"]
    assert [animation["name"] for animation in shown["animations"]] == ["draw_gan", "gran3"]
    for animation in shown["animations"]:
        (path,) = made.folder.glob(f"results/store/mnist/sample/{animation['name']}/0/*/canvases.arrow")
        canvases = artifacts.read_images(path)[0]
        assert len(animation["frames"]) == canvases.shape[1]
        last = np.asarray(Image.open(io.BytesIO(base64.b64decode(animation["frames"][-1].split(",")[1]))).convert("L"))
        assert np.array_equal(last[:28, :28], canvases[0, -1, 0])
        assert np.array_equal(last[:28, 30:58], canvases[1, -1, 0])


GALLERY_OF_TINY = ("reconstructions", "blends", "walks", "neighbours", "epochs", "adversaries")
"""What the models of the tiny budget have to show."""


def test_every_figure_of_the_layout_is_shown_or_shown_otherwise(made: Made) -> None:
    (shown,) = made.context
    found = {figure["name"] for figure in shown["figures"]}
    every = {*layout.FIGURES, *GALLERY_OF_TINY, *report.SHOWN_OTHERWISE}
    assert found | set(report.SHOWN_OTHERWISE) == every - {"class_sizes"}
    assert all(figure["caption"].parts for figure in shown["figures"])
    words = {figure["name"]: figure["pictures"][0]["alt"] for figure in shown["figures"]}
    assert "leads on Frechet distance (classifier)" in words["scores"]
    assert "No training diverged" in words["losses"] and "at last: loss" in words["losses"]


def test_the_battle_matrix_says_what_the_table_of_judges_says(made: Made) -> None:
    (shown,) = made.context
    rows = from_csv((made.folder / "results/tables/mnist_judges.csv").read_text())
    told = {
        (judge, name): cell["error"]
        for judge, cells in shown["matrix"]["rows"]
        for name, cell in zip(shown["matrix"]["contestants"], cells, strict=True)
    }
    assert told == {(row["judge"], row["contestant"]): row["error"] for row in rows}


def test_every_run_has_its_settings_digests_machine_and_mlflow_run(made: Made) -> None:
    (shown,) = made.context
    assert [(run["model"], run["seed"]) for run in shown["runs"]] == [("vae", 0), ("draw_gan", 0), ("gran3", 0)]
    (tracked,) = (made.folder / "results/store/mnist/track").glob("*/tracked.json")
    recorded = artifacts.read_json(tracked)["runs"]
    for run in shown["runs"]:
        told = dict(run["made"])
        (weights,) = made.folder.glob(f"results/store/mnist/train/{run['model']}/0/*/weights.safetensors")
        assert told["weights, SHA-256"] == artifacts.sha256(weights)
        assert told["MLflow run"].split()[0] == recorded[f"{run['model']}/0"]
        assert told["machine"] and re.fullmatch(r"[0-9a-f]{16}", told["training's hash"])
        assert {"steps", "batch"} <= {key for key, _ in run["settings"]}


def test_rows_without_values_and_runs_that_diverged_are_said(made: Made) -> None:
    context = copy.deepcopy(made.context)
    (shown,) = context
    shown["runs"][0]["status"] = "diverged"
    shown["matrix"] = report.matrix([], ["vae"])
    shown["animations"], shown["battles"]["rows"] = [], []
    text = " ".join(Read(render(context)).words)
    assert "diverged" in text and "there are no judges" in text and "How a model draws" not in text


def test_two_data_sets_share_no_name_and_every_link_leads_somewhere(made: Made) -> None:
    (shown,) = made.context
    read = Read(render([shown, {**shown, "name": "letters"}]))
    names = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {"mnist-table", "letters-table"} <= set(names)
    links = {(link["href"] or "").removeprefix("#") for link in read.all("a")}
    described = {attributes["aria-describedby"] for _, attributes in read.elements if "aria-describedby" in attributes}
    assert links | described <= set(names) and len(described) > 50


# --- what somebody might have written ---------------------------------------------------------------------------------

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %} javascript:alert(1)"


def poisoned(value: Any, key: str = "") -> Any:
    """The same with every text replaced by one that would run if it were markup; pictures stay."""
    if isinstance(value, dict):
        return {name: poisoned(item, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(poisoned(item, key) for item in value)
    return HOSTILE if isinstance(value, str) and key not in ("src", "frames") else value


def test_no_text_of_the_results_becomes_markup(made: Made) -> None:
    context = [poisoned({**item, "figures": []}) for item in made.context]
    clean = Read(render([{**item, "figures": []} for item in made.context]))
    found = Read(render(context))
    counted = [Counter(tag for tag, _ in read.elements) for read in (clean, found)]
    assert counted[0]["script"] == counted[1]["script"] == 1
    assert counted[0]["img"] == counted[1]["img"]
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert not [a for a in found.all("a") if not (a["href"] or "").startswith("#")]
    assert "".join(found.words).count("{{ 7 * 7 }}{% raw %}") > 50, "it is text, to the last brace"


# --- captions and pictures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*layout.FIGURES, *layout.GALLERY, "canvases", "table", "battles", "claims", "cost"])
def test_every_figure_has_a_caption_of_one_paragraph(name: str) -> None:
    file = ROOT / "report" / f"{name}.rst"
    assert file.is_file(), f"report/{name}.rst is missing: write **Title.** and a paragraph that says how to read it"
    caption = captions.parsed(file.read_text(), name)
    assert "\n\n" not in file.read_text().strip() and len(caption.text.split()) > 10


def test_a_caption_of_another_form_is_refused_by_name() -> None:
    caption = captions.parsed("**A title.** Words of ``code`` and\nmore.\n", "it")
    assert (caption.title, caption.text) == ("A title", "Words of code and more.")
    assert caption.parts == (("Words of ", False), ("code", True), (" and more.", False))
    with pytest.raises(ValueError, match=r"report/it\.rst: found 'A title"):
        captions.parsed("A title. Words.", "it")
    assert captions.of({}, "walks_of_z").title == "Walks of z"


def test_a_picture_is_packed_without_losing_a_pixel() -> None:
    chance = np.random.default_rng(0)
    for picture in (
        chance.integers(0, 256, (20, 30, 1), dtype=np.uint8).repeat(3, axis=2),
        chance.integers(0, 3, (20, 30, 3), dtype=np.uint8) * 100,
        chance.integers(0, 256, (40, 30, 3), dtype=np.uint8),
    ):
        buffer, opaque = io.BytesIO(), np.full_like(picture[..., :1], 255)
        Image.fromarray(picture).convert("RGBA").save(buffer, "PNG")
        packed = pictures.smaller(buffer.getvalue())
        assert len(packed) <= len(buffer.getvalue())
        for content in (packed, base64.b64decode(pictures.png(picture, opaque).split(",")[1])):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), picture)


def test_the_ground_between_images_of_a_grid_is_the_pages() -> None:
    images = np.full((3, 1, 4, 4), 255, dtype=np.uint8)
    alpha = np.asarray(Image.open(io.BytesIO(base64.b64decode(report.grid(images, 2).split(",")[1]))))[..., -1]
    assert alpha.shape == (10, 10)
    assert (alpha[:4, :4] == 255).all() and (alpha[6:, :4] == 255).all(), "images are opaque, white ones too"
    assert (alpha[4:6] == 0).all() and (alpha[:, 4:6] == 0).all() and (alpha[6:, 6:] == 0).all()


def test_lines_are_embedded_as_svg_and_pictures_as_png(tmp_path: Path) -> None:
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    Image.new("RGB", (4, 4)).save(png)
    svg.write_text("<svg><path d='M0 0'/></svg>")
    assert pictures.drawing(svg, png)["lines"]
    for text in ("<svg><image href='data:'/></svg>", "<svg>" + "<path/>" * 100_000 + "</svg>"):
        svg.write_text(text)
        drawing = pictures.drawing(svg, png)
        assert drawing["src"].startswith("data:image/png") and not drawing["lines"]
    assert pictures.drawing(None, png)["kind"] == "png"


# --- tables -----------------------------------------------------------------------------------------------------------


def test_cells_have_the_value_its_interval_what_sorts_it_and_the_best() -> None:
    elbo = {"label": "ELBO", "meaning": "A bound.", "better": "higher", "unit": "nats", "scale": "linear"}
    described, first = {"elbo": elbo}, {"elbo": -97.123456, "elbo_low": -98.0, "elbo_high": -96.0}
    rows: list[dict[str, Any]] = [
        {"model": "a", **first, "status": "ok", "paper_fid": "799.6821"},
        {"model": "b", "elbo": -91.0, "elbo_low": None, "elbo_high": None, "status": "diverged"},
        {"model": "c", "elbo": None, "status": "ok"},
        {"model": "d", "elbo": -97.9, "status": "ok"},
        {"model": "real", "elbo": -1.0},
    ]
    assert main_names(rows, described) == ["model", "elbo", "status", "paper_fid"]
    table = to_cells(rows, described, ["model", "elbo", "status", "paper_fid"], ["model", "status"])
    assert [column["name"] for column in table["columns"]] == ["model", "status", "elbo", "paper_fid"]
    assert [column["first"] for column in table["columns"]] == [True, True, False, False]
    assert table["columns"][2]["meaning"] == "A bound. Unit: nats. Higher is better."
    elbo = [row["cells"][2] for row in table["rows"]]
    bar = {"start": 0.0, "width": 2.1, "value": 0.9, "real": 100.0}  # from -98 to the -1 of real
    plain = {"text": "-97.12", "interval": "[-98, -96]", "sort": "-97.123456", "best": True, "alike": False}
    assert elbo[0] == {**plain, "bar": bar} and elbo[1]["bar"] is None
    assert [cell["best"] for cell in elbo] == [True, *[False] * 4], "who diverged and what is real do not compete"
    alone = to_cells([row for row in rows if row["model"] != "d"], described, ["model", "elbo"], ["model"])
    assert not any(row["cells"][1]["best"] for row in alone["rows"]), "the only one is not the best"
    assert elbo[2]["text"] == elbo[2]["sort"] == ""
    assert [row["reference"] for row in table["rows"]] == [False] * 4 + [True]
    assert table["rows"][0]["cells"][3]["text"] == "799.6821", "as the paper prints it"


def test_a_data_set_without_labels_is_told_by_what_its_classifier_learnt() -> None:
    splits = {name: {"count": 1000, "imbalance_ratio": None} for name in ("train", "valid", "test")}
    summary = {"shape": [3, 64, 64], "classes": [], **splits}
    read = {"summary": summary, "classifier": {"accuracy": {"test": 0.75}}}
    told = dict(report.facts(SimpleNamespace(json=read.get), {"models": ["vae"], "runs": [("vae", 0), ("vae", 1)]}))  # type: ignore[arg-type]
    assert "classes" not in told and told["images"].endswith("64 x 64, colour") and told["seeds"] == "2"
    assert told["reference classifier"] == "75.0 % of the test images' quarter turns right: there are no labels"


def test_shades_go_from_none_to_the_last() -> None:
    assert [page.shade(share, 0.5) for share in (None, 0.0, 0.25, 0.5, 0.9)] == ["none", "s0", "s10", "s20", "s20"]
    style = (page.FOLDER / "page.css").read_text()
    assert all(f".s{step} {{" in style for step in range(page.STEPS + 1))


SCORE = {"label": "Score", "meaning": "A score.", "better": "higher", "unit": "", "scale": "linear"}
FAR = {"label": "Distance", "meaning": "A distance.", "better": "lower", "unit": "", "scale": "log"}


def test_columns_stand_in_groups_and_who_cannot_be_told_apart_is_marked_but_not_noise() -> None:
    rows = [
        {"model": name, "fd": value, "fd_low": 0.9 * value, "fd_high": 1.1 * value, "recall": 0.5, "rating": 1.0}
        for name, value in (("a", 1.0), ("b", 1.1), ("c", 10.0), ("noise", 100.0))
    ]
    metrics = {"fd": FAR, "recall": SCORE}
    table = to_cells(rows, metrics, ["model", "rating", "recall", "fd"], ["model"])
    assert [group["name"] for group in table["groups"]] == ["", "Coverage and copying", "Other metrics", "Battles"]
    cells = [row["cells"][2] for row in table["rows"]]
    assert [cell["best"] for cell in cells] == [True, False, False, False]
    assert [cell["alike"] for cell in cells] == [False, True, False, False]
    assert cells[0]["bar"]["start"] == 0.0 and cells[3]["bar"] == {"start": 100.0, "width": 0.0, "value": 100.0}
    assert round(cells[2]["bar"]["value"] - cells[0]["bar"]["value"], 1) == pytest.approx(92.0, abs=0.2), "a log scale"
    worse = [{**row, "fd": 200.0} if row["model"] == "a" else row for row in rows]
    beaten = to_cells(worse, metrics, ["model", "recall", "fd"], [])["rows"][0]["cells"][2]
    assert not beaten["best"] and not beaten["alike"]
    assert not any(row["cells"][1]["best"] for row in table["rows"]), "noise has a recall as good"


def test_a_wide_table_is_printed_in_parts_that_name_their_rows() -> None:
    columns = [{"long": False}] * 12 + [{"long": True}] * 3
    assert printed(columns) == [[0, *range(1, 10)], [0, 10, 11, 12], [0, 13, 14]]
