"""A folder or an archive of image files, in class folders or flat; splits by sub-folder where there are such.

    shirts/0001.png            a class folder
    train/shirts/0001.png      official splits: train, valid (val, validation), test; or shirts/train/0001.png
    0001.png                   no labels
    train/metadata.csv         labels of Hugging Face, StyleGAN, Kaggle or COCO (pipeline/datasets/metadata.py)

Folders that hold all the rest (an archive's own) do not count. `labels: none` takes folders for mere shelves, as
CAT_00 to CAT_06 are. Other files are passed over. `face: true` cuts each image to the face by the annotation that the
CAT data set has beside it (Zhang, Sun & Tang 2008): x and y of nine points, eyes, mouth and ears, in `<image>.cat`.
"""

from __future__ import annotations

import contextlib
import functools
import posixpath
import tarfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL.Image import Image

from pipeline.datasets import metadata, naming
from pipeline.datasets.fitting import decoded, endings
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.members import contents, follows_links, is_archive, names
from pipeline.datasets.naming import ORDER, by_split, class_names, folder_split, listed, matches, patterns_of, told
from pipeline.datasets.splits import first_of
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = (
    "labels", "label", "metadata", "file", "face", "splits", "train_files", "valid_files", "test_files", "broken",
    "links",
)  # fmt: skip
"""What a block of params.yaml may say under `options`."""

LABELS = ("folders", "metadata", "none")
ANNOTATION = ".cat"
POINTS = 9

Placed = dict[str, tuple[str, str | None]]
"""Name of an image -> its split, and its class folder or label, or None."""


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """All images; ValueError in one line, with the file, for what cannot be read as one."""
    at, links = archive_or_folder(place(raw_folder, options), options), follows_links(options)
    files = [name for name in names(at, links=links) if not hidden(name)]
    shelves = common(files)
    placed = split_of(files, shelves, options)
    if not placed:
        known = ", ".join(endings()[:10])
        raise ValueError(f"{at}: no image in it{others(files)}; expected files that end in {known}, ...")
    placed, source = labelled(at, files, placed, options, links)
    empties = empty(at, shelves) if source.labels == "class folders" else set()
    labels = {label for _, label in placed.values() if label is not None} | empties
    classes = class_names(labels, None if empties else options.get("classes"))
    if classes:
        placed = limited(placed, options.get("limit"))
    source.files = len(placed)
    source.passed_over = passed_over(files, placed, options)
    faces = annotated(at, links) if options.get("face") else None
    splits = {}
    for split in sorted({split for split, _ in placed.values()}, key=ORDER.index):
        chosen = {name: label for name, (own, label) in placed.items() if own == split}
        splits[split] = examples(at, chosen, classes, faces, links)
    return spooled(splits, raw_folder, options, classes, source)


def others(files: list[str]) -> str:
    """What a folder without images holds in their place."""
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in files)
    archives = [name for name in files if is_archive(Path(name))]
    hint = f"; unpack {listed(archives)}, or give one as `path`" if archives else ""
    return f" ({listed(f'{kind} {count:,}' for kind, count in kinds.most_common())}{hint})" if files else ""


def archive_or_folder(found: Path, options: Mapping[str, Any]) -> Path:
    """The one archive that the block's files name, or the place itself."""
    archives = [found / file for file in options.get("files") or () if is_archive(Path(file))]
    at = archives[0] if archives else found
    if at.is_file() and not is_archive(at) and not looks_like_archive(at):
        raise ValueError(f"{at.name}: found a file that is no .zip or .tar, expected one or a folder; unpack it")
    return at


def looks_like_archive(path: Path) -> bool:
    """Whether a file's bytes are those of an archive that can be read, whatever its name."""
    with contextlib.suppress(EOFError, OSError, zlib.error):  # of a compressed file that is cut short
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    return False


def hidden(name: str) -> bool:
    """What systems leave in folders and archives."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def common(files: list[str]) -> int:
    """How many folders all images have in common and that say nothing: neither a split nor, alone, a class."""
    parts = [PurePosixPath(name).parts[:-1] for name in files if is_image(name)]
    depth = 0
    while parts and all(len(item) > depth for item in parts) and len({item[depth] for item in parts}) == 1:
        if folder_split(parts[0][depth]):
            break
        depth += 1
    return depth


def is_image(name: str) -> bool:
    """By its ending; what it is its bytes say."""
    return name.lower().endswith(endings())


def split_of(files: list[str], shelves: int, options: Mapping[str, Any]) -> Placed:
    """Split, and class folder or None, of each image."""
    inner = {name: PurePosixPath(name).parts[shelves:-1] for name in files if is_image(name)}
    if told(options):
        return as_told(inner, options)
    level = None if splits_are_ignored(options) else split_level(list(inner.values()))
    placed: Placed = {}
    for name, folders in inner.items():
        split = "train" if level is None else folder_split(folders[level])
        rest = folders if level is None else folders[:level] + folders[level + 1 :]
        placed[name] = (split or "train", unicodedata.normalize("NFC", rest[0]) if rest else None)
    return placed


def word(options: Mapping[str, Any], option: str, default: str) -> Any:
    """An option whose word `none` params.yaml may have as nothing at all."""
    return "none" if option in options and options[option] is None else options.get(option, default)


def splits_are_ignored(options: Mapping[str, Any]) -> bool:
    """Whether folders called train or test are classes."""
    chosen = word(options, "splits", "folders")
    if chosen not in ("folders", "none"):
        raise ValueError(f"options.splits: found {chosen!r}, expected folders or none")
    return bool(chosen == "none")


def split_level(folders: list[tuple[str, ...]]) -> int | None:
    """The depth at which folders are splits, or None; ValueError where only some of them are."""
    for level in range(min(max(map(len, folders), default=0), 4)):
        at_level = {parts[level] if len(parts) > level else "" for parts in folders}
        splits = sorted(name for name in at_level if folder_split(name))
        others = sorted(at_level - set(splits))
        if splits and not others:
            return level
        if splits:
            rest = listed(name or "images outside of them" for name in others)
            raise ValueError(
                f"folders: {listed(splits)} are called as splits are, but not {rest}; say which are which, "
                f"`options: {{train_files: [{splits[0]}, ...], test_files: [...]}}`, or, if all are classes, "
                "`options: {splits: none}`"
            )
    return None


def as_told(inner: Mapping[str, tuple[str, ...]], options: Mapping[str, Any]) -> Placed:
    """The images that the options name; the folder that they name is no class."""
    below = {name: "/".join((*folders, PurePosixPath(name).name)) for name, folders in inner.items()}
    owner = {path: name for name, path in below.items()}
    placed: Placed = {}
    for split, paths in by_split(sorted(owner), options).items():
        patterns = patterns_of(options, split)
        for path in paths:
            folders = inner[owner[path]]
            named = folders and any(matches(folders[0], pattern) for pattern in patterns)
            rest = folders[1:] if named or (folders and folder_split(folders[0])) else folders
            placed[owner[path]] = (split, rest[0] if rest else None)
    return placed


def labelled(
    at: Path, files: list[str], placed: Placed, options: Mapping[str, Any], links: bool
) -> tuple[Placed, Source]:
    """The images with their labels from class folders, from metadata, or without; and where all that comes from."""
    chosen, column = word(options, "labels", "auto"), options.get("label")
    if chosen not in ("auto", *LABELS):
        raise ValueError(f"options.labels: found {chosen!r}, expected one of {', '.join(LABELS)}")
    source = Source("none", origins({split for split, _ in placed.values()}, options))
    texts = tables(files, options)
    if texts and chosen in ("auto", "metadata"):
        rows = dict(contents(at, texts.__contains__, links=links))
        if options.get("metadata") is None:  # many a file has that name
            rows = {name: text for name, text in rows.items() if not other_json(name, text)}
        found = metadata.labels_of(rows, column, options.get("file"))
        if found:
            source.labels = f"column '{column or 'label'}' of metadata"
            return with_metadata(matched(found, placed), placed), source
        if any(name.endswith(metadata.STYLEGAN) for name in rows):
            chosen = "none"
    if chosen == "metadata" or column is not None:
        raise ValueError(f"options.{'label' if column else 'labels'}: no {' or '.join(metadata.FILES)} with labels")
    if chosen == "none":
        return {name: (split, None) for name, (split, _) in placed.items()}, source
    if any(label for _, label in placed.values()):
        source.labels = "class folders"
    return placed, source


def origins(splits: set[str], options: Mapping[str, Any]) -> dict[str, str]:
    """Where each split comes from."""
    if told(options):
        return dict.fromkeys(splits, "options")
    return {} if splits == {"train"} else dict.fromkeys(splits, "name of the folder")


def tables(files: list[str], options: Mapping[str, Any]) -> list[str]:
    """The files that hold labels: those that the block names, or that are called as such files are."""
    named = options.get("metadata")
    if named is None:
        return [name for name in files if PurePosixPath(name).name in metadata.FILES]
    patterns = named if isinstance(named, list) else [named]
    found = [name for name in files if any(matches(name, str(pattern)) for pattern in patterns) and not is_image(name)]
    if not found:
        others = [name for name in files if not is_image(name)]
        raise ValueError(f"options.metadata: no file for {named!r}; there are: {listed(others) or 'none'}")
    return found


def other_json(name: str, text: bytes) -> bool:
    """Whether a file is called as StyleGAN's and is none."""
    return name.endswith(metadata.STYLEGAN) and b'"labels"' not in text


def same_end(name: str, file: str) -> bool:
    """Whether an image may be what a row calls `file`: one is the end of the other, but for the name's ending."""
    ours, theirs = f"/{name}", f"/{file.lstrip('/')}"
    bare = ours.removesuffix(PurePosixPath(name).suffix)
    return ours.endswith(theirs) or bare.endswith(theirs) or theirs.endswith((ours, bare))


def matched(labels: Mapping[metadata.Key, str], placed: Placed) -> dict[str, str]:
    """Name of each image that a row means -> its label; a row may leave out folders, and the ending of the name.

    Raises ValueError for a row without an image, and one that may mean several.
    """
    known: dict[str, list[str]] = {}
    for name in placed:
        path = PurePosixPath(name)
        for key in {path.name, path.stem}:
            known.setdefault(key, []).append(name)
    found: dict[str, str] = {}
    absent = []
    for (text, file), label in labels.items():
        beside = posixpath.normpath(PurePosixPath(text).parent / file)
        alike = [name for name in known.get(PurePosixPath(file).name, []) if same_end(name, file)]
        near = [beside] if beside in placed else alike
        if len(near) > 1:  # a row of the test images' table means one of those
            near = [name for name in near if placed[name][0] == naming.split_of(text)] or near
        if len(near) > 1:
            raise ValueError(f"{text}: {file} may be {listed(near, 3)}; expected one; give the folder in each row")
        if not near:
            absent.append(beside)
        elif found.setdefault(near[0], label) != label:
            raise ValueError(f"{text}: {near[0]} is there twice with other labels; expected one row")
    if absent:
        raise ValueError(f"metadata: no image for {listed(absent, 3)}; {ADVICE}")
    return found


ADVICE = "expected a row for every image; add the missing rows, or `options: {labels: none}`"


def with_metadata(labels: Mapping[str, str], placed: Placed) -> Placed:
    """The images with the labels of their metadata; ValueError for images without."""
    missing = [name for name in placed if name not in labels]
    if missing:
        raise ValueError(f"metadata: no row for {listed(missing, 3)}; {ADVICE}")
    return {name: (split, labels[name]) for name, (split, _) in placed.items()}


def limited(placed: Placed, limit: int | None) -> Placed:
    """The first images of each class, `limit` in each split: others are not even decoded."""
    kept: set[str] = set()
    for split in {split for split, _ in placed.values()}:
        chosen = [name for name, (own, _) in placed.items() if own == split]
        labels = [placed[name][1] for name in chosen]
        if None in labels:  # to be refused where images are read
            return placed
        numbers = np.unique(np.array(labels, dtype=str), return_inverse=True)[1]
        kept |= {chosen[number] for number in first_of(numbers, len(chosen), limit)}
    return {name: value for name, value in placed.items() if name in kept}


def passed_over(files: list[str], placed: Placed, options: Mapping[str, Any]) -> Counter[str]:
    """The files that are not read, by the ending of their names."""
    used, texts = (ANNOTATION,) if options.get("face") else (), set(tables(files, options))
    others = [name for name in files if name not in placed and name not in texts and not name.endswith(used)]
    return Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in others)


def empty(source: Path, shelves: int) -> set[str]:
    """Class folders without an image; only a folder on the disk has such."""
    if not source.is_dir() or shelves:
        return set()
    at_top = [path for path in source.iterdir() if path.is_dir() and not hidden(path.name)]
    official = bool(at_top) and all(folder_split(path.name) for path in at_top)
    folders = [inner for path in at_top for inner in path.iterdir() if inner.is_dir()] if official else at_top
    return {folder.name for folder in folders if not any(folder.rglob("*"))}


def examples(
    source: Path, chosen: Mapping[str, str | None], classes: list[str], faces: Mapping[str, str] | None, links: bool
) -> Iterator[Example]:
    """The chosen images in the source's order."""
    numbers = {name: number for number, name in enumerate(classes)}
    for name, content in contents(source, chosen.__contains__, links=links):
        label = chosen[name]
        picture = functools.partial(decoded, name, content)
        if faces is not None:
            picture = functools.partial(face, name, content, faces.get(name + ANNOTATION))
        yield name, picture, None if not classes or label is None else numbers[label]


def annotated(source: Path, links: bool) -> dict[str, str]:
    """The annotations' texts by their files' names."""
    found = contents(source, lambda name: name.endswith(ANNOTATION), links=links)
    return {name: text.decode(errors="replace") for name, text in found}


def face(name: str, content: bytes, annotation: str | None) -> Image:
    """The square around the nine points, moved or made smaller where it would leave the image."""
    image, words = decoded(name, content), (annotation or "").split()
    if len(words) != 2 * POINTS + 1 or not all(word.lstrip("-").isdigit() for word in words) or int(words[0]) != POINTS:
        raise ValueError(f"{name}: found no annotation of {POINTS} points beside it ({name}{ANNOTATION})")
    xs, ys = [int(word) for word in words[1::2]], [int(word) for word in words[2::2]]
    side = max(1, min(max(max(xs) - min(xs), max(ys) - min(ys)), image.width, image.height))
    left = min(max((min(xs) + max(xs) - side) // 2, 0), image.width - side)
    top = min(max((min(ys) + max(ys) - side) // 2, 0), image.height - side)
    return image.crop((left, top, left + side, top + side))
