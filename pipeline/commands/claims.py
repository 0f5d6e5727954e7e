"""Hold the papers' claims against a table of single runs, wherever it was made: held, reversed or unresolved."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import overrides

SEEDS_ENDING = "_seeds.csv"
SCREEN = 240
"""Characters: the reasons are what is to be read."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The table, and where to write."""
    parser.add_argument("seeds", type=Path, metavar="SEEDS",
                        help="a results/tables/<dataset>_seeds.csv; the main table (for the row `real`) and "
                             "<dataset>_judges_seeds.csv (for the battles) are read from the same folder")  # fmt: skip
    parser.add_argument("--to", type=Path, metavar="FILE", help="write the table to a .csv")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Read, test, print, and write where asked."""
    from pipeline.metrics import columns
    from pipeline.tables import claims, text
    from pipeline.tables.folder import TableFolder

    path: Path = arguments.seeds
    if not path.name.endswith(SEEDS_ENDING):
        raise UserError(f"{path}: expected a file whose name ends in {SEEDS_ENDING}")
    if arguments.to is not None and arguments.to.suffix != ".csv":
        raise UserError(f"--to: found {str(arguments.to)!r}, expected a name ending in .csv")
    tables, params = TableFolder(path.parent, path.name.removesuffix(SEEDS_ENDING)), overrides.of(arguments).params
    if not path.is_file():
        raise UserError(f"{path}: not there; expected a results/tables/<dataset>{SEEDS_ENDING}")
    try:
        rows = tables.claims(columns(), params.judged_by, params.protocol.battle_tolerance)
    except ValueError as error:
        raise UserError(str(error)) from error
    print(text.to_terminal(rows, claims.claims_columns(), claims.CLAIMS_SHOWN, width=SCREEN))
    print(f"{claims.tally(rows)}\n{claims.HOW_TO_READ}")
    if arguments.to is not None:
        artifacts.write_text(arguments.to, text.to_csv(rows, claims.CLAIM_COLUMNS))
        print(f"{arguments.to}: {len(rows)} claims")
