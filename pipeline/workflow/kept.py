"""Finished results kept by the identity of the job that made them, so that earlier ones come back.

When a parameter or a line of code changes, new results take the old ones' place; when it changes back, the old ones are
wanted again. Each job's files and stamps are kept as hard links, which cost no room while the files are in use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import layout, stamps

RUNTIME_ONLY = True  # what comes back has the identity that was asked for, and its bytes are checked


def folder_of(identity: str) -> Path:
    """Where the results of a job with this identity are kept."""
    return layout.path(layout.KEPT, identity=identity)


def keep(identity: str, paths: Sequence[Path]) -> None:
    """Keep a finished job's files and their stamps; where there is no room or no right to, they are not kept."""
    folder = folder_of(identity)
    partial = folder.with_name(f".{identity}.{os.getpid()}.partial")
    for left in folder.parent.glob(f".{identity}.*.partial"):  # by killed processes: this job's lock is held
        shutil.rmtree(left, ignore_errors=True)
    with contextlib.suppress(OSError):
        if folder.exists():
            shutil.rmtree(folder)
        for path in (*paths, *map(artifacts.stamp_path, paths)):
            link(path, partial / path)
        partial.replace(folder)
    shutil.rmtree(partial, ignore_errors=True)


def restore(identity: str, paths: Sequence[Path]) -> bool:
    """Put a job's earlier files and stamps in place; False where one is not kept or no longer sound."""
    folder = folder_of(identity)
    try:
        if not all(stamps.checked(folder / path)["identity"] == identity for path in paths):
            return False
    except UserError:
        return False
    for path in (*paths, *map(artifacts.stamp_path, paths)):  # the stamps last: until then nothing looks finished
        with artifacts.replacing(path) as partial:
            link(folder / path, partial)
    return True


def identities() -> Iterator[str]:
    """The identities of all that is kept."""
    root = folder_of("x").parent
    if root.is_dir():
        yield from (path.name for path in root.iterdir() if not path.name.startswith("."))


def link(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
