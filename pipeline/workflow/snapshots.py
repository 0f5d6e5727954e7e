"""The tables of a data set and what made them, read from a results folder or from a Git revision.

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

ENDINGS = {Path(pattern).stem.removeprefix("{dataset}") for pattern in layout.VIEWS["tables"]} - {""}
"""What follows a data set's name in the names of its other tables."""

RECORD = str(layout.view("tables", "job", dataset="{dataset}"))
"""The record of the job that made a data set's tables."""

PUBLISHED = ("results/published/{dataset}", "docs/results/{dataset}")
"""Where `make publish` puts tables: now, and before version 0.2.0."""

PROVENANCE = "provenance.json"
"""The file beside published tables that holds the records of their jobs."""

Read = Callable[[str], str | None]
"""(path in the project) -> its text, None where there is none."""


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
    if folder.is_dir():
        return from_folder(folder, dataset)
    if folder.exists():
        raise UserError(f"{name}: a file; expected a results folder or a Git revision")
    return from_revision(name, dataset)


def datasets(name: str) -> set[str]:
    """The data sets of which a folder or a revision has a main table; none for what is neither."""
    folder = Path(name)
    if folder.is_dir():
        files = [path for place in _places(folder) for path in place.glob("*.csv")]
    else:
        listed = _git("ls-tree", "-r", "--name-only", "--end-of-options", name, "./") or ""
        of = {str(PurePosixPath(pattern).parent) for pattern in PUBLISHED}
        files = [Path(line) for line in listed.splitlines() if str(PurePosixPath(line).parent.parent) in of]
    stems = {path.stem for path in files if path.suffix == ".csv"}
    return stems - {f"{stem}{ending}" for stem in stems for ending in ENDINGS}


# --- a folder -----------------------------------------------------------------------------------------------------


def from_folder(folder: Path, dataset: str) -> Snapshot:
    """Tables in FOLDER/results/tables, FOLDER/tables (a results folder itself) or FOLDER (a published one)."""
    main = _file(layout.TABLE, dataset)
    place = next((place for place in _places(folder) if (place / main).is_file()), None)
    if place is None:
        candidates = ", ".join(str(place / main) for place in _places(folder))
        raise UserError(f"{folder}: no {main} in it (looked for {candidates}); `make {dataset}` makes it there")
    read = _reader(place)
    records = _closure(_reader(place.parent.parent), dataset) if place.name == "tables" else _published(read)
    return _snapshot(str(folder), f"{place}/", dataset, read, records)


def _places(folder: Path) -> list[Path]:
    return [folder / "results" / "tables", folder / "tables", folder]


def _file(pattern: str, dataset: str) -> str:
    """The file name of a table."""
    return PurePosixPath(pattern.format(dataset=dataset)).name


def _snapshot(name: str, origin: str, dataset: str, read: Read, records: Sequence[store.Record]) -> Snapshot:
    """The tables by their file names; raises `UserError` for one that is not the one that the records speak of."""
    tables = {table: text for table, of in TABLES.items() if (text := read(_file(of, dataset))) is not None}
    files = {(record["stage"], file): about for record in records for file, about in record["files"].items()}
    for table, text in tables.items():
        stage, output = layout.VIEWS["tables"][TABLES[table]]
        digest = hashlib.sha256(text.encode()).hexdigest()
        if files.get((stage, layout.FILES[stage][output]), {"sha256": digest})["sha256"] != digest:
            raise UserError(
                f"{origin}: {_file(TABLES[table], dataset)}: damaged or edited (its SHA-256 is not its record's); make "
                "it again with snakemake, or get the committed one back with git checkout"
            )
    return Snapshot(name, origin, tables, records)


def _closure(reading: Read, dataset: str) -> list[store.Record]:
    """The records of the job that made the tables and of all jobs that it was made from, as far as they are there."""
    records: dict[str, store.Record] = {}
    waiting = [RECORD.format(dataset=dataset)]
    while waiting:
        path = waiting.pop()
        text = None if path in records else reading(path)
        record = None if text is None else store.parse(text)
        if record is not None:
            records[path] = record
            waiting += {f"{PurePosixPath(file).parent}/{layout.RECORD}" for file in record["inputs"]} - set(records)
    return list(records.values())


def _published(reading: Read) -> list[store.Record]:
    """The records of a published set."""
    text = reading(PROVENANCE)
    if text is None:
        return []
    try:
        content = untrusted.parsed_json(text)
    except ValueError as error:
        raise UserError(f"{PROVENANCE}: not readable as JSON ({error}); publish again") from error
    jobs = content.get("jobs", []) if isinstance(content, dict) else []
    return [record for record in jobs if store.is_record(record)] if isinstance(jobs, list) else []


def _reader(root: Path) -> Read:
    def read(path: str) -> str | None:
        try:
            return (root / path).read_bytes().decode() if (root / path).is_file() else None
        except (OSError, ValueError) as error:
            raise UserError(f"{root / path}: could not be read ({error})") from None

    return read


# --- a revision ---------------------------------------------------------------------------------------------------


def from_revision(revision: str, dataset: str) -> Snapshot:
    """What a commit holds or, through its dvc.lock, names."""
    commit = _commit_of(revision)
    of_dvc = _dvc_reader(commit)
    if of_dvc(layout.TABLE.format(dataset=dataset)) is not None:
        folder = PurePosixPath(layout.TABLE).parent
        origin, records = f"DVC at {commit[:12]}", _closure(of_dvc, dataset)
        return _snapshot(revision, origin, dataset, lambda file: of_dvc(f"{folder}/{file}"), records)
    for place in (pattern.format(dataset=dataset) for pattern in PUBLISHED):
        read = functools.partial(_in_git, commit, place)
        if read(f"{dataset}.csv") is not None:
            return _snapshot(revision, f"{place} at {commit[:12]}", dataset, read, _published(read))
    raise UserError(
        f"{revision}: no results of {dataset} at {commit[:12]}: neither {layout.TABLE.format(dataset=dataset)} in "
        f"its dvc.lock and DVC's cache or remote (try `dvc fetch --all-commits`), nor "
        f"{PUBLISHED[0].format(dataset=dataset)}/{dataset}.csv in Git; check it out, run `make publish` and commit"
    )


def _commit_of(revision: str) -> str:
    done = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done is None:
        raise UserError(
            f"{revision}: neither a folder nor a Git revision of this checkout; expected a folder with results/ in it, "
            "or a branch, tag or commit (`git log --oneline`)"
        )
    return done.strip()


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


def _in_git(commit: str, folder: str, file: str) -> str | None:
    """The text of a file of a commit."""
    return _git("show", f"{commit}:./{folder}/{file}")


def _dvc_reader(commit: str) -> Read:
    """Reads what a commit's dvc.lock names from DVC's cache or remote, where one of them has it."""
    if str(PurePosixPath(layout.TABLE).parent) not in (_in_git(commit, ".", "dvc.lock") or ""):
        return lambda path: None
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    opened = functools.cache(lambda: DVCFileSystem(str(Path.cwd()), rev=commit))

    def read(path: str) -> str | None:
        try:
            return str(opened().read_text(path))
        except (OSError, DvcException):  # no repository of DVC's, or one that it cannot read
            return None

    return read
