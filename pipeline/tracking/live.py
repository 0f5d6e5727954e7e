"""A training's history while it grows: one small file per training, rewritten as it goes on.

The training only writes that file. It imports no tracker and talks to no server; `python -m pipeline live`, one
process for each workflow, reads the files and passes the rows on. If that process, the file or the server fails, the
training goes on, and the `track` stage replays what is missing from the history at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
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
        for partial in self.path.parent.glob(f".{self.path.name}.*.partial"):  # of a training that was killed
            partial.unlink(missing_ok=True)

    def write(self, rows: Sequence[dict[str, float]], *, finished: bool = False) -> None:
        """Rewrite the file if there are new rows and it is time, or the last row of a file that is there.

        An error (a full disk) is reported once and ends no training.
        """
        now = time.monotonic()
        due = now - self.wrote >= WRITE_EVERY or (finished and self.rows > 0)
        if self.broken or not due or len(rows) == self.rows:
            return
        content = {
            **self.job.wildcards,
            "hash": self.job.hash,
            "block": self.job.config,
            "seconds": round(now - self.began, 1),
            "finished": finished,
            "rows": rows,
        }
        try:
            artifacts.write_text(self.path, json.dumps(content))
        except UserError as error:
            self.broken = True
            self.job.progress.say(f"{error}; this training is not shown live")
        self.wrote, self.rows = now, len(rows)


@dataclass
class Watched:
    """What a live file held when it was read."""

    dataset: str
    model: str
    seed: int
    hash: str
    block: dict[str, Any]
    seconds: float
    """For how long the process that wrote it had been training."""
    finished: bool
    rows: list[dict[str, float]]


def read(path: Path) -> Watched | None:
    """What a live file holds; None for one that was deleted or that another version wrote."""
    try:
        return Watched(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def files(results: Path = Path("results")) -> dict[Path, tuple[int, int]]:
    """Every live file, with what changes when it is written: its time in ns and its inode."""
    versions = {}
    for path in results.glob("live/*/*/*/*.json"):
        try:
            status = path.stat()
        except OSError:
            continue
        versions[path] = (status.st_mtime_ns, status.st_ino)
    return versions


def start(owner: int) -> subprocess.Popen[bytes] | None:
    """Start the process that passes live rows on to MLflow; it ends when `owner`, its parent, does.

    In a session of its own, so that Ctrl-C does not end it in the middle of a write. None where it cannot be
    started: what it would have passed on is replayed at the end.
    """
    try:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "pipeline", "live"],
                env={**os.environ, "EASEL_OWNER": str(owner)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError:
        return None
