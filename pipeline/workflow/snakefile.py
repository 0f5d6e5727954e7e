"""What the Snakefile asks for: input functions and identities, so that it reads top to bottom without lambdas."""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pipeline.core.errors import UserError, near
from pipeline.runtime.progress import duration
from pipeline.tracking import live, mlflow_runs
from pipeline.workflow import estimate, layout, params, reconcile, report_inputs, run_lock, yaml_loader
from pipeline.workflow.plan import Job, Plan

RUNTIME_ONLY = True

Wildcards = Any
InputFunction = Callable[[Wildcards], Any]


class Workflow:
    """The plan in the form that rules take: functions of wildcards."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.each_dataset = sorted(plan.params.datasets)
        self.datasets = "|".join(self.each_dataset)
        self.models = "|".join(sorted(plan.params.models))

    def identity(self, stage: str) -> InputFunction:
        """The identity of a stage's job: when it changes, the job runs again."""

        def of(wildcards: Wildcards) -> str:
            return self._job(stage, wildcards).identity

        return of

    def runs(self, pattern: str) -> InputFunction:
        """A file of every training in the data set's table."""

        def of(wildcards: Wildcards) -> list[str]:
            return _files(pattern, wildcards.dataset, self.plan.runs(wildcards.dataset))

        return of

    def seeds(self, pattern: str) -> InputFunction:
        """A file of every seed's training of one model."""

        def of(wildcards: Wildcards) -> list[str]:
            runs = [(wildcards.model, seed) for seed in self.plan.params.seeds_used()]
            return _files(pattern, wildcards.dataset, runs)

        return of

    def trainings(self, pattern: str) -> InputFunction:
        """A file of the training behind every row of the data set's table; rows may share one."""

        def of(wildcards: Wildcards) -> list[str]:
            runs = self.plan.runs(wildcards.dataset)
            return _files(pattern, wildcards.dataset, [(self.plan.trained(model), seed) for model, seed in runs])

        return of

    def seconds(self, stage: str) -> InputFunction:
        """How long a job takes, about, for its priority: what is longest starts first, lest it be the last to end."""

        def of(wildcards: Wildcards) -> int:
            return round(estimate.job_seconds(self.plan, stage, wildcards, {}))

        return of

    def weights(self, wildcards: Wildcards) -> list[str]:
        """The weights that a model's samples are made with."""
        return _files(layout.WEIGHTS, wildcards.dataset, [(self.plan.trained(wildcards.model), wildcards.seed)])

    def weights_for_elbo(self, wildcards: Wildcards) -> list[str]:
        """The weights of a likelihood model, whose bound is evaluated; nothing for the others."""
        return self.weights(wildcards) if self.plan.has_elbo(wildcards.model, wildcards.dataset) else []

    def augmented(self, wildcards: Wildcards) -> list[str]:
        """What a run's images did for a classifier of rare classes, where the data set is imbalanced."""
        run = (wildcards.model, wildcards.seed)
        imbalanced = self.plan.is_imbalanced(wildcards.dataset)
        return _files(layout.AUGMENTED, wildcards.dataset, [run]) if imbalanced else []

    def weights_to_ask(self, wildcards: Wildcards) -> list[str]:
        """The weights of a model that can be asked for a class; nothing for the others."""
        return self.weights(wildcards) if self.plan.is_conditional(wildcards.model, wildcards.dataset) else []

    def gallery(self, dataset: str) -> list[str]:
        """The files of the gallery that a data set's models can fill, with the wildcards left open."""
        try:
            return list(layout.outputs("gallery", {"figures": self.plan.gallery(dataset)}))
        except UserError as error:
            stop(str(error))

    def reads(self, stage: str) -> InputFunction:
        """All that a stage's job reads."""

        def of(wildcards: Wildcards) -> list[str]:
            return list(self._job(stage, wildcards).reads)

        return of

    def _job(self, stage: str, wildcards: Wildcards) -> Job:
        named = dict(wildcards.items())
        seed = named.get("seed")
        return self.plan.job(stage, named.get("dataset"), named.get("model"), None if seed is None else int(seed))


def _files(pattern: str, dataset: str, runs: Iterable[tuple[str, int | str]]) -> list[str]:
    return [pattern.format(dataset=dataset, model=model, seed=seed) for model, seed in runs]


def plain(file: str) -> dict[str, Any]:
    """What params.yaml holds, read before Snakemake reads it, which would run Python that stands in it.

    Put into Snakemake's configuration first, it keeps apart what Snakemake would leave shared: blocks written once and
    named by an alias, of which an override (`--config`) of one would change all.
    """
    try:
        config = yaml_loader.block_of(Path(file))
        if "__use_yte__" in config:
            raise UserError("params.yaml: __use_yte__: unknown key; the file holds plain values, not a template")
    except UserError as error:
        stop(str(error))
    return config


def load(config: Mapping[str, Any], snakemake: Any) -> Workflow:
    """Check params and targets before any job, set what jobs inherit, and let the stamps say what is done.

    Inside a job on another machine (`snakemake --mode remote`) it does the job as it was planned. A mistake ends
    Snakemake with one line.
    """
    ignore_clocks()
    gc.set_threshold(100_000, 20, 100)  # a DAG lives to the end: to look through it again and again took a sixth
    submitted = not snakemake.is_main_process
    asked = argparse.Namespace() if submitted else command_line()
    if submitted:  # params.yaml may have been edited while the job was queued
        config = json.loads(os.environ.get("EASEL_CONFIG") or "null") or config
    if any(getattr(asked, flag, None) for flag in ("force", "forceall", "forcerun")):
        os.environ["EASEL_AFRESH"] = "yes"  # who forces a job wants it done, not an earlier result
    try:
        plan = Plan(params.check(config))
        targets = [str(target) for target in getattr(asked, "targets", ())]
        for target in targets:
            check_target(plan, target)
        report = {"report": report_inputs.datasets(plan, asked_for(plan, targets))}  # jobs see what was found now
        workflow = Workflow(Plan(params.check({**config, **report})))
        equip({**config, **report}, snakemake)  # once checked: what YAML holds, a date for one, need not be JSON
        if not submitted:
            settle(asked)
    except UserError as error:
        stop(str(error))
    return workflow


def ignore_clocks() -> None:
    """Let no job fail because its output seems older than what it read.

    It seems so after a clock was set back, or where two machines' clocks differ; Snakemake would delete the output.
    """
    import snakemake.api  # first: the module below, imported by itself, runs into a circle of theirs  # noqa: F401
    from snakemake.dag import DAG

    async def pass_over(self: DAG, job: Any, outputs: Any) -> None:
        """What is made from what is decided by content."""

    DAG.check_output_mtime = pass_over


def equip(config: Mapping[str, Any], snakemake: Any) -> None:
    """Set the environment that stages inherit, anew on every machine that a job runs on."""
    # An environment that Snakemake activates for a job brings its own Python; else this one runs the stages too.
    deployed = snakemake.deployment_settings and snakemake.deployment_settings.deployment_method
    os.environ["PYTHON"] = "python" if deployed else sys.executable
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in inherited if path not in ("", str(snakemake.basedir))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(snakemake.basedir), *others])
    os.environ["EASEL_OWNER"] = f"{os.getpid()}@{platform.node()}"
    os.environ["EASEL_CONFIG"] = json.dumps(config)  # a stage plans with the same configuration, overrides included


LOOKS = {"dryrun", "unlock", "lint", "list_rules", "list_target_rules", "print_compilation"}
LOOKS |= {"dag", "rulegraph", "filegraph", "d3dag", "report", "summary", "detailed_summary"}
LOOKS |= {"list_changes", "list_params_changes", "list_untracked"}
"""Flags of a Snakemake that only looks, or unlocks: it takes no lock."""


def command_line() -> argparse.Namespace:
    """What Snakemake was asked for, read by its own parser; nothing where it was started by another program."""
    from snakemake.cli import get_argument_parser

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return get_argument_parser().parse_known_args(sys.argv[1:])[0]
    except SystemExit:
        return argparse.Namespace()


def settle(asked: argparse.Namespace) -> None:
    """Hold the folder's lock if anything is to run, then make Snakemake's records say what the stamps say."""
    if not any(getattr(asked, flag, None) for flag in LOOKS):
        released = run_lock.hold()
        check_writable()
        if released:
            say(released)
        mlflow_runs.forget_unrecorded()
    elif run_lock.is_live():
        return  # the live run keeps the records
    reconcile.reconcile(say=say)


def check_writable() -> None:
    """Raise `UserError` for a folder of results that cannot be written, of which Snakemake would say less."""
    for folder in ("data", "results"):
        if Path(folder).exists() and not os.access(folder, os.W_OK):  # a read-only file system counts, for root too
            raise UserError(
                f"{folder}/: cannot be written: found a read-only file system or somebody else's folder, expected one "
                "of your own; mend that, then run the same command again (finished files are kept)"
            )


TARGET = re.compile(r"^(?:data|results)/(?P<kind>\w+)/(?P<rest>.+)$")
WITH_MODEL = ("models", "samples", "metrics", "battles")
SUFFIXES = ("_judges_seeds", "_seeds", "_cost", "_claims", "_battles", "_judges", "_standings", "_networks")


def dataset_of(kind: str, rest: str) -> str:
    """The data set that a target's path names, what follows `data/<kind>/` or `results/<kind>/` being `rest`."""
    dataset = rest.split("/")[0].split(".")[0]
    return re.sub(f"(?:{'|'.join(SUFFIXES)})$", "", dataset) if kind == "tables" else dataset


def check_target(plan: Plan, target: str) -> None:
    """Raise `UserError` for a target's path that names an unknown data set or model."""
    found = TARGET.match(target)
    if not found:
        return
    parts = found["rest"].split("/")
    dataset = dataset_of(found["kind"], found["rest"])
    if dataset not in plan.params.datasets:
        raise UserError(f"{target}: unknown data set {dataset!r}{near(dataset, plan.params.datasets)}")
    model = parts[1].split(".")[0] if len(parts) > 1 else None
    known = ("references", *layout.REFERENCES, *plan.params.models)
    if found["kind"] in WITH_MODEL and model is not None and model not in known:
        raise UserError(f"{target}: unknown model {model!r}{near(model, plan.params.models)}")
    if found["kind"] == "models" and len(parts) > 1:
        plan.require_trained(parts[1])
    if found["kind"] == "battles" and model is not None:
        plan.require_judge(dataset, model)


def asked_for(plan: Plan, targets: Sequence[str]) -> list[str]:
    """The data sets of the results that were asked for; without a target that is the first rule's."""
    found = (TARGET.match(target) for target in targets)
    named = {dataset_of(match["kind"], match["rest"]) for match in found if match}
    return [name for name in plan.params.datasets if name in named | set(targets or ["mnist"])]


def stop(message: str) -> NoReturn:
    """One line, exit code 1."""
    print(f"easel: {message}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)  # Snakemake would wrap an exception from the Snakefile in several lines


# --- what a person sees before and after --------------------------------------------------------------------------


def announce(workflow: Any) -> None:
    """How many jobs of which kind are to run, and about how long they take on this machine."""
    jobs = [(job.rule.name, dict(job.wildcards.items())) for job in workflow.dag.needrun_jobs()]
    every = [(stage_of(name, wildcards), wildcards) for name, wildcards in jobs]
    stages = [(stage, wildcards) for stage, wildcards in every if stage in layout.OUTPUTS]
    if not stages or "EASEL_ANNOUNCED" in os.environ:
        return
    os.environ["EASEL_ANNOUNCED"] = "yes"
    counts = Counter(name for name, _ in stages)
    in_order = [stage for stage in layout.OUTPUTS if stage in counts]
    if any(name == "train" for name, _ in stages):
        live.start(os.getpid())
    say(
        f"{len(stages)} {'job' if len(stages) == 1 else 'jobs'} to run: "
        + ", ".join(f"{counts[name]} {name}" for name in in_order)
    )
    seconds, longest = estimate.wall_seconds(Plan(params.check(workflow.config)), stages)
    if seconds > 60:
        say(
            f"about {duration(seconds)} on {os.cpu_count()} cores (the longest job about {duration(longest)}); "
            "a stopped run goes on where it was"
        )


def stage_of(rule: str, wildcards: Mapping[str, str]) -> str:
    """The stage of a rule's job: a stage whose files depend on the data set has a rule for each, named after both."""
    return rule if rule in layout.OUTPUTS else rule.removesuffix(f"_{wildcards.get('dataset')}")


def finish(workflow: Any, failed: bool = False) -> None:
    """The summaries that were made, or where to look when something failed."""
    made = sorted(Path("results/summary").glob("*.txt")) if not failed else []
    targets = {job.rule.name for job in workflow.dag.jobs}
    for path in made if "summary" in targets else []:
        print(path.read_text(), file=sys.stderr)
    if "report" in targets and not failed:
        say(f"the report, to be opened in a browser: {layout.REPORT}")
    if failed:
        told = sorted(failed_jobs(workflow))
        print("\n".join(line for log, name in told for line in last_words(name, Path(log))), file=sys.stderr)
        say(
            f"{len(told) or 'some'} job{'' if len(told) == 1 else 's'} failed, as the lines above say; "
            "what is done is kept, run the same command to go on"
        )


LAST_LINES = 5
"""Of a failed job's log that are shown at the end."""


def failed_jobs(workflow: Any) -> Iterator[tuple[str, str]]:
    """(log, name) of every job that failed."""
    for job in getattr(getattr(workflow, "_scheduler", None), "failed", ()):
        for log in job.log:
            yield str(log), " ".join([job.rule.name, *map(str, dict(job.wildcards.items()).values())])


def last_words(name: str, log: Path) -> list[str]:
    """A failed job in some lines: its name, its log's path and how that ends."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    except OSError:
        lines = []
    head = f"failed: {name}; its log {log}" + (" ends with" if lines else " is not there")
    return [head, *(f"    {line}" for line in lines)]


def say(message: str) -> None:
    """A line for the terminal."""
    print(f"easel: {message}", file=sys.stderr, flush=True)
