"""Make the smoke tables again from scratch, elsewhere, and compare them with the committed ones.

Nothing of yours is touched: it works in a temporary folder, on a CPU, with raw files from data/raw or DATA_MIRROR. On
the CPU and library versions that the tables were recorded with, every byte has to be the same; on others, every cell
has to lie within the tolerances of pipeline/tables/tolerance.py. It says which of the two it did.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.runtime import machine
from pipeline.runtime.progress import duration
from pipeline.tables import comparison, tolerance
from pipeline.tables.aliases import with_current_columns
from pipeline.tables.rows import Row
from pipeline.tables.text import from_csv
from pipeline.workflow import job_hash, layout, overrides, provenance, snapshots
from pipeline.workflow.provenance import Provenance

RECORDS = Path("docs/verify")
TARGETS = (layout.TABLE,)
SHOWN_CELLS = 12
NOT_INHERITED = ("MLFLOW_TRACKING_URI", "SNAKEMAKE_PROFILE", "EASEL_OWNER", "EASEL_ANNOUNCED")
"""Variables that would track these trainings among a person's own, or run them elsewhere."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to make and what to compare it with."""
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--budget", default="smoke", help="a budget of params.yaml (default: smoke)")
    parser.add_argument("--against", type=Path, default=RECORDS, metavar="FOLDER", help=f"records (default: {RECORDS})")
    parser.add_argument("--record", action="store_true", help="write the record instead, and say what changed")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="jobs at once (default: all cores)")
    overrides.add(parser)


@dataclass(frozen=True)
class Made:
    """Tables with what decides their bits."""

    dataset: str
    budget: str
    cpu: str
    made_by: Provenance
    tables: Mapping[str, str]

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each table's bytes."""
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in self.tables.items()}

    @property
    def where(self) -> str:
        """The CPU and the libraries in words."""
        libraries = ", ".join(f"{name} {' and '.join(sorted(of))}" for name, of in self.versions.items())
        return f"{self.cpu} with {libraries}"

    @property
    def versions(self) -> Mapping[str, Any]:
        """Library -> its versions."""
        return {name: found for name, found in self.made_by.versions.items() if name != "device"}


def run(arguments: argparse.Namespace) -> int:
    """Make, then compare or record; 0 where all is as recorded."""
    recorded, kept = _recorded(arguments), False
    folder = Path(tempfile.mkdtemp(prefix="easel-verify-"))
    try:
        began = time.monotonic()
        more = _config_file(arguments, folder)
        tables = remake(arguments.dataset, arguments.budget, folder, arguments.cores, more)
        took = duration(time.monotonic() - began)
        if arguments.record or recorded is None:
            write_record(tables, recorded, arguments.against, took)
        else:
            kept = not compare(tables, recorded, took)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    if kept:
        print(
            f"kept: {folder}; `python -m pipeline compare {arguments.against} {folder}` shows everything; "
            "where the change is meant: `python -m pipeline verify --record`"
        )
    return int(kept)


# --- the record ---------------------------------------------------------------------------------------------------


def _recorded(arguments: argparse.Namespace) -> Made | None:
    """The record to compare with; None where there is none yet and one is to be written.

    Raises `UserError` where it is missing, damaged, or of another budget.
    """
    path = arguments.against / f"{arguments.dataset}.json"
    if not path.is_file():
        if arguments.record:
            return None
        raise UserError(f"{path}: not found; `python -m pipeline verify --record` makes it, or name another --against")
    record = read_record(path)
    if record.budget != arguments.budget and not arguments.record:
        raise UserError(
            f"{path}: recorded at budget {record.budget}, expected {arguments.budget}; give --budget {record.budget}"
        )
    return record


def read_record(path: Path) -> Made:
    """The record and its tables, with today's column names; `UserError` where one is damaged or of another record."""
    try:
        content = artifacts.read_json(path)
        record = Made(
            dataset=content["dataset"],
            budget=content["budget"],
            cpu=content["cpu"],
            made_by=Provenance.from_json(content["made_by"]),
            tables={
                name: (path.parent / _file(path.stem, name)).read_text(encoding="utf-8") for name in content["sha256"]
            },
        )
        changed = [
            _file(path.stem, name) for name, digest in content["sha256"].items() if record.digests[name] != digest
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a readable record ({error}); `git checkout {path.parent}` or record again"
        ) from error
    if changed:
        raise UserError(
            f"{path.parent / changed[0]}: not the table that {path.name} speaks of (their SHA-256 differ); "
            f"`git checkout {path.parent}` or record again"
        )
    return replace(record, tables={name: with_current_columns(text) for name, text in record.tables.items()})


def _file(dataset: str, table: str) -> str:
    return PurePosixPath(snapshots.TABLES[table].format(dataset=dataset)).name


def write_record(made: Made, before: Made | None, folder: Path, took: str) -> None:
    """Write the record and say what changed."""
    content = {name: getattr(made, name) for name in ("dataset", "budget", "cpu")}
    content |= {"sha256": made.digests, "made_by": made.made_by.as_json()}
    for name, text in made.tables.items():
        artifacts.write_text(folder / _file(made.dataset, name), text)
    artifacts.write_json(folder / f"{made.dataset}.json", content)
    print(f"{folder}/{made.dataset}.json: {made.budget} tables recorded on {made.where} ({took})")
    if before is not None:
        print("\n".join([*_other_sources(made, before), *_differences(_changes(before, made))]))


# --- making -------------------------------------------------------------------------------------------------------


def _config_file(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """The words that give Snakemake the configuration of `--configfile` and `--set`, in one file of all keys."""
    if not arguments.configfile and not arguments.set:
        return []
    from pipeline.workflow import params

    path = folder / "config.json"
    artifacts.write_json(path, params.merged(arguments.set, more=arguments.configfile))
    return ["--configfile", str(path)]


def remake(dataset: str, budget: str, folder: Path, cores: int, more: Sequence[str] = ()) -> Made:
    """Everything that the tables need, made in an empty folder; its progress goes to the terminal.

    `more` are further words of the command line.

    Raises `UserError` where the workflow fails.
    """
    targets = [pattern.format(dataset=dataset) for pattern in TARGETS]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(job_hash.ROOT / "Snakefile")]
    command += [
        "--cores",
        str(cores),
        *more,
        "--directory",
        str(folder),
        "--config",
        f"budget={budget}",
        "device=cpu",
        "--",
        *targets,
    ]
    print(f"easel: verify: the {budget} tables of {dataset} from scratch in {folder}", file=sys.stderr)
    done = subprocess.run(command, cwd=job_hash.ROOT, env=_environment(dataset))
    if done.returncode:
        raise UserError("the tables could not be made; the lines above that begin with 'easel:' say why")
    shot = snapshots.from_folder(folder, dataset)
    if shot.recorded is None:
        raise UserError(f"{folder}: its tables have no record")
    return Made(dataset, budget, machine.cpu_model(), shot.recorded, shot.tables)


def _environment(dataset: str) -> dict[str, str]:
    """This process's environment; raw files that were fetched here serve as a mirror, so that no network is needed."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    raw = layout.path(layout.RAW, dataset=dataset)
    given = environment.get("DATA_MIRROR") or (str(raw.parent) if raw.is_dir() else None)
    return environment | ({} if given is None else {"DATA_MIRROR": str(Path(given).resolve())})


# --- comparing ----------------------------------------------------------------------------------------------------


def compare(made: Made, recorded: Made, took: str) -> bool:
    """Say what was compared and how it came out; whether all is as it has to be."""
    for line in _other_sources(made, recorded):
        print(line)
    if (made.cpu, made.versions) == (recorded.cpu, recorded.versions):
        return _compare_bits(made, recorded, took)
    return _compare_within_tolerances(made, recorded, took)


def _other_sources(made: Made, recorded: Made) -> list[str]:
    """Which code and params were others when the record was made."""
    sides = recorded.made_by, made.made_by
    code = [provenance.module_words(change) for change in provenance.changed_modules(*sides)]
    params = [provenance.setting_words(change) for change in provenance.changed_settings(*sides)]
    return [f"recorded for other code: {line}" for line in code] + [
        f"recorded for other params: {line}" for line in params
    ]


def _compare_bits(made: Made, recorded: Made, took: str) -> bool:
    if made.digests == recorded.digests:
        cells = sum(comparison.compared_cells(name, rows, rows) for name, rows in _rows(made).items())
        print(f"bit-equal on {made.where}: {len(made.tables)} tables, {cells} cells, {took}")
        return True
    print(f"not bit-equal on {made.where}, where they were recorded ({took}):")
    print("\n".join(_differences(_changes(recorded, made)) or ["the same numbers in other bytes"]))
    return False


def _compare_within_tolerances(made: Made, recorded: Made, took: str) -> bool:
    print(f"recorded on {recorded.where}; here {made.where}: compared by tolerances, not bits ({took})")
    print(tolerance.IN_WORDS)
    judged = tolerance.judge(_rows(recorded), _rows(made))
    print(judged.summary)
    for line in _differences(judged.outside):
        print(line)
    return not judged.failed


def _rows(made: Made) -> dict[str, list[Row]]:
    return {name: from_csv(text) for name, text in made.tables.items()}


def _changes(recorded: Made, made: Made) -> list[Row]:
    before, now = _rows(recorded), _rows(made)
    return [row for name in now for row in comparison.changed_rows(name, before.get(name, []), now[name])]


def _differences(changes: Sequence[Row]) -> list[str]:
    """The first cells that differ (A recorded, B made now), and how many more there are."""
    lines = comparison.aligned(changes[:SHOWN_CELLS])
    more = len(changes) - SHOWN_CELLS
    return [*lines, *([f"  and {more} more"] if more > 0 else [])]
