"""Pass the histories of running trainings on to MLflow; the workflow starts it by itself.

One process for each workflow. It reads the files of `pipeline.tracking.live` with the standard library alone, and
imports MLflow once some training has gone on for more than ten seconds. A server that is dead, slow or restarted
costs this process retries and nothing else anything: what it could not pass on, the `track` stage replays.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.runtime.job_context import sole_writer
from pipeline.tracking import live
from pipeline.tracking.live import Watched
from pipeline.workflow import store

POLL = 0.5
"""Seconds between two checks that the workflow still runs."""

PASS_ON_EVERY = 2.0
WORTH_A_LOOK = 10.0
"""Seconds of training before it is shown live; MLflow's import alone takes four CPU seconds."""

LONGEST_WAIT = 15.0
"""Seconds between two attempts at a server that does not answer."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """When a training is first shown."""
    parser.add_argument("--after", type=float, default=WORTH_A_LOOK, help="seconds of training before it is shown")


def run(arguments: argparse.Namespace) -> int | None:
    """Pass rows on until the workflow that started this ends; a second process in the same folder ends at once."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with sole_writer("live"):
            follow(Follower(Path("results"), arguments.after))
    except (UserError, KeyboardInterrupt):
        return 0
    return 0


def follow(follower: Follower) -> None:
    """Pass on until the owner is no longer this process's parent: it has ended, killed or not, perhaps long ago."""
    owner = int(os.environ.get("EASEL_OWNER", os.getppid()))
    looked = 0.0
    while os.getppid() == owner:
        if time.monotonic() - looked >= PASS_ON_EVERY:
            follower.pass_on()
            looked = time.monotonic()
        time.sleep(POLL)
    follower.wait_until = 0.0
    follower.pass_on()


@dataclass
class Progress:
    """One live file: the version whose rows are in the store, and the step of the last of them."""

    version: tuple[int, int]
    sent: int = 0


class Follower:
    """The live files of a results folder, and what of them is in the store."""

    def __init__(self, results: Path, after: float = WORTH_A_LOOK) -> None:
        self.results, self.after = results, after
        # Files that exist already are of trainings that ended; one that goes on writes a new version.
        self.known = {path: Progress(version) for path, version in live.files(results).items()}
        self.failures, self.wait_until = 0, 0.0

    def pass_on(self) -> None:
        """Pass on all rows that are new; after a failure not before some time has gone by."""
        if time.monotonic() < self.wait_until:
            return
        for path, version in live.files(self.results).items():
            progress = self.known.setdefault(path, Progress((0, 0)))
            watched = live.read(path) if version != progress.version else None
            if watched is None or watched.seconds < self.after:
                continue
            try:
                self.send(watched, progress)
            except Exception as error:  # whatever MLflow raises: the next attempt sends the same rows
                self.back_off(error)
                return
            progress.version, self.failures = version, 0

    def send(self, watched: Watched, progress: Progress) -> None:
        """Pass on the rows after the last one that arrived."""
        rows = [row for row in watched.rows if row["step"] > progress.sent]
        budget = planned_budget(watched.hash)
        if not rows or budget is None:
            return
        from pipeline.tracking import mlflow_runs

        tags = {name: getattr(watched, name) for name in ("dataset", "model", "seed", "hash")}
        mlflow_runs.pass_on(
            uri=mlflow_runs.tracking_uri(self.results),
            experiment=watched.dataset,
            tags={**tags, "budget": budget},
            params=mlflow_runs.run_params(watched.block),
            curves=[(int(row["step"]), {k: v for k, v in row.items() if k != "step"}) for row in rows],
            started=time.time() - watched.seconds,
        )
        progress.sent = int(rows[-1]["step"])

    def back_off(self, error: Exception) -> None:
        """Say the first failure of a row of them, and wait twice as long after each."""
        if not self.failures:
            text = (str(error) or type(error).__name__).splitlines()[0][:200]
            print(f"easel: live: {type(error).__name__}: {text}; tried again", file=sys.stderr, flush=True)
        self.failures += 1
        self.wait_until = time.monotonic() + min(2.0**self.failures, LONGEST_WAIT)


def planned_budget(hash_: str) -> str | None:
    """The budget of the workflow that planned a training; None for one that was started by hand."""
    try:
        return store.specification(hash_).get("budget")
    except UserError:
        return None
