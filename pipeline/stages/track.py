"""Record one MLflow run per model and seed and per reference row: params, curves, images, metrics and the model."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.job_context import JobContext
from pipeline.tracking import mlflow_runs, recording


def run(job: JobContext) -> None:
    """Record the runs; what could not be recorded is said once, and a later run tries again."""
    uri = mlflow_runs.tracking_uri(Path("results"))
    job.write_json(job.outputs["tracked"], {"store": recording.shown(uri), "runs": recording.record_all(job, uri)})
