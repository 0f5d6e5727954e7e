"""Truncated and bit-flipped files under every input: found by their records, named, remade or refused, never used."""

from __future__ import annotations

import errno
import itertools
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


def truncate_record(path: Path) -> None:
    """Half of the record goes."""
    truncate(path.with_name(layout.RECORD))


def remove_record(path: Path) -> None:
    """There is none."""
    path.with_name(layout.RECORD).unlink()


DAMAGES: dict[str, Damage] = {
    "bit flipped": flip,
    "truncated": truncate,
    "record truncated": truncate_record,
    "record missing": remove_record,
}
SEEN = {name: damage for name, damage in DAMAGES.items() if damage is not flip}
"""What is seen without reading a file: its size, and its record."""


@contextmanager
def damaged(path: Path, damage: Damage) -> Iterator[None]:
    """Damage a file or its record, and heal it in place."""
    files = [file for file in {path, path.with_name(layout.RECORD)} if file.is_file()]
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
            self.results_of(job)
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
                if not (damage is flip and path.endswith(layout.RECORD)):  # a record holds no sum of its own bytes
                    row = self.row(f"an input's {name}" if "record" in name else f"an input {name}")
                    self.one_input(row, job, path, damage)

    def one_input(self, row: Row, job: Job, path: str, damage: Damage) -> None:
        """One damage of one input."""
        with damaged(self.project.folder / path, damage):
            before = jobs.State.of(self.project, job)
            ended = self.forks.run(self.project.folder, jobs.words(job))
            touched = before.changes(jobs.State.of(self.project, job))
        row.injected += 1
        lines = ended.said.splitlines()
        named = (path, Path(path).with_name(layout.RECORD).as_posix())
        refused = (
            ended.code == 1 and len(lines) == 1 and "delete" in lines[0] and any(file in lines[0] for file in named)
        )
        wrong = [] if refused else [f"{job.stage} {path}: exit {ended.code}: {' | '.join(lines[-4:])}"]
        row.compared([*wrong, *touched, *jobs.differences(self.project, self.undisturbed, job)])

    def results_of(self, job: Job) -> None:
        """Each of its results, damaged so that it is seen without reading it: the work is done again."""
        for (name, path), damage in zip(job.outputs.items(), itertools.cycle(SEEN.values()), strict=False):
            if name != "job":
                damage(self.project.folder / path)
                ended = self.forks.run(self.project.folder, jobs.words(job))
                row = self.row("a result damaged")
                row.injected += 1
                wrong = [f"{job.stage} {path}: exit {ended.code}: {ended.said[-300:]}"] if ended.code else []
                row.compared([*wrong, *jobs.differences(self.project, self.undisturbed, job)])

    def training_state(self) -> None:
        """What a stopped training saved is not used, and the training begins at its first step."""
        job, row = jobs.one_of_each_stage()["train"], self.row("a training's saved state damaged")
        folder, words = self.project.folder, jobs.words(job)
        jobs.undo(self.project, job)
        calls = self.forks.run(folder, words).calls
        for part in ("safetensors", "json"):
            for damage in (flip, truncate, Path.unlink):
                jobs.undo(self.project, job)
                self.forks.run(folder, words, Fault(calls // 2, errno.ENOSPC, lasting=True))
                for path in folder.glob(f"results/checkpoints/**/*.{part}"):
                    damage(path)
                    row.injected += 1
                ended = self.forks.run(folder, words)
                said = ended.code == 0 and ("not used" in ended.said) == (damage is not Path.unlink or part == "json")
                wrong = [] if said else [f"saved state, {part}: exit {ended.code}: {ended.said[-300:]}"]
                left = [str(path) for path in folder.glob("results/checkpoints/**/*.*")]
                row.compared([*wrong, *left, *jobs.differences(self.project, self.undisturbed, job)])

    # -- the whole workflow -----------------------------------------------------------------------------------

    def raw_file(self) -> None:
        """The stage that reads it names it; its line's advice mends it."""
        job = jobs.one_of_each_stage()["prepare"]
        folder = self.project.folder / layout.RAW.format(dataset=DATASET)
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            jobs.undo(self.project, job)
            flip(path)
            name = path.relative_to(self.project.folder).as_posix()
            self.refused_then_mended(
                "a raw file damaged", name, job, [name, f"{layout.RAW.format(dataset=DATASET)}/.fetched"]
            )

    def under_the_workflow(self) -> None:
        """A file that a job to do reads: what is seen without reading it is made again, else its reader refuses it."""
        read = sorted({path for job in jobs.one_of_each_stage().values() for path in job.reads})
        chosen = self.chance.sample(read, min(len(read), self.workflows))
        for path, (name, damage) in zip(chosen, itertools.cycle(DAMAGES.items()), strict=False):
            say(f"the whole workflow over a damaged file: {path}: {name}")
            reader = next(job for job in jobs.planned().values() if path in job.reads)
            folder, record = str(Path(path).parent), Path(path).with_name(layout.RECORD).as_posix()
            jobs.undo(self.project, reader)
            if damage is flip and path != record:
                flip(self.project.folder / path)
                self.refused_then_mended("a bit flipped under the workflow", path, reader, [folder])
            elif damage is truncate_record or path == record:
                truncate_record(self.project.folder / path)
                self.refused_then_mended("a record truncated under the workflow", record, reader, [folder])
            else:
                damage(self.project.folder / path)
                self.remade(path, reader, named=damage is truncate)

    def remade(self, path: str, reader: Job, *, named: bool) -> None:
        """The same command makes it again; a file that is shorter than recorded is named."""
        row = self.row("damaged under the workflow")
        row.injected += 1
        done = self.project.run(*self.project.words(), *reader.outputs.values())
        said = f"easel: {path}: damaged (size " in done.stderr
        row.found([] if said or not named else [f"{path}: not named"])
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
        lines = [line for line in done.stderr.splitlines() if " failed after " in line and path in line]
        refused = done.returncode != 0 and len(lines) == 1 and "delete" in lines[0]
        row.found([] if refused else [f"{path}: exit {done.returncode}: {done.stderr[-500:]}"])
        self.project.clear(*to_delete)
        again = self.project.run(*command)
        failed = [f"{path}: exit {again.returncode}: {again.stderr[-500:]}"] if again.returncode else []
        row.compared(failed or [*self.undisturbed.differences(self.project), *self.project.remnants()])


def campaign(project: Project, undisturbed: Undisturbed, forks: Forks, workflows: int, seed: int) -> list[Row]:
    """The rows of the table, one for each kind of damage."""
    return Campaign(project, undisturbed, forks, workflows, random.Random(seed)).play()
