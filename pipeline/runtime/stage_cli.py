"""One stage by hand or by Snakemake: its flags, its job from params.yaml or from a file, and its run."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline.core import untrusted
from pipeline.core.errors import UserError
from pipeline.runtime import signals
from pipeline.workflow import job_hash, layout, overrides, store

if TYPE_CHECKING:
    from pipeline.runtime.job_context import JobContext
    from pipeline.runtime.progress import Progress

WILDCARDS = ("dataset", "model", "seed")

TAKES = {
    ("model", "seed"): "--model and --seed",
    ("model",): "--model and no --seed: it is all seeds' at once",
    (): "neither --model nor --seed",
}
"""What else a stage of a data set wants to be told, by its wildcards."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of every stage."""
    parser.add_argument("--dataset", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--model", help="a model of params.yaml")
    parser.add_argument("--seed", type=int, help="which independent training (0, 1, ...)")
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
    words = [str(value) for value in wildcards(arguments).values()]
    log = arguments.log or layout.path(layout.LOG, stage=arguments.name, name="-".join(words) or "all")
    return " ".join([arguments.name, *words]), log


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

    return JobContext(
        stage=spec["stage"],
        wildcards=spec["wildcards"],
        config=spec["config"],
        modules=tuple(spec["modules"]),
        hash=spec["hash"],
        inputs={name: as_paths(found) for name, found in spec["inputs"].items()},
        progress=progress,
        runtime_only=spec["runtime_only"],
        **more,
    )


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
        damaged = f"job {arguments.job}: damaged specification ({error}); run snakemake again"
        unreadable = f"{arguments.spec}: not a readable job ({error}); make one with --print-spec"
        raise UserError(damaged if arguments.job else unreadable) from None
    return spec, arguments.device or spec.get("device", "auto")


def as_paths(paths: Any) -> Any:
    """A path, or a list of paths, of a job's inputs."""
    return [Path(path) for path in paths] if isinstance(paths, list) else Path(paths)


SPEC: dict[str, type] = {"hash": str, "stage": str, "wildcards": dict, "config": dict, "modules": list, "inputs": dict}
SPEC["runtime_only"] = dict
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _check_spec(spec: Any, expected: dict[str, Any], stage: str) -> None:
    """ValueError unless it has a job's shape, is the expected one, and names files of this folder alone."""
    if not isinstance(spec, dict):
        raise ValueError(f"found {type(spec).__name__}, expected an object")
    for key, kind in SPEC.items():
        if not isinstance(spec.get(key), kind):
            raise ValueError(f"{key}: found {spec.get(key)!r}, expected {kind.__name__}")
    if not layout.HASH.fullmatch(spec["hash"]):
        raise ValueError(f"hash: found {spec['hash']!r}, expected 16 hexadecimal digits")
    for module in spec["modules"]:
        if not isinstance(module, str) or not job_hash.MODULE.fullmatch(module):
            raise ValueError(f"modules: found {module!r}, expected a module of this project")
    for name, paths in spec["inputs"].items():
        for path in paths if isinstance(paths, list) else [paths]:
            if not isinstance(path, str) or not path.isprintable() or not _is_within(PurePosixPath(path)):
                raise ValueError(f"inputs.{name}: found {path!r}, expected a path within this folder")
    if spec["stage"] != stage or spec["wildcards"] != expected or tuple(expected) != layout.WILDCARDS[stage]:
        raise ValueError(f"a job of {spec['stage']} {spec['wildcards']}, expected {stage} {expected}")
    for name in (expected[key] for key in ("dataset", "model") if key in expected):
        if not NAME.fullmatch(str(name)):
            raise ValueError(f"found {name!r}, expected a name of small letters, digits and _")


def _is_within(path: PurePosixPath) -> bool:
    return not path.is_absolute() and ".." not in path.parts


def planned(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job and the device from params.yaml, for a person who calls a stage by hand."""
    plan = overrides.of(arguments)
    if arguments.seed is not None and arguments.seed < 0:
        raise UserError(f"--seed: found {arguments.seed}, expected 0 or more")
    given = wildcards(arguments)
    takes = layout.WILDCARDS[arguments.name]
    if "dataset" in given and "dataset" not in takes:
        raise UserError(f"this stage takes no --dataset; its data sets are listed in params.yaml: {arguments.name}")
    if tuple(given) != takes:
        raise UserError(f"this stage takes {TAKES[takes[1:]]}")
    spec = plan.job(arguments.name, **given).spec
    return json.loads(json.dumps(spec)), arguments.device or plan.params.device
