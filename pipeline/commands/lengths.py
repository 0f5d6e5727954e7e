"""Show the papers' claims at a third, two thirds and all of the training steps, from stored results."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.core import artifacts
from pipeline.workflow import overrides
from pipeline.workflow.shares import Wanted, commands

SCREEN = 240
"""Characters of a line, as of `claims`."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The data set, and where to write."""
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--to", type=Path, metavar="FILE.csv", help="also write the table, with the differences")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table; 1 and the commands that make what is missing, if anything is."""
    from pipeline.metrics import columns
    from pipeline.tables import from_csv, lengths, text
    from pipeline.tables.claims import read_claims
    from pipeline.tables.published import FOLDER

    plan = overrides.of(arguments)
    plans = {name: plan.with_share(share) for name, share in lengths.SHARES.items()}
    wanted = {name: Wanted(of, of.job("tables", arguments.dataset), "claims") for name, of in plans.items()}
    if lines := commands(wanted.values()):
        print("\n".join(["some results are missing; these commands make them:", *lines]))
        return 1
    tables, seeds = (
        {name: from_csv(Path(of.job.outputs[output]).read_text(encoding="utf-8")) for name, of in wanted.items()}
        for output in ("claims", "seeds")
    )
    rows, claims = lengths.by_length(tables), read_claims((FOLDER / "claims.csv").read_text(encoding="utf-8"))
    between = lengths.by_length({"whole": lengths.between_lengths(claims, seeds, columns(), arguments.dataset)})
    shown = (*lengths.KEYS[:4], *lengths.VERDICTS)
    print(text.to_terminal([*rows, *between], lengths.lengths_columns(), shown, width=SCREEN))
    print(f"{len(lengths.changed(rows))} of {len(rows)} claims change with the length of the trainings")
    if arguments.to is not None:
        artifacts.write_text(arguments.to, text.to_csv([*rows, *between], lengths.LENGTHS_COLUMNS))
    return 0
