"""Locks on files that the kernel frees when their holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from pipeline.core.errors import UserError

GLANCE = 0.2
"""Seconds to wait for a lock: a process that only checks it holds it for a moment."""


def take(path: Path, patience: float = GLANCE) -> int | None:
    """Hold a lock until the file descriptor that is returned is closed, or the process ends; None if another holds it.

    Raises `UserError` where the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # the umask says who else may take it
    except OSError as error:
        raise UserError(f"{path}: could not be written: {error.strerror}; correct its permissions") from error
    until = time.monotonic() + patience
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        if time.monotonic() > until:
            os.close(handle)
            return None
        time.sleep(GLANCE / 10)


def is_held(path: Path) -> bool:
    """Whether a live process holds a lock; a file that was never made is nobody's."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
