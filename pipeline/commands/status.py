"""What is done, what is stale and why, what is missing, and about how long the rest takes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping

from pipeline.runtime import job_context
from pipeline.runtime.progress import duration
from pipeline.workflow import estimate, kept, layout, overrides, run_lock, staleness
from pipeline.workflow.plan import Job, Plan
from pipeline.workflow.staleness import Found, Group

SHOWN = 10
"""Causes that are told of one data set unless all are asked for."""

NAMED = 4
"""Stages or files that are named in one line before they are only counted."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--dataset", action="append", metavar="NAME", help="a data set (default: all with results)")
    parser.add_argument("--all", action="store_true", help="every job, and every cause")
    parser.add_argument("--check", action="store_true", help="exit code 1 if anything is stale or missing")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a page per data set."""
    plan = overrides.plan(arguments.set)
    if run_lock.is_live():
        print(run_lock.holder())
    needed = False
    for dataset in arguments.dataset or begun(plan):
        found = staleness.look(plan, dataset)
        print("\n".join(page(plan, dataset, found, command(dataset, arguments.set), everything=arguments.all)))
        needed = needed or any(item.needed for item in found.values())
    if not needed and not staleness.is_current(plan.job("report")):
        print(f"report: {layout.REPORT} is to be made: make mnist, or snakemake --cores 8 {layout.REPORT}")
        needed = True
    return 1 if arguments.check and needed else 0


def begun(plan: Plan) -> list[str]:
    """The data sets of which anything was made; the first one if there is none."""
    datasets = list(plan.params.datasets)
    return [name for name in datasets if staleness.is_begun(plan, name)] or datasets[:1]


def command(dataset: str, overrides: list[str]) -> str:
    """What to type to have the rest made."""
    if dataset == "mnist" and not overrides:
        return "make mnist"
    settings = " with the same settings" if overrides else ""
    return f"snakemake --cores 8 {layout.SUMMARY_TEXT.format(dataset=dataset)}{settings}"


def page(plan: Plan, dataset: str, found: Mapping[str, Found], command: str, everything: bool) -> list[str]:
    """One data set in one screen."""
    needed = [item for item in found.values() if item.needed]
    models, seeds = len(plan.models(dataset)), len(plan.params.seeds_used())
    about = f"{plan.params.budget} budget, {many(models, 'model')}, {many(seeds, 'seed')}"
    every = many(len(found), "job")
    if not needed:
        lines = [f"{dataset}: all {every} are done and current ({about})"]
    elif not any(item.made for item in found.values()):
        lines = [f"{dataset}: nothing made yet, {every} to do ({about})"]
    else:
        done = len(found) - len(needed)
        lines = [f"{dataset}: {done} of {every} are done and current ({about})", *why(found, everything)]
    lines += [*under_way(needed), *comes_back(needed)]
    if needed:
        lines.append(f"  to do: {rest(plan, needed)}: {command}")
    return lines + (list(listing(found)) if everything else [])


# --- why ----------------------------------------------------------------------------------------------------------


def why(found: Mapping[str, Found], everything: bool) -> Iterator[str]:
    """Each cause once, then what follows, then what was never made."""
    groups = staleness.grouped(found)
    shown = groups if everything else groups[:SHOWN]
    yield from section("stale, because", [cause(group, len(found)) for group in shown], len(groups) - len(shown))
    follows = [item.job for item in found.values() if item.state == "stale" and not item.causes]
    if follows:
        yield f"    and what follows, {many(len(follows), 'job')}: {staleness.counts(follows)}"
    missing = [item.job for item in found.values() if item.state == "missing"]
    yield from section("not made yet", [staleness.counts(missing)] if missing else [])


def section(title: str, lines: list[str], left_out: int = 0) -> Iterator[str]:
    """A title and its lines, or nothing."""
    if lines:
        yield f"  {title}"
        yield from (f"    {line}" for line in lines)
    if left_out:
        yield f"    and {left_out} more causes (--all)"


def cause(group: Group, jobs_in_all: int) -> str:
    """What changed, and the jobs that it makes stale."""
    kind = {"params": "params changed: ", "code": "code changed: ", "reads": "reads other files: "}.get(group.kind, "")
    texts = list(group.texts[:NAMED]) + ([f"and {len(group.texts) - NAMED} more"] if group.texts[NAMED:] else [])
    told = kind + ", ".join(texts)
    if group.kind in ("damaged", "missing"):
        return told
    subject = f"{group.subject}: " if group.subject and group.kind != "remade" else ""
    stages = staleness.counts(group.jobs)
    concerned = many(len(group.jobs), "job") if stages.count(",") >= NAMED else stages
    return f"{subject}{told} ({concerned})"


def many(count: int, what: str) -> str:
    """'1 job', '14 jobs'."""
    return f"{count} {what}{'' if count == 1 else 's'}"


# --- what has begun, and what comes back ----------------------------------------------------------------------------


def under_way(needed: list[Found]) -> Iterator[str]:
    """Jobs at work now, and trainings that stopped half-way."""
    lines = []
    for item in needed:
        step = staleness.saved_step(item.job)
        live = job_context.is_being_written(staleness.name(item.job))
        if live:
            lines.append(f"{staleness.name(item.job)}: being written now{f', saved at step {step:,}' if step else ''}")
        elif step:
            steps = item.job.config["training"]["steps"]
            lines.append(f"{title(item.job)}: stopped at step {step:,} of {steps:,}; goes on from there")
    yield from section("under way", lines)


def title(job: Job) -> str:
    """A training as a person calls it: 'draw 0', with its data set in the page's head."""
    return f"{job.config['model']} {job.config['seed']}"


def comes_back(needed: list[Found]) -> Iterator[str]:
    """Jobs whose earlier results are kept."""
    back = [item.job for item in needed if is_kept(item.job)]
    if back:
        yield from section("kept", [f"{many(len(back), 'job')} without work, from earlier: {staleness.counts(back)}"])


def is_kept(job: Job) -> bool:
    """Whether all of a job's files are kept from an earlier time."""
    folder = kept.folder_of(job.identity)
    return job.stage not in layout.NOT_KEPT and all((folder / path).exists() for path in job.outputs.values())


def rest(plan: Plan, needed: list[Found]) -> str:
    """How many jobs, and how long."""
    to_do = [item.job for item in needed if not is_kept(item.job)]
    saved = {title(job): staleness.saved_step(job) for job in to_do if job.stage == "train"}
    seconds, _ = estimate.wall_seconds(plan, [(job.stage, job.wildcards) for job in to_do], saved)
    return f"{many(len(needed), 'job')}, about {duration(seconds)} on {os.cpu_count()} cores"


def listing(found: Mapping[str, Found]) -> Iterator[str]:
    """Every job and its state."""
    yield from section("all jobs", [f"{item.state:<8} {name}" for name, item in found.items()])
