"""The whole workflow with something wrong around it: a clock that jumps, a full disk, a dead tracker, a second run."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from fault_injection import shim
from fault_injection.ledger import Row, say
from fault_injection.project import BIN, Project, Undisturbed, stages_at_work

DECADE = 315_360_000
"""Seconds."""

TURNS = (0, 3600, -3600, 86_400, -86_400, DECADE, -DECADE)
"""Seconds by which the machine's clock is wrong after a jump."""

HALF = tuple(f"results/store/*/{stage}" for stage in ("sample", "evaluate", "tables", "summary"))
"""What goes where half of the jobs are to be done again."""

NOBODY = "http://127.0.0.1:9"
"""An address at which nothing listens."""


def compared(row: Row, project: Project, undisturbed: Undisturbed, done: subprocess.CompletedProcess[str]) -> None:
    """Count a run that should have completed."""
    failed = [f"exit {done.returncode}: {done.stderr[-800:]}"] if done.returncode else []
    row.compared(failed or [*undisturbed.differences(project), *project.remnants()])


# --- the clock ----------------------------------------------------------------------------------------------------


def turned_clock(
    project: Project,
    undisturbed: Undisturbed,
    clock: shim.Clock,
    seed: int,
    rounds: int = 3,
    cleared: Sequence[str] = HALF,
) -> Row:
    """The clock of the whole machine jumps every second or so while Snakemake and its stages run.

    All of them see the same time, and what they write gets it, as where somebody sets the clock.
    """
    row, chance = Row("the machine's clock jumps while it runs"), random.Random(seed)
    clock.turn(0)
    project.environment |= clock.environment
    for _ in range(rounds):
        project.clear(*cleared)
        with meanwhile(row, lambda: chance.expovariate(1.0), lambda: clock.turn(turned(chance))):
            done = project.run()
        compared(row, project, undisturbed, done)
    return row


def turned(chance: random.Random) -> int:
    """By how much a clock is wrong next."""
    return chance.choice(TURNS) + chance.randrange(-60, 60)


def differing_clocks(project: Project, undisturbed: Undisturbed, library: Path, seed: int) -> Row:
    """Every process sees a clock of its own, which jumps, and files have any times, before it runs and while it does.

    That is worse than what machines whose clocks differ can do to each other.
    """
    row, chance = Row("clocks that differ, and files' times"), random.Random(seed)
    project.environment |= {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(seed + 1)}
    for latest in (0.0, DECADE):
        with meanwhile(row, lambda: 5.0, partial(scramble, project, chance, latest)):
            compared(row, project, undisturbed, project.run())
        project.clear(*HALF)
    scramble(project, chance, DECADE)
    row.injected += 1
    compared(row, project, undisturbed, project.run())
    return row


def scramble(project: Project, chance: random.Random, latest: float) -> None:
    """Give every file some time from a decade ago to `latest` seconds from now."""
    for path in [*project.folder.glob("data/**/*"), *project.folder.glob("results/**/*")]:
        at = time.time() + chance.uniform(-DECADE, latest)
        try:
            os.utime(path, (at, at), follow_symlinks=False)
        except FileNotFoundError:
            continue


@contextmanager
def meanwhile(row: Row, pause: Callable[[], float], act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again, so many seconds apart, and count it as injected."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(pause()):
            act()
            row.injected += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# --- the disk -----------------------------------------------------------------------------------------------------


def full_disk(project: Project, undisturbed: Undisturbed, needed: int) -> Row:
    """A file system with too little room for results/, in the middle of the run; then with enough."""
    row, results = Row("a disk that is full in the middle"), project.folder / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    if subprocess.run([*mount, f"size={needed // 2}", "fault_injection", str(results)], capture_output=True).returncode:
        say("NOT CHECKED: a disk that is full: mounting is not allowed here")
        return row
    try:
        for share, flags, word in ((2, "rw", "No space left on device"), (1.2, "ro", "read-only"), (0.5, "rw", "")):
            project.deserted()  # a file that is still open for writing would keep it from becoming read-only
            subprocess.run(["mount", "-o", f"remount,{flags},size={int(needed / share)}", str(results)], check=True)
            done = project.run()
            say(f"{int(needed / share) / 2**20:.0f} MiB, {flags}: exit {done.returncode}, said word for word:")
            print(done.stderr, flush=True)
            row.injected += share > 1
            row.found([f"{path}: damaged" for path in project.damaged()])
            row.found([] if "Traceback" not in done.stderr else ["a traceback on the terminal"])
            lines = [
                line for line in done.stderr.splitlines() if line.startswith("easel: ") or " failed after " in line
            ]
            told = any(word in line for line in lines)
            row.found([] if share < 1 or (done.returncode and told) else [f"it did not say {word!r}"])
        compared(row, project, undisturbed, done)
    finally:
        project.deserted()
        subprocess.run(["umount", str(results)], check=True)
    return row


# --- the tracker --------------------------------------------------------------------------------------------------


def dead_tracker(project: Project, undisturbed: Undisturbed) -> Row:
    """Nobody listens where the runs are to be recorded."""
    row = Row("MLflow's server dead", injected=1)
    compared(row, project, undisturbed, project.run(MLFLOW_TRACKING_URI=NOBODY))
    return row


def locked_tracker(project: Project, undisturbed: Undisturbed) -> Row:
    """Another program holds the SQLite store all the time."""
    row = Row("MLflow's SQLite locked", injected=1)
    (project.folder / "results").mkdir(exist_ok=True)
    with closing(sqlite3.connect(project.folder / "results/mlflow.db", isolation_level=None)) as store:
        store.execute("BEGIN EXCLUSIVE")
        compared(row, project, undisturbed, project.run())
    return row


# --- two at once --------------------------------------------------------------------------------------------------


def two_at_once(project: Project, undisturbed: Undisturbed, words: list[str], name: str) -> Row:
    """While a run is at work another is started: one line, nothing lost."""
    row = Row(f"{name} while snakemake runs")
    process = project.start(project.folder / "said.txt")
    while process.poll() is None and row.injected < 3:
        if not stages_at_work(project):
            time.sleep(0.1)
            continue
        done = project.run(*words)
        row.injected += 1
        lines = [line for line in done.stderr.splitlines() if line.startswith("easel: ")]
        refused = done.returncode != 0 and len(lines) == 1 and "another run is at work" in lines[0]
        row.found([] if refused else [f"exit {done.returncode}: {done.stdout[-300:]} {done.stderr[-500:]}"])
    process.wait()
    compared(row, project, undisturbed, project.run())
    return row


def with_git(project: Project) -> Project:
    """The copy as a repository of its own, in which DVC's stages ask for the tiny budget."""
    file = project.folder / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("budget: laptop ", "budget: tiny ", 1))
    (project.folder / ".venv").symlink_to(BIN.parent)
    person = {f"GIT_{role}_{key}": "easel@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    site = project.folder.with_name(f"{project.folder.name}-site")
    own = {"DVC_SITE_CACHE_DIR": str(site), "DVC_GLOBAL_CONFIG_DIR": str(site), "GIT_CONFIG_GLOBAL": os.devnull}
    project.environment |= {**person, **own}
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "the project"]):
        subprocess.run(["git", *words], cwd=project.folder, env=project.environ(), check=True)
    return project


def campaign(done: Project, undisturbed: Undisturbed, library: Path | None, seed: int) -> list[Row]:
    """The rows of the table; each in a copy of its own."""

    def fresh(name: str) -> Project:
        shutil.rmtree(done.folder.with_name(name), ignore_errors=True)
        return Project.made(done.folder.with_name(name), done.mirror)

    def begun(name: str) -> Project:
        shutil.rmtree(done.folder.with_name(name), ignore_errors=True)
        project = done.copied(done.folder.with_name(name))
        project.clear(*HALF)
        return project

    needed = sum(path.stat().st_size for path in (done.folder / "results").rglob("*") if path.is_file())
    plays: dict[str, Callable[[], Row]] = {
        "two at once": lambda: two_at_once(begun("two"), undisturbed, done.words(), "a second snakemake"),
        "dvc repro": lambda: two_at_once(with_git(begun("dvc")), undisturbed, [str(BIN / "dvc"), "repro"], "dvc repro"),
        "full disk": lambda: full_disk(fresh("full"), undisturbed, needed // 2),
        "dead tracker": lambda: dead_tracker(fresh("dead"), undisturbed),
        "locked tracker": lambda: locked_tracker(fresh("locked"), undisturbed),
    }
    if library is None:
        say("NOT CHECKED: clocks: there is no C compiler")
    else:
        clock = shim.Clock(library, done.folder.with_name("clock"))
        plays["clock"] = lambda: turned_clock(fresh("turned"), undisturbed, clock, seed)
        plays["clocks"] = lambda: differing_clocks(fresh("differing"), undisturbed, library, seed)
    rows = []
    for name, play in plays.items():
        say(f"the whole workflow: {name}")
        rows.append(play())
    return rows
