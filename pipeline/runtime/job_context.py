"""How a stage runs: its job, its checked inputs, its stamped outputs, its lock, its progress.

`python -m pipeline STAGE` builds a `JobContext`, calls `pipeline.stages.STAGE.run(job)` and stamps what was written.
A stage needs neither Snakemake nor params.yaml when its job is handed over with `--spec`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import artifacts
from pipeline.core.errors import InUse, UserError
from pipeline.runtime import locks, machine
from pipeline.runtime.progress import Progress
from pipeline.workflow import job_hash, kept, layout, stamps

RUNTIME_ONLY = True  # what it reads and writes is decided by the stage and by pipeline.core.artifacts


@dataclass
class JobContext:
    """One job at work."""

    stage: str
    wildcards: dict[str, Any]
    block: dict[str, Any]
    modules: tuple[str, ...]
    identity: str
    reads: list[Path]
    progress: Progress
    runtime_only: dict[str, Any] = field(default_factory=dict)
    """What the job needs but its result does not depend on (addresses of sources)."""
    device: str = "auto"
    checkpoint_steps: int | None = None
    written: list[Path] = field(default_factory=list)
    stamps: list[dict[str, Any]] = field(default_factory=list)
    spent: list[Path] = field(default_factory=list)
    """What only a killed job would need: it goes once all outputs are stamped."""
    began: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """The job's name for a person."""
        return " ".join([self.stage, *(str(value) for value in self.wildcards.values())])

    @property
    def outputs(self) -> list[Path]:
        """All files that the job leaves behind."""
        return [self.at(pattern) for pattern in layout.outputs(self.stage, self.block)]

    def at(self, pattern: str, **more: Any) -> Path:
        """A path of the layout for this job's wildcards."""
        return layout.path(pattern, **(self.wildcards | more))

    def sweep(self, folder: Path, name: str = "*") -> None:
        """Remove what killed writers of a file (or of any in a folder that is this job's alone) left half-written."""
        for partial in folder.glob(f".{name}.[0-9]*.partial"):
            partial.unlink(missing_ok=True)

    def write_images(self, path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Write an Arrow file of images and stamp it at the end."""
        artifacts.write_images(path, images, labels)
        self.written.append(path)

    def write_tensors(self, path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
        """Write safetensors and stamp them at the end."""
        artifacts.write_tensors(path, tensors, metadata)
        self.written.append(path)

    def write_json(self, path: Path, content: Any) -> None:
        """Write JSON and stamp it at the end."""
        artifacts.write_json(path, content)
        self.written.append(path)

    def write_text(self, path: Path, content: str) -> None:
        """Write text and stamp it at the end."""
        artifacts.write_text(path, content)
        self.written.append(path)

    def write_bytes(self, path: Path, content: bytes) -> None:
        """Write bytes and stamp them at the end."""
        artifacts.write_bytes(path, content)
        self.written.append(path)

    # -- what the runner does around a stage --------------------------------------------------------------------

    def check_inputs(self) -> None:
        """Every input's bytes must be what its stamp says, and its stamp what this job was planned with."""
        self.stamps = [stamps.checked(path) for path in self.reads]
        found = job_hash.job_identity(
            self.stage, self.block, self.modules, [stamp["identity"] for stamp in self.stamps]
        )
        if found != self.identity:
            listed = ", ".join(
                f"{path} ({stamp['identity']})" for path, stamp in zip(self.reads, self.stamps, strict=True)
            )
            raise UserError(
                f"this job was planned as {self.identity} but its code and inputs are {found}: they changed since; "
                f"run the same snakemake command again (inputs: {listed or 'none'})"
            )

    def stamp_outputs(self) -> None:
        """Stamp everything that was written; what is spent then goes."""
        provenance = {
            "stage": self.stage,
            "block": self.block,
            "modules": {name: job_hash.module_digest(name) for name in job_hash.code_closure(self.modules)},
            "versions": job_hash.library_versions(job_hash.code_closure(self.modules)),
            "inputs": {str(path): stamp["identity"] for path, stamp in zip(self.reads, self.stamps, strict=True)},
            "device": self.device,
            "machine": machine.cpu_model(),
            "python": platform.python_version(),
            "commit": commit(),
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - self.began, 2),
        }
        for path in self.written:
            artifacts.write_stamp(path, self.identity, **provenance)
        for path in self.spent:
            path.unlink(missing_ok=True)


def commit() -> str | None:
    """The checked-out commit, '+' appended where tracked files differ; provenance only. None outside Git."""
    git = ["git", "-C", str(job_hash.ROOT)]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=10)
        dirty = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True, timeout=30)
        if head.returncode == 0:
            return head.stdout.strip() + ("+" if dirty.returncode else "")
    return None


LOCKS = Path("results/.locks")


@contextlib.contextmanager
def sole_writer(name: str, folder: Path = LOCKS) -> Iterator[None]:
    """Hold a lock that the kernel frees when its holder dies; a second holder is refused with one line."""
    handle = locks.take(lock_of(name, folder))
    if handle is None:
        raise InUse("another process is writing this already; wait for it or stop it")
    try:
        yield
    finally:
        os.close(handle)


def lock_of(name: str, folder: Path = LOCKS) -> Path:
    """The file of a job's lock."""
    return folder / (name.replace(" ", "-") + ".lock")


def is_being_written(name: str) -> bool:
    """Whether a live process holds a job's lock."""
    return locks.is_held(lock_of(name))


def take_over(job: JobContext) -> None:
    """Clear away what an earlier, killed process of this job left: its log, its half-written outputs.

    The job's lock must be held: then nobody alive writes these files, on whatever machine.
    """
    job.progress.begin()
    for path in job.outputs:
        job.sweep(path.parent, path.name)
        job.sweep(path.parent, artifacts.stamp_path(path).name)


def one_thread() -> None:
    """Make this process compute with one thread: bits depend on the number of threads, so it is never left open."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[variable] = "1"


def run(job: JobContext, main: Callable[[JobContext], None]) -> None:
    """Check the inputs, do the stage's work under its lock, stamp what it wrote; or bring an earlier result back."""
    with sole_writer(job.name):
        take_over(job)
        job.check_inputs()
        kept_here = job.stage not in layout.NOT_KEPT
        if kept_here and "EASEL_AFRESH" not in os.environ and kept.restore(job.identity, job.outputs):
            job.progress.say("an earlier result came back")
            return
        main(job)
        job.stamp_outputs()
        if kept_here:
            kept.keep(job.identity, job.outputs)
