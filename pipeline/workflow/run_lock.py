"""One run at a time in a folder: a lock that the kernel frees when its holder dies.

Snakemake's own lock is a file that a killed run leaves behind, so profiles/default switches it off (`nolock`).
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

from pipeline.core import locks, untrusted
from pipeline.core.errors import UserError

LOCK = Path(".snakemake/easel.lock")


def hold(folder: Path = Path()) -> None:
    """Hold the folder's lock until this process ends.

    Raises `UserError` if a live run holds it, or if it cannot be written.
    """
    handle = locks.take(folder / LOCK)
    if handle is None:
        raise UserError(f"{holder(folder)}; wait for it or stop it, then run the same command again")
    os.truncate(handle, 0)
    holder_of_lock = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%F %T")}
    os.write(handle, json.dumps(holder_of_lock).encode())  # never closed: the lock lasts as long as the process


def is_live(folder: Path = Path()) -> bool:
    """Whether a run holds the folder's lock at this moment."""
    return locks.is_held(folder / LOCK)


def holder(folder: Path = Path()) -> str:
    """Who holds it, in words."""
    try:
        holder_of_lock = dict(untrusted.read_json(folder / LOCK))
    except (OSError, ValueError, TypeError):  # it has only just been taken
        holder_of_lock = {}
    process, host, since = (holder_of_lock.get(key, "unknown") for key in ("process", "host", "since"))
    return f"another run is at work in {folder.absolute().name}/ (process {process} on {host}, since {since})"
