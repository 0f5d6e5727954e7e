"""Which jobs of a data set are done, which are stale and why: the stamps beside the files against the plan.

What is needed is what Snakemake would run for the data set's summary: jobs whose files were made by another job than
the planned one, files that a job to be run reads and that are not there, and all that follows from either. A cause is
what somebody changed (a parameter, a module, a library, a file); what is stale because of its inputs only follows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.workflow import job_hash, layout, stamps
from pipeline.workflow.plan import Job, Plan

RUNTIME_ONLY = True

TARGET = "summary"
"""The stage whose file asks for all of a data set's comparison."""

KINDS = ("damaged", "params", "code", "versions", "reads", "remade", "recipe", "missing")
"""Of causes, in the order in which they are told."""

PROTOCOL = {
    "n": "samples",
    "protocol_seed": "seed",
    "seed": "seed",
    "groups": "jackknife_groups",
    "tolerance": "battle_tolerance",
    "ratio": "battle_ratio",
    "canvases": "canvases",
    "judged_training_images": "judged_training_images",
    "importance_samples": "importance_samples",
}
"""What params.yaml's protocol calls a key of a job's block."""

RUNS = ("runs", "contestants", "judges")
"""Keys of blocks that list models and seeds."""

FOLLOW_FROM = {"judges": "runs", "figures": "runs", "seeds": "contestants"}
"""Keys of blocks that change with a list of runs, and that list's key."""

LISTED = 6
"""Items of a changed list that are named before they are only counted."""

ABSENT = "none"


@dataclass(frozen=True)
class Cause:
    """Something that changed, in words; `subject` is the model or the like whose block it is in, '' for none."""

    kind: str
    subject: str
    text: str


@dataclass
class Found:
    """One job of the plan, and what lies in its place."""

    job: Job
    made: bool
    """Whether anything of it is there."""
    causes: list[Cause]
    needed: bool = False
    absent: list[str] = field(default_factory=list)
    """Its files that are not there though a job to be run, or a person, asks for them."""

    @property
    def state(self) -> str:
        """current | stale | missing: a job of which nothing is there, and one whose files lack one, are missing."""
        if not self.needed:
            return "current"
        return "missing" if not self.made else "stale"


def name(job: Job) -> str:
    """A job's name for a person, and the one that its lock and its log have."""
    return " ".join([job.stage, *(str(value) for value in job.wildcards.values())])


def jobs_of(plan: Plan, dataset: str) -> dict[str, Job]:
    """Every job of a data set's comparison by name, each after those that it reads from."""
    found: dict[str, Job] = {}

    def visit(job: Job) -> None:
        if name(job) not in found:
            for item in job.inputs:
                visit(item)
            found[name(job)] = job

    visit(plan.job(TARGET, dataset))
    return found


def is_begun(plan: Plan, dataset: str) -> bool:
    """Whether anything of a data set's comparison is there."""
    return any(Path(path).exists() for job in jobs_of(plan, dataset).values() for path in job.outputs)


def look(plan: Plan, dataset: str, *, bytes_too: bool = True) -> dict[str, Found]:
    """Every job of a data set's comparison and what lies in its place, in the order of `jobs_of`.

    With `bytes_too` the SHA-256 of every file is compared with its stamp's.
    """
    found = {key: _own(job, bytes_too) for key, job in jobs_of(plan, dataset).items()}
    _mark_needed(found)
    for item in found.values():
        if item.needed:
            item.causes += _of_inputs(item, found)
            item.causes += [Cause("missing", "", f"{path}: missing") for path in item.absent if item.made]
    return found


def is_current(job: Job) -> bool:
    """Whether all of a job's files are there, sound, and made by it as it is planned now."""
    return all(Path(path).exists() for path in job.outputs) and not _own(job, bytes_too=True).needed


def _own(job: Job, bytes_too: bool) -> Found:
    """What a job's own files say, whatever became of its inputs."""
    there = [Path(path) for path in job.outputs if Path(path).exists()]
    causes: dict[Cause, None] = {}
    needed = False
    for path in there:
        stamp = stamps.read(path)
        damage = _damage(path, stamp, bytes_too)
        needed = needed or stamp is None or bool(damage) or stamp["identity"] != job.identity
        if stamp is None or damage:
            causes[Cause("damaged", "", f"{path}: {damage}")] = None
        elif stamp["identity"] != job.identity:
            causes.update(dict.fromkeys(differences(job, stamp)))
    return Found(job, bool(there), list(causes), needed)


def _damage(path: Path, stamp: Mapping[str, Any] | None, bytes_too: bool) -> str:
    """What is wrong with a file's bytes, '' where nothing is."""
    if stamp is None:
        return "its stamp is missing or damaged"
    size = path.stat().st_size
    if size != stamp["bytes"]:
        return f"damaged (size {size:,} of {stamp['bytes']:,} bytes)"
    if bytes_too and artifacts.sha256(path) != stamp["sha256"]:
        return "damaged or changed by hand (its SHA-256 is not its stamp's)"
    return ""


# --- which jobs are needed ----------------------------------------------------------------------------------------


def _mark_needed(found: Mapping[str, Found]) -> None:
    """Spread from stale jobs to what follows, and to missing files that jobs to be run read, as Snakemake does."""
    readers: dict[str, list[Found]] = {key: [] for key in found}
    for item in found.values():
        for key in {name(job) for job in item.job.inputs}:
            readers[key].append(item)
    target = list(found.values())[-1]
    target.absent = [path for path in target.job.outputs if not Path(path).exists()]
    waiting = [item for item in found.values() if item.needed or item.absent]
    while waiting:
        item = waiting.pop()
        item.needed = True
        for producer, path in zip(item.job.inputs, item.job.reads, strict=True):
            source = found[name(producer)]
            if path not in source.absent and not Path(path).exists():
                source.absent.append(path)
                waiting.append(source)
        waiting.extend(reader for reader in readers[name(item.job)] if not reader.needed)


# --- why ----------------------------------------------------------------------------------------------------------


def differences(job: Job, stamp: Mapping[str, Any]) -> Iterator[Cause]:
    """What differs between a planned job and the one that made a file, but for the identities of its inputs."""
    params = list(_params(job, stamp.get("block", {})))
    yield from params
    closure = job_hash.code_closure(job.modules)
    yield from _code(stamp.get("modules", {}), {module: job_hash.module_digest(module) for module in closure})
    before, now = stamp.get("versions", {}), job_hash.library_versions(closure)
    for library in sorted(before.keys() | now.keys()):
        if before.get(library) != now.get(library):
            text = f"{library} {before.get(library, ABSENT)} -> {now.get(library, ABSENT)}"
            yield Cause("versions", "", text)
    read, reads = list(stamp.get("inputs", {})), list(dict.fromkeys(job.reads))
    if read != reads and not params:
        yield Cause("reads", "", _listed(read, reads))


def _params(job: Job, before: Mapping[str, Any]) -> Iterator[Cause]:
    was, now = _flat(before), _flat(json.loads(json.dumps(job.block)))
    for key in [*now, *(key for key in was if key not in now)]:
        old, new = was.get(key, ABSENT), now.get(key, ABSENT)
        # The judges are some of the runs, and so on: what the runs say already is not told again.
        runs = FOLLOW_FROM.get(key)
        told = runs is not None and was.get(runs) != now.get(runs)
        if old != new and not told:
            subject, known_as = _key(job, key)
            yield Cause("params", subject, _changed(known_as, old, new))


def _flat(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A block with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in block.items():
        nested = isinstance(value, dict) and value
        flat.update(_flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat


def _key(job: Job, key: str) -> tuple[str, str]:
    """(model or '', the key as params.yaml has it) of a key of a job's block."""
    parts = key.split(".")
    model = str(job.block.get("model", ""))
    if parts[0] == "models" and len(parts) > 2:
        model, parts = parts[1], parts[2:]
    if parts[0] in ("arguments", "training", "class"):
        return model, parts[-1]
    if key in RUNS:
        return "", "runs"
    if job.stage in ("fetch", "prepare", "classifier"):
        owner = "classifier" if job.stage == "classifier" else f"datasets.{job.block['dataset']}"
        return "", f"{owner}.{key}"
    if parts[0] in ("shape", "published", "published_digest"):
        return "", f"datasets.{job.block['dataset']}.{key}"
    return "", f"protocol.{PROTOCOL[key]}" if key in PROTOCOL else key


def _changed(key: str, old: Any, new: Any) -> str:
    if key == "runs" and isinstance(old, list) and isinstance(new, list):
        return f"models and seeds {_listed(*([_run(run) for run in runs] for runs in (old, new)))}"
    return f"{key} {_value(old)} -> {_value(new)}"


def _run(run: Any) -> str:
    """'draw 0'; a damaged stamp may hold anything in its place."""
    return " ".join(map(str, run)) if isinstance(run, list) else str(run)


def _listed(old: Sequence[str], new: Sequence[str]) -> str:
    """What was added to a list and what left it."""
    signs = [f"+ {item}" for item in new if item not in old] + [f"- {item}" for item in old if item not in new]
    more = f" and {len(signs) - LISTED} more" if signs[LISTED:] else ""
    return ", ".join(signs[:LISTED] or ["in another order"]) + more


def _value(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.15g}"
    return value if isinstance(value, str) else json.dumps(value)


def _code(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Cause]:
    for module in sorted(before.keys() | now.keys()):
        if before.get(module) != now.get(module):
            sign = "" if module in before and module in now else "+ " if module in now else "- "
            yield Cause("code", "", sign + module_path(module))


def module_path(module: str) -> str:
    """A module's file as it is named in the project."""
    file = job_hash.module_file(module)
    return str(file.relative_to(job_hash.ROOT)) if file else module.replace(".", "/") + ".py"


def _of_inputs(item: Found, found: Mapping[str, Found]) -> Iterator[Cause]:
    """For a stale job that nobody changed and that follows from no other: what it read was made anew since."""
    if item.causes or item.absent or any(found[name(job)].needed for job in item.job.inputs):
        return
    found_stamps = [stamps.read(Path(path)) for path in item.job.outputs]
    read = next(stamp.get("inputs", {}) for stamp in found_stamps if stamp and stamp["identity"] != item.job.identity)
    planned = zip(item.job.reads, item.job.inputs, strict=True)
    anew = [path for path, producer in planned if read.get(path) != producer.identity]
    if anew:
        yield Cause("remade", "", f"{anew[0]} was made anew since")
    else:
        yield Cause("recipe", "", "its recipe changed")


def saved_step(job: Job) -> int:
    """The step at which a training of this very job stopped and saved its state; 0 for none, and for other stages."""
    if job.stage != "train":
        return 0
    pattern = layout.path(layout.CHECKPOINT, **job.wildcards, identity=f"{job.identity}-*")
    return max((int(path.stem.rpartition("-")[2]) for path in pattern.parent.glob(pattern.name)), default=0)


# --- causes in words ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """What changed, and the jobs that are stale because of it."""

    kind: str
    subject: str
    texts: tuple[str, ...]
    jobs: tuple[Job, ...]


def grouped(found: Mapping[str, Found]) -> list[Group]:
    """Each cause once, with its jobs; causes of one kind with the same jobs together."""
    jobs: dict[Cause, list[str]] = {}
    for key, item in found.items():
        for cause in item.causes:
            jobs.setdefault(cause, []).append(key)
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for cause, keys in jobs.items():
        together.setdefault((cause.kind, cause.subject, tuple(keys)), []).append(cause.text)
    groups = [
        Group(kind, subject or _subject(keys, found), tuple(texts), tuple(found[key].job for key in keys))
        for (kind, subject, keys), texts in together.items()
    ]
    return sorted(groups, key=lambda group: KINDS.index(group.kind))


def _subject(keys: tuple[str, ...], found: Mapping[str, Found]) -> str:
    """Whom a change concerns: some models alone, 'all' jobs, or '' for whatever lies between."""
    models = dict.fromkeys(found[key].job.block.get("model", "") for key in keys)
    every = {item.job.block["model"] for item in found.values() if "model" in item.job.block}
    if "" not in models and (len(models) < len(every) or len(every) == 1):
        return ", ".join(models)
    return "all" if len(keys) > len(found) // 2 else ""


def counts(jobs: Iterable[Job]) -> str:
    """'3 sample, evaluate': how many jobs of each stage."""
    stages = Counter(job.stage for job in jobs)
    return ", ".join(f"{count} {stage}" if count > 1 else stage for stage, count in stages.items())
