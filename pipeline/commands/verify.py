"""Recompute the smoke tables in a temporary folder and compare them with the committed ones.

Your results are not changed: the command works in a temporary folder, on a CPU, with raw files from data/raw or
DATA_MIRROR. On the CPU model and library versions of the recorded tables, every byte must be the same; on others, every
cell must lie within the tolerances of pipeline/tables/tolerance.py. The output says which comparison was made.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.runtime.progress import FOLLOWED, duration
from pipeline.tables import comparison, tolerance
from pipeline.tables.rows import Row
from pipeline.tables.text import from_csv
from pipeline.tracking.differences import Comparison, compare
from pipeline.workflow import job_hash, layout, overrides, snapshots
from pipeline.workflow.snapshots import PROVENANCE, Snapshot

RECORDS = Path("docs/verify")
KEPT = ("hash", "stage", "wildcards", "config", "modules", "versions", "inputs", "files", "device", "machine")
"""Keys of a job's record that are recorded: what decides the tables' bits."""
SHOWN_CELLS = 12
NOT_INHERITED = ("MLFLOW_TRACKING_URI", "SNAKEMAKE_PROFILE", "EASEL_OWNER", FOLLOWED)
"""Variables that would track these trainings among a person's own, or run them elsewhere."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to make and what to compare it with."""
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--budget", default="smoke", help="a budget of params.yaml (default: smoke)")
    parser.add_argument("--against", type=Path, default=RECORDS, metavar="FOLDER",
                        help=f"a folder with recorded tables of the data set (default: {RECORDS})")  # fmt: skip
    parser.add_argument("--record", action="store_true", help="record the tables instead of comparing")
    parser.add_argument("--cores", type=overrides.whole(1), default=os.cpu_count() or 1,
                        help="jobs at once (default: all cores)")  # fmt: skip
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make, then compare or record; 0 where all is as recorded."""
    there = (arguments.against / PROVENANCE).is_file()
    recorded = read_record(arguments) if there or not arguments.record else None
    folder, kept = Path(tempfile.mkdtemp(prefix="easel-verify-")), False
    try:
        began = time.monotonic()
        new = recompute(
            arguments.dataset, arguments.budget, folder, arguments.cores, arguments.configfile, arguments.set
        )
        took = duration(time.monotonic() - began)
        if arguments.record or recorded is None:
            write_record(new, recorded, arguments, took)
        else:
            kept = not is_as_recorded(new, recorded, took)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    if kept:
        print(
            f"kept: {folder}; `python -m pipeline compare {arguments.against} {folder}` shows everything; "
            "if the change is intended: `python -m pipeline verify --record`"
        )
    return int(kept)


# --- the record: tables and the records of their jobs, as `publish` writes them ------------------------------------


def read_record(arguments: argparse.Namespace) -> Snapshot:
    """The recorded tables; `UserError` where one is missing, damaged, edited, or of another budget."""
    path = arguments.against / PROVENANCE
    if not path.is_file():
        raise UserError(f"{path}: not found; `python -m pipeline verify --record` makes it, or name another --against")
    recorded = snapshots.read(str(arguments.against), arguments.dataset)
    if not recorded.records:
        raise UserError(f"{path}: not a readable record; run `git checkout {arguments.against}` or record it again")
    budget = artifacts.read_json(path).get("budget")
    if budget != arguments.budget and not arguments.record:
        raise UserError(f"{path}: recorded at budget {budget}, expected {arguments.budget}; give --budget {budget}")
    return recorded


def write_record(new: Snapshot, before: Snapshot | None, arguments: argparse.Namespace, took: str) -> None:
    """Write the record, one job in a line, and say what changed."""
    for name, text in new.tables.items():
        pattern = snapshots.TABLES[name].format(dataset=arguments.dataset)
        artifacts.write_text(arguments.against / Path(pattern).name, text)
    jobs = [json.dumps({key: record[key] for key in KEPT}) for record in new.records]
    about = json.dumps({"dataset": arguments.dataset, "budget": arguments.budget})
    artifacts.write_text(arguments.against / PROVENANCE, f'{about[:-1]}, "jobs": [\n' + ",\n".join(jobs) + "\n]}\n")
    print(f"{arguments.against}: {arguments.budget} tables recorded on {where(new)} ({took})")
    if before is not None:
        differences = compare(before, new)
        print("\n".join([*_other_sources(differences), *_differences(differences.rows)]))


def where(side: Snapshot) -> str:
    """The CPU and the libraries that made some tables, which decide their bits, in words."""
    cpus = " and ".join(sorted({str(record.get("machine")) for record in side.records}))
    libraries = sorted({" ".join(item) for record in side.records for item in record["versions"].items()})
    return f"{cpus} with {', '.join(libraries)}"


# --- making -------------------------------------------------------------------------------------------------------


def recompute(
    dataset: str, budget: str, folder: Path, cores: int, files: Sequence[Path] = (), settings: Sequence[str] = ()
) -> Snapshot:
    """Everything that the tables need, made in an empty folder; its progress goes to the terminal.

    `files` and `settings` are those of `--configfile` and `--set`. Raises `UserError` where the workflow fails.
    """
    from pipeline.workflow import params  # a schema's libraries are not needed for --help

    table = layout.TABLE.format(dataset=dataset)
    settings = [*settings, f"budget={budget}", "device=cpu"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(job_hash.ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--cores", str(cores)]
    command += [*shlex.split(params.snakemake_flags([file.resolve() for file in files], settings)), "--", table]
    print(f"easel: verify: the {budget} tables of {dataset} from scratch in {folder}", file=sys.stderr)
    done = subprocess.run(command, cwd=job_hash.ROOT, env=_environment(dataset))
    if done.returncode:
        raise UserError("the tables could not be made; the lines above that begin with 'easel:' say why")
    return snapshots.read(str(folder), dataset)


def _environment(dataset: str) -> dict[str, str]:
    """This process's environment; raw files that were fetched here serve as a mirror, so that no network is needed."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    raw = layout.path(layout.RAW, dataset=dataset)
    given = environment.get("DATA_MIRROR") or (str(raw.parent) if raw.is_dir() else None)
    return environment | ({} if given is None else {"DATA_MIRROR": str(Path(given).resolve())})


# --- comparing ----------------------------------------------------------------------------------------------------


def is_as_recorded(new: Snapshot, recorded: Snapshot, took: str) -> bool:
    """Say what was compared and how it came out; whether all is as it has to be."""
    differences = compare(recorded, new)
    for line in _other_sources(differences):
        print(line)
    if where(new) != where(recorded):
        print(f"recorded on {where(recorded)}; here {where(new)}: compared with tolerances, not byte by byte ({took})")
        print(tolerance.IN_WORDS)
        sides = [{name: from_csv(text) for name, text in side.tables.items()} for side in (recorded, new)]
        judged = tolerance.judge(*sides)
        print("\n".join([judged.summary, *_differences(judged.outside)]))
        return not judged.failed
    if differences.byte_equal:
        print(f"bit-equal on {where(new)}: {len(new.tables)} tables, {sum(differences.cells.values())} cells, {took}")
        return True
    print(f"not bit-equal on {where(new)}, where they were recorded ({took}):")
    print("\n".join(_differences(differences.rows) or ["the same numbers, written differently"]))
    return False


def _other_sources(differences: Comparison) -> list[str]:
    """Which code and params were others when the record was made."""
    return [f"recorded with other {kind}: {line}" for kind in ("code", "params") for line in differences.of_kind(kind)]


def _differences(changes: Sequence[Row]) -> list[str]:
    """The first cells that differ (A recorded, B made now), and how many more there are."""
    lines = comparison.aligned(changes[:SHOWN_CELLS])
    more = len(changes) - SHOWN_CELLS
    return [*lines, *([f"  and {more} more"] if more > 0 else [])]
