"""`--set KEY=VALUE` and the plan that it gives, the same for every stage and command."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.workflow.plan import Plan

RUNTIME_ONLY = True


def add(parser: argparse.ArgumentParser) -> None:
    """The flag."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of params.yaml")


def plan(overrides: list[str]) -> Plan:
    """The plan of params.yaml in this folder and its overrides.

    Below Snakemake it is the workflow's own configuration instead.
    """
    from pipeline.workflow import params  # a schema's libraries are not needed for --help
    from pipeline.workflow.plan import Plan

    config = os.environ.get("EASEL_CONFIG")
    return Plan(params.check(json.loads(config)) if config and not overrides else params.load(overrides))
