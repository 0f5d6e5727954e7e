"""SIGKILL at random moments of one continuing run: the whole process group, Snakemake alone, or one stage."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fault_injection.ledger import Row, say
from fault_injection.project import Project, Undisturbed, stages_at_work
from pipeline.runtime.progress import duration
from pipeline.workflow import layout

VICTIMS = {"group": 0.3, "snakemake": 0.2, "stage": 0.5}
"""How often each is killed."""

MOMENTS = {"any": 0.3, "at work": 0.3, "partial": 0.2, "record": 0.2}
"""After a random time, after one with a job at work, or when such a file appears."""

ROUNDS = {"all": 0.5, "raw files too": 0.1, "last stages": 0.4}
"""What is removed between two rounds, so that there is work again."""

MEAN_WAIT = 3.0
"""Seconds."""

POLL = 0.01


@dataclass
class Campaign:
    """One continuing copy of the project, killed again and again."""

    project: Project
    undisturbed: Undisturbed
    kills: int
    chance: random.Random
    row: Row = field(default_factory=lambda: Row("SIGKILL at a random moment"))
    by_victim: Counter[str] = field(default_factory=Counter)
    by_moment: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Runs that found a job's dying process of the run before, said so in one line and ended."""
    finished: dict[str, str] = field(default_factory=dict)
    """Files that were finished when last looked at, and their sums."""
    began: float = field(default_factory=time.monotonic)

    @property
    def said(self) -> Path:
        """What the present run says."""
        return self.project.folder / "said.txt"

    def play(self) -> Row:
        """Kill as often as is asked for, and take the last round to its end."""
        while self.row.injected < self.kills:
            self.one_run()
        while not self.one_run():
            pass
        say(f"by victim {dict(self.by_victim)}, by moment {dict(self.by_moment)}; refused once: {self.refused}")
        return self.row

    def one_run(self) -> bool:
        """Start the same command, kill something of it as long as there are kills left; whether it completed."""
        struck: set[str] = set()
        process = self.project.start(self.said, self.chance.choice((1, 2, 4)))
        while process.poll() is None and self.row.injected < self.kills:
            moment = drawn(self.chance, MOMENTS)
            if Moment(moment, self.project, process, self.chance).wait():
                struck |= self.strike(process, moment)
        code = process.wait()
        self.look()
        if code == 0:
            self.completed()
        elif not struck:
            self.failed()
        if not struck or self.chance.random() < 0.5:  # else the next run begins while this one's jobs are dying
            self.row.found([] if self.project.deserted() else [f"orphans: {self.project.processes()}"])
        return code == 0

    def strike(self, process: subprocess.Popen[bytes], moment: str) -> set[str]:
        """Kill one victim; who it was, nobody where there was none any more."""
        victim = drawn(self.chance, VICTIMS)
        stages = stages_at_work(self.project) if victim == "stage" else {}
        if victim == "stage" and not stages:
            return set()
        try:
            if victim == "group":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                os.kill(self.chance.choice(sorted(stages)) if stages else process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return set()
        self.row.injected += 1
        self.by_victim[victim] += 1
        self.by_moment[moment] += 1
        self.tell(victim, moment)
        return {victim}

    def tell(self, victim: str, moment: str) -> None:
        """A line of progress."""
        spent, done = time.monotonic() - self.began, self.row.injected
        made = f"{len(self.project.files())} of {len(self.undisturbed.files)} files"
        left = duration(spent / done * (self.kills - done))
        say(f"kill {done} of {self.kills}: {victim} ({moment}); round {self.row.runs + 1}, {made}; about {left} left")

    def look(self) -> None:
        """After every run, killed or not: nothing that was finished is lost, nothing that looks finished is wrong."""
        self.row.found([f"{path}: damaged" for path in self.project.damaged()])
        files = self.project.files()
        lost = [path for path, sha256 in self.finished.items() if files.get(path) != sha256]
        self.row.found([f"{path}: lost or made twice" for path in lost])
        self.finished = files

    def completed(self) -> None:
        """Compare a round's end with the undisturbed run, and make work for the next one."""
        differences = [*self.undisturbed.differences(self.project), *self.project.remnants()]
        self.row.compared(differences)
        say(f"round {self.row.runs} complete: {'differs' if differences else 'equal to the undisturbed run'}")
        self.make_stale(drawn(self.chance, ROUNDS))

    def make_stale(self, how: str) -> None:
        """Remove results, so that there is work again."""
        project = self.project
        if how == "last stages":
            last = list(layout.WILDCARDS)[self.chance.randrange(2, len(layout.WILDCARDS)) :]
            found = [folder for folder, record in project.stored().items() if record.get("stage") in last]
            project.clear("results/tables", *found)
        else:
            project.clear("results", "logs", *(("data",) if how == "raw files too" else ("data/prepared",)))
        self.finished = project.files()

    def failed(self) -> None:
        """A run that nobody killed must complete, unless a dying process of the run before holds a job's lock."""
        text = self.said.read_text(encoding="utf-8", errors="replace")
        if "another process is writing this already" in text or "another run is at work" in text:
            self.refused += 1
        else:
            self.row.found([f"a run failed by itself: {' | '.join(text.splitlines()[-8:])}"])


def drawn(chance: random.Random, weights: dict[str, float]) -> str:
    """One of them, by their weights."""
    return chance.choices(list(weights), list(weights.values()))[0]


@dataclass
class Moment:
    """When the next kill is to be."""

    kind: str
    project: Project
    process: subprocess.Popen[bytes]
    chance: random.Random

    def wait(self) -> bool:
        """Wait for it; False if the run ends before."""
        if self.kind == "any":
            return self.passes(self.chance.expovariate(1 / MEAN_WAIT))
        if not self.until(lambda: bool(stages_at_work(self.project)), 0.1):
            return False
        if self.kind == "at work":
            return self.passes(self.chance.expovariate(1 / MEAN_WAIT))
        seen = self.files()
        return self.until(lambda: bool(self.files() - seen), POLL)

    def passes(self, seconds: float) -> bool:
        """Whether the run lives that much longer."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def until(self, true: Callable[[], bool], every: float) -> bool:
        """Wait until something is so; False if the run ends before."""
        while not true():
            if self.process.poll() is not None:
                return False
            time.sleep(every)
        return True

    def files(self) -> set[str]:
        """Those of the kind that is waited for."""
        ending = ".partial" if self.kind == "partial" else layout.RECORD
        places = [*(self.project.folder / "results").glob("[!.]*"), self.project.folder / "data/prepared"]
        return {
            f"{place}/{name}"
            for top in places
            for place, _, names in os.walk(top)
            for name in names
            if name.endswith(ending)
        }


def campaign(project: Project, undisturbed: Undisturbed, kills: int, seed: int) -> list[Row]:
    """The rows of the table."""
    return [Campaign(project, undisturbed, kills, random.Random(seed)).play()]
