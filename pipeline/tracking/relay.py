"""Sends the histories of running trainings to MLflow: one process for each workflow, which starts it by itself.

It reads the files of `pipeline.tracking.live` with the standard library alone, and imports MLflow once some training
has gone on for more than ten seconds. A server that is dead, slow or restarted costs this process retries and nothing
else anything: what it could not send, the `track` stage logs from the history at the end.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.tracking import live, mlflow_runs
from pipeline.workflow import layout, store

POLL = 0.5
"""Seconds between two checks that the workflow still runs."""

SEND_EVERY, RETRY_AFTER = 2.0, 10.0
"""Seconds between two looks at the files, and after a failure."""

SHOWN_AFTER = 10.0
"""Seconds of training before it is sent; MLflow's import alone takes four CPU seconds."""


def main(owner: int, shown_after: float = SHOWN_AFTER) -> None:
    """Send rows until the process `owner` is no longer the parent of this one: it has ended, killed or not."""
    relay, due = Relay(Path("results"), shown_after), 0.0
    while os.getppid() == owner:
        if time.monotonic() >= due:
            due = time.monotonic() + (SEND_EVERY if relay.send_new() else RETRY_AFTER)
        time.sleep(POLL)
    relay.end()


class Relay:
    """The live files of a results folder, and what of them is in the store."""

    def __init__(self, results: Path, shown_after: float = SHOWN_AFTER) -> None:
        self.results, self.shown_after = results, shown_after
        # Files that are there already are of trainings that ended; one that goes on writes further rows.
        self.found = {path: last_step(training) for path, training in live.read_all(results).items()}
        self.last_step: dict[Path, int] = {}
        self.runs: dict[Path, dict[str, Any]] = {}
        self.failing = False

    def send_new(self) -> bool:
        """Send all rows that are new; False after a failure, of which the first in a row is printed."""
        _, problem = mlflow_runs.attempt(self.send_all)  # after a failure the next attempt sends the same rows
        if problem and not self.failing:
            print(f"easel: relay: {problem}", file=sys.stderr, flush=True)
        self.failing = problem is not None
        return not self.failing

    def send_all(self) -> None:
        """Send all rows that are new."""
        for path, training in live.read_all(self.results).items():
            known = self.last_step.get(path, self.found.get(path, 0))
            if last_step(training) > known and training["seconds"] >= self.shown_after:
                self.send(path, training)

    def send(self, path: Path, training: dict[str, Any]) -> None:
        """Send the rows after the last one that arrived; none of a training that was started by hand."""
        try:
            spec = store.specification(path.stem)
        except UserError:
            return
        if spec.get("budget") is None:
            return
        self.runs[path] = {**spec["wildcards"], "hash": path.stem, "budget": spec["budget"]}
        mlflow_runs.add_rows(
            uri=mlflow_runs.tracking_uri(self.results),
            tags=self.runs[path],
            params=mlflow_runs.run_params(spec["config"]),
            curves=[
                (int(row["step"]), {name: value for name, value in row.items() if name != "step"})
                for row in training["rows"]
                if row["step"] > self.last_step.get(path, 0)
            ],
            started=time.time() - training["seconds"],
        )
        self.last_step[path] = last_step(training)

    def end(self) -> None:
        """Send the last rows, and end the runs of trainings that ended before `track` could record them.

        A training whose workflow was killed may go on in a queue: its run goes on too.
        """
        if not self.send_new():
            return
        for tags in (tags for path, tags in self.runs.items() if path.exists()):
            wildcards = {name: tags[name] for name in layout.WILDCARDS["train"]}
            if not store.is_being_written(f"{layout.job_name('train', wildcards)} {tags['hash']}"):
                is_finished = store.is_complete(layout.job_folder("train", wildcards, tags["hash"]))
                uri = mlflow_runs.tracking_uri(self.results)
                mlflow_runs.attempt(mlflow_runs.end_run, uri=uri, tags=tags, is_finished=is_finished)


def last_step(training: dict[str, Any]) -> int:
    """The step of a training's last row."""
    return int(training["rows"][-1]["step"]) if training["rows"] else 0


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:]))
