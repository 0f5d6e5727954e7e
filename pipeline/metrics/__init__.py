"""The metrics: one file each, found by listing this folder, imported only when they are asked for.

A module is a metric if it defines the literal `COLUMNS`; a literal `ORDER` may say where its columns stand (the last
place without one; of equal orders the name decides). Both are read from the syntax tree: listing imports no torch.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["columns", "load", "names"]

LAST = math.inf


def names() -> list[str]:
    """The metrics' module names, in the order of the tables' columns."""
    found = {path.stem: _literals(path) for path in Path(__file__).parent.glob("*.py")}
    metrics = {name: literals for name, literals in found.items() if "COLUMNS" in literals}
    return sorted(metrics, key=lambda name: (metrics[name].get("ORDER", LAST), name))


def columns() -> dict[str, dict[str, Any]]:
    """Every column by its name, in order: label, meaning, better, unit and scale, and `metric`, the module's name."""
    merged: dict[str, dict[str, Any]] = {}
    for name in names():
        for column, entry in _literals(Path(__file__).parent / f"{name}.py")["COLUMNS"].items():
            if column in merged:
                raise ValueError(f"column '{column}' is defined by both {merged[column]['metric']}.py and {name}.py")
            merged[column] = {**entry, "metric": name}
    return merged


def load(name: str) -> ModuleType:
    """Import one metric: its `measure(comparison)` returns an estimate for each of its columns that can be had.

    Raises:
        ValueError: there is no such metric.
    """
    path = Path(__file__).parent / f"{name}.py"
    if not path.is_file() or "COLUMNS" not in _literals(path):
        raise ValueError(f"no metric '{name}' in pipeline/metrics; there are: {', '.join(names())}")
    return import_module(f"{__name__}.{name}")


def _literals(path: Path) -> Mapping[str, Any]:
    """The constants COLUMNS and ORDER of a file, where it has them."""
    found = {}
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if isinstance(target, ast.Name) and target.id in ("COLUMNS", "ORDER"):
                found[target.id] = ast.literal_eval(statement.value)
    return found
