"""Show the runs in MLflow, in a browser; runs that its store lacks, as in a clone, are recorded first."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.runtime.progress import Progress
from pipeline.runtime.stage_cli import context
from pipeline.tracking import mlflow_runs
from pipeline.workflow import overrides
from pipeline.workflow.plan import Plan

SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen."""
    parser.add_argument("--port", type=int, default=5000, help="port on this machine alone (default: 5000)")
    parser.add_argument("--no-server", action="store_true", help="bring the store up to date, and start no server")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Bring results/mlflow.db up to date, then become MLflow's server."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    uri = mlflow_runs.tracking_uri(Path("results"))
    if message := mlflow_runs.open_store_safely(uri):
        raise UserError(f"results/mlflow.db: {message}")
    datasets = sorted(folder.parent.name for folder in Path("results").glob("store/*/track"))
    plan = overrides.of(arguments) if datasets else None
    for dataset in datasets:
        if plan and dataset in plan.params.datasets:
            complete(plan, dataset, uri)
    for name, number in sorted(mlflow_runs.experiments(uri).items()):
        page = f"http://127.0.0.1:{arguments.port}/#/experiments/{number}/runs?workflowType=machine_learning"
        print(f"easel: {name}: {page}", file=sys.stderr)
    if not arguments.no_server:
        words = ["--workers", "1", "--host", "127.0.0.1", "--port", str(arguments.port), "--backend-store-uri", uri]
        command = [sys.executable, "-m", "mlflow", "ui", *words]
        os.execve(sys.executable, command, {**os.environ, **SETTINGS})  # noqa: S606  no shell is wanted


def complete(plan: Plan, dataset: str, uri: str) -> None:
    """Record the runs of a data set again where the store lacks some: it was deleted, or this is a clone."""
    from pipeline.tracking import recording

    job = context(json.loads(json.dumps(plan.job("track", dataset).spec)), Progress(f"track {dataset}"))
    missing = next((path for path in job.reads if not path.is_file()), None)
    if {f"{model}/{seed}" for model, seed in job.config["runs"]} <= mlflow_runs.recorded_runs(uri, dataset):
        return
    if missing:
        job.progress.say(f"{missing}: not found, so runs are missing here; run snakemake, or `make pull`")
    else:
        recording.record_all(job, uri)
