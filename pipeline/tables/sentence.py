"""What a table says in one sentence, written from its numbers: who leads on what, and who cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tables.columns import Description, headline_columns
from pipeline.tables.comparison import interval
from pipeline.tables.ranks import rank_of
from pipeline.tables.text import best_rows, contenders, is_compared

ONE_SEED = "With one seed the intervals say how images vary, not how another training would differ."


def sentence(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description]) -> str:
    """The headline metrics of a main table in words; empty where fewer than two models compete."""
    led: dict[str, list[str]] = {}
    alike: dict[tuple[str, ...], list[str]] = {}
    for column in headline_columns(metrics, rows):
        if column in metrics:
            first = leaders(rows, column, metrics[column]["better"])
            label = str(metrics[column]["label"])
            if len(first) == 1 and is_compared(rows, column):
                led.setdefault(first[0], []).append(label)
            elif len(first) > 1:
                alike.setdefault(tuple(first), []).append(label)
    parts = [f"{model} leads on {listed(labels)}" for model, labels in led.items()]
    parts += [f"{listed(models)} cannot be told apart on {listed(labels)}" for models, labels in alike.items()]
    if not parts:
        return ""
    seeds = [row.get("seeds") for row in rows if row.get("status") is not None]
    words = "; ".join(parts) + "."
    return f"{words} {ONE_SEED}" if set(seeds) == {1} else words


def ranks_in_words(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Description]) -> str:
    """The ranks by the first headline metric in a line, the best first; empty where none is known.

    'Ranks by FD: a 1, b 2-3, c 2-3'.
    """
    metric = next((name for name in headline_columns(metrics, rows) if name in metrics), "")
    ranked = sorted((rank, str(row["model"])) for row in rows if (rank := rank_of(row, metric)))
    words = ", ".join(f"{model} {rank}" for rank, model in ranked)
    return f"Ranks by {metrics[metric]['label']}: {words}." if words else ""


def leaders(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> list[str]:
    """The best model of a column, then those that may be the best; none where none competes.

    These are the models whose confidence set of ranks holds the first rank; in a column without ranks, those whose 95 %
    interval overlaps the best one's.
    """
    return [str(rows[index]["model"]) for index in leading_rows(rows, column, better)]


def leading_rows(rows: Sequence[Mapping[str, Any]], column: str, better: str | None) -> list[int]:
    """The same by the rows' indices."""
    best = sorted(best_rows(rows, column, better))
    rest = [
        i for i in contenders(rows, column, better) if i not in best and _may_be_best(rows[i], rows[best[0]], column)
    ]
    return [*best, *rest]


def _may_be_best(row: Mapping[str, Any], best: Mapping[str, Any], column: str) -> bool:
    rank = rank_of(row, column)
    return rank.low == 1 if rank else overlap(best, row, column)


def overlap(a: Mapping[str, Any], b: Mapping[str, Any], column: str) -> bool:
    """Whether the 95 % intervals of two cells overlap; not where one is unknown."""
    (low_a, high_a), (low_b, high_b) = interval(a, column), interval(b, column)
    if low_a is None or high_a is None or low_b is None or high_b is None:
        return False
    return low_b <= high_a and low_a <= high_b


def listed(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
