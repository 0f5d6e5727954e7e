"""Results stored by job hash: their records, and whether the files are as recorded.

A job's folder holds its files and `job.json`, written last. A folder with a record is the result of exactly the job
that its name states; without one it is unfinished.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core import artifacts, locks, untrusted
from pipeline.core.errors import UserError
from pipeline.workflow import job_hash, layout

Record = dict[str, Any]

SHAPE = {
    "hash": str, "stage": str, "wildcards": dict, "config": dict, "modules": dict, "versions": dict, "inputs": dict,
    "files": dict,
}  # fmt: skip
"""Keys of a record that say what made the files, and their types."""

LOCKS = Path("results/.locks")
LONG_AGO = 315_532_800.0
"""1980-01-01, in seconds."""


def read(folder: Path) -> Record | None:
    """The record of a folder; None where it is missing, not readable, or not a record."""
    try:
        return parse((folder / layout.RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def parse(text: str) -> Record | None:
    """A record from its text; None if it is not one."""
    try:
        record = untrusted.parsed_json(text)
    except ValueError:
        return None
    return record if is_record(record) else None


def is_record(record: Any) -> bool:
    """Whether a value has the keys and types of a record."""
    if not isinstance(record, dict) or not all(isinstance(record.get(key), kind) for key, kind in SHAPE.items()):
        return False
    named = (record["modules"], record["versions"], record["inputs"])
    files = record["files"].values()
    return (
        all(isinstance(value, str) for values in named for value in values.values())
        and all(job_hash.MODULE.fullmatch(name) for name in record["modules"])
        and all(isinstance(file, dict) and isinstance(file.get("bytes"), int) for file in files)
        and all(isinstance(file.get("sha256"), str) for file in files)
    )


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a finished job, with size and SHA-256 of every file in its folder.

    The files get the rights that the umask gives: safetensors writes files that only their owner can read.
    """
    umask = os.umask(0o077)
    os.umask(umask)
    files = {}
    for path in sorted(folder.glob("[!.]*")):
        if path.name != layout.RECORD:
            path.chmod(0o666 & ~umask)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": artifacts.sha256(path)}
    artifacts.write_json(folder / layout.RECORD, {**record, "files": files})


def age(paths: Iterable[Path]) -> None:
    """Give files that a job has read an old time; their content is known by its hash.

    When a job ends, Snakemake sets its outputs to the time of its own clock and deletes those that are older than an
    input, as they are after that clock was set back, or where two machines' clocks differ.
    """
    for path in paths:
        with contextlib.suppress(OSError):  # somebody else's file
            os.utime(path, (LONG_AGO, LONG_AGO))


def flaw(folder: Path, record: Record) -> str | None:
    """What is wrong with the files of a folder by their sizes; None if nothing."""
    for name, file in record["files"].items():
        try:
            size = (folder / name).stat().st_size
        except OSError:
            return f"{folder / name}: missing"
        if size != file["bytes"]:
            return f"{folder / name}: damaged (size {size:,}, expected {file['bytes']:,} bytes)"
    return None


def damage(folder: Path) -> str | None:
    """What is wrong with a folder that was once complete; None for a sound, an unfinished and a missing one."""
    if not (folder / layout.RECORD).exists():
        return None
    record = read(folder)
    return f"{folder / layout.RECORD}: damaged" if record is None else flaw(folder, record)


def is_complete(folder: Path) -> bool:
    """Whether a folder has a record and every file of it, at its recorded size."""
    record = read(folder)
    return record is not None and flaw(folder, record) is None


def checked(path: Path) -> Record:
    """The record of a stored file whose bytes are what the record says.

    Raises:
        UserError: the file or its record is missing, or its SHA-256 differs.
    """
    record = read(path.parent)
    if not path.parent.exists():
        raise UserError(
            f"{path}: not there yet, and a stage started by hand does not make its inputs; "
            f"`snakemake --cores all {path}` with the same settings makes it"
        )
    again = "run the same command to make it again"
    if record is None:
        raise UserError(f"{path.parent / layout.RECORD}: missing or damaged; delete {path.parent} and {again}")
    try:
        digest = artifacts.sha256(path)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; delete {path.parent} and {again}") from None
    except OSError as error:  # of reading, it has no name
        raise UserError(f"{path}: could not be read: {error.strerror}; check its rights and the disk") from error
    expected = digest if path.name == layout.RECORD else record["files"].get(path.name, {}).get("sha256")
    if digest != expected:
        raise UserError(
            f"{path}: damaged or edited (SHA-256 {digest[:12]}, expected {str(expected)[:12]}); "
            f"delete {path.parent} and {again}"
        )
    return record


def move_aside(folder: Path) -> Path:
    """Move a damaged folder out of the store, so that its job runs again."""
    target = Path(layout.DAMAGED) / f"{time.strftime('%Y%m%d-%H%M%S')}-{folder.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, target)
    return target


def records(root: Path = Path()) -> Iterator[tuple[Path, Record]]:
    """Every folder of the store that has a record, and the record."""
    for top in ("results/store", "data/prepared"):
        for path in sorted((root / top).rglob(layout.RECORD)):
            record = read(path.parent)
            if record is not None:
                yield path.parent, record


def copies(view: Path, stored: Path) -> dict[Path, Path]:
    """Copy -> stored file: of a view the file itself, of a folder of figures all that the job of a record drew.

    A figure of a single run is named after its run too.
    """
    if view.suffix:
        return {view: stored}
    record = read(stored.parent) or {"files": {}, "wildcards": {}}
    run = "".join(f"_{record['wildcards'][key]}" for key in ("model", "seed") if key in record["wildcards"])
    drawings = [Path(name) for name in record["files"] if name.endswith((".png", ".svg", "gallery.json"))]
    return {view / f"{name.stem}{run}{name.suffix}": stored.parent / name for name in drawings}


# --- jobs that run ----------------------------------------------------------------------------------------------------


def lock_of(name: str, folder: Path = LOCKS) -> Path:
    """The file of a job's lock."""
    return folder / (name.replace(" ", "-") + ".lock")


def is_being_written(name: str) -> bool:
    """Whether a live process holds a job's lock."""
    return locks.is_held(lock_of(name))


# --- specifications of submitted jobs -------------------------------------------------------------------------------


def write_specification(spec: Mapping[str, Any]) -> None:
    """Keep a job's specification under its hash: jobs run as they were planned, whatever params.yaml says later."""
    path = layout.path(layout.PLANNED, hash=spec["hash"])
    text = json.dumps(spec, indent=1)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        artifacts.write_text(path, text)


def specification(hash_: str) -> dict[str, Any]:
    """The specification of a submitted job.

    Raises:
        UserError: no running or earlier workflow of this folder submitted such a job.
    """
    if not layout.HASH.fullmatch(hash_):
        raise UserError(f"--job: found {hash_!r}, expected 16 hexadecimal digits")
    path = layout.path(layout.PLANNED, hash=hash_)
    try:
        spec: dict[str, Any] = untrusted.read_json(path)
    except (OSError, ValueError):
        raise UserError(
            f"job {hash_}: unknown (no {path}); its workflow was planned in another folder or with other parameters; "
            "run the snakemake command again"
        ) from None
    return spec
