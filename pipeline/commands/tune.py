"""Search a model's settings at random: trials of equal length, scored on the validation split alone.

Each trial is trained, sampled and measured by the workflow's own stages and stored under its jobs' hashes, so a search
that was stopped goes on where it was. It ends with the best settings as a block for params.yaml.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline import metrics
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.runtime import stage_cli
from pipeline.runtime.progress import duration
from pipeline.tables import comparison, text
from pipeline.tables.rows import Row
from pipeline.workflow import estimate, layout, overrides, search, store
from pipeline.workflow.plan import Job
from pipeline.workflow.search import Search, Trial

SCORES = {"frechet": "fd_classifier", "elbo": "elbo"}
"""What trials may be ranked by: columns of the tables, here of the validation split."""

BESIDE = ("mmd_rbf", "fd_classifier", "precision", "recall", "elbo")
"""Columns that are shown of every trial."""

BEST, TABLE, TRIALS = "best.yaml", "trials.csv", "trials.json"
"""What the latest search of a model leaves: its best settings, the table, and the jobs of its trials."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--model", required=True, help="a model of params.yaml")
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--trials", type=overrides.whole(1), default=12,
                        help="number of trials; the first has the current settings (default: 12)")  # fmt: skip
    parser.add_argument("--steps", type=int, help="training steps of each trial (default: a tenth of the budget's)")
    parser.add_argument("--score", choices=list(SCORES), default="frechet",
                        help="Frechet distance of classifier features (default), or the bound in nats")  # fmt: skip
    parser.add_argument(
        "--over", action="append", default=[], metavar="KEY=RANGE",
        help="a key to search, may be repeated: KEY=LOW..HIGH or KEY=A,B,C (default: every rate, weight and "
        f"fraction of the model, a {search.FACTOR:g}th to {search.FACTOR:g} times its present value)",
    )  # fmt: skip
    parser.add_argument("--seed", type=overrides.whole(0), default=0, help="seed of the random settings (default: 0)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="default: params.yaml's `device`")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do the trials that are not done, then say which was best."""
    plan = overrides.of(arguments)
    searched = Search.of(plan, arguments.dataset, arguments.model, arguments.steps, arguments.over)
    column = SCORES[arguments.score]
    if column == "elbo" and not plan.has_elbo(searched.model, searched.dataset):
        raise UserError(f"--score elbo: {searched.model} has no bound on binary images; leave it out")
    if column == "elbo" and plan.declares(searched.model, "log_likelihood"):
        column = "log_likelihood"  # exact, in the bound's place
    trials = searched.trials(arguments.trials, arguments.seed)
    check_inputs(trials, plan.flags)
    print("\n".join(announced(searched, trials, arguments.trials)), flush=True)
    keep_list(searched, trials)
    rows = [told(trial, len(trials), column, arguments.device or plan.params.device) for trial in trials]
    report(searched, trials, rows, column)


def keep_list(searched: Search, trials: Sequence[Trial]) -> None:
    """Write which jobs the trials have, so that `prune` keeps them."""
    listed = [{"values": dict(trial.values), "jobs": [job.hash for job in trial.jobs]} for trial in trials]
    folder = layout.path(layout.TUNING, dataset=searched.dataset, model=searched.model)
    artifacts.write_json(folder / TRIALS, {"trials": listed})


def check_inputs(trials: Sequence[Trial], flags: str) -> None:
    """Raise `UserError` unless all that trials read, the splits and the classifier, is there and current."""
    sources = (source.job for trial in trials for job in trial.jobs for source in job.sources)
    for job in {job.hash: job for job in sources if job.stage not in search.STAGES}.values():
        if not store.is_complete(job.folder):
            dataset = job.wildcards["dataset"]
            command = overrides.snakemake(f"results/classifier/{dataset}.json", flags)
            raise UserError(f"{job.folder}: not found; run `{command}` before a search")


def announced(searched: Search, trials: Sequence[Trial], wanted: int) -> Iterator[str]:
    """What is searched, and about how long it takes."""
    full = searched.plan.steps(searched.model, searched.dataset)
    steps = f"{searched.steps:,} steps ({full:,} at this budget)"
    yield f"{searched.model} on {searched.dataset}: {len(trials)} trials of {steps}"
    yield from (f"  {key:<24} {searched.present[key]!s:<10} {of}" for key, of in searched.space.items())
    if len(trials) < wanted:
        yield f"  there are only {len(trials)} different settings"
    left = [job for trial in trials for job in trial.jobs if not store.is_complete(job.folder)]
    if left:
        plan = searched.plan_with({})
        seconds = sum(estimate.seconds(plan, job.stage, job.wildcards) for job in left)
        yield f"  to do: about {duration(seconds * estimate.product_seconds() / estimate.REFERENCE_PRODUCT)}"


# --- doing them -----------------------------------------------------------------------------------------------------


def told(trial: Trial, count: int, column: str, device: str) -> Row:
    """A trial's row, with a line for the person who waits."""
    known = store.is_complete(trial.jobs[-1].folder)
    row = attempt(trial, device)
    changed = ", ".join(f"{key} {value}" for key, value in trial.changed.items()) or "the current settings"
    result = row["note"] or f"{column} {score(row, column)}"
    status = "" if row["status"] == "ok" else f" ({row['status']})"
    earlier = ", from an earlier search" if known else ""
    print(f"trial {trial.number} of {count}: {changed}: {result}{status}{earlier}", flush=True)
    return row


def attempt(trial: Trial, device: str) -> Row:
    """Train, sample and measure, as far as that is not done; a setting that the model refuses is a trial too."""
    values = {k: " ".join(map(str, v)) if isinstance(v, tuple | list) else v for k, v in trial.values.items()}
    row: Row = {"trial": trial.number, "status": "refused", **values, "note": None}
    for job in trial.jobs:
        if store.is_complete(job.folder):
            continue
        try:
            perform(job, device)
        except UserError as error:
            refusal = f"params.yaml: models.{job.config['model']}: "
            if not str(error).startswith(refusal):
                raise
            return row | {"note": str(error).removeprefix(refusal)}
    train, _, evaluate = trial.jobs
    row["status"] = artifacts.read_json(Path(train.outputs["training"]))["status"]
    for name, entry in artifacts.read_json(Path(evaluate.outputs["metrics"]))["estimates"].items():
        row |= {name: entry["value"], f"{name}_low": entry["low"], f"{name}_high": entry["high"]}
    return row


def score(row: Row, column: str) -> str:
    """An estimate with its interval, for a person."""
    return text.with_interval(row, column) or f"no {column}"


def perform(job: Job, device: str) -> None:
    """Do a job in this process as `python -m pipeline STAGE --job HASH` does."""
    store.write_specification(job.spec)
    parser = argparse.ArgumentParser()
    stage_cli.arguments(parser)
    parser.set_defaults(name=job.stage)
    words = [f"--{key}={value}" for key, value in job.wildcards.items()]
    stage_cli.run(parser.parse_args([*words, f"--job={job.hash}", f"--device={device}"]))


# --- what came out --------------------------------------------------------------------------------------------------


def report(searched: Search, trials: Sequence[Trial], rows: Sequence[Row], column: str) -> None:
    """The trials as a table, and the best one's settings as a block of params.yaml."""
    described = {**metrics.columns(), **{key: DESCRIBED | {"label": key} for key in ("trial", "note", *searched.space)}}
    columns = ("trial", "status", *searched.space, *dict.fromkeys((column, *BESIDE)), "note")
    folder = layout.path(layout.TUNING, dataset=searched.dataset, model=searched.model)
    artifacts.write_text(folder / TABLE, text.to_csv(rows, columns))
    print(f"\n{text.to_terminal(rows, described, columns)}")
    best = min(text.best_rows(rows, column, described[column]["better"]), default=None)
    changed = {} if best is None else trials[best].changed
    block = as_yaml(searched.block_with(changed) if changed else {"models": {}})
    artifacts.write_text(folder / BEST, block)
    if best is None:
        print(f"none of {len(rows)} trials gave a result that can be the best")
        return
    print(f"best of {len(rows)}: trial {best + 1}, {column} {score(rows[best], column)} on the validation split")
    if not changed:
        print("the current settings are the best: nothing to change")
        return
    sides = [(row.get(column), *comparison.interval(row, column)) for row in (rows[0], rows[best])]
    print(f"current settings: {column} {score(rows[0], column)}; {comparison.verdict_of(*sides)}")
    print("\n".join(f"  {key}: {searched.present[key]} -> {value}" for key, value in changed.items()))
    full = searched.plan.steps(searched.model, searched.dataset)
    if searched.steps < full:
        print(f"found in {searched.steps:,} of {full:,} steps, which favours fast learning: also try more --steps")
    print(f"merge this into params.yaml, or pass it as --configfile {folder / BEST}:\n\n{block}")


DESCRIBED: dict[str, Any] = {"meaning": "", "better": None, "unit": "", "scale": "linear"}
"""Of a column that is no metric."""


def as_yaml(block: Mapping[str, Any]) -> str:
    """A part of params.yaml as text."""
    return str(yaml.safe_dump(dict(block), sort_keys=False))
