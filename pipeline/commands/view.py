"""Copy stored results to results/tables/, figures/, summary/ and report.html; Snakemake calls it.

Views are copies, not links: a DVC checkout may remove links inside its outs, and an edited view changes no result.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pipeline.core import artifacts, folders
from pipeline.core.errors import UserError
from pipeline.workflow import layout, store


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which files are copied to where."""
    parser.add_argument("--sources", type=Path, nargs="+", required=True,
                        help="stored files, or job.json files of jobs that draw figures")  # fmt: skip
    parser.add_argument("--inputs", type=Path, nargs="*", default=[], help="all files that the rule reads")
    parser.add_argument("--to", type=Path, nargs="+", required=True,
                        help="path of the copy of each file, or of a folder of figures")  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Copy each file whose bytes are what its record says."""
    store.age(arguments.inputs)
    if not arguments.to[0].suffix:
        return copy_figures(arguments.to[0], arguments.sources)
    if len(arguments.to) != len(arguments.sources):
        raise UserError(f"--to: found {len(arguments.to)} paths, expected one for each of --sources")
    for source, view in zip(arguments.sources, arguments.to, strict=True):
        store.checked(source)
        with artifacts.replacing(view) as partial:
            shutil.copyfile(source, partial)


def copy_figures(folder: Path, records: list[Path]) -> None:
    """Make a folder hold exactly the figures that some jobs drew."""
    files = {}
    for path in records:
        record = store.checked(path)
        for name in record["files"]:
            if layout.is_drawing(name):
                store.checked(path.parent / name)
                files[layout.figure_name(record, name)] = (path.parent / name).read_bytes()
    folders.replace(folder, files)
