"""Recompute the smoke tables in a temporary folder and compare them with the committed ones.

Nothing of yours is touched: it works in a temporary folder, on a CPU, with raw files from data/raw or DATA_MIRROR. On
the CPU and library versions that the tables were recorded with, every byte has to be the same; on others, every cell
has to lie within the tolerances of pipeline/tables/tolerance.py. It says which of the two it did.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.runtime import machine
from pipeline.runtime.progress import duration
from pipeline.tables import comparison, tolerance
from pipeline.tables.rows import Row
from pipeline.tables.text import from_csv
from pipeline.tracking.differences import Comparison, compare
from pipeline.workflow import job_hash, layout, overrides, snapshots
from pipeline.workflow.provenance import Provenance
from pipeline.workflow.snapshots import Snapshot

RECORDS = Path("docs/verify")
SHOWN_CELLS = 12
NOT_INHERITED = ("MLFLOW_TRACKING_URI", "SNAKEMAKE_PROFILE", "EASEL_OWNER", "EASEL_ANNOUNCED")
"""Variables that would track these trainings among a person's own, or run them elsewhere."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to make and what to compare it with."""
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--budget", default="smoke", help="a budget of params.yaml (default: smoke)")
    parser.add_argument(
        "--against",
        type=Path,
        default=RECORDS,
        metavar="FOLDER",
        help=f"recorded tables (default: {RECORDS})",
    )
    parser.add_argument("--record", action="store_true", help="record the tables instead of comparing")
    parser.add_argument(
        "--cores", type=overrides.whole(1), default=os.cpu_count() or 1, help="jobs at once (default: all cores)"
    )
    overrides.add(parser)


@dataclass(frozen=True)
class TableSet:
    """Tables with what decides their bits."""

    dataset: str
    budget: str
    cpu: str
    made_by: Provenance
    tables: Mapping[str, str]

    @property
    def versions(self) -> dict[str, frozenset[str]]:
        """Library -> its versions."""
        return {name: versions for name, versions in self.made_by.versions.items() if name != "device"}

    @property
    def where(self) -> str:
        """The CPU and the libraries in words."""
        libraries = ", ".join(f"{name} {' and '.join(sorted(of))}" for name, of in self.versions.items())
        return f"{self.cpu} with {libraries}"

    @property
    def snapshot(self) -> Snapshot:
        """The same as one side of a comparison."""
        return Snapshot(self.dataset, self.dataset, self.tables, self.made_by)

    def rows(self) -> dict[str, list[Row]]:
        """The rows of each table."""
        return {name: from_csv(text) for name, text in self.tables.items()}


def run(arguments: argparse.Namespace) -> int:
    """Make, then compare or record; 0 where all is as recorded."""
    record = arguments.against / f"{arguments.dataset}.json"
    recorded = read_record(record) if record.is_file() or not arguments.record else None
    if recorded and recorded.budget != arguments.budget and not arguments.record:
        problem = f"recorded at budget {recorded.budget}, expected {arguments.budget}"
        raise UserError(f"{record}: {problem}; give --budget {recorded.budget}")
    folder, kept = Path(tempfile.mkdtemp(prefix="easel-verify-")), False
    try:
        began = time.monotonic()
        new = recompute(arguments.dataset, arguments.budget, folder, arguments.cores, _config_file(arguments, folder))
        took = duration(time.monotonic() - began)
        if arguments.record or recorded is None:
            write_record(new, recorded, record, took)
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


# --- the record ---------------------------------------------------------------------------------------------------


def read_record(path: Path) -> TableSet:
    """The record and its tables; `UserError` where one is missing, damaged or edited."""
    if not path.is_file():
        raise UserError(f"{path}: not found; `python -m pipeline verify --record` makes it, or name another --against")
    again = f"`git checkout {path.parent}` or record again"
    try:
        content = artifacts.read_json(path)
        made_by, files = Provenance.from_json(content["made_by"]), {}
        for name, digest in content["sha256"].items():
            files[name] = _file(path, name)
            if artifacts.sha256(files[name]) != digest:
                raise UserError(f"{files[name]}: not the table that {path.name} names (their SHA-256 differ); {again}")
        tables = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
        return TableSet(content["dataset"], content["budget"], content["cpu"], made_by, tables)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a readable record ({error}); {again}") from error


def _file(record: Path, table: str) -> Path:
    return record.parent / Path(snapshots.TABLES[table].format(dataset=record.stem)).name


def write_record(new: TableSet, before: TableSet | None, record: Path, took: str) -> None:
    """Write the record and say what changed."""
    for name, text in new.tables.items():
        artifacts.write_text(_file(record, name), text)
    digests = {name: artifacts.sha256(_file(record, name)) for name in new.tables}
    about = {name: getattr(new, name) for name in ("dataset", "budget", "cpu")}
    artifacts.write_json(record, {**about, "sha256": digests, "made_by": new.made_by.as_json()})
    print(f"{record}: {new.budget} tables recorded on {new.where} ({took})")
    if before is not None:
        differences = compare(before.snapshot, new.snapshot)
        print("\n".join([*_other_sources(differences), *_differences(differences.rows)]))


# --- making -------------------------------------------------------------------------------------------------------


def _config_file(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """The words that give Snakemake the configuration of `--configfile` and `--set`, in one file of all keys."""
    if not arguments.configfile and not arguments.set:
        return []
    from pipeline.workflow import params

    path = folder / "config.json"
    artifacts.write_json(path, params.merged(arguments.set, more=arguments.configfile))
    return ["--configfile", str(path)]


def recompute(dataset: str, budget: str, folder: Path, cores: int, more: Sequence[str] = ()) -> TableSet:
    """Everything that the tables need, made in an empty folder; its progress goes to the terminal.

    `more` are further words of the command line. Raises `UserError` where the workflow fails.
    """
    table = layout.TABLE.format(dataset=dataset)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(job_hash.ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--cores", str(cores), *more]
    command += ["--config", f"budget={budget}", "device=cpu", "--", table]
    print(f"easel: verify: the {budget} tables of {dataset} from scratch in {folder}", file=sys.stderr)
    done = subprocess.run(command, cwd=job_hash.ROOT, env=_environment(dataset))
    if done.returncode:
        raise UserError("the tables could not be made; the lines above that begin with 'easel:' say why")
    shot = snapshots.from_folder(folder, dataset)
    if shot.recorded is None:
        raise UserError(f"{folder}: its tables have no record")
    return TableSet(dataset, budget, machine.cpu_model(), shot.recorded, shot.tables)


def _environment(dataset: str) -> dict[str, str]:
    """This process's environment; raw files that were fetched here serve as a mirror, so that no network is needed."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    raw = layout.path(layout.RAW, dataset=dataset)
    given = environment.get("DATA_MIRROR") or (str(raw.parent) if raw.is_dir() else None)
    return environment | ({} if given is None else {"DATA_MIRROR": str(Path(given).resolve())})


# --- comparing ----------------------------------------------------------------------------------------------------


def is_as_recorded(new: TableSet, recorded: TableSet, took: str) -> bool:
    """Say what was compared and how it came out; whether all is as it has to be."""
    differences = compare(recorded.snapshot, new.snapshot)
    for line in _other_sources(differences):
        print(line)
    if (new.cpu, new.versions) != (recorded.cpu, recorded.versions):
        print(f"recorded on {recorded.where}; here {new.where}: compared by tolerances, not bits ({took})")
        print(tolerance.IN_WORDS)
        judged = tolerance.judge(recorded.rows(), new.rows())
        print("\n".join([judged.summary, *_differences(judged.outside)]))
        return not judged.failed
    if differences.byte_equal:
        print(f"bit-equal on {new.where}: {len(new.tables)} tables, {sum(differences.cells.values())} cells, {took}")
        return True
    print(f"not bit-equal on {new.where}, where they were recorded ({took}):")
    print("\n".join(_differences(differences.rows) or ["the same numbers in other bytes"]))
    return False


def _other_sources(differences: Comparison) -> list[str]:
    """Which code and params were others when the record was made."""
    return [
        f"recorded for other {kind}: {change}" for kind in ("code", "params") for change in differences.of_kind(kind)
    ]


def _differences(changes: Sequence[Row]) -> list[str]:
    """The first cells that differ (A recorded, B made now), and how many more there are."""
    lines = comparison.aligned(changes[:SHOWN_CELLS])
    more = len(changes) - SHOWN_CELLS
    return [*lines, *([f"  and {more} more"] if more > 0 else [])]
