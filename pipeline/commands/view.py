"""Copy stored results to where people look for them: tables, figures, the summary, the report. Snakemake calls this.

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
    """Which view, and the stored files that it copies."""
    parser.add_argument("kind", choices=[*layout.VIEWS, "figures"], help="which view")
    parser.add_argument("--dataset", help="a data set of params.yaml; none for the report")
    parser.add_argument("--sources", type=Path, nargs="+", required=True, help="stored files, or records of figures")
    parser.add_argument("--inputs", type=Path, nargs="*", default=[], help="all that the rule reads")


def run(arguments: argparse.Namespace) -> None:
    """Copy each file whose bytes are what its record says."""
    store.age(arguments.inputs)
    if arguments.kind == "figures":
        folder = layout.path(layout.FIGURE_FOLDER, dataset=arguments.dataset)
        copy_figures(folder, arguments.sources)
        return
    sources = {(store.checked(path)["stage"], path.name): path for path in arguments.sources}
    for pattern, (stage, output) in layout.VIEWS[arguments.kind].items():
        name = Path(layout.OUTPUTS[stage][output]).name
        if (stage, name) not in sources:
            raise UserError(f"--sources: no {name} of stage {stage}; expected every file of the view {arguments.kind}")
        with artifacts.replacing(layout.path(pattern, dataset=arguments.dataset)) as partial:
            shutil.copyfile(sources[stage, name], partial)


def copy_figures(folder: Path, records: list[Path]) -> None:
    """Make a folder hold exactly the figures that some jobs drew."""
    files = {}
    for path in records:
        record = store.checked(path)
        for name in record["files"]:
            if name.endswith((".png", ".svg", "gallery.json")):
                store.checked(path.parent / name)
                files[layout.figure_name(record, name)] = (path.parent / name).read_bytes()
    folders.replace(folder, files)
