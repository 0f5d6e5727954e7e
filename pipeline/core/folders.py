"""Folders of small files, replaced as a whole: a reader finds the earlier one or the later one, complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.core.errors import UserError


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its path inside; nothing where there is no folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def replace(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Make a folder hold exactly these files; False, and nothing is touched, where it does already.

    Raises what `replacing` raises.
    """
    with _errors_told(folder):
        _bring_back(folder)
    if content(folder) == dict(files):
        return False
    with replacing(folder) as partial:
        for name, data in files.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return True


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A folder to write to, which takes the place of `folder` when the block ends without an error.

    An interruption leaves the earlier folder. Raises `UserError` for a disk that is full or a folder that may not be
    written.
    """
    partial, before = folder.with_name(f".{folder.name}.{os.getpid()}.partial"), _before(folder)
    try:
        with _errors_told(folder):
            _bring_back(folder)
            partial.mkdir(parents=True)
            yield partial
            shutil.rmtree(before, ignore_errors=True)
            if folder.exists():
                folder.rename(before)
            partial.rename(folder)
            shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _before(folder: Path) -> Path:
    """Where the earlier folder lies between the two renames of `replacing`."""
    return folder.with_name(f".{folder.name}.before.partial")


def _bring_back(folder: Path) -> None:
    """Undo the first rename, if a process was stopped between the two."""
    if _before(folder).exists() and not folder.exists():
        _before(folder).rename(folder)


@contextlib.contextmanager
def _errors_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: could not be written: {error.strerror or error}; make room or correct its permissions, "
            "then run the same command again (what was there is kept)"
        ) from error
