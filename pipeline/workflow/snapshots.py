"""The tables of a data set and what made them, read from a folder or from a Git revision.

A revision's results come from DVC, through the dvc.lock of that revision; where DVC has none, from the small tables
that `make publish` commits under results/published/ (docs/results/ until version 0.2.0).
"""

from __future__ import annotations

import functools
import hashlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.core import untrusted
from pipeline.core.errors import UserError
from pipeline.workflow import layout, store

TABLES = {
    "main": layout.TABLE,
    **{
        name: str(layout.view("tables", name, dataset="{dataset}"))
        for name in ("seeds", "battles", "judges", "standings")
    },
}
"""The tables that do not depend on the machine's speed, by their name in pipeline.tables.comparison."""

RECORD = str(layout.view("tables", "job", dataset="{dataset}"))
"""The record of the job that made a data set's tables."""

PROVENANCE = "provenance.json"
"""The file beside published tables that holds the records of their jobs."""

PLACES = {
    "results/tables": ".",
    "tables": "..",
    ".": None,
    "results/published/{dataset}": None,
    "docs/results/{dataset}": None,
}
"""Where a folder or a revision may have tables -> where the paths in their records begin; None for published ones."""

Read = Callable[[str], str | None]
"""(path in the folder or revision) -> its text, None where there is none."""


@dataclass(frozen=True)
class Snapshot:
    """One side of a comparison: texts of tables, and the records of the jobs that made them, as far as they exist."""

    name: str
    origin: str
    tables: Mapping[str, str]
    records: Sequence[store.Record]

    @property
    def missing(self) -> int:
        """Jobs that the tables were made from and whose records are not there; fetched files are not published."""
        inputs = (entry for record in self.records for entry in record["inputs"].items())
        needed = {hash_ for path, hash_ in inputs if not path.startswith("data/raw/")}
        return len(needed - {record["hash"] for record in self.records})


def read(name: str, dataset: str) -> Snapshot:
    """The snapshot that a person names: a folder if there is one of that name, else a revision.

    Raises `UserError` where it is neither, where it holds no main table, or where it cannot be read.
    """
    folder = Path(name)
    if folder.absolute().name == "tables" and (folder / Path(RECORD.format(dataset=dataset)).name).is_file():
        folder = folder.parent  # its records' paths begin above it
    if folder.is_dir():
        reading, origin = _folder_reader(folder), f"{folder}/{{}}"
        advice = f"`make {dataset}` makes it there"
    elif folder.exists():
        raise UserError(f"{name}: a file; expected a results folder or a Git revision")
    else:
        commit = _commit_of(name)
        reading, origin = _commit_reader(commit), f"{{}} at {commit[:12]}"
        advice = (
            "in Git and, by its dvc.lock, in DVC's cache and remote; try `dvc fetch --all-commits`, or check it out, "
            "run `make publish` and commit"
        )
    places = {place.format(dataset=dataset): root for place, root in PLACES.items()}
    for place, root in places.items():
        if reading(_join(place, f"{dataset}.csv")) is not None:
            records = _published(reading, place) if root is None else _closure(reading, root, dataset)
            return Snapshot(name, origin.format(place), _tables(reading, place, dataset, records), records)
    looked = ", ".join(_join(place, f"{dataset}.csv") for place in places)
    raise UserError(f"{name}: no {dataset}.csv in it (looked for {looked}); {advice}")


def _join(place: str, path: str) -> str:
    return str(PurePosixPath(place, path))


def _tables(reading: Read, place: str, dataset: str, records: Sequence[store.Record]) -> dict[str, str]:
    """The tables that are there; raises `UserError` for one that is not the one that the records speak of."""
    tables = {}
    files = {(record["stage"], file): about for record in records for file, about in record["files"].items()}
    for table, pattern in TABLES.items():
        path = _join(place, Path(pattern.format(dataset=dataset)).name)
        if (text := reading(path)) is None:
            continue
        stage, output = layout.VIEWS["tables"][pattern]
        digest = hashlib.sha256(text.encode()).hexdigest()
        if files.get((stage, layout.FILES[stage][output]), {"sha256": digest})["sha256"] != digest:
            raise UserError(
                f"{path}: damaged or edited (its SHA-256 is not its record's); make it again with snakemake, or get "
                "the committed one back with git checkout"
            )
        tables[table] = text
    return tables


def _closure(reading: Read, root: str, dataset: str) -> list[store.Record]:
    """The records of the job that made the tables and of all jobs that it was made from, as far as they are there."""
    records: dict[str, store.Record] = {}
    waiting = [RECORD.format(dataset=dataset)]
    while waiting:
        path = waiting.pop()
        text = None if path in records else reading(_join(root, path))
        record = None if text is None else store.parse(text)
        if record is not None:
            records[path] = record
            waiting += {f"{PurePosixPath(file).parent}/{layout.RECORD}" for file in record["inputs"]} - set(records)
    return list(records.values())


def _published(reading: Read, place: str) -> list[store.Record]:
    """The records of a published set; none in a set that was published before sets had them."""
    try:
        jobs = untrusted.parsed_json(reading(_join(place, PROVENANCE)) or "{}").get("jobs", [])
        return [record for record in jobs if store.is_record(record)]
    except (ValueError, TypeError, AttributeError):
        raise UserError(
            f"{_join(place, PROVENANCE)}: not a readable record; publish again or restore it from Git"
        ) from None


# --- readers ------------------------------------------------------------------------------------------------------


def _folder_reader(folder: Path) -> Read:
    def read(path: str) -> str | None:
        try:
            return (folder / path).read_bytes().decode()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / path}: could not be read ({error})") from None

    return read


def _commit_of(revision: str) -> str:
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise UserError(
            f"{revision}: neither a folder nor a Git revision of this checkout; expected a folder with results/ in it, "
            "or a branch, tag or commit (`git log --oneline`)"
        )
    return commit.strip()


def _git(*words: str) -> str | None:
    """What a git command prints; None where it fails.

    Raises `UserError` where there is no git.
    """
    try:
        done = subprocess.run(["git", *words], capture_output=True, encoding="utf-8", errors="replace", timeout=60)
    except OSError as error:
        raise UserError(
            f"git could not be started ({error.strerror}); a revision needs it, a folder does not"
        ) from error
    return done.stdout if done.returncode == 0 else None


def _commit_reader(commit: str) -> Read:
    """Reads what DVC's cache or remote has by the commit's dvc.lock, else what the commit itself holds."""
    in_git = functools.partial(_git, "show")
    if "results/tables" not in (in_git(f"{commit}:./dvc.lock") or ""):
        return lambda path: in_git(f"{commit}:./{path}")
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    of_dvc = DVCFileSystem(str(Path.cwd()), rev=commit)

    def read(path: str) -> str | None:
        try:
            return str(of_dvc.read_text(path))
        except (OSError, DvcException):  # no repository of DVC's, or one that it cannot read
            return in_git(f"{commit}:./{path}")

    return read
