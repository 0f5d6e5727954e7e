"""Files as people have them: each is read as its owner means it, or refused in one line that says what to do.

Inputs are the smallest that public bug reports of the nearest tools give; each test stands for a kind.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.io import savemat

from pipeline.core.errors import UserError
from pipeline.datasets import value_ranges
from pipeline.datasets.description import description, equal_images, lines, too_few
from pipeline.datasets.loaded import Loaded
from pipeline.datasets.naming import by_split, folder_split, split_of
from pipeline.datasets.splits import parted
from pipeline.datasets.value_ranges import Values, read_as
from pipeline.workflow import content_hash, job_hash
from tests.conftest import BIN, run, stage
from tests.data_files import (
    bytes_of,
    check,
    database,
    encoded,
    idx,
    image_folder,
    last,
    npy,
    npz,
    parquet,
    picture,
    pictures,
    png,
    read,
    rows,
    table,
    tarred,
    write,
)
from tests.faults.test_hostile_data import RAW, nothing_elsewhere, prepared  # noqa: F401

BLACK, WHITE = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
GREY = {"shape": (1, 8, 8)}


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return tmp_path / "given"


def refused(reader: str, place: Path, **options: Any) -> str:
    """The one line with which a reader refuses."""
    with pytest.raises(ValueError) as caught:
        read(reader, RAW, path=str(place), **options)
    assert "\n" not in str(caught.value) and not list(RAW.iterdir()), "one line, and nothing left behind"
    return str(caught.value)


def labels_of(loaded: Loaded) -> list[str]:
    """The class of each training image, by name."""
    return [loaded.class_names[label] for label in loaded.train_labels]


# --- splits -----------------------------------------------------------------------------------------------------


def test_words_that_name_splits() -> None:
    files = {
        "x/train-0-of-2.parquet": "train", "UHTelPCC_test.csv": "test", "a/b.csv": None, "val/train.csv": "train",
        "plain_text/test/0000.parquet": "test", "holdout.parquet": "test", "eval.parquet": "valid",
        "Training_Set/0.parquet": "train", "TestSet/0.parquet": "test",
    }  # fmt: skip
    assert {name: split_of(name) for name in files} == files
    folders = {
        "test_tubes": None, "contest": None, "Validation images": "valid", "latest": None, "dev": "valid",
        "training_set": "train", "test_set": "test", "Train": "train", "train2017": "train", "val2017": "valid",
        "images_train": "train",
    }  # fmt: skip
    assert {name: folder_split(name) for name in folders} == folders
    with pytest.raises(ValueError, match=r"train_test\.csv: its name has words of two splits, test and train"):
        split_of("train_test.csv")
    with pytest.raises(ValueError, match="no file for 'tset'; there are: train, test"):
        by_split(["train", "test"], {"test_files": ["tset"]})


def test_three_splits_and_their_words(given: Path) -> None:
    images = pictures(6, 8, 8, 3)
    for name, part in (("plain_text/train/0000", images[:3]), ("eval", images[3:5]), ("holdout", images[5:])):
        write(given, {f"{name}.parquet": parquet(part, [0] * len(part), ["a", "b"])})
    loaded = read("parquet", RAW, path=str(given))
    check(loaded, train=images[:3], valid=images[3:5], test=images[5:])
    assert loaded.source.splits == {
        "train": "plain_text/train/0000.parquet", "valid": "eval.parquet", "test": "holdout.parquet",
    }  # fmt: skip


def test_files_without_a_split_in_their_names(given: Path) -> None:
    content = parquet(np.stack([WHITE] * 2), [0, 1], ["a", "b"])
    write(given, {f"{number:04d}.parquet": content for number in range(3)})
    loaded = read("parquet", RAW, path=str(given))
    assert len(loaded.train_images) == 6
    assert loaded.source.remarks == ["no split in the names of 3 files, so all were read for training"]
    write(given, {"test.parquet": parquet(np.stack([WHITE]), [0], ["a", "b"])})
    said = refused("parquet", given)
    assert (
        "0000.parquet, 0001.parquet, 0002.parquet: names no split, but test.parquet does; say which are which" in said
    )
    told = read("parquet", RAW, path=str(given), train_files=["000?.parquet"], test_files=["test.parquet"])
    assert (len(told.train_images), len(told.test_images)) == (6, 1)


def test_splits_inside_of_class_folders(given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {"a/train": 3, "a/test": 1, "b/train": 2, "b/test": 2})))
    check(loaded, names="ab", train_labels=[0, 0, 0, 1, 1], test_labels=[0, 1, 1])


def test_split_folders_and_others_side_by_side(given: Path) -> None:
    image_folder(given, {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1, "extra/a": 3})
    said = refused("images", given)
    assert "folders: test, train are called as splits are, but not extra; say which are which" in said
    told = read("images", RAW, path=str(given), train_files=["train", "extra"], test_files=["test"])
    assert (len(told.train_images), len(told.test_images), told.class_names) == (7, 2, ("a", "b"))
    without = read("images", RAW, path=str(given), train_files=["train"], test_files="test")
    assert len(without.train_images) == 4 and without.source.passed_over == {".png": 3}
    classes = read("images", RAW, path=str(given), splits="none")
    assert classes.class_names == ("extra", "test", "train") and len(classes.train_images) == 9


def test_lsun_databases_of_other_splits_are_not_trained_on(given: Path) -> None:
    database(given / "church_outdoor_train_lmdb", [png(image) for image in pictures(20, 8, 8, 3)])
    database(given / "test_lmdb", [b"never read"])
    loaded = read("lsun", RAW, path=str(given))
    assert len(loaded.train_images) == 20
    assert loaded.source.remarks == ["databases of other splits not used: test_lmdb"]


# --- NumPy arrays -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"images": "x_train", "labels": "y_train"}, {"images": "x_train"}])
def test_the_official_test_arrays_of_keras(options: dict[str, str], given: Path) -> None:
    images = pictures(9, 8, 8)
    arrays = {"x_train": images[:6], "y_train": np.arange(6) % 2, "x_test": images[6:], "y_test": np.arange(3) % 2}
    write(given, {"mnist.npz": npz(**arrays)})
    loaded = read("arrays", RAW, path=str(given / "mnist.npz"), **GREY, **options)
    check(loaded, test=images[6:], test_labels=[0, 1, 0])
    assert loaded.source.splits == {"train": "array x_train", "test": "array x_test"}


def test_the_arrays_of_medmnist(given: Path) -> None:
    images, labels = pictures(9, 8, 8, 3), np.arange(9)[:, None] % 3
    parts = {"train": slice(0, 5), "val": slice(5, 7), "test": slice(7, 9)}
    arrays = {f"{name}_images": images[part] for name, part in parts.items()}
    arrays |= {f"{name}_labels": labels[part] for name, part in parts.items()}
    write(given, {"pathmnist.npz": npz(**arrays)})
    check(read("arrays", RAW, path=str(given)), valid=images[5:7], test_labels=[1, 2])


def test_nameless_arrays_in_files_that_tell(given: Path) -> None:
    images, labels = pictures(5, 8, 8), np.array([0, 1, 0, 1, 1])
    for split, part in (("train", slice(0, 3)), ("test", slice(3, 5))):
        write(given, {f"kmnist-{split}-imgs.npz": npz(images[part]), f"kmnist-{split}-labels.npz": npz(labels[part])})
    check(read("arrays", RAW, path=str(given), **GREY), train=images[:3], test=images[3:], test_labels=[1, 1])


@pytest.mark.parametrize(
    ("labels", "classes", "names", "first"),
    [
        ([1, 2, 10], None, 10, 1), ([1, 2, 10], 10, 10, 1), ([1, 2, 10], 11, 11, 0), ([0, 2, 10], None, 11, 0),
        ([2, 3, 4], None, 5, 0),
    ],
)  # fmt: skip
def test_labels_from_one(labels: list[int], classes: int | None, names: int, first: int, given: Path) -> None:
    """STL-10's."""
    write(given, {"it.npz": npz(train_X=pictures(3, 8, 8), train_y=np.array(labels, dtype=np.uint8))})
    loaded = read("arrays", RAW, path=str(given), classes=classes, **GREY)
    assert len(loaded.class_names) == names and labels_of(loaded) == list(map(str, labels))
    assert loaded.class_names[0] == str(first)


def test_labels_that_are_not_wanted_and_arrays_that_are_not_used(given: Path) -> None:
    """Several labels an image, as ChestMNIST has them, are not read where no classes are wanted."""
    write(given, {"it.npz": npz(train_images=pictures(4, 8, 8), train_labels=np.eye(14, dtype=int)[:4])})
    assert read("arrays", RAW, path=str(given), classes=0, **GREY).train_labels is None
    write(given, {"it.npz": npz(images=pictures(2, 8, 8)), "c.npz": npz(extra=np.zeros(3))})
    assert read("arrays", RAW, path=str(given), **GREY).source.remarks == ["arrays not used: extra"]


@pytest.mark.parametrize(
    ("layout", "shape"),
    [((3, 32, 32), (3, 32, 32)), ((32, 32, 3), (3, 32, 32)), ((1, 8, 8), (1, 8, 8)), ((64,), (1, 8, 8))],
)
def test_where_an_array_has_its_channels(layout: tuple[int, ...], shape: tuple[int, ...], given: Path) -> None:
    images = pictures(4, *layout)
    write(given, {"it.npz": npz(images=images)})
    found = read("arrays", RAW, shape, path=str(given)).train_images
    assert np.array_equal(found, images.transpose(0, 3, 1, 2) if layout[-1] == 3 else images.reshape(4, *shape))


# --- text tables ------------------------------------------------------------------------------------------------


def numbered_columns(n: int = 64, *before: str) -> str:
    return ",".join([*before, *(f"pixel{number}" for number in range(n))])


def text_rows(images: np.ndarray, *before: list[Any]) -> str:
    """Rows of pixels after some other columns."""
    columns = zip(*before, images.reshape(len(images), -1).tolist(), strict=True)
    return "".join(",".join(map(str, [*head, *pixels])) + "\n" for *head, pixels in columns)


def csv_read(given: Path, content: bytes | str, name: str = "train.csv", **options: Any) -> Loaded:
    write(given, {name: content})
    return read("csv", RAW, path=str(given / name), **{**GREY, **options})


def test_a_first_row_whose_label_is_a_word_is_an_image(given: Path) -> None:
    images = pictures(3, 8, 8)
    images[0, :, 0] = 7
    loaded = csv_read(given, text_rows(images, ["cat", "dog", "dog"]), label="first")
    check(loaded, train=images, names=("cat", "dog"))


def test_pixels_stand_by_their_numbers(given: Path) -> None:
    """Some programs sort columns by their letters: pixel0, pixel1, pixel10, ..., pixel2."""
    images, order = pictures(3, 8, 8), sorted(range(64), key=str)
    head = ",".join(["label", *(f"pixel{number}" for number in order)])
    loaded = csv_read(given, f"{head}\n{text_rows(images.reshape(3, 64)[:, order], list('012'))}")
    check(loaded, train=images)
    assert loaded.source.labels == "column 'label'"


@pytest.mark.parametrize("named", [False, True])
def test_a_column_of_labels_that_is_not_used_is_no_pixel(named: bool, given: Path) -> None:
    images = pictures(3, 8, 8)
    head = numbered_columns(64, "who") + "\n" if named else ""
    label = "who" if named else "first"
    loaded = csv_read(given, head + text_rows(images, list("012")), classes=0, label=label)
    check(loaded, train=images)
    assert loaded.train_labels is None


def test_one_table_with_a_column_of_splits(given: Path) -> None:
    """FER2013's; an index that pandas wrote is no pixel."""
    images, usage = pictures(4, 8, 8), ["Training", "PublicTest", "Training", "PrivateTest"]
    texts = [" ".join(map(str, image.reshape(-1))) for image in images]
    lines_ = [f"{n},{n % 2},{text},{use}" for n, (text, use) in enumerate(zip(texts, usage, strict=True))]
    loaded = csv_read(given, "\n".join([",emotion,pixels,Usage", *lines_]).encode("utf-8-sig"), label="emotion")
    check(loaded, train=images[::2], test=images[[3, 1]], test_labels=[1, 1])
    assert loaded.source.remarks == ["columns not used: ''"]


@pytest.mark.parametrize("index", [False, True])
def test_a_table_as_pandas_writes_it(index: bool, given: Path) -> None:
    """Its first row is numbers, and no image."""
    images = pictures(3, 8, 8)
    head = ["", *map(str, range(65))] if index else list(map(str, range(65)))
    body = text_rows(images, [0, 1, 2], ["a", "b", "a"]) if index else text_rows(images, ["a", "b", "a"])
    check(csv_read(given, ",".join(head) + "\n" + body, label="0"), train=images, names="ab")


@pytest.mark.parametrize(
    ("name", "divisor", "changed"),
    [
        ("it.csv", 255, (",", ";")), ("it.tsv", 1, (",", "\t")), ("it.csv.gz", 1, (",", ",")),
        ("old_mac.csv", 1, ("\n", "\r")),
    ],
)  # fmt: skip
def test_tables_with_other_separators_scales_and_ends(
    name: str, divisor: int, changed: tuple[str, str], given: Path
) -> None:
    images = pictures(3, 8, 8)
    text = (numbered_columns(64, "Label") + "\n" + text_rows(images / divisor, list("aba"))).replace(*changed)
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text
    check(csv_read(given, content, name), train=images, names="ab")


def test_colours_in_a_table(given: Path) -> None:
    images = pictures(2, 8, 8, 3)
    for channels, laid in (("last", images), ("first", images.transpose(0, 3, 1, 2))):
        text = numbered_columns(192) + "\n" + text_rows(laid)
        check(csv_read(given, text, shape=(3, 8, 8), channels=channels), train=images)


# --- value ranges -----------------------------------------------------------------------------------------------

RAMP = np.arange(64).reshape(1, 8, 8)
"""An image with 64 levels."""


def tiff(pixels: np.ndarray) -> bytes:
    return picture(pixels, "TIFF")


def levels(place: Path, reader: str, **options: Any) -> np.ndarray:
    return read(reader, RAW, path=str(place), **GREY, **options).train_images[0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.bool_])
def test_black_and_white_as_zeros_and_ones(dtype: type, given: Path) -> None:
    write(given, {"images.npy": npy((RAMP % 2).astype(dtype))})
    assert np.array_equal(levels(given, "arrays"), 255 * (RAMP[0] % 2))


def test_a_picture_of_zeros_and_ones(given: Path) -> None:
    write(given, {"a.png": png((RAMP[0] % 2).astype(np.uint8)), "b.png": png(np.zeros((8, 8), np.uint8))})
    loaded = read("images", RAW, path=str(given), **GREY)
    assert loaded.train_images.mean(axis=(1, 2, 3)).tolist() == [127.5, 0]
    assert loaded.source.values["uint8"].range == (0, 1)
    write(given, {"c.png": png(np.full((8, 8), 255, np.uint8))})
    assert levels(given, "images").max() == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.float32(RAMP[0] / 63), RAMP[0] / 63 * 255),
        (np.int32(RAMP[0] * 4), RAMP[0] * 4),
        (np.uint16(RAMP[0] * 1040), RAMP[0] * 1040 / 257),
        (np.float32(RAMP[0] / 31.5 - 1), RAMP[0] / 63 * 255),
        (np.uint16(RAMP[0] * 4), RAMP[0] * 4),
    ],
)
def test_values_on_other_scales(values: np.ndarray, expected: np.ndarray, given: Path) -> None:
    write(given, {"a.tif": tiff(values), "images.npy": npy(values[None])})
    for reader in ("images", "arrays"):
        assert abs(levels(given, reader).astype(float) - expected).max() <= 0.51


@pytest.mark.parametrize(
    ("values", "one", "other"),
    [
        (np.uint16(RAMP * 65), "[0, 4095]", "[0, 65535]"),
        (np.uint8(RAMP // 4), "[0, 15]", "[0, 255]"),
        (np.float64(RAMP / 4), "[0, 15.75]", "[0, 255]"),
        (np.float32(RAMP / 63 - 0.5), "[-1, 1]", "[-0.5, 0.5]"),
        (np.float32(RAMP / 16 - 1), "[-1, 2.9375]", "[-2.9375, 2.9375]"),
        (np.int8(RAMP - 32), "[-32, 31]", "[-32, 32]"),
    ],
)
def test_values_that_can_be_read_in_two_ways(values: np.ndarray, one: str, other: str, given: Path) -> None:
    said = refused("arrays", write(given, {"images.npy": npy(values)}), **GREY)
    assert f"found {values.dtype} values from {values.min():g} to {values.max():g}" in said
    assert f"say `value_range: {one}` or `value_range: {other}` in the data set's block" in said
    low, high = json.loads(one)
    chosen = levels(given, "arrays", value_range=(low, high)).astype(float)
    assert abs(chosen - (values[0] - low) / (high - low) * 255).max() <= 0.51


def png_of(header: bytes, data: bytes) -> bytes:
    """A PNG by its parts, as Pillow does not write it."""
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def wide_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a colour."""
    height, width, _ = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return png_of(header, b"".join(b"\0" + line.astype(">u2").tobytes() for line in values))


def test_twelve_bits_in_pictures_of_sixteen(given: Path) -> None:
    grey = np.uint16(RAMP[0] * 65)
    write(given, {"a.png": png(grey)})
    assert "found uint16 values from 0 to 4095" in refused("images", given, **GREY)
    assert levels(given, "images", value_range=(0, 4095)).max() == 255
    write(given, {"a.png": wide_png(np.dstack([grey] * 3))})
    assert "found uint16 values from 0 to 3855" in refused("images", given)
    write(given, {"a.png": wide_png(np.dstack([grey] * 3) * 16)})
    assert read("images", RAW, path=str(given)).train_images.max() > 250


@pytest.mark.parametrize("n", [1, 7])
def test_the_range_is_that_of_all_images(n: int) -> None:
    """One dark image among others is dark."""
    values = Values()
    values.see(np.full((8, 8), 3, np.uint8))
    with pytest.raises(ValueError, match="two ways"):
        read_as("uint8", values)
    for _ in range(n):
        values.see(np.full((8, 8), 200, np.uint8))
    assert read_as("uint8", values) == value_ranges.BYTE


# --- archives and images ----------------------------------------------------------------------------------------


def test_a_zip_made_on_windows(given: Path) -> None:
    with zipfile.ZipFile(given / "it.zip", "w") as archive:
        for label, image in zip("abab", pictures(4, 8, 8, 3), strict=True):
            member = zipfile.ZipInfo("x")
            member.filename = f"shirts\\{label}\\{image[0, 0, 0]}.png"
            archive.writestr(member, png(image))
    loaded = read("images", RAW, path=str(given / "it.zip"))
    assert loaded.class_names == ("a", "b") and len(loaded.train_images) == 4


def jpeg_with_damaged_exif() -> bytes:
    """A JPEG whose EXIF says that it has 60,000 entries, and has one."""
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 60000, 274, 3, 1, 1)
    return picture(WHITE, "JPEG", exif=exif)


def tiff_with_a_tag_twice() -> bytes:
    """A TIFF whose tag 296 (ResolutionUnit) has two values where one is expected."""
    content = picture(WHITE, "TIFF", resolution_unit=2)
    place = content.index(struct.pack("<HHI", 296, 3, 1))
    return content[:place] + struct.pack("<HHI", 296, 3, 2) + content[place + 8 :]


def jpeg_with_a_malformed_mpo() -> bytes:
    """A JPEG that says it holds several pictures, in an index that cannot be read."""
    content, index = picture(WHITE, "JPEG"), b"MPF\0II*\0\x08\0\0\0\x01\0\x00\xb0\x07\0"
    return content[:2] + b"\xff\xe2" + struct.pack(">H", len(index) + 2) + index + content[2:]


@pytest.mark.parametrize("make", [jpeg_with_damaged_exif, tiff_with_a_tag_twice, jpeg_with_a_malformed_mpo])
def test_damaged_metadata_change_no_pixel(make: Callable[[], bytes], given: Path) -> None:
    write(given, {"a.jpg": make()})
    assert (read("images", RAW, path=str(given)).train_images == 255).all()


def test_every_broken_image_is_named_at_once(given: Path) -> None:
    write(given, many := {f"{number:02d}.png": png(image) for number, image in enumerate(pictures(30, 8, 8, 3))})
    write(given, {name: many[name][:60] for name in ("03.png", "17.png")} | {"20.png": b"#!/bin/sh"})
    said = refused("images", given)
    assert "03.png: damaged" in said and "17.png: damaged" in said and "20.png: no image that can be read" in said
    assert "3 images cannot be read; repair or delete what is damaged, or say `options: {broken: skip}`" in said
    loaded = read("images", RAW, path=str(given), broken="skip")
    assert len(loaded.train_images) == 27 and len(loaded.source.broken) == 3
    assert "options.broken: found 'ignore', expected refuse or skip" in refused("images", given, broken="ignore")
    for reader in ("images", "parquet", "lsun", "oxford_flowers", "webdataset"):
        assert "broken" in job_hash.literal(f"pipeline.datasets.{reader}", "OPTIONS")


@pytest.mark.parametrize(
    ("form", "ending"),
    [
        ("JPEG", ".jfif"), ("JPEG", ".jpe"), ("PPM", ".pnm"), ("AVIF", ".avif"), ("TGA", ".tga"), ("JPEG2000", ".jp2"),
        ("ICO", ".ico"), ("PCX", ".pcx"), ("SGI", ".rgb"), ("DDS", ".dds"), ("QOI", ".qoi"), ("PNG", ".JPG"),
        ("DIB", ".dib"), ("IM", ".im"),
    ],
)  # fmt: skip
def test_formats_that_the_image_library_reads(form: str, ending: str, given: Path) -> None:
    write(given, {f"it{ending}": picture(WHITE, form)})
    assert read("images", RAW, path=str(given)).train_images.min() >= 254


def test_files_that_are_passed_over_are_counted(given: Path) -> None:
    write(given, {"a.png": png(WHITE), "b.jxl": b"", "c.jxl": b"", "notes": b"", ".hidden": b"", "d.TXT": b""})
    frames = [Image.fromarray(image) for image in pictures(3, 8, 8, 3)]
    for name in ("e.tif", "f.gif"):
        frames[0].save(given / name, save_all=True, append_images=frames[1:])
    source = read("images", RAW, path=str(given)).source
    assert source.files == 3 and source.passed_over == {".jxl": 2, "no ending": 1, ".txt": 1} and source.frames == 2


def test_linked_files(given: Path) -> None:
    """As a hub's cache and DVC have them; a linked file that changes is seen."""
    write(given, {"blobs/0a1b": png(WHITE)})
    (given / "snapshot").mkdir()
    (given / "snapshot" / "a.png").symlink_to("../blobs/0a1b")
    said = refused("images", given / "snapshot")
    assert (
        "a.png: a symbolic link, which is not followed; put the file itself there, or say `options: {links: follow}`"
        in said
    )
    assert (read("images", RAW, path=str(given / "snapshot"), links="follow").train_images == 255).all()
    os.utime(given / "blobs/0a1b", (1_000_000_000, 1_000_000_000))
    first = content_hash.digest(given / "snapshot", RAW)
    content_hash.write_index(given / "snapshot", RAW)
    assert content_hash.digest(given / "snapshot", RAW) == first
    write(given, {"blobs/0a1b": b"2"})
    assert content_hash.digest(given / "snapshot", RAW) != first
    (RAW / content_hash.INDEX).unlink()
    (given / "snapshot" / "more").symlink_to("../blobs")
    assert "more: a symbolic link, which is not followed" in refused("images", given / "snapshot", links="follow")


def test_colours_of_other_spaces(given: Path) -> None:
    white = Image.new("RGB", (8, 8), "white")
    for mode in ("CMYK", "YCbCr"):
        write(given, {f"{mode}.tif": bytes_of(lambda file, mode=mode: white.convert(mode).save(file, "TIFF"))})
    assert (read("images", RAW, path=str(given)).train_images >= 254).all()


# --- labels -----------------------------------------------------------------------------------------------------


def test_columns_of_labels(given: Path) -> None:
    images = pictures(4, 8, 8, 3)
    write(given, {"train.parquet": table(image=encoded(images), fine_label=[0, 1, 0, 1], coarse_label=[0] * 4)})
    assert read("parquet", RAW, path=str(given), label="fine_label", classes=2).class_names == ("0", "1")
    write(given, {"train.parquet": table(image=encoded(images), fine_label=[0, 1, 0, 1])})
    assert read("parquet", RAW, path=str(given), classes=2).source.labels == "column 'fine_label'"
    write(given, {"train.parquet": table(image=encoded(images), id=[0, 1, 0, 1])})
    loaded = read("parquet", RAW, path=str(given))
    assert loaded.train_labels is None and loaded.source.labels == "none; the columns are image, id"


def test_labels_that_are_texts(given: Path) -> None:
    write(given, {"train.parquet": table(image=encoded(pictures(4, 8, 8, 3)), label=["dog", "cat", "dog", "eel"])})
    write(given, {"test.parquet": table(image=encoded(pictures(2, 8, 8, 3)), label=["cat", "ant"])})
    check(read("parquet", RAW, path=str(given)), names=("ant", "cat", "dog", "eel"), train_labels=[2, 1, 2, 3])


@pytest.mark.parametrize("layout", ["struct", "bytes", "lists", "channels first"])
def test_layouts_of_images_in_parquet(layout: str, given: Path) -> None:
    images = pictures(3, 8, 8, 3)
    column = {
        "struct": [{"bytes": png(image), "path": "x.png"} for image in images],
        "bytes": [png(image) for image in images],
        "lists": images.tolist(),
        "channels first": images.transpose(0, 3, 1, 2).tolist(),
    }[layout]
    write(given, {"train.parquet": table(image=column)})
    check(read("parquet", RAW, path=str(given)), train=images)


@pytest.mark.parametrize("nothing", ["none", None])
def test_folders_that_are_no_classes(nothing: str | None, given: Path) -> None:
    """As YAML and the command line have it."""
    image_folder(given, {"a": 2, "test": 2})
    loaded = read("images", RAW, path=str(given), labels=nothing, splits=nothing)
    assert loaded.train_labels is None and len(loaded.train_images) == 4


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_webdataset(kind: str, given: Path) -> None:
    images, texts = pictures(5, 8, 8, 3), ["3", "0", "3", "1", "0"]
    for split, first, last_ in (("train-000000", 0, 2), ("train-000001", 2, 4), ("test-000000", 4, 5)):
        members = []
        for number in range(first, last_):
            label = texts[number] if kind == "cls" else json.dumps({"label": int(texts[number])})
            pair = [(f"{number:03d}.png", png(images[number])), (f"{number:03d}.{kind}", label.encode())]
            members += pair[:: 1 if number % 2 else -1]
        write(given, {f"{split}.tar": tarred([*members, ("readme.txt", b"about")])})
    loaded = read("webdataset", RAW, path=str(given))
    check(loaded, train=images[:4], train_labels=[2, 0, 2, 1], test_labels=[0], names="013")
    assert read("webdataset", RAW, path=str(given), classes=4).class_names == ("0", "1", "2", "3")


def test_webdataset_with_dots_in_names(given: Path) -> None:
    images = pictures(3, 8, 8, 3)
    members = [(f"v1.0/22.0{n}.png", png(image)) for n, image in enumerate(images)]
    members += [(f"v1.0/22.0{n}.cls", b"ab"[n % 2 : n % 2 + 1]) for n in range(3)]
    loaded = read("webdataset", RAW, path=str(write(given, {"train.tar": tarred(members)})))
    check(loaded, train=images, train_labels=[0, 1, 0], names="ab")
    members = [("foo.left.png", png(WHITE)), ("foo.cls", b"a"), ("bar.in.png", png(BLACK)), ("bar.cls", b"b")]
    write(given, {"train.tar": tarred(members)})
    assert labels_of(read("webdataset", RAW, path=str(given))) == ["a", "b"]


def mat(images: np.ndarray, labels: list[int]) -> bytes:
    """SVHN's file: images (H, W, C, n), labels (n, 1)."""
    return bytes_of(lambda file: savemat(file, {"X": images.transpose(1, 2, 3, 0), "y": np.array(labels)[:, None]}))


def test_svhn(given: Path) -> None:
    images = pictures(5, 8, 8, 3)
    write(given, {"train_32x32.mat": mat(images[:3], [1, 10, 3]), "test_32x32.mat": mat(images[3:], [2, 10])})
    check(read("svhn", RAW, path=str(given)), train=images[:3], test=images[3:], train_labels=[1, 0, 3])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata_files_of_hugging_face(kind: str, given: Path) -> None:
    images, labels = pictures(4, 8, 8, 3), {"train": ["dog", "cat", "dog"], "test": ["eel"]}
    for split, first in (("train", 0), ("test", 3)):
        names = [f"{number}.png" for number in range(len(labels[split]))]
        write(given / split, {name: png(images[first + number]) for number, name in enumerate(names)})
        pairs = [{"file_name": name, "label": label} for name, label in zip(names, labels[split], strict=True)]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["file_name", "label"])
        writer.writeheader()
        writer.writerows(pairs)
        content = text.getvalue() if kind == "csv" else "".join(json.dumps(pair) + "\n" for pair in pairs)
        write(given, {f"{split}/metadata.{kind}": content})
    loaded = read("images", RAW, path=str(given))
    check(loaded, names=("cat", "dog", "eel"), train_labels=[1, 0, 1], test=images[3:])
    assert loaded.source.labels == "column 'label' of metadata"
    write(given, {"train/9.png": png(WHITE)})
    assert "metadata: no row for train/9.png; expected a row for every image" in refused("images", given)
    assert "no column 'kind'; there are: file_name, label" in refused("images", given, label="kind")


COCO = {
    "images": [{"id": 7, "file_name": "0.png"}, {"id": 8, "file_name": "1.png"}],
    "annotations": [{"image_id": 8, "category_id": 3}, {"image_id": 7, "category_id": 1}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
}


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("labels.csv", "id,breed\n1,dog\n0,cat\n", {"label": "breed"}),
        ("labels.csv", "filename;label\n1.png;dog\n./x/0.png;cat\n", {}),
        ("labels.csv", "path,label\n/home/me/it/x/1.png,dog\nC:\\it\\x\\0.png,cat\n", {}),
        ("labels.tsv", "picture\tlabel\n1.png\tdog\n0.png\tcat\n", {"file": "picture"}),
        ("val.txt", "x/1.png dog\nx/0.png cat\n", {}),
        ("annotations/instances_train2017.json", json.dumps(COCO), {}),
        ("labels.json", json.dumps([{"image": "1.png", "label": "dog"}, {"image": "0.png", "label": "cat"}]), {}),
        ("labels.json", json.dumps({"x/1.png": "dog", "x/0.png": "cat"}), {}),
    ],
)
def test_labels_in_a_file_of_their_own(name: str, text: str, options: dict[str, str], given: Path) -> None:
    image_folder(given, {"x": 2})
    write(given, {name: text.encode("utf-8-sig"), "sample_submission.csv": b"id\n"})
    pattern = "*.json" if name.startswith("annotations") else name
    loaded = read("images", RAW, path=str(given), metadata=pattern, **options)
    assert labels_of(loaded) == ["cat", "dog"]
    assert loaded.source.passed_over == {".csv": 1}


@pytest.mark.parametrize("labels", [[["00000/0.png", 6], ["00000/1.png", 2]], None])
def test_the_json_of_stylegan(labels: Any, given: Path) -> None:
    image_folder(given, {"00000": 2, "00001": 1})
    pairs = None if labels is None else [*labels, ["00001/0.png", 2]]
    write(given, {"dataset.json": json.dumps({"labels": pairs})})
    loaded = read("images", RAW, path=str(given))
    assert (loaded.train_labels is None) if labels is None else (labels_of(loaded) == ["6", "2", "2"])
    write(given, {"dataset.json": b'{"name": "mine"}'})
    assert read("images", RAW, path=str(given)).class_names == ("00000", "00001")


def test_one_table_of_labels_for_each_split(given: Path) -> None:
    """Names that both splits have mean those of the table's own."""
    image_folder(given, {"train": 2, "test": 2})
    write(given, {"train.csv": b"id,label\n0,a\n1,b\n", "test.csv": b"id,label\n0,b\n1,a\n"})
    loaded = read("images", RAW, path=str(given), metadata=["train.csv", "test.csv"])
    check(loaded, names="ab", train_labels=[0, 1], test_labels=[1, 0])


def test_paths_of_metadata_as_windows_writes_them(given: Path) -> None:
    image_folder(given, {"a": 2})
    write(given, {"metadata.csv": b"file_name,label\r\na\\0.png,x\r\na\\1.png,y\r\n"})
    assert read("images", RAW, path=str(given)).class_names == ("x", "y")


def secret_csv(given: Path) -> tuple[str, dict[str, Any]]:
    """Kaggle's digit recognizer."""
    images = pictures(9, 8, 8, 3)
    train = numbered_columns(192, "label") + "\n" + text_rows(images[:6], list("012012"))
    write(given, {"train.csv": train, "test.csv": numbered_columns(192) + "\n" + text_rows(images[6:])})
    return "csv", {"channels": "last"}


def secret_folders(given: Path) -> tuple[str, dict[str, Any]]:
    image_folder(given, {"train/0": 2, "train/1": 2, "train/2": 2, "test": 3})
    return "images", {}


def secret_metadata(given: Path) -> tuple[str, dict[str, Any]]:
    """Kaggle's dog breeds."""
    image_folder(given, {"train": 6, "test": 3})
    write(given, {"labels.csv": b"id,breed\n" + b"".join(b"train/%d,%d\n" % (n, n % 3) for n in range(6))})
    return "images", {"metadata": "labels.csv", "label": "breed", "limit": 100}


def secret_parquet(given: Path) -> tuple[str, dict[str, Any]]:
    """Hugging Face's label -1."""
    write(given, {"train.parquet": table(image=encoded(pictures(6, 8, 8, 3)), label=[0, 1, 2, 0, 1, 2])})
    write(given, {"test.parquet": table(image=encoded(pictures(3, 8, 8, 3)), label=[-1] * 3)})
    return "parquet", {"classes": 3}


@pytest.mark.parametrize("make", [secret_csv, secret_folders, secret_metadata, secret_parquet])
def test_test_images_whose_labels_are_secret(make: Callable[[Path], tuple[str, dict[str, Any]]], given: Path) -> None:
    reader, options = make(given)
    loaded = read(reader, RAW, path=str(given), **options)
    assert (len(loaded.train_images), len(loaded.test_images), len(loaded.class_names)) == (6, 0, 3)
    assert loaded.source.remarks[-1] == "3 test images without labels not used (`classes: 0` uses them)"
    assert set(loaded.source.splits) <= {"train"}
    without = read(reader, RAW, path=str(given), **options | {"classes": 0})
    assert len(without.test_images) == 3 and without.train_labels is None and without.class_names == ()


def test_labels_of_the_test_images_alone(given: Path) -> None:
    image_folder(given, {"train": 3, "test/a": 2, "test/b": 2})
    loaded = read("images", RAW, path=str(given))
    assert loaded.test_labels is None and loaded.class_names == () and len(loaded.test_images) == 4


def test_images_beside_class_folders(given: Path) -> None:
    image_folder(given, {".": 2, "a": 3})
    assert "2 of 5 images have no label; expected labels for all or for none; give them one, or say `classes: 0`" in (
        refused("images", given)
    )
    loaded = read("images", RAW, path=str(given), classes=0)
    assert loaded.train_labels is None
    said = lines(description(loaded, parted(loaded, valid=1, test=1, seed=0)))
    assert said[2] == "labels: none used (class folders)"


def test_one_class_in_two_spellings_of_unicode(given: Path) -> None:
    image_folder(given, {"caf\u00e9": 2, "cafe\u0301": 3, "tea": 2})
    loaded = read("images", RAW, path=str(given))
    assert loaded.class_names == ("caf\u00e9", "tea") and np.bincount(loaded.train_labels).tolist() == [5, 2]


# --- limits, and IDX and CIFAR as people have them ----------------------------------------------------------------


@pytest.mark.parametrize("limit", [20, 30, 7])
def test_a_limit_is_drawn_over_the_classes(limit: int, given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {"a": 20, "b": 20})), limit=limit)
    counts = np.bincount(loaded.train_labels).tolist()
    assert sum(counts) == limit and abs(counts[0] - counts[1]) <= 1
    assert loaded.source.remarks == [f"{40 - limit} beyond `limit` not read"] and not loaded.source.passed_over


def small_idx(folder: Path, prefix: str = "", first: int = 0, compress: bool = False) -> np.ndarray:
    """MNIST's four files with 40 and 20 images of ten classes."""
    images = pictures(60, 8, 8)
    labels = (np.arange(60) % 10 + first).astype(np.uint8)
    for split, part in (("train", slice(0, 40)), ("test" if prefix else "t10k", slice(40, 60))):
        for name, array in ((f"{split}-images-idx3-ubyte", images[part]), (f"{split}-labels-idx1-ubyte", labels[part])):
            content = gzip.compress(idx(array)) if compress else idx(array)
            write(folder, {f"{prefix}{name}{'.gz' if compress else ''}": content})
    return images


def test_idx_is_limited_and_resized(given: Path) -> None:
    small_idx(given)
    loaded = read("idx", RAW, path=str(given), **GREY)
    parts = parted(loaded, valid=0.1, test=0.1, seed=0, limit=20)
    assert {split: len(chosen) for split, (_, _, chosen) in parts.items()} == {"train": 10, "test": 20, "valid": 10}
    with pytest.raises(ValueError, match="limit: found 5, expected at least one image for each of 10 classes"):
        parted(loaded, valid=0.1, test=0.1, seed=0, limit=5)
    assert "expected 16x16; say `resize: true`" in refused("idx", given, shape=(1, 16, 16))
    assert read("idx", RAW, (1, 16, 16), path=str(given), resize=True).train_images.shape == (40, 1, 16, 16)


def test_the_files_of_emnist(given: Path) -> None:
    images = small_idx(given / "raw", "emnist-letters-", first=1, compress=True)
    small_idx(given / "raw", "emnist-balanced-", compress=True)
    assert "expected one file; say which, `options: {prefix: ...}`" in refused("idx", given, **GREY)
    letters = {"prefix": "emnist-letters-", "classes": 26, **GREY}
    loaded = read("idx", RAW, path=str(given), transpose=True, first_label=1, **letters)
    names = [str(number) for number in range(1, 27)]
    check(loaded, train=images[:40].transpose(0, 2, 1), train_labels=[n % 10 for n in range(40)], names=names)
    assert "train labels: expected 0 to 25, found -4 to 5" in refused("idx", given, first_label=5, **letters)


def test_the_names_of_kaggle(given: Path) -> None:
    images = small_idx(given)
    for path in sorted(given.iterdir()):
        name = path.name.replace("-idx", ".idx")
        path.rename(given / "waiting")
        (given / name).mkdir()
        (given / "waiting").rename(given / name / name)
    check(read("idx", RAW, path=str(given), **GREY), train=images[:40])


def test_cifar_as_its_archive_unpacks(given: Path) -> None:
    images = pictures(3, 3, 32, 32)
    records = b"".join(bytes([label]) + image.tobytes() for label, image in enumerate(images))
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    write(given / "cifar-10-batches-bin", dict.fromkeys(names, records))
    loaded = read("cifar", RAW, (3, 32, 32), path=str(given))
    check(loaded, train=last(np.tile(images, (5, 1, 1, 1))), test=last(images), test_labels=[0, 1, 2])
    assert loaded.class_names[6] == "frog"


def test_cifar_is_prepared(given: Path) -> None:
    """The shares of the block's `valid` and `test` are no lists of files."""
    records = [bytes([label % 3]) + image.tobytes() for label, image in enumerate(pictures(60, 3, 32, 32))]
    write(given, {f"data_batch_{number}.bin": b"".join(records[:30]) for number in range(1, 6)})
    write(given, {"test_batch.bin": b"".join(records[30:])})
    job = prepared(given, reader="cifar", shape=[3, 32, 32])
    content = json.loads(job.outputs["summary"].read_text())
    assert (content["train"]["count"], content["test"]["count"]) == (135, 30)


# --- what prepare says ------------------------------------------------------------------------------------------


def test_equal_images_in_two_splits(given: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = pictures(40, 8, 8, 3)
    for split, chosen in (("train", [*range(40), 5]), ("test", range(10))):
        write(given / split, {f"{number}.png": png(images[place]) for number, place in enumerate(chosen)})
    content = json.loads(prepared(given).outputs["summary"].read_text())["description"]
    assert content["equal_images"]["test in train"] + content["equal_images"]["test in valid"] >= 10
    said = capsys.readouterr().err
    for line in ("files: 51 read", "pixels: uint8 0 to 255; RGB 51", "labels: none", "splits: train 3", "equal images"):
        assert line in said


def test_counts_of_equal_images() -> None:
    images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    train = (images, None, np.array([0, 0, 1, 2]))
    parts = {"train": train, "valid": (images, None, np.array([3])), "test": (images, None, np.array([1, 3, 3, 5]))}
    assert equal_images(parts) == {
        "train": 1, "valid": 0, "test": 1, "valid in train": 0, "test in train": 1, "test in valid": 2,
    }  # fmt: skip


def test_the_description_is_five_lines(given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {"train/a": 20, "train/b": 20, "test/a": 10})))
    content = description(loaded, parted(loaded, valid=0.1, test=0.1, seed=0))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert lines(content) == [
        "files: 50 read",
        "pixels: uint8 0 to 255; RGB 50",
        "labels: 2 classes from class folders: a, b",
        "splits: train 36 (name of the folder), test 10 (name of the folder), valid 4 (drawn from train)",
        "equal images: none",
    ]


def test_too_few_images_are_told_before_training(given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {".": 10})))
    parts = parted(loaded, valid=0.1, test=0.1, seed=0)
    said = list(too_few(parts, {"vae": 100, "gran3": 64, "small": 8}))
    assert said[0].startswith("1 test images, but a comparison needs 8; raise `test` in the block")
    assert "8 training images, but vae has a batch of 100; say `settings: {vae: {batch: 8}}`" in said[1]
    assert "(the same for: vae, gran3)" in said[1]


@pytest.mark.parametrize(
    ("counts", "block", "expected"),
    [
        ({".": 30}, {"classes": 3}, r"datasets.it.classes: found 3, but the files hold no labels \(none\)"),
        ({f"c{n:03d}": 2 for n in range(30)}, {}, "30 classes, of which 30 have fewer than 3 images.*3 images a class"),
        (
            {"a": 20, os.fsdecode(b"caf\xe9"): 20}, {},
            r"found the class name 'caf\\udce9', expected printable UTF-8; rename",
        ),
    ],
)  # fmt: skip
def test_what_prepare_refuses(counts: dict[str, int], block: dict[str, Any], expected: str, given: Path) -> None:
    with pytest.raises(UserError, match=expected):
        prepared(image_folder(given, counts), **block)


@pytest.mark.workflow
def test_names_beyond_ascii_in_a_locale_of_ascii_and_without_a_home(clone: Callable[[str], Path]) -> None:
    project = clone("locale")
    image_folder(project / "Bilder \u00f1", {"K\u00e4se": 20, "\u65e5\u672c": 20})
    block = {"reader": "images", "path": "Bilder \u00f1", "shape": [3, 8, 8], "models": ["vae"]}
    own = yaml.safe_dump({"budget": "tiny", "datasets": {"it": block}}, allow_unicode=True)
    (project / "own.yaml").write_text(own, encoding="utf-8")
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HOME": "/proc"}
    command = [str(BIN / "snakemake"), "--cores", "1", "--", "data/prepared/it/summary.json"]
    done = run(command, project, **ascii_alone)
    assert done.returncode == 0, done.stderr
    content = json.loads((project / "data/prepared/it/summary.json").read_text(encoding="utf-8"))
    assert content["classes"] == ["K\u00e4se", "\u65e5\u672c"]
    assert "Nothing to be done" in run(command, project, **ascii_alone).stderr
    assert "prepare" in stage(project, "status", "--all", project=project, **ascii_alone).stdout


# --- what is refused ----------------------------------------------------------------------------------------------


def test_a_pipe_in_a_folder_is_not_waited_for(given: Path) -> None:
    image_folder(given, {".": 3})
    os.mkfifo(given / "z.png")
    content_hash.digest(given, RAW)
    content_hash.write_index(given, RAW)
    assert len(read("images", RAW, path=str(given)).train_images) == 3


@pytest.mark.parametrize(("reader", "name"), [("csv", "train.csv"), ("arrays", "a.npy"), ("lsun", "data.mdb")])
def test_devices_are_no_files(reader: str, name: str, given: Path) -> None:
    """A link to /dev/zero would be read for ever."""
    (given / name).symlink_to("/dev/null")
    assert refused(reader, given, shape=(1, 32, 32), classes=3)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
AB = {"a/0.png": png(WHITE), "b/0.png": png(WHITE)}
ONE, FOUR = pictures(1, 8, 8, 3), encoded(pictures(4, 8, 8, 3))
SECOND = [("a/1.png", png(WHITE)), ("a/1.png", png(BLACK))]
PAIRS = pickle.dumps([(np.zeros((1, 1024)), [0])] * 3)
UHTELPCC = {"shape": (1, 32, 32), "classes": 325, "path": "it.pkl"}
NUMBERS, LABEL_LAST = rows(np.zeros((1, 1024), int), [3]), {"shape": (1, 32, 32), "classes": 325, "label": "last"}
COLOURS = numbered_columns(192) + "\n" + text_rows(pictures(2, 8, 8, 3))

REFUSED: list[tuple[str, dict[str, bytes | str], dict[str, Any], str]] = [
    # files of another kind
    ("images", {"a.heic": b"1", "b.svg": b"1"}, {}, "no image in it (.heic 1, .svg 1); expected files that end in"),
    ("images", {"train.zip": b"PK", "test.tar": b""}, {}, "; unpack test.tar, train.zip, or give one as `path`)"),
    ("images", {"test/a.png": png(WHITE)}, {}, "no training images; expected at least one, found only test"),
    ("video", AB, {}, "found a folder, expected one video"),
    ("lsun", {"church_train_lmdb.zip": b"PK"}, {}, "unzip LSUN's archive there"),
    ("webdataset", AB, {}, "no .tar in it"),
    ("svhn", AB, {}, "train_32x32.mat: not found"),
    ("idx", AB, {}, "not found; expected one file; say its name"),
    ("parquet", AB, {}, "no file of a training split"),
    ("arrays", AB, {}, "no array 'images'"),
    ("csv", AB, {}, "no table in it"),
    ("cifar", {"data_batch_1": b"a pickle"}, {"shape": (3, 32, 32)}, "not found; expected CIFAR's binary version"),
    ("images", {"a.png": b"#!/bin/sh\n"}, {}, "a.png: no image that can be read; expected one of PNG"),
    ("images", {"a.png": png(ONE[0])[:80]}, {}, "a.png: damaged"),
    ("video", {"it.mkv": b"\x1aE\xdf\xa3 and no more"}, {"path": "it.mkv"}, "no video, or damaged after 0 frames"),
    ("video", {"it.m3u8": "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"}, {"path": "it.m3u8"}, "it.m3u8: no video"),
    ("cifar", {f"data_batch_{n}.bin": bytes(6146 - (n == 4)) for n in range(1, 6)} | {"test_batch.bin": bytes(3073)},
     {"shape": (3, 32, 32)}, "data_batch_4.bin: found 6,145 bytes, expected records of 3,073 each"),
    ("uhtelpcc_pickle", {"it.pkl": PAIRS[: len(PAIRS) // 2]}, UHTELPCC, "it.pkl: refused"),
    ("uhtelpcc_pickle", {"it.pkl": pickle.dumps({"train": 1})}, UHTELPCC, "expected three pairs"),
    ("uhtelpcc_pickle", {"it.pkl": pickle.dumps([(np.zeros((2, 1000)), [0, 1])] * 3)}, UHTELPCC,
     "expected 1,024 numbers for each label"),
    *((reader, {name: LFS}, {}, "it is a pointer of Git LFS, run `git lfs pull`")
      for reader, name in (("images", "a.png"), ("parquet", "train.parquet"), ("arrays", "it.npz"))),
    ("arrays", {"images.npy": npz(images=ONE)}, {}, "images.npy: array 'images' cannot be read"),
    # archives
    ("images", {"it.tar": tarred(SECOND)}, {"path": "it.tar"}, "it.tar: holds 'a/1.png' twice"),
    ("images", {"it": gzip.compress(bytes(5000))[:15]}, {"path": "it"}, "it: found a file that is no .zip or .tar"),
    *(("images", {f"it{ending}": b"7z\xbc\xaf'\x1c and so on"}, {"path": f"it{ending}"},
       f"it{ending}: found a file that is no .zip or .tar") for ending in (".7z", ".rar", ".zst")),
    ("webdataset", {"train.tar": tarred([("1.png", png(WHITE)), ("1.jpg", png(WHITE))])}, {},
     "train.tar: 1.jpg: a second image of one example"),
    # arrays
    ("arrays", {"it.npz": npz(images=np.zeros((2, 8, 8), np.float32))}, GREY, "images: found float32 (2, 8, 8), exp"),
    ("arrays", {"it.npz": npz(images=ONE)[:100]}, {}, "it.npz: no .npz archive, or a damaged one"),
    ("arrays", {"it.npz": npz(train_images=ONE, train_labels=np.eye(14, dtype=int)[:1])}, {},
     "found int64 (1, 14), expected whole numbers (n,)"),
    ("arrays", {"a.npz": npz(images=ONE), "b.npz": npz(images=ONE)}, {},
     "array 'images' is in a.npz and in b.npz; rename one of them"),
    ("arrays", {"it.npz": npz(images=pictures(4, 3, 3, 3))}, {"shape": (3, 3, 3)},
     "where channels may be first or last"),
    ("arrays", {"it.npz": npz(images=pictures(4, 8, 8, 4))}, {}, "with 1 or 3 channels"),
    ("arrays", {"images.npy": npy(np.where(RAMP == 5, np.nan, RAMP).astype(np.float32))}, GREY,
     "found float32 values that are NaN or infinite"),
    ("arrays", {"images.npy": npy(np.uint8(RAMP))}, {**GREY, "value_range": (0, 16)},
     "found uint8 values from 0 to 63, expected none outside of 0 to 16"),
    ("arrays", {"it.npz": npz(images=ONE, y=np.arange(1))}, {"labels": "target"},
     "options.labels: no array 'target'; there are: images, y"),
    ("arrays", {"it.npz": npz(images=ONE)}, {"images": "x"}, "options.images: no array 'x'"),
    ("arrays", {"it.npz": npz(images=pictures(3, 8, 8), labels=np.arange(3) * 10**12)}, GREY,
     "found 2,000,000,000,001 classes, expected at most 100,000"),
    ("svhn", {"train_32x32.mat": mat(ONE, [1]), "test_32x32.mat": mat(pictures(2, 8, 8, 3), [0, 1])}, {},
     "test_32x32.mat: found y"),
    # text tables
    ("csv", {"a_train.csv": rows(np.zeros((2, 32, 32), int), [0, 1])}, {"shape": (1, 32, 32)},
     "a_train.csv, row 1: found 1,025 pixels, expected 1,024 of the block's shape, or a square's"),
    ("csv", {"a_train.csv": rows(np.zeros((2, 32, 32), int), [0, 1])}, {"shape": (1, 32, 32)},
     "say where the label stands, `options: {label: first}` or `{label: last}`"),
    ("csv", {"it.csv": "emotion,pixels,Usage\n1,0 0 0 0,Other"}, {"shape": (1, 2, 2)},
     "found 'Other' in column 'Usage', expected train, valid or test"),
    ("csv", {"it.csv": "emotion,pixels\n1,0 0 0 0"}, {"shape": (1, 2, 2), "label": "mood"},
     "no column 'mood'; there are: "),
    ("csv", {"it.csv": b'"' + b"9" * 200_000}, GREY, "it.csv, row 1: no columns, or damaged ones (field larger than"),
    ("csv", {"it.csv": COLOURS}, {}, "row 2: found colours, all of a pixel together or one colour after the other"),
    ("csv", {"it.csv": numbered_columns(64).replace("pixel1", "red1") + "\n" + text_rows(pictures(2, 8, 8))}, {},
     "found columns of 2 kinds, expected pixels in columns that differ in their numbers alone"),
    ("csv", {"train.csv": b"1," * (1 << 22) + b"1,1"}, {**GREY, "label": "last"},
     "train.csv, row 1: more than 8,388,608 bytes"),
    ("csv", {"train.csv": NUMBERS + "0,1,0\n"}, LABEL_LAST,
     "no table of images, or a damaged one (CSV parse error: Row #2: Expected 1025 columns, got 3"),
    ("csv", {"train.csv": NUMBERS + "0," * 1023 + "many,1"}, LABEL_LAST,
     "In CSV column #1023: Row #2: CSV conversion error to float: invalid value 'many'"),
    ("csv", {"train.csv": NUMBERS + "0," * 1023 + ",1"}, LABEL_LAST, "row 2: no value in column 1024"),
    ("csv", {"train.csv": NUMBERS + "7," * 1024 + "1"}, LABEL_LAST,
     "found float32 values from 0 to 7, which can be read in two ways"),
    # Parquet
    ("parquet", {"train.parquet": parquet(ONE, [0], ["a", "b"])[:300]}, {}, "no Parquet file, or a damaged one"),
    *(("parquet", {"train.parquet": parquet(pictures(3, 8, 8, 3), [0, 1, label], ["a", "b"])}, {},
       f"train labels: expected 0 to 1, found {found}") for label, found in ((2, "0 to 2"), (-1, "-1 to 1"))),
    ("parquet", {"train.parquet": table(image=FOUR, fine_label=[0] * 4)}, {"classes": 2, "label": "labels"},
     "train.parquet: no column 'labels'; there are: image, fine_label"),
    ("parquet", {"train.parquet": table(image=FOUR, label=[0] * 4)}, {"image": "img"}, "no column 'img'; there are"),
    ("parquet", {"train.parquet": table(image=FOUR, id=[0] * 4)}, {"classes": 2},
     "no column 'label', but the block has `classes`; there are: image, id"),
    ("parquet", {"train.parquet": table(image=FOUR, fine_label=[0] * 4, coarse_label=[0] * 4)}, {},
     "columns fine_label and coarse_label; say which, `options: {label: fine_label}`"),
    ("parquet", {"train.parquet": table(image=FOUR, label=[0.5, 1.0, 0.0, 1.0])}, {},
     "found double in column 'label', expected whole numbers or texts"),
    ("parquet", {"train.parquet": table(image=pictures(3, 192).tolist())}, {}, "expected numbers (H, W)"),
    ("parquet", {"train.parquet": parquet(ONE, [0], ["a", "b"]), "test.parquet": parquet(ONE, [0], ["b", "a"])}, {},
     "test.parquet: found other class names in column 'label', b, a; train.parquet has a, b"),
    # labels of images
    ("images", AB, {"labels": "folder"}, "options.labels: found 'folder', expected one of folders, metadata, none"),
    ("images", {**AB, "metadata.csv": "file_name,label\na/0.png,x\nb/0.png,y\nb/0.png,x\n"}, {},
     "metadata.csv, row 3: b/0.png is there twice with other labels"),
    ("images", {**AB, "metadata.csv": "file_name,label\na/0.png,\u00e9\n".encode("latin-1")}, {},
     "metadata.csv: no metadata of images, or damaged ones"),
    ("images", {**AB, "l.csv": "id,label\n0,cat\n"}, {"metadata": "m.csv"},
     "options.metadata: no file for 'm.csv'; there are: l"),
    ("images", {**AB, "l.csv": "id,label\n0,cat\n"}, {"metadata": "l.csv"},
     "l.csv: 0 may be a/0.png, b/0.png; expected one"),
    ("images", {**AB, "l.csv": "id,label\na/0,cat\n"}, {"metadata": "l.csv"},
     "metadata: no row for b/0.png; expected a row for"),
    ("images", {**AB, "l.csv": "id,label\na/0,x\na/0.png,y\n"}, {"metadata": "l.csv"},
     "a/0.png is there twice with other"),
    ("images", {**AB, "l.csv": "id,fine_label,coarse_label\n0,a,b\n"}, {"metadata": "l.csv"},
     "say which, `options: {label: fine"),
    ("images", {**AB, "l.csv": "id,label\na/0,x\nc/0,y\n"}, {"metadata": "l.csv"},
     "metadata: no image for c/0; expected a row"),
    *(("images", {**AB, "l.json": content}, {"metadata": "l.json"}, "l.json: no metadata of images, or damaged ones")
      for content in (b"3", b'{"annotations": 3}')),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "files", "options", "expected"), REFUSED)
def test_what_cannot_be_read_is_one_line(
    reader: str, files: dict[str, bytes | str], options: dict[str, Any], expected: str, given: Path
) -> None:
    place = write(given, files) / options.get("path", "")
    assert expected in refused(reader, place, **{key: value for key, value in options.items() if key != "path"})
