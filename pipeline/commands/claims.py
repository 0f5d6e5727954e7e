"""Test the papers' claims on a table of results of any version: held, reversed or unresolved."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import overrides

if TYPE_CHECKING:
    from pipeline.tables.rows import Row
    from pipeline.workflow.params import Params

SEEDS_ENDING, JUDGED_ENDING = "_seeds.csv", "_judges_seeds.csv"
SCREEN = 240
"""Characters: the reasons are what is to be read."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The table, and where to write."""
    parser.add_argument("table", type=Path, metavar="TABLE",
                        help="a main table or a table by seed, or a folder with one; the other tables of the "
                             "comparison are read from the same folder")  # fmt: skip
    parser.add_argument("--to", type=Path, metavar="FILE", help="also write the claims to a .csv")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Read, test, print, and write where asked."""
    from pipeline.tables import claims, text

    if arguments.to is not None and arguments.to.suffix != ".csv":
        raise UserError(f"--to: found {str(arguments.to)!r}, expected a name ending in .csv")
    rows = of_table(arguments.table, overrides.of(arguments).params)
    print(text.to_terminal(rows, claims.claims_columns(), claims.CLAIMS_SHOWN, width=SCREEN))
    print(f"{claims.tally(rows)}\n{claims.HOW_TO_READ}")
    if arguments.to is not None:
        artifacts.write_text(arguments.to, text.to_csv(rows, claims.CLAIM_COLUMNS))
        print(f"{arguments.to}: {len(rows)} claims")


def of_table(path: Path, params: Params) -> list[Row]:
    """The papers' claims held against a table and those next to it."""
    from pipeline.metrics import columns
    from pipeline.tables.folder import TableFolder

    file = table_by_seed(path) if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: not found; expected a table of results, such as results/tables/mnist.csv")
    dataset = file.name.removesuffix(".csv").removesuffix(SEEDS_ENDING.removesuffix(".csv"))
    try:
        tables = TableFolder(file.parent, dataset)
        return tables.claims(columns(), params.judged_by, params.protocol.battle_tolerance)
    except (ValueError, TypeError, csv.Error) as error:
        problem = str(error)
        raise UserError(problem if str(file.parent) in problem else f"{file}: a damaged table ({problem})") from error


def table_by_seed(folder: Path) -> Path:
    """The one table by seed in a folder."""
    files = [file for file in sorted(folder.glob(f"*{SEEDS_ENDING}")) if not file.name.endswith(JUDGED_ENDING)]
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise UserError(f"{folder}: found {names}, expected one table by seed (*{SEEDS_ENDING}); name the table")
    return files[0]
