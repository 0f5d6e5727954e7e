"""Write the headline numbers and figures of a data set for `dvc metrics` and `dvc plots`; DVC calls it.

DVC shows every file of a folder with metrics or plots, so these are in a separate folder, one file per model. dvc.yaml
runs this command after Snakemake; nothing else reads the files.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline.core import folders
from pipeline.core.errors import UserError
from pipeline.tables import Row, from_csv, headline_columns
from pipeline.workflow import layout, overrides


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which data set."""
    parser.add_argument("--dataset", default="mnist", help="a data set whose tables are made (default: mnist)")


def run(arguments: argparse.Namespace) -> None:
    """Replace the data set's folder of views."""
    dataset = arguments.dataset
    table = rows(layout.view("tables", "table", dataset=dataset))
    files = {name: (json.dumps(content, indent=1) + "\n").encode() for name, content in metrics(table).items()}
    folders.replace(layout.path(layout.DVC_VIEWS, dataset=dataset), files | figures(dataset))


def rows(path: Path) -> list[Row]:
    """The rows of a table or a history that the workflow made."""
    try:
        return from_csv(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: not found; make it with `{overrides.snakemake(path)}`") from error


def metrics(table: list[Row]) -> dict[str, Any]:
    """The headline of the main table, one file per row; what was not measured is left out."""
    chosen = [name for name in headline_columns(table[0], table) if name != "model"]
    return {
        f"metrics/{row['model']}.json": {name: row[name] for name in chosen if row[name] is not None} for row in table
    }


def figures(dataset: str) -> dict[str, bytes]:
    """The figures as PNG."""
    folder = layout.path(layout.FIGURE_FOLDER, dataset=dataset)
    return {f"figures/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.png"))}
