"""The tables of a data set and what made them, read from a results folder or from a Git revision.

A revision's results come from DVC, through the dvc.lock of that revision; where DVC has none, from the small tables
that `make publish` commits under results/published/ (docs/results/ until version 0.2.0).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.core import artifacts, untrusted
from pipeline.core.errors import UserError
from pipeline.workflow import layout, stamps
from pipeline.workflow.provenance import Provenance, from_sources, from_stamps

RESULT_NEUTRAL = True

TABLES = {
    "main": layout.TABLE,
    "seeds": layout.SEEDS,
    "battles": layout.BATTLES,
    "judges": layout.JUDGES,
    "standings": layout.STANDINGS,
}
"""The tables that do not depend on the machine's speed, by their name in pipeline.tables.comparison."""

PUBLISHED = ("results/published/{dataset}", "docs/results/{dataset}")
"""Where `make publish` puts tables: now, and before version 0.2.0."""
STAMP = ".stamp.json"
IN_A_STAMP = {"stage", "block", "modules", "versions", "device"}

Read = Callable[[str], str | None]
"""(path in the project) -> its text, None where there is none."""


@dataclass(frozen=True)
class Snapshot:
    """One side of a comparison. `stamped` is what the results' stamps say, `sources` what a checkout says; or None."""

    name: str
    origin: str
    tables: Mapping[str, str]
    stamped: Provenance | None
    sources: Provenance | None


def read(name: str, dataset: str) -> Snapshot:
    """The snapshot that a person names: a folder if there is one of that name, else a revision.

    Raises `UserError` where it is neither, where it holds no main table, or where a table is not what its stamp says.
    """
    folder = Path(name)
    if folder.is_dir():
        return from_folder(folder, dataset)
    if folder.exists():
        raise UserError(f"{name}: a file; expected a results folder or a Git revision")
    return from_revision(name, dataset)


# --- a folder -----------------------------------------------------------------------------------------------------


def from_folder(folder: Path, dataset: str) -> Snapshot:
    """Tables in FOLDER/results/tables, FOLDER/tables (a results folder itself) or FOLDER (a published one)."""
    places = {
        folder / "results" / "tables": folder,
        folder / "tables": folder.parent,
        folder: None,
    }
    main = PurePosixPath(layout.TABLE.format(dataset=dataset)).name
    place = next((place for place in places if (place / main).is_file()), None)
    if place is None:
        looked = ", ".join(str(place / main) for place in places)
        raise UserError(f"{folder}: no {main} in it (looked for {looked}); `make {dataset}` makes it there")
    tables = {table: _checked(place / name) for table, name in _names(dataset).items() if (place / name).is_file()}
    results = place.parent
    stamps = list(_stamps_in(results, dataset)) if place.name == "tables" else _published_stamps(_reader(place))
    project = places[place]
    sources = _sources(_reader(project), _modules_in(project)) if project is not None else None
    return Snapshot(str(folder), f"{place}/", tables, from_stamps(stamps) if stamps else None, sources)


def _names(dataset: str) -> dict[str, str]:
    """Table -> file name."""
    return {table: PurePosixPath(pattern.format(dataset=dataset)).name for table, pattern in TABLES.items()}


def _checked(table: Path) -> str:
    """The text of a table; where it has a stamp, only if its bytes are what that says."""
    if artifacts.stamp_path(table).exists():
        stamps.checked(table)
    return table.read_text()


TUNING = Path(layout.TUNING).parts[1]
"""Below results: trials of settings, which are no results."""


def _stamps_in(results: Path, dataset: str) -> Iterator[dict[str, Any]]:
    """Stamps of a data set's files: those of the results, those of its splits where these lie beside them."""
    for folder in (results, results.parent / "data" / "prepared" / dataset):
        for path in sorted(folder.rglob(f"*{STAMP}")):
            within = path.relative_to(folder).parts
            if within[0] != TUNING and not any(part.startswith(".") for part in within):
                yield from _stamps_of(dataset, str(path), _text(path))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: could not be read ({error}); delete it and what it belongs to, run again") from None


def _stamps_of(dataset: str, name: str, text: str) -> list[dict[str, Any]]:
    """A file's stamp in a list; nothing for another data set's, or for a checkpoint's, which is no result."""
    stamps = _stamps_within(_parsed(name, text))
    return [stamp for stamp in stamps if stamp["block"].get("dataset") == dataset]


def _parsed(name: str, text: str) -> Any:
    try:
        return untrusted.parsed_json(text)
    except ValueError as error:
        raise UserError(
            f"{name}: not readable as JSON ({error}); delete it with what it belongs to, and run again"
        ) from error


def _published_stamps(reading: Read) -> list[dict[str, Any]]:
    """The stamps that lie beside published tables."""
    text = reading("provenance.json")
    return [] if text is None else _stamps_within(_parsed("provenance.json", text))


def _stamps_within(content: Any) -> list[dict[str, Any]]:
    """Every stamp in a nested document."""
    if isinstance(content, dict) and set(content) >= IN_A_STAMP and _is_whole(content):
        return [content]
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [stamp for item in inner for stamp in _stamps_within(item)]


def _is_whole(stamp: dict[str, Any]) -> bool:
    """Whether what stands in a stamp can be compared with another's."""
    texts = [stamp["stage"], stamp["device"]]
    return stamps.has_shape(stamp) and all(isinstance(text, str) for text in (*texts, stamp["block"].get("model", "")))


def _reader(root: Path) -> Read:
    return lambda path: (root / path).read_text() if (root / path).is_file() else None


def _modules_in(project: Path) -> list[str]:
    return [str(path.relative_to(project)) for path in sorted((project / "pipeline").rglob("*.py"))]


def _sources(reading: Read, modules: list[str]) -> Provenance | None:
    """What a checkout says; None where there is no params.yaml."""
    params = reading("params.yaml")
    if params is None:
        return None
    texts = {_dotted(path): reading(path) or "" for path in modules}
    return from_sources(params, texts, reading("envs/requirements.txt"))


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


# --- a revision ---------------------------------------------------------------------------------------------------


def from_revision(revision: str, dataset: str) -> Snapshot:
    """What a commit holds or, through its dvc.lock, names."""
    commit = _commit_of(revision)
    reading, listing = _git_reader(commit), _git_listing(commit)
    sources = _sources(reading, [path for path in listing("pipeline") if path.endswith(".py")])
    versioned = _through_dvc(commit, dataset, reading)
    if versioned is not None:
        tables, stamps = versioned
        return Snapshot(revision, f"DVC at {commit[:12]}", tables, from_stamps(stamps) if stamps else None, sources)
    places = [pattern.format(dataset=dataset) for pattern in PUBLISHED]
    folder = next((place for place in places if reading(f"{place}/{dataset}.csv") is not None), places[0])
    texts = {table: reading(f"{folder}/{name}") for table, name in _names(dataset).items()}
    tables = {table: text for table, text in texts.items() if text is not None}
    if "main" not in tables:
        raise UserError(
            f"{revision}: no results of {dataset} at {commit[:12]}: neither {layout.TABLE.format(dataset=dataset)} in "
            f"its dvc.lock and DVC's cache or remote (try `dvc fetch --all-commits`), nor {folder}/{dataset}.csv in "
            "Git; check it out, run `make publish` and commit"
        )
    stamps = _published_stamps(lambda path: reading(f"{folder}/{path}"))
    return Snapshot(revision, f"{folder} at {commit[:12]}", tables, from_stamps(stamps) if stamps else None, sources)


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
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise UserError(
            f"git could not be started ({error.strerror}); a revision needs it, a folder does not"
        ) from error
    return done.stdout if done.returncode == 0 else None


def _git_reader(commit: str) -> Read:
    return lambda path: _git("show", f"{commit}:./{path}")


def _git_listing(commit: str) -> Callable[[str], list[str]]:
    def under(folder: str) -> list[str]:
        return (_git("ls-tree", "-r", "--name-only", commit, "--", f"./{folder}") or "").splitlines()

    return under


def _through_dvc(commit: str, dataset: str, reading: Read) -> tuple[dict[str, str], list[dict[str, Any]]] | None:
    """Tables and stamps that a commit's dvc.lock names, from DVC's cache or remote; None where these have no table."""
    if str(PurePosixPath(layout.TABLE).parent) not in (reading("dvc.lock") or ""):
        return None
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        files = DVCFileSystem(str(Path.cwd()), rev=commit)
        texts = {table: _dvc_text(files, pattern.format(dataset=dataset)) for table, pattern in TABLES.items()}
        stamps = [stamp for path, text in _dvc_stamps(files, dataset) for stamp in _stamps_of(dataset, path, text)]
    except DvcException:  # no repository of DVC's, or one that it cannot read
        return None
    tables = {table: text for table, text in texts.items() if text is not None}
    return (tables, stamps) if "main" in tables else None


def _dvc_text(files: Any, path: str) -> str | None:
    """The text of a file that DVC tracks; None where neither cache nor remote has it."""
    try:
        return str(files.read_text(path))
    except OSError:
        return None


def _dvc_stamps(files: Any, dataset: str) -> Iterator[tuple[str, str]]:
    """The stamps that DVC tracks and has."""
    for folder in ("results", f"data/prepared/{dataset}"):
        for path in files.find(folder) if files.exists(folder) else []:
            text = _dvc_text(files, path) if path.endswith(STAMP) else None
            if text is not None:
                yield path, text
