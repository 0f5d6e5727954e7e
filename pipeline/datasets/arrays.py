"""NumPy arrays: images and labels as .npy files or in .npz archives, never a pickle.

Images are (n, H, W), (n, H, W, C), (n, C, H, W) or grey and flat (n, H * W), of numbers or Booleans; labels are whole
numbers (n,) or (n, 1). The names say which is which, as Keras (`x_train`, `y_test`), MedMNIST (`val_images`) and KMNIST
(`kmnist-train-imgs.npz` with one array) have them. Arrays of .npy files are memory-mapped; those of an archive are
unpacked one at a time.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.members import pointer_hint
from pipeline.datasets.naming import ORDER, SPLITS, listed, numbered, words
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("images", "labels", "class_names")
"""What a block of params.yaml may say under `options`: the arrays' names, and what the classes are called."""

WORDS = {
    "images": {"images", "image", "imgs", "img", "x", "data", "pixels", "faces"},
    "labels": {"labels", "label", "y", "targets", "target", "classes"},
}
"""Words of the arrays' names that say what they hold."""

NAMELESS = re.compile(r"arr_\d+")
"""An array that was saved without a name: the file's tells."""

Owners = dict[str, tuple[Path, str]]
"""What an array is called here -> its file and its name in it."""


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The splits that there are arrays of; ValueError for a damaged file or arrays of other kinds."""
    folder = place(raw_folder, options)
    listed_files = [folder / file for file in options.get("files") or ()]
    here = sorted(path for path in folder.glob("*.np[yz]") if path.is_file())
    paths = listed_files or ([folder] if folder.is_file() else here)
    owners = owners_of(paths)
    chosen = {what: roles(owners, what, options.get(what)) for what in WORDS}
    if "train" not in chosen["images"]:
        wanted = options.get("images") or "images"
        hint = "; say which, `options: {images: NAME, labels: NAME}`" if owners else ""
        raise ValueError(f"no array '{wanted}' in {folder}; there are: {', '.join(owners) or 'none'}{hint}")
    images = {split: chosen["images"][split] for split in ORDER if split in chosen["images"]}
    wanted = options.get("classes") != 0
    labels = {split: chosen["labels"].get(split) if wanted else None for split in images}
    source = sources(owners, images, labels, len(paths))
    marks = {split: labels_in(of, array(owners, of)) for split, of in labels.items() if of is not None}
    first, count = numbers_of(list(marks.values()), options.get("classes"))
    splits = {}
    for split, name in images.items():
        own = marks[split] - first if split in marks else None
        splits[split] = examples(name, laid_out(name, array(owners, name), options["shape"]), own)
    names = options.get("class_names") or numbered(count if labels["train"] else 0, first)
    return spooled(splits, raw_folder, options, tuple(map(str, names)), source)


def numbers_of(marks: list[NDArray[Any]], classes: int | None) -> tuple[int, int]:
    """The first class and how many there are: from 1 where no label is 0, unless the block counts one more."""
    low = min((int(of.min()) for of in marks if len(of)), default=0)
    high = max((int(of.max()) for of in marks if len(of)), default=-1)
    first = 1 if low == 1 and classes in (None, high) else 0
    return first, classes or high + 1 - first


def sources(owners: Owners, images: Mapping[str, str], labels: Mapping[str, str | None], files: int) -> Source:
    """Where splits and labels come from, and the arrays that nothing was made of."""
    source = Source(", ".join(f"array {name}" for name in labels.values() if name) or "none")
    source.files, source.splits = files, {split: f"array {name}" for split, name in images.items()}
    unused = [name for name in owners if name not in images.values() and name not in labels.values()]
    if unused:
        source.remarks.append(f"arrays not used: {listed(unused)}")
    return source


def owners_of(paths: list[Path]) -> Owners:
    """Every array by its name, or its file's where it has none; ValueError for a name that two files have."""
    owners: Owners = {}
    for path in paths:
        for name in names_in(path):
            known = path.stem if NAMELESS.fullmatch(name) and len(names_in(path)) == 1 else name
            if known in owners:
                raise ValueError(
                    f"array '{known}' is in {owners[known][0].name} and in {path.name}; rename one of them"
                )
            owners[known] = path, name
    return owners


def roles(owners: Owners, what: str, chosen: str | None) -> dict[str, str]:
    """Split -> its array of images or of labels; `chosen` is the one that the block names for training.

    Raises ValueError for a named array that is not there, and where two could be the same split's.
    """
    if chosen is not None:
        chosen = str(chosen)
        if chosen not in owners:
            raise ValueError(f"options.{what}: no array '{chosen}'; there are: {', '.join(owners) or 'none'}")
        return {"train": chosen} | {split: name for name in owners if (split := sibling(chosen, name)) is not None}
    found: dict[str, str] = {}
    for name in owners:
        split, kind = split_and_kind(name)
        if kind != what:
            continue
        if split in found:
            raise ValueError(
                f"arrays {found[split]} and {name} could both be {what} to {split}; say `options: {{{what}: NAME}}`"
            )
        found[split] = name
    return found


def split_and_kind(name: str) -> tuple[str, str | None]:
    """The split and the kind of an array by the words in its name; xtest is x_test."""
    parts = [part for word in words(name) for part in re.split(r"(?<=^[xy])(?=[a-z]{3})", word)]
    split = next((SPLITS[word] for word in parts if word in SPLITS), "train")
    return split, next((kind for kind, known in WORDS.items() if known & set(parts)), None)


def sibling(chosen: str, name: str) -> str | None:
    """The split of an array that is called as the chosen one is but for the split's word: x_test beside x_train."""
    ours, theirs = words(chosen), words(name)
    split = next((SPLITS[word] for word in theirs if word in SPLITS), "train")
    same = [word for word in ours if word not in SPLITS] == [word for word in theirs if word not in SPLITS]
    return split if same and split != "train" and name != chosen else None


def names_in(path: Path) -> list[str]:
    """What the arrays of a file are called: a .npy file's is the file's own."""
    if path.suffix == ".npy":
        return [path.stem]
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        hint = pointer_hint(path)
        raise ValueError(f"{path.name}: no .npz archive, or a damaged one ({error}){hint}") from None


def array(owners: Owners, name: str) -> NDArray[Any]:
    """One array, memory-mapped where it lies in a file of its own."""
    path, inner = owners[name]
    try:
        if path.suffix == ".npy":
            return np.asarray(np.lib.format.open_memmap(path, mode="r"))
        with np.load(path) as archive:
            return np.asarray(archive[inner])
    except Exception as error:  # NumPy raises of every kind for headers that are damaged
        raise ValueError(f"{path.name}: array '{inner}' cannot be read ({error}); pickles are refused") from None


def labels_in(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    """Labels (n,); ValueError unless they are whole numbers from 0."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        hint = "; take the index of the 1 in each row, or say `classes: 0`" if labels.ndim == 2 else ""
        raise ValueError(f"{name}: found {labels.dtype} {labels.shape}, expected whole numbers (n,){hint}")
    if len(labels) and labels.min() < 0:
        raise ValueError(f"{name}: found {labels.min()}, expected labels from 0")
    return labels


def laid_out(name: str, images: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Images as (n, H, W) or (n, H, W, C); ValueError for other shapes, and for those that can be read in two ways."""
    if images.dtype.kind not in "buif":
        raise ValueError(f"{name}: found {images.dtype} {images.shape}, expected uint8 or other numbers")
    if images.dtype.kind == "f" and not images.any():
        raise ValueError(f"{name}: found {images.dtype} {images.shape}, expected uint8, or numbers that are not all 0")
    if images.ndim == 2 and shape[0] == 1 and images.shape[1] == shape[1] * shape[2]:
        return images.reshape(-1, *shape[1:])
    if images.ndim == 3:
        return images
    channels = [images.ndim == 4 and images.shape[axis] in (1, 3) for axis in (1, -1)]
    if all(channels) and tuple(images.shape[1:3]) != tuple(shape[1:]) and images.shape[2:] == tuple(shape[1:]):
        channels[1] = False
    elif all(channels) and images.shape[1] == images.shape[2] == images.shape[3]:
        raise ValueError(f"{name}: found {images.shape}, where channels may be first or last; save them as (n, H, W)")
    if not any(channels):
        raise ValueError(
            f"{name}: found {images.dtype} {images.shape}, expected (n, H, W), (n, H, W, C) or (n, C, H, W) with "
            "1 or 3 channels"
        )
    return images if channels[1] else images.transpose(0, 2, 3, 1)


def examples(name: str, images: NDArray[Any], labels: NDArray[Any] | None) -> Iterator[Example]:
    """The examples, in order."""
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"{name}: {len(images):,} images but {len(labels):,} labels")
    for number, image in enumerate(images):
        yield f"{name}[{number}]", image, None if labels is None else int(labels[number])
