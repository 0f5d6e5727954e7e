"""A folder or an archive of image files, in class folders or flat; splits by sub-folder where there are such.

    shirts/0001.png            a class folder
    train/shirts/0001.png      official splits: train, valid (val, validation), test
    0001.png                   no labels

Folders that hold all the rest (an archive's own) do not count. `labels: none` takes folders for mere shelves, as
CAT_00 to CAT_06 are. Other files are passed over. `face: true` cuts each image to the face by the annotation that the
CAT data set has beside it (Zhang, Sun & Tang 2008): x and y of nine points, eyes, mouth and ears, in `<image>.cat`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from PIL.Image import Image

from pipeline.datasets.fitting import decoded
from pipeline.datasets.loaded import Loaded
from pipeline.datasets.members import contents, is_archive, names
from pipeline.datasets.spooled import SPLITS, Example, place, spooled

__all__ = ["load"]

OPTIONS = ("labels", "face")
"""What a block of params.yaml may say under `options`."""

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")
ANNOTATION = ".cat"
POINTS = 9


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """All images; ValueError in one line, with the file, for what cannot be read as one."""
    source = archive_or_folder(place(raw_folder, options), options)
    listed = [name for name in names(source) if not hidden(name)]
    shelves = common(listed)
    by_split = split_of(listed, shelves)
    labelled = options.get("labels", "folders") == "folders"
    classes = sorted({label for _, label in by_split.values() if label} | empty(source, shelves)) if labelled else []
    faces = annotated(source) if options.get("face") else None
    chosen = sorted({split for split, _ in by_split.values()}, key=lambda split: split != "train")
    if not by_split:
        raise ValueError(f"{source}: no image in it; expected files that end in {', '.join(ENDINGS)}")
    splits = {
        split: examples(
            source, {name: label for name, (own, label) in by_split.items() if own == split}, classes, faces
        )
        for split in chosen
    }
    return spooled(splits, raw_folder, options, classes)


def archive_or_folder(found: Path, options: Mapping[str, Any]) -> Path:
    """The one archive that the block's files name, or the place itself."""
    archives = [found / file for file in options.get("files") or () if is_archive(Path(file))]
    return archives[0] if archives else found


def hidden(name: str) -> bool:
    """What systems leave in folders and archives."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def common(listed: list[str]) -> int:
    """How many folders all images have in common and that say nothing: neither a split nor, alone, a class."""
    parts = [PurePosixPath(name).parts[:-1] for name in listed if is_image(name)]
    depth = 0
    while parts and all(len(item) > depth for item in parts) and len({item[depth] for item in parts}) == 1:
        if parts[0][depth].lower() in SPLITS:
            break
        depth += 1
    return depth


def is_image(name: str) -> bool:
    """By its ending; what it is its bytes say."""
    return name.lower().endswith(ENDINGS)


def split_of(listed: list[str], shelves: int) -> dict[str, tuple[str, str | None]]:
    """Split, and class folder or None, of each image."""
    inner = {name: PurePosixPath(name).parts[shelves:] for name in listed if is_image(name)}
    official = bool(inner) and all(len(parts) > 1 and parts[0].lower() in SPLITS for parts in inner.values())
    found = {}
    for name, parts in inner.items():
        folders = parts[1:-1] if official else parts[:-1]
        found[name] = (SPLITS[parts[0].lower()] if official else "train", folders[0] if folders else None)
    return found


def empty(source: Path, shelves: int) -> set[str]:
    """Class folders without an image; only a folder on the disk has such."""
    if not source.is_dir() or shelves:
        return set()
    at_top = [path for path in source.iterdir() if path.is_dir() and not hidden(path.name)]
    official = bool(at_top) and all(path.name.lower() in SPLITS for path in at_top)
    folders = [inner for path in at_top for inner in path.iterdir() if inner.is_dir()] if official else at_top
    return {folder.name for folder in folders if not any(folder.rglob("*"))}


def examples(
    source: Path, chosen: Mapping[str, str | None], classes: list[str], faces: Mapping[str, str] | None
) -> Iterator[Example]:
    """The chosen images in the source's order."""
    numbers = {name: number for number, name in enumerate(classes)}
    for name, content in contents(source, chosen.__contains__):
        image = decoded(name, content)
        if faces is not None:
            image = face(name, image, faces.get(name + ANNOTATION))
        label = chosen[name]
        yield name, image, None if not classes or label is None else numbers[label]


def annotated(source: Path) -> dict[str, str]:
    """The annotations' texts by their files' names."""
    return {name: text.decode(errors="replace") for name, text in contents(source, lambda n: n.endswith(ANNOTATION))}


def face(name: str, image: Image, annotation: str | None) -> Image:
    """The square around the nine points, moved or made smaller where it would leave the image."""
    words = (annotation or "").split()
    if len(words) != 2 * POINTS + 1 or not all(word.lstrip("-").isdigit() for word in words) or int(words[0]) != POINTS:
        raise ValueError(f"{name}: found no annotation of {POINTS} points beside it ({name}{ANNOTATION})")
    xs, ys = [int(word) for word in words[1::2]], [int(word) for word in words[2::2]]
    side = max(1, min(max(max(xs) - min(xs), max(ys) - min(ys)), image.width, image.height))
    left = min(max((min(xs) + max(xs) - side) // 2, 0), image.width - side)
    top = min(max((min(ys) + max(ys) - side) // 2, 0), image.height - side)
    return image.crop((left, top, left + side, top + side))
