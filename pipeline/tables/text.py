"""Rows as text: CSV for machines, Markdown and LaTeX for readers, an aligned table for a terminal.

Missing is empty, never 0. The same rows give the same bytes. In what is read by eye an interval follows its value and
the best of the models that ended well stands out: the lowest, the highest, or the nearest to the row `real`, by the
column's own description.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from pipeline.core.references import REFERENCES
from pipeline.tables.aliases import with_current_columns
from pipeline.tables.claims import HOW_TO_READ, shown_rows, tally
from pipeline.tables.columns import (
    PAPER_METRICS,
    SHORT_LABELS,
    WITHOUT_CONTENT,
    Description,
    describe,
    headline_columns,
    rank_columns,
)
from pipeline.tables.published import BATTLE_CAVEAT, CAVEAT, PAPER_BATTLES
from pipeline.tables.rows import Row, Value

TERMINAL_WIDTH = 120
PAPER_ERROR = ("paper_error",)
COMPETING = (None, "ok", "poor")
"""Statuses of rows that can be the best of a column."""
ONE_SIDED_FROM = 0.95
"""Error rate from which on a test answers one way only."""
OF_DEGENERATE_TESTS = (
    "knn_error", "knn_error_real", "knn_error_generated", "knn_error_max", "knn_train_error", "precision",
)  # fmt: skip


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Comma-separated text of exactly `columns`, lines ended by a newline; numbers with 6 significant digits."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[csv_value(row.get(column)) for column in columns] for row in rows])
    return lines.getvalue()


def from_csv(text: str) -> list[Row]:
    """Rows of a table's text: whole numbers, other numbers, strings, and None where a cell is empty.

    A table with old column names is read with today's (pipeline/tables/aliases.py).
    """
    rows = csv.DictReader(io.StringIO(with_current_columns(text)))
    return [{column: _parsed(cell) for column, cell in row.items()} for row in rows]


def _parsed(cell: str) -> Value:
    if not cell:
        return None
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def csv_value(value: Any) -> str:
    """One cell: the shortest text of a number rounded to 6 significant digits; empty for None and nan."""
    if value is None or isinstance(value, str | bool | Integral):
        return "" if value is None else str(value)
    return _shortest(float(value), 6)


def readable(value: Any, digits: int = 4) -> str:
    """A value as people read it: whole numbers in full with thousands parted, others with 4 significant digits."""
    if value is None or isinstance(value, str | bool):
        return "" if value is None else str(value)
    number = float(value)
    return f"{int(number):,}" if number.is_integer() else _shortest(number, digits)


def _shortest(value: float, digits: int) -> str:
    if math.isnan(value):
        return ""
    text = repr(float(f"{value:.{digits}g}") + 0.0)  # + 0.0 turns -0.0 into 0.0
    return text.removesuffix(".0")


class _Layout:
    """Which columns a text shows, what they mean, and which rows are best in each."""

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description], columns: Sequence[str] | None
    ) -> None:
        self.columns = tuple(columns) if columns is not None else headline_columns(metrics, rows)
        self.descriptions = describe(metrics)
        self.best = {name: marked_rows(rows, name, self.descriptions[name]["better"]) for name in self.columns}


def marked_rows(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> set[int]:
    """Indices of the rows that a table marks as the best of a column: none where only one competes."""
    return best_rows(rows, column, better) if is_compared(rows, column) else set()


def is_compared(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether at least two rows compete in a column."""
    return sum(competing(row, column) is not None for row in rows) > 1


def best_rows(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> set[int]:
    """Indices of the best rows of a column."""
    losses = contenders(rows, column, better)
    return {index for index, loss in losses.items() if loss == min(losses.values())}


def contenders(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> dict[int, float]:
    """How far each row that may be the best of a column is from the ideal, by its index.

    References, models that diverged or collapsed, values that a degenerate test gives, and those that noise or the mean
    image equals or beats do not compete.
    """
    losses, floor = losses_of(rows, column, better), noise_floor(rows, column, better)
    return {i: loss for i, loss in losses.items() if loss < floor and competing(rows[i], column) is not None}


def no_better_than_noise(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> list[str]:
    """Models that noise or the mean image equals or beats in a column."""
    losses, floor = losses_of(rows, column, better), noise_floor(rows, column, better)
    names = {index: str(rows[index]["model"]) for index in losses}
    return [names[index] for index, loss in losses.items() if loss >= floor and names[index] not in REFERENCES]


def noise_floor(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> float:
    """The lower loss of noise and the mean image; infinity where neither has a value that means anything."""
    losses = losses_of(rows, column, better)
    floors = [
        loss
        for i, loss in losses.items()
        if rows[i].get("model") in WITHOUT_CONTENT and not means_nothing(rows[i], column)
    ]
    return min(floors, default=math.inf)


def losses_of(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> dict[int, float]:
    """How far every value of a column is from the ideal (lowest, highest, or that of the row `real`), by its index."""
    real = next((_number(row.get(column)) for row in rows if row.get("model") == "real"), None)
    if better is None or (better == "near_real" and real is None):
        return {}
    values = {index: value for index, row in enumerate(rows) if (value := _number(row.get(column))) is not None}
    return {i: {"lower": v, "higher": -v}.get(better, abs(v - (real or 0.0))) for i, v in values.items()}


def competing(row: Mapping[str, Any], column: str) -> float | None:
    """A row's value of a column if it may be the best one."""
    if row.get("model") in REFERENCES or row.get("status") not in COMPETING:
        return None
    return None if means_nothing(row, column) else _number(row.get(column))


def means_nothing(row: Mapping[str, Any], column: str) -> bool:
    """Whether a column holds the value of a test that is degenerate for this row."""
    return column in OF_DEGENERATE_TESTS and is_degenerate(row)


def is_degenerate(row: Mapping[str, Any]) -> bool:
    """Whether 5-NN calls nearly all images of one kind the other, or no real image lies near a sample.

    A blur does: its K-NN error and its precision may then be the nearest to real images' and mean nothing.
    """
    rates = [_number(row.get(f"knn_error_{kind}")) for kind in ("real", "generated")]
    return any(rate is not None and rate >= ONE_SIDED_FROM for rate in rates) or _number(row.get("recall")) == 0


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, Real) and math.isfinite(float(value)) else None


def _cell(row: Mapping[str, Any], column: str) -> tuple[str, str]:
    """A value and its interval, each as text; the latter empty where there is none."""
    bounds = [readable(row.get(f"{column}_{side}"), 3) for side in ("low", "high")]
    value = readable(row.get(column))
    return value, f"[{bounds[0]}, {bounds[1]}]" if value and all(bounds) else ""


def with_interval(row: Mapping[str, Any], column: str) -> str:
    """A value and its interval as text: '1.2 [1.1, 1.3]'."""
    return " ".join(_cell(row, column)).strip()


def to_markdown(
    rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description], columns: Sequence[str] | None = None
) -> str:
    """A Markdown table of `columns` (the headline ones) under their labels, values with intervals, the best in bold."""
    layout = _Layout(rows, metrics, columns)
    labels = [_escaped(layout.descriptions[column]["label"]) for column in layout.columns]
    lines = [labels, ["---:" if _is_numeric(rows, column) else ":---" for column in layout.columns]]
    for index, row in enumerate(rows):
        cells = []
        for column in layout.columns:
            value, interval = _cell(row, column)
            bold = f"**{value}**" if index in layout.best[column] else _escaped(value)
            cells.append(f"{bold} {interval}".strip())
        lines.append(cells)
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _is_numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return any(isinstance(row.get(column), Real) for row in rows)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("_", "\\_").replace("\n", " ")


def published_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The paper's numbers in a table of their own with their caveat; empty where no row has any."""
    columns = ("model", *PAPER_METRICS)
    printed = [{name: str(row[name]) for name in columns} for row in rows if _printed(row)]
    return f"{to_markdown(printed, {}, columns)}\n{CAVEAT}\n" if printed else ""


def notes_markdown(undefined: Mapping[str, Mapping[str, str]]) -> str:
    """Why cells are empty: `undefined` maps a model to columns with their reasons. A line for each reason."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for model, columns in undefined.items():
        for column, reason in columns.items():
            by_reason.setdefault(reason, {}).setdefault(column, []).append(model)
    lines = [
        f"- Empty, {reason}: " + "; ".join(f"`{column}` of {', '.join(models)}" for column, models in found.items())
        for reason, found in by_reason.items()
    ]
    return "\n".join([*lines, ""]) if lines else ""


def ranks_markdown(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description]) -> str:
    """The ranks of the models that have any, with their intervals; empty where none is known."""
    columns = _there(rows, rank_columns(metrics))
    ranked = [row for row in rows if any(row.get(column) is not None for column in columns)]
    return f"## Ranks\n\n{to_markdown(ranked, metrics, ('model', *columns))}\n{RANKS_NOTE}\n" if ranked else ""


RANKS_NOTE = (
    "An interval has the places that tests of all pairs of models leave open (Holm, 5 %): [1, 2] is the first or the "
    "second place."
)
BATTLES_SHOWN = (
    "model_1", "model_2", "verdict", "advantage", "third_party_judges", "r_test", "r_sample", "r_sample_matched",
    "winner", "winner_tested", "note",
)  # fmt: skip
JUDGES_SHOWN = ("judge", "contestant", "error", "note")


def battles_markdown(battles: Sequence[Mapping[str, Any]], judges: Sequence[Mapping[str, Any]]) -> str:
    """The battles in the form of Im et al. 2016's Table 2, every judge on everyone, and Im et al. 2016's own numbers
    beside; empty if none.

    A paper's columns are there where it has a number for a row, and their heads say whose they are.
    """
    if not judges:
        return ""
    parts = ["## Battles", "", to_markdown(battles, {}, (*BATTLES_SHOWN, *_there(battles, PAPER_BATTLES)))]
    parts += ["## Every judge on everyone", "", to_markdown(judges, {}, (*JUDGES_SHOWN, *_there(judges, PAPER_ERROR)))]
    return "\n".join([*(parts if battles else parts[3:]), BATTLE_CAVEAT, ""])


def _there(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(column for column in columns if any(row.get(column) is not None for row in rows))


def claims_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The papers' claims with their verdicts; empty where none is about these models."""
    if not rows:
        return ""
    table = to_markdown(*shown_rows(rows))
    return "\n".join(["## The papers' claims", "", table, f"{tally(rows)}. {HOW_TO_READ}", ""])


def _printed(row: Mapping[str, Any]) -> bool:
    return all(row.get(name) is not None for name in PAPER_METRICS)


def to_latex(
    rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description], columns: Sequence[str] | None = None
) -> str:
    """A booktabs tabular of `columns` (the headline ones), intervals in small type, the best in bold."""
    layout = _Layout(rows, metrics, columns)
    alignment = "".join("r" if _is_numeric(rows, column) else "l" for column in layout.columns)
    heads = [_latex(str(SHORT_LABELS.get(column, layout.descriptions[column]["label"]))) for column in layout.columns]
    lines = [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    for index, row in enumerate(rows):
        if index and row.get("model") in REFERENCES and rows[index - 1].get("model") not in REFERENCES:
            lines.append(r"\midrule")
        cells = []
        for column in layout.columns:
            value, interval = _cell(row, column)
            shown = rf"\textbf{{{_latex(value)}}}" if index in layout.best[column] else _latex(value)
            cells.append(rf"{shown} {{\scriptsize {interval}}}" if interval else shown)
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def _latex(text: str) -> str:
    return text.translate({ord(character): escape for character, escape in LATEX_SPECIAL.items()})


def to_terminal(
    rows: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Description],
    columns: Sequence[str] | None = None,
    *,
    width: int = TERMINAL_WIDTH,
    intervals: Sequence[str] = (),
) -> str:
    """An aligned table of `columns` (the headline ones), the best marked *, at most `width` wide.

    Only the columns of `intervals` have theirs.

    Columns that are empty in every row are left out; where the rest do not fit, the last ones are, by name in a line
    beneath.
    """
    layout = _Layout(rows, metrics, columns)
    shown = [column for column in layout.columns if any(readable(row.get(column)) for row in rows)]
    cells = {column: _terminal_column(rows, column, layout.best[column], column in intervals) for column in shown}
    left: list[str] = []
    while len(shown) > 1 and sum(len(cells[column][0]) + 2 for column in shown) - 2 > width:
        left.insert(0, shown.pop())
    lines = ["  ".join(parts).rstrip() for parts in zip(*(cells[column] for column in shown), strict=True)]
    if lines:
        lines.insert(1, "-" * max(map(len, lines)))
    beneath = [f"not shown, too wide: {', '.join(left)}"] if left else []
    return "\n".join([*lines, *beneath, ""])


def _terminal_column(rows: Sequence[Mapping[str, Any]], column: str, best: set[int], interval: bool) -> list[str]:
    """Head and cells of one column, all of the same width; numbers to the right."""
    mark = " " if best else ""
    texts = [with_interval(row, column) if interval else readable(row.get(column), 3) for row in rows]
    values = [text + ("*" if index in best else mark) for index, text in enumerate(texts)]
    cells = [SHORT_LABELS.get(column, column) + mark, *values]
    size = max(map(len, cells))
    return [cell.rjust(size) if _is_numeric(rows, column) else cell.ljust(size) for cell in cells]
