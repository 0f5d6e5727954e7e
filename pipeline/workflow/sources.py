"""Fetching raw files: sources tried in order, every file verified before it is put in place.

A data set's block in params.yaml lists its files with the SHA-256 of their uncompressed contents, and its sources.
A source of kind `x` is the function `from_x` of this module; its keyword arguments are the keys that the block may
have. Each returns an opener: given a file's name, a stream of that file's uncompressed bytes. Only bytes with the
right SHA-256 get a name in the data set's folder, and nothing is written outside it: no path of an archive is ever
used as a path on disk, only the wanted members are read, and links are refused.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.metadata
import inspect
import math
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.core.errors import UserError, near

__all__ = ["KINDS", "SourceError", "check_source", "fetch"]

CHUNK = 1 << 20
SIZE_LIMIT = 1 << 30
"""Most uncompressed bytes that a file (or a whole archive) may have, unless its source's `size_limit` says more."""
SLOWEST = 1 << 14
"""A download that brings fewer bytes than this per timeout is given up."""
CLIENT_TIMEOUT = 300.0
"""Seconds that a package client may take for a download, once it has reached its registry."""
PACKAGE = re.compile(r"(@[\w.~-]+/)?[a-z0-9~][\w.+~-]*([@=][0-9][\w.+:~-]*)?", re.ASCII)
"""What a client is given as a package: no option, folder or address."""


class SourceError(UserError):
    """No source has all the files; the message states the answer of each and what to do."""


class Missing(Exception):
    """This source does not have this file; it may have the others."""


class NoAnswer(Exception):
    """Nothing more is to be expected from this source."""


Stream = Any
"""What has `read(size)`: a file, a gzip or tar member, an HTTP response."""

Opener = Callable[[str], contextlib.AbstractContextManager[Stream]]


@dataclass(frozen=True)
class Room:
    """What a source works with: an empty folder that is deleted afterwards, and seconds to wait."""

    folder: Path
    timeout: float


class Guarded:
    """A stream that is given up when it brings more than `limit` bytes, or hardly any in `timeout` seconds.

    Whatever goes wrong with it is Missing or NoAnswer, so that any other error is one of the disk that is written.
    """

    def __init__(self, read: Callable[[int], bytes], limit: float, timeout: float = math.inf) -> None:
        self._read, self.limit, self.timeout = read, limit, timeout
        self.count, self.mark, self.since = 0, 0, time.monotonic()

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        try:
            chunk = self._read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Missing(f"damaged gzip ({_plain(error)})") from error
        except TimeoutError as error:
            raise NoAnswer(f"sent nothing for {self.timeout:g} s") from error
        except (OSError, HTTPException) as error:
            raise Missing(_plain(error)) from error
        self.count += len(chunk)
        if self.count > self.limit:
            raise NoAnswer(f"more than {self.limit:,} bytes (size_limit)")
        seconds = time.monotonic() - self.since
        if seconds > self.timeout:
            if self.count - self.mark < SLOWEST:
                raise NoAnswer(f"only {self.count - self.mark} bytes in {seconds:.0f} s")
            self.mark, self.since = self.count, time.monotonic()
        return chunk


# --- the way of a file ----------------------------------------------------------------------------------------


def fetch(
    name: str,
    files: Mapping[str, str],
    sources: Sequence[Mapping[str, Any]],
    *,
    destination: Path,
    mirror: Path | None,
    say: Callable[[str], None],
    timeout: float = 10.0,
) -> list[Path]:
    """Put the files of data set `name` into `destination`; returns their paths in the order of `files`.

    `files` maps file names to the SHA-256 of their uncompressed contents. Files that are there and right are kept.
    Tried in order: files left in `destination` by hand (plain or .gz), `mirror`/<name>, then `sources`; `say` gets
    one line for each event. A server may take `timeout` seconds to answer, and again for each part of a file. The
    caller makes sure that no second fetch works in `destination` at the same time.
    Raises SourceError if a file is in none of them, UserError for a folder that cannot be written.
    """
    with _writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        for abandoned in destination.glob(".partial-*"):
            shutil.rmtree(abandoned)
    places = {file: destination / file for file in files}
    wanted = {
        file: digest
        for file, digest in files.items()
        if not (places[file].is_file() and artifacts.sha256(places[file]) == digest)
    }
    left_by_hand = any(at.exists() for file in wanted for at in (places[file], destination / f"{file}.gz"))
    folders = [*([destination] if left_by_hand else []), *([mirror / name] if mirror else [])]
    answers: list[str] = []
    for source in [*({"kind": "folder", "path": str(folder)} for folder in folders), *sources]:
        if not wanted:
            break
        refusals = _take(source, wanted, destination, timeout)
        label = " ".join(
            str(source[key]) for key in ("kind", "path", "address", "package", "packages") if key in source
        )
        if len(refusals) < len(wanted):
            say(f"{name}: {_count(len(wanted) - len(refusals))} from {label}, SHA-256 verified")
        if refusals:
            answers.append(f"{label}: {_in_short(refusals)}")
            say(f"{name}: {answers[-1]}")
        wanted = {file: wanted[file] for file in refusals}
    if wanted:
        raise SourceError(_what_to_do(name, list(wanted), answers, destination, mirror))
    return list(places.values())


def _take(source: Mapping[str, Any], wanted: Mapping[str, str], destination: Path, timeout: float) -> dict[str, str]:
    """Put what the source has of the wanted files in place; returns the reasons for the rest, by file."""
    options = {key: value for key, value in source.items() if key != "kind"}
    refusals = dict.fromkeys(wanted, "")
    with _writing(destination):
        folder = tempfile.TemporaryDirectory(prefix=".partial-", dir=destination)
    with folder as path:
        try:
            opener = KINDS[source["kind"]](Room(Path(path), timeout), **options)
            for file, digest in wanted.items():
                try:
                    _place(opener, file, digest, Path(path), destination, options.get("size_limit", SIZE_LIMIT))
                    del refusals[file]
                except Missing as reason:
                    refusals[file] = str(reason)
        except (NoAnswer, Missing) as reason:
            refusals = {file: earlier or str(reason) for file, earlier in refusals.items()}
    return refusals


def _place(opener: Opener, file: str, digest: str, folder: Path, destination: Path, limit: int) -> None:
    """Copy one file into the temporary folder, and only if its digest is right into its place."""
    arriving = folder / f"{file}.arriving"
    with opener(file) as stream:
        sha256 = _copy(stream, arriving, limit)
    if sha256 != digest:
        raise Missing(f"wrong contents (SHA-256 {sha256[:12]}..., expected {digest[:12]}...)")
    with _writing(destination):
        arriving.replace(destination / file)


def _copy(stream: Stream, path: Path, limit: int) -> str:
    """Write a stream to `path`, at most `limit` bytes of it; returns the SHA-256 of what was written."""
    digest, guarded = hashlib.sha256(), Guarded(stream.read, limit)
    with _writing(path), path.open("wb", buffering=0) as handle:
        while chunk := guarded.read(CHUNK):
            digest.update(chunk)
            handle.write(chunk)
        os.fsync(handle.fileno())
    return digest.hexdigest()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Tell an error of the disk, which is no source's fault."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: could not be written: {error.strerror or error}; make room or correct the folder's permissions, "
            "then run the same command again (files that are there and right are kept)"
        ) from error


# --- the kinds of sources -------------------------------------------------------------------------------------


def from_folder(room: Room, *, path: str, size_limit: int = SIZE_LIMIT) -> Opener:
    """A folder that holds the files, plain or with .gz."""
    folder = Path(path)
    if not folder.is_dir():
        raise NoAnswer("no such folder")
    return _of_this_machine(folder.joinpath)


def from_python(room: Room, *, packages: str, size_limit: int = SIZE_LIMIT) -> Opener:
    """Files of installed Python packages, named in `packages` with a space between them.

    A file is found by its name, less the list of axes that a variable font has in brackets: `A.ttf` for `A[wght].ttf`.
    """
    places: dict[str, Path] = {}
    for package in packages.split():
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            raise NoAnswer(f"not installed: {package}; pip installs them, as envs/requirements.txt has them") from None
        places |= {re.sub(r"\[.*?\]", "", file.name): Path(str(file.locate())) for file in files}
    return _of_this_machine(lambda file: places.get(file, room.folder / file))


def _of_this_machine(locate: Callable[[str], Path]) -> Opener:
    """Opens a file of this machine, or the same with .gz."""

    def opener(file: str) -> contextlib.AbstractContextManager[Stream]:
        plain, compressed = locate(file), locate(file).with_name(f"{locate(file).name}.gz")
        try:
            return plain.open("rb") if plain.is_file() or not compressed.is_file() else gzip.open(compressed)
        except FileNotFoundError as error:
            raise Missing("not there") from error
        except OSError as error:
            raise Missing(_plain(error)) from error

    return opener


def from_http(room: Room, *, address: str, suffix: str = "", size_limit: int = SIZE_LIMIT) -> Opener:
    """One file each at `address`<file>`suffix`; a suffix .gz means gzip."""

    @contextlib.contextmanager
    def opener(file: str) -> Iterator[Stream]:
        with _download(f"{address}{urllib.parse.quote(file)}{suffix}", room) as stream:
            yield _unpacked(stream, suffix)

    return opener


def from_http_archive(
    room: Room, *, address: str, folder: str, sha256: str, suffix: str = "", size_limit: int = SIZE_LIMIT
) -> Opener:
    """A .tar.gz whose members are `folder`/<file>`suffix`; `sha256` is the archive's own."""
    archive = room.folder / "archive.tar.gz"
    with _download(address, room) as stream:
        _copy(stream, archive, size_limit)
    return _from_tar_gz(archive, sha256, folder, suffix, size_limit)


def from_npm(
    room: Room, *, package: str, folder: str, sha256: str, suffix: str = "", size_limit: int = SIZE_LIMIT
) -> Opener:
    """An npm package `name@version`, through npm itself; members as in `from_http_archive`."""
    quick = ["--fetch-retries=0", "--loglevel=error", "--update-notifier=false"]
    _client(room, ["npm", "view", package, "version", *quick], room.timeout + 5.0)  # 5 s: node's own start
    _client(room, ["npm", "pack", package, "--ignore-scripts", *quick], CLIENT_TIMEOUT)
    return _from_tar_gz(_brought(room, "npm", "*.tgz"), sha256, folder, suffix, size_limit)


def from_debian(room: Room, *, package: str, folder: str, suffix: str = "", size_limit: int = SIZE_LIMIT) -> Opener:
    """A Debian package, downloaded by apt-get (which checks its signature) and not installed."""
    timeouts = [f"-oAcquire::{kind}::Timeout={max(1, round(room.timeout))}" for kind in ("http", "https")]
    _client(room, ["apt-get", "download", "-q", *timeouts, "-oAcquire::Retries=0", package], CLIENT_TIMEOUT)
    archive = _brought(room, "apt-get", "*.deb")
    contents = room.folder / "contents.tar"
    with contents.open("wb") as tar:
        _client(room, ["dpkg-deb", "--fsys-tarfile", str(archive)], CLIENT_TIMEOUT, stdout=tar)
    return _members(lambda: contents.open("rb"), folder, suffix, size_limit)


KINDS: dict[str, Callable[..., Opener]] = {
    name.removeprefix("from_"): function for name, function in dict(globals()).items() if name.startswith("from_")
}
"""The kinds of sources that params.yaml may name."""


def check_source(source: Mapping[str, Any]) -> None:
    """Raise UserError, with the nearest kind, unless the block's keys fit the function of its kind."""
    options = {key: value for key, value in source.items() if key != "kind"}
    kind = str(source.get("kind", ""))
    if kind not in KINDS:
        raise UserError(f"source of unknown kind '{kind}' in params.yaml{near(kind, KINDS)}")
    where = f"source of kind '{kind}' in params.yaml"
    try:
        inspect.signature(KINDS[kind]).bind(None, **options)
    except TypeError as error:
        raise UserError(f"{where}: {error}") from error
    for key, value in options.items():
        if key == "size_limit":
            fits, expected = type(value) is int and value > 0, "a number of bytes, at least 1"
        elif key == "package":
            fits, expected = bool(PACKAGE.fullmatch(str(value))), f"the name of a package of {kind}'s"
        else:
            fits, expected = isinstance(value, str) and "\0" not in value, "text"
        if not fits:
            raise UserError(f"{where}: {key}: found {value!r}, expected {expected}")


# --- archives, clients, downloads -----------------------------------------------------------------------------


def _unpacked(stream: Stream, suffix: str) -> Stream:
    return gzip.GzipFile(fileobj=stream) if suffix.endswith(".gz") else stream


def _from_tar_gz(archive: Path, expected: str, folder: str, suffix: str, limit: int) -> Opener:
    """The members of an archive whose digest is right; a wrong one is not even opened."""
    actual = artifacts.sha256(archive)
    if actual != expected:
        raise NoAnswer(f"wrong archive (SHA-256 {actual[:12]}..., expected {expected[:12]}...)")
    return _members(lambda: gzip.open(archive), folder, suffix, limit)


def _members(open_tar: Callable[[], Stream], folder: str, suffix: str, limit: int) -> Opener:
    """Opens a file of an archive, which is read from its start as far as that file."""

    def guarded(archive: Stream) -> Stream:
        return Guarded(archive.read, limit)

    @contextlib.contextmanager
    def opener(file: str) -> Iterator[Stream]:
        name = f"{folder}/{file}{suffix}"
        try:
            with open_tar() as archive, tarfile.open(fileobj=guarded(archive), mode="r|") as tar:
                content = next((tar.extractfile(m) for m in tar if m.isreg() and m.name in (name, f"./{name}")), None)
                if content is not None:
                    yield _unpacked(content, suffix)
        except (tarfile.TarError, Missing, EOFError, zlib.error, OSError, ValueError, RecursionError) as error:
            raise NoAnswer(f"damaged archive ({_plain(error)})") from error
        if content is None:
            raise Missing(f"no file {name} in the archive")

    return opener


def _client(room: Room, command: Sequence[str], timeout: float, stdout: Any = subprocess.DEVNULL) -> None:
    """Run a package client in the room."""
    client = command[0]
    try:
        done = subprocess.run(
            command, cwd=room.folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, timeout=timeout
        )
    except FileNotFoundError as error:
        raise NoAnswer(f"{client} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"{client} had no answer within {timeout:g} s") from error
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace")
        code = re.search(r"^npm (?:error|ERR!) code (\S+)", text, flags=re.MULTILINE)
        last = (text.strip().splitlines() or ["it did not say why"])[-1]
        raise NoAnswer(f"{client} failed ({code[1] if code else last.strip()[:200]})")


def _brought(room: Room, client: str, pattern: str) -> Path:
    """The one package that a client left in the room."""
    packages = list(room.folder.glob(pattern))
    if len(packages) != 1:
        raise NoAnswer(f"{client} left {len(packages)} packages")
    return packages[0]


@contextlib.contextmanager
def _download(address: str, room: Room) -> Iterator[Stream]:
    """The body at an http(s) address, as a stream; NoAnswer where no server answers in time."""
    if not address.startswith(("http://", "https://")):
        raise NoAnswer("not an http or https address")
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "easel"})
        response = urllib.request.urlopen(request, timeout=room.timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise Missing(f"{error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        late = isinstance(reason, TimeoutError)
        raise NoAnswer(f"no answer within {room.timeout:g} s" if late else _plain(reason)) from error
    with response:
        yield Guarded(response.read1, math.inf, room.timeout)


# --- words ----------------------------------------------------------------------------------------------------


def _plain(error: Any) -> str:
    """An error in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _in_short(refusals: Mapping[str, str]) -> str:
    """The reason of each file, or the one that holds for all."""
    reasons = set(refusals.values())
    return reasons.pop() if len(reasons) == 1 else ", ".join(f"{file} {reason}" for file, reason in refusals.items())


def _count(n: int) -> str:
    return "1 file" if n == 1 else f"{n} files"


def _what_to_do(
    name: str, wanted: Sequence[str], answers: Sequence[str], destination: Path, mirror: Path | None
) -> str:
    tried = [*([] if mirror else ["DATA_MIRROR: not set"]), *answers]
    npm = "install npm, or " if any("npm is not installed" in answer for answer in answers) else ""
    return (
        f"{name}: could not fetch {', '.join(wanted)} (tried {'; '.join(tried)}). Set DATA_MIRROR to a folder that "
        f"holds {name}/{wanted[0]} (plain or .gz), or {npm}put the {_count(len(wanted))} into {destination}/ (plain "
        "or .gz), then run the same command again"
    )
