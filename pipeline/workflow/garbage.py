"""What is stored that no job of params.yaml makes; raw files and MLflow's store are never among it.

Results of data sets, models or seeds that params.yaml does not know are listed apart: they may belong to another
configuration (`--configfile own.yaml`), so they are kept without --unknown.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import untrusted
from pipeline.workflow import layout, store
from pipeline.workflow.plan import Job, Plan
from pipeline.workflow.staleness import jobs_of

ABANDONED = 3600
"""Seconds after which a file that is being written counts as left."""

UNKNOWN = "results of data sets, models or seeds that params.yaml does not know"


@dataclass(frozen=True)
class Garbage:
    """A file, or a folder with all that is in it, that no planned job makes."""

    kind: str
    path: Path
    what: str

    def files(self) -> list[Path]:
        """Its files, itself if it is one."""
        return [path for path in self.path.rglob("*") if path.is_file()] if self.path.is_dir() else [self.path]


def find(plan: Plan) -> list[Garbage]:
    """All of it, by kind."""
    needed = {job.hash for job in all_jobs(plan)} | trials()
    return [
        *_earlier_results(plan, needed),
        *_of_trainings(needed),
        *(Garbage("damaged results", path, "") for path in sorted(Path(layout.DAMAGED).glob("*"))),
        *_unfinished_files(),
    ]


def freed(items: Iterable[Garbage]) -> int:
    """Bytes of their files; several names of one file (hard links) count once."""
    found = [path.stat() for item in items for path in item.files()]
    return sum({(one.st_dev, one.st_ino): one.st_size for one in found}.values())


def all_jobs(plan: Plan) -> Iterator[Job]:
    """The jobs of every data set's comparison, and those of models that no table has at this budget."""
    yield plan.job("report")
    for dataset in plan.params.datasets:
        yield from jobs_of(plan, dataset).values()
        for model in plan.params.models:
            stages = ["train"] if plan.trained(model) == model else []
            if plan.is_imbalanced(dataset):
                stages.append("augment")
            if plan.declares(model, "canvases"):
                stages.append("canvases")
            for stage in (*stages, "sample", "evaluate"):
                for seed in plan.params.seeds_used():
                    yield plan.job(stage, dataset, model, seed)


def trials() -> set[str]:
    """Hashes of the jobs of searches for settings, as their summaries list them."""
    hashes: set[str] = set()
    for path in Path("results/tuning").glob("*/*/trials.json"):
        try:
            hashes.update(hash_ for trial in untrusted.read_json(path)["trials"] for hash_ in trial["jobs"])
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return hashes


def _earlier_results(plan: Plan, needed: set[str]) -> Iterator[Garbage]:
    known = {
        "dataset": set(plan.params.datasets),
        "model": set(plan.params.models),
        "seed": {str(seed) for seed in plan.params.seeds_used()},
    }
    for folder, record in store.records():
        if folder.name in needed:
            continue
        name = layout.job_name(record["stage"], record["wildcards"])
        if store.is_being_written(f"{name} {folder.name}"):
            continue
        named = record["wildcards"].items()
        unknown = [f"{key} {value}" for key, value in named if str(value) not in known.get(key, ())]
        yield Garbage(UNKNOWN, folder, ", ".join(unknown)) if unknown else Garbage("earlier results", folder, name)


def _of_trainings(needed: set[str]) -> Iterator[Garbage]:
    """Saved states, HASH-STEP.*, and live histories, HASH.json, of trainings that are done or that no plan has."""
    for path in sorted(path for top in ("checkpoints", "live") for path in Path("results", top).glob("*/*/*/*.*")):
        top, *values = path.parts[1:-1]
        hash_, _, step = path.stem.partition("-")
        wildcards = dict(zip(layout.WILDCARDS["train"], values, strict=True))
        finished = bool(step) and store.is_complete(layout.job_folder("train", wildcards, hash_))
        running = store.is_being_written(f"{layout.job_name('train', wildcards)} {hash_}")
        if running or (hash_ in needed and not finished) or not layout.HASH.fullmatch(hash_):
            continue
        kind = "saved training states" if top == "checkpoints" else "histories of earlier trainings"
        at = f" at step {int(step):,}" if step.isdecimal() else ""
        yield Garbage(kind, path, f"{values[1]} {values[2]}{at}")


def _unfinished_files() -> Iterator[Garbage]:
    """What a process began to write and left: a live one, on whatever machine, touches its file more often."""
    for folder in (Path("results"), Path("data/prepared")):
        for path in sorted(folder.rglob(".*.partial")):
            inside = any(parent.suffix == ".partial" for parent in path.parents)
            with contextlib.suppress(FileNotFoundError):  # it has just been finished
                if not inside and path.stat().st_mtime < time.time() - ABANDONED:
                    yield Garbage("unfinished files of dead processes", path, path.name)
