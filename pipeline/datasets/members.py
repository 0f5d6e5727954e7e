"""The files of a folder, a zip or a tar archive, read one by one: nothing is unpacked, so nothing lands anywhere.

A member whose name climbs out of the archive, and a link, is refused all the same: such an archive was made to do harm
or by mistake.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

__all__ = ["Wanted", "contents", "follows_links", "is_archive", "names", "pointer_hint"]

LARGEST = 1 << 28
"""Bytes of one member."""

MOST = 5_000_000
"""Members of an archive."""

UNREAD = (".7z", ".rar", ".zst", ".lz4", ".z", ".gz", ".bz2", ".xz")
"""Archives, and compressed files, that the standard library cannot look into; a compressed .tar is known before."""

POINTER = b"version https://git-lfs"

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
"""What the standard library raises for archives that are cut short, changed or locked."""

Wanted = Callable[[str], bool]


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it is an archive."""
    return path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def names(place: Path, *, links: bool = False) -> list[str]:
    """Relative names of the plain files, in order, and with `links` of a folder's links to such.

    Raises ValueError for other links, for names that climb out, for a name that an archive has twice, and for damage.
    """
    with _readable(place):
        found = sorted(_walk(place, "", links) if place.is_dir() else (name for name, _ in _members(place)))
    twice = next((name for name, after in itertools.pairwise(found) if name == after), None)
    if twice is not None:
        raise ValueError(f"{place.name}: holds {twice!r} twice; expected every name once; pack it again")
    return found


def pointer_hint(file: Path | bytes) -> str:
    """What to do about a file that only points to what Git LFS keeps; nothing for others."""
    first = b""
    if isinstance(file, bytes):
        first = file
    elif file.is_file():
        with contextlib.suppress(OSError), file.open("rb") as stream:
            first = stream.read(100)
    return "; it is a pointer of Git LFS, run `git lfs pull` where it comes from" if first.startswith(POINTER) else ""


def follows_links(options: Mapping[str, Any]) -> bool:
    """Whether the block's `options` say that links to files are followed."""
    chosen = options.get("links", "refuse")
    if chosen not in ("refuse", "follow"):
        raise ValueError(f"options.links: found {chosen!r}, expected refuse or follow")
    return bool(chosen == "follow")


def contents(place: Path, wanted: Wanted, *, links: bool = False) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the files asked for: a folder's in order, an archive's in the archive's own."""
    if place.is_dir():
        for name in names(place, links=links):
            if wanted(name):
                with _readable(place / name), (place / name).open("rb") as stream:
                    of_file = _whole(name, stream)
                yield name, of_file
        return
    members = _members(place)
    while True:
        with _readable(place):
            found = next(members, None)
            if found is None:
                return
            content = _whole(found[0], found[1]) if wanted(found[0]) else None
        if content is not None:
            yield found[0], content


def _walk(folder: Path, prefix: str, links: bool) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and not (links and entry.is_file()):
                hint = "put the folder itself there" if entry.is_dir() else "put the file itself there"
                more = ", or say `options: {links: follow}`" if entry.is_file() else ""
                raise ValueError(f"{name}: a symbolic link, which is not followed; {hint}{more}")
            if entry.is_dir():
                yield from _walk(folder / entry.name, f"{name}/", links)
            elif entry.is_file():
                yield name


def _members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and stream of each plain file of an archive."""
    if path.suffix.lower() in UNREAD and not is_archive(path):
        raise ValueError(f"{path.name}: found an archive {path.suffix}, expected a folder, .zip or .tar; unpack it")
    opener = _zipped if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip" else _tarred
    for number, (name, stream) in enumerate(opener(path)):
        if number >= MOST:
            raise ValueError(f"{path.name}: more than {MOST:,} files in it")
        yield name, stream


def _zipped(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check(path, member.filename, link=stat.S_ISLNK(member.external_attr >> 16))
            if not member.is_dir():
                with archive.open(member) as stream:
                    yield member.filename.replace("\\", "/"), stream  # as some programs of Windows write it


COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
"""How what is compressed begins: that notices itself where it is cut short."""


def _tarred(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with path.open("rb") as file:
        if not file.read(6).startswith(COMPRESSED):
            file.seek(-min(512, path.stat().st_size), 2)
            if file.read().strip(b"\0"):  # a cut between two members looks like an end
                raise tarfile.ReadError("no end mark")
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            _check(path, member.name, link=member.issym() or member.islnk())
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None:
                yield member.name.removeprefix("./"), stream


def _check(path: Path, name: str, *, link: bool) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or ":" in name[:3]:
        raise ValueError(f"{path.name}: {name!r} climbs out of the archive; nothing of it was used")
    if link:
        raise ValueError(f"{path.name}: {name!r} is a link, which is not followed; pack the file itself")


def _whole(name: str, stream: IO[bytes]) -> bytes:
    content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{name}: more than {LARGEST:,} bytes")
    return content


@contextlib.contextmanager
def _readable(place: Path) -> Iterator[None]:
    """Damage and missing rights in one line."""
    try:
        yield
    except PermissionError as error:
        raise ValueError(f"{error.filename or place}: could not be read: {error.strerror}; check its rights") from None
    except DAMAGE as error:
        raise ValueError(f"{place.name}: damaged or cut short ({error or type(error).__name__})") from None
