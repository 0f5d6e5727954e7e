"""What the Snakefile asks for: input functions and checks, so that it reads top to bottom without lambdas.

Inputs are `ancient`: a job runs if its outputs are not there, or if a missing input of it has to be made again. A
changed parameter or module changes the job's hash, and with it the outputs' paths.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import filecmp
import gc
import io
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pipeline.core import artifacts
from pipeline.core.errors import UserError, near
from pipeline.runtime import display, signals
from pipeline.runtime.progress import FOLLOWED, duration, many
from pipeline.runtime.utf8 import restart_in_utf8
from pipeline.tracking import live, mlflow_runs
from pipeline.workflow import estimate, layout, params, report_inputs, run_lock, specs, store
from pipeline.workflow.plan import Job, Plan

CHANGED_VIEW = Path(layout.PLANNED).parent / "changed-view"
"""One small file, kept: a Snakemake that is killed leaves nothing else."""

Wildcards = Any
InputFunction = Callable[[Wildcards], Any]


class Workflow:
    """The plan in the form that rules take: functions of wildcards.

    `submitted`: this process runs a job of another one, on this machine or on a node. `only_looks`: nothing is to run.
    """

    def __init__(self, plan: Plan, *, submitted: bool = False, only_looks: bool = False) -> None:
        self.plan, self.submitted, self.only_looks = plan, submitted, only_looks
        self.datasets = "|".join(sorted(plan.params.datasets))
        self.models = "|".join(sorted(plan.params.models))
        self.planned: dict[str, Job] = {}
        self.newest = time.time()
        self.screen = contextlib.ExitStack()

    def inputs(self, stage: str) -> InputFunction:
        """All that a stage's job reads, by name; for `unpack`."""
        return in_one_line(lambda wildcards: self._ancient(self._paths(stage, wildcards)))

    def view(self, kind: str) -> InputFunction:
        """The stored files that a view copies, and a new file if the view differs from them; for `unpack`."""
        return in_one_line(lambda wildcards: self._copied(self._sources(kind, dict(wildcards.items()))))

    def seconds(self, stage: str) -> InputFunction:
        """About how long a job takes, for its priority: the longest starts first, so that it is not the last to end."""
        return lambda wildcards: round(estimate.seconds(self.plan, stage, wildcards))

    def _copied(self, sources: Iterable[tuple[str, Job, str]]) -> dict[str, Any]:
        views = [(Path(view), Path(self._sound(job).outputs[output])) for view, job, output in sources]
        paths = self._ancient({"sources": [str(stored) for _, stored in views]})
        if not self.submitted and not all(is_copy(view, stored) for view, stored in views):
            paths["changed"] = self.newer_than(view for view, _ in views)
        return paths

    def newer_than(self, views: Iterable[Path]) -> str:
        """A file that is newer than these views: Snakemake makes a view again that reads it.

        A clock that was set back may have left a view in the future.
        """
        self.newest = max([self.newest, *(view.stat().st_mtime + 1 for view in views if view.exists())])
        # Replaced, as only its owner may set a file's time; of other content, or Snakemake would take it for the same.
        artifacts.write_text(CHANGED_VIEW, str(self.newest))
        os.utime(CHANGED_VIEW, (self.newest, self.newest))
        return str(CHANGED_VIEW)

    def _paths(self, stage: str, wildcards: Wildcards) -> dict[str, Any]:
        """Input paths of the job whose hash the wildcards have."""
        named = dict(wildcards.items())
        if self.submitted:  # params.yaml may have been edited since the job was planned
            return dict(store.specification(named["hash"])["inputs"])
        job = self.planned.get(named["hash"]) or self._job(stage, named)
        if job.hash != named["hash"]:
            raise UserError(
                f"{layout.path(layout.folder(stage), **named)}: unknown job; params.yaml and the code give {job.folder}"
            )
        self._sound(job)
        for source in job.sources:
            self._sound(source.job)
        return job.paths()

    def _job(self, stage: str, named: Mapping[str, str]) -> Job:
        seed = named.get("seed")
        return self.plan.job(stage, named.get("dataset"), named.get("model"), None if seed is None else int(seed))

    def _sources(self, kind: str, named: Mapping[str, str]) -> list[tuple[str, Job, str]]:
        """(view, job, output) that it copies; for the folder of figures the records of all jobs that draw them."""
        if kind == "figures":
            folder = layout.FIGURE_FOLDER.format(**named)
            return [(folder, self.plan.job(*of.job), of.output) for of in specs.drawn(self.plan, named["dataset"])]
        views = layout.VIEWS[kind].items()
        return [(view.format(**named), self._job(stage, named), output) for view, (stage, output) in views]

    def _sound(self, job: Job) -> Job:
        """Note a job as planned; in a run, a stored result of it whose sizes are not as recorded is moved aside."""
        if job.hash not in self.planned:
            self.planned[job.hash] = job
            flaw = store.damage(job.folder)
            if flaw and self.only_looks:
                say(f"{flaw}; a run will make it again where it is needed")
            elif flaw and not self.submitted:
                say(f"{flaw}; moved to {store.move_aside(job.folder)}; it is made again where it is needed")
        return job

    def _ancient(self, paths: Mapping[str, Any]) -> dict[str, Any]:
        from snakemake.io import ancient

        return {
            name: [ancient(path) for path in item] if isinstance(item, list) else ancient(item)
            for name, item in paths.items()
        }

    def write_specifications(self) -> None:
        """Keep every planned job's specification, for the stages and the nodes that run it."""
        params = self.plan.params
        # Without a budget MLflow is sent no rows: those of a shorter training would supersede the whole one's run.
        budget = params.budget if params.training_share == 1 else None
        for job in self.planned.values():
            store.write_specification({**job.spec, "device": params.device, "budget": budget})


def in_one_line(function: InputFunction) -> InputFunction:
    """The same function, whose mistakes end Snakemake with one line."""

    def of(wildcards: Wildcards) -> Any:
        try:
            return function(wildcards)
        except UserError as error:
            stop(str(error))

    return of


def is_copy(view: Path, stored: Path) -> bool:
    """Whether a view has the bytes of what is stored, a folder of figures those of all that a record's job drew."""
    try:
        return stored.exists() and all(filecmp.cmp(*pair, shallow=False) for pair in store.copies(view, stored).items())
    except OSError:
        return False


def outputs_of_view(kind: str) -> Any:
    """A view's paths; the table, which `snakemake --report` shows, with its caption."""
    from snakemake.io import directory, report

    if kind == "figures":
        return directory(layout.FIGURE_FOLDER)
    about = {"category": "{dataset}", "subcategory": "comparison", "labels": {"model": "all", "figure": "table"}}
    table = report(layout.TABLE, caption="../report/table.rst", **about)
    return [table if path == layout.TABLE else path for path in layout.VIEWS[kind]]


def load(overrides: Mapping[str, Any], snakemake: Any) -> Workflow:
    """Check params and targets before any job, and set what jobs inherit.

    `overrides` are those of Snakemake's command line. params.yaml is read here, not by a `configfile:` of the
    Snakefile, with which Snakemake would run Python code in it, and leave blocks shared that an alias names. A mistake
    ends Snakemake with one line.
    """
    restart_in_utf8()
    gc.set_threshold(100_000, 20, 100)  # a DAG lives to the end: searching it for garbage took a sixth of the time
    submitted = not snakemake.is_main_process
    options = argparse.Namespace() if submitted else command_line()
    if any(getattr(options, flag, None) for flag in ("force", "forceall", "forcerun")):
        os.environ["EASEL_AFRESH"] = "yes"  # a forced job is done again
    only_looks = any(getattr(options, flag, None) for flag in LOOKS)
    try:
        config = params.merged(file=Path(snakemake.basedir, params.PARAMS_FILE))
        params.merge_into(config, overrides)
        plan = Plan(params.check(config))
        targets = [str(target) for target in getattr(options, "targets", ())]
        for target in targets:
            check_target(plan, target)
        if not submitted:
            shown = report_inputs.datasets(plan, datasets_of(plan, targets))
            plan = Plan(plan.params.model_copy(update={"report": shown}))
        equip(snakemake)
        if not submitted and not only_looks:
            settle()
            if not options.verbose:
                display.silence_snakemake()
    except UserError as error:
        stop(str(error))
    return Workflow(plan, submitted=submitted, only_looks=only_looks)


def equip(snakemake: Any) -> None:
    """Set the environment that stages inherit, on every machine that a job runs on."""
    # An environment that Snakemake activates for a job brings its own Python; else this one runs the stages too.
    deployed = snakemake.deployment_settings and snakemake.deployment_settings.deployment_method
    os.environ["PYTHON"] = "python" if deployed else sys.executable
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in inherited if path not in ("", str(snakemake.basedir))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(snakemake.basedir), *others])
    os.environ["EASEL_OWNER"] = f"{os.getpid()}@{platform.node()}"


LOOKS = {"dryrun", "unlock", "lint", "list_rules", "list_target_rules", "print_compilation"}
LOOKS |= {"dag", "rulegraph", "filegraph", "d3dag", "report", "summary", "detailed_summary"}
LOOKS |= {"list_changes", "list_params_changes", "list_untracked"}
"""Flags of a Snakemake that only looks, or unlocks: it takes no lock."""


def command_line() -> argparse.Namespace:
    """Snakemake's command line, read by its own parser; empty where another program started it."""
    from snakemake.cli import get_argument_parser

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return get_argument_parser().parse_known_args(sys.argv[1:])[0]
    except SystemExit:
        return argparse.Namespace()


def settle() -> None:
    """Hold the folder's lock before anything runs."""
    run_lock.hold()
    check_writable()
    mlflow_runs.forget_unrecorded()


def check_writable() -> None:
    """Raise `UserError` for a folder of results that cannot be written, of which Snakemake would say less."""
    for folder in ("data", "results"):
        if Path(folder).exists() and not os.access(folder, os.W_OK):  # a read-only file system counts, for root too
            raise UserError(
                f"{folder}/: cannot be written: found a read-only file system or somebody else's folder, expected one "
                "of your own; correct that, then run the same command again (finished files are kept)"
            )


def check_target(plan: Plan, target: str) -> None:
    """Raise `UserError` for a view of an unknown data set."""
    parts = Path(target).parts
    a_view = parts[:1] == ("results",) and len(parts) > 2 and parts[1] in ("tables", "summary", "figures")
    if a_view and not datasets_of(plan, [target]):
        name = parts[2].split(".")[0]
        raise UserError(f"{target}: unknown data set {name!r}{near(name, plan.params.datasets)}")


def datasets_of(plan: Plan, targets: Iterable[str]) -> list[str]:
    """The data sets of the targets; without a target that of the first rule."""
    wanted = set(targets) or {"mnist"}
    patterns = ["{dataset}", layout.FIGURE_FOLDER, *(pattern for kind in layout.VIEWS.values() for pattern in kind)]
    patterns.remove(layout.REPORT)
    return [name for name in plan.params.datasets if wanted & {pattern.format(dataset=name) for pattern in patterns}]


def stop(message: str) -> NoReturn:
    """One line, exit code 1."""
    print(f"easel: {message}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)  # Snakemake would wrap an exception from the Snakefile in several lines


# --- what a person sees before and after --------------------------------------------------------------------------


def announce(plan: Workflow, snakemake: Any) -> None:
    """Keep the planned jobs' specifications, and say how many jobs of which kind run and about how long they take."""
    if plan.submitted or FOLLOWED in os.environ:
        return
    os.environ[FOLLOWED] = "yes"
    signals.end_workflow_in_one_line()
    plan.write_specifications()
    jobs = [(job.rule.name, dict(job.wildcards.items())) for job in snakemake.dag.needrun_jobs()]
    stages = [(stage, wildcards) for stage, wildcards in jobs if stage in layout.WILDCARDS]
    if not stages:
        return
    shown = display.Display(len(stages))
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        plan.screen.callback(display.Screen(shown.lines).close)
        atexit.register(plan.screen.close)
    else:
        shown.tell_when_quiet()
    counts = Counter(name for name, _ in stages)
    if counts["train"]:
        live.start(os.getpid())
    say(
        f"{many(len(stages), 'job')} to run: "
        + ", ".join(f"{counts[name]} {name}" for name in layout.WILDCARDS if counts[name])
    )
    cores = jobs_at_once(snakemake)
    seconds, longest = estimate.wall_seconds(plan.plan, stages, cores=cores)
    if seconds > 60:
        say(
            f"about {duration(seconds)} with {many(cores, 'job')} at once (the longest job about {duration(longest)}); "
            "a stopped run goes on where it was; each job's log: logs/"
        )


def jobs_at_once(snakemake: Any) -> int:
    """The run's `--cores`, of which no more than this machine has count; with a queue its `--jobs`."""
    from snakemake.exceptions import WorkflowError

    try:
        return min(int(snakemake.cores), os.cpu_count() or 1)
    except WorkflowError:
        return int(snakemake.nodes)


def finish(plan: Workflow, snakemake: Any, failed: bool = False) -> None:
    """The summaries that were made, or where to look when something failed."""
    if plan.submitted:
        return
    plan.screen.close()
    views = {str(path) for job in snakemake.dag.jobs for path in job.output}
    if failed:
        say("a job failed, as the lines above say; finished jobs are kept: run the same command to go on")
        return
    for dataset in plan.plan.params.datasets:
        path = layout.path(layout.SUMMARY_TEXT, dataset=dataset)
        if str(path) in views:
            print(path.read_text(encoding="utf-8"), file=sys.stderr)
    if layout.REPORT in views:
        say(f"the report, to be opened in a browser: {layout.REPORT}")


def say(message: str) -> None:
    """A line for the terminal."""
    print(f"easel: {message}", file=sys.stderr, flush=True)
