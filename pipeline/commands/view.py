"""Copy stored results to results/tables/, figures/, summary/ and report.html; Snakemake calls it.

Views are copies, not links: a DVC checkout may remove links inside its outs, and an edited view changes no result.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pipeline.core import artifacts, folders
from pipeline.core.errors import UserError
from pipeline.workflow import store


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which files are copied to where."""
    parser.add_argument("--sources", type=Path, nargs="+", required=True,
                        help="stored files, or job.json files of jobs that draw figures")  # fmt: skip
    parser.add_argument("--inputs", type=Path, nargs="*", default=[], help="all files that the rule reads")
    parser.add_argument("--to", type=Path, nargs="+", required=True,
                        help="path of the copy of each file, or of a folder of figures")  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Copy each file whose bytes are what its record says; a folder holds exactly its figures afterwards."""
    store.age(arguments.inputs)
    folder = None if arguments.to[0].suffix else arguments.to[0]
    views = arguments.to if folder is None else [folder] * len(arguments.sources)
    if len(views) != len(arguments.sources):
        raise UserError(f"--to: found {len(arguments.to)} paths, expected one for each of --sources")
    copies: dict[Path, Path] = {}
    for source, view in zip(arguments.sources, views, strict=True):
        store.checked(source)
        copies |= store.copies(view, source)
    for stored in copies.values():
        store.checked(stored)
    if folder is not None:
        folders.replace(folder, {copy.name: stored.read_bytes() for copy, stored in copies.items()})
        return
    for view, stored in copies.items():
        with artifacts.replacing(view) as partial:
            shutil.copyfile(stored, partial)
