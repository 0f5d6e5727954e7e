"""Splits and classes from the names of files, folders and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

__all__ = [
    "SPLITS",
    "SPLIT_OPTIONS",
    "by_split",
    "class_names",
    "folder_split",
    "listed",
    "matches",
    "split_of",
    "words",
]

SPLITS: Mapping[str, str] = {
    "train": "train", "training": "train", "trn": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid", "eval": "valid", "evaluation": "valid",
    "test": "test", "testing": "test", "tst": "test", "t10k": "test", "holdout": "test", "heldout": "test",
}  # fmt: skip
"""What the splits are called in folders and files, by the names that they have here."""

ORDER = ("train", "valid", "test")

SPLIT_OPTIONS: Mapping[str, str] = {split: f"{split}_files" for split in ORDER}
"""Options of readers of several files: lists of names, folders or patterns, for names that do not tell."""

SILENT = frozenset(
    ["a", "data", "dataset", "digits", "folder", "image", "images", "img", "imgs", "jpg", "jpeg", "photos", "pictures",
     "png", "set", "sets", "split", "the"]
)  # fmt: skip
"""Words that may stand next to a split's in a folder's name."""

WORD = re.compile(r"t10k|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(name: str) -> list[str]:
    """The words of a name, in lower case: `x_train`, `trainImages`, `UHTelPCC-train 2` all have `train`."""
    return [word.lower() for word in WORD.findall(name)]


def split_of(name: str) -> str | None:
    """The split that a relative path names: its file's name first, then its folders from the inmost outwards.

    Raises ValueError for a name that has the words of two splits.
    """
    parts = PurePosixPath(name).parts
    for part in reversed(parts):
        named = {SPLITS[word] for word in words(part) if word in SPLITS}
        if len(named) > 1:
            raise ValueError(f"{name}: its name has words of two splits, {' and '.join(sorted(named))}; {CHOOSE}")
        if named:
            return named.pop()
    return None


def folder_split(name: str) -> str | None:
    """The split of a folder that is called by a split's word alone: `Train`, `test_set`, `val2017`, no `test_tubes`."""
    telling = [word for word in words(name) if word not in SILENT and not word.isdigit()]
    return SPLITS.get(telling[0]) if len(telling) == 1 else None


CHOOSE = "say which are which, for instance `options: {train_files: [NAME, ...], test_files: [NAME, ...]}`"


def by_split(names: Sequence[str], options: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of each split, train first: as `options` say, else by the words in the names.

    Without any such word all are training data. Raises ValueError where only some have one.
    """
    if told(options):
        return _as_told(names, options)
    splits = {name: split_of(name) for name in names}
    without = [name for name, split in splits.items() if split is None]
    if without and len(without) < len(names):
        known = next(name for name, split in splits.items() if split is not None)
        raise ValueError(f"{listed(without)}: names no split, but {known} does; {CHOOSE}")
    return _grouped((split or "train", name) for name, split in splits.items())


def told(options: Mapping[str, Any]) -> bool:
    """Whether the options say which files are which split's."""
    return any(options.get(option) for option in SPLIT_OPTIONS.values())


def patterns_of(options: Mapping[str, Any], split: str) -> list[str]:
    """The names and patterns that the options have for a split."""
    patterns = options.get(SPLIT_OPTIONS[split]) or []
    return list(map(str, patterns)) if isinstance(patterns, list | tuple) else [str(patterns)]


def _as_told(names: Sequence[str], options: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that the options' patterns match; every pattern must match something, and no name two splits."""
    found: dict[str, str] = {}
    for split, option in SPLIT_OPTIONS.items():
        for pattern in patterns_of(options, split):
            matched = [name for name in names if matches(name, pattern)]
            if not matched:
                raise ValueError(f"options.{option}: no file for {pattern!r}; there are: {listed(names)}")
            for name in matched:
                if found.setdefault(name, split) != split:
                    raise ValueError(f"options.{option}: {name} is {found[name]} already; expected one split")
    return _grouped((split, name) for name, split in found.items())


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern is a relative path, its last part, or a folder that it is in."""
    path = PurePosixPath(name)
    inside = [str(parent) for parent in path.parents][:-1]
    return any(fnmatchcase(item, pattern.rstrip("/")) for item in (name, path.name, *inside))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for split, name in pairs:
        groups.setdefault(split, []).append(name)
    return dict(sorted(groups.items(), key=lambda item: ORDER.index(item[0])))


def listed(names: Iterable[object], most: int = 5) -> str:
    """Some names in words, and how many more there are."""
    every = list(map(str, names))
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


MOST_CLASSES = 100_000
"""More are no classes but identities, or a mistake."""


def numbered(count: int | None, first: int = 0) -> list[str]:
    """The names of so many classes that have only numbers; ValueError for none, and for more than can be meant."""
    if count is None:
        raise ValueError("labels: found no class names; give the number of classes as `classes`")
    if count > MOST_CLASSES:
        raise ValueError(f"labels: found {count:,} classes, expected at most {MOST_CLASSES:,}; are they identities?")
    return list(map(str, range(first, first + count)))


def class_names(labels: Iterable[object], classes: int | None = None) -> list[str]:
    """The classes of labels that are texts or numbers, in order: numbers as numbers, texts by their letters.

    Numbers below `classes` are those of so many classes, some of which may have no image.
    """
    texts = set(map(str, labels))
    if not all(re.fullmatch(r"0|-?[1-9]\d{0,17}", text) for text in texts):
        return sorted(texts)
    numbers = sorted(map(int, texts))
    if numbers and classes and numbers[0] >= 0 and numbers[-1] < classes:
        return numbered(classes)
    return list(map(str, numbers))
