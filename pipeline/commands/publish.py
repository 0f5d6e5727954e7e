"""Publish a data set's results: give them to DVC, push them, copy small tables and figures to where Git tracks them.

Refuses results that are not what params.yaml and the code ask for now. What a second call would do again is left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.infra import folders, machine, stamps
from pipeline.infra.errors import UserError, near
from pipeline.planning import overrides, sole_run
from pipeline.planning.plan import Job, Plan

TABLE_STAGES, FIGURE_STAGES = ("tables", "standings"), ("figures", "canvases")
LARGEST = 1_000_000
"""Bytes of the largest file that is given to Git."""

Made = dict[str, dict[str, Any]]
"""Path of a result -> its stamp."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, and where to."""
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--to", type=Path, default=Path("docs/results"), help="folder for Git (default: docs/results)")
    parser.add_argument("--remote", help="a remote of DVC (default: the one that DVC's configuration names)")


def run(arguments: argparse.Namespace) -> None:
    """Check, record, push, copy, and say what is left to do."""
    plan, dataset = overrides.plan([]), arguments.dataset
    sole_run.hold()
    jobs = list(in_order(plan.job("summary", dataset)))
    remote = chosen_remote(arguments.remote)
    say(f"checking the results of {len(jobs)} jobs")
    made = current(jobs, dataset)
    record(dataset)
    push(dataset, remote)
    folder = arguments.to / dataset
    files = dict(small(jobs))
    files["provenance.json"] = (json.dumps(provenance(plan, dataset, made), indent=1) + "\n").encode()
    say(f"{folder}: {len(files)} files" + ("" if folders.replace(folder, files) else ", as they were"))
    say_what_to_commit(folder, f"Results of {dataset}, budget {plan.params.budget}")


def say(line: str) -> None:
    """A line for the person."""
    print(f"publish: {line}", flush=True)


# --- are they current? --------------------------------------------------------------------------------------------


def in_order(job: Job, seen: set[str] | None = None) -> Iterator[Job]:
    """A job and all that it is made from, each after what it reads."""
    seen = set() if seen is None else seen
    if job.identity not in seen:
        seen.add(job.identity)
        for source in job.inputs:
            yield from in_order(source, seen)
        yield job


def current(jobs: list[Job], dataset: str) -> Made:
    """The stamps of all files of the jobs; raw files need not be there, whoever prepares again fetches them.

    Raises `UserError` naming a file that is missing, damaged, or not what params.yaml and the code ask for now.
    """
    made: Made = {}
    wrong: list[tuple[Job, str]] = []
    for job in jobs:
        for path in job.outputs if job.stage != "fetch" else ():
            try:
                made[path] = stamps.checked(Path(path))
                if made[path]["identity"] != job.identity:
                    wrong.append((job, f"{path}: made as {made[path]['identity']}, asked for is {job.identity}"))
            except UserError as error:
                wrong.append((job, str(error)))
    if wrong:
        names = list(dict.fromkeys(" ".join(map(str, (job.stage, *job.wildcards.values()))) for job, _ in wrong))
        shown = ", ".join(names[:4]) + (", ..." if names[4:] else "")
        raise UserError(
            f"{wrong[0][1]}; in all {len(wrong)} files of {shown} are not what params.yaml and the code ask for now "
            f"(an earlier run's --config does not count); run `snakemake --cores 8 results/tables/{dataset}.csv "
            f"results/summary/{dataset}.txt` first"
        )
    return made


# --- DVC ----------------------------------------------------------------------------------------------------------


def chosen_remote(name: str | None) -> str | None:
    """The remote to push to: the one asked for, the default one, or the only one; None where there is none."""
    listed = [line.split() for line in command("dvc", "remote", "list").splitlines() if line.strip()]
    known = [words[0] for words in listed]
    if name is not None and name not in known:
        raise UserError(f"--remote: unknown remote {name!r}" + (near(name, known) if known else "; DVC has none yet"))
    defaults = [words[0] for words in listed if words[-1] == "(default)"]
    found = ([name] if name else []) + defaults + (known if len(known) == 1 else [])
    if known and not found:
        raise UserError(f"--remote: DVC has {', '.join(known)} and no default; name one")
    return found[0] if found else None


def record(dataset: str) -> None:
    """Give what Snakemake made to DVC, as its own stages would have recorded it."""
    command("pipeline", "views", "--dataset", dataset)
    command("dvc", "commit", "--force", *stages(dataset))
    say("recorded in dvc.lock")


def stages(dataset: str) -> list[str]:
    """The stages of dvc.yaml that hold a data set's results."""
    return [f"{stage}@{dataset}" for stage in ("prepare", "compare")]


def push(dataset: str, remote: str | None) -> None:
    """Push to the remote; where there is none, say so loudly."""
    if remote is None:
        say("NOT PUSHED: DVC has no remote, so nobody else can pull these results; add one with")
        say("    .venv/bin/dvc remote add --default NAME PLACE")
        return
    say(f"pushing to {remote}")
    command("dvc", "push", "--remote", remote, *stages(dataset), shown=True)


def command(module: str, *words: str, shown: bool = False) -> str:
    """What one of Python's programs prints; `shown` lets a person see its progress. `UserError` where it fails."""
    pipe = None if shown else subprocess.PIPE
    done = subprocess.run([sys.executable, "-m", module, *words], stdout=pipe, stderr=pipe, text=True)
    if done.returncode:
        said = [line for line in (done.stderr or "").splitlines() if line.strip()]
        raise UserError(
            f"`{module} {' '.join(words)}` failed: {said[-1] if said else 'see above'}; mend it and publish"
        )
    return done.stdout or ""


# --- Git ----------------------------------------------------------------------------------------------------------


def small(jobs: list[Job]) -> Iterator[tuple[str, bytes]]:
    """The tables, and the figures as PNG, that are small enough for Git."""
    for job in jobs:
        for path in map(Path, job.outputs):
            picture = job.stage in FIGURE_STAGES and path.suffix == ".png"
            if not picture and job.stage not in TABLE_STAGES:
                continue
            if path.stat().st_size > LARGEST:
                say(f"{path}: left out, {path.stat().st_size:,} bytes are more than {LARGEST:,}")
                continue
            yield (f"figures/{path.name}" if picture else path.name), path.read_bytes()


def provenance(plan: Plan, dataset: str, made: Made) -> dict[str, Any]:
    """Where the results come from, from their stamps alone but for this machine: no clock, so it is the same again."""
    stamps = list(made.values())

    def all_of(key: str) -> list[str]:
        return sorted({str(stamp[key]) for stamp in stamps if stamp.get(key) is not None})

    devices = [device for device in all_of("device") if device != "auto"]  # 'auto': the stage uses none
    tables = {path: stamp for path, stamp in made.items() if stamp["stage"] in TABLE_STAGES}
    return {
        "dataset": dataset,
        "budget": plan.params.budget,
        "models": plan.models(dataset),
        "seeds": len(plan.params.seeds_used()),
        "commits": all_of("commit"),
        "made": {"first": min(all_of("made")), "last": max(all_of("made"))},
        "made_on": {"machines": all_of("machine"), "devices": devices, "python": all_of("python")},
        "published_on": {
            "cpu": machine.cpu_model(),
            "cores": os.cpu_count(),
            "system": f"{platform.machine()} {platform.system()}",
        },
        "versions": dict(sorted((name, version) for stamp in stamps for name, version in stamp["versions"].items())),
        "tables": {path: {key: stamp[key] for key in ("identity", "sha256")} for path, stamp in tables.items()},
        "stages": durations(made),
    }


def durations(made: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """How many jobs each stage had, and the seconds that they took together."""
    seconds = {(stamp["stage"], stamp["identity"]): stamp["seconds"] for stamp in made.values()}
    found: dict[str, dict[str, float]] = {}
    for (stage, _), taken in seconds.items():
        entry = found.setdefault(stage, {"jobs": 0, "seconds": 0.0})
        entry["jobs"], entry["seconds"] = entry["jobs"] + 1, round(entry["seconds"] + taken, 2)
    return found


def say_what_to_commit(folder: Path, message: str) -> None:
    """The commands that give it all to Git; nothing to do where Git has it already."""
    paths = ["dvc.lock", str(folder)]
    changed = subprocess.run(["git", "status", "--porcelain", "--", *paths], capture_output=True, text=True)
    if changed.returncode == 0 and not changed.stdout.strip():
        say("Git has all of it already")
        return
    say("now give it to Git:")
    say(f"    git add {' '.join(paths)}")
    say(f'    git commit -m "{message}"')
