"""A training's history while it grows: one small file per training, rewritten as it goes on.

The training only writes that file. It imports no tracker and talks to no server; another process,
`pipeline.tracking.relay`, sends the rows to MLflow. If that process, the file or the server fails, the training goes
on, and the `track` stage logs what is missing from the history at the end.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import layout

if TYPE_CHECKING:
    from pipeline.runtime.job_context import JobContext

WRITE_EVERY = 2.0
"""Seconds between two versions of the file; a training shorter than this writes none."""

LOG = Path("logs/live.log")


class LiveHistory:
    """Where one training writes its rows so far."""

    def __init__(self, job: JobContext) -> None:
        self.job = job
        self.path = job.at(layout.LIVE, hash=job.hash)
        self.began = self.wrote = time.monotonic()
        self.rows = 0
        self.broken = False

    def write(self, rows: Sequence[dict[str, float]], *, finished: bool = False) -> None:
        """Rewrite the file if there are new rows and it is time, or the last row of a file that is there.

        An error (a full disk) is reported once and ends no training.
        """
        now = time.monotonic()
        due = now - self.wrote >= WRITE_EVERY or (finished and self.rows > 0)
        if self.broken or not due or len(rows) == self.rows:
            return
        content = {"seconds": round(now - self.began, 1), "rows": rows}
        try:
            artifacts.write_text(self.path, json.dumps(content))
        except UserError as error:
            self.broken = True
            self.job.progress.say(f"{error}; this training is not shown live")
        self.wrote, self.rows = now, len(rows)


def read_all(results: Path = Path("results")) -> dict[Path, dict[str, Any]]:
    """What every live file holds; one that is deleted meanwhile or cannot be read is left out."""
    trainings = {}
    for path in results.glob("live/*/*/*/*.json"):
        with contextlib.suppress(OSError, ValueError):
            trainings[path] = json.loads(path.read_text(encoding="utf-8"))
    return trainings


def start(owner: int) -> None:
    """Start the process that sends live rows to MLflow; it ends when `owner`, its parent, does.

    In a session of its own, so that Ctrl-C does not end it in the middle of a write. Where it cannot be started, the
    `track` stage logs everything at the end.
    """
    with contextlib.suppress(OSError):
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("ab") as log:
            command = [sys.executable, "-m", "pipeline.tracking.relay", str(owner)]
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
