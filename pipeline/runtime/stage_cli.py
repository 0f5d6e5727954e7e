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
from pipeline.workflow import job_hash, layout, overrides

RUNTIME_ONLY = True

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
    parser.add_argument("--identity", help="the job's identity as Snakemake planned it; anything else is refused")
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
    return ({"dataset": "mnist"} if "dataset" in layout.wildcards(arguments.name) else {}) | given


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

    spec, device = read_spec(arguments) if arguments.spec else planned(arguments)
    if arguments.print_spec:
        print(json.dumps(spec, indent=1))
        return
    if arguments.identity not in (None, spec["identity"]):
        raise UserError(
            f"planned as {arguments.identity}, but params.yaml and the code now give {spec['identity']}: "
            "they changed since; run the same snakemake command again"
        )
    try:
        progress = Progress(title, log)
    except OSError as error:
        raise UserError(f"{log}: could not be written: {error.strerror}; make room or mend its rights") from error
    job = runner.JobContext(
        stage=arguments.name,
        wildcards=wildcards(arguments),
        block=spec["block"],
        modules=tuple(spec["modules"]),
        identity=spec["identity"],
        reads=[Path(path) for path in spec["reads"]],
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


def read_spec(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job from a file that `--print-spec` made."""
    try:
        spec = untrusted.read_json(arguments.spec)
        _check_spec(spec, wildcards(arguments))
    except (OSError, ValueError) as error:
        raise UserError(f"{arguments.spec}: not a readable job ({error}); make one with --print-spec") from error
    return spec, arguments.device or "auto"


SPEC = {"identity": str, "block": dict, "modules": list, "reads": list, "runtime_only": dict}
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _check_spec(spec: Any, asked: dict[str, Any]) -> None:
    """ValueError unless it has a job's shape, is the one asked for, and names files of this folder alone."""
    if not isinstance(spec, dict):
        raise ValueError(f"found {type(spec).__name__}, expected an object")
    for key, kind in SPEC.items():
        if not isinstance(spec.get(key), kind):
            raise ValueError(f"{key}: found {spec.get(key)!r}, expected {kind.__name__}")
    for key in ("modules", "reads"):
        odd = [item for item in spec[key] if not isinstance(item, str)]
        if odd:
            raise ValueError(f"{key}: found {odd[0]!r}, expected text")
    for path in map(PurePosixPath, spec["reads"]):
        if path.is_absolute() or ".." in path.parts or not str(path).isprintable():
            raise ValueError(f"reads: found {str(path)!r}, expected a path within this folder")
    for module in spec["modules"]:
        if not job_hash.MODULE.fullmatch(module):
            raise ValueError(f"modules: found {module!r}, expected a module of this project")
    keys = WILDCARDS if "model" in spec["block"] else WILDCARDS[:1]
    block = {key: spec["block"][key] for key in keys if key in spec["block"]}
    if block != asked:
        raise ValueError(f"a job of {_words(block)}, asked for {_words(asked)}")
    for name in (str(asked[key]) for key in ("dataset", "model") if key in asked):
        if not NAME.fullmatch(name):
            raise ValueError(f"found {name!r}, expected a name of small letters, digits and _")


def _words(found: dict[str, Any]) -> str:
    return " ".join(f"--{key} {value}" for key, value in found.items())


def planned(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job and the device from params.yaml, for a person who calls a stage by hand."""
    plan = overrides.plan(arguments.set)
    if arguments.seed is not None and arguments.seed < 0:
        raise UserError(f"--seed: found {arguments.seed}, expected 0 or more")
    given = wildcards(arguments)
    takes = layout.wildcards(arguments.name)
    if "dataset" in given and "dataset" not in takes:
        raise UserError(f"this stage takes no --dataset; which it has is {arguments.name}: in params.yaml")
    if tuple(given) != takes:
        raise UserError(f"this stage takes {TAKES[takes[1:]]}")
    spec = plan.job(arguments.name, **given).spec
    return json.loads(json.dumps(spec)), arguments.device or plan.params.device
