"""A folder of exported images with their manifest, which appears whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import artifacts
from pipeline.core.errors import UserError

Images = NDArray[np.uint8]

FORMS = ("png", "npz", "arrow")
"""Single files in class folders, or all images in one file: `images.npz`, `images.arrow`."""

NOT_PLAIN = re.compile(r'[/\\:*?"<>|]|^[.\s]|[.\s]$|^class_\d+$', re.IGNORECASE)
"""What some file system refuses in a name, or hides, and the names that stand in for such a name."""

LONGEST = 100
"""Bytes of a folder's name."""

COLUMNS = (
    "file", "class", "class_number", "seed", "number", "probability", "recognised", "distance",
    "nearest_training_image",
)  # fmt: skip
"""Of the manifest; `class` is the requested class, `recognised` the one that the classifier sees."""


def folder_names(names: Sequence[str]) -> list[str]:
    """A folder's name for each class: its own where every file system takes it, else `class_0017`."""
    taken: set[str] = set()
    found = []
    for label, name in enumerate(names):
        plain = name.isprintable() and 0 < len(name.encode()) <= LONGEST and not NOT_PLAIN.search(name)
        own = name if plain and name.casefold() not in taken else f"class_{label:04d}"
        taken.add(own.casefold())
        found.append(own)
    return found


def check_free(path: Path) -> None:
    """Raise `UserError` where something is in the way of a new folder."""
    if path.exists() and not path.is_dir():
        raise UserError(f"--to: {path} is a file; name a folder for the images, or end the name in .png for a grid")
    if path.is_dir() and any(path.iterdir()):
        raise UserError(f"--to: {path} is not empty; name a new folder, or empty it first")


class Writer:
    """Images and manifest rows, as they come, into a folder; images of the forms npz and arrow wait in memory."""

    def __init__(self, folder: Path, form: str, shape: Sequence[int], class_names: Sequence[str]) -> None:
        self.folder, self.form, self.class_names = folder, form, list(class_names)
        self.places = folder_names(class_names)
        self.columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.images = [np.empty((0, *shape), np.uint8)]

    def __len__(self) -> int:
        return len(self.columns["file"])

    def add(self, images: Images, rows: Mapping[str, Sequence[Any]]) -> None:
        """Images (k, C, H, W) and their rows: every column but `file` and `class`."""
        labels, numbers = rows["class_number"], rows["number"]
        if self.form != "png":
            self.images.append(images)
            self.columns["file"] += [f"images.{self.form}"] * len(images)
        else:
            for image, label, number in zip(images, labels, numbers, strict=True):
                self.columns["file"].append(self._png(image, label, number))
        self.columns["class"] += [None if label is None else self.class_names[label] for label in labels]
        for name, values in rows.items():
            self.columns[name] += values

    def _png(self, image: Images, label: int | None, number: int) -> str:
        from PIL import Image

        place = self.folder / ("images" if label is None else self.places[label])
        place.mkdir(exist_ok=True)
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        path = place / f"{number:06d}.png"
        Image.fromarray(pixels).save(path)
        return str(path.relative_to(self.folder))

    def close(self) -> None:
        """Write what remains: the file of all images, the manifest."""
        if self.form != "png":
            self._all_in_one(np.concatenate(self.images))
        self._manifest()

    def _all_in_one(self, images: Images) -> None:
        labels = None if None in self.columns["class_number"] else np.array(self.columns["class_number"], np.int64)
        if self.form == "arrow":
            artifacts.write_images(self.folder / "images.arrow", images, labels)
        elif labels is None:
            np.savez(self.folder / "images.npz", images=images)
        else:
            np.savez(self.folder / "images.npz", images=images, labels=labels)

    def _manifest(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        kinds = dict.fromkeys(("class_number", "seed", "number", "nearest_training_image"), pa.int64())
        kinds |= dict.fromkeys(("probability", "distance"), pa.float64())
        table = pa.table(
            {name: pa.array(values, kinds.get(name, pa.string())) for name, values in self.columns.items()}
        )
        parquet.write_table(table, self.folder / "manifest.parquet")
        table.to_pandas().to_csv(self.folder / "manifest.csv", index=False, float_format="%.6g", lineterminator="\n")
