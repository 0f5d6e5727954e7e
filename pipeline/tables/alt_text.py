"""What a figure shows in words, with its result, for readers who do not see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tables.sentence import listed
from pipeline.tables.verdict import Tables, best_of, failed

COLUMNS = {
    "scores": "fd_classifier",
    "score_against_cost": "fd_classifier",
    "training_cost": "train_cpu_seconds",
    "classes": "class_tv",
    "class_sizes": "class_tv",
    "neighbours": "copying",
    "steps": "brightness",
    "standings": "rating",
    "asked": "class_accuracy_tail",
}
"""Figure -> the column of the main table that has its result."""
OF_TRAINING = ("losses", "epochs", "adversaries")


def result(name: str, tables: Tables, battles: Sequence[Mapping[str, Any]]) -> str:
    """A figure's result in a sentence; empty for a figure that is to be looked at."""
    column = COLUMNS.get(name)
    if column and any(row.get(column) is not None for row in tables.models) and (first := tables.first(column)):
        return f"{tables.label(column)}: {listed(first)} best, {best_of(tables, column)}."
    if name == "verdicts" and battles:
        pairs = [(row["model_1"], row["model_2"], row["verdict"]) for row in battles]
        decided = [f"{winner} before {a if winner == b else b}" for a, b, winner in pairs if winner in (a, b)]
        return f"{len(decided)} of {len(pairs)} pairs are decided{': ' if decided else ''}{', '.join(decided)}."
    if name in OF_TRAINING:
        return f"Status: {failed(tables)}" if failed(tables) else "No training diverged or collapsed."
    return ""
