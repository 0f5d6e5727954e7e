"""Hold the papers' claims against a table of single runs, wherever it was made: held, reversed or unresolved."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import overrides
from pipeline.workflow.params import published_file

if TYPE_CHECKING:
    from pipeline.tables.rows import Row

SEEDS_ENDING, JUDGED_ENDING, BATTLES_ENDING = "_seeds.csv", "_judges_seeds.csv", "_battles.csv"
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

    path: Path = arguments.seeds
    if not path.name.endswith(SEEDS_ENDING):
        raise UserError(f"{path}: expected a file whose name ends in {SEEDS_ENDING}")
    if arguments.to is not None and arguments.to.suffix != ".csv":
        raise UserError(f"--to: found {str(arguments.to)!r}, expected a name ending in .csv")
    dataset = path.name.removesuffix(SEEDS_ENDING)
    seeds = read(path, ("model", "seed"))
    main, judged, battles = (
        read(path.with_name(name), keys) if path.with_name(name).is_file() else []
        for name, keys in (
            (f"{dataset}.csv", ("model",)),
            (f"{dataset}{JUDGED_ENDING}", claims.JUDGED_COLUMNS),
            (f"{dataset}{BATTLES_ENDING}", ("model_1", "model_2")),
        )
    )
    params = overrides.of(arguments).params
    evidence = claims.Evidence(
        seeds,
        columns(),
        next((row for row in main if row["model"] == "real"), {}),
        judged,
        {
            name: block["reuse_training_of"]
            for name, block in params.resolved_models.items()
            if "reuse_training_of" in block
        },
        params.protocol.battle_tolerance,
        battles,
        dataset,
    )
    rows = claims.claim_rows(claims.read_claims(published_file("claims").read_text(encoding="utf-8")), evidence)
    print(text.to_terminal(rows, claims.claims_columns(), claims.CLAIMS_SHOWN, width=SCREEN))
    print(f"{claims.tally(rows)}\n{claims.HOW_TO_READ}")
    if arguments.to is not None:
        artifacts.write_text(arguments.to, text.to_csv(rows, claims.CLAIM_COLUMNS))
        print(f"{arguments.to}: {len(rows)} claims")


def read(path: Path, keys: tuple[str, ...]) -> list[Row]:
    """A table's rows. Raises `UserError` where it cannot be read or is another table."""
    from pipeline.tables.text import from_csv

    try:
        rows = from_csv(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a table: {error}") from error
    if not rows or not set(keys) <= rows[0].keys():
        raise UserError(f"{path}: found no row with the columns {', '.join(keys)}, expected a table of easel's")
    return rows
