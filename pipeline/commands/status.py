"""Show what is done, what is to do and why, and about how long it will take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.runtime.progress import duration, many
from pipeline.workflow import estimate, layout, overrides, run_lock, staleness, store
from pipeline.workflow.plan import Job, Plan
from pipeline.workflow.staleness import State

SHOWN = 10
"""Causes that are printed of one data set without --all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--dataset", action="append", metavar="NAME", help="a data set (default: all with results)")
    parser.add_argument("--all", action="store_true", help="list every job with its folder, and every cause")
    parser.add_argument("--check", action="store_true", help="exit with code 1 if anything is to do")
    parser.add_argument("--cores", type=cores, default=os.environ.get("EASEL_CORES") or "all", metavar="N",
                        help="cores of the run (default: $EASEL_CORES, else all of this machine)")  # fmt: skip
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a page per data set."""
    plan = overrides.of(arguments)
    if run_lock.is_live():
        print(run_lock.holder())
    needed = False
    for dataset in arguments.dataset or begun(plan):
        plan.require(dataset)
        states = staleness.look(plan, dataset)
        print("\n".join(page(plan, dataset, states, arguments)))
        needed = needed or any(state.needed for state in states.values())
    if not needed and not store.is_complete(plan.job("report").folder):
        again = overrides.snakemake(layout.REPORT, cores=arguments.cores)
        print(f"report: {layout.REPORT} is not current: run make mnist, or {again}")
        needed = True
    return 1 if arguments.check and needed else 0


def cores(text: str) -> int:
    """A number of cores, or `all` of this machine, as Snakemake takes them."""
    return (os.cpu_count() or 1) if text == "all" else overrides.whole(1)(text)


def begun(plan: Plan) -> list[str]:
    """The data sets of which anything was made; the first one if there is none."""
    datasets = list(plan.params.datasets)
    places = ("results/store/{}", "data/raw/{}/.fetched")
    return [name for name in datasets if any(Path(place.format(name)).is_dir() for place in places)] or datasets[:1]


def command(dataset: str, cores: int, flags: str) -> str:
    """What to type to have the rest made."""
    if not flags:
        return "make mnist" if dataset == "mnist" else f"make table DATASET={dataset} CORES={cores}"
    return overrides.snakemake(layout.SUMMARY_TEXT.format(dataset=dataset), flags, cores)


def page(plan: Plan, dataset: str, states: Mapping[str, State], arguments: argparse.Namespace) -> list[str]:
    """One data set in one screen."""
    needed = [state for state in states.values() if state.needed]
    models, seeds = len(plan.models(dataset)), len(plan.params.seeds_used())
    about = f"{plan.params.budget} budget, {many(models, 'model')}, {many(seeds, 'seed')}"
    every = many(len(states), "job")
    if not needed:
        lines = [f"{dataset}: all {every} are done ({about})"]
    elif not any(state.done or state.before for state in states.values()):
        lines = [f"{dataset}: nothing made yet, {every} to do ({about})"]
    else:
        done = len(states) - len(needed)
        lines = [f"{dataset}: {done} of {every} are done ({about})", *why(needed, arguments.all)]
    lines += under_way(plan, needed)
    if needed:
        lines.append(f"  to do: {rest(plan, needed, arguments.cores)}: {command(dataset, arguments.cores, plan.flags)}")
    return lines + (list(listing(states)) if arguments.all else [])


def why(needed: list[State], everything: bool) -> Iterator[str]:
    """Each cause once, then what follows from them, then what was never made."""
    groups = staleness.grouped(needed)
    lines = []
    for (model, cause), jobs in groups if everything else groups[:SHOWN]:
        kind = {"params": "params changed: ", "code": "code changed: "}.get(cause.kind, "")
        lines.append(f"{f'{model}: ' if model else ''}{kind}{cause} ({staleness.counts(jobs)})")
    yield from section("changed", lines, len(groups) - len(lines))
    follows = [state.job for state in needed if state.before and not state.causes]
    if follows:
        yield f"    and jobs that depend on these, {many(len(follows), 'job')}: {staleness.counts(follows)}"
    never = [state.job for state in needed if not state.before and not state.causes]
    yield from section("not made yet", [staleness.counts(never)] if never else [])


def section(title: str, lines: list[str], left_out: int = 0) -> Iterator[str]:
    """A title and its lines, or nothing."""
    if lines:
        yield f"  {title}"
        yield from (f"    {line}" for line in lines)
    if left_out:
        yield f"    and {left_out} more causes (--all)"


def under_way(plan: Plan, needed: list[State]) -> Iterator[str]:
    """Jobs that run now, and trainings that stopped half-way."""
    lines = []
    for job in (state.job for state in needed):
        step = staleness.saved_step(job)
        if store.is_being_written(f"{job.name} {job.hash}"):
            lines.append(f"{job.name}: being written now{f', saved at step {step:,}' if step else ''}")
        elif step:
            steps = plan.steps(job.config["model"], job.config["dataset"])
            lines.append(f"{title(job)}: stopped at step {step:,} of {steps:,}; continues from there")
    yield from section("under way", lines)


def title(job: Job) -> str:
    """A training as a person calls it: 'draw 0', with its data set in the page's head."""
    return f"{job.config['model']} {job.config['seed']}"


def rest(plan: Plan, needed: list[State], cores: int) -> str:
    """How many jobs, and how long."""
    jobs = [state.job for state in needed]
    saved = {title(job): staleness.saved_step(job) for job in jobs if job.stage == "train"}
    seconds, _ = estimate.wall_seconds(plan, [(job.stage, job.wildcards) for job in jobs], saved, cores)
    return f"{many(len(jobs), 'job')}, about {duration(seconds)} on {many(cores, 'core')}"


def listing(states: Mapping[str, State]) -> Iterator[str]:
    """Every job, its state and its folder."""
    words = {True: "done", False: "to do"}
    lines = [f"{words[state.done]:<6} {name}: {state.job.folder}" for name, state in states.items()]
    yield from section("all jobs", lines)
