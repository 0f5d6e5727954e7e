"""Write the page that people look at: tables, battles, samples, canvases, figures and runs of every data set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import artifacts
from pipeline.figures.mosaic import mosaic
from pipeline.metrics import columns
from pipeline.report import captions, page, pictures
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import duration
from pipeline.tables import CAVEAT, COST_COLUMNS, Row, claims, from_csv, headline_columns
from pipeline.tables.cells import main_names, to_cells
from pipeline.tables.columns import PAPER_METRICS
from pipeline.tables.published import PAPER_BATTLES
from pipeline.tables.text import readable
from pipeline.workflow import layout

CAPTIONS = Path(__file__).parents[2] / "report"
SHOWN_OTHERWISE = ("samples", "judges", "canvases")
"""Figures whose content the page has in a form of its own."""

SHEET = 256
"""Pixels of a side of a sheet of samples, about."""

BATTLE_COLUMNS = (
    "model_1", "model_2", "r_test", "r_sample", "r_sample_matched", "winner", "winner_tested", *PAPER_BATTLES, "note",
)  # fmt: skip
STANDING_COLUMNS = ("model", "rating", "judged")
REAL = ("real_test", "real_train")
CHANCE = 0.5


def run(job: JobContext) -> None:
    """One page of all data sets that this job was planned with."""
    found = captions.read(CAPTIONS)
    shown = [dataset(job, name, about, found) for name, about in job.block["report"].items()]
    text = page.render(shown, captions=found, budget=job.block["budget"], caveat=CAVEAT)
    path = job.at(layout.REPORT)
    job.write_text(path, text)
    job.progress.say(f"{path}: {', '.join(job.block['report'])}, {len(text.encode()) / 1e6:.1f} MB")


class Source:
    """The files of one data set among those that the job reads."""

    def __init__(self, job: JobContext, dataset: str) -> None:
        self.dataset = dataset
        self.reads = {path.as_posix() for path in job.reads}

    def path(self, pattern: str, **wildcards: object) -> Path:
        """A file of the layout; KeyError for one that the job was not planned to read."""
        path = layout.path(pattern, dataset=self.dataset, **wildcards)
        if path.as_posix() not in self.reads:
            raise KeyError(f"{path} is no input of this job")
        return path

    def rows(self, pattern: str) -> list[Row]:
        """The rows of a table."""
        return from_csv(self.path(pattern).read_text())

    def json(self, pattern: str, **wildcards: object) -> Any:
        """The content of a JSON file."""
        return artifacts.read_json(self.path(pattern, **wildcards))

    def stamp(self, pattern: str, **wildcards: object) -> dict[str, Any]:
        """What made a file."""
        return artifacts.read_json(artifacts.stamp_path(self.path(pattern, **wildcards)))

    def images(self, pattern: str, **wildcards: object) -> np.ndarray:
        """Images of an Arrow file."""
        return artifacts.read_images(self.path(pattern, **wildcards))[0]


def dataset(job: JobContext, name: str, about: dict[str, Any], known: dict[str, captions.Caption]) -> dict[str, Any]:
    """All that the page shows of a data set."""
    source = Source(job, name)
    entries = columns()
    table, battles, standings = (source.rows(item) for item in (layout.TABLE, layout.BATTLES, layout.STANDINGS))
    papers = there(table, PAPER_METRICS)
    few = ["model", *(column for column in headline_columns(entries) if column != "model"), *papers]
    job.progress.note(f"{name}: tables read")
    return {
        "name": name,
        "facts": facts(source, about),
        "table": to_cells(table, entries, main_names(table, entries), few),
        "papers": bool(papers),
        "battles": to_cells(battles, entries, there(battles, BATTLE_COLUMNS)),
        "claims": to_cells(source.rows(layout.CLAIMS), claims.claims_columns(), claims.CLAIMS_SHOWN),
        "standings": to_cells(standings, entries, STANDING_COLUMNS),
        "cost": to_cells(source.rows(layout.COST), entries, COST_COLUMNS),
        "matrix": matrix(source.rows(layout.JUDGES), about["models"]),
        "sample_grids": list(sample_grids(source, about["models"])),
        "animations": list(animations(source, about["sequential"])),
        "figures": figures(source, known),
        "runs": list(trainings(source, about)),
    }


def there(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Those of the columns that have a value in some row."""
    return [name for name in columns if any(row.get(name) is not None for row in rows)]


def facts(source: Source, about: dict[str, Any]) -> list[tuple[str, str]]:
    """What has to be known of the data set and the comparison, in words."""
    summary, classifier = source.json(layout.SUMMARY), source.json(layout.CLASSIFIER_REPORT)
    channels, height, width = summary["shape"]
    split = ", ".join(f"{readable(summary[part]['count'])} {part}" for part in ("train", "valid", "test"))
    ratio = summary["train"].get("imbalance_ratio")
    classes = len(summary.get("classes") or ())
    right = "of the test images right" if classes else "of the test images' quarter turns right: there are no labels"
    said = [
        ("images", f"{split}; {height} x {width}, {'grey' if channels == 1 else 'colour'}"),
        ("models", str(len(about["models"]))),
        ("seeds", str(len({seed for _, seed in about["runs"]}))),
        ("reference classifier", f"{100 * classifier['accuracy']['test']:.1f} % {right}"),
    ]
    if classes:
        uneven = f"; the largest has {readable(ratio, 3)} times the images of the smallest" if ratio else ""
        said.insert(1, ("classes", f"{classes}{uneven}"))
    return said


# --- battles ------------------------------------------------------------------------------------------------------


def matrix(rows: Sequence[Row], models: Sequence[str]) -> dict[str, Any]:
    """Error rate of every judge on real images and on every model's, with the shade's upper end."""
    cells = {(row["judge"], row["contestant"]): row for row in rows}
    judges = [name for name in models if any(judge == name for judge, _ in cells)]
    contestants = [name for name in (*REAL, *models) if any(name == contestant for _, contestant in cells)]
    rates = [float(row["error"]) for row in rows if row["error"] is not None]
    return {
        "contestants": contestants,
        "top": max([CHANCE, *rates]),
        "rows": [(judge, [judged(cells.get((judge, name)), judge, name) for name in contestants]) for judge in judges],
    }


def judged(row: Row | None, judge: str, contestant: str) -> dict[str, Any]:
    """One cell: the rate, its text, and what it says in full."""
    error = None if row is None or row["error"] is None else float(row["error"])
    if row is None or error is None:
        return {"error": None, "text": "\u2013", "said": f"{judge} does not judge {contestant}", "own": False}
    what = "called generated" if contestant in REAL else "taken for real"
    bounds = f", 95 % interval {readable(row['error_low'], 3)} to {readable(row['error_high'], 3)}"
    said = (
        f"{readable(row['errors'])} of {readable(row['total'])} images of {contestant} {what} by {judge}: "
        f"{readable(error, 3)}{bounds if row['error_low'] is not None else ''}"
    )
    if row.get("paper_error") is not None:
        said += f"; the GRAN paper prints {row['paper_error']} of its own networks and images"
    return {"error": error, "text": f"{error:.2f}", "said": said, "own": judge == contestant}


# --- pictures -----------------------------------------------------------------------------------------------------


def sample_grids(source: Source, models: Sequence[str]) -> Iterator[dict[str, str]]:
    """Real images, then each model's samples: the same number of each, as they come."""
    real = source.images(layout.TEST)
    across = max(3, round(SHEET / real.shape[-1]))
    # A split may be ordered by class or by writer: its images are taken from all of it.
    wanted = {"real": real[:: max(1, len(real) // across**2)]}
    for name in models:
        wanted[name] = source.images(layout.SAMPLES, model=name, seed=0)
    for name, images in wanted.items():
        count = min(len(images), across**2)
        what = "held-out real images" if name == "real" else f"samples of {name}"
        alt = f"{count} {what} of {source.dataset}, {across} in a row"
        yield {"name": name, "alt": alt, "src": pictures.png(mosaic(images[: across**2], across))}


def animations(source: Source, models: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every step by step model's canvases: one picture for each step, samples side by side."""
    for name in models:
        steps = source.images(layout.CANVASES, model=name, seed=0)  # (samples, steps, C, H, W)
        across = min(len(steps), 4 if steps.shape[-1] <= 64 else 3)
        frames = [pictures.png(mosaic(steps[:, step], across)) for step in range(steps.shape[1])]
        yield {"name": name, "frames": frames, "count": len(steps), "dataset": source.dataset}


def figures(source: Source, known: dict[str, captions.Caption]) -> list[dict[str, Any]]:
    """The data set's figures by name, each with its caption; those of single models under one."""
    found: dict[str, dict[str, Any]] = {}
    for path, name, wildcards in drawn(source):
        if name in SHOWN_OTHERWISE:
            continue
        caption = captions.of(known, name)
        whose = " ".join(f"{key} {value}" if key == "seed" else value for key, value in wildcards.items())
        entry = found.setdefault(name, {"name": name, "caption": caption, "pictures": []})
        alt = f"{caption.title}: {source.dataset}{', ' + whose if whose else ''}"
        picture = pictures.drawing(path.with_suffix(".svg"), path)
        entry["pictures"].append({**picture, "whose": whose, "alt": alt})
    return list(found.values())


def drawn(source: Source) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """(PNG file, name of the figure, its model and seed) of every figure, in the order of the layout."""
    patterns = [item for of in layout.OUTPUTS.values() for item in of if layout.FIGURE_FOLDER.match(item)]
    paths = sorted(
        path for path in source.reads if path.startswith(layout.FIGURE.format(dataset=source.dataset, figure=""))
    )
    for pattern in (item for item in patterns if item.endswith(".png")):
        matches = expression(pattern, source.dataset)
        for path in paths:
            if match := matches(path):
                yield Path(path), layout.figure_name(pattern), match.groupdict()


def expression(pattern: str, dataset: str) -> Callable[[str], re.Match[str] | None]:
    """Which paths a pattern of the layout stands for, with their model and seed."""
    text = re.escape(pattern.replace("{dataset}", dataset)).replace(r"\{seed\}", r"(?P<seed>\d+)")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", text)).fullmatch


# --- runs ---------------------------------------------------------------------------------------------------------


def trainings(source: Source, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every row's training: what was asked for, what made it, where and how long."""
    tracked = source.json(layout.TRACKED)
    costs = {(row["model"], row["seed"]): row for row in source.rows(layout.COST)}
    for model, seed in about["runs"]:
        trained = about["trained"][model]
        report = source.json(layout.TRAINING, model=trained, seed=seed)
        stamp = source.stamp(layout.TRAINING, model=trained, seed=seed)
        block = stamp["block"]
        yield {
            "model": model,
            "seed": seed,
            "status": report["status"],
            "of": None if trained == model else trained,
            "took": duration(float(costs[model, seed]["train_seconds"] or 0)),
            "settings": [
                (key, shown(value)) for part in ("training", "arguments") for key, value in block[part].items()
            ],
            "made": [*made(source, stamp, trained, model, seed), ("MLflow run", recorded(tracked, model, seed))],
        }


def made(source: Source, stamp: dict[str, Any], trained: str, model: str, seed: int) -> list[tuple[str, str]]:
    """Digests, machine and time of a training."""
    weights = source.stamp(layout.WEIGHTS, model=trained, seed=seed)
    metrics = source.stamp(layout.METRICS, model=model, seed=seed)
    versions = ", ".join(f"{name} {version}" for name, version in stamp.get("versions", {}).items())
    return [
        ("class", f"pipeline/models/{stamp['block']['class']}.py"),
        ("training's identity", stamp["identity"]),
        ("measurement's identity", metrics["identity"]),
        ("weights, SHA-256", weights["sha256"]),
        ("machine", str(stamp.get("machine", "unknown"))),
        ("device", str(stamp.get("device", "unknown"))),
        ("trained", f"{stamp.get('made', 'unknown')}, the stage in {duration(float(stamp.get('seconds', 0)))}"),
        ("commit", str(stamp.get("commit") or "none")),
        ("libraries", f"Python {stamp.get('python', 'unknown')}, {versions}"),
    ]


def recorded(tracked: dict[str, Any], model: str, seed: int) -> str:
    """Its run in MLflow and the store that has it."""
    run = tracked["runs"].get(f"{model}/{seed}")
    return f"{run} in {tracked['store']}" if run else "not recorded"


def shown(value: Any) -> str:
    """A parameter as params.yaml would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return str(value)
