"""Write what `dvc metrics` and `dvc plots` show of a data set: headline numbers, loss curves and figures.

DVC shows every file of a folder that holds metrics or plots, so these lie apart from the results, one file per
model. dvc.yaml runs this after Snakemake; nothing else reads it.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import folders
from pipeline.core.errors import UserError
from pipeline.tables import Row, from_csv, headline_columns
from pipeline.workflow import layout, overrides

if TYPE_CHECKING:
    from pipeline.workflow.plan import Plan

DISTANCE = "fd_classifier"
"""The column that `dvc plots` compares models by."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which data set."""
    parser.add_argument("--dataset", default="mnist", help="a data set whose tables are made (default: mnist)")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Replace the data set's folder of views."""
    dataset = arguments.dataset
    table = rows(layout.view("tables", "table", dataset=dataset))
    content_of = {**metrics(table), **distances(table), **losses(overrides.of(arguments), dataset)}
    files = {name: (json.dumps(content, indent=1) + "\n").encode() for name, content in content_of.items()}
    folders.replace(layout.path(layout.DVC_VIEWS, dataset=dataset), files | figures(dataset))


def rows(path: Path) -> list[Row]:
    """The rows of a table or a history that the workflow made."""
    try:
        return from_csv(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: not found; make it with `snakemake --cores 8 {path}`") from error


def metrics(table: list[Row]) -> dict[str, Any]:
    """The headline of the main table, one file per row; what was not measured is left out."""
    chosen = [name for name in headline_columns(table[0]) if name != "model"]
    return {
        f"metrics/{row['model']}.json": {name: row[name] for name in chosen if row[name] is not None} for row in table
    }


def distances(table: list[Row]) -> dict[str, Any]:
    """Every row's Frechet distance with its interval. JSON, since DVC takes a CSV file's numbers for words."""
    sides = {"value": DISTANCE, "low": f"{DISTANCE}_low", "high": f"{DISTANCE}_high"}
    measured = (row for row in table if row[DISTANCE] is not None)
    points = [{"model": row["model"], **{side: row[name] for side, name in sides.items()}} for row in measured]
    return {f"distances/{DISTANCE}.json": points}


def losses(plan: Plan, dataset: str) -> dict[str, Any]:
    """Each model's losses by training images seen, one file per model, an entry for each point of each curve."""
    from pipeline.figures.losses import OVERVIEW

    points: dict[str, list[Row]] = {}
    for measured in rows(layout.view("tables", "seeds", dataset=dataset)):
        model, seed = str(measured["model"]), int(str(measured["seed"]))
        if plan.trained(model) != model:
            continue  # the curves are the other model's
        entries = points.setdefault(f"losses/{model}.json", [])
        for row in rows(Path(plan.job("train", dataset, model, seed).outputs["history"])):
            drawn = {name: row[name] for name in OVERVIEW if is_finite(row.get(name))}
            entries += [{"kimg": row["kimg"], "curve": name, "seed": seed, "value": drawn[name]} for name in drawn]
    return {name: entries for name, entries in points.items() if entries}


def is_finite(value: object) -> bool:
    """Whether a cell holds a number that can be drawn."""
    return isinstance(value, int | float) and math.isfinite(value)


def figures(dataset: str) -> dict[str, bytes]:
    """The figures as PNG."""
    folder = layout.path(layout.FIGURE_FOLDER, dataset=dataset)
    return {f"figures/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.png"))}
