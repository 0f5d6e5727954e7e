"""Flags that stages and commands share: `--configfile FILE`, `--set KEY=VALUE` with the plan they give; numbers."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.workflow.plan import Plan


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--configfile", action="append", type=Path, default=[], metavar="FILE",
                        help="YAML file whose keys override those of params.yaml; may be repeated (own.yaml next to "
                        "params.yaml is read anyway)")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of params.yaml")


def whole(least: int) -> Callable[[str], int]:
    """The type of a flag whose value is a whole number, at least `least`."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"found {text}, expected a whole number, {least} or more")
        return int(text)

    return number


def of(arguments: argparse.Namespace) -> Plan:
    """The plan that a command's flags give."""
    return plan(arguments.set, arguments.configfile)


def plan(overrides: Sequence[str], files: Sequence[Path] = ()) -> Plan:
    """The plan of params.yaml in this folder, files put over it, and overrides."""
    from pipeline.workflow import params  # a schema's libraries are not needed for --help
    from pipeline.workflow.plan import Plan

    return Plan(params.load(overrides, more=files), files, overrides)


def snakemake(target: object, flags: str = "", cores: int | str = "all") -> str:
    """The command that makes a file, to be pasted: this environment's Snakemake."""
    program = Path(sys.executable).with_name("snakemake")
    with contextlib.suppress(ValueError):
        program = program.relative_to(Path.cwd())
    return f"{program} --cores {cores} {target}{flags}"
