"""Search a model's settings at random: equal trials of equal steps, scored on the validation split alone.

Each trial is trained, sampled and measured by the workflow's own stages and stored under its jobs' hashes, so a search
that was stopped goes on where it was. It ends with the best settings as a block for params.yaml.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline import metrics, tables
from pipeline.core import artifacts
from pipeline.core.errors import Interrupted, UserError
from pipeline.runtime import stage_cli
from pipeline.runtime.progress import duration
from pipeline.tables import comparison
from pipeline.workflow import estimate, layout, overrides, search, store
from pipeline.workflow.plan import Job
from pipeline.workflow.search import Search, Trial

SCORES = {"frechet": "fd_classifier", "elbo": "elbo"}
"""What trials may be ranked by: columns of the tables, here of the validation split."""

BESIDE = ("mmd_rbf", "fd_classifier", "precision", "recall", "elbo")
"""Columns that are shown of every trial."""

BEST, TABLE, TRIALS = "best.yaml", "trials.csv", "trials.json"
"""What the latest search of a model leaves: its best settings, the table, and the jobs of its trials."""


@dataclass(frozen=True)
class Outcome:
    """What became of a trial, and the estimates of its evaluation by column, as the stage wrote them."""

    trial: Trial
    status: str
    estimates: dict[str, dict[str, Any]]
    note: str = ""

    def value(self, column: str) -> float | None:
        """An estimate, where there is one."""
        return self.estimates[column]["value"] if column in self.estimates else None

    def in_words(self, column: str) -> str:
        """An estimate with its interval, for a person."""
        estimate = self.estimates.get(column)
        if estimate is None:
            return f"no {column}"
        bounds = [estimate[end] for end in ("low", "high")]
        return f"{estimate['value']:.4g}" + ("" if None in bounds else f" [{bounds[0]:.3g}, {bounds[1]:.3g}]")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--model", required=True, help="a model of params.yaml")
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument(
        "--trials", type=int, default=12, help="trials, the block as it stands among them (default: 12)"
    )
    parser.add_argument("--steps", type=int, help="steps of each trial's training (default: a tenth of the budget's)")
    parser.add_argument(
        "--score", choices=list(SCORES), default="frechet", help="distance of classifier features, or bound in nats"
    )
    parser.add_argument(
        "--over", action="append", default=[], metavar="KEY=RANGE",
        help="search this key and other such keys alone: KEY=LOW..HIGH or KEY=A,B,C (default: every rate, weight and "
        f"fraction of the model, a {search.FACTOR:g}th to {search.FACTOR:g} times its present value)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="default: params.yaml's `device`")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do the trials that are not done, then say which was best."""
    for flag, least in (("trials", 1), ("seed", 0)):
        if getattr(arguments, flag) < least:
            raise UserError(f"--{flag}: found {getattr(arguments, flag)}, expected {least} or more")
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
    outcomes = list(attempts(trials, column, arguments.device or plan.params.device))
    report(searched, outcomes, column)


def keep_list(searched: Search, trials: Sequence[Trial]) -> None:
    """Write which jobs the trials have, so that `prune` keeps them."""
    listed = [{"values": dict(trial.values), "jobs": [job.hash for job in trial.jobs]} for trial in trials]
    folder = layout.path(layout.TUNING, dataset=searched.dataset, model=searched.model)
    artifacts.write_json(folder / TRIALS, {"trials": listed})


def check_inputs(trials: Sequence[Trial], flags: str) -> None:
    """Raise `UserError` unless all that trials read, the splits and the classifier, is there and current."""
    for job in search.inputs_of(trials):
        if not store.is_complete(job.folder):
            dataset = job.wildcards["dataset"]
            command = overrides.snakemake(f"results/classifier/{dataset}.json", flags)
            raise UserError(f"{job.folder}: not found; `{command}` makes what a search reads")


def announced(searched: Search, trials: Sequence[Trial], wanted: int) -> Iterator[str]:
    """What is searched, and about how long it takes."""
    full = searched.plan.steps(searched.model, searched.dataset)
    steps = f"{searched.steps:,} steps ({full:,} at this budget)"
    yield f"{searched.model} on {searched.dataset}: {len(trials)} trials of {steps}"
    yield from (f"  {key:<24} {searched.present[key]!s:<10} {of}" for key, of in searched.space.items())
    if len(trials) < wanted:
        yield f"  there are no more than {len(trials)} settings"
    left = [job for trial in trials for job in trial.jobs if not store.is_complete(job.folder)]
    if left:
        seconds = sum(estimate.job_seconds(searched.short_plan, job.stage, job.wildcards, {}) for job in left)
        yield f"  to do: about {duration(seconds * estimate.product_seconds() / estimate.REFERENCE_PRODUCT)}"


# --- doing them -----------------------------------------------------------------------------------------------------


def attempts(trials: Sequence[Trial], column: str, device: str) -> Iterator[Outcome]:
    """Each trial's outcome, with a line for the person who waits."""
    worked, seconds = 0, 0.0
    for trial in trials:
        began, known = time.monotonic(), store.is_complete(trial.jobs[-1].folder)
        outcome = attempt(trial, device)
        if not known:
            worked, seconds = worked + 1, seconds + time.monotonic() - began
        left = sum(not store.is_complete(other.jobs[-1].folder) for other in trials[trial.number :])
        when = f", about {duration(left * seconds / worked)} left" if left and worked else ""
        result = f"{in_words(trial)}: {outcome.note or f'{column} {outcome.in_words(column)}'}"
        status = "" if outcome.status == "ok" else f" ({outcome.status})"
        print(
            f"trial {trial.number} of {len(trials)}: {result}{status}{', from earlier' if known else ''}{when}",
            flush=True,
        )
        yield outcome


def in_words(trial: Trial) -> str:
    """What a trial changes."""
    return ", ".join(f"{key} {value}" for key, value in trial.changed.items()) or "the block as it stands"


def attempt(trial: Trial, device: str) -> Outcome:
    """Train, sample and measure, as far as that is not done; a setting that the model refuses is a trial too."""
    for job in trial.jobs:
        if store.is_complete(job.folder):
            continue
        try:
            perform(job, device)
        except Interrupted:
            raise
        except UserError as error:
            refusal = f"params.yaml: models.{job.config['model']}: "
            if not str(error).startswith(refusal):
                raise
            return Outcome(trial, "refused", {}, str(error).removeprefix(refusal))
    train, _, evaluate = trial.jobs
    status = artifacts.read_json(Path(train.outputs["training"]))["status"]
    measured = artifacts.read_json(Path(evaluate.outputs["metrics"]))
    return Outcome(trial, status, measured["estimates"])


def perform(job: Job, device: str) -> None:
    """Do a job in this process as `python -m pipeline STAGE --job HASH` does."""
    store.write_specification(job.spec)
    parser = argparse.ArgumentParser()
    stage_cli.arguments(parser)
    parser.set_defaults(name=job.stage)
    words = [f"--{key}={value}" for key, value in job.wildcards.items()]
    stage_cli.run(parser.parse_args([*words, f"--job={job.hash}", f"--device={device}"]))


# --- what came out --------------------------------------------------------------------------------------------------


def report(searched: Search, outcomes: Sequence[Outcome], column: str) -> None:
    """The trials as a table, and the best one's settings as a block of params.yaml."""
    metric_columns = tuple(dict.fromkeys((column, *BESIDE)))
    described = {**metrics.columns(), **{key: DESCRIBED | {"label": key} for key in ("trial", "note", *searched.space)}}
    columns = ("trial", "status", *searched.space, *metric_columns, "note")
    rows = [row(outcome, metric_columns) for outcome in outcomes]
    folder = layout.path(layout.TUNING, dataset=searched.dataset, model=searched.model)
    artifacts.write_text(folder / TABLE, tables.to_csv(rows, columns))
    print(f"\n{tables.to_terminal(rows, described, columns)}")
    best = best_of(outcomes, column, described[column]["better"])
    changed = best.trial.changed if best else {}
    block = as_yaml(searched.block_with(changed) if changed else {})
    artifacts.write_text(folder / BEST, block)
    print("\n".join(told(searched, outcomes, best, column)))
    full = searched.plan.steps(searched.model, searched.dataset)
    if changed and searched.steps < full:
        print(f"found in {searched.steps:,} of {full:,} steps, in which fast learners lead: try it at more --steps too")
    if changed:
        print(f"to paste under `models:` in params.yaml ({folder / BEST}):\n\n{block.partition(chr(10))[2]}")


DESCRIBED: dict[str, Any] = {"meaning": "", "better": None, "unit": "", "scale": "linear"}
"""Of a column that is no metric."""


def row(outcome: Outcome, columns: Sequence[str]) -> tables.Row:
    """A trial as a row of a table."""
    values = {
        key: " ".join(map(str, of)) if isinstance(of, tuple | list) else of for key, of in outcome.trial.values.items()
    }
    measured = {column: outcome.value(column) for column in columns}
    return {"trial": outcome.trial.number, "status": outcome.status, **values, **measured, "note": outcome.note or None}


def best_of(outcomes: Sequence[Outcome], column: str, better: str) -> Outcome | None:
    """The best trial of those that ended well, the earlier one of two alike; None if none did."""
    sign = -1.0 if better == "higher" else 1.0
    ended = [(sign * value, of) for of in outcomes if of.status == "ok" and (value := of.value(column)) is not None]
    return min(ended, key=lambda item: item[0])[1] if ended else None


def told(searched: Search, outcomes: Sequence[Outcome], best: Outcome | None, column: str) -> Iterator[str]:
    """Which trial was best, and how it differs from the block as it stands."""
    if best is None:
        yield f"none of {len(outcomes)} trials ended well"
        return
    score = f"{column} {best.in_words(column)} on the validation split"
    yield f"best of {len(outcomes)}: trial {best.trial.number}, {score}"
    if not best.trial.changed:
        yield "it is the block as it stands: nothing to change"
        return
    yield f"as it stands: {column} {outcomes[0].in_words(column)}; {verdict(outcomes[0], best, column)}"
    yield from (f"  {key}: {searched.present[key]} -> {value}" for key, value in best.trial.changed.items())


def verdict(a: Outcome, b: Outcome, column: str) -> str:
    """Whether the difference of two trials is outside their intervals, which cover the images that were compared."""
    sides = ({"value": None, "low": None, "high": None} | of.estimates.get(column, {}) for of in (a, b))
    return comparison.verdict_of(*((side["value"], side["low"], side["high"]) for side in sides))


def as_yaml(block: Mapping[str, Any]) -> str:
    """A block of `models:` as text."""
    return "models:\n" + textwrap.indent(yaml.safe_dump(dict(block), sort_keys=False), "  ")
