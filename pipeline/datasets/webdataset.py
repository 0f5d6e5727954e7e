"""WebDataset: shards that are .tar files, in which files of one name but for the ending are one example.

    train-000000.tar    000001.jpg, 000001.cls, 000002.jpg, 000002.cls, ...

`.cls` holds the label, a number or a text; `.json` may hold it under `label`. The shards' names say the splits.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Container, Iterator, Mapping, Sequence
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

Key = tuple[Path, str]
"""Shard and name without its ending."""


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
    known = class_names((label for label in found.values() if label is not None), options.get("classes"))
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


def ending(name: str) -> str:
    """How a member's name ends, in lower case: `.jpg`."""
    return PurePosixPath(name).suffix.lower()


def key(name: str, companions: Container[Key], path: Path) -> Key:
    """The example that an image is of: the name before its first dot where another member is called so, else its last.

    So `foo.input.jpg` belongs to `foo.cls`, and `22.05.jpg` to `22.05.cls`.
    """
    at = PurePosixPath(name)
    first = path, str(at.parent / at.name.partition(".")[0])
    return first if first in companions else (path, str(at.with_suffix("")))


def labels(paths: Sequence[Path], chosen: str | None) -> dict[Key, str | None]:
    """The labels of all examples that have another member than the image, or None."""
    found: dict[Key, str | None] = {}
    for path in paths:
        for name, content in contents(path, lambda name: not is_picture(name)):
            own = path, str(PurePosixPath(name).with_suffix(""))
            label = label_in(f"{path.name}: {name}", ending(name), content, chosen)
            found[own] = found.get(own) if label is None else label
    return found


def is_picture(name: str) -> bool:
    """Whether a member is the image of its example."""
    return ending(name) in endings()


def label_in(name: str, kind: str, content: bytes, chosen: str | None) -> str | None:
    """The label that a member holds, or None."""
    if kind == ".cls" or (chosen is not None and kind == f".{chosen}"):
        return content.decode("utf-8", "replace").strip()
    if kind != ".json":
        return None
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: no JSON, or damaged ({error})") from None
    value = row.get(chosen or "label") if isinstance(row, dict) else None
    return None if value is None or isinstance(value, list | dict) else str(value)


def examples(paths: Sequence[Path], found: Mapping[Key, str | None], numbers: Mapping[str, int]) -> Iterator[Example]:
    """The images of some shards, in their order, with their labels."""
    for path in paths:
        seen: set[Key] = set()
        for name, content in contents(path, is_picture):
            own = key(name, found, path)
            if own in seen:
                raise ValueError(f"{path.name}: {name}: a second image of one example; expected one")
            seen.add(own)
            label = found.get(own)
            yield (
                f"{path.name}: {name}",
                functools.partial(decoded, name, content),
                None if label is None else numbers[label],
            )
