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


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen."""
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: 5000)")
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
    words = ["--workers", "1", "--host", "127.0.0.1", "--port", str(arguments.port), "--backend-store-uri", uri]
    command = [sys.executable, "-m", "mlflow", "ui", *words]
    os.execv(sys.executable, command)  # noqa: S606  no shell is wanted


def complete(plan: Plan, dataset: str, uri: str, flags: list[str]) -> None:
    """Run the stage `track` again where the store lacks its runs: it was deleted or moved, or this is a clone."""
    tracked = Path(plan.job("track", dataset).outputs["tracked"])
    if not tracked.is_file():
        return  # the next workflow records them
    recorded = set(artifacts.read_json(tracked)["runs"].values())
    if not recorded <= mlflow_runs.run_ids(uri, dataset):
        command = [sys.executable, "-m", "pipeline", "track", "--dataset", dataset, *flags]
        subprocess.run(command, env={**os.environ, "EASEL_AFRESH": "yes"}, check=False)  # it says itself what is wrong
