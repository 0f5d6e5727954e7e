"""A copy of the project in which the workflow runs at the tiny budget, and what may be wrong with it afterwards."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.runtime import locks
from pipeline.workflow import layout
from pipeline.workflow.snapshots import TABLES

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

DATASET = "mnist"
TARGETS = (layout.TABLE.format(dataset=DATASET), layout.SUMMARY_TEXT.format(dataset=DATASET), layout.REPORT)
"""What asks for everything."""

MEASURED_TIME = ("cost", "_networks", "tracking/", "results/summary/", layout.REPORT)
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
        """What commands in this copy inherit."""
        search = os.pathsep.join([str(BIN), os.environ["PATH"]])
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("EASEL_", "MLFLOW_"))}
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
            text=True,
            stdin=subprocess.DEVNULL,
        )

    # -- what is there ----------------------------------------------------------------------------------------

    def tables(self) -> dict[str, bytes]:
        """The tables that do not depend on the machine's speed."""
        paths = [pattern.format(dataset=DATASET) for pattern in TABLES.values()]
        return {path: _bytes(self.folder / path) for path in paths}

    def stamped(self) -> dict[str, dict[str, Any]]:
        """Path -> stamp of every finished file."""
        found = {}
        patterns = ("data/**/*.stamp.json", "results/*.stamp.json", "results/[!.]*/**/*.stamp.json")
        for stamp in (stamp for pattern in patterns for stamp in self.folder.glob(pattern)):
            path = stamp.with_name(stamp.name.removesuffix(artifacts.STAMP))
            if path.exists() and "checkpoints" not in path.parts:
                found[path.relative_to(self.folder).as_posix()] = _parsed(stamp)
        return found

    def kept(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Identity -> path -> stamp of what is kept."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        root = self.folder / layout.KEPT.format(identity="x")
        for folder in root.parent.glob("[!.]*"):
            stamps = folder.rglob(f"*{artifacts.STAMP}")
            paths = {stamp.with_name(stamp.name.removesuffix(artifacts.STAMP)): stamp for stamp in stamps}
            found[folder.name] = {
                path.relative_to(folder).as_posix(): _parsed(stamp) for path, stamp in sorted(paths.items())
            }
        return found

    def damaged(self) -> list[str]:
        """Files whose stamp is not about their bytes, in place or kept: a reader would be misled or refused."""
        wrong = [path for path, stamp in self.stamped().items() if not _is_sound(self.folder / path, stamp)]
        for identity, stamps in self.kept().items():
            folder = layout.path(layout.KEPT, identity=identity)
            wrong += [f"{folder / path}" for path in stamps if not _is_sound(self.folder / folder / path, stamps[path])]
        return wrong

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
        found += [path.name for path in (self.folder / ".snakemake/locks").glob("*.lock")]
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
    stamps: Mapping[str, dict[str, Any]]

    @classmethod
    def of(cls, project: Project) -> Undisturbed:
        """Of a finished copy."""
        return cls(project.tables(), project.stamped())

    def differences(self, project: Project) -> list[str]:
        """How a finished copy differs from it: tables, files, the jobs that made them, their bytes."""
        found = [
            f"{path}: not the undisturbed table" for path, text in project.tables().items() if text != self.tables[path]
        ]
        stamps = project.stamped()
        found += [f"{path}: missing" for path in self.stamps.keys() - stamps.keys()]
        found += [f"{path}: made by nobody" for path in stamps.keys() - self.stamps.keys()]
        for path in self.stamps.keys() & stamps.keys():
            same = ("identity",) if any(part in path for part in MEASURED_TIME) else ("identity", "sha256")
            found += [f"{path}: another {key}" for key in same if stamps[path].get(key) != self.stamps[path][key]]
        return found


def _own_files() -> list[str]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _parsed(stamp: Path) -> dict[str, Any]:
    """A stamp's content; nothing for one that is no JSON, which counts as damaged, or that vanished."""
    try:
        found = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_sound(path: Path, stamp: Mapping[str, Any]) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return _digest(path, found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size) == stamp.get("sha256")


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
