"""Write results/report.html: tables, battles, samples, canvases, figures and runs of every data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import artifacts
from pipeline.core.references import REFERENCES
from pipeline.datasets.description import lines
from pipeline.figures import alt
from pipeline.figures.mosaic import GAP_SHADE, mosaic
from pipeline.metrics import columns
from pipeline.report import captions, page, pictures
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import duration
from pipeline.tables import CAVEAT, COST_COLUMNS, Row, claims, from_csv, headline_columns, tail
from pipeline.tables.cells import main_names, to_cells
from pipeline.tables.columns import PAPER_METRICS, SHORT_LABELS
from pipeline.tables.published import PAPER_BATTLES
from pipeline.tables.text import readable
from pipeline.tables.verdict import Tables, ranked, verdict
from pipeline.workflow import layout, store

CAPTIONS = Path(__file__).parents[2] / "report"
SHOWN_OTHERWISE = ("samples", "judges", "canvases")
"""Figures whose content the page has in a form of its own."""

REAL_IMAGES = "real"
"""The row of real images, among models' names."""

STRIP = 10
"""Images of 32 pixels in a strip; larger ones are fewer."""

SHEET = 256
"""Pixels of a side of a sheet of samples, about."""

BATTLE_COLUMNS = (
    "model_1", "model_2", "verdict", "advantage", "third_party_judges", "r_test", "r_sample", "r_sample_matched",
    "auc_1_on_2", "auc_2_on_1", "winner", "winner_tested", *PAPER_BATTLES, "note",
)  # fmt: skip
STANDING_COLUMNS = ("model", "rating", "judged", "rating_without", "left_out")
REAL = ("real_test", "real_train")
CHANCE = 0.5
RATING = ("rating", "rating_low", "rating_high")
COST_SHOWN = (
    "images_seen",
    "train_cpu_seconds",
    "train_images_per_second",
    "sample_images_per_second",
    "peak_memory_mb",
)
"""Columns of the table of networks that the page shows in the main table."""
OF_RUNS = ("training", "weights", "metrics")
"""Inputs of which there is a file for every run."""


def run(job: JobContext) -> None:
    """One page of all data sets that this job was planned with."""
    found = captions.read(CAPTIONS)
    shown = []
    for name, about in job.config["report"].items():
        shown.append(dataset(Source(job, name, about), about, found))
        job.progress.note(f"{name}: read")
    text = page.render(shown, captions=found, budget=job.config["budget"], caveat=CAVEAT)
    path = job.outputs["page"]
    job.write_text(path, text)
    job.progress.say(f"{path}: {', '.join(job.config['report'])}, {len(text.encode()) / 1e6:.1f} MB")


class Source:
    """The files of one data set among the job's inputs."""

    def __init__(self, job: JobContext, dataset: str, about: dict[str, Any]) -> None:
        self.dataset = dataset
        self.inputs = {
            name.removeprefix(f"{dataset}_"): found
            for name, found in job.inputs.items()
            if name.startswith(f"{dataset}_")
        }
        self.keys: dict[str, list[Any]] = {name: [tuple(run) for run in about["runs"]] for name in OF_RUNS}
        self.keys |= {"samples": about["models"], "canvases": about["sequential"]}

    def path(self, name: str, key: Any = None) -> Path:
        """A file by its input name; `key` is the run or the model where there is one for each."""
        found = self.inputs[name]
        path: Path = found if key is None else found[self.keys[name].index(key)]
        return path

    def rows(self, name: str) -> list[Row]:
        """The rows of a table."""
        return from_csv(self.path(name).read_text(encoding="utf-8"))

    def json(self, name: str, key: Any = None) -> Any:
        """The content of a JSON file."""
        return artifacts.read_json(self.path(name, key))

    def record(self, name: str, key: Any = None) -> dict[str, Any]:
        """What made a file."""
        return store.read(self.path(name, key).parent) or {}

    def images(self, name: str, key: Any = None) -> np.ndarray:
        """Images of an Arrow file."""
        return artifacts.read_images(self.path(name, key))[0]


def dataset(source: Source, about: dict[str, Any], known: dict[str, captions.Caption]) -> dict[str, Any]:
    """All that the page shows of a data set."""
    entries = columns()
    battles, standings, claimed = (source.rows(item) for item in ("battles", "standings", "claims"))
    table = [row | more(row, standings, source.rows("networks")) for row in source.rows("table")]
    papers = there(table, PAPER_METRICS)
    cost = there(table, COST_SHOWN)
    tables = Tables(
        table, source.rows("seeds"), claimed, entries, about["trained"], source.json("summary").get("bands")
    )
    order = [model for _, model in ranked(tables)]
    table.sort(key=lambda row: order.index(row["model"]) if row["model"] in order else len(order))
    return {
        "name": source.dataset,
        "stamp": stamp(source, table),
        "verdict": verdict(tables),
        "strips": strips(source, tables),
        "facts": facts(source, about),
        "table": to_cells(table, entries, [*main_names(table, entries), *cost], headline_columns(entries, table)),
        "tail": rare(table, entries, tables.bands),
        "papers": bool(papers),
        "battles": to_cells(battles, entries, there(battles, BATTLE_COLUMNS)),
        "claims": to_cells(*claims.shown_rows(claimed)),
        "standings": to_cells(standings, entries, there(standings, STANDING_COLUMNS)),
        "cost": to_cells(source.rows("cost"), entries, COST_COLUMNS),
        "matrix": matrix(source.rows("judges"), about["models"]),
        "sample_grids": list(sample_grids(source, tables)),
        "animations": list(animations(source, about["sequential"])),
        "figures": figures(source, known),
        "runs": list(trainings(source, about)),
    }


def rare(table: Sequence[Row], entries: Mapping[str, Any], bands: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The table of rare classes with its heading; None for balanced data."""
    if bands is None:
        return None
    return {"heading": tail.heading(bands, table), "table": to_cells(table, entries, there(table, tail.TAIL_COLUMNS))}


def more(row: Row, standings: Sequence[Row], networks: Sequence[Row]) -> Row:
    """What other tables say of a model: the rating's interval, and what its trainings cost on average."""
    rated = next((other for other in standings if other["model"] == row["model"]), {})
    spent = next((other for other in networks if other["model"] == row["model"]), {})
    return {name: rated.get(name) for name in RATING} | {name: spent.get(name) for name in COST_SHOWN}


def stamp(source: Source, table: Sequence[Row]) -> list[tuple[str, str]]:
    """When and by which commit the table was made, of how many images and seeds."""
    record = source.record("table")
    models = [row for row in table if row["model"] not in REFERENCES]
    seeds, fake, real = (span(models, name) for name in ("seeds", "n_fake", "n_real"))
    return [
        ("measured", str(record.get("made", "unknown"))[:10]),
        ("commit", str(record.get("commit") or "unknown")[:12]),
        ("images", f"{fake} generated, {real} held-out real"),
        ("seeds", seeds),
    ]


def span(rows: Sequence[Row], name: str) -> str:
    """The values of a column: one number, or the least and the greatest."""
    found = sorted({int(value) for row in rows if (value := row.get(name)) is not None})
    return " to ".join(readable(value) for value in dict.fromkeys([found[0], found[-1]])) if found else "unknown"


def there(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Those of the columns that have a value in some row."""
    return [name for name in columns if any(row.get(name) is not None for row in rows)]


def facts(source: Source, about: dict[str, Any]) -> list[tuple[str, str]]:
    """What has to be known of the data set and the comparison, in words."""
    summary, classifier = source.json("summary"), source.json("classifier")
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
    described = lines(summary["description"]) if "description" in summary else []
    return said + [(name, text) for name, _, text in (line.partition(": ") for line in described)]


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


def strips(source: Source, tables: Tables) -> list[dict[str, Any]]:
    """Every model with its rank, its score and one row of its samples, the best first; then real images."""
    metric = tables.headline[0] if tables.headline else ""
    status = {row["model"]: row["status"] for row in tables.models}
    names = [(str(rank or "-"), name) for rank, name in ranked(tables)]
    return [
        {
            "rank": rank,
            "name": name,
            "score": tables.value(name, metric).split(" [")[0] if metric else "",
            "metric": SHORT_LABELS.get(metric, metric),
            "label": tables.label(metric) if metric else "",
            "status": "" if status.get(name) in (None, "ok") else status[name],
            **strip(source, name),
        }
        for rank, name in (*names, ("", REAL_IMAGES))
    ]


def strip(source: Source, name: str) -> dict[str, str]:
    """One row of a model's samples, or of real images."""
    images = some_of(source, name, STRIP)
    across = min(STRIP, max(4, STRIP * 32 // images.shape[-1]))
    what = "held-out real images" if name == REAL_IMAGES else f"samples of {name}"
    return {"src": grid(images[:across], across), "alt": f"{len(images[:across])} {what} of {source.dataset}"}


def some_of(source: Source, name: str, count: int) -> np.ndarray:
    """A model's first samples; of real images, some from all of the split, which may be ordered by class or writer."""
    images = source.images("test") if name == REAL_IMAGES else source.images("samples", name)
    return images[:: max(1, len(images) // count)][:count] if name == REAL_IMAGES else images[:count]


def sample_grids(source: Source, tables: Tables) -> Iterator[dict[str, str]]:
    """Real images, then each model's samples, the best first: the same number of each, as they come."""
    across = max(3, round(SHEET / source.images("test").shape[-1]))
    metric = tables.headline[0] if tables.headline else ""
    for name in (REAL_IMAGES, *(model for _, model in ranked(tables))):
        images = some_of(source, name, across**2)
        what = "held-out real images" if name == REAL_IMAGES else f"samples of {name}"
        score = f"{SHORT_LABELS.get(metric, metric)} {tables.value(name, metric)}" if metric else ""
        alt = f"{len(images)} {what} of {source.dataset}, {across} in a row{'; ' if score else ''}{score}"
        yield {"name": name, "score": score, "alt": alt, "src": grid(images, across)}


def grid(images: np.ndarray, across: int) -> str:
    """Images (n, C, H, W) side by side as the address of a PNG; the ground between them is that of the page."""
    ground = mosaic(np.zeros_like(images), across)[..., :1] == GAP_SHADE
    return pictures.png(mosaic(images, across), np.where(ground, 0, 255).astype(np.uint8))


def animations(source: Source, models: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every step by step model's canvases: one picture for each step, samples side by side."""
    for name in models:
        steps = source.images("canvases", name)  # (samples, steps, C, H, W)
        across = min(len(steps), 4 if steps.shape[-1] <= 64 else 3)
        frames = [grid(steps[:, step], across) for step in range(steps.shape[1])]
        yield {"name": name, "frames": frames, "count": len(steps), "dataset": source.dataset}


def figures(source: Source, known: dict[str, captions.Caption]) -> list[dict[str, Any]]:
    """The data set's figures by name, each with its caption and its own words; those of single models under one."""
    found: dict[str, dict[str, Any]] = {}
    for path, name, wildcards in drawn(source):
        if name in SHOWN_OTHERWISE:
            continue
        caption = captions.of(known, name)
        whose = " ".join(f"{key} {value}" if key == "seed" else value for key, value in wildcards.items())
        entry = found.setdefault(name, {"name": name, "caption": caption, "pictures": []})
        about = f"{caption.title}: {source.dataset}{', ' + whose if whose else ''}"
        words = ". ".join(filter(None, [about, alt.read(path).text]))
        picture = pictures.drawing(path.with_suffix(".svg"), path)
        entry["pictures"].append({**picture, "whose": whose, "alt": words})
    return list(found.values())


def drawn(source: Source) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """(PNG file, name of the figure, its model and seed) of every figure, in the order in which they are drawn."""
    for path in source.inputs["drawn"]:
        record = store.read(path.parent) or {"files": {}, "wildcards": {}}
        of = {key: str(value) for key, value in record["wildcards"].items() if key != "dataset"}
        order = [*layout.FIGURES, *layout.GALLERY, "canvases"]
        names = sorted((Path(name).stem for name in record["files"] if name.endswith(".png")), key=order.index)
        yield from ((path.parent / f"{name}.png", name, of) for name in names)


# --- runs ---------------------------------------------------------------------------------------------------------


def trainings(source: Source, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every row's training: what was asked for, what made it, where and how long."""
    tracked = source.json("tracked")
    costs = {(row["model"], row["seed"]): row for row in source.rows("cost")}
    seeds = dict(reversed(about["runs"]))
    for model, seed in about["runs"]:
        trained = about["trained"][model]
        report = source.json("training", (model, seed))
        record = source.record("training", (model, seed))
        block = record["config"]
        yield {
            "model": model,
            "seed": seed,
            "first": seed == seeds[model],
            "status": report["status"],
            "of": None if trained == model else trained,
            "took": duration(float(costs[model, seed]["train_seconds"] or 0)),
            "settings": [
                (key, shown(value)) for part in ("training", "arguments") for key, value in block[part].items()
            ],
            "made": [*made(source, record, model, seed), ("MLflow run", recorded(tracked, model, seed))],
        }


def made(source: Source, record: dict[str, Any], model: str, seed: int) -> list[tuple[str, str]]:
    """Digests, machine and time of a training."""
    weights = source.record("weights", (model, seed))
    metrics = source.record("metrics", (model, seed))
    versions = ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items())
    return [
        ("class", f"pipeline/models/{record['config']['class']}.py"),
        ("training's hash", record["hash"]),
        ("measurement's hash", metrics["hash"]),
        ("weights, SHA-256", weights["files"]["weights.safetensors"]["sha256"]),
        ("machine", str(record.get("machine", "unknown"))),
        ("device", str(record.get("device", "unknown"))),
        ("trained", f"{record.get('made', 'unknown')}, the stage in {duration(float(record.get('seconds', 0)))}"),
        ("commit", str(record.get("commit") or "none")),
        ("libraries", f"Python {record.get('python', 'unknown')}, {versions}"),
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
