"""Stored files that a test wrote itself, with a record that makes them readable as a job's inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.workflow import store
from pipeline.workflow.plan import Job


def record(folder: Path, hash_: str, **more: Any) -> None:
    """Write a record of all files that are in a folder."""
    about = {"stage": "prepare", "wildcards": {}, "config": {}, "modules": {}, "versions": {}, "inputs": {}}
    store.write(folder, {"hash": hash_, **about, **more})


def stored(job: Job, root: Path = Path()) -> Path:
    """Write the record of a job whose files are in its folder under `root`; returns that folder."""
    config = json.loads(json.dumps(job.config))
    record(root / job.folder, job.hash, stage=job.stage, wildcards=dict(job.wildcards), config=config)
    return root / job.folder
