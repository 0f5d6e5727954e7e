"""What made some results, gathered from their stamps or from a revision's files, and how two of them differ."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline.core.errors import UserError
from pipeline.workflow import job_hash

RUNTIME_ONLY = True

Stamp = Mapping[str, Any]
Change = dict[str, Any]

NONE = "(none)"
WHOSE = ("dataset", "model", "seed")
LEFT_OUT = {"track": (*WHOSE, "models")}
"""Keys of a stage's block that are told elsewhere: by the wildcards, or by the stages that trained the models."""
PINNED = re.compile(rf"^({'|'.join(job_hash.NUMERICAL.values())})==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Provenance:
    """`settings`: (stage, model or '') -> dotted key -> value; `modules`, `versions`: name -> what was found of it.

    More than one digest or version of a name means that its results were not made at one time.
    """

    settings: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    modules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    versions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Module -> stages that imported it; empty where no stamp told."""

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


def from_stamps(stamps: Iterable[Stamp]) -> Provenance:
    """What the stamps of one data set's results say together."""
    settings: dict[tuple[str, str], dict[str, Any]] = {}
    modules: dict[str, set[str]] = {}
    versions: dict[str, set[str]] = {}
    users: dict[str, set[str]] = {}
    for stamp in stamps:
        block = {key: value for key, value in stamp["block"].items() if key not in LEFT_OUT.get(stamp["stage"], WHOSE)}
        settings.setdefault((stamp["stage"], stamp["block"].get("model", "")), {}).update(flattened(block))
        for name, found in stamp["modules"].items():
            modules.setdefault(name, set()).add(found)
            users.setdefault(name, set()).add(stamp["stage"])
        for name, found in {**stamp["versions"], "device": stamp["device"]}.items():
            versions.setdefault(name, set()).add(found)
    return Provenance(settings, _frozen(modules), _frozen(versions), _frozen(users))


def _frozen(sets: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(found) for name, found in sorted(sets.items())}


def from_sources(params: str, modules: Mapping[str, str], requirements: str | None) -> Provenance:
    """What a revision's params.yaml, its modules (dotted name -> text) and its locked requirements say.

    Raises `UserError` for params that are no YAML or a module that is no Python.
    """
    try:
        settings = {("params.yaml", ""): flattened(yaml.safe_load(params) or {})}
    except yaml.YAMLError as error:
        raise UserError(f"params.yaml: not readable as YAML ({error})") from error
    digests = {name: frozenset({_digest_of(name, text)}) for name, text in sorted(modules.items())}
    pinned = {name: frozenset({found}) for name, found in PINNED.findall(requirements or "")}
    return Provenance(settings, digests, pinned)


def _digest_of(name: str, text: str) -> str:
    try:
        return job_hash.tree_digest(ast.parse(text))
    except SyntaxError as error:
        raise UserError(f"{name}: line {error.lineno}: {error.msg}") from error


def changed_settings(a: Provenance, b: Provenance) -> list[Change]:
    """Params that differ: {key, models, stages, a, b}, once for all that share a change.

    A stage or a model that one side alone has is left out: its rows tell.
    """
    owners: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for owner in sorted(set(a.settings) & set(b.settings)):
        first, second = a.settings[owner], b.settings[owner]
        for key in [*first, *(key for key in second if key not in first)]:
            old, new = (side.get(key, NONE) for side in (first, second))
            if old != new:
                owners.setdefault((key, _text(old), _text(new)), []).append(owner)
    return [
        {
            "key": key,
            "models": sorted({model for _, model in found if model}),
            "stages": sorted({stage for stage, _ in found}),
            "a": old,
            "b": new,
        }
        for (key, old, new), found in sorted(owners.items(), key=lambda item: item[1])
    ]


def _text(value: Any) -> str:
    """A value in one line, as YAML's flow style has it."""
    if isinstance(value, str):
        return value
    return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).removesuffix("\n...\n").strip()


def changed_modules(a: Provenance, b: Provenance) -> list[Change]:
    """Modules whose syntax trees differ or that one side lacks: {module, change, stages}."""
    changes = []
    for name in sorted(set(a.modules) | set(b.modules)):
        if a.modules.get(name) != b.modules.get(name):
            change = "only in A" if name not in b.modules else "only in B" if name not in a.modules else "changed"
            stages = sorted(a.users.get(name, frozenset()) | b.users.get(name, frozenset()))
            changes.append({"module": name, "change": change, "stages": stages})
    return changes


def changed_versions(a: Provenance, b: Provenance) -> list[Change]:
    """Libraries (and the device) that differ: {library, a, b}."""
    return [
        {"library": name, "a": _all(a.versions.get(name)), "b": _all(b.versions.get(name))}
        for name in sorted(set(a.versions) | set(b.versions))
        if a.versions.get(name) != b.versions.get(name)
    ]


def _all(found: frozenset[str] | None) -> str:
    return " and ".join(sorted(found)) if found else NONE


def setting_words(change: Change) -> str:
    """'draw: arguments.glimpses: 10 -> 20 (sample, train)'."""
    owner = f"{', '.join(change['models'])}: " if change["models"] else ""
    return f"{owner}{change['key']}: {change['a']} -> {change['b']}{_stages(change)}"


def module_words(change: Change) -> str:
    """'pipeline/models/draw.py changed (train, sample)'."""
    return f"{change['module'].replace('.', '/')}.py {change['change']}{_stages(change)}"


def version_words(change: Change) -> str:
    """'torch 2.14.0 -> 2.15.0'."""
    return f"{change['library']} {change['a']} -> {change['b']}"


def _stages(change: Change) -> str:
    named = [stage for stage in change["stages"] if stage != "params.yaml"]
    return f" ({', '.join(named)})" if named else ""
