"""Snakemake's records of what it made, rebuilt from the stamps beside the files whenever the workflow is loaded.

Snakemake decides what to run by its own records in `.snakemake/metadata`: the params of each output's job and the
checksums of its inputs. They are missing after a clone and a pull, and out of date after a stage that was run by hand
or a `dvc checkout`; a clock would decide then. The stamp beside a file says who made these very bytes from what, and
travels with them. So the stamps are the truth: a record that says something else is rewritten, nothing is blessed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import layout, stamps

RUNTIME_ONLY = True

UNSOUND = "no sound stamp"
"""What stands in the place of an identity for a file that lacks a stamp, or is not as long as its stamp says."""

MOST_NAMED = 8
"""Unsound files, of which a person is told by name."""


@dataclass(frozen=True)
class Made:
    """One existing file of the workflow: which stage's it is, and what its stamp says."""

    path: str
    stage: str | None
    identity: str
    checksum: str
    inputs: Mapping[str, str]
    siblings: tuple[str, ...]
    """All files of the job that made it."""


def reconcile(folder: Path = Path(), say: Callable[[str], object] = lambda line: None) -> int:
    """Rewrite the records in `.snakemake` that differ from the stamps of existing files; how many there were.

    `say` gets a line for each file whose stamp is not about its bytes: it will not be used.
    """
    made = {item.path: item for item in existing(folder)}
    records = _Records(folder)
    every = [*made.values(), *absent(made)]
    wrong = [path for path in made if made[path].identity == UNSOUND and artifacts.stamp_path(folder / path).exists()]
    for path in wrong[:MOST_NAMED]:
        say(f"{path}: not what its stamp says (damaged, changed by hand, or its job was killed there); not used")
    if len(wrong) > MOST_NAMED:
        say(f"and {len(wrong) - MOST_NAMED} more files that are not what their stamps say")
    return sum(records.correct(item, checksums(item, made)) for item in every)


def absent(made: Mapping[str, Made]) -> Iterator[Made]:
    """Files of a job that are not there while others of it are, as if they were: what made the others made them.

    Snakemake makes them when something asks for them. Without a record it would not look at the others' either.
    """
    for item in made.values():
        for path in item.siblings:
            if path not in made:
                yield replace(item, path=path)


def existing(folder: Path = Path()) -> Iterator[Made]:
    """Every file of the layout that lies in a folder, with its stamp."""
    patterns = {re.sub(r"\{\w+\}", "*", pattern) for patterns in layout.OUTPUTS.values() for pattern in patterns}
    paths = {path for pattern in patterns for path in folder.glob(pattern)}
    sums = Sums(folder)
    for path in sorted(paths):
        if not path.name.endswith(artifacts.STAMP):
            yield _made(path, path.relative_to(folder).as_posix(), sums)
    sums.keep()


def _made(path: Path, name: str, sums: Sums) -> Made:
    stamp = stamps.read(path)
    try:
        if stamp and sums.of(path, name) == (stamp["bytes"], stamp["sha256"]):
            stage, checksum = stamp["stage"], f"sha256:{stamp['sha256']}"
            patterns = layout.outputs(stage, stamp["block"])
            siblings = tuple(pattern.format(**stamp["block"]) for pattern in patterns)
            if name in siblings:  # else it is another file's stamp
                return Made(name, stage, stamp["identity"], checksum, stamp["inputs"], siblings)
    except (OSError, LookupError, TypeError):
        pass  # no sound stamp, whatever is wrong with it
    return Made(name, None, UNSOUND, "", {}, ())


class Sums:
    """Length and SHA-256 of files, remembered as long as a file's time, length and inode stay.

    The clock only spares work: a file that was changed behind its back is refused by the stage that reads it.
    """

    def __init__(self, folder: Path = Path()) -> None:
        self.path = path = folder / ".snakemake" / "easel-sums.json"
        self.before: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = artifacts.read_json(path)
            self.before = found if isinstance(found, dict) else {}
        self.now: dict[str, Any] = {}

    def of(self, path: Path, name: str) -> tuple[int, str]:
        """Length and SHA-256 of a file."""
        found = path.stat()
        seen = [found.st_mtime_ns, found.st_size, found.st_ino]
        known = self.before.get(name)
        fresh = not isinstance(known, list) or known[:3] != seen or len(known) != 4
        self.now[name] = [*seen, artifacts.sha256(path)] if fresh else known
        return found.st_size, self.now[name][3]

    def keep(self) -> None:
        """Remember them for the next time, where that may be written."""
        if self.now != self.before:
            with contextlib.suppress(UserError):
                artifacts.write_json(self.path, self.now)


def checksums(item: Made, made: Mapping[str, Made]) -> dict[str, str]:
    """Checksum of each input that is still what the file was made from; Snakemake compares them where clocks differ."""
    return {
        path: made[path].checksum
        for path, identity in item.inputs.items()
        if path in made and made[path].identity == identity
    }


class _Records:
    """Snakemake's own files of records, in its own format."""

    def __init__(self, folder: Path) -> None:
        # Snakemake has imported both already when a Snakefile is loaded.
        from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
        from snakemake.persistence.file import FilePersistence

        self.version, self.blank = RECORD_FORMAT_VERSION, MetadataRecord
        self.files = FilePersistence(nolock=True, path=folder.absolute() / ".snakemake")

    def correct(self, item: Made, sums: dict[str, str]) -> bool:
        """Make one file's record say what its stamp says; False if it did."""
        found: dict[str, Any] = self.files._io_read(self.files._metadata_path, item.path)
        params, known = [repr(item.identity)], found.get("input_checksums") or {}
        same = found.get("params") == params and found.get("record_format_version") == self.version
        if same and known.items() >= sums.items():
            return False
        record = self.blank(
            rule=item.stage, params=params, input_checksums=known | sums, record_format_version=self.version
        )
        self.files._write_record(item.path, record)
        return True
