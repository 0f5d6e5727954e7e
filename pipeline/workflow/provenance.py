"""What differs between two records of one job: parameters, code and library versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]

NONE = "(none)"
LONGEST = 60
"""Characters of a value that are printed."""


@dataclass(frozen=True)
class Change:
    """One difference between an older record A and a newer one B."""

    kind: str
    """params, code or versions; damaged, of stored files, has what is wrong as its name."""
    name: str
    """The dotted key, the module, or the library (or `device`)."""
    a: str = ""
    b: str = ""

    def __str__(self) -> str:
        """Such as 'arguments.glimpses 10 -> 20', '+ pipeline/models/draw.py' or 'torch 2.1.0 -> 2.2.0'."""
        if self.kind == "damaged":
            return self.name
        if self.kind == "code":
            sign = "+ " if self.a == NONE else "- " if self.b == NONE else ""
            return f"{sign}{self.name.replace('.', '/')}.py"
        values = (text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..." for text in (self.a, self.b))
        return f"{self.name} {' -> '.join(values)}"


MADE_BY: dict[str, Callable[[Record], Mapping[str, Any]]] = {
    "params": lambda record: flattened(record["config"]),
    "code": lambda record: record["modules"],
    "versions": lambda record: {**record["versions"], "device": str(record.get("device"))},
}
"""Kind of change -> what of a record it looks at; the device decides the bits as libraries do."""


def differences(a: Record, b: Record) -> Iterator[Change]:
    """What differs between two records, but for the hashes of their inputs; NONE where one side has no such key."""
    for kind, part in MADE_BY.items():
        old, new = part(a), part(b)
        for name in dict.fromkeys([*new, *old]):
            if old.get(name, NONE) != new.get(name, NONE):
                yield Change(kind, name, _text(old.get(name, NONE)), _text(new.get(name, NONE)))


def between(a: Iterable[Record], b: Iterable[Record]) -> dict[Change, list[Record]]:
    """Each difference between records of the same jobs, with B's records that have it; the jobs of one side are none.

    `track` makes no number: its parameters are those of the trainings again.
    """
    found: dict[Change, list[Record]] = {}
    before = {_job(record): record for record in a}
    for record in b:
        if record["stage"] != "track" and _job(record) in before:
            for change in differences(before[_job(record)], record):
                found.setdefault(change, []).append(record)
    return found


def _job(record: Record) -> str:
    return json.dumps([record["stage"], record["wildcards"]], sort_keys=True)


def flattened(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.15g}"
    return value if isinstance(value, str) else json.dumps(value)
