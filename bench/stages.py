"""Where the time of a finished run went: seconds by stage, and the chain of jobs that no number of cores shortens."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bench.asked import Asked, Task
from bench.rows import Row
from pipeline.workflow import params, store
from pipeline.workflow.job_hash import ROOT
from pipeline.workflow.plan import Job, Plan
from pipeline.workflow.staleness import jobs_of

DATASET = "mnist"
BENCHMARK = "benchmarks/{stage}/{name}/{hash}.tsv"


def seconds_of(job: Job, folder: Path) -> float | None:
    """Of a job's process by Snakemake's own measure, of its work by its record where Snakemake did not measure it."""
    name = "-".join(str(value) for value in job.wildcards.values())
    file = folder / BENCHMARK.format(stage=job.stage, name=name, hash=job.hash)
    with contextlib.suppress(OSError, KeyError, ValueError, StopIteration), file.open() as lines:
        return float(next(csv.DictReader(lines, delimiter="\t"))["s"])
    record = store.read(folder / job.folder)
    seconds = record.get("seconds") if record else None
    return float(seconds) if isinstance(seconds, int | float) else None


def plan_for(folder: Path) -> Plan:
    """The plan at the default budget: of every model where their results are there, else of the table's own."""
    plans = [Plan(params.load(words, file=ROOT / "params.yaml")) for words in (["datasets.mnist.models=all"], [])]
    return min(plans, key=lambda plan: sum(seconds_of(job, folder) is None for job in jobs_of(plan, DATASET).values()))


def critical_path(jobs: Mapping[str, Job], seconds: Mapping[str, float]) -> tuple[float, list[str]]:
    """The longest chain of jobs of which each reads from the one before, `jobs` being in an order that allows it."""
    named = {job.hash: name for name, job in jobs.items()}
    until: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for name, job in jobs.items():
        inputs = {named[item.hash] for item in job.parents}
        before[name] = max(inputs, key=until.__getitem__, default=None)
        until[name] = seconds.get(name, 0.0) + (until[before[name]] if before[name] is not None else 0.0)  # type: ignore[index]
    chain = [max(until, key=until.__getitem__)]
    while (earlier := before[chain[-1]]) is not None:
        chain.append(earlier)
    return until[chain[0]], chain[::-1]


def measured(folder: Path) -> list[Row]:
    """A row per stage, one for all of them, one for the critical path."""
    jobs = jobs_of(plan_for(folder), DATASET)
    found = {name: taken for name, job in jobs.items() if (taken := seconds_of(job, folder)) is not None}
    if not found:
        return [Row("stages", "seconds by stage", str(DATASET), "s", note="not measured: no finished results here")]
    by_stage: Counter[str] = Counter()
    counts = Counter(jobs[name].stage for name in found)
    for name, taken in found.items():
        by_stage[jobs[name].stage] += taken  # type: ignore[assignment]
    rows = [
        Row("stages", stage, f"{counts[stage]} jobs of {DATASET}", "s", float(taken))
        for stage, taken in by_stage.most_common()
    ]
    length, chain = critical_path(jobs, found)
    missing = len(jobs) - len(found)
    note = f"{missing} jobs have no file that tells their seconds" if missing else ""
    rows.append(Row("stages", "all", f"{len(found)} jobs of {DATASET}", "s", sum(found.values()), note=note))
    steps = ", ".join(f"{name} {found.get(name, 0.0):.0f} s" for name in chain)
    rows.append(Row("stages", "critical path", f"{len(chain)} jobs", "s", length, note=steps))
    return rows


def tasks(asked: Asked) -> list[Task]:
    """One."""
    return [Task("stages: seconds by stage, critical path", partial(measured, asked.results))]
