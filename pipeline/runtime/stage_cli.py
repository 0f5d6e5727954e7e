"""One stage by hand or by Snakemake: its flags, its job from params.yaml or from a file, and its run."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import untrusted
from pipeline.core.errors import UserError
from pipeline.runtime import signals
from pipeline.workflow import layout, overrides, store

if TYPE_CHECKING:
    from pipeline.runtime.job_context import JobContext
    from pipeline.runtime.progress import Progress

WILDCARDS = ("dataset", "model", "seed")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of every stage."""
    parser.add_argument("--dataset", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--model", help="a model of params.yaml")
    parser.add_argument("--seed", type=overrides.whole(0), help="which independent training (0, 1, ...)")
    overrides.add(parser)
    parser.add_argument("--job", metavar="HASH", help="a job that the running workflow planned, by its hash")
    parser.add_argument("--print-spec", action="store_true", help="print the whole job as JSON instead of doing it")
    parser.add_argument("--spec", type=Path, help="a file with such a job, for machines without pydantic")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="default: params.yaml's `device`")
    parser.add_argument("--log", type=Path, help="where the job's log goes")
    parser.add_argument("--checkpoint-steps", type=int, help="save the training's state every so many steps")


def wildcards(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those that were given, else those of the planned job; MNIST where no data set was named."""
    given = {key: getattr(arguments, key) for key in WILDCARDS if getattr(arguments, key) is not None}
    if arguments.job and not given:
        with contextlib.suppress(UserError, KeyError, TypeError, ValueError):  # told when the job is to begin
            return dict(store.specification(arguments.job)["wildcards"])
    return ({"dataset": "mnist"} if "dataset" in layout.WILDCARDS[arguments.name] else {}) | given


def title_and_log(arguments: argparse.Namespace) -> tuple[str, Path]:
    """The job's name for a person, and its log."""
    given = wildcards(arguments)
    name = "-".join(str(value) for value in given.values()) or "all"
    return layout.job_name(arguments.name, given), arguments.log or layout.path(
        layout.LOG, stage=arguments.name, name=name
    )


def run(arguments: argparse.Namespace) -> None:
    """Build the job and do it."""
    title, log = title_and_log(arguments)
    signals.end_in_one_line(title)
    signals.follow_owner()
    from pipeline.runtime import job_context as runner

    runner.one_thread()
    from pipeline.runtime.progress import Progress

    spec, device = specification(arguments)
    if arguments.print_spec:
        print(json.dumps(spec, indent=1))
        return
    try:
        progress = Progress(title, log)
    except OSError as error:
        raise UserError(f"{log}: could not be written: {error.strerror}; correct its permissions") from error
    job = context(spec, progress, device=device, checkpoint_steps=arguments.checkpoint_steps)
    with contextlib.closing(progress):
        runner.run(job, perform)


def context(spec: dict[str, Any], progress: Progress, **more: Any) -> JobContext:
    """A running job from its specification."""
    from pipeline.runtime.job_context import JobContext

    inputs = {name: as_paths(paths) for name, paths in spec["inputs"].items()}
    job = {key: spec[key] for key in SPEC} | {"modules": tuple(spec["modules"]), "inputs": inputs}
    return JobContext(**job, progress=progress, **more)


def perform(job: Any) -> None:
    """The stage's own work; its module is imported only when there is work to do."""
    importlib.import_module(f"pipeline.stages.{job.stage}").run(job)


def specification(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job and the device that it is to use: as the workflow planned it, from a file, or from params.yaml."""
    if not arguments.job and not arguments.spec:
        return planned(arguments)
    try:
        spec = store.specification(arguments.job) if arguments.job else untrusted.read_json(arguments.spec)
        _check_spec(spec, wildcards(arguments), arguments.name)
    except (OSError, ValueError) as error:
        where = (
            f"job {arguments.job}: damaged specification" if arguments.job else f"{arguments.spec}: not a readable job"
        )
        raise UserError(f"{where} ({error}); run snakemake again, or make one with --print-spec") from None
    return spec, arguments.device or spec.get("device", "auto")


def as_paths(paths: Any) -> Any:
    """A path, or a list of paths, of a job's inputs."""
    return [Path(path) for path in paths] if isinstance(paths, list) else Path(paths)


SPEC: dict[str, type] = {
    "hash": str, "stage": str, "wildcards": dict, "config": dict, "modules": list, "inputs": dict, "runtime_only": dict,
}  # fmt: skip


def _check_spec(spec: Any, expected: dict[str, Any], stage: str) -> None:
    """ValueError unless it has a job's shape, and is the expected one; its hash is checked before it begins."""
    for key, kind in SPEC.items():
        if not isinstance(spec, dict) or not isinstance(spec.get(key), kind):
            raise ValueError(f"{key}: expected {kind.__name__}, as --print-spec prints it")
    lists = [paths if isinstance(paths, list) else [paths] for paths in spec["inputs"].values()]
    texts = all(isinstance(text, str) for texts in (spec["modules"], *lists) for text in texts)
    if not texts or not layout.HASH.fullmatch(spec["hash"]):
        raise ValueError("hash, modules, inputs: expected 16 hexadecimal digits, names of modules, paths of files")
    if spec["stage"] != stage or spec["wildcards"] != expected or tuple(expected) != layout.WILDCARDS[stage]:
        raise ValueError(f"a job of {spec['stage']} {spec['wildcards']}, expected {stage} {expected}")


def planned(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job and the device from params.yaml, for a person who calls a stage by hand."""
    plan = overrides.of(arguments)
    given = wildcards(arguments)
    takes = layout.WILDCARDS[arguments.name]
    if tuple(given) != takes:
        flags = " and ".join(f"--{name}" for name in takes) or "none of --dataset, --model and --seed"
        raise UserError(f"this stage takes {flags}; found {' '.join(f'--{name}' for name in given) or 'none'}")
    spec = plan.job(arguments.name, **given).spec
    return json.loads(json.dumps(spec)), arguments.device or plan.params.device
