"""What comes from outside stays outside: no text is run, no path or archive climbs out, no client is led astray."""

from __future__ import annotations

import copy
import gc
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from pipeline.workflow import params
from pipeline.workflow.sources import SourceError, check_source, fetch
from tests.conftest import BIN, ROOT, run
from tests.hostile import CONFIG

FOLDERS = [folder for folder in ("pipeline", "fault_injection", "bench", "envs") if (ROOT / folder).is_dir()]
CODE = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


# --- nothing from a file is run ---------------------------------------------------------------------------------


def test_no_module_runs_what_it_reads() -> None:
    """Ruff's rules are in pyproject.toml; it has none for these words."""
    styled = run([str(BIN / "ruff"), "check", "--no-cache", *FOLDERS], ROOT)
    assert styled.returncode == 0, styled.stdout
    for file in CODE:
        words = re.findall(r"(?<![\w.])(?:compile|__import__)\(|allow_pickle|weights_only", file.read_text())
        assert not words, f"{file}: {words}"


MISDEEDS = """import pickle
from dill import x
from . import sibling
eval("1")
exec("1")
yaml.load(f)
torch.load(f)
run(w, shell=True)
os.system("x")
"""


def test_a_misdeed_would_be_seen() -> None:
    words = ["check", "--no-cache", "--output-format", "concise", "--stdin-filename", "pipeline/models/odd.py", "-"]
    text = f"import os\nimport torch\nimport yaml\n{MISDEEDS}"
    done = subprocess.run([str(BIN / "ruff"), *words], cwd=ROOT, input=text, capture_output=True, text=True)
    rules = "banned-api|relative-imports|suspicious-eval-usage|exec-builtin|call-with-shell-equals-true"
    seen = set(re.findall(rf"^\S+?:(\d+):\d+: (?:TID25[12]|S\d+|{rules})", done.stdout, re.MULTILINE))
    assert seen == {str(4 + number) for number in range(len(MISDEEDS.splitlines()))}, done.stdout


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_rules_run_commands_of_their_own_alone(file: Path) -> None:
    """A rule is words of ours with wildcards between, and those have patterns; no Python, script or wrapper runs."""
    text = file.read_text()
    assert not re.search(r"^\s+(run|script|wrapper|notebook|cwl|template_engine):", text, re.MULTILINE)
    assert not re.search(r"\b(eval|exec|os\.system|subprocess|pickle)\b", text)
    for command in re.findall(r"shell:\s*((?:\s*\"[^\"]*\"\n?)+)", text):
        words = {"params.stage", "wildcards.hash", "input", "input.sources", "output", "log"}
        assert set(re.findall(r"\{([^}]+)\}", command)) <= words


def test_wildcards_have_patterns_that_no_shell_can_misread() -> None:
    text = (ROOT / "Snakefile").read_text()
    constraints = re.search(r"wildcard_constraints:\n((?:    .+\n)+)", text)
    assert constraints and re.findall(r"(\w+)=", constraints[1]) == ["dataset", "model", "seed", "hash"]
    for name in ("a;id", "$(id)", "a b", "../a", "a/b", "A", "1a", "a\n", "-a", "", "a" * 65, "é"):
        for kind in ("datasets", "models"):
            config = copy.deepcopy(CONFIG)
            config[kind][name] = copy.deepcopy(next(iter(CONFIG[kind].values())))
            with pytest.raises(UserError) as caught:
                params.check(config)
            assert str(caught.value).startswith(f"params.yaml: {kind}.")


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("params_yaml", "target", "expected"),
    [
        (None, "results/tables/$(touch escaped).csv", "easel: "),
        (None, "results/figures/a;touch escaped", "easel: "),
        ("{[", "results/tables/mnist.csv", "params.yaml: "),
        ("__use_yte__: true\nx: ?open('escaped', 'w')\n", "results/tables/mnist.csv", "params.yaml: "),
    ],
)
def test_a_hostile_target_or_params_file_reaches_no_shell_and_is_one_line(
    clone: Callable[[str], Path], params_yaml: str | None, target: str, expected: str
) -> None:
    folder = clone("targets")
    if params_yaml:
        (folder / "params.yaml").write_text(params_yaml)
    done = run([str(BIN / "snakemake"), "--cores", "1", "--", target], folder)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("easel:")]
    assert expected in line
    assert not list(folder.rglob("escaped"))


# --- nothing is written outside a data set's folder ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["../up", "/abs", "a/b", "..", ".hidden", "a\\b", "a\0b", ".fetched", ""])
def test_a_files_name_is_a_plain_name(name: str) -> None:
    config = copy.deepcopy(CONFIG)
    config["datasets"]["mnist"]["files"][name] = "0" * 64
    with pytest.raises(UserError, match=r"params\.yaml: datasets\.mnist\.files"):
        params.check(config)


CONTENT = b"what was asked for"
FILES = {"wanted": hashlib.sha256(CONTENT).hexdigest()}


def plain(name: str, content: bytes = CONTENT) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


HOSTILE = {
    "climbs": archive(plain("../escaped"), plain("set/../../escaped"), plain("set/wanted")),
    "absolute": archive(plain("/tmp/easel-escaped"), plain("set/wanted")),
    "symlink": archive(special("set/wanted", tarfile.SYMTYPE, "/etc/passwd")),
    "through a symlink": archive(special("set", tarfile.SYMTYPE, "/tmp"), plain("set/wanted", b"other")),
    "hard link": archive(special("set/wanted", tarfile.LNKTYPE, "/etc/passwd")),
    "device": archive(special("set/wanted", tarfile.CHRTYPE)),
    "pipe": archive(special("set/wanted", tarfile.FIFOTYPE)),
    "folder": archive(special("set/wanted", tarfile.DIRTYPE)),
    "bomb": archive(plain("set/other", bytes(3_000_000)), plain("set/wanted")),
    "wanted bomb": archive(plain("set/wanted", bytes(3_000_000))),
    "no tar": gzip.compress(b"not a tar file at all" * 100),
    "no gzip": b"\x1f\x8b" + b"\x00" * 100,
    "cut": archive(plain("set/wanted", os.urandom(100_000)))[:5000],
    "empty": b"",
}


class Handler(http.server.BaseHTTPRequestHandler):
    """/archive/NAME is an archive, /redirect/NAME goes where `redirects` says, /length lies about its length."""

    redirects: dict[str, str] = {}

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        _, kind, name = self.path.split("/", 2)
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", self.redirects[name])
            self.end_headers()
            return
        content = HOSTILE[name.replace("%20", " ")] if kind == "archive" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", "²" if kind == "length" else str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def attempt(tmp_path: Path, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a fetch from one source says; whatever happens, at most the right file lies in the data set's folder."""
    monkeypatch.setenv("no_proxy", "*")
    raw = tmp_path / "raw" / "set"
    said = ""
    try:
        fetch("set", FILES, [source], destination=raw, mirror=None, say=lambda line: None)
    except SourceError as error:
        said = str(error)
        assert "\n" not in said
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert written <= {"raw/set/wanted"}
    if written:
        assert (raw / "wanted").read_bytes() == CONTENT and not (raw / "wanted").is_symlink()
    assert not Path("/tmp/easel-escaped").exists()
    return said


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_archive_writes_nothing_else(
    name: str, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(HOSTILE[name]).hexdigest()
    address = f"{server}/archive/{name.replace(' ', '%20')}"
    source = {"kind": "http_archive", "address": address, "folder": "set", "sha256": digest, "size_limit": 1_000_000}
    said = attempt(tmp_path, source, monkeypatch)
    expected = {"climbs": "", "absolute": "", "bomb": "size_limit", "wanted bomb": "size_limit"}
    expected |= {"through a symlink": "wrong contents"}
    refusal = expected.get(name, "archive")
    assert refusal in said if refusal else not said


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib leaves a refused answer open
@pytest.mark.parametrize(
    ("kind", "target", "refusal"),
    [
        ("redirect", "file:///etc/passwd", "302"),
        ("redirect", "data:,x", "302"),
        ("redirect", "http://[", "Invalid IPv6"),
        ("redirect", "gopher://x", "302"),
        ("redirect", "{server}/plain/wanted", None),
        ("length", "a length that is no number", None),
    ],
)
def test_a_redirect_goes_to_http_alone_and_a_length_is_not_believed(
    kind: str, target: str, refusal: str | None, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Handler.redirects["wanted"] = target.format(server=server)
    said = attempt(tmp_path, {"kind": "http", "address": f"{server}/{kind}/"}, monkeypatch)
    gc.collect()
    assert ("could not fetch" in said and refusal in said) if refusal else said == ""


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "npm", "package": "--registry=http://x", "folder": "x", "sha256": "0" * 64},
        {"kind": "npm", "package": "file:../x", "folder": "x", "sha256": "0" * 64},
        {"kind": "npm", "package": "git+ssh://x/y", "folder": "x", "sha256": "0" * 64},
        {"kind": "npm", "package": "x@1.0.0\n", "folder": "x", "sha256": "0" * 64},
        {"kind": "debian", "package": "-oAPT::x=y", "folder": "x"},
        {"kind": "debian", "package": "a b", "folder": "x"},
        {"kind": "folder", "path": 3},
        {"kind": "http", "address": ["x"]},
        {"kind": "http", "address": "http://x/", "size_limit": "much"},
        {"kind": "http", "address": "http://x/", "size_limit": True},
        {"kind": "http", "address": "http://x/\0"},
    ],
)
def test_a_source_says_what_its_kind_takes(source: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"found .* expected"):
        check_source(source)


# --- dependencies -------------------------------------------------------------------------------------------------


def audited(tmp_path: Path, report: object, code: int = 1, allowed: str = "") -> subprocess.CompletedProcess[str]:
    """`envs/audit.py` with a pip-audit that answers with this."""
    (tmp_path / "report.json").write_text(report if isinstance(report, str) else json.dumps(report))
    (tmp_path / "allowed.txt").write_text(allowed)
    client = tmp_path / "pip-audit"
    client.write_text(f"#!/bin/sh\ncat {tmp_path}/report.json\necho 'ConnectionError: no route' >&2\nexit {code}\n")
    client.chmod(0o755)
    words = [sys.executable, str(ROOT / "envs" / "audit.py"), "--pip-audit", str(client)]
    return run([*words, "--allowed", str(tmp_path / "allowed.txt")], ROOT)


ADVISORY = {"id": "PYSEC-2030-1", "aliases": ["CVE-2030-1"], "fix_versions": ["2.0"], "description": "x"}
FOUND = {
    "dependencies": [
        {"name": "alpha", "version": "1.0", "vulns": [ADVISORY]},
        {"name": "beta", "version": "2.0", "vulns": []},
    ]
}


SKIPPED = {"name": "gamma", "skip_reason": "Dependency not found on PyPI and could not be audited: gamma (1.0)"}
ALLOWED = "# why\n{}  the part concerned is never imported\n"


@pytest.mark.parametrize(
    ("report", "ends", "allowed", "code", "said"),
    [
        (FOUND, 1, "", 1, ["alpha 1.0: PYSEC-2030-1", "2.0"]),
        (FOUND, 1, ALLOWED.format("PYSEC-2030-1"), 0, ["never imported"]),
        (FOUND, 1, ALLOWED.format("CVE-2030-1"), 0, ["never imported"]),
        (FOUND, 1, "PYSEC-2030-1\n", 2, ["reason"]),
        ({"dependencies": []}, 0, "PYSEC-1999-1  long gone\n", 0, ["PYSEC-1999-1"]),
        # pip-audit ends with 0 and "no known vulnerabilities found" where the database has none of the names
        ({"dependencies": [SKIPPED, FOUND["dependencies"][1]]}, 0, "", 3, ["NOT AUDITED: 1 of 2 packages", "gamma"]),
        ({"dependencies": [SKIPPED, *FOUND["dependencies"]]}, 1, "", 1, []),
    ],
    ids=["unlisted", "listed", "listed by its alias", "no reason", "not needed", "skipped", "skipped and found"],
)
def test_an_advisory_passes_only_if_it_is_listed_with_a_reason(
    report: object, ends: int, allowed: str, code: int, said: list[str], tmp_path: Path
) -> None:
    done = audited(tmp_path, report, ends, allowed)
    assert done.returncode == code
    assert all(words in (done.stderr if code else done.stdout) for words in said), done


@pytest.mark.parametrize("report", ["", "no json", "[]", '{"dependencies": 3}'])
def test_a_database_that_does_not_answer_is_loud(tmp_path: Path, report: str) -> None:
    done = audited(tmp_path, report)
    assert done.returncode == 3
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("easel: audit: NOT AUDITED") and "no route" in line
