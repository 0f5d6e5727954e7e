"""Files as people have them: each is read as its owner means it, or refused in one line that says what to do.

Inputs are the smallest that public bug reports of the nearest tools give; each test stands for a kind.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
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
from pipeline.workflow import params
from tests.conftest import BIN, run, stage
from tests.faults.test_hostile_data import RAW, nothing_elsewhere, prepared  # noqa: F401
from tests.integration.test_readers import database, last, parquet, pictures, png, read, rows
from tests.unit.test_idx import idx

BLACK, WHITE = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return tmp_path / "given"


def refused(reader: str, place: Path, shape: tuple[int, ...] = (3, 8, 8), **options: Any) -> str:
    """The one line with which a reader refuses."""
    with pytest.raises(ValueError) as caught:
        read(reader, RAW, shape, path=str(place), **options)
    assert "\n" not in str(caught.value) and not list(RAW.iterdir()), "one line, and nothing left behind"
    return str(caught.value)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def means(loaded: Loaded) -> dict[str, float]:
    """Mean pixel of each split that there are images of."""
    splits = {"train": loaded.train_images, "valid": loaded.valid_images, "test": loaded.test_images}
    return {name: float(images.mean()) for name, images in splits.items() if images is not None and len(images)}


# --- splits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("plain_text/train/0000.parquet", "plain_text/test/0000.parquet"),
        ("mnist-train.parquet", "mnist-test.parquet"),
        ("train.parquet", "holdout.parquet"),
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("Training_Set/0.parquet", "TestSet/0.parquet"),
    ],
)
def test_splits_by_words_in_the_names_of_parquet_files(train: str, test: str, given: Path) -> None:
    for name, image, count in ((train, BLACK, 30), (test, WHITE, 20)):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        parquet(given / name, np.stack([image] * count), [0, 1] * (count // 2), ["a", "b"])
    loaded = read("parquet", RAW, path=str(given))
    assert len(loaded.train_images) == 30 and len(loaded.test_images) == 20
    assert means(loaded) == {"train": 0, "test": 255}
    assert loaded.source.splits == {"train": train, "test": test}


def test_three_splits_and_their_words(given: Path) -> None:
    for name, count in (("train", 3), ("eval", 2), ("holdout", 1)):
        parquet(given / f"{name}.parquet", np.stack([WHITE] * count), [0] * count, ["a", "b"])
    loaded = read("parquet", RAW, path=str(given))
    assert loaded.valid_images is not None
    assert [len(loaded.train_images), len(loaded.valid_images), len(loaded.test_images)] == [3, 2, 1]


def test_files_without_a_split_in_their_names(given: Path) -> None:
    for number in range(3):
        parquet(given / f"{number:04d}.parquet", np.stack([WHITE] * 2), [0, 1], ["a", "b"])
    loaded = read("parquet", RAW, path=str(given))
    assert len(loaded.train_images) == 6
    assert loaded.source.remarks == ["no split in the names of 3 files, so all were read for training"]
    parquet(given / "test.parquet", np.stack([WHITE]), [0], ["a", "b"])
    said = refused("parquet", given)
    assert (
        "0000.parquet, 0001.parquet, 0002.parquet: names no split, but test.parquet does; say which are which" in said
    )
    told = read("parquet", RAW, path=str(given), train_files=["000?.parquet"], test_files=["test.parquet"])
    assert (len(told.train_images), len(told.test_images)) == (6, 1)


def test_splits_of_text_files(given: Path) -> None:
    ink = np.zeros((5, 32, 32), dtype=int)
    (given / "UHTelPCC_train.csv").write_text(rows(ink[:3], [0, 1, 2]))
    (given / "UHTelPCC_test.csv").write_text(rows(ink[3:] + 1, [1, 2]))
    loaded = read("csv", RAW, (1, 32, 32), path=str(given), classes=3, label="last")
    assert means(loaded) == {"train": 0, "test": 255} and len(loaded.test_images) == 2
    said = refused("csv", given, (1, 32, 32))
    assert "UHTelPCC_train.csv, row 1: found 1,025 pixels, expected 1,024 of the block's shape, or a square's" in said
    assert "say where the label stands, `options: {label: first}` or `{label: last}`" in said


def image_folder(folder: Path, counts: dict[str, int]) -> Path:
    """Random images, so many in each folder."""
    return write(
        folder,
        {
            f"{name}/{number}.png": png(image)
            for name, n in counts.items()
            for number, image in enumerate(pictures(n, 8, 8, 3))
        },
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("Train", "Test"), ("train2017", "val2017"), ("images_train", "test")],
)
def test_folders_of_splits_by_other_names(train: str, test: str, given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {f"{train}/a": 3, f"{train}/b": 2, f"{test}/a": 1})))
    assert loaded.class_names == ("a", "b") and len(loaded.train_images) == 5
    assert len(loaded.test_images if test != "val2017" else loaded.valid_images) == 1  # type: ignore[arg-type]


def test_splits_inside_of_class_folders(given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {"a/train": 3, "a/test": 1, "b/train": 2, "b/test": 2})))
    assert loaded.class_names == ("a", "b") and (len(loaded.train_images), len(loaded.test_images)) == (5, 3)
    assert loaded.test_labels is not None and loaded.test_labels.tolist() == [0, 1, 1]


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


def test_words_that_name_splits() -> None:
    assert [split_of(name) for name in ("x/train-0-of-2.parquet", "UHTelPCC_test.csv", "a/b.csv", "val/train.csv")] == [
        "train", "test", None, "train",
    ]  # fmt: skip
    assert [folder_split(name) for name in ("test_tubes", "contest", "Validation images", "latest", "dev")] == [
        None, None, "valid", None, "valid",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"train_test\.csv: its name has words of two splits, test and train"):
        split_of("train_test.csv")
    with pytest.raises(ValueError, match="no file for 'tset'; there are: train, test"):
        by_split(["train", "test"], {"test_files": ["tset"]})


def test_lsun_databases_of_other_splits_are_not_trained_on(given: Path) -> None:
    database(given / "church_outdoor_train_lmdb", [png(image) for image in pictures(20, 8, 8, 3)])
    database(given / "test_lmdb", [b"never read"])
    loaded = read("lsun", RAW, path=str(given))
    assert len(loaded.train_images) == 20
    assert loaded.source.remarks == ["databases of other splits not used: test_lmdb"]


# --- NumPy arrays -----------------------------------------------------------------------------------------------


def keras(n: int = 6, m: int = 3) -> dict[str, np.ndarray]:
    images = pictures(n + m, 8, 8)
    return {"x_train": images[:n], "y_train": np.arange(n) % 2, "x_test": images[n:], "y_test": np.arange(m) % 2}


@pytest.mark.parametrize("options", [{}, {"images": "x_train", "labels": "y_train"}, {"images": "x_train"}])
def test_the_official_test_arrays_of_keras(options: dict[str, str], given: Path) -> None:
    arrays = keras()
    np.savez(given / "mnist.npz", **arrays)
    loaded = read("arrays", RAW, (1, 8, 8), path=str(given / "mnist.npz"), **options)
    assert np.array_equal(loaded.test_images[:, 0], arrays["x_test"]) and loaded.test_labels is not None
    assert loaded.test_labels.tolist() == arrays["y_test"].tolist()
    assert loaded.source.splits == {"train": "array x_train", "test": "array x_test"}


def test_the_arrays_of_medmnist(given: Path) -> None:
    images, labels = pictures(9, 8, 8, 3), np.arange(9)[:, None] % 3
    parts = {"train": slice(0, 5), "val": slice(5, 7), "test": slice(7, 9)}
    arrays = {f"{name}_images": images[part] for name, part in parts.items()}
    arrays |= {f"{name}_labels": labels[part] for name, part in parts.items()}
    np.savez(given / "pathmnist.npz", **arrays)
    loaded = read("arrays", RAW, path=str(given))
    assert loaded.valid_images is not None and np.array_equal(last(loaded.valid_images), images[5:7])
    assert loaded.test_labels is not None and loaded.test_labels.tolist() == [1, 2]


def test_nameless_arrays_in_files_that_tell(given: Path) -> None:
    images, labels = pictures(5, 8, 8), np.array([0, 1, 0, 1, 1])
    for split, part in (("train", slice(0, 3)), ("test", slice(3, 5))):
        np.savez(given / f"kmnist-{split}-imgs.npz", images[part])
        np.savez(given / f"kmnist-{split}-labels.npz", labels[part])
    loaded = read("arrays", RAW, (1, 8, 8), path=str(given))
    assert np.array_equal(loaded.train_images[:, 0], images[:3]) and np.array_equal(
        loaded.test_images[:, 0], images[3:]
    )
    assert loaded.test_labels is not None and loaded.test_labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("labels", "classes", "names", "first"),
    [
        ([1, 2, 10], None, 10, 1), ([1, 2, 10], 10, 10, 1), ([1, 2, 10], 11, 11, 0), ([0, 2, 10], None, 11, 0),
        ([2, 3, 4], None, 5, 0),
    ],
)  # fmt: skip
def test_labels_from_one(labels: list[int], classes: int | None, names: int, first: int, given: Path) -> None:
    """STL-10's."""
    np.savez(given / "it.npz", train_X=pictures(3, 8, 8), train_y=np.array(labels, dtype=np.uint8))
    loaded = read("arrays", RAW, (1, 8, 8), path=str(given), classes=classes)
    assert len(loaded.class_names) == names and labels_of(loaded) == list(map(str, labels))
    assert loaded.class_names[0] == str(first)


def test_several_labels_an_image(given: Path) -> None:
    """ChestMNIST's; images without labels can be had of it."""
    np.savez(given / "it.npz", train_images=pictures(4, 8, 8), train_labels=np.eye(14, dtype=int)[:4])
    assert "found int64 (4, 14), expected whole numbers (n,)" in refused("arrays", given, (1, 8, 8))
    assert read("arrays", RAW, (1, 8, 8), path=str(given), classes=0).train_labels is None


def test_an_array_in_two_files_and_one_for_nothing(given: Path) -> None:
    np.savez(given / "a.npz", images=pictures(2, 8, 8))
    np.savez(given / "b.npz", images=pictures(2, 8, 8))
    assert "array 'images' is in a.npz and in b.npz; rename one of them" in refused("arrays", given, (1, 8, 8))
    (given / "b.npz").unlink()
    np.savez(given / "c.npz", extra=np.zeros(3))
    assert read("arrays", RAW, (1, 8, 8), path=str(given)).source.remarks == ["arrays not used: extra"]


@pytest.mark.parametrize(
    ("layout", "shape"),
    [((3, 32, 32), (3, 32, 32)), ((32, 32, 3), (3, 32, 32)), ((1, 8, 8), (1, 8, 8)), ((64,), (1, 8, 8))],
)
def test_where_an_array_has_its_channels(layout: tuple[int, ...], shape: tuple[int, ...], given: Path) -> None:
    images = pictures(4, *layout)
    np.savez(given / "it.npz", images=images)
    found = read("arrays", RAW, shape, path=str(given)).train_images
    expected = images.transpose(0, 3, 1, 2) if layout[-1] == 3 else images.reshape(4, *shape)
    assert np.array_equal(found, expected)


def test_channels_that_can_be_read_in_two_ways(given: Path) -> None:
    np.savez(given / "it.npz", images=pictures(4, 3, 3, 3))
    assert "where channels may be first or last" in refused("arrays", given, (3, 3, 3))
    np.savez(given / "it.npz", images=pictures(4, 8, 8, 4))
    assert "with 1 or 3 channels" in refused("arrays", given)


# --- text tables ------------------------------------------------------------------------------------------------


def numbered_columns(n: int = 64, *before: str) -> str:
    return ",".join([*before, *(f"pixel{number}" for number in range(n))])


def text_rows(images: np.ndarray, *before: list[Any]) -> str:
    """Rows of pixels after some other columns."""
    columns = zip(*before, images.reshape(len(images), -1).tolist(), strict=True)
    return "".join(",".join(map(str, [*head, *pixels])) + "\n" for *head, pixels in columns)


def test_the_files_of_kaggles_digit_recognizer(given: Path) -> None:
    images = pictures(6, 8, 8)
    (given / "train.csv").write_text(numbered_columns(64, "label") + "\n" + text_rows(images, list("012012")))
    loaded = read("csv", RAW, (1, 8, 8), path=str(given), classes=3)
    assert np.array_equal(loaded.train_images[:, 0], images) and loaded.train_labels is not None
    assert loaded.train_labels.tolist() == [0, 1, 2, 0, 1, 2] and loaded.source.labels == "column 'label'"


def test_a_first_row_whose_label_is_a_word_is_an_image(given: Path) -> None:
    images = pictures(3, 8, 8)
    images[0, :, 0] = 7
    (given / "train.csv").write_text(text_rows(images, ["cat", "dog", "dog"]))
    loaded = read("csv", RAW, (1, 8, 8), path=str(given), label="first")
    assert np.array_equal(loaded.train_images[:, 0], images) and loaded.class_names == ("cat", "dog")


def test_pixels_stand_by_their_numbers(given: Path) -> None:
    """Some programs sort columns by their letters: pixel0, pixel1, pixel10, ..., pixel2."""
    images, order = pictures(3, 8, 8), sorted(range(64), key=str)
    head = ",".join(["label", *(f"pixel{number}" for number in order)])
    rows_ = text_rows(images.reshape(3, 64)[:, order], list("012"))
    (given / "train.csv").write_text(f"{head}\n{rows_}")
    assert np.array_equal(read("csv", RAW, (1, 8, 8), path=str(given)).train_images[:, 0], images)


@pytest.mark.parametrize("named", [False, True])
def test_a_column_of_labels_that_is_not_used_is_no_pixel(named: bool, given: Path) -> None:
    images = pictures(3, 8, 8)
    head = numbered_columns(64, "who") + "\n" if named else ""
    (given / "train.csv").write_text(head + text_rows(images, list("012")))
    label = "who" if named else "first"
    loaded = read("csv", RAW, (1, 8, 8), path=str(given), classes=0, label=label)
    assert np.array_equal(loaded.train_images[:, 0], images) and loaded.train_labels is None


def test_one_table_with_a_column_of_splits(given: Path) -> None:
    """FER2013's; an index that pandas wrote is no pixel."""
    images, usage = pictures(4, 8, 8), ["Training", "PublicTest", "Training", "PrivateTest"]
    texts = [" ".join(map(str, image.reshape(-1))) for image in images]
    lines_ = [f"{n},{n % 2},{text},{use}" for n, (text, use) in enumerate(zip(texts, usage, strict=True))]
    write(given, {"fer2013.csv": "\n".join([",emotion,pixels,Usage", *lines_]).encode("utf-8-sig")})
    loaded = read("csv", RAW, (1, 8, 8), path=str(given / "fer2013.csv"), label="emotion")
    assert np.array_equal(loaded.train_images[:, 0], images[::2])
    assert np.array_equal(loaded.test_images[:, 0], images[[3, 1]])
    assert loaded.test_labels is not None and loaded.test_labels.tolist() == [1, 1]
    assert loaded.source.remarks == ["columns not used: ''"]
    assert "no column 'mood'; there are: " in refused("csv", given, (1, 8, 8), label="mood")
    write(given, {"fer2013.csv": "\n".join(["emotion,pixels,Usage", "1,0 0 0 0,Other"]).encode()})
    assert "found 'Other' in column 'Usage', expected train, valid or test" in refused("csv", given, (1, 2, 2))


@pytest.mark.parametrize("index", [False, True])
def test_a_table_as_pandas_writes_it(index: bool, given: Path) -> None:
    """Its first row is numbers, and no image."""
    images = pictures(3, 8, 8)
    head = ["", *map(str, range(65))] if index else list(map(str, range(65)))
    body = text_rows(images, [0, 1, 2], ["a", "b", "a"]) if index else text_rows(images, ["a", "b", "a"])
    (given / "it.csv").write_text(",".join(head) + "\n" + body)
    loaded = read("csv", RAW, (1, 8, 8), path=str(given), label="0")
    assert np.array_equal(loaded.train_images[:, 0], images) and loaded.class_names == ("a", "b")


def test_tables_with_other_separators_and_scales(given: Path) -> None:
    images = pictures(3, 8, 8)
    for name, divisor, old, new in (("it.csv", 255, ",", ";"), ("it.tsv", 1, ",", "\t"), ("it.csv.gz", 1, ",", ",")):
        text = (numbered_columns(64, "Label") + "\n" + text_rows(images / divisor, list("aba"))).replace(old, new)
        write(given, {name: gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()})
        loaded = read("csv", RAW, (1, 8, 8), path=str(given / name))
        assert np.array_equal(loaded.train_images[:, 0], images) and loaded.class_names == ("a", "b")


def test_a_table_from_an_old_mac_and_one_without_an_end(given: Path) -> None:
    images = pictures(3, 8, 8)
    text = numbered_columns(64, "label") + "\n" + text_rows(images, list("aba"))
    write(given, {"it.csv": text.replace("\n", "\r").encode()})
    assert np.array_equal(read("csv", RAW, (1, 8, 8), path=str(given)).train_images[:, 0], images)
    write(given, {"it.csv": b'"' + b"9" * 200_000})
    assert "it.csv, row 1: no columns, or damaged ones (field larger than" in refused("csv", given, (1, 8, 8))


def test_colours_in_a_table(given: Path) -> None:
    images = pictures(2, 8, 8, 3)
    (given / "it.csv").write_text(numbered_columns(192) + "\n" + text_rows(images))
    assert "row 2: found colours, all of a pixel together or one colour after the other" in refused("csv", given)
    assert np.array_equal(last(read("csv", RAW, path=str(given), channels="last").train_images), images)
    (given / "it.csv").write_text(numbered_columns(192) + "\n" + text_rows(images.transpose(0, 3, 1, 2)))
    assert np.array_equal(last(read("csv", RAW, path=str(given), channels="first").train_images), images)
    (given / "it.csv").write_text(numbered_columns(64).replace("pixel1", "red1") + "\n" + text_rows(images[..., 0]))
    assert "found columns of 2 kinds, expected pixels in columns that differ in their numbers alone" in refused(
        "csv", given
    )


# --- value ranges -----------------------------------------------------------------------------------------------

RAMP = np.arange(64).reshape(1, 8, 8)
"""An image with 64 levels."""


def tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    return buffer.getvalue()


def levels(place: Path, reader: str, **options: Any) -> np.ndarray:
    return read(reader, RAW, (1, 8, 8), path=str(place), **options).train_images[0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.bool_])
def test_black_and_white_as_zeros_and_ones(dtype: type, given: Path) -> None:
    ink = (RAMP % 2).astype(dtype)
    np.save(given / "images.npy", ink)
    assert np.array_equal(levels(given, "arrays"), 255 * (RAMP[0] % 2))


def test_a_picture_of_zeros_and_ones(given: Path) -> None:
    write(given, {"a.png": png((RAMP[0] % 2).astype(np.uint8)), "b.png": png(np.zeros((8, 8), np.uint8))})
    loaded = read("images", RAW, (1, 8, 8), path=str(given))
    assert loaded.train_images.mean(axis=(1, 2, 3)).tolist() == [127.5, 0]
    assert loaded.source.values["uint8"].range == (0, 1)
    write(given, {"c.png": png(np.full((8, 8), 255, np.uint8))})
    assert read("images", RAW, (1, 8, 8), path=str(given)).train_images[0].max() == 1


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
@pytest.mark.parametrize("kind", ["tiff", "npy"])
def test_values_on_other_scales(kind: str, values: np.ndarray, expected: np.ndarray, given: Path) -> None:
    if kind == "tiff":
        write(given, {"a.tif": tiff(values)})
    else:
        np.save(given / "images.npy", values[None])
    found = levels(given, "images" if kind == "tiff" else "arrays")
    assert abs(found.astype(float) - expected).max() <= 0.51


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
    np.save(given / "images.npy", values)
    said = refused("arrays", given, (1, 8, 8))
    assert f"found {values.dtype} values from {values.min():g} to {values.max():g}" in said
    assert f"say `value_range: {one}` or `value_range: {other}` in the data set's block" in said
    low, high = json.loads(one)
    chosen = levels(given, "arrays", value_range=(low, high)).astype(float)
    assert abs(chosen - (values[0] - low) / (high - low) * 255).max() <= 0.51


def wide_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a colour, which Pillow cannot write."""
    height, width, _ = values.shape
    lines_ = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines_)),
        (b"IEND", b""),
    ]
    chunks = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_twelve_bits_in_pictures_of_sixteen(given: Path) -> None:
    grey, buffer = np.uint16(RAMP[0] * 65), io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    write(given, {"a.png": buffer.getvalue()})
    assert "found uint16 values from 0 to 4095" in refused("images", given, (1, 8, 8))
    assert levels(given, "images", value_range=(0, 4095)).max() == 255
    write(given, {"a.png": wide_png(np.dstack([grey] * 3))})
    assert "found uint16 values from 0 to 3855" in refused("images", given)
    write(given, {"a.png": wide_png(np.dstack([grey] * 3) * 16)})
    assert read("images", RAW, path=str(given)).train_images.max() > 250


def test_numbers_that_are_none(given: Path) -> None:
    np.save(given / "images.npy", np.where(RAMP == 5, np.nan, RAMP).astype(np.float32))
    assert "found float32 values that are NaN or infinite" in refused("arrays", given, (1, 8, 8))


def test_a_named_range_that_does_not_fit(given: Path) -> None:
    np.save(given / "images.npy", np.uint8(RAMP))
    assert "found uint8 values from 0 to 63, expected none outside of 0 to 16" in refused(
        "arrays", given, (1, 8, 8), value_range=(0, 16)
    )


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


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([0, 1], None),
        ("0 to 1", "two numbers"),
        ([1], "two numbers"),
        ([1, 0], "a lower number"),
        ([0, True], "two numbers"),
    ],
)
def test_value_range_is_a_key_of_every_data_set(found: Any, expected: str | None) -> None:
    config = {**params.yaml_loader.block_of(Path(__file__).parents[2] / "params.yaml")}
    config["dvc_tracked"] = []
    config["datasets"] = {
        "it": {"reader": "video", "path": "x", "shape": [1, 8, 8], "models": ["vae"], "value_range": found}
    }
    if expected is None:
        assert params.check(config).datasets["it"].value_range == (0, 1)
        return
    with pytest.raises(UserError, match=rf"datasets.it.value_range.*{expected}"):
        params.check(config)


# --- archives and images ----------------------------------------------------------------------------------------


def test_a_zip_made_on_windows(given: Path) -> None:
    with zipfile.ZipFile(given / "it.zip", "w") as archive:
        for label, image in zip("abab", pictures(4, 8, 8, 3), strict=True):
            member = zipfile.ZipInfo("x")
            member.filename = f"shirts\\{label}\\{image[0, 0, 0]}.png"
            archive.writestr(member, png(image))
    loaded = read("images", RAW, path=str(given / "it.zip"))
    assert loaded.class_names == ("a", "b") and len(loaded.train_images) == 4


def test_a_name_that_an_archive_has_twice(given: Path) -> None:
    with tarfile.open(given / "it.tar", "w") as archive:
        for image in pictures(2, 8, 8, 3):
            member = tarfile.TarInfo("a/1.png")
            member.size = len(png(image))
            archive.addfile(member, io.BytesIO(png(image)))
    assert "it.tar: holds 'a/1.png' twice" in refused("images", given / "it.tar")


def test_a_compressed_file_that_is_no_archive(given: Path) -> None:
    write(given, {"it": gzip.compress(bytes(5000))[:15]})
    assert refused("images", given / "it").startswith("it: found a file that is no .zip or .tar")


@pytest.mark.parametrize("ending", [".7z", ".rar", ".zst"])
def test_archives_that_are_not_read(ending: str, given: Path) -> None:
    write(given, {f"it{ending}": b"7z\xbc\xaf'\x1c and so on"})
    assert refused("images", given / f"it{ending}").startswith(f"it{ending}: found a file that is no .zip or .tar")


def jpeg_with_damaged_exif() -> bytes:
    """A JPEG whose EXIF says that it has 60,000 entries, and has one."""
    buffer = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 60000, 274, 3, 1, 1)
    Image.fromarray(WHITE).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def tiff_with_a_tag_twice() -> bytes:
    """A TIFF whose tag 296 (ResolutionUnit) has two values where one is expected."""
    buffer = io.BytesIO()
    Image.fromarray(WHITE).save(buffer, "TIFF", resolution_unit=2)
    content = buffer.getvalue()
    place = content.index(struct.pack("<HHI", 296, 3, 1))
    return content[:place] + struct.pack("<HHI", 296, 3, 2) + content[place + 8 :]


def jpeg_with_a_malformed_mpo() -> bytes:
    """A JPEG that says it holds several pictures, in an index that cannot be read."""
    buffer = io.BytesIO()
    Image.fromarray(WHITE).save(buffer, "JPEG")
    content, index = buffer.getvalue(), b"MPF\0II*\0\x08\0\0\0\x01\0\x00\xb0\x07\0"
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


@pytest.mark.parametrize("reader", ["images", "parquet", "lsun", "oxford_flowers", "webdataset"])
def test_readers_of_image_files_have_the_option_that_their_refusal_names(reader: str) -> None:
    from pipeline.workflow import job_hash

    assert "broken" in job_hash.literal(f"pipeline.datasets.{reader}", "OPTIONS")


def saved(form: str, ending: str, **options: Any) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    Image.fromarray(WHITE).save(buffer, form, **options)
    return f"it{ending}", buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "ending"),
    [
        ("JPEG", ".jfif"), ("JPEG", ".jpe"), ("PPM", ".pnm"), ("AVIF", ".avif"), ("TGA", ".tga"), ("JPEG2000", ".jp2"),
        ("ICO", ".ico"), ("PCX", ".pcx"), ("SGI", ".rgb"), ("DDS", ".dds"), ("QOI", ".qoi"), ("PNG", ".JPG"),
        ("DIB", ".dib"), ("IM", ".im"),
    ],
)  # fmt: skip
def test_formats_that_the_image_library_reads(form: str, ending: str, given: Path) -> None:
    write(given, dict([saved(form, ending)]))
    assert read("images", RAW, path=str(given)).train_images.min() >= 254


def test_files_that_are_passed_over_are_counted(given: Path) -> None:
    write(given, {"a.png": png(WHITE), "b.jxl": b"", "c.jxl": b"", "notes": b"", ".hidden": b"", "d.TXT": b""})
    frames = [Image.fromarray(image) for image in pictures(3, 8, 8, 3)]
    for name in ("e.tif", "f.gif"):
        frames[0].save(given / name, save_all=True, append_images=frames[1:])
    source = read("images", RAW, path=str(given)).source
    assert source.files == 3 and source.passed_over == {".jxl": 2, "no ending": 1, ".txt": 1} and source.frames == 2


def test_linked_files(given: Path, tmp_path: Path) -> None:
    """As a hub's cache and DVC have them."""
    write(tmp_path / "given", {"blobs/0a1b": png(WHITE)})
    (given / "snapshot").mkdir()
    (given / "snapshot" / "a.png").symlink_to("../blobs/0a1b")
    said = refused("images", given / "snapshot")
    assert (
        "a.png: a symbolic link, which is not followed; put the file itself there, or say `options: {links: follow}`"
        in said
    )
    assert (read("images", RAW, path=str(given / "snapshot"), links="follow").train_images == 255).all()
    (given / "snapshot" / "more").symlink_to("../blobs")
    assert "more: a symbolic link, which is not followed" in refused("images", given / "snapshot", links="follow")


def test_a_linked_file_that_changes_is_seen(given: Path) -> None:
    from pipeline.workflow import content_hash

    write(given, {"blobs/0a1b": b"1"})
    (given / "it").mkdir()
    (given / "it" / "a.png").symlink_to("../blobs/0a1b")
    os.utime(given / "blobs/0a1b", (1_000_000_000, 1_000_000_000))
    first = content_hash.digest(given / "it", RAW)
    content_hash.write_index(given / "it", RAW)
    assert content_hash.digest(given / "it", RAW) == first
    (given / "blobs/0a1b").write_bytes(b"2")
    assert content_hash.digest(given / "it", RAW) != first


# --- labels -----------------------------------------------------------------------------------------------------


def table(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def encoded(n: int = 4) -> list[dict[str, Any]]:
    return [{"bytes": png(image), "path": None} for image in pictures(n, 8, 8, 3)]


def test_a_named_column_that_is_missing(given: Path) -> None:
    table(given / "train.parquet", {"image": encoded(), "fine_label": [0, 1, 0, 1]})
    said = refused("parquet", given, classes=2, label="labels")
    assert said == "train.parquet: no column 'labels'; there are: image, fine_label"
    assert "no column 'img'; there are" in refused("parquet", given, classes=2, image="img")
    assert read("parquet", RAW, path=str(given), classes=2).source.labels == "column 'fine_label'"


def test_classes_without_a_column_of_labels(given: Path) -> None:
    table(given / "train.parquet", {"image": encoded(), "id": [0, 1, 0, 1]})
    assert "no column 'label', but the block has `classes`; there are: image, id" in refused(
        "parquet", given, classes=2
    )
    loaded = read("parquet", RAW, path=str(given))
    assert loaded.train_labels is None and loaded.source.labels == "none; the columns are image, id"


def test_two_columns_that_could_be_the_labels(given: Path) -> None:
    table(given / "train.parquet", {"img": encoded(), "fine_label": [0, 1, 0, 1], "coarse_label": [0, 0, 0, 0]})
    assert "columns fine_label and coarse_label; say which, `options: {label: fine_label}`" in refused("parquet", given)
    assert read("parquet", RAW, path=str(given), label="fine_label", classes=2).class_names == ("0", "1")


def test_labels_that_are_texts(given: Path) -> None:
    table(given / "train.parquet", {"image": encoded(), "label": ["dog", "cat", "dog", "eel"]})
    table(given / "test.parquet", {"image": encoded(2), "label": ["cat", "ant"]})
    loaded = read("parquet", RAW, path=str(given))
    assert loaded.class_names == ("ant", "cat", "dog", "eel") and loaded.train_labels is not None
    assert loaded.train_labels.tolist() == [2, 1, 2, 3]
    table(given / "train.parquet", {"image": encoded(), "label": [0.5, 1.0, 0.0, 1.0]})
    (given / "test.parquet").unlink()
    assert "found double in column 'label', expected whole numbers or texts" in refused("parquet", given)


@pytest.mark.parametrize("layout", ["struct", "bytes", "lists", "channels first", "flat"])
def test_layouts_of_images_in_parquet(layout: str, given: Path) -> None:
    images = pictures(3, 8, 8, 3)
    column = {
        "struct": [{"bytes": png(image), "path": "x.png"} for image in images],
        "bytes": [png(image) for image in images],
        "lists": images.tolist(),
        "channels first": images.transpose(0, 3, 1, 2).tolist(),
        "flat": images.reshape(3, -1).tolist(),
    }[layout]
    table(given / "train.parquet", {"image": column})
    if layout == "flat":
        assert "expected numbers (H, W)" in refused("parquet", given)
    else:
        assert np.array_equal(last(read("parquet", RAW, path=str(given)).train_images), images)


def test_a_named_array_that_is_missing(given: Path) -> None:
    np.savez(given / "it.npz", images=pictures(2, 8, 8), y=np.arange(2))
    assert "options.labels: no array 'target'; there are: images, y" in refused(
        "arrays", given, (1, 8, 8), labels="target"
    )
    assert "options.images: no array 'x'" in refused("arrays", given, (1, 8, 8), images="x")


def test_a_word_that_is_no_way_to_label_images(given: Path) -> None:
    image_folder(given, {"a": 2, "b": 2})
    assert "options.labels: found 'folder', expected one of folders, metadata, none" in refused(
        "images", given, labels="folder"
    )


@pytest.mark.parametrize("nothing", ["none", None])
def test_folders_that_are_no_classes(nothing: str | None, given: Path) -> None:
    """As YAML and the command line have it."""
    image_folder(given, {"a": 2, "test": 2})
    loaded = read("images", RAW, path=str(given), labels=nothing, splits=nothing)
    assert loaded.train_labels is None and len(loaded.train_images) == 4


def test_options_of_another_kind() -> None:
    config = {**params.yaml_loader.block_of(Path(__file__).parents[2] / "params.yaml")}
    for option, value, expected in (
        ("labels", 3, "a valid string"),
        ("face", "yes", "a valid boolean"),
        ("train_files", {"a": 1}, "a valid string"),
    ):
        config["datasets"]["cats"]["options"] = {option: value}
        with pytest.raises(UserError, match=rf"datasets.cats.options.{option}: found .*, expected {expected}"):
            params.check(config)


def test_classes_without_labels_are_refused_by_prepare(given: Path) -> None:
    image_folder(given, {".": 30})
    with pytest.raises(UserError, match=r"datasets.it.classes: found 3, but the files hold no labels \(none\)"):
        prepared(given, classes=3)


def shard(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_webdataset(kind: str, given: Path) -> None:
    images, texts = pictures(5, 8, 8, 3), ["3", "0", "3", "1", "0"]
    for split, first, last_ in (("train-000000", 0, 2), ("train-000001", 2, 4), ("test-000000", 4, 5)):
        members = []
        for number in range(first, last_):
            label = texts[number] if kind == "cls" else json.dumps({"label": int(texts[number])})
            pair = [(f"{number:03d}.png", png(images[number])), (f"{number:03d}.{kind}", label.encode())]
            members += pair[:: 1 if number % 2 else -1]
        shard(given / f"{split}.tar", [*members, ("readme.txt", b"about")])
    loaded = read("webdataset", RAW, path=str(given))
    assert loaded.class_names == ("0", "1", "3") and loaded.train_labels is not None
    assert loaded.train_labels.tolist() == [2, 0, 2, 1] and np.array_equal(last(loaded.train_images), images[:4])
    assert loaded.test_labels is not None and loaded.test_labels.tolist() == [0]
    assert read("webdataset", RAW, path=str(given), classes=4).class_names == ("0", "1", "2", "3")


def test_webdataset_with_two_images_of_an_example(given: Path) -> None:
    shard(given / "train.tar", [("1.png", png(WHITE)), ("1.jpg", png(WHITE))])
    assert "train.tar: 1.jpg: a second image of one example" in refused("webdataset", given)


def test_webdataset_with_dots_in_names(given: Path) -> None:
    images = pictures(3, 8, 8, 3)
    members = [(f"v1.0/22.0{n}.png", png(image)) for n, image in enumerate(images)]
    shard(given / "train.tar", [*members, *((f"v1.0/22.0{n}.cls", b"ab"[n % 2 : n % 2 + 1]) for n in range(3))])
    loaded = read("webdataset", RAW, path=str(given))
    assert labels_of(loaded) == ["a", "b", "a"] and np.array_equal(last(loaded.train_images), images)
    shard(
        given / "train.tar",
        [("foo.left.png", png(WHITE)), ("foo.cls", b"a"), ("bar.in.png", png(BLACK)), ("bar.cls", b"b")],
    )
    assert labels_of(read("webdataset", RAW, path=str(given))) == ["a", "b"]


def test_svhn(given: Path) -> None:
    images = pictures(5, 8, 8, 3)
    for split, part, labels in (("train", slice(0, 3), [1, 10, 3]), ("test", slice(3, 5), [2, 10])):
        savemat(given / f"{split}_32x32.mat", {"X": images[part].transpose(1, 2, 3, 0), "y": np.array(labels)[:, None]})
    loaded = read("svhn", RAW, path=str(given))
    assert loaded.train_labels is not None and loaded.train_labels.tolist() == [1, 0, 3]
    assert np.array_equal(last(loaded.train_images), images[:3]) and np.array_equal(
        last(loaded.test_images), images[3:]
    )
    savemat(given / "test_32x32.mat", {"X": images[:2].transpose(1, 2, 3, 0), "y": np.array([[0], [1]])})
    assert "test_32x32.mat: found y" in refused("svhn", given)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata_files_of_hugging_face(kind: str, given: Path) -> None:
    images, labels = pictures(4, 8, 8, 3), {"train": ["dog", "cat", "dog"], "test": ["eel"]}
    for split, first in (("train", 0), ("test", 3)):
        names = [f"{number}.png" for number in range(len(labels[split]))]
        write(given / split, {name: png(images[first + number]) for number, name in enumerate(names)})
        pairs = [{"file_name": name, "label": label} for name, label in zip(names, labels[split], strict=True)]
        with (given / split / f"metadata.{kind}").open("w", encoding="utf-8", newline="") as file:
            if kind == "csv":
                writer = csv.DictWriter(file, ["file_name", "label"])
                writer.writeheader()
                writer.writerows(pairs)
            else:
                file.writelines(json.dumps(pair) + "\n" for pair in pairs)
    loaded = read("images", RAW, path=str(given))
    assert loaded.class_names == ("cat", "dog", "eel") and loaded.train_labels is not None
    assert loaded.train_labels.tolist() == [1, 0, 1] and np.array_equal(last(loaded.test_images)[0], images[3])
    assert loaded.source.labels == "column 'label' of metadata"
    write(given, {"train/9.png": png(WHITE)})
    assert "metadata: no row for train/9.png; expected a row for every image" in refused("images", given)
    assert "no column 'kind'; there are: file_name, label" in refused("images", given, label="kind")


def labels_of(loaded: Loaded) -> list[str]:
    """The class of each training image, by name."""
    assert loaded.train_labels is not None
    return [loaded.class_names[label] for label in loaded.train_labels]


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
    image_folder(given, {"00000": 1, "00001": 1})
    (given / "00001" / "0.png").rename(given / "00000" / "1.png")
    image_folder(given, {"00001": 1})
    pairs = None if labels is None else [*labels, ["00001/0.png", 2]]
    write(given, {"dataset.json": json.dumps({"labels": pairs}).encode()})
    loaded = read("images", RAW, path=str(given))
    assert (loaded.train_labels is None) if labels is None else (labels_of(loaded) == ["6", "2", "2"])
    write(given, {"dataset.json": b'{"name": "mine"}'})
    assert read("images", RAW, path=str(given)).class_names == ("00000", "00001")


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ({"l.csv": b"id,label\n0,cat\n"}, {"metadata": "m.csv"}, "options.metadata: no file for 'm.csv'; there are: l"),
        ({"l.csv": b"id,label\n0,cat\n"}, {"metadata": "l.csv"}, "l.csv: 0 may be a/0.png, b/0.png; expected one"),
        ({"l.csv": b"id,label\na/0,cat\n"}, {"metadata": "l.csv"}, "metadata: no row for b/0.png; expected a row for"),
        ({"l.csv": b"id,label\na/0,x\na/0.png,y\n"}, {"metadata": "l.csv"}, "a/0.png is there twice with other"),
        ({"l.csv": b"id,fine_label,coarse_label\n0,a,b\n"}, {"metadata": "l.csv"}, "say which, `options: {label: fine"),
        ({"l.csv": b"id,label\na/0,x\nc/0,y\n"}, {"metadata": "l.csv"}, "metadata: no image for c/0; expected a row"),
        ({"l.json": b"3"}, {"metadata": "l.json"}, "l.json: no metadata of images, or damaged ones"),
        ({"l.json": b'{"annotations": 3}'}, {"metadata": "l.json"}, "l.json: no metadata of images, or damaged ones"),
    ],
)
def test_labels_that_do_not_fit(files: dict[str, bytes], options: dict[str, str], expected: str, given: Path) -> None:
    image_folder(given, {"a": 1, "b": 1})
    write(given, files)
    assert expected in refused("images", given, **options)


def test_one_table_of_labels_for_each_split(given: Path) -> None:
    """Names that both splits have mean those of the table's own."""
    image_folder(given, {"train": 2, "test": 2})
    write(given, {"train.csv": b"id,label\n0,a\n1,b\n", "test.csv": b"id,label\n0,b\n1,a\n"})
    loaded = read("images", RAW, path=str(given), metadata=["train.csv", "test.csv"])
    assert labels_of(loaded) == ["a", "b"] and loaded.test_labels is not None
    assert loaded.test_labels.tolist() == [1, 0]


def secret_csv(given: Path) -> tuple[str, dict[str, Any]]:
    """Kaggle's digit recognizer."""
    images = pictures(9, 8, 8, 3)
    (given / "train.csv").write_text(numbered_columns(192, "label") + "\n" + text_rows(images[:6], list("012012")))
    (given / "test.csv").write_text(numbered_columns(192) + "\n" + text_rows(images[6:]))
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
    table(given / "train.parquet", {"image": encoded(6), "label": [0, 1, 2, 0, 1, 2]})
    table(given / "test.parquet", {"image": encoded(3), "label": [-1] * 3})
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


# --- limits, channels, sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [20, 30, 7])
def test_a_limit_is_drawn_over_the_classes(limit: int, given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {"a": 20, "b": 20})), limit=limit)
    assert loaded.train_labels is not None
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


def test_a_limit_is_honoured_for_idx(given: Path) -> None:
    small_idx(given)
    loaded = read("idx", RAW, (1, 8, 8), path=str(given))
    parts = parted(loaded, valid=0.1, test=0.1, seed=0, limit=20)
    assert {split: len(chosen) for split, (_, _, chosen) in parts.items()} == {"train": 10, "test": 20, "valid": 10}
    assert loaded.train_labels is not None
    with pytest.raises(ValueError, match="limit: found 5, expected at least one image for each of 10 classes"):
        parted(loaded, valid=0.1, test=0.1, seed=0, limit=5)


def test_idx_is_resized(given: Path) -> None:
    small_idx(given)
    assert "expected 16x16; say `resize: true`" in refused("idx", given, (1, 16, 16))
    assert read("idx", RAW, (1, 16, 16), path=str(given), resize=True).train_images.shape == (40, 1, 16, 16)


def test_the_files_of_emnist(given: Path) -> None:
    images = small_idx(given / "raw", "emnist-letters-", first=1, compress=True)
    small_idx(given / "raw", "emnist-balanced-", compress=True)
    assert "expected one file; say which, `options: {prefix: ...}`" in refused("idx", given, (1, 8, 8))
    loaded = read(
        "idx", RAW, (1, 8, 8), path=str(given), prefix="emnist-letters-", transpose=True, first_label=1, classes=26
    )
    assert np.array_equal(loaded.train_images[:, 0], images[:40].transpose(0, 2, 1))
    assert loaded.train_labels is not None and loaded.train_labels.tolist() == [number % 10 for number in range(40)]
    assert loaded.class_names == tuple(str(number) for number in range(1, 27))
    said = refused("idx", given, (1, 8, 8), prefix="emnist-letters-", classes=26, first_label=5)
    assert "train labels: expected 0 to 25, found -4 to 5" in said


@pytest.mark.parametrize("shape", [[2, 16, 16], [4, 16, 16], [16, 16, 3]])
def test_the_channels_of_a_shape(shape: list[int]) -> None:
    config = {**params.yaml_loader.block_of(Path(__file__).parents[2] / "params.yaml"), "dvc_tracked": []}
    config["datasets"] = {"it": {"reader": "images", "path": "x", "shape": shape, "models": ["vae"]}}
    expected = r"datasets.it.shape.*expected channels first, 1 or 3 of them"
    with pytest.raises(UserError, match=expected) as caught:
        params.check(config)
    assert shape[2] != 3 or "did you mean [3, 16, 16]" in str(caught.value)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"my-shirts": {}}, r"datasets.my-shirts: .*lower-case letters, digits and _.*my_shirts"),
        ({"mnist": {"path": "x"}}, r"datasets.mnist.files: found beside `path`.*`files: null`"),
    ],
)
def test_names_and_places_of_data_sets(block: dict[str, Any], expected: str) -> None:
    config = params.yaml_loader.block_of(Path(__file__).parents[2] / "params.yaml")
    for name, keys in block.items():
        config["datasets"][name] = {**config["datasets"].get(name, config["datasets"]["mnist"]), **keys}
    with pytest.raises(UserError, match=expected):
        params.check(config)


# --- what prepare says ------------------------------------------------------------------------------------------


def test_equal_images_in_two_splits(given: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = pictures(40, 8, 8, 3)
    for split, chosen in (("train", [*range(40), 5]), ("test", range(10))):
        write(given / split, {f"{number}.png": png(images[place]) for number, place in enumerate(chosen)})
    job = prepared(given)
    content = json.loads(job.outputs["summary"].read_text())["description"]
    assert content["equal_images"]["test in train"] + content["equal_images"]["test in valid"] >= 10
    said = capsys.readouterr().err
    for line in (
        "files: 51 read",
        "pixels: uint8 0 to 255; RGB 51",
        "labels: none",
        "splits: train 3",
        "equal images: ",
    ):
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


def test_classes_of_two_images(given: Path) -> None:
    image_folder(given, {f"c{number:03d}": 2 for number in range(30)})
    with pytest.raises(UserError, match=r"30 classes, of which 30 have fewer than 3 images.*at least 3 images a class"):
        prepared(given)


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


# --- oddities of our own search ---------------------------------------------------------------------------------

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


@pytest.mark.parametrize(("reader", "name"), [("images", "a.png"), ("parquet", "train.parquet"), ("arrays", "it.npz")])
def test_pointers_of_git_lfs(reader: str, name: str, given: Path) -> None:
    write(given, {name: LFS})
    assert "it is a pointer of Git LFS, run `git lfs pull`" in refused(reader, given)


def test_one_class_in_two_spellings_of_unicode(given: Path) -> None:
    image_folder(given, {"caf\u00e9": 2, "cafe\u0301": 3, "tea": 2})
    loaded = read("images", RAW, path=str(given))
    assert loaded.class_names == ("caf\u00e9", "tea") and loaded.train_labels is not None
    assert np.bincount(loaded.train_labels).tolist() == [5, 2]


def test_a_class_whose_name_is_no_utf_8(given: Path) -> None:
    image_folder(given, {"a": 20, os.fsdecode(b"caf\xe9"): 20})
    with pytest.raises(UserError, match=r"found the class name 'caf\\udce9', expected printable UTF-8; rename"):
        prepared(given)


def test_class_names_that_differ_between_files(given: Path) -> None:
    parquet(given / "train.parquet", pictures(2, 8, 8, 3), [0, 1], ["a", "b"])
    parquet(given / "test.parquet", pictures(2, 8, 8, 3), [0, 1], ["b", "a"])
    assert "test.parquet: found other class names in column 'label', b, a; train.parquet has a, b" in refused(
        "parquet", given
    )


def test_labels_that_are_no_classes(given: Path) -> None:
    np.savez(given / "it.npz", images=pictures(3, 8, 8), labels=np.arange(3) * 10**12)
    assert "found 2,000,000,000,001 classes, expected at most 100,000" in refused("arrays", given, (1, 8, 8))


def test_a_pipe_in_a_folder_is_not_waited_for(given: Path) -> None:
    from pipeline.workflow import content_hash

    image_folder(given, {".": 3})
    os.mkfifo(given / "z.png")
    content_hash.digest(given, RAW)
    content_hash.write_index(given, RAW)
    assert len(read("images", RAW, path=str(given)).train_images) == 3


@pytest.mark.parametrize(("reader", "name"), [("csv", "train.csv"), ("arrays", "a.npy"), ("lsun", "data.mdb")])
def test_devices_are_no_files(reader: str, name: str, given: Path) -> None:
    """A link to /dev/zero would be read for ever."""
    (given / name).symlink_to("/dev/null")
    assert refused(reader, given, (1, 32, 32), classes=3)


def test_an_archive_of_arrays_by_another_name(given: Path) -> None:
    np.savez(given / "it.npz", images=pictures(3, 8, 8))
    (given / "it.npz").rename(given / "images.npy")
    assert "images.npy: array 'images' cannot be read" in refused("arrays", given, (1, 8, 8))


def test_a_row_without_an_end(given: Path) -> None:
    write(given, {"train.csv": b"1," * (1 << 22) + b"1,1"})
    assert "train.csv, row 1: more than 8,388,608 bytes" in refused("csv", given, (1, 32, 32), label="last")


def test_cifar_as_its_archive_unpacks(given: Path) -> None:
    records = b"".join(bytes([label]) + image.tobytes() for label, image in enumerate(pictures(3, 3, 32, 32)))
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    write(given / "cifar-10-batches-bin", dict.fromkeys(names, records))
    loaded = read("cifar", RAW, (3, 32, 32), path=str(given))
    assert (len(loaded.train_images), len(loaded.test_images)) == (15, 3)
    write(given / "other", {"data_batch_1": b"a pickle"})
    assert "not found; expected CIFAR's binary version" in refused("cifar", given / "other", (3, 32, 32))


def test_cifar_is_prepared(given: Path) -> None:
    """The shares of the block's `valid` and `test` are no lists of files."""
    records = [bytes([label % 3]) + image.tobytes() for label, image in enumerate(pictures(60, 3, 32, 32))]
    write(given, {f"data_batch_{number}.bin": b"".join(records[:30]) for number in range(1, 6)})
    write(given, {"test_batch.bin": b"".join(records[30:])})
    job = prepared(given, reader="cifar", shape=[3, 32, 32])
    content = json.loads(job.outputs["summary"].read_text())
    assert (content["train"]["count"], content["test"]["count"]) == (135, 30)


def test_the_names_of_kaggle(given: Path) -> None:
    images = small_idx(given)
    for path in sorted(given.iterdir()):
        name = path.name.replace("-idx", ".idx")
        path.rename(given / "waiting")
        (given / name).mkdir()
        (given / "waiting").rename(given / name / name)
    assert np.array_equal(read("idx", RAW, (1, 8, 8), path=str(given)).train_images[:, 0], images[:40])


def test_colours_of_other_spaces(given: Path) -> None:
    write(
        given, {f"{mode}.tif": tiff_of(Image.new("RGB", (8, 8), "white").convert(mode)) for mode in ("CMYK", "YCbCr")}
    )
    assert (read("images", RAW, path=str(given)).train_images >= 254).all()


def tiff_of(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    return buffer.getvalue()


def test_paths_of_metadata_as_windows_writes_them(given: Path) -> None:
    image_folder(given, {"a": 2})
    write(given, {"metadata.csv": b"file_name,label\r\na\\0.png,x\r\na\\1.png,y\r\n"})
    assert read("images", RAW, path=str(given)).class_names == ("x", "y")
    write(given, {"metadata.csv": b"file_name,label\na/0.png,x\na/1.png,y\na/1.png,x\n"})
    assert "metadata.csv, row 3: a/1.png is there twice with other labels" in refused("images", given)
    write(given, {"metadata.csv": "file_name,label\na/0.png,\u00e9\n".encode("latin-1")})
    assert "metadata.csv: no metadata of images, or damaged ones" in refused("images", given)


@pytest.mark.parametrize(
    ("reader", "files", "expected"),
    [
        ("images", {"a.heic": b"1", "b.svg": b"1"}, "no image in it (.heic 1, .svg 1); expected files that end in"),
        ("images", {"train.zip": b"PK", "test.tar": b""}, "; unpack test.tar, train.zip, or give one as `path`)"),
        ("images", {"test/a.png": png(WHITE)}, "no training images; expected at least one, found only test"),
        ("video", {"0.png": png(WHITE)}, "found a folder, expected one video"),
        ("lsun", {"church_train_lmdb.zip": b"PK"}, "unzip LSUN's archive there"),
        ("webdataset", {"0.png": png(WHITE)}, "no .tar in it"),
        ("svhn", {"0.png": png(WHITE)}, "train_32x32.mat: not found"),
        ("idx", {"0.png": png(WHITE)}, "not found; expected one file; say its name"),
        ("parquet", {"0.png": png(WHITE)}, "no file of a training split"),
        ("arrays", {"0.png": png(WHITE)}, "no array 'images'"),
        ("csv", {"0.png": png(WHITE)}, "no table in it"),
    ],
)
def test_folders_that_hold_something_else(reader: str, files: dict[str, bytes], expected: str, given: Path) -> None:
    assert expected in refused(reader, write(given, files))


# --- degenerate sets of images ----------------------------------------------------------------------------------


def test_discrepancy_of_images_that_are_mostly_equal() -> None:
    from pipeline.metrics.mmd import median_distance, mmd_rbf

    generator = torch.Generator().manual_seed(0)
    others = torch.rand(60, 4, generator=generator)
    real = torch.cat([torch.zeros(240, 4), others])
    pairs = torch.nn.functional.pdist(real.double())
    assert median_distance(real=real) == pytest.approx(pairs[pairs > 0].median().item(), rel=1e-4)
    assert mmd_rbf(real=real, fake=real.flip(0)) == pytest.approx(0, abs=0.02)
    assert math.isnan(mmd_rbf(real=torch.zeros(9, 4), fake=torch.rand(9, 4, generator=generator)))


def test_precision_and_recall_of_an_exact_copy() -> None:
    from pipeline.metrics.prdc import prdc

    real = torch.cat([torch.zeros(75, 4), torch.rand(25, 4, generator=torch.Generator().manual_seed(0))])
    found = prdc(real=real, fake=real.clone())
    assert [found[name] for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    far = prdc(real=real, fake=real + 100)
    assert [far[name] for name in ("precision", "recall", "coverage")] == [0, 0, 0]
