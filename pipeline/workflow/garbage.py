"""What lies in results/ and data/prepared/ that no job of params.yaml needs; raw files and MLflow's store are never it.

Needed is whatever a job of any data set, model and seed of params.yaml at this budget makes or would bring back, and
whatever a live process is at work on.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import artifacts, untrusted
from pipeline.runtime import job_context, locks
from pipeline.workflow import job_hash, kept, layout, stamps
from pipeline.workflow.plan import Job, Plan
from pipeline.workflow.search import SEED, STAGES
from pipeline.workflow.staleness import jobs_of

RUNTIME_ONLY = True

FOLDERS = (Path("results"), Path("data/prepared"))
"""Where leftovers are looked for."""


@dataclass(frozen=True)
class Leftover:
    """A file, or a folder with all that is in it, that nothing needs."""

    kind: str
    path: Path
    what: str

    def files(self) -> list[Path]:
        """Its files, itself if it is one."""
        return [path for path in self.path.rglob("*") if path.is_file()] if self.path.is_dir() else [self.path]


def find(plan: Plan) -> list[Leftover]:
    """All that nothing needs, by kind."""
    jobs = list(all_jobs(plan))
    needed = {job.identity for job in jobs}
    return [
        *_earlier_results(needed),
        *_training_states(needed),
        *_live_histories(needed),
        *_trials(plan),
        *_results_of_nothing(plan, {path for job in jobs for path in job.outputs}),
        *_unfinished_files(),
    ]


def freed(leftovers: Iterable[Leftover]) -> int:
    """Bytes of room that their removal makes: a file counts once all its names are among them."""
    files = [path.stat() for path in dict.fromkeys(file for item in leftovers for file in item.files())]
    names = Counter((found.st_dev, found.st_ino) for found in files)
    sizes = {(found.st_dev, found.st_ino): (found.st_size, found.st_nlink) for found in files}
    return sum(size for node, (size, links) in sizes.items() if names[node] == links)


def all_jobs(plan: Plan) -> Iterator[Job]:
    """The jobs of every data set's comparison, and those of models that no table has at this budget."""
    yield plan.job("report")
    for dataset in plan.params.datasets:
        yield from jobs_of(plan, dataset).values()
        for model in plan.params.models:
            own = ["train"] if plan.trained(model) == model else []
            if plan.is_imbalanced(dataset):
                own.append("augment")
            if plan.declares(model, "canvases"):
                own.append("canvases")
            for stage_name in (*own, "sample", "evaluate"):
                for seed in plan.params.seeds_used():
                    yield plan.job(stage_name, dataset, model, seed)


def _earlier_results(needed: set[str]) -> Iterator[Leftover]:
    for earlier in sorted(set(kept.identities()) - needed):
        folder = kept.folder_of(earlier)
        yield Leftover("earlier results", folder, _maker(folder))


def _maker(folder: Path) -> str:
    """Which job made what is kept."""
    for path in sorted(folder.rglob("*.stamp.json")):
        stamp = stamps.read(path.with_name(path.name.removesuffix(".stamp.json")))
        if stamp:
            block = stamp.get("block", {})
            keys = ("dataset", "model", "seed") if "model" in block else ("dataset",)
            return " ".join([str(stamp.get("stage", "")), *(str(block.get(key, "")) for key in keys)])
    return "unknown"


def _training_states(needed: set[str]) -> Iterator[Leftover]:
    pattern = layout.CHECKPOINT.replace("{identity}", "{identity}-{step}")
    for path, found in _matching(pattern):
        job = f"train {found['dataset']} {found['model']} {found['seed']}"
        over = found["identity"] not in needed or kept.folder_of(found["identity"]).exists()  # killed as it ended
        if over and not job_context.is_being_written(job):
            what = f"{found['model']} {found['seed']} at step {int(found['step']):,}"
            for file in (path, artifacts.stamp_path(path)):
                if file.exists():
                    yield Leftover("saved training states", file, what)


def _live_histories(needed: set[str]) -> Iterator[Leftover]:
    for path, found in _matching(layout.LIVE):
        job = f"train {found['dataset']} {found['model']} {found['seed']}"
        if found["identity"] not in needed and not job_context.is_being_written(job):
            yield Leftover("histories of earlier trainings", path, f"{found['model']} {found['seed']}")


def _trials(plan: Plan) -> Iterator[Leftover]:
    """Trials that no search would take up again; those of settings that are not drawn any more may be wanted again."""
    for folder, found in _matching(layout.TRIAL):
        dataset, model = found["dataset"], found["model"]
        live = any(locks.is_held(folder / job_context.lock_of(f"{name} {dataset} {model} {SEED}")) for name in STAGES)
        known = dataset in plan.params.datasets and model in plan.params.models
        if folder.is_dir() and not live and not (known and _is_as_planned(folder, plan, dataset)):
            yield Leftover("trials of other code, data or models", folder, f"{dataset} {model}")


def _is_as_planned(folder: Path, plan: Plan, dataset: str) -> bool:
    """Whether the code and the data would make this very training again."""
    try:
        spec = untrusted.read_json(folder / "train.json")
        modules = tuple(name for name in spec["modules"] if job_hash.MODULE.fullmatch(name))
        splits = plan.job("prepare", dataset).identity
        return job_hash.job_identity("train", spec["block"], modules, [splits]) == folder.name
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _results_of_nothing(plan: Plan, outputs: set[str]) -> Iterator[Leftover]:
    """Files of data sets, models and seeds that params.yaml does not have."""
    known = {
        "dataset": set(plan.params.datasets),
        "model": set(plan.params.models),
        "seed": {str(seed) for seed in plan.params.seeds_used()},
    }
    seen: set[Path] = set()
    for stage_name, pattern in ((s, p) for s, patterns in layout.OUTPUTS.items() for p in patterns if s != "fetch"):
        for path, found in _matching(pattern):
            gone = {key: value for key, value in found.items() if value not in known[key]}
            if stage_name == "gallery" and not gone and path.as_posix() not in outputs:
                gone = {"figure": path.stem}  # no model of the table has it to show any more
            live = job_context.is_being_written(" ".join([stage_name, *found.values()]))
            # One path may match two patterns (`a_seeds` could be a data set): what any job makes stays.
            if gone and not live and path not in seen and path.as_posix() not in outputs:
                seen.add(path)
                what = " ".join(f"{key} {value}" for key, value in gone.items())
                for file in (path, artifacts.stamp_path(path)):
                    if file.exists():
                        yield Leftover("results of what params.yaml does not have", file, what)


def _matching(pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files of a pattern of the layout, and their wildcards."""
    numbers = re.sub(r"\\\{(seed|step)\\\}", r"(?P<\1>\\d+)", re.escape(pattern))
    expression = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", numbers))
    for path in sorted(Path().glob(re.sub(r"\{\w+\}", "*", pattern))):
        found = expression.fullmatch(path.as_posix())
        if found and not path.name.endswith(".stamp.json"):
            yield path, found.groupdict()


def _unfinished_files() -> Iterator[Leftover]:
    for folder in FOLDERS:
        for path in sorted(folder.rglob(".*.partial")):
            found = re.fullmatch(r"\..+\.(\d+)\.partial", path.name)
            if found and not _lives(int(found[1])) and not any(".partial" in parent.name for parent in path.parents):
                yield Leftover("unfinished files of dead processes", path, f"process {found[1]}")


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
