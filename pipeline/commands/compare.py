"""Compare two results folders or Git revisions: which rows changed, by how much, and which params and code.

A and B are folders (with results/ in them, or results folders themselves), Git revisions, or one of each; `.` is the
working folder. The results of a revision are found by its dvc.lock, else in results/published/.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.core.errors import one_line
from pipeline.tables import comparison
from pipeline.tables.columns import HEADLINE_METRICS
from pipeline.tables.comparison import COLUMN, OUTSIDE, ROW
from pipeline.tracking.differences import Comparison, compare, models_of, table_rows, title
from pipeline.workflow import snapshots
from pipeline.workflow.snapshots import Snapshot

READ_FIRST = (*HEADLINE_METRICS, "parameters", "status", "seeds", "n_real", "n_fake", ROW, COLUMN)
"""Columns of the main table that a terminal shows; the others are counted there and shown by --all."""
SHOWN = {
    "main": READ_FIRST,
    "battles": ("verdict", "advantage", "r_test", "r_sample", "winner", "winner_tested", ROW, COLUMN),
    "standings": ("place", "rating", ROW, COLUMN),
}
BUDGET = ("training.steps", "training.batch", "steps", "n")
"""Settings that a budget decides."""
BY_RECORDS = "by the records of the results"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Two sides, the data set, and how much of it."""
    parser.add_argument("a", metavar="A", help="a results folder, `.`, or a Git revision")
    parser.add_argument("b", metavar="B", help="the same; differences are B - A")
    parser.add_argument("--dataset", default="mnist", help="a data set that both sides have (default: mnist)")
    parser.add_argument("--all", action="store_true", help="print the changes of every table and column")


def run(arguments: argparse.Namespace) -> None:
    """Compare and print."""
    compared = compare(*(_read(name, arguments.dataset) for name in (arguments.a, arguments.b)))
    print("\n".join(lines(compared, arguments.all)))


def _read(name: str, dataset: str) -> Snapshot:
    if not Path(name).is_dir():
        print(f"easel: reading {one_line(name)}", file=sys.stderr)
    return snapshots.read(name, dataset)


def lines(compared: Comparison, everything: bool) -> list[str]:
    """What a terminal shows, by default of the columns that are read first."""
    a, b = compared.a, compared.b
    head = [*_unlike(compared), f"A  {_side(a)}", f"B  {_side(b)}"]
    if compared.rows or a.tables.keys() != b.tables.keys():
        found = [
            line
            for table in (comparison.KEYS if everything else SHOWN)
            for line in ("", *_table_lines(compared, table, everything))
        ]
    else:
        equal = "byte-equal" if compared.byte_equal else "the same numbers, written differently"
        found = [f"{equal}: {len(a.tables)} tables, {sum(compared.cells.values())} cells"]
    return [*head, *found, "", *_made_lines(compared)]


def _unlike(compared: Comparison) -> list[str]:
    """What makes the numbers not comparable: another budget, number of images or of seeds; nothing where all agree."""
    columns = {
        column: [_values(side, column) for side in (compared.a, compared.b)] for column in ("seeds", "n_real", "n_fake")
    }
    steps = {change: jobs for change, jobs in compared.made_by.items() if change.name in BUDGET}
    words = [f"{column} {a} against {b}" for column, (a, b) in columns.items() if a != b]
    words += [f"{of.name} {of.a} against {of.b} ({models_of(jobs) or 'all'})" for of, jobs in [*steps.items()][:2]]
    more = f" and {len(steps) - 2} more" if len(steps) > 2 else ""
    return [f"NOT COMPARABLE: {'; '.join(words)}{more}"] if words else []


def _values(side: Snapshot, column: str) -> str:
    """The values of a column of the main table, all different ones, of rows that were trained."""
    values = {str(row[column]) for row in table_rows("main", side) if row.get("status") and row.get(column) is not None}
    return " and ".join(sorted(values)) or "none"


def _side(snapshot: Snapshot) -> str:
    return snapshot.name if snapshot.origin.startswith(snapshot.name) else f"{snapshot.name}: {snapshot.origin}"


def _table_lines(compared: Comparison, table: str, everything: bool) -> list[str]:
    """A table's title with counts, then its changes that are shown."""
    changes = [row for row in compared.rows if row["table"] == table]
    lacking = [side.name for side in (compared.a, compared.b) if table not in side.tables]
    if lacking:
        return [f"{title(table)}: not compared, it is missing in {' and '.join(lacking)}"]
    if not changes:
        return [f"{title(table)}: the same ({compared.cells[table]} cells)"]
    cells = sum(row["row"] != COLUMN and row["column"] != ROW for row in changes)
    outside = sum(row["verdict"] == OUTSIDE for row in changes)
    readable = [row for row in changes if everything or row["column"] in SHOWN[table]]
    lines = [f"{title(table)}: {cells} of {compared.cells[table]} cells differ, {outside} {OUTSIDE}"]
    lines += comparison.aligned(readable)
    if len(readable) < len(changes):
        lines.append(f"  and {len(changes) - len(readable)} changes in other columns: --all prints them")
    if table == "main" and _single_seed(compared):
        lines.append("  one training per model: intervals show the variation between images, not between trainings")
    return lines


def _single_seed(compared: Comparison) -> bool:
    rows = [*table_rows("main", compared.a), *table_rows("main", compared.b)]
    return any(row.get("seeds") == 1 and row.get("status") is not None for row in rows)


def _made_lines(compared: Comparison) -> list[str]:
    """Params, code and versions that differ, one line each, or that all are the same; what records are missing."""
    sides = compared.a, compared.b
    lacking = [side.origin for side in sides if not side.records]
    if lacking:
        return [f"params and code not compared: no records in {' and '.join(lacking)}"]
    titles = {"params": f"params ({BY_RECORDS}):", "code": "code:", "versions": "versions:"}
    groups = [(title, compared.of_kind(kind)) for kind, title in titles.items()]
    lines = [line for title, changes in groups if changes for line in (title, *(f"  {change}" for change in changes))]
    missing = [f"{side.name} lacks the records of {side.missing} jobs" for side in sides if side.missing]
    if missing:
        lines.append(f"not compared for every job: {', '.join(missing)}")
    return lines or [f"params, code and versions are the same ({BY_RECORDS})"]
