"""Errors at every write, and at every opening to read, of every stage in turn: no room, no right, a broken disk."""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass, field

from fault_injection import jobs
from fault_injection.forks import Ended, Fault, Forks
from fault_injection.ledger import Row, say
from fault_injection.project import Project, Undisturbed
from pipeline.workflow.plan import Job

WRITES = {"ENOSPC": True, "EROFS": True, "EACCES": True, "EIO": False}
"""Error -> whether it lasts, once met, until the stage has ended."""

READS = {"EACCES": True, "EIO": False}

BY_HAND = ("expected", "not found", "delete", "make room", "could not", "check that")
"""A line says what to do."""


@dataclass
class Campaign:
    """Faults in one stage after the other."""

    project: Project
    undisturbed: Undisturbed
    forks: Forks
    points: int
    """At how many calls of a stage at most each error strikes, spread over all of them."""
    chance: random.Random
    rows: dict[str, Row] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """What stages said, and how often."""

    def play(self) -> list[Row]:
        """Every stage, every error."""
        for stage, job in jobs.one_of_each_stage().items():
            for reads, errors in ((False, WRITES), (True, READS)):
                self.one_stage(stage, job, errors, reads)
        return list(self.rows.values())

    def one_stage(self, stage: str, job: Job, errors: dict[str, bool], reads: bool) -> None:
        """Every error at every call of a stage."""
        kind = "openings to read" if reads else "writes"
        jobs.undo(self.project, job)
        calls = self.forks.run(self.project.folder, jobs.words(job), Fault(reads=reads)).calls
        chosen = sorted(self.chance.sample(range(1, calls + 1), min(calls, self.points)))
        say(f"{stage}: {calls} {kind}, {len(chosen) * len(errors)} errors")
        for name, lasting in errors.items():
            row = self.rows.setdefault(
                f"{name} {reads}", Row(f"{name} at {'an opening to read' if reads else 'a write'}")
            )
            for at in chosen:
                self.one_fault(row, job, Fault(at, getattr(errno, name), lasting, reads))

    def one_fault(self, row: Row, job: Job, fault: Fault) -> None:
        """One error, what it leaves, and the same command again."""
        jobs.undo(self.project, job)
        before = jobs.State.of(self.project, job)
        ended = self.forks.run(self.project.folder, jobs.words(job), fault)
        row.injected += 1
        where = f"{job.stage}, call {fault.at}"
        left = [
            *self.told(ended, fault),
            *before.changes(jobs.State.of(self.project, job)),
            *jobs.half_written(self.project),
        ]
        if ended.code == 0:
            left += jobs.differences(self.project, self.undisturbed, job)
        again = self.forks.run(self.project.folder, jobs.words(job))
        failed = [f"the same command failed again: {again.said[-300:]}"] if again.code else []
        row.found([f"{where}: {text}" for text in left])
        row.compared([f"{where}, afterwards: {text}" for text in failed or self.after(job)])

    def after(self, job: Job) -> list[str]:
        """What is wrong once the same command was run again."""
        return [*jobs.differences(self.project, self.undisturbed, job), *jobs.half_written(self.project)]

    def told(self, ended: Ended, fault: Fault) -> list[str]:
        """What is wrong with how a stage ended: it did its work all the same, or says why not in one line."""
        lines = [line for line in ended.said.splitlines() if line.startswith("easel: ")]
        for line in lines:
            self.lines[line] = self.lines.get(line, 0) + 1
        if ended.code == 0:
            return []
        if ended.code != 1 or len(lines) != 1 or "Traceback" in ended.said:
            return [f"exit {ended.code}: {' | '.join(ended.said.splitlines()[-6:])}"]
        if os.strerror(fault.error) not in lines[0] and not any(word in lines[0] for word in BY_HAND):
            return [f"not to be mended by: {lines[0]}"]
        return []


def campaign(project: Project, undisturbed: Undisturbed, forks: Forks, points: int, seed: int) -> list[Row]:
    """The rows of the table, one for each error."""
    played = Campaign(project, undisturbed, forks, points, random.Random(seed))
    rows = played.play()
    for line, count in sorted(played.lines.items()):
        say(f"said {count} times: {line}")
    return rows
