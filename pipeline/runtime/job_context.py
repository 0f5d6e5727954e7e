"""How a stage runs: its job, its checked inputs, its stored outputs, its lock, its progress.

`python -m pipeline STAGE` builds a `JobContext`, calls `pipeline.stages.STAGE.run(job)` and writes the record.
A stage needs neither Snakemake nor params.yaml when its specification is given with `--spec`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core import artifacts, locks
from pipeline.core.errors import InUse, UserError
from pipeline.runtime import machine
from pipeline.runtime.progress import Progress
from pipeline.workflow import job_hash, layout, store


@dataclass
class JobContext:
    """One running job."""

    stage: str
    wildcards: dict[str, Any]
    config: dict[str, Any]
    modules: tuple[str, ...]
    hash: str
    inputs: dict[str, Any]
    """Input name -> path, or list of paths in the order that the stage's specification states."""
    progress: Progress
    runtime_only: dict[str, Any] = field(default_factory=dict)
    """What the job needs but its result does not depend on (addresses of sources)."""
    device: str = "auto"
    checkpoint_steps: int | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """The job's name for a person."""
        return layout.job_name(self.stage, self.wildcards)

    @property
    def folder(self) -> Path:
        """Where the job's results are stored."""
        return layout.job_folder(self.stage, self.wildcards, self.hash)

    @property
    def outputs(self) -> dict[str, Path]:
        """The files that the job declares, by name."""
        return {name: self.folder / file for name, file in layout.FILES[self.stage].items()}

    @property
    def reads(self) -> list[Path]:
        """All input files, in order."""
        return [path for item in self.inputs.values() for path in (item if isinstance(item, list) else [item])]

    def at(self, pattern: str, **more: Any) -> Path:
        """A path of the layout for this job's wildcards."""
        return layout.path(pattern, **({"hash": self.hash} | self.wildcards | more))

    # Every file that is in its folder when it ends becomes part of its record.
    write_images = staticmethod(artifacts.write_images)
    write_tensors = staticmethod(artifacts.write_tensors)
    write_json = staticmethod(artifacts.write_json)
    write_text = staticmethod(artifacts.write_text)
    write_bytes = staticmethod(artifacts.write_bytes)

    # -- what the runner does around a stage --------------------------------------------------------------------

    def check_inputs(self) -> None:
        """Every input's bytes must be what its record says, and the job must still have its planned hash."""
        actual = job_hash.compute(
            self.stage, self.config, self.modules, [store.checked(path)["hash"] for path in self.reads]
        )
        if actual != self.hash:
            raise UserError(
                f"planned as {self.hash}, but its code, libraries and inputs now give {actual}: they changed since; "
                "run the same snakemake command again"
            )

    def write_record(self) -> None:
        """Write the record of the job and of its files, last of all."""
        closure = job_hash.code_closure(self.modules)
        record = {
            "hash": self.hash,
            "stage": self.stage,
            "wildcards": self.wildcards,
            "config": self.config,
            "modules": {name: job_hash.module_digest(name) for name in closure},
            "versions": job_hash.library_versions(closure),
            "inputs": {str(path): str(path.parent.name) for path in self.reads},
            "device": self.device,
            "machine": machine.cpu_model(),
            "python": platform.python_version(),
            "commit": commit(),
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - self.began, 2),
        }
        store.write(self.folder, record)
        store.age(self.reads)


def commit() -> str | None:
    """The checked-out commit, '+' appended where tracked files differ; None outside Git. Provenance only."""
    describe = ["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "-C", str(job_hash.ROOT), *describe],
            capture_output=True, encoding="utf-8", errors="replace", timeout=30,
        )  # fmt: skip
        return done.stdout.strip() or None
    return None


@contextlib.contextmanager
def sole_writer(name: str, folder: Path = store.LOCKS) -> Iterator[None]:
    """Hold a lock that the kernel frees when its holder dies; a second holder is refused with one line."""
    handle = locks.take(store.lock_of(name, folder))
    if handle is None:
        raise InUse("another process is writing this already; wait for it or stop it")
    try:
        yield
    finally:
        os.close(handle)


def take_over(job: JobContext) -> None:
    """Clear what an earlier, killed process of this job left: its log, its half-written files.

    The job's lock must be held: then no live process writes these files, on whatever machine.
    """
    job.progress.begin()
    for partial in job.folder.glob(".*.partial"):
        partial.unlink(missing_ok=True)


def delete_states(job: JobContext) -> None:
    """Delete the saved states of a finished training: only a killed one needs them."""
    if job.stage == "train":
        checkpoint = job.at(layout.CHECKPOINT)
        for path in sorted(checkpoint.parent.glob(f"{checkpoint.stem}*")):
            path.unlink(missing_ok=True)


def one_thread() -> None:
    """Make this process compute with one thread: bits depend on the number of threads."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[variable] = "1"


def run(job: JobContext, main: Callable[[JobContext], None]) -> None:
    """Check the inputs, do the stage's work under the lock of its hash, write the record; a finished job stays."""
    with sole_writer(f"{job.name} {job.hash}"):
        take_over(job)
        job.check_inputs()
        if store.is_complete(job.folder) and "EASEL_AFRESH" not in os.environ:
            job.progress.say("done already")
        else:
            (job.folder / layout.RECORD).unlink(missing_ok=True)
            main(job)
            job.write_record()
            job.progress.end()
        delete_states(job)
