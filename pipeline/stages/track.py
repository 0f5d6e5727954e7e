"""Record one MLflow run per model and seed: params, curves, final metrics, tags, figures and the trained model."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.runtime.job_context import Work
from pipeline.tables import Row, from_csv
from pipeline.tracking import mlflow_runs, pyfunc_export
from pipeline.workflow import layout

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


def run(work: Work) -> None:
    """Record them one after the other; what could not be recorded is said once, and a later run tries again."""
    uri = mlflow_runs.tracking_uri(Path("results"))
    runs = trainings(work)
    problem = mlflow_runs.open_store_safely(uri)
    recorded: dict[str, str | None] = dict.fromkeys(f"{item.model}/{item.seed}" for item in runs)
    for number, item in enumerate(runs, start=1):
        if problem is None:
            run_id, message = mlflow_runs.record_run_safely(
                uri=uri, experiment=work.wildcards["dataset"], **content(work, item)
            )
            recorded[f"{item.model}/{item.seed}"] = run_id
            work.progress.say(f"{number}/{len(runs)} {item.model} seed {item.seed}: {message}")
            forget_live(work, item, run_id)
            if run_id is None:  # does the store still answer? else the rest would wait for it one by one
                problem = mlflow_runs.open_store_safely(uri, patience=0.0)
    if problem is not None:
        work.progress.say(f"{shown(uri)}: {sum(run is None for run in recorded.values())} of {len(runs)} {problem}")
    work.write_json(work.at(layout.TRACKED), {"store": shown(uri), "runs": recorded})


def trainings(work: Work) -> list[Training]:
    """The trainings with their files, in the order in which the job lists them."""
    runs = [tuple(run) for run in work.block["runs"]]
    groups = [work.reads[k * len(runs) : (k + 1) * len(runs)] for k in range(5)]
    sheets = dict(zip(work.block["sequential"], work.reads[5 * len(runs) : -2], strict=True))
    return [
        Training(model, seed, sheets.get(model) if seed == 0 else None, *files)
        for (model, seed), files in zip(runs, zip(*groups, strict=True), strict=True)
    ]


def content(work: Work, item: Training) -> dict[str, Any]:
    """What one run records."""
    summary, figure = work.reads[-2:]
    block = work.block["models"][item.model]
    stamp = artifacts.read_json(artifacts.stamp_path(item.history))
    measured = artifacts.read_json(item.metrics)
    final = {name: entry["value"] for name, entry in measured["estimates"].items()}
    final |= {name: value for name, value in artifacts.read_json(item.cost).items() if isinstance(value, int | float)}
    return {
        "tags": {
            "dataset": work.wildcards["dataset"],
            "model": item.model,
            "seed": item.seed,
            "budget": work.block["budget"],
            "identity": stamp["identity"],
            "measured": artifacts.read_json(artifacts.stamp_path(item.metrics))["identity"],
            "data_digest": artifacts.read_json(summary)["train"]["checksum"],
            "weights": artifacts.sha256(item.weights),
            "status": artifacts.read_json(item.report)["status"],
            "commit": stamp.get("commit") or "none",
        },
        "params": mlflow_runs.run_params(block),
        "curves": [(int(row["step"] or 0), numbers(row)) for row in from_csv(item.history.read_text())],
        "metrics": final,
        "files": {
            "": [item.history],
            "metrics": [item.metrics],
            "figures": [figure, *([item.sheet] if item.sheet else [])],
        },
        "model": functools.partial(write_model, item=item, block=block, shape=work.block["shape"]),
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


def forget_live(work: Work, item: Training, run_id: str | None) -> None:
    """Remove what the training wrote while it ran: all of it is in the store now."""
    if run_id is not None:
        identity = artifacts.read_json(artifacts.stamp_path(item.history))["identity"]
        work.at(layout.LIVE, model=item.model, seed=item.seed, identity=identity).unlink(missing_ok=True)


def numbers(row: Row) -> dict[str, float]:
    """The scalars of a row of the history."""
    return {name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)}


def shown(uri: str) -> str:
    """The store without the folder that this machine happens to keep it in, and without a password."""
    return "results/mlflow.db" if not os.environ.get("MLFLOW_TRACKING_URI") else uri.rsplit("@", 1)[-1]
