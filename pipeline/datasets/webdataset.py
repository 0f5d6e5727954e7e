"""WebDataset: shards that are .tar files, in which files of one name but for the ending are one example.

    train-000000.tar    000001.jpg, 000001.cls, 000002.jpg, 000002.cls, ...

`.cls` holds the label, a number or a text; `.json` may hold it under `label`. The shards' names say the splits.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.datasets.fitting import decoded, endings
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.members import contents, is_archive
from pipeline.datasets.naming import by_split, class_names, listed
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("label", "class_names", "train_files", "valid_files", "test_files", "broken")
"""What a block of params.yaml may say under `options`: the ending of the label's file or the key in `.json`, ..."""

Labels = dict[tuple[Path, str], str]
"""Shard and name without its ending -> the label of an example."""


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """All examples of the shards of each split; ValueError, with the member's name, for what is no such shard."""
    at = place(raw_folder, options)
    folder, names = (at.parent, [at.name]) if at.is_file() else (at, shards(at, options))
    if not names:
        raise ValueError(f"{at}: no .tar in it; expected WebDataset's shards")
    grouped = by_split(names, options)
    paths = {split: [folder / name for name in files] for split, files in grouped.items()}
    found = labels([path for files in paths.values() for path in files], options.get("label"))
    source = Source("none", {split: listed(files, 3) for split, files in grouped.items()}, files=len(names))
    known = class_names(found.values(), options.get("classes"))
    if known:
        source.labels = "files of each example"
    numbers = {name: number for number, name in enumerate(known)}
    splits = {split: examples(files, found, numbers) for split, files in paths.items()}
    return spooled(splits, raw_folder, options, list(map(str, options.get("class_names") or known)), source)


def shards(folder: Path, options: Mapping[str, Any]) -> list[str]:
    """Relative names of the shards, in order."""
    listed_files = sorted(options.get("files") or ())
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.tar*") if is_archive(path))
    return listed_files or [name for name in found if not name.endswith(".zip")]


def parts(name: str) -> tuple[str, str]:
    """A member's name without its ending, which begins at the first dot of the file's name; and the ending."""
    path = PurePosixPath(name)
    stem, dot, ending = path.name.partition(".")
    return str(path.parent / stem), f"{dot}{ending}".lower()


def labels(paths: Sequence[Path], chosen: str | None) -> Labels:
    """The labels of all examples that have one."""
    found: Labels = {}
    for path in paths:
        for name, content in contents(path, lambda name: not is_picture(parts(name)[1])):
            key, ending = parts(name)
            label = label_in(f"{path.name}: {name}", ending, content, chosen)
            if label is not None:
                found[path, key] = label
    return found


def is_picture(ending: str) -> bool:
    """Whether a member is the image of its example: `.jpg`, or `.input.jpg`."""
    return ending.endswith(endings())


def label_in(name: str, ending: str, content: bytes, chosen: str | None) -> str | None:
    """The label that a member holds, or None."""
    if ending == ".cls" or (chosen is not None and ending == f".{chosen}"):
        return content.decode("utf-8", "replace").strip()
    if ending != ".json":
        return None
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: no JSON, or damaged ({error})") from None
    value = row.get(chosen or "label") if isinstance(row, dict) else None
    return None if value is None or isinstance(value, list | dict) else str(value)


def examples(paths: Sequence[Path], found: Labels, numbers: Mapping[str, int]) -> Iterator[Example]:
    """The images of some shards, in their order, with their labels."""
    for path in paths:
        seen: set[str] = set()
        for name, content in contents(path, lambda name: is_picture(parts(name)[1])):
            key, _ = parts(name)
            if key in seen:
                raise ValueError(f"{path.name}: {name}: a second image of one example; expected one")
            seen.add(key)
            label = found.get((path, key))
            yield (
                f"{path.name}: {name}",
                functools.partial(decoded, name, content),
                None if label is None else numbers[label],
            )
