"""What several test files share: a small MNIST, and copies of the project to run the workflow in."""

from __future__ import annotations

import fcntl
import functools
import gc
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.workflow import params
from pipeline.workflow.plan import Plan
from tests import made_up_mnist
from tests.fork_server import ForkServer

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

gc.set_threshold(50_000, 20, 50)  # tests and modules are many objects that stay: collection takes a quarter less
os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
    del os.environ[name]  # they choose other kernels, so that processes with and without them differ in the last bits

Run = subprocess.CompletedProcess[str]

SLOW = {"tiny", "installed", "server", "drawn", "dry_run", "tab"}
"""Fixtures that run the workflow, or start servers, builds, browsers and interpreters of many seconds."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was skipped, and why: a skipped check is not a passed one."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"SKIPPED, NOT CHECKED: {report.nodeid}: {reason}", yellow=True, bold=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make quick` leaves out what runs the workflow or takes as long."""
    if "torch" in sys.modules:  # as on every CPU
        importlib.import_module("pipeline.training.device").leave_the_compiler_out()
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.workflow)


@functools.cache
def plan_of(*overrides: str) -> Plan:
    """The plan of this project's params.yaml with some keys set; reading it takes a tenth of a second."""
    return Plan(params.load(list(overrides), ROOT / "params.yaml"))


@pytest.fixture(scope="session")
def mnist_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the mnist/ that the copies of the project are made to expect."""
    folder = tmp_path_factory.mktemp("mirror")
    made_up_mnist.write(folder / "mnist")
    return folder


def stage(folder: Path, *words: str, project: Path = ROOT, **environment: str) -> Run:
    """`python -m pipeline ...` in a folder."""
    return run([sys.executable, "-m", "pipeline", *words], folder, PYTHONPATH=str(project), **environment)


def run(command: list[str], folder: Path, **environment: str) -> Run:
    """A command in a folder, its text kept; a path of this project's tools first."""
    search = os.pathsep.join([str(BIN), os.environ["PATH"]])
    own = {"PATH": search, "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    if "DATA_MIRROR" in os.environ:
        own.setdefault("DATA_MIRROR", os.environ["DATA_MIRROR"])
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=900)


def until(
    true: Callable[[], Any], what: str = "it", *, seconds: float = 180.0, process: subprocess.Popen[Any] | None = None
) -> Any:
    """What a function returns once that is true; it fails after some seconds, or with the process that is to do it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end and (process is None or process.poll() is None), f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 1) -> str:
    """The one line that a command of this process ends with."""
    with pytest.raises(SystemExit) as caught:
        cli.main(list(words))
    said = capsys.readouterr().err
    title = f"easel: {words[0]}: " if code == 1 and words[0] in cli.commands() else "easel: "
    assert caught.value.code == code and len(said.splitlines()) == 1 and said.startswith(title), said
    return said.strip()


def copy_project(folder: Path) -> None:
    """Put the project's own files into a folder, as a clone would have them, but for the tests and a small MNIST."""
    copy_files(folder)
    (folder / "params.yaml").write_text(made_up_mnist.params_of((ROOT / "params.yaml").read_text()))


def copy_files(folder: Path) -> None:
    """The files that Git knows, or would, as they are."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True
    )
    if listed.returncode:
        warnings.warn("not a Git checkout: every file of the folder is copied", stacklevel=1)
        shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".venv", "data", "results"))
        return
    for file in listed.stdout.splitlines():
        if (ROOT / file).is_file() and not file.startswith("tests/"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """A process that forks stages."""
    started = ForkServer()
    yield started
    started.close()


@pytest.fixture(scope="session")
def whole_torch() -> None:
    """torch with its compiler, which torchvision and what is made with it import; stages leave it out on a CPU."""
    if not hasattr(sys.modules.get("torch._dynamo", sys), "__path__"):
        sys.modules.pop("torch._dynamo", None)
        vars(sys.modules["torch"]).pop("_dynamo", None)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A stage that runs in the process of the tests answers signals in its own way no longer than its test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make a copy of the project's own files in a fresh folder."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        copy_project(folder)
        return folder

    return make


TABLE = "results/tables/mnist.csv"
EVERYTHING = "results/summary/mnist.txt"
FIGURES = "results/figures/mnist"
PREPARED = "data/prepared/mnist/summary.json"
REPORT = "results/report.html"


def snakemake(
    folder: Path,
    mirror: Path,
    *targets: str,
    cores: int = 8,
    options: tuple[str, ...] = (),
    config: tuple[str, ...] = (),
) -> Run:
    """Snakemake at the tiny budget in a clone."""
    words = ["--cores", str(cores), *options, "--config", "budget=tiny", *config, "--", *targets]
    return run([str(BIN / "snakemake"), *words], folder, DATA_MIRROR=str(mirror))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, mnist_mirror: Path) -> Path:
    """A clone in which everything was made once at the tiny budget; shared by all workers, so nobody may change it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "tiny"
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "terminal.txt").exists():
            copy_project(folder)
            done = snakemake(folder, mnist_mirror, TABLE, FIGURES, EVERYTHING, REPORT, PREPARED)
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / "terminal.txt").write_text(done.stderr)
    return folder


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    """A test's own copy of the finished clone."""
    folder = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(tiny), str(folder)], check=True)
    return folder
