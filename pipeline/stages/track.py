"""Record one MLflow run per model and seed and per reference row: params, curves, images, metrics and the model."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.runtime.job_context import JobContext
from pipeline.tables import Row, from_csv
from pipeline.tracking import mlflow_runs, pyfunc_export
from pipeline.tracking.mlflow_runs import attempt
from pipeline.workflow import layout, store

GENERATOR = Path(pyfunc_export.__file__).with_name("pyfunc_model.py")
"""What MLflow runs to load a model. It is read as a file, never imported here: it takes torch."""

IMAGE_STEPS = 12
"""Steps of a training whose samples are logged as images, at most."""

BEST_BY = ("fd_classifier", "fd_pixels", "kid_classifier")
"""Metrics, lower is better: the first that was measured decides which model of a data set has the alias `best`."""


@dataclass
class Training:
    """One training and the files that it and its evaluation left."""

    model: str
    seed: int
    sheet: Path | None
    """Its canvases through time as a figure, where there is one."""
    drawn: Path | None
    """Its canvases through time as images."""
    history: Path
    report: Path
    cost: Path
    weights: Path
    snapshots: Path
    metrics: Path


def run(job: JobContext) -> None:
    """Record the runs; what could not be recorded is said once, and a later run tries again."""
    uri = mlflow_runs.tracking_uri(Path("results"))
    job.write_json(job.outputs["tracked"], {"store": shown(uri), "runs": record_all(job, uri)})


def record_all(job: JobContext, uri: str) -> dict[str, str | None]:
    """Record the runs one after the other: 'model/seed' -> run id, None for one that could not be recorded."""
    runs, dataset = contents(job), job.wildcards["dataset"]
    recorded: dict[str, str | None] = {f"{model}/{seed}": None for model, seed, _ in runs}
    _, problem = attempt(mlflow_runs.create_store, uri)
    for number, (model, seed, content) in enumerate(runs, start=1):
        if problem is None:
            run_id, message = attempt(mlflow_runs.record_run, uri=uri, **content)
            recorded[f"{model}/{seed}"] = run_id
            tell = job.progress.say if message else job.progress.note
            tell(f"{number}/{len(runs)} {model} seed {seed}: {message or f'tracked as run {run_id}'}")
            if run_id is None:  # does the store still answer? else the rest would wait for it one by one
                _, problem = attempt(mlflow_runs.create_store, uri)
            else:
                forget_live(job, model, seed, content["tags"]["hash"])
    count = sum(run is None for run in recorded.values())
    job.progress.say(
        f"{shown(uri)}: " + (f"{count} of {len(runs)} {problem}" if problem else f"{len(runs) - count} runs")
    )
    best = best_run([(recorded[f"{model}/{seed}"], content) for model, seed, content in runs])
    if best is not None:
        attempt(mlflow_runs.mark_best, uri, dataset, best)  # a store that cannot do so loses the alias, nothing else
    return recorded


def best_run(runs: list[tuple[str | None, dict[str, Any]]]) -> str | None:
    """The recorded run, of those with a model, whose metric of BEST_BY is the lowest."""
    for metric in BEST_BY:
        scores = [
            (content["metrics"][metric], run_id)
            for run_id, content in runs
            if run_id is not None and "model" in content and content["metrics"].get(metric) is not None
        ]
        if scores:
            return min(scores)[1]
    return None


def contents(job: JobContext) -> list[tuple[str, int, dict[str, Any]]]:
    """(model, seed, what its run records) of every training, then of every reference row."""
    runs = [(item.model, item.seed, of_training(job, item)) for item in trainings(job)]
    measured = artifacts.read_json(job.inputs["references"])
    return [*runs, *((name, 0, of_reference(job, name, measured[name])) for name in measured)]


def trainings(job: JobContext) -> list[Training]:
    """The trainings with their files, in the order in which the job lists them."""
    runs = [tuple(run) for run in job.config["runs"]]
    groups = (job.inputs[name] for name in ("history", "training", "cost", "weights", "snapshots", "metrics"))
    pairs = zip(job.inputs["canvases"], job.inputs["drawn"], strict=True)
    sequential = dict(zip(job.config["sequential"], pairs, strict=True))
    return [
        Training(model, seed, *(sequential.get(model, (None, None)) if seed == 0 else (None, None)), *files)
        for (model, seed), files in zip(runs, zip(*groups, strict=True), strict=True)
    ]


def of_training(job: JobContext, item: Training) -> dict[str, Any]:
    """What the run of a training records."""
    block, figure = job.config["models"][item.model], job.inputs["samples_figure"]
    report, estimates = artifacts.read_json(item.report), artifacts.read_json(item.metrics)["estimates"]
    cost = artifacts.read_json(item.cost)
    rows = from_csv(item.history.read_text(encoding="utf-8"))
    source = {"mlflow.source.name": "pipeline/stages/train.py"}
    return described(job, item.model, item.seed, item.history.parent, estimates) | {
        "tags": {
            **tags(job, item.model, item.seed, item.history.parent, source),
            "measured": item.metrics.parent.name,
            "weights": artifacts.sha256(item.weights),
            "status": report["status"],
            "mlflow.note.content": note(item, report, estimates),
        },
        "params": mlflow_runs.run_params(block),
        "curves": [(int(row["step"] or 0), numbers(row)) for row in rows],
        "metrics": scores(estimates) | {k: value for k, value in cost.items() if isinstance(value, int | float)},
        "files": {
            "": [item.history],
            "metrics": [item.metrics],
            "figures": [figure, *([item.sheet] if item.sheet else [])],
        },
        "images": functools.partial(images, item, rows),
        "model": functools.partial(write_model, item=item, block=block, shape=job.config["shape"]),
    }


def of_reference(job: JobContext, name: str, measured: dict[str, Any]) -> dict[str, Any]:
    """What the run of a reference row records: there is no training, only metrics."""
    folder = job.inputs["references"].parent
    source = {"mlflow.source.name": "pipeline/stages/references.py"}
    text = f"Reference row `{name}` of the table: images of no model, measured like samples."
    about = {**tags(job, name, 0, folder, source), "status": "reference", "mlflow.note.content": text}
    content = {"tags": about, "params": {"class": "reference"}, "curves": [], "metrics": scores(measured["estimates"])}
    return described(job, name, 0, folder, measured["estimates"]) | content


def described(job: JobContext, model: str, seed: int, folder: Path, estimates: dict[str, Any]) -> dict[str, Any]:
    """When a run's images were made and from which data."""
    record = store.read(folder) or {}
    training_data = artifacts.read_json(job.inputs["summary"])["train"]
    dataset = {
        "name": job.wildcards["dataset"],
        "digest": training_data["checksum"][:8],
        "source_type": "local",
        "source": str(job.inputs["summary"].with_name("train.arrow")),
        "profile": f'{{"images": {training_data["count"]}}}' if "count" in training_data else "{}",
    }
    period = None
    if "made" in record:
        ended = datetime.fromisoformat(record["made"]).timestamp()
        period = (ended - record["seconds"], ended)
    return {"dataset": dataset, "period": period}


def tags(job: JobContext, model: str, seed: int, folder: Path, source: dict[str, str]) -> dict[str, Any]:
    """The tags that every run has."""
    commit = (store.read(folder) or {}).get("commit")
    return {
        "dataset": job.wildcards["dataset"],
        "model": model,
        "seed": seed,
        "budget": job.config["budget"],
        "hash": folder.name,
        "data_digest": artifacts.read_json(job.inputs["summary"])["train"]["checksum"],
        "commit": commit or "none",
        "mlflow.source.type": "LOCAL",
        **source,
        **({"mlflow.source.git.commit": commit.rstrip("+")} if commit else {}),
    }


def note(item: Training, report: dict[str, Any], estimates: dict[str, Any]) -> str:
    """The description that MLflow shows above a run."""
    steps = f"{report['steps']:,} steps" if "steps" in report else "trained"
    lines = [f"`{item.model}`, seed {item.seed}: {steps}, status {report['status']}."]
    for metric in BEST_BY:
        if (found := estimates.get(metric)) and found["value"] is not None:
            bounds = "" if found.get("low") is None else f" [{found['low']:.4g}, {found['high']:.4g}]"
            lines.append(f"`{metric}` {found['value']:.4g}{bounds} (95 % interval over images).")
            break
    return " ".join([*lines, f"Files: `{item.history.parent}`"])


def scores(estimates: dict[str, Any]) -> dict[str, float | None]:
    """Every metric and the bounds of its 95 % interval, named like the columns of the table."""
    values = {name: entry["value"] for name, entry in estimates.items()}
    bounds = {
        f"{name}_{side}": entry[side]
        for name, entry in estimates.items()
        for side in ("low", "high")
        if entry.get(side) is not None
    }
    return values | bounds


def images(item: Training, rows: list[Row]) -> Iterator[tuple[str, int, Any]]:
    """Samples by training step, and the canvases by the step of drawing."""
    from pipeline.figures.mosaic import mosaic

    snapshots = artifacts.read_images(item.snapshots)[0]  # (samples, moments, C, H, W)
    watched = [int(row["step"] or 0) for row in rows if "diversity" in row and row["diversity"] is not None]
    count = snapshots.shape[1] if len(snapshots) else 0
    steps = watched if len(watched) == count else list(range(1, count + 1))
    for k in sorted({round(j * (count - 1) / (IMAGE_STEPS - 1)) for j in range(IMAGE_STEPS)} if count else ()):
        yield "samples", steps[k], mosaic(snapshots[:, k], columns=8)
    canvases = artifacts.read_images(item.drawn)[0] if item.drawn else snapshots[:0]
    for k in range(canvases.shape[1] if len(canvases) else 0):
        yield "canvases", k + 1, mosaic(canvases[:16, k], columns=8)


def write_model(folder: Path, *, item: Training, block: dict[str, Any], shape: list[int]) -> None:
    """The trained model as a folder that `mlflow.pyfunc.load_model` loads."""
    pyfunc_export.write_flavour(
        folder,
        script=GENERATOR,
        modules=("pipeline.training.device", "pipeline.training.sampling", f"pipeline.models.{block['class']}"),
        weights=item.weights,
        settings={"shape": shape, **{key: block[key] for key in ("class", "arguments", "classes") if key in block}},
    )


def forget_live(job: JobContext, model: str, seed: int, hash_: str) -> None:
    """Remove what the training wrote while it ran: all of it is in the store now."""
    job.at(layout.LIVE, model=model, seed=seed, hash=hash_).unlink(missing_ok=True)


def numbers(row: Row) -> dict[str, float]:
    """The scalars of a row of the history."""
    return {name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)}


def shown(uri: str) -> str:
    """The store without the folder that this machine happens to keep it in, and without a password."""
    return "results/mlflow.db" if not os.environ.get("MLFLOW_TRACKING_URI") else uri.rsplit("@", 1)[-1]
