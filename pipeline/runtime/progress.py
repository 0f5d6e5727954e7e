"""What a stage tells the person who waits: to the terminal now and then, to its log always."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TextIO

TERMINAL_EVERY = 5.0
"""Seconds between two lines of one stage on the terminal."""


FOLLOWED = "EASEL_FOLLOWED"
"""Set in a workflow whose display ends a job's line with the last message of its log (pipeline/runtime/display.py)."""


class Progress:
    """Lines of one job, each headed by its name."""

    def __init__(self, name: str, log: Path | None = None) -> None:
        self.name = name
        self.log: TextIO | None = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            self.log = log.open(
                "a", buffering=1, encoding="utf-8", errors="backslashreplace"
            )  # it may be that of a live stage, which this one is to be refused by
        self.began = self.shown = time.monotonic()
        self.last, self.held = "", False

    def close(self) -> None:
        """End the log."""
        if self.log is not None:
            with contextlib.suppress(OSError):  # no work is lost for the sake of a log
                self.log.close()

    def begin(self) -> None:
        """Empty the log of what an earlier stage said; for who knows that it is nobody else's any more."""
        if self.log is not None:
            with contextlib.suppress(OSError):
                self.log.truncate(0)

    def restart(self) -> None:
        """Measure rates from now on: imports and set-up are not part of a loop's speed."""
        self.began = self.shown = time.monotonic()

    def say(self, message: str) -> None:
        """A line for terminal and log; in a workflow printed when another follows, as its display prints the last."""
        self.note(message)
        self.last, self.held = message, FOLLOWED in os.environ
        if not self.held:
            self._print()

    def _print(self) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed ends no training
            print(f"{self.name:<28} {self.last}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """See that the last line is one that says what was done."""
        if not self.last:
            self.say("done")

    def note(self, message: str) -> None:
        """A line for the log alone."""
        if self.held:
            self._print()
        self.last, self.held = "", False
        if self.log is not None:
            with contextlib.suppress(OSError):
                print(f"{time.monotonic() - self.began:8.1f}s  {message}", file=self.log)

    def step(self, done: int, total: int, *, unit: str, per_unit: float = 1.0, since: int = 0, of: str = "") -> None:
        """Progress of a loop: a line at most every few seconds, with the rate and the time left.

        Where the output is no terminal it goes to the log alone: there a job has one line, its last.

        `per_unit` items of kind `of` are handled in each unit; `since` is where this process began.
        """
        now = time.monotonic()
        if now - self.shown < TERMINAL_EVERY or done <= since:
            return
        self.shown = now
        rate = (done - since) / (now - self.began)
        left = (total - done) / rate
        handled = f"  {rate * per_unit:,.0f} {of or unit}/s" if rate * per_unit >= 1 else ""
        tell = self.say if sys.stderr.isatty() else self.note
        tell(f"{100 * done / total:3.0f} %  {done:,}/{total:,} {unit}{handled}  {duration(left)} left")


def many(count: int, what: str) -> str:
    """'1 job', '14 jobs'."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
