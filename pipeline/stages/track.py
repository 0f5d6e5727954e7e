"""Record one MLflow run per model and seed: params, curves, final metrics, tags, figures and the trained model."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.runtime.job_context import JobContext
from pipeline.tables import Row, from_csv
from pipeline.tracking import mlflow_runs, pyfunc_export
from pipeline.workflow import layout, store

GENERATOR = Path(pyfunc_export.__file__).with_name("pyfunc_model.py")
"""What MLflow runs to load a model. It is read as a file, never imported here: it takes torch."""


@dataclass
class Training:
    """One training and the files that it and its evaluation left."""

    model: str
    seed: int
    sheet: Path | None
    """Its canvases through time, where there is a sheet of them."""
    history: Path
    report: Path
    cost: Path
    weights: Path
    metrics: Path


def run(job: JobContext) -> None:
    """Record them one after the other; what could not be recorded is said once, and a later run tries again."""
    uri = mlflow_runs.tracking_uri(Path("results"))
    runs = trainings(job)
    problem = mlflow_runs.open_store_safely(uri)
    recorded: dict[str, str | None] = dict.fromkeys(f"{item.model}/{item.seed}" for item in runs)
    for number, item in enumerate(runs, start=1):
        if problem is None:
            run_id, message = mlflow_runs.record_run_safely(
                uri=uri, experiment=job.wildcards["dataset"], **content(job, item)
            )
            recorded[f"{item.model}/{item.seed}"] = run_id
            job.progress.say(f"{number}/{len(runs)} {item.model} seed {item.seed}: {message}")
            forget_live(job, item, run_id)
            if run_id is None:  # does the store still answer? else the rest would wait for it one by one
                problem = mlflow_runs.open_store_safely(uri, patience=0.0)
    if problem is not None:
        job.progress.say(f"{shown(uri)}: {sum(run is None for run in recorded.values())} of {len(runs)} {problem}")
    job.write_json(job.outputs["tracked"], {"store": shown(uri), "runs": recorded})


def trainings(job: JobContext) -> list[Training]:
    """The trainings with their files, in the order in which the job lists them."""
    runs = [tuple(run) for run in job.config["runs"]]
    groups = (job.inputs[name] for name in ("history", "training", "cost", "weights", "metrics"))
    sample_grids = dict(zip(job.config["sequential"], job.inputs["canvases"], strict=True))
    return [
        Training(model, seed, sample_grids.get(model) if seed == 0 else None, *files)
        for (model, seed), files in zip(runs, zip(*groups, strict=True), strict=True)
    ]


def content(job: JobContext, item: Training) -> dict[str, Any]:
    """What one run records."""
    summary, figure = job.inputs["summary"], job.inputs["samples_figure"]
    block = job.config["models"][item.model]
    record = store.read(item.history.parent) or {}
    measured = artifacts.read_json(item.metrics)
    final = {name: entry["value"] for name, entry in measured["estimates"].items()}
    final |= {name: value for name, value in artifacts.read_json(item.cost).items() if isinstance(value, int | float)}
    return {
        "tags": {
            "dataset": job.wildcards["dataset"],
            "model": item.model,
            "seed": item.seed,
            "budget": job.config["budget"],
            "hash": item.history.parent.name,
            "measured": item.metrics.parent.name,
            "data_digest": artifacts.read_json(summary)["train"]["checksum"],
            "weights": artifacts.sha256(item.weights),
            "status": artifacts.read_json(item.report)["status"],
            "commit": record.get("commit") or "none",
        },
        "params": mlflow_runs.run_params(block),
        "curves": [(int(row["step"] or 0), numbers(row)) for row in from_csv(item.history.read_text(encoding="utf-8"))],
        "metrics": final,
        "files": {
            "": [item.history],
            "metrics": [item.metrics],
            "figures": [figure, *([item.sheet] if item.sheet else [])],
        },
        "model": functools.partial(write_model, item=item, block=block, shape=job.config["shape"]),
    }


def write_model(folder: Path, *, item: Training, block: dict[str, Any], shape: list[int]) -> None:
    """The trained model as a folder that `mlflow.pyfunc.load_model` loads."""
    pyfunc_export.write_flavour(
        folder,
        script=GENERATOR,
        modules=("pipeline.training.device", "pipeline.training.sampling", f"pipeline.models.{block['class']}"),
        weights=item.weights,
        settings={"shape": shape, **{key: block[key] for key in ("class", "arguments", "classes") if key in block}},
    )


def forget_live(job: JobContext, item: Training, run_id: str | None) -> None:
    """Remove what the training wrote while it ran: all of it is in the store now."""
    if run_id is not None:
        training = item.history.parent
        live = job.at(layout.LIVE, model=training.parent.parent.name, seed=item.seed, hash=training.name)
        live.unlink(missing_ok=True)


def numbers(row: Row) -> dict[str, float]:
    """The scalars of a row of the history."""
    return {name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)}


def shown(uri: str) -> str:
    """The store without the folder that this machine happens to keep it in, and without a password."""
    return "results/mlflow.db" if not os.environ.get("MLFLOW_TRACKING_URI") else uri.rsplit("@", 1)[-1]
