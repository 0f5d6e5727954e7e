"""Processes that run a stage for real and end where a test wants them to, without 3 CPU seconds of imports each.

One process has imported torch and the stages; it forks a child for each order, and the child does what `python -m
pipeline ...` does. A child can be told to send itself a signal (a real one: SIGKILL leaves it no word) at an exact
point: after its k-th step of training, at its n-th change of the file system, or when it logs a certain line.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

WINDOWS = 6
"""Rows of a history here: few, so that a window holds several steps and a kill falls into the middle of one."""


@dataclasses.dataclass(frozen=True)
class At:
    """Where a child sends itself a signal: one of these."""

    step: int | None = None
    """After this step of the training: 1, 2, ..."""
    change: int | None = None
    """At this line of the list of changes: 0, 1, ..."""
    line: str | None = None
    """When a line with these words goes to the log."""
    call: str | None = None
    """After this function (module:name) of a stage."""
    signal: int = signal.SIGKILL


class ForkServer:
    """The forking process, seen from a test."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["env", "--default-signal", sys.executable, "-m", "tests.fork_server"],  # nohup's are ignored
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End it; a child that is still there ends with its own work."""
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()

    def start(self, folder: Path, *words: str, at: At | None = None, **environment: str) -> int:
        """Begin `python -m pipeline *words` in a folder; the process's number."""
        order = {"folder": str(folder), "words": words, "environment": environment}
        return self._ask(order | {"at": dataclasses.asdict(at) if at else None})

    def wait(self, child: int) -> int:
        """Exit code, negative for the signal that killed it; 256 + the signal that stopped it (SIGSTOP)."""
        return self._ask({"wait": child})

    def run(self, folder: Path, *words: str, at: At | None = None) -> int:
        """Start and wait."""
        return self.wait(self.start(folder, *words, at=at))

    def _ask(self, order: dict[str, Any]) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


# --- in the forking process -------------------------------------------------------------------------------------


def serve() -> None:
    """Answer orders until there are no more."""
    from pipeline import cli
    from pipeline.workflow import job_hash, params

    cli.parser()  # it reads the first line of every stage's module
    for name in ("train", "sample", "evaluate"):
        importlib.import_module(f"pipeline.stages.{name}")
        job_hash.code_closure((f"pipeline.stages.{name}",))
    for name in params.files_in("models"):
        importlib.import_module(f"pipeline.models.{name}")
    for order in map(json.loads, sys.stdin):
        if "wait" in order:
            print(waited(order["wait"]), flush=True)
            continue
        assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork would lose the other threads"
        if child := os.fork():
            print(child, flush=True)
        else:
            os._exit(live(order, cli.main))


def waited(child: int) -> int:
    _, status = os.waitpid(child, os.WUNTRACED)
    return 256 + os.WSTOPSIG(status) if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


# --- in a child -------------------------------------------------------------------------------------------------


def live(order: dict[str, Any], main: Callable[[list[str]], None]) -> int:
    """Do what was ordered; the exit code. What is said goes to `stderr`, the changes made to `changes`."""
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    said = os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    changes = arm(At(**(order["at"] or {})))
    try:
        main(order["words"])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        Path("changes").write_text("\n".join(changes))
        sys.stderr.flush()
    return 0


def arm(at: At) -> list[str]:
    """Let the signal come where it is to come; the list of changes, which grows."""
    from pipeline.runtime.progress import Progress
    from pipeline.stages import train
    from pipeline.training import loop

    loop.WINDOWS, train.WATCHED_SAMPLES = WINDOWS, 8
    changes: list[str] = []

    def strike(here: bool) -> None:
        if here:
            os.kill(os.getpid(), at.signal)

    def after(owner: Any, method: str, here: Callable[..., bool]) -> None:
        original = getattr(owner, method)

        def wrapped(*arguments: Any) -> Any:
            answer = original(*arguments)
            strike(here(*arguments))
            return answer

        setattr(owner, method, wrapped)

    def watch(method: str) -> None:
        original = getattr(Path, method)

        def wrapped(self: Path, *arguments: Any, **options: Any) -> Any:
            if not self.exists():  # `missing_ok`
                return original(self, *arguments, **options)
            made = f"{method} {arguments[0] if arguments else self}"
            changes.append(f"before {made}")
            if at.change == len(changes) - 1 and at.signal == signal.SIGKILL and method == "replace" and self.is_file():
                os.truncate(self, self.stat().st_size // 2)
            strike(at.change == len(changes) - 1)
            answer = original(self, *arguments, **options)
            changes.append(f"after {made}")
            strike(at.change == len(changes) - 1)
            return answer

        setattr(Path, method, wrapped)

    after(loop.Trainer, "advance", lambda trainer: trainer.step == at.step)
    after(Progress, "note", lambda progress, message: at.line is not None and at.line in message)
    if at.call:
        module, name = at.call.split(":")
        after(importlib.import_module(module), name, lambda *_: True)
    watch("replace")
    watch("unlink")
    return changes


if __name__ == "__main__":
    serve()
