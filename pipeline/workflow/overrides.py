"""`--set KEY=VALUE` and the plan that it gives, the same for every stage and command."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.workflow.plan import Plan


def add(parser: argparse.ArgumentParser) -> None:
    """The flag."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of params.yaml")


def plan(overrides: list[str]) -> Plan:
    """The plan of params.yaml in this folder and its overrides."""
    from pipeline.workflow import params  # a schema's libraries are not needed for --help
    from pipeline.workflow.plan import Plan

    return Plan(params.load(overrides))
