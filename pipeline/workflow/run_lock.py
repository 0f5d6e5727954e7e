"""One run at a time in a folder, and no lock outlives its holder.

Snakemake's lock is a file that a killed run leaves behind. Beside it each run holds a lock that the kernel frees when
its process dies: who gets that one knows that Snakemake's is stale, and a live second run is refused with one line.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any

from pipeline.core import locks, untrusted
from pipeline.core.errors import UserError

LOCK = Path(".snakemake/easel.lock")
SNAKEMAKES = Path(".snakemake/locks")


def hold(folder: Path = Path()) -> str | None:
    """Hold the folder's lock until this process ends; says whose stale lock was released, if there was one.

    Raises `UserError` if a live run holds it, or if it cannot be written.
    """
    handle = locks.take(folder / LOCK)
    if handle is None:
        raise UserError(f"{holder(folder)}; wait for it or stop it, then run the same command again")
    released = _release(folder)
    os.truncate(handle, 0)
    holder_of_lock = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%F %T")}
    os.write(handle, json.dumps(holder_of_lock).encode())  # never closed: the lock lasts as long as the process
    return released


def is_live(folder: Path = Path()) -> bool:
    """Whether a run holds the folder's lock at this moment."""
    return locks.is_held(folder / LOCK)


def holder(folder: Path = Path()) -> str:
    """Who holds it, in words."""
    last = _last(folder)
    return (
        f"another run is at work in {folder.absolute().name}/ "
        f"(process {last.get('process', 'unknown')} on {last.get('host', 'unknown')}, since {last.get('since', '?')})"
    )


def _release(folder: Path) -> str | None:
    """Remove the lock that a dead run left to Snakemake; one of another host is not ours to judge."""
    last = _last(folder)
    if not any((folder / SNAKEMAKES).glob("*.lock")) or last.get("host") != platform.node():
        return None
    shutil.rmtree(folder / SNAKEMAKES)
    who = f"process {last.get('process', 'unknown')}, {last.get('since', '?')}"
    return f"released the lock of a run that ended without doing so ({who})"


def _last(folder: Path) -> dict[str, Any]:
    """What the last holder wrote about itself."""
    with contextlib.suppress(OSError, ValueError):
        content = untrusted.read_json(folder / LOCK)
        return content if isinstance(content, dict) else {}
    return {}
