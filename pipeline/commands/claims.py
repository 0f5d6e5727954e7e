"""Hold the papers' claims against any table, wherever it was made: held, reversed or unresolved."""

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
    from pipeline.workflow.params import Params

SEEDS_ENDING, JUDGED_ENDING, BATTLES_ENDING = "_seeds.csv", "_judges_seeds.csv", "_battles.csv"
SCREEN = 240
"""Characters: the reasons are what is to be read."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The table, and where to write."""
    parser.add_argument("table", type=Path, metavar="TABLE",
                        help="a main table or a table by seed, of any version, or a folder with one; the other tables "
                             "of the comparison are read from the same folder")  # fmt: skip
    parser.add_argument("--to", type=Path, metavar="FILE", help="write the table to a .csv")
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
    from pipeline.tables import claims

    main, seeds, stem = tables(path)
    judged, battles = (
        read(name, keys) if name.is_file() else []
        for name, keys in (
            (stem.with_name(f"{stem.name}{JUDGED_ENDING}"), claims.JUDGED_COLUMNS),
            (stem.with_name(f"{stem.name}{BATTLES_ENDING}"), ("model_1", "model_2")),
        )
    )
    reused = {
        name: block["reuse_training_of"]
        for name, block in params.resolved_models.items()
        if "reuse_training_of" in block
    }
    real = next((row for row in main if row["model"] == "real"), {})
    evidence = claims.Evidence(
        seeds, columns(), real, judged, reused, params.protocol.battle_tolerance, battles, stem.name
    )
    return claims.claim_rows(claims.read_claims(published_file("claims").read_text(encoding="utf-8")), evidence)


def tables(path: Path) -> tuple[list[Row], list[Row], Path]:
    """Main table, table by seed, and the path that the names of a comparison's tables begin with.

    A main table of one seed per model is its own table by seed.
    """
    if path.is_dir():
        found = sorted(path.glob(f"*{SEEDS_ENDING}"))
        of_runs = [file for file in found if not file.name.endswith(JUDGED_ENDING)]
        if len(of_runs) != 1:
            names = ", ".join(file.name for file in of_runs) or "none"
            raise UserError(f"{path}: found {names}, expected one table by seed (*{SEEDS_ENDING}); name the table")
        path = of_runs[0]
    stem = path.with_name(path.name.removesuffix(".csv").removesuffix(SEEDS_ENDING.removesuffix(".csv")))
    by_seed, whole = stem.with_name(f"{stem.name}{SEEDS_ENDING}"), stem.with_name(f"{stem.name}.csv")
    rows = read(path, ("model",))
    if "seed" in rows[0]:
        return read(whole, ("model",)) if whole.is_file() else [], rows, stem
    if by_seed.is_file():
        return rows, read(by_seed, ("model", "seed")), stem
    if any(row.get("seeds") not in (None, 1) for row in rows):
        raise UserError(f"{path}: a mean over seeds; expected {by_seed.name} next to it, with a row for each seed")
    return rows, [{**row, "seed": 0} for row in rows if row.get("status") is not None], stem


def read(path: Path, keys: tuple[str, ...]) -> list[Row]:
    """A table's rows under today's column names. Raises `UserError` where it cannot be read or is another table."""
    from pipeline.tables.aliases import with_current_columns
    from pipeline.tables.text import from_csv

    try:
        rows = from_csv(with_current_columns(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a table: {error}") from error
    if not rows or not set(keys) <= rows[0].keys():
        raise UserError(f"{path}: found no row with the columns {', '.join(keys)}, expected a table of easel's")
    return rows
