"""Record one MLflow run per model and seed: params, curves, final metrics, tags and figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.infra import artifacts, layout, tracking
from pipeline.infra.stage import Work
from pipeline.tables import Row, from_csv


def run(work: Work) -> None:
    """Record them one after the other; what fails is said and left for a later call."""
    runs = [tuple(run) for run in work.block["runs"]]
    groups = [work.reads[i * len(runs) : (i + 1) * len(runs)] for i in range(4)]
    summary, figure = work.reads[4 * len(runs) :]
    digest = artifacts.read_json(summary)["train"]["checksum"]
    uri = tracking.tracking_uri(Path("results"))
    recorded = {}
    for number, ((model, seed), paths) in enumerate(zip(runs, zip(*groups, strict=True), strict=True), start=1):
        run_id, message = tracking.record_run_safely(
            uri=uri, experiment=work.wildcards["dataset"], **content(work, model, seed, paths, digest, figure)
        )
        recorded[f"{model}/{seed}"] = run_id
        work.progress.say(f"{number}/{len(runs)} {model} seed {seed}: {message}")
    work.write_json(work.at(layout.TRACKED), {"store": shown(uri), "runs": recorded})


def content(work: Work, model: str, seed: int, paths: tuple[Path, ...], digest: str, figure: Path) -> dict[str, Any]:
    """What one run records."""
    history, training, cost, metrics = paths
    rows = from_csv(history.read_text())
    curves = [
        (int(row["step"] or 0), {k: v for k, v in row.items() if k != "step" and isinstance(v, int | float)})
        for row in rows
    ]
    estimates = artifacts.read_json(metrics)["estimates"]
    final = {name: entry["value"] for name, entry in estimates.items()}
    final |= {name: value for name, value in artifacts.read_json(cost).items() if isinstance(value, int | float)}
    report = artifacts.read_json(training)
    block = work.block["models"][model]
    return {
        "tags": {
            "dataset": work.wildcards["dataset"],
            "model": model,
            "seed": seed,
            "budget": work.block["budget"],
            "identity": artifacts.read_json(artifacts.stamp_path(metrics))["identity"],
            "data_digest": digest,
            "status": report["status"],
        },
        "params": {"class": block["class"], **block["training"], **block["arguments"]},
        "curves": curves,
        "metrics": final,
        "files": [history, metrics, figure],
    }


def numbers(row: Row) -> dict[str, float]:
    """The scalars of a row of the history."""
    return {name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)}


def shown(uri: str) -> str:
    """The store without the folder that this machine happens to keep it in, and without a password."""
    return "results/mlflow.db" if not os.environ.get("MLFLOW_TRACKING_URI") else uri.rsplit("@", 1)[-1]
