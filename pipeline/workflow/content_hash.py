"""Digests of a person's own files: their contents are hashed, not their times.

A person's folder may be large, so each file's SHA-256 is kept in an index in the folder of the fetching stage, with
the file's size and time of change. A file whose size and time are as they were is not read again; one that changed
less than two seconds before the index was written always is, as in Git. Planning reads the index and never writes it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.core import artifacts

INDEX = ".contents"
"""Its name in the folder of a data set's raw files."""

RACY = 2_000_000_000
"""Nanoseconds within which a file may change again without a new time."""

ABSENT = "absent"
UNREADABLE = "unreadable"

Index = dict[str, list[Any]]
"""Path -> SHA-256, size in bytes, time of the last change in ns."""


def located(path: str) -> Path:
    """A path of params.yaml, with ~ and environment variables filled in."""
    return Path(os.path.expandvars(path)).expanduser()


def digest(path: Path, raw: Path) -> str:
    """SHA-256 of a file, or of a folder's relative names and files; ABSENT or UNREADABLE where it cannot be computed.

    `raw` is the folder with the index.
    """
    try:
        if not path.exists():
            return ABSENT
        index = _read(raw / INDEX)
        if path.is_file():
            return _of_file(path, index)
        names = [[name, _of_file(path / name, index)] for name in files(path)]
    except OSError:
        return UNREADABLE
    return hashlib.sha256(repr(names).encode()).hexdigest()


def write_index(path: Path, raw: Path) -> None:
    """Note what was found, so that the next plan need not read it all again."""
    now, index = time.time_ns(), _read(raw / INDEX)
    found: Index = {}
    for file in [path] if path.is_file() else [path / name for name in files(path)]:
        if file.is_file() and (status := file.stat()).st_mtime_ns < now - RACY:
            found[str(file.absolute())] = [_of_file(file, index), status.st_size, status.st_mtime_ns]
    artifacts.write_text(raw / INDEX, json.dumps(found))


def files(folder: Path) -> list[str]:
    """Relative names of all files and links under a folder, in order; links are not followed, hidden ones not seen.

    Raises OSError for a folder that cannot be read.
    """
    return sorted(_walk(folder, ""))


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}"


def _of_file(path: Path, index: Index) -> str:
    if not path.is_file():
        return "link" if path.is_symlink() else "no file"  # a pipe would be waited for
    status = path.stat()  # of a link the file that it leads to
    known = index.get(str(path.absolute()))
    if known is not None and known[1:] == [status.st_size, status.st_mtime_ns]:
        return str(known[0])
    return _sha256(str(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1 << 21)
def _sha256(path: str, size: int, changed: int) -> str:
    return artifacts.sha256(Path(path))


def _read(path: Path) -> Index:
    """The index; a damaged one costs time alone."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        return {name: entry for name, entry in index.items() if isinstance(entry, list) and len(entry) == 3}
    except (OSError, ValueError, AttributeError):
        return {}
