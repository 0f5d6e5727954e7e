"""A property of all readers: a random small data set, written in any format, is read with the same pixels, labels and
splits, up to what the format cannot hold, or refused in one line.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.datasets.loaded import Loaded
from tests.data_files import database, film, idx, npy, npz, png, read, rows, table, tarred, write, zipped

CASES = int(os.environ.get("EASEL_FORMAT_CASES", "8"))
"""Of each format; a campaign sets more."""


@dataclass(frozen=True)
class Made:
    """A data set: images (n, H, W, C) of levels up to `top`, and labels below `classes`, of train and maybe test."""

    images: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    classes: int
    top: int

    @property
    def squeezed(self) -> dict[str, np.ndarray]:
        """Grey images without an axis of channels, as most formats have them."""
        return {split: images[..., 0] if images.shape[3] == 1 else images for split, images in self.images.items()}


@st.composite
def data_sets(
    draw: st.DrawFn, shape: tuple[int, int, int] | None, splits: tuple[str, ...] | None, top: int | None
) -> Made:
    """Any small data set; `shape` (H, W, C), `splits` and `top` where a format has only one."""
    height, width, channels = shape or (draw(st.integers(4, 9)), draw(st.integers(4, 9)), draw(st.sampled_from([1, 3])))
    classes, top = draw(st.integers(2, 4)), top or draw(st.sampled_from([1, 40, 64, 255]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images, labels = {}, {}
    for split in splits or draw(st.sampled_from([("train",), ("train", "test"), ("train", "valid", "test")])):
        count = draw(st.integers(1, 6))
        images[split] = generator.integers(0, top + 1, (count, height, width, channels), dtype=np.uint8)
        labels[split] = generator.integers(0, classes, count)
    images["train"][0, 0, :2, 0] = 0, top
    return Made(images, labels, classes, top)


# --- writers: each writes a data set into a folder and says how it is read ------------------------------------------

Written = tuple[str, Path, dict[str, Any]]
"""Reader, place, options."""


def as_idx(folder: Path, made: Made) -> Written:
    for split, name in (("train", "train"), ("test", "t10k")):
        write(folder, {f"{name}-images-idx3-ubyte": idx(made.images[split][..., 0])})
        write(folder, {f"{name}-labels-idx1-ubyte": idx(made.labels[split].astype(np.uint8))})
    return "idx", folder, {}


def as_cifar(folder: Path, made: Made) -> Written:
    for split, images in made.images.items():
        pairs = zip(made.labels[split], images, strict=True)
        records = [bytes([label]) + image.transpose(2, 0, 1).tobytes() for label, image in pairs]
        (folder / f"{split}.bin").write_bytes(b"".join(records))
    names = list("0123456789")
    return "cifar", folder, {"train_files": ["train.bin"], "test_files": ["test.bin"], "class_names": names}


def as_npy(folder: Path, made: Made) -> Written:
    for split, images in made.squeezed.items():
        write(folder, {f"{split}_images.npy": npy(images), f"{split}_labels.npy": npy(made.labels[split])})
    return "arrays", folder, {"classes": made.classes}


def as_npz(folder: Path, made: Made) -> Written:
    arrays = {f"x_{split}": images for split, images in made.squeezed.items()}
    arrays |= {f"y_{split}": labels for split, labels in made.labels.items()}
    write(folder, {"it.npz": npz(**arrays)})
    return "arrays", folder / "it.npz", {"classes": made.classes}


def as_parquet(folder: Path, made: Made, column: Callable[[np.ndarray], Any]) -> Written:
    for split, images in made.squeezed.items():
        content = table(image=[column(image) for image in images], label=made.labels[split])
        write(folder, {f"{split}/0000.parquet": content})
    return "parquet", folder, {"classes": made.classes}


def files_of(made: Made) -> dict[str, bytes]:
    """Image files in folders of splits and classes."""
    return {
        f"{split}/{label}/{number:03d}.png": png(image)
        for split, images in made.squeezed.items()
        for number, (label, image) in enumerate(zip(made.labels[split], images, strict=True))
    }


def as_folder(folder: Path, made: Made) -> Written:
    return "images", write(folder, files_of(made)), {"classes": made.classes}


def as_zip(folder: Path, made: Made) -> Written:
    write(folder, {"it.zip": zipped(files_of(made))})
    return "images", folder / "it.zip", {"classes": made.classes}


def as_tar(folder: Path, made: Made) -> Written:
    members = [(f"./it/{name}", content) for name, content in files_of(made).items()]
    write(folder, {"it.tar.gz": tarred(members, "w:gz")})
    return "images", folder / "it.tar.gz", {"classes": made.classes}


def as_webdataset(folder: Path, made: Made) -> Written:
    for split, images in made.squeezed.items():
        members = []
        for number, (label, image) in enumerate(zip(made.labels[split], images, strict=True)):
            members += [(f"{number:03d}.png", png(image)), (f"{number:03d}.cls", str(label).encode())]
        write(folder, {f"{split}-000000.tar": tarred(members)})
    return "webdataset", folder, {"classes": made.classes}


def as_metadata(folder: Path, made: Made) -> Written:
    for split, images in made.squeezed.items():
        lines = ["file_name,label", *(f"{number:03d}.png,{label}" for number, label in enumerate(made.labels[split]))]
        write(folder / split, {f"{number:03d}.png": png(image) for number, image in enumerate(images)})
        write(folder / split, {"metadata.csv": "\n".join(lines)})
    return "images", folder, {"classes": made.classes}


def as_lmdb(folder: Path, made: Made) -> Written:
    database(folder / "room_train_lmdb", [png(image) for image in made.squeezed["train"]])
    return "lsun", folder, {}


def as_video(folder: Path, made: Made) -> Written:
    film(folder / "it.mkv", made.images["train"])
    return "video", folder / "it.mkv", {}


def as_csv(folder: Path, made: Made) -> Written:
    """As Kaggle has it; colours are those of a pixel together."""
    for split, images in made.images.items():
        flat = images.reshape(len(images), -1)
        lines = [",".join(["label", *(f"pixel{number}" for number in range(flat.shape[1]))])]
        lines += [",".join(map(str, [label, *pixels])) for label, pixels in zip(made.labels[split], flat, strict=True)]
        (folder / f"set_{split}.csv").write_text("\n".join(lines), encoding="utf-8")
    return "csv", folder, {"classes": made.classes, "channels": "last"}


def as_csv_of_texts(folder: Path, made: Made) -> Written:
    """As FER2013: one file, all pixels of an image in one column, and a column of splits."""
    lines = ["emotion\tpixels\tUsage"]
    for split, images in made.images.items():
        for label, image in zip(made.labels[split], images, strict=True):
            lines.append(f"{label}\t{' '.join(map(str, image.reshape(-1)))}\t{split.title()}")
    (folder / "fer.tsv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    return "csv", folder, {"classes": made.classes, "label": "emotion", "channels": "last"}


def as_csv_without_names(folder: Path, made: Made) -> Written:
    """As UHTelPCC: numbers alone, the label last."""
    for split, images in made.images.items():
        (folder / f"set_{split}.csv").write_text(rows(images, made.labels[split].tolist()), encoding="utf-8")
    return "csv", folder, {"classes": made.classes, "label": "last"}


ANY = (None, None, None)
FORMATS: dict[str, tuple[Callable[[Path, Made], Written], tuple[Any, Any, Any]]] = {
    "idx": (as_idx, ((7, 5, 1), ("train", "test"), None)),
    "cifar": (as_cifar, ((32, 32, 3), ("train", "test"), None)),
    "npy": (as_npy, ANY),
    "npz": (as_npz, ANY),
    "parquet of files": (lambda folder, made: as_parquet(folder, made, lambda i: {"bytes": png(i), "path": None}), ANY),
    "parquet of bytes": (lambda folder, made: as_parquet(folder, made, png), ANY),
    "parquet of lists": (lambda folder, made: as_parquet(folder, made, np.ndarray.tolist), ANY),
    "folder": (as_folder, ANY),
    "zip": (as_zip, ANY),
    "tar": (as_tar, ANY),
    "webdataset": (as_webdataset, ANY),
    "metadata": (as_metadata, ANY),
    "lmdb": (as_lmdb, ((6, 7, 3), ("train",), None)),
    "video": (as_video, ((16, 16, 3), ("train",), None)),
    "csv": (as_csv, ANY),
    "csv of texts": (as_csv_of_texts, ANY),
    "csv without names": (as_csv_without_names, ((32, 32, 1), None, 1)),
}


def pairs(images: np.ndarray | None, labels: Any, names: Any) -> list[tuple[bytes, str]]:
    """Each image with the name of its class, in an order of their own."""
    images = np.empty(0) if images is None else images
    texts = [""] * len(images) if labels is None else [str(names[label]) for label in labels]
    return sorted((image.tobytes(), text) for image, text in zip(images, texts, strict=True))


def same(loaded: Loaded, made: Made, *, in_order: bool) -> None:
    """Raise AssertionError where something is not as it was written; levels of 0 and 1 are black and white."""
    found = {
        "train": (loaded.train_images, loaded.train_labels),
        "valid": (loaded.valid_images, loaded.valid_labels),
        "test": (loaded.test_images, loaded.test_labels),
    }
    for split, (images, labels) in found.items():
        written = made.images.get(split)
        pixels = None if written is None else written.transpose(0, 3, 1, 2) * np.uint8(255 if made.top == 1 else 1)
        expected = None if loaded.train_labels is None else made.labels.get(split)
        assert pairs(images, labels, loaded.class_names) == pairs(pixels, expected, range(made.classes)), split
        if in_order and pixels is not None:
            assert np.array_equal(images, pixels), split


@pytest.mark.parametrize("name", list(FORMATS))
@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=CASES == 8)
@given(data=st.data())
def test_any_format_gives_back_what_was_written_or_one_line(name: str, data: st.DataObject) -> None:
    writer, (shape, splits, top) = FORMATS[name]
    made = data.draw(data_sets(shape, splits, top))
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.mkdir()
        (Path(folder) / "it").mkdir()
        reader, place, options = writer(Path(folder) / "it", made)
        height, width, channels = made.images["train"].shape[1:]
        try:
            loaded = read(reader, raw, (channels, height, width), path=str(place), **options)
        except ValueError as error:
            assert made.top == 40 and "\n" not in str(error)
            dtype = "float32" if reader == "csv" else "uint8"
            assert f"found {dtype} values from 0 to 40, which can be read in two ways" in str(error)
            options["value_range"] = (0, 255)
            loaded = read(reader, raw, (channels, height, width), path=str(place), **options)
        assert (loaded.train_labels is None) == (name in ("lmdb", "video"))
        same(loaded, made, in_order=name not in ("folder", "zip", "tar"))
        assert not list(raw.iterdir()), "nothing is left behind"
