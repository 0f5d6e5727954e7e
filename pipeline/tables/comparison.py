"""What differs between two sets of tables of one data set, as rows and as lines; no file.

Values are compared as they are printed (6 significant digits). An interval at one seed covers the images that were
compared, not another training: a difference outside it may still be one that another seed would make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.tables.rows import Row, Value
from pipeline.tables.text import readable

KEYS: dict[str, tuple[str, ...]] = {
    "main": ("model",),
    "seeds": ("model", "seed"),
    "battles": ("model_1", "model_2"),
    "judges": ("judge", "contestant"),
    "standings": ("model",),
}
"""Tables that the same code and params give again on any day, and the columns that name a row of each."""

COLUMNS = ("table", "row", "column", "a", "a_low", "a_high", "b", "b_low", "b_high", "difference", "verdict")
ROW, COLUMN = "(row)", "(column)"

OUTSIDE = "outside the intervals"
WITHIN = "within"
NO_INTERVAL = "no interval"
INTERVAL_ALONE = "the interval alone"
CHANGED = "changed"
ONLY_A, ONLY_B = "only in A", "only in B"

Table = Sequence[Mapping[str, Value]]


def changed_rows(table: str, a: Table, b: Table) -> list[Row]:
    """Rows of COLUMNS, one for each cell that differs, for each row that one side lacks, for each such column.

    `table` is a key of KEYS. A value's interval stands beside it; a difference is b - a. The verdict is OUTSIDE where
    each value lies outside the other's interval, WITHIN where one does not, NO_INTERVAL where one has none.
    """
    rows_a, rows_b = keyed(table, a), keyed(table, b)
    columns_a, columns_b = columns_of(a), columns_of(b)
    changes = _one_sided(table, ROW, rows_a, rows_b) + _one_sided(table, COLUMN, columns_a, columns_b)
    shared = [column for column in values(columns_a) if column in columns_b]
    for name in (name for name in rows_a if name in rows_b):
        cells = (_changed_cell(rows_a[name], rows_b[name], column) for column in shared)
        changes += [{"table": table, "row": name, **cell} for cell in cells if cell]
    return changes


def keyed(table: str, rows: Table) -> dict[str, Mapping[str, Value]]:
    """Rows by their name: the values of the key columns, parted by a space."""
    return {" ".join(str(row.get(key)) for key in KEYS[table]): row for row in rows}


def columns_of(rows: Table) -> list[str]:
    """Columns of a table in their order; none where it has no row."""
    return list(rows[0]) if rows else []


def values(columns: Sequence[str]) -> list[str]:
    """Columns that are no bound of another one's interval."""
    bounds = {f"{column}_{side}" for column in columns for side in ("low", "high")}
    return [column for column in columns if column not in bounds]


def _one_sided(table: str, what: str, a: Iterable[str], b: Iterable[str]) -> list[Row]:
    """What A or B has alone: rows by name, or columns (but for bounds, which go with their value)."""
    a, b = list(a), list(b)
    if what == COLUMN and (not a or not b):
        return []  # a table without a row has no columns to speak of
    names = [(name, ONLY_A) for name in a if name not in b] + [(name, ONLY_B) for name in b if name not in a]
    if what == ROW:
        return [{"table": table, "row": name, "column": ROW, "verdict": verdict} for name, verdict in names]
    wanted = {*values(a), *values(b)}
    return [
        {"table": table, "row": COLUMN, "column": name, "verdict": verdict} for name, verdict in names if name in wanted
    ]


def _changed_cell(a: Mapping[str, Value], b: Mapping[str, Value], column: str) -> Row | None:
    """One cell's change with both intervals; None where value and interval are the same."""
    sides = {side: (row.get(column), *interval(row, column)) for side, row in (("a", a), ("b", b))}
    if sides["a"] == sides["b"]:
        return None
    cell: Row = {"column": column}
    for side, (value, low, high) in sides.items():
        cell |= {side: value, f"{side}_low": low, f"{side}_high": high}
    first, second = (number(cell[side]) for side in ("a", "b"))
    if first is not None and second is not None:
        cell["difference"] = second - first
    return cell | {"verdict": verdict_of(sides["a"], sides["b"])}


def interval(row: Mapping[str, Value], column: str) -> tuple[float | None, float | None]:
    """The 95 % interval of a cell, None and None where it has none."""
    return number(row.get(f"{column}_low")), number(row.get(f"{column}_high"))


def number(value: Any) -> float | None:
    """A cell as a number; None for text and for an empty cell."""
    return float(value) if isinstance(value, int | float) else None


Cell = tuple[Value, float | None, float | None]


def verdict_of(a: Cell, b: Cell) -> str:
    """In words, how the difference of two cells (value, low, high) lies to their intervals."""
    if number(a[0]) is None or number(b[0]) is None:
        return CHANGED
    if a[0] == b[0]:
        return INTERVAL_ALONE
    if None in (*a[1:], *b[1:]):
        return NO_INTERVAL
    return WITHIN if inside(number(b[0]), a) or inside(number(a[0]), b) else OUTSIDE


def inside(value: float | None, cell: Cell) -> bool:
    """Whether a value lies in a cell's interval."""
    _, low, high = cell
    return value is not None and low is not None and high is not None and low <= value <= high


def compared_cells(table: str, a: Table, b: Table) -> int:
    """How many cells with a value both sides have: what `changed_rows` looked at."""
    rows_a, rows_b = keyed(table, a), keyed(table, b)
    shared = [column for column in values(columns_of(a)) if column in columns_of(b) and column not in KEYS[table]]
    both = [(rows_a[name], rows_b[name]) for name in rows_a if name in rows_b]
    return sum(
        row_a.get(column) is not None or row_b.get(column) is not None for row_a, row_b in both for column in shared
    )


def words(row: Row) -> list[str]:
    """A change as cells of text."""
    if row["column"] in (ROW, COLUMN):
        return [str(row["row"]), "", "", "", "", str(row["verdict"])]
    if row["row"] == COLUMN:
        return ["", str(row["column"]), "", "", "", f"column {row['verdict']}"]
    difference = number(row.get("difference"))
    shown = "" if difference is None else f"{'+' if difference > 0 else ''}{readable(difference, 3)}"
    return [str(row["row"]), str(row["column"]), _value(row, "a"), _value(row, "b"), shown, str(row["verdict"])]


def _value(row: Row, side: str) -> str:
    """A value with its interval; a dash where there is none. All its digits where fewer would look the same."""
    bounds = [readable(row.get(f"{side}_{end}"), 3) for end in ("low", "high")]
    digits = 6 if readable(row.get("a")) == readable(row.get("b")) else 4
    value = readable(row.get(side), digits) or "-"
    return f"{value} [{bounds[0]}, {bounds[1]}]" if all(bounds) else value


def aligned(changes: Iterable[Row]) -> list[str]:
    """Changes as lines of a terminal, one below the other; no line where there is none."""
    cells = [words(row) for row in changes]
    heads = ["", "", "A", "B", "B - A", ""]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    return ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in ([heads, *cells] if cells else [])]
