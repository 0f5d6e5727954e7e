"""Which jobs of a data set are done, which are to do and why: planned hashes against the records in the store.

A job is done if its folder has a record and every file of it. A job that is not done is compared with the newest
record of the same stage, data set, model and seed: what differs is why it is to do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.workflow import job_hash, layout, overrides, store
from pipeline.workflow.plan import Job, Plan
from pipeline.workflow.provenance import Change, differences

TARGET = "summary"
"""The stage whose job needs all of a data set's comparison."""


@dataclass
class State:
    """One planned job and what is stored of it."""

    job: Job
    done: bool
    causes: list[Change]
    """What differs from the newest other record, and what is damaged."""
    needed: bool = False
    """Not done, and the target or another job that is needed reads it."""
    before: store.Record | None = None
    """The newest other record of the same stage and wildcards."""


def jobs_of(plan: Plan, dataset: str) -> dict[str, Job]:
    """Every job of a data set's comparison by name, each after those that it reads from."""
    jobs: dict[str, Job] = {}

    def visit(job: Job) -> None:
        if job.name not in jobs:
            for parent in job.parents:
                visit(parent)
            jobs[job.name] = job

    visit(plan.job(TARGET, dataset))
    return jobs


def look(plan: Plan, dataset: str) -> dict[str, State]:
    """Every job of a data set's comparison, in the order of `jobs_of`.

    Where a needed result was deleted, a run also does the other jobs that read it: `snakemake -n` lists them.
    """
    states = {name: _state(job) for name, job in jobs_of(plan, dataset).items()}
    read = {plan.job(TARGET, dataset).name}
    for name, state in reversed(states.items()):
        state.needed = name in read and not state.done
        if state.needed:
            read.update(parent.name for parent in state.job.parents)
            state.before = newest_record(state.job)
            state.causes += differences(state.before, planned_record(state.job, state.before)) if state.before else []
    return states


def _state(job: Job) -> State:
    record = store.read(job.folder)
    flaw = store.flaw(job.folder, record) if record else None
    return State(job, record is not None and not flaw, [Change("damaged", flaw)] if flaw else [])


def newest_record(job: Job) -> store.Record | None:
    """The newest other record of a job's stage and wildcards."""
    records = (store.read(folder) for folder in job.folder.parent.glob("*") if folder != job.folder)
    return max((record for record in records if record), key=lambda record: str(record.get("made")), default=None)


def planned_record(job: Job, before: store.Record) -> store.Record:
    """The record that a job would have, as far as it can be known before the job runs."""
    closure = job_hash.code_closure(job.modules)
    return before | {
        "config": json.loads(json.dumps(job.config)),
        "modules": {module: job_hash.module_digest(module) for module in closure},
        "versions": job_hash.library_versions(closure),
    }


def saved_step(job: Job) -> int:
    """The step at which a training stopped and saved its state; 0 for none, and for other stages."""
    if job.stage != "train":
        return 0
    pattern = layout.path(layout.CHECKPOINT, **job.wildcards, hash=f"{job.hash}-*")
    return max((int(path.stem.rpartition("-")[2]) for path in pattern.parent.glob(pattern.name)), default=0)


def grouped(states: Iterable[State]) -> list[tuple[tuple[str, Change], list[Job]]]:
    """Each cause once, a parameter of a model with the model, and the jobs that have it."""
    jobs: dict[tuple[str, Change], list[Job]] = {}
    for state in states:
        for cause in state.causes:
            model = str(state.job.wildcards.get("model", "")) if cause.kind == "params" else ""
            jobs.setdefault((model, cause), []).append(state.job)
    return list(jobs.items())


def counts(jobs: Iterable[Job]) -> str:
    """'3 sample, evaluate': how many jobs of each stage."""
    stages = Counter(job.stage for job in jobs)
    return ", ".join(f"{count} {stage}" if count > 1 else stage for stage, count in stages.items())


# --- weights of a trained model ---------------------------------------------------------------------------------------


def trained(plan: Plan, dataset: str, model: str, training: int) -> tuple[Path, dict[str, Any]]:
    """The stored weights of training 0, 1, ... of a model, and the configuration of the job that samples it.

    Raises:
        UserError: they are not there, or damaged; it says how to get them.
    """
    if training < 0:
        raise UserError(f"--training: found {training}, expected 0 or more")
    plan.require(dataset, model)
    job = plan.job("train", dataset, plan.trained(model), training)
    weights = Path(job.outputs["weights"])
    if not store.is_complete(job.folder):
        raise UserError(
            f"{model} on {dataset}, training {training}: no weights for today's params.yaml, code and data "
            f"({weights}); train it with `{overrides.snakemake(weights, plan.flags)}`"
        )
    store.checked(weights)
    return weights, plan.job("sample", dataset, model, training).config
