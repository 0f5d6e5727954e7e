"""What made some results, gathered from the records of their jobs, and how two of them differ."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Record = Mapping[str, Any]

NONE = "(none)"
WILDCARDS = ("dataset", "model", "seed")
LEFT_OUT = {"track": (*WILDCARDS, "models")}
"""Keys of a stage's block that are told elsewhere: by the wildcards, or by the stages that trained the models."""


@dataclass(frozen=True)
class Provenance:
    """`settings`: (stage, model or '') -> dotted key -> value; `modules`, `versions`: name -> what was found of it.

    More than one digest or version of a name means that its results were not made at one time.
    """

    settings: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    modules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    versions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Module -> stages that imported it."""

    def as_json(self) -> dict[str, Any]:
        """Nested mappings and lists, for a file."""
        named = {" ".join(owner).strip(): dict(found) for owner, found in sorted(self.settings.items())}
        sets = {"modules": self.modules, "versions": self.versions, "users": self.users}
        return {"settings": named} | {name: {key: sorted(v) for key, v in of.items()} for name, of in sets.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Provenance:
        """Inverts `as_json`."""
        settings = {(*name.split(" "), "")[:2]: found for name, found in content["settings"].items()}
        sets = ({key: frozenset(v) for key, v in content[name].items()} for name in ("modules", "versions", "users"))
        return cls(settings, *sets)


def flattened(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def from_records(records: Iterable[Record]) -> Provenance:
    """What the records of one data set's results say together."""
    settings: dict[tuple[str, str], dict[str, Any]] = {}
    modules, versions, users = (collections.defaultdict[str, set[str]](set) for _ in range(3))
    for record in records:
        stage, config = record["stage"], record["config"]
        shown_keys = {key: value for key, value in config.items() if key not in LEFT_OUT.get(stage, WILDCARDS)}
        settings.setdefault((stage, config.get("model", "")), {}).update(flattened(shown_keys))
        for name, found in record["modules"].items():
            modules[name].add(found)
            users[name].add(stage)
        for name, found in {**record["versions"], "device": record["device"]}.items():
            versions[name].add(found)
    return Provenance(settings, _frozen(modules), _frozen(versions), _frozen(users))


def _frozen(sets: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(found) for name, found in sorted(sets.items())}


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both values; NONE where one side has no such key."""
    for key in [*new, *(key for key in old if key not in new)]:
        if old.get(key, NONE) != new.get(key, NONE):
            yield key, old.get(key, NONE), new.get(key, NONE)


@dataclass(frozen=True)
class Change:
    """One difference in what made two results A and B."""

    kind: str
    """params, code or versions."""
    name: str
    """The dotted key, the module, or the library (or `device`)."""
    a: str
    b: str
    verdict: str = "changed"
    models: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Such as 'draw: arguments.glimpses: 10 -> 20 (train)' or 'pipeline/models/draw.py changed (train)'."""
        stages = f" ({', '.join(self.stages)})" if self.stages else ""
        if self.kind == "code":
            return f"{self.name.replace('.', '/')}.py {self.verdict}{stages}"
        owner = f"{', '.join(self.models)}: " if self.models else ""
        colon = ":" if self.kind == "params" else ""
        return f"{owner}{self.name}{colon} {self.a} -> {self.b}{stages}"


def differences(a: Provenance, b: Provenance) -> list[Change]:
    """Params, then modules, then libraries that differ.

    Params are listed once for all models and stages that share a change. A stage or a model that one side alone has is
    left out: its rows tell.
    """
    owners: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for owner in sorted(set(a.settings) & set(b.settings)):
        for key, old, new in changes(a.settings[owner], b.settings[owner]):
            owners.setdefault((key, _text(old), _text(new)), []).append(owner)
    found = []
    for (key, old, new), jobs in sorted(owners.items(), key=lambda item: item[1]):
        stages, models = (tuple(sorted({job[k] for job in jobs if job[k]})) for k in (0, 1))
        found.append(Change("params", key, old, new, models=models, stages=stages))
    for name, old, new in sorted(changes(a.modules, b.modules)):
        verdict = "only in A" if new == NONE else "only in B" if old == NONE else "changed"
        users = a.users.get(name, frozenset()) | b.users.get(name, frozenset())
        found.append(Change("code", name, "", "", verdict, stages=tuple(sorted(users))))
    versions = sorted(changes(a.versions, b.versions))
    return found + [Change("versions", name, _all(old), _all(new)) for name, old, new in versions]


def _text(value: Any) -> str:
    """A value in one line, as YAML's flow style has it."""
    if isinstance(value, str):
        return value
    return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).removesuffix("\n...\n").strip()


def _all(versions: Any) -> str:
    return NONE if versions == NONE else " and ".join(sorted(versions))
