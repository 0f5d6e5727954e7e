"""`--configfile FILE` and `--set KEY=VALUE`, and the plan that they give, the same for every stage and command."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.workflow.plan import Plan


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--configfile", action="append", type=Path, default=[], metavar="FILE",
                        help="YAML put over params.yaml, block by block; may be repeated (own.yaml beside params.yaml "
                        "is read without it)")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of params.yaml")


def of(arguments: argparse.Namespace) -> Plan:
    """The plan that a command's flags give."""
    return plan(arguments.set, arguments.configfile)


def plan(overrides: Sequence[str], files: Sequence[Path] = ()) -> Plan:
    """The plan of params.yaml in this folder, files put over it, and overrides."""
    from pipeline.workflow import params  # a schema's libraries are not needed for --help
    from pipeline.workflow.plan import Plan

    found = Plan(params.load(overrides, more=files))
    found.flags = "".join(f" --configfile {file}" for file in files)
    return found


def snakemake(target: object, flags: str = "") -> str:
    """The command that makes a file, to be pasted: this environment's Snakemake on all cores."""
    program = Path(sys.executable).with_name("snakemake")
    with contextlib.suppress(ValueError):
        program = program.relative_to(Path.cwd())
    return f"{program} --cores all {target}{flags}"
