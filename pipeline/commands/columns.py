"""Print what every column of the tables means and which way is better, as Markdown."""

from __future__ import annotations

import argparse

from pipeline.metrics import columns
from pipeline.tables import COST_COLUMNS, describe, main_columns
from pipeline.tables.cells import described
from pipeline.tables.columns import BATTLES, Description
from pipeline.tables.comparison import values


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""


def run(arguments: argparse.Namespace) -> None:
    """Every table's columns in their order, each once, as docs/reading-the-table.md has them."""
    for title, group in groups().items():
        print(f"### {title}\n\n| Column | Name | What it says |\n|---|---|---|")
        for name, about in group.items():
            print(f"| `{name}` | {about['label']} | {described(about)} |")
        print()


def groups() -> dict[str, dict[str, Description]]:
    """Table -> its columns that are no bound of an interval, each with its description; none is told twice."""
    metrics = columns()
    known = describe(metrics)
    tables = {
        "The main table": values(main_columns(metrics)),
        "Costs": COST_COLUMNS,
        "Battles, judges and standings": list(BATTLES),
    }
    by_table: dict[str, dict[str, Description]] = {}
    for title, names in tables.items():
        earlier = {name for group in by_table.values() for name in group}
        by_table[title] = {name: known[name] for name in names if name not in earlier}
    return by_table
