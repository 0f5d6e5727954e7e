"""The stamp beside a file, believed only where it has a stamp's shape: anybody may have edited it, or a disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core import artifacts, untrusted
from pipeline.core.errors import UserError
from pipeline.workflow import job_hash

RUNTIME_ONLY = True

REQUIRED = {"identity": str, "sha256": str, "bytes": int}
OPTIONAL = {"stage": str, "block": dict, "modules": dict, "versions": dict, "inputs": dict}


def read(path: Path) -> dict[str, Any] | None:
    """The stamp of a file; None where it is missing, not readable, or of another shape."""
    try:
        stamp = untrusted.read_json(artifacts.stamp_path(path))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and is_one(stamp) else None


def checked(path: Path) -> dict[str, Any]:
    """The stamp of a file whose bytes are what it says.

    Raises `UserError` naming the file if it or its stamp is missing, damaged or unreadable.
    """
    try:
        if path.exists() and read(path) is None:
            raise UserError(f"{path}: its stamp is missing or damaged; delete {path} and run the same command")
        return artifacts.checked_stamp(path)
    except OSError as error:
        raise UserError(
            f"{path}: could not be read: {error.strerror}; mend its rights or the disk, then run the same command again"
        ) from error


def is_one(stamp: dict[str, Any]) -> bool:
    """Whether a mapping has a stamp's keys, each of its kind."""
    return all(isinstance(stamp.get(key), kind) for key, kind in REQUIRED.items()) and has_shape(stamp)


def has_shape(stamp: dict[str, Any]) -> bool:
    """Whether those of a stamp's keys that tell what made a file are each of their kind."""
    if not all(isinstance(stamp[key], kind) for key, kind in OPTIONAL.items() if key in stamp):
        return False
    named = [stamp.get(key, {}) for key in ("modules", "versions", "inputs")]
    return all(isinstance(value, str) for found in named for value in found.values()) and all(
        job_hash.MODULE.fullmatch(name) for name in stamp.get("modules", {})
    )
