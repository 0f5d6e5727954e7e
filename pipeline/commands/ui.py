"""Show the runs in MLflow in a browser; missing runs, for example in a clone, are recorded first."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.tracking import mlflow_runs
from pipeline.workflow import overrides
from pipeline.workflow.plan import Plan

SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen."""
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: 5000)")
    parser.add_argument("--no-server", action="store_true", help="record missing runs and exit")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Bring results/mlflow.db up to date, then become MLflow's server."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    uri = mlflow_runs.tracking_uri(Path("results"))
    _, problem = mlflow_runs.attempt(mlflow_runs.create_store, uri)
    if problem:
        raise UserError(f"results/mlflow.db: {problem}")
    datasets = sorted(folder.parent.name for folder in Path("results").glob("store/*/track"))
    plan = overrides.of(arguments) if datasets else None
    flags = [word for file in arguments.configfile for word in ("--configfile", str(file))]
    flags += [word for value in arguments.set for word in ("--set", value)]
    for dataset in datasets:
        if plan and dataset in plan.params.datasets:
            complete(plan, dataset, uri, flags)
    for name, number in sorted(mlflow_runs.experiments(uri).items()):
        page = f"http://127.0.0.1:{arguments.port}/#/experiments/{number}/runs?workflowType=machine_learning"
        print(f"easel: {name}: {page}", file=sys.stderr)
    if not arguments.no_server:
        words = ["--workers", "1", "--host", "127.0.0.1", "--port", str(arguments.port), "--backend-store-uri", uri]
        command = [sys.executable, "-m", "mlflow", "ui", *words]
        os.execve(sys.executable, command, {**os.environ, **SETTINGS})  # noqa: S606  no shell is wanted


def complete(plan: Plan, dataset: str, uri: str, flags: list[str]) -> None:
    """Run the stage `track` again where the store lacks its runs: it was deleted or moved, or this is a clone."""
    tracked = Path(plan.job("track", dataset).outputs["tracked"])
    if tracked.is_file() and not set(artifacts.read_json(tracked)["runs"].values()) <= mlflow_runs.run_ids(
        uri, dataset
    ):
        command = [sys.executable, "-m", "pipeline", "track", "--dataset", dataset, *flags]
        subprocess.run(command, env={**os.environ, "EASEL_AFRESH": "yes"}, check=False)  # it says itself what is wrong
