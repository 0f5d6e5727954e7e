"""One stage by hand or by Snakemake: its flags, its job from params.yaml or from a file, and its run."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.core import untrusted
from pipeline.core.errors import UserError
from pipeline.runtime import signals
from pipeline.workflow import job_hash, layout, overrides, store

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
    parser.add_argument(
        "--spec", type=Path, help="a file with such a job, for machines without the validator of params.yaml"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="default: params.yaml's `device`")
    parser.add_argument("--log", type=Path, help="where the job's log goes")
    parser.add_argument("--checkpoint-steps", type=int, help="save the training's state every so many steps")


def wildcards(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those that were given, and the usual data set where the stage has one."""
    given = {key: getattr(arguments, key) for key in WILDCARDS if getattr(arguments, key) is not None}
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
        raise UserError(f"{log}: could not be written: {error.strerror}; make room or mend its rights") from error
    job = runner.JobContext(
        stage=arguments.name,
        wildcards=spec["wildcards"],
        config=spec["config"],
        modules=tuple(spec["modules"]),
        hash=spec["hash"],
        inputs={name: as_paths(found) for name, found in spec["inputs"].items()},
        progress=progress,
        runtime_only=spec["runtime_only"],
        device=device,
        checkpoint_steps=arguments.checkpoint_steps,
    )
    with contextlib.closing(progress):
        runner.run(job, perform)


def perform(job: Any) -> None:
    """The stage's own work; its module is imported only when there is work to do."""
    importlib.import_module(f"pipeline.stages.{job.stage}").run(job)


def specification(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job and the device that it is to use: as the workflow planned it, from a file, or from params.yaml."""
    if arguments.job:
        spec = store.specification(arguments.job)
        try:
            _check_spec(spec, wildcards(arguments), arguments.name)
        except ValueError as error:
            raise UserError(f"job {arguments.job}: damaged specification ({error}); run snakemake again") from None
        return spec, arguments.device or spec.get("device", "auto")
    return read_spec(arguments) if arguments.spec else planned(arguments)


def read_spec(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job from a file that `--print-spec` made."""
    try:
        spec = untrusted.read_json(arguments.spec)
        _check_spec(spec, wildcards(arguments), arguments.name)
    except (OSError, ValueError) as error:
        raise UserError(f"{arguments.spec}: not a readable job ({error}); make one with --print-spec") from error
    return spec, arguments.device or "auto"


def as_paths(found: Any) -> Any:
    """A path, or a list of paths, of a job's inputs."""
    return [Path(path) for path in found] if isinstance(found, list) else Path(found)


SPEC = {
    "hash": str,
    "stage": str,
    "wildcards": dict,
    "config": dict,
    "modules": list,
    "inputs": dict,
    "runtime_only": dict,
}
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _check_spec(spec: Any, asked: dict[str, Any], stage: str) -> None:
    """ValueError unless it has a job's shape, is the one asked for, and names files of this folder alone."""
    if not isinstance(spec, dict):
        raise ValueError(f"found {type(spec).__name__}, expected an object")
    for key, kind in SPEC.items():
        if not isinstance(spec.get(key), kind):
            raise ValueError(f"{key}: found {spec.get(key)!r}, expected {kind.__name__}")
    if not layout.HASH.fullmatch(spec["hash"]):
        raise ValueError(f"hash: found {spec['hash']!r}, expected 16 hexadecimal digits")
    odd = [item for item in spec["modules"] if not isinstance(item, str)]
    if odd:
        raise ValueError(f"modules: found {odd[0]!r}, expected text")
    for name, found in spec["inputs"].items():
        for path in found if isinstance(found, list) else [found]:
            _check_path(name, path)
    for module in spec["modules"]:
        if not job_hash.MODULE.fullmatch(module):
            raise ValueError(f"modules: found {module!r}, expected a module of this project")
    if spec["stage"] != stage or spec["wildcards"] != asked:
        raise ValueError(f"a job of {spec['stage']} {_words(spec['wildcards'])}, expected {stage} {_words(asked)}")
    for name in (str(asked[key]) for key in ("dataset", "model") if key in asked):
        if not NAME.fullmatch(name):
            raise ValueError(f"found {name!r}, expected a name of small letters, digits and _")


def _check_path(name: str, path: Any) -> None:
    if not isinstance(path, str):
        raise ValueError(f"inputs.{name}: found {path!r}, expected text")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not path.isprintable():
        raise ValueError(f"inputs.{name}: found {path!r}, expected a path within this folder")


def _words(found: dict[str, Any]) -> str:
    return " ".join(f"--{key} {value}" for key, value in found.items())


def planned(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job and the device from params.yaml, for a person who calls a stage by hand."""
    plan = overrides.of(arguments)
    if arguments.seed is not None and arguments.seed < 0:
        raise UserError(f"--seed: found {arguments.seed}, expected 0 or more")
    given = wildcards(arguments)
    takes = layout.WILDCARDS[arguments.name]
    if "dataset" in given and "dataset" not in takes:
        raise UserError(f"this stage takes no --dataset; which it has is {arguments.name}: in params.yaml")
    if tuple(given) != takes:
        raise UserError(f"this stage takes {TAKES[takes[1:]]}")
    spec = plan.job(arguments.name, **given).spec
    return json.loads(json.dumps(spec)), arguments.device or plan.params.device
