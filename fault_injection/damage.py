"""Truncated and bit-flipped files under every input: found by their stamps, named, remade or refused, never used."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fault_injection import jobs
from fault_injection.forks import Fault, Forks
from fault_injection.ledger import Row, say
from fault_injection.project import DATASET, Project, Undisturbed
from pipeline.core import artifacts
from pipeline.workflow import layout
from pipeline.workflow.plan import Job

Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    """One bit in the middle, in place, as a bad disk does: all names of the file have it, its time is the old one."""
    before, middle = path.stat(), path.stat().st_size // 2
    with path.open("rb+") as file:
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(path: Path) -> None:
    """The second half goes."""
    os.truncate(path, path.stat().st_size // 2)


def break_stamp(path: Path) -> None:
    """Half of the stamp goes."""
    truncate(artifacts.stamp_path(path))


def remove_stamp(path: Path) -> None:
    """There is none."""
    artifacts.stamp_path(path).unlink()


DAMAGES: dict[str, Damage] = {
    "bit flipped": flip,
    "truncated": truncate,
    "stamp truncated": break_stamp,
    "stamp missing": remove_stamp,
}


@contextmanager
def damaged(path: Path, damage: Damage) -> Iterator[None]:
    """Damage a file or its stamp, and heal it in place."""
    files = [path, artifacts.stamp_path(path)]
    before = {file: (file.read_bytes(), file.stat()) for file in files}
    damage(path)
    try:
        yield
    finally:
        for file, (content, status) in before.items():
            file.write_bytes(content)
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@dataclass
class Campaign:
    """Damage of every kind, met by stages alone and by the whole workflow."""

    project: Project
    undisturbed: Undisturbed
    forks: Forks
    workflows: int
    """How many files at most are damaged under the whole workflow, which takes a minute for each."""
    chance: random.Random
    rows: dict[str, Row] = field(default_factory=dict)

    def row(self, fault: str) -> Row:
        """The row of a kind of fault."""
        return self.rows.setdefault(fault, Row(fault))

    def play(self) -> list[Row]:
        """All of them."""
        for job in jobs.one_of_each_stage().values():
            self.inputs_of(job)
            self.kept_of(job)
        self.training_state()
        self.raw_file()
        self.under_the_workflow()
        return list(self.rows.values())

    # -- one stage --------------------------------------------------------------------------------------------

    def inputs_of(self, job: Job) -> None:
        """Each of its inputs: the stage refuses in one line that names the file, and touches nothing."""
        say(f"{job.stage}: damage under each of {len(job.reads)} inputs")
        for path in dict.fromkeys(job.reads):
            for name, damage in DAMAGES.items():
                self.one_input(
                    self.row(f"an input's {name}" if "stamp" in name else f"an input {name}"), job, path, damage
                )

    def one_input(self, row: Row, job: Job, path: str, damage: Damage) -> None:
        """One damage of one input."""
        with damaged(self.project.folder / path, damage):
            before = jobs.State.of(self.project, job)
            ended = self.forks.run(self.project.folder, jobs.words(job))
            touched = before.changes(jobs.State.of(self.project, job))
        row.injected += 1
        lines = ended.said.splitlines()
        refused = ended.code == 1 and len(lines) == 1 and path in lines[0] and "delete" in lines[0]
        wrong = [] if refused else [f"{job.stage} {path}: exit {ended.code}: {' | '.join(lines[-4:])}"]
        row.compared([*wrong, *touched, *jobs.differences(self.project, self.undisturbed, job)])

    def kept_of(self, job: Job) -> None:
        """Each of its kept files: it does not come back, the work is done again."""
        kept = layout.path(layout.KEPT, identity=job.identity)
        for number, path in enumerate(job.outputs.values() if job.stage not in layout.NOT_KEPT else ()):
            outputs = [name for output in job.outputs.values() for name in (output, f"{output}.stamp.json")]
            self.project.clear(*outputs)
            list(DAMAGES.values())[number % len(DAMAGES)](self.project.folder / kept / path)
            ended = self.forks.run(self.project.folder, jobs.words(job))
            row = self.row("a kept result damaged")
            row.injected += 1
            wrong = [f"{job.stage} {path}: exit {ended.code}: {ended.said[-300:]}"] if ended.code else []
            wrong += [f"{job.stage} {path}: came back damaged"] if "came back" in ended.said else []
            row.compared([*wrong, *jobs.differences(self.project, self.undisturbed, job)])

    def training_state(self) -> None:
        """What a stopped training saved is not used, and the training begins anew."""
        job = jobs.one_of_each_stage()["train"]
        for name, damage in DAMAGES.items():
            jobs.undo(self.project, job)
            self.project.clear("results/checkpoints")
            calls = self.forks.run(self.project.folder, jobs.words(job)).calls
            jobs.undo(self.project, job)
            self.forks.run(self.project.folder, jobs.words(job), Fault(calls // 2, errno.ENOSPC, lasting=True))
            for stamp in self.project.folder.glob(f"results/checkpoints/**/*{artifacts.STAMP}"):
                damage(stamp.with_name(stamp.name.removesuffix(artifacts.STAMP)))
                self.row("a training's saved state damaged").injected += 1
            ended = self.forks.run(self.project.folder, jobs.words(job))
            said = "not used" in ended.said and ended.code == 0
            wrong = [] if said else [f"saved state, {name}: exit {ended.code}: {ended.said[-300:]}"]
            left = [str(path) for path in self.project.folder.glob("results/checkpoints/**/*.safetensors")]
            wrong += [*left, *jobs.differences(self.project, self.undisturbed, job)]
            self.row("a training's saved state damaged").compared(wrong)

    # -- the whole workflow -----------------------------------------------------------------------------------

    def raw_file(self) -> None:
        """The stage that reads it names it; its line's advice mends it."""
        job = jobs.one_of_each_stage()["prepare"]
        folder = self.project.folder / layout.RAW.format(dataset=DATASET)
        for path in sorted(path for path in folder.iterdir() if "json" not in path.name)[:: 1 if self.workflows else 4]:
            jobs.undo(self.project, job)
            flip(path)
            name = path.relative_to(self.project.folder).as_posix()
            self.refused_then_mended(
                "a raw file damaged", name, job, [name, f"{layout.RAW.format(dataset=DATASET)}/fetched.json"]
            )

    def under_the_workflow(self) -> None:
        """A file that somebody reads: found when the workflow is loaded; one with an old time, when it is read."""
        read = sorted({path for job in jobs.one_of_each_stage().values() for path in job.reads})
        chosen = self.chance.sample(read, min(len(read), self.workflows))
        for number, path in enumerate(chosen):
            say(f"the whole workflow over a damaged file, {number + 1} of {len(chosen)}: {path}")
            if number % 3 == 2:
                self.project.run()  # nothing to do, but each file's sum is known then, as long as its time stays
                flip(self.project.folder / path)
                reader = next(job for job in jobs.planned().values() if path in job.reads)
                jobs.undo(self.project, reader)
                self.refused_then_mended("old bytes flipped under the workflow", path, reader, [path])
            else:
                (flip, truncate)[number % 2](self.project.folder / path)
                os.utime(self.project.folder / path)
                self.remade(path)

    def remade(self, path: str) -> None:
        """The same command names it, and makes it again and what follows from it."""
        row = self.row("damaged under the workflow")
        row.injected += 1
        done = self.project.run()
        row.found([] if f"easel: {path}: not what its stamp says" in done.stderr else [f"{path}: not named"])
        failed = [f"{path}: exit {done.returncode}: {done.stderr[-500:]}"] if done.returncode else []
        row.compared(failed or [*self.undisturbed.differences(self.project), *self.project.remnants()])

    def refused_then_mended(self, fault: str, path: str, reader: Job, to_delete: list[str]) -> None:
        """The same command fails with a line that names it; files deleted as the line says, it completes.

        What the reader made, which is gone, is asked for too: nobody needs it where all that follows is there.
        """
        command = [*self.project.words(), *reader.outputs.values()]
        row = self.row(fault)
        row.injected += 1
        done = self.project.run(*command)
        lines = [line for line in done.stderr.splitlines() if line.startswith("easel: ") and path in line]
        refused = done.returncode != 0 and len(lines) == 1 and "delete" in lines[0]
        row.found([] if refused else [f"{path}: exit {done.returncode}: {done.stderr[-500:]}"])
        self.project.clear(*to_delete)
        again = self.project.run(*command)
        failed = [f"{path}: exit {again.returncode}: {again.stderr[-500:]}"] if again.returncode else []
        row.compared(failed or [*self.undisturbed.differences(self.project), *self.project.remnants()])


def campaign(project: Project, undisturbed: Undisturbed, forks: Forks, workflows: int, seed: int) -> list[Row]:
    """The rows of the table, one for each kind of damage."""
    return Campaign(project, undisturbed, forks, workflows, random.Random(seed)).play()
