"""The IDX reader, against bytes written out by hand from the format's description."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import load_reader
from pipeline.datasets.idx import FILES, load, read
from pipeline.datasets.loaded import Loaded
from tests.conftest import ROOT, stage
from tests.data_files import idx


def small_mnist(folder: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (7, 5, 4), dtype=np.uint8),
        "train_labels": np.array([0, 1, 2, 3, 4, 5, 9], dtype=np.uint8),
        "test_images": rng.integers(0, 256, (3, 5, 4), dtype=np.uint8),
        "test_labels": np.array([8, 8, 0], dtype=np.uint8),
    }
    for part, array in arrays.items():
        (folder / FILES[part]).write_bytes(idx(array))
    return arrays


def test_read_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "hand"
    path.write_bytes(bytes.fromhex("00000802 00000002 00000003 01 02 03 fd fe ff"))
    assert read(path).tolist() == [[1, 2, 3], [253, 254, 255]]
    assert read(path).dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an empty file"),
        (b"\x1f\x8b\x08\x00rest", "found 1f 8b 08 00"),
        (bytes.fromhex("00000d01 00000001 00000000"), "found 00 00 0d 01"),
        (bytes.fromhex("00000800"), "found 00 00 08 00"),
        (bytes.fromhex("00000803 00000001"), "header of 16 bytes, found 8"),
        (bytes.fromhex("00000801 00000003 0102"), "expected 11 bytes for shape (3,), found 10"),
        (bytes.fromhex("00000801 00000003 01020304"), "expected 11 bytes for shape (3,), found 12"),
        (bytes.fromhex("00000802 ffffffff ffffffff 01"), "found 13"),
    ],
)
def test_a_malformed_file_is_named_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^some-file: .*{re.escape(message)}") as failure:
        read(path)
    assert "\n" not in str(failure.value)


def test_load(tmp_path: Path) -> None:
    """By its usual names, or by those of the options."""
    arrays = small_mnist(tmp_path)
    loaded = load_reader("idx")(tmp_path, {})
    assert np.array_equal(loaded.train_images, arrays["train_images"][:, None])
    assert np.array_equal(loaded.test_images, arrays["test_images"].reshape(3, 1, 5, 4))
    assert loaded.train_labels is not None and loaded.train_labels.dtype == np.int64
    assert loaded.train_labels.tolist() == [0, 1, 2, 3, 4, 5, 9]
    assert loaded.class_names == tuple("0123456789")
    (tmp_path / FILES["test_labels"]).rename(tmp_path / "other")
    names = [f"class {k}" for k in range(10)]
    assert load(tmp_path, {"test_labels": "other", "class_names": names}).class_names == tuple(names)


def test_the_labels_of_qmnist(tmp_path: Path) -> None:
    """The digit, then the writer and the like, as big-endian numbers of 32 bits."""
    arrays = small_mnist(tmp_path)
    for split, name in (("train", "train"), ("test", "t10k")):
        (tmp_path / FILES[f"{split}_images"]).rename(tmp_path / f"qmnist-{split}-images-idx3-ubyte")
        (tmp_path / f"{name}-labels-idx1-ubyte").unlink()
        rows = np.full((len(arrays[f"{split}_labels"]), 8), 70_000, dtype=">i4")
        rows[:, 0] = arrays[f"{split}_labels"]
        (tmp_path / f"qmnist-{split}-labels-idx2-int").write_bytes(idx(rows, kind=0x0C))
    loaded = load(tmp_path, {"prefix": "qmnist-"})
    assert loaded.train_labels is not None and loaded.train_labels.tolist() == arrays["train_labels"].tolist()
    assert loaded.test_labels is not None and loaded.test_labels.tolist() == [8, 8, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": list("abcdefghi")}, "train labels: expected 0 to 8, found 0 to 9"),
        ({"train_labels": FILES["test_labels"]}, "7 images but 3 labels"),
        ({"train_images": FILES["train_labels"]}, "expected 3 dimensions for train_images"),
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path: Path, options: dict[str, object], message: str) -> None:
    small_mnist(tmp_path)
    with pytest.raises(ValueError, match=message):
        load(tmp_path, options)


def test_images_that_are_not_bytes_are_refused() -> None:
    images, none = np.zeros((2, 1, 3, 3), dtype=np.uint8), np.zeros((0, 1, 3, 3), dtype=np.uint8)
    Loaded(images, None, none, None, ())
    with pytest.raises(ValueError, match="expected uint8"):
        Loaded(images.astype(np.float32), None, none, None, ())
    with pytest.raises(ValueError, match="test"):
        Loaded(images, None, none[:, :, :2], None, ())


@pytest.mark.parametrize(("reader", "message"), [("idk", "did you mean 'idx'"), ("splits", "idx")])
def test_an_unknown_reader_is_answered_with_the_nearest(reader: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_reader(reader)


@pytest.mark.workflow
def test_mnist_itself(tmp_path: Path) -> None:
    """From $DATA_MIRROR, or as the project fetches it."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    fetched = stage(tmp_path, "fetch", "--dataset", "mnist")
    if fetched.returncode:
        pytest.skip(f"needs MNIST and found none: {fetched.stderr.strip().splitlines()[-1]}")
    loaded = load(tmp_path / "data/raw/mnist", {})
    assert loaded.train_images.shape == (60_000, 1, 28, 28) and loaded.test_images.shape == (10_000, 1, 28, 28)
    assert loaded.train_labels is not None and loaded.test_labels is not None
    assert np.bincount(loaded.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(loaded.train_labels)[:3].tolist() == [5923, 6742, 5958]
    assert loaded.train_images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
