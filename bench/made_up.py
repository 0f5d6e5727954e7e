"""Results that nobody computed: small files with sound stamps, for what reads stamps alone."""

from __future__ import annotations

from pathlib import Path

from pipeline.core import artifacts
from pipeline.workflow import job_hash, kept
from pipeline.workflow.plan import Job, Plan
from pipeline.workflow.staleness import jobs_of


def make(plan: Plan, *names: str, dataset: str = "mnist", keep: bool = False) -> None:
    """Write the files of a plan's jobs (all of a data set's and the report, or those named) into this folder."""
    jobs = jobs_of(plan, dataset)
    assert set(names) <= set(jobs)
    for name in names or jobs:
        write(jobs[name])
        if keep:
            kept.keep(jobs[name].identity, [Path(path) for path in jobs[name].outputs.values()])
    if not names:
        write(plan.job("report"))


def write(job: Job) -> None:
    """A job's files, each with the stamp that the job itself would have written."""
    closure = job_hash.code_closure(job.modules)
    for path in map(Path, job.outputs.values()):
        path.unlink(missing_ok=True)
        artifacts.write_text(path, f"{path} of {job.identity}\n")
        artifacts.write_stamp(
            path,
            job.identity,
            stage=job.stage,
            block=job.config,
            modules={name: job_hash.module_digest(name) for name in closure},
            versions=job_hash.library_versions(closure),
            inputs={source.path: source.job.identity for source in job.sources},
        )
