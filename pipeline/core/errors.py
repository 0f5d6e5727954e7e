"""The exception for mistakes that a person can correct: shown as one line, never as a traceback."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable


class UserError(Exception):
    """Names the key or the file, what was found, what was expected, and what to do; ends with `exit_code`."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Interrupted(UserError):
    """A signal asked to end, and what was done so far is saved; ends with 128 + the signal's number."""

    def __init__(self, message: str, number: int = signal.SIGTERM) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class InUse(UserError):
    """Another process is at it: nothing of that one's may be touched, its log neither."""


LONGEST = 2000
"""Characters of a message; of a longer one, which quotes something huge, the two ends say what it is about."""


def one_line(message: str) -> str:
    """Whatever a key, a path or a library's words hold: one line, of readable length, that no terminal obeys."""
    line = " ".join(message.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def near(name: str, known: Iterable[str]) -> str:
    """A suggestion, or the list of what there is."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"
