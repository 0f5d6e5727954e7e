"""A copy of the project in which the workflow runs at the tiny budget, and what may be wrong with it afterwards."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core import artifacts, locks
from pipeline.workflow import layout, store
from pipeline.workflow.snapshots import TABLES

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

DATASET = "mnist"
TARGETS = (layout.TABLE.format(dataset=DATASET), layout.SUMMARY_TEXT.format(dataset=DATASET), layout.REPORT)
"""What asks for everything."""

MEASURED_TIME = ("cost", "networks.csv", "/track/", "/summary/", "/report/")
"""In the path of what holds seconds or a run's number: it differs from run to run, everything else may not."""

PATIENCE = 120.0
"""Seconds in which the processes of a killed run must have ended."""


@dataclass
class Project:
    """One copy."""

    folder: Path
    mirror: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls, folder: Path, mirror: Path) -> Project:
        """The project's own files as a clone would have them, but for the tests."""
        folder.mkdir(parents=True)
        for name in _own_files():
            if not name.startswith(("tests/", "fault_injection/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        return cls(folder, mirror)

    def copied(self, folder: Path) -> Project:
        """The same in another place, results and records included."""
        subprocess.run(["cp", "-a", "--reflink=auto", str(self.folder), str(folder)], check=True)
        return Project(folder, self.mirror, dict(self.environment))

    def words(self, cores: int = 2, *more: str) -> list[str]:
        """The one command that is given again and again."""
        return [str(BIN / "snakemake"), "--cores", str(cores), *more, "--config", "budget=tiny", "--", *TARGETS]

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What commands in this copy inherit; not OPENBLAS_CORETYPE, which decides bits."""
        search = os.pathsep.join([str(BIN), os.environ["PATH"]])
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("EASEL_", "MLFLOW_", "OPENBLAS_"))
        }
        own = {"PATH": search, "DATA_MIRROR": str(self.mirror), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return {**inherited, **own, **self.environment, **(more or {})}

    def start(self, said: Path, cores: int = 2, words: Sequence[str] | None = None) -> subprocess.Popen[bytes]:
        """Begin that command (or another) in a process group of its own; what it says goes to a file."""
        with said.open("wb") as file:
            return subprocess.Popen(
                list(words or self.words(cores)),
                cwd=self.folder,
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command to its end; the workflow's own if none is named."""
        return subprocess.run(
            list(words or self.words()),
            cwd=self.folder,
            env=self.environ(environment),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
        )

    # -- what is there ----------------------------------------------------------------------------------------

    def tables(self) -> dict[str, bytes]:
        """The tables that do not depend on the machine's speed."""
        paths = [pattern.format(dataset=DATASET) for pattern in TABLES.values()]
        return {path: _bytes(self.folder / path) for path in paths}

    def stored(self) -> dict[str, store.Record]:
        """Folder -> record of every folder that has one; an empty record for one that cannot be read."""
        found = [path.parent for top in ("results/store", "data") for path in (self.folder / top).rglob(layout.RECORD)]
        return {folder.relative_to(self.folder).as_posix(): store.read(folder) or {} for folder in found}

    def files(self) -> dict[str, str]:
        """Path -> recorded SHA-256 of every finished file."""
        return {
            f"{folder}/{name}": file["sha256"]
            for folder, record in self.stored().items()
            for name, file in record.get("files", {}).items()
        }

    def damaged(self) -> list[str]:
        """Records that say nothing, and files that are not what their records say."""
        wrong = [f"{folder}/{layout.RECORD}" for folder, record in self.stored().items() if not record]
        return wrong + [path for path, sha256 in self.files().items() if not _is_sound(self.folder / path, sha256)]

    def processes(self) -> list[int]:
        """Live processes at work in this folder."""
        return [process for process in _processes() if _cwd(process).is_relative_to(self.folder)]

    def deserted(self, patience: float = PATIENCE) -> bool:
        """Wait until nobody is at work here; False if somebody still is after some seconds."""
        end = time.monotonic() + patience
        while self.processes():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def remnants(self) -> list[str]:
        """What a finished run must not leave: half-written files, locks that are held, processes."""
        found = [f"process {process}" for process in ([] if self.deserted(20.0) else self.processes())]
        folders = ("data", "results", "logs")
        found += [
            str(path.relative_to(self.folder)) for top in folders for path in (self.folder / top).rglob("*.partial")
        ]
        held = [self.folder / ".snakemake/easel.lock", *(self.folder / "results/.locks").glob("*")]
        return found + [path.name for path in held if locks.is_held(path)]

    def clear(self, *names: str) -> None:
        """Remove files and folders."""
        for name in names:
            for path in self.folder.glob(name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody disturbs makes."""

    tables: Mapping[str, bytes]
    files: Mapping[str, str]

    @classmethod
    def of(cls, project: Project) -> Undisturbed:
        """Of a finished copy."""
        return cls(project.tables(), project.files())

    def differences(self, project: Project) -> list[str]:
        """How a finished copy differs from it: views, files (each in the folder of its job's hash), their bytes."""
        tables, files = project.tables(), project.files()
        found = [f"{path}: not the undisturbed table" for path in tables if tables[path] != self.tables[path]]
        found += [f"{path}: missing" for path in TARGETS if not (project.folder / path).is_file()]
        found += [f"{path}: missing" for path in self.files.keys() - files.keys()]
        found += [f"{path}: made by nobody" for path in files.keys() - self.files.keys()]
        return found + [f"{path}: other bytes" for path in self.files.keys() & files.keys() if self.differ(path, files)]

    def differ(self, path: str, files: Mapping[str, str]) -> bool:
        """Whether a file has other bytes, which only what holds seconds may have."""
        return files[path] != self.files[path] and not any(part in path for part in MEASURED_TIME)


def _own_files() -> list[str]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _is_sound(path: Path, sha256: str) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return _digest(path, found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size) == sha256


@functools.lru_cache(4096)
def _digest(path: Path, *state: int) -> str:
    return artifacts.sha256(path)


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _cwd(process: int) -> Path:
    """A process's folder; the root for one that has ended, buried or not."""
    try:
        return (Path("/proc") / str(process) / "cwd").readlink()
    except OSError:
        return Path("/")


def stages_at_work(project: Project) -> dict[int, str]:
    """Process -> stage, of the jobs that are being done."""
    found = {}
    for process in project.processes():
        try:
            words = (Path("/proc") / str(process) / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if words[1:3] == ["-m", "pipeline"] and words[3] in layout.OUTPUTS:
            found[process] = words[3]
    return found
