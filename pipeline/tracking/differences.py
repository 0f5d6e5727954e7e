"""All that differs between two sets of results: tables, and the params, code and library versions that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.errors import UserError
from pipeline.tables import comparison
from pipeline.tables.aliases import with_current_columns
from pipeline.tables.rows import Row
from pipeline.tables.text import from_csv
from pipeline.workflow import provenance
from pipeline.workflow.provenance import Change, Record
from pipeline.workflow.snapshots import Snapshot


@dataclass(frozen=True)
class Comparison:
    """All that differs between two snapshots."""

    a: Snapshot
    b: Snapshot
    cells: Mapping[str, int]
    rows: Sequence[Row]
    made_by: Mapping[Change, Sequence[Record]]
    """Params, code and versions that differ, with the jobs that they differ for."""

    def of_kind(self, kind: str) -> list[str]:
        """The changes of params, code or versions, each as a line with its stages: 'draw: n 100 -> 200 (sample)'."""
        lines = []
        for change, records in self.made_by.items():
            stages = f"{change} ({', '.join(sorted({record['stage'] for record in records}))})"
            named = models_of(records) if kind == "params" else ""
            lines += [f"{named}: {stages}" if named else stages] if change.kind == kind else []
        return lines

    @property
    def byte_equal(self) -> bool:
        """Whether the tables are the same bytes."""
        return self.a.tables == self.b.tables


def compare(a: Snapshot, b: Snapshot) -> Comparison:
    """Everything that differs, from the tables' rows and from what made them; old columns have today's names."""
    a, b = (replace(side, tables={k: with_current_columns(v) for k, v in side.tables.items()}) for side in (a, b))
    tables = {name: (table_rows(name, a), table_rows(name, b)) for name in comparison.KEYS}
    rows = [row for name, (first, second) in tables.items() for row in comparison.changed_rows(name, first, second)]
    cells = {name: comparison.compared_cells(name, first, second) for name, (first, second) in tables.items()}
    return Comparison(a, b, cells, rows, provenance.between(a.records, b.records))


def models_of(records: Sequence[Record]) -> str:
    """The models of some jobs, in words."""
    return ", ".join(sorted({str(record["wildcards"].get("model", "")) for record in records} - {""}))


def title(table: str) -> str:
    """A table's name in words."""
    return "main table" if table == "main" else table


def table_rows(table: str, snapshot: Snapshot) -> list[Row]:
    """Rows of a table; standings get their place. Raises `UserError` for a table without its key columns."""
    rows = from_csv(snapshot.tables.get(table, ""))
    if rows and not set(comparison.KEYS[table]) <= set(rows[0]):
        expected = ", ".join(comparison.KEYS[table])
        raise UserError(f"{snapshot.origin}: its {title(table)} has no column {expected}; it is no table of easel's")
    if table == "standings":
        return [row | {"place": place} for place, row in enumerate(rows, start=1)]
    return rows
