"""`python -m pipeline STAGE ...`: one command per stage; Snakemake calls the same ones."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from pipeline.infra import endings, identity, layout
from pipeline.infra.errors import UserError, near

WILDCARDS = {"dataset": str, "model": str, "seed": int}


def stages() -> dict[str, str]:
    """Stage -> first line of its module's docstring, found by listing the folder."""
    import ast

    found = {}
    for file in sorted((identity.ROOT / "pipeline" / "stages").glob("[!_]*.py")):
        found[file.stem] = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]
    return found


class Parser(argparse.ArgumentParser):
    """A command line whose mistakes are told in one line."""

    def error(self, message: str) -> NoReturn:
        """One line instead of the usage."""
        fail(f"{' '.join(message.split())}; see python -m pipeline --help", 2)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    listing = "\n".join(f"  {name:<20} {line}" for name, line in stages().items())
    top = Parser(
        prog="python -m pipeline",
        description="Run one stage of the workflow by hand; Snakemake calls the same commands.",
        epilog=f"stages:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("stage", metavar="STAGE")
    top.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    top.add_argument("--model", help="a model of params.yaml")
    top.add_argument("--seed", type=int, help="which independent training (0, 1, ...)")
    top.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of params.yaml")
    top.add_argument("--identity", help="the job's identity as Snakemake planned it; anything else is refused")
    top.add_argument("--print-spec", action="store_true", help="print the whole job as JSON instead of doing it")
    top.add_argument("--spec", type=Path, help="a file with such a job: for machines without params.yaml's validator")
    top.add_argument("--device", choices=["auto", "cpu", "cuda"], help="default: params.yaml's `device`")
    top.add_argument("--log", type=Path, help="where the job's log goes")
    top.add_argument("--checkpoint-steps", type=int, help="save the training's state every so many steps")
    return top


def fail(message: str, code: int = 1) -> NoReturn:
    """One line, then the exit code."""
    print(f"easel: {message}", file=sys.stderr)
    sys.exit(code)


def main(argv: list[str] | None = None) -> None:
    """Run one stage."""
    arguments = parser().parse_args(argv)
    if arguments.stage not in stages():
        fail(f"unknown stage {arguments.stage!r}{near(arguments.stage, stages())}", 2)
    name = " ".join(
        [
            arguments.stage,
            arguments.dataset,
            arguments.model or "",
            "" if arguments.seed is None else str(arguments.seed),
        ]
    ).strip()
    log = arguments.log or layout.path(layout.LOG, stage=arguments.stage, name="-".join(name.split()[1:]))
    try:
        run(arguments, name, log)
    except UserError as error:
        fail(f"{name}: {error}", error.exit_code)
    except KeyboardInterrupt:
        fail(f"{name}: interrupted", 130)
    except BrokenPipeError:  # whoever read the printed job has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except MemoryError:
        fail(f"{name}: out of memory; lower `batch` in params.yaml or run fewer jobs at once (--cores)")
    except Exception as error:  # the last resort: a traceback is for the log, one line for the person
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as handle:
                traceback.print_exc(file=handle)
        except OSError:
            traceback.print_exc()
        fail(
            f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]} (a bug here; traceback in {log})", 70
        )


def run(arguments: argparse.Namespace, name: str, log: Path) -> None:
    """Build the job and do it."""
    endings.end_in_one_line(name)
    endings.follow_owner()
    from pipeline.infra import stage as runner

    runner.one_thread()
    from pipeline.infra.progress import Progress

    spec, device = read_spec(arguments) if arguments.spec else planned(arguments)
    if arguments.print_spec:
        print(json.dumps(spec, indent=1))
        return
    if arguments.identity not in (None, spec["identity"]):
        raise UserError(
            f"planned as {arguments.identity}, but params.yaml and the code now give {spec['identity']}: "
            "they changed since; run the same snakemake command again"
        )
    wildcards = {key: getattr(arguments, key) for key in WILDCARDS if getattr(arguments, key) is not None}
    try:
        progress = Progress(name, log)
    except OSError as error:
        raise UserError(f"{log}: could not be written: {error.strerror}; make room or mend its rights") from error
    work = runner.Work(
        stage=arguments.stage,
        wildcards=wildcards,
        block=spec["block"],
        modules=tuple(spec["modules"]),
        identity=spec["identity"],
        reads=[Path(path) for path in spec["reads"]],
        progress=progress,
        neutral=spec["neutral"],
        device=device,
        checkpoint_steps=arguments.checkpoint_steps,
    )
    with contextlib.closing(progress):
        runner.run(work, perform)


def perform(work: Any) -> None:
    """The stage's own work; its module is imported only when there is work to do."""
    importlib.import_module(f"pipeline.stages.{work.stage}").run(work)


def read_spec(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job from a file that `--print-spec` made."""
    try:
        spec: dict[str, Any] = json.loads(arguments.spec.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{arguments.spec}: not a readable job ({error}); make one with --print-spec") from error
    return spec, arguments.device or "auto"


def planned(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The job and the device from params.yaml, for a person who calls a stage by hand."""
    from pipeline.planning import params
    from pipeline.planning.plan import Plan

    config = os.environ.get("EASEL_CONFIG")
    checked = params.check(json.loads(config)) if config and not arguments.set else params.load(arguments.set)
    plan = Plan(checked)
    if (arguments.model is None) != (arguments.seed is None):
        raise UserError("--model and --seed belong together; give both or neither")
    if arguments.seed is not None and arguments.seed < 0:
        raise UserError(f"--seed: found {arguments.seed}, expected 0 or more")
    try:
        spec = plan.job(arguments.stage, arguments.dataset, arguments.model, arguments.seed).spec
    except TypeError:
        needs = "--model and --seed" if arguments.model is None else "neither --model nor --seed"
        raise UserError(f"this stage takes {needs}") from None
    return json.loads(json.dumps(spec)), arguments.device or plan.params.device


if __name__ == "__main__":
    main()
