"""The readers: what was written in each format comes back, image by image, with its label and in its split."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
from PIL import Image

from pipeline.datasets.fitting import Fit, decoded
from pipeline.datasets.loaded import Loaded
from pipeline.datasets.splits import parted
from tests.data_files import (
    bytes_of,
    check,
    database,
    film,
    last,
    parquet,
    pictures,
    png,
    read,
    rows,
    tarred,
    write,
    zipped,
)

# --- each format ------------------------------------------------------------------------------------------------


def test_parquet_of_several_files_a_split(tmp_path: Path) -> None:
    images, names = pictures(6, 8, 8, 3), ["cat", "dog"]
    for name, part, labels in (
        ("train-00000-of-00002", slice(0, 2), [1, 0]), ("train-00001-of-00002", slice(2, 3), [1]),
        ("validation", slice(3, 4), [0]), ("test", slice(4, 6), [1, 1]),
    ):  # fmt: skip
        write(tmp_path, {f"{name}.parquet": parquet(images[part], labels, names)})
    check(read("parquet", tmp_path), train=images[:3], valid=images[3:4], test=images[4:], train_labels=[1, 0, 1],
          names=names)  # fmt: skip


def test_parquet_without_class_names_takes_their_number(tmp_path: Path) -> None:
    write(tmp_path, {"train.parquet": parquet(pictures(2, 8, 8, 3), [0, 2])})
    with pytest.raises(ValueError, match="column 'label' has no class names; give their number as `classes`"):
        read("parquet", tmp_path)
    assert read("parquet", tmp_path, classes=3).class_names == ("0", "1", "2")


def files_of_classes(images: np.ndarray) -> dict[str, bytes]:
    """Ten images in two class folders of two official splits, and what else lies about in such folders."""
    names = ["train/dog/b.png", "train/cat/a.png", "train/dog/a.png", "val/cat/c.png", "test/dog/z.png"]
    found = {f"set/{name}": png(image) for name, image in zip(names, images, strict=True)}
    return found | {"set/README.txt": b"about", "__MACOSX/set/train/cat/._a.png": b"no image", "set/.DS_Store": b""}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_class_folders_with_official_splits(kind: str, tmp_path: Path) -> None:
    images = pictures(5, 8, 8, 3)
    files, place = files_of_classes(images), tmp_path / f"it.{kind}"
    if kind == "folder":
        write(place, files)
    elif kind == "zip":
        place.write_bytes(zipped(files))
    else:
        members = [(f"./{name}", content) for name, content in files.items()]
        place.write_bytes(tarred(members, "w:gz" if kind.endswith("gz") else "w"))
    loaded = read("images", tmp_path, path=str(place))
    check(loaded, valid=images[3:4], test=images[4:], names=("cat", "dog"))
    found = zip(loaded.train_labels.tolist(), last(loaded.train_images), strict=True)
    assert {(label, image.tobytes()) for label, image in found} == {
        (label, image.tobytes()) for label, image in zip((1, 0, 1), images, strict=False)
    }
    assert {path.name for path in tmp_path.iterdir()} == {place.name}, "nothing is unpacked, nothing is left behind"


def test_cats_are_cut_to_the_face_and_their_shelves_are_no_classes(tmp_path: Path) -> None:
    image = pictures(1, 40, 50, 3)[0]
    for shelf in ("CAT_00", "CAT_01"):
        (tmp_path / shelf).mkdir()
        (tmp_path / shelf / "1.png").write_bytes(png(image))
        points = " ".join(f"{x} {y}" for x, y in [(10, 5), (18, 13)] + 7 * [(14, 9)])
        (tmp_path / shelf / "1.png.cat").write_text(f"9 {points} ")
    loaded = read("images", tmp_path, labels="none", face=True)
    assert loaded.train_labels is None and np.array_equal(last(loaded.train_images)[1], image[5:13, 10:18])
    (tmp_path / "CAT_01" / "1.png.cat").unlink()
    with pytest.raises(ValueError, match=r"CAT_01/1.png: found no annotation of 9 points"):
        read("images", tmp_path, labels="none", face=True)


def test_lsun_takes_one_image_of_each_category_in_turn(tmp_path: Path) -> None:
    images = pictures(5, 8, 8, 3)
    database(tmp_path / "kitchen_train_lmdb", [png(image) for image in images[:3]])
    database(tmp_path / "room_train_lmdb", [png(image) for image in images[3:]])
    database(tmp_path / "room_val_lmdb", [b"never read"])
    loaded = read("lsun", tmp_path, path=str(tmp_path))
    assert loaded.train_labels is None and np.array_equal(last(loaded.train_images), images[[0, 3, 1, 4, 2]])
    assert len(read("lsun", tmp_path, path=str(tmp_path), limit=2).train_images) == 2


def test_a_film(tmp_path: Path) -> None:
    frames = pictures(7, 16, 16, 3)
    film(tmp_path / "film.mkv", frames)
    loaded = read("video", tmp_path, (3, 16, 16), files=["film.mkv"], every=3)
    check(loaded, train=frames[::3])
    assert loaded.train_labels is None


def test_uhtelpcc_as_text_and_as_a_pickle(tmp_path: Path) -> None:
    ink = (pictures(4, 32, 32) > 127).astype(np.int64)
    write(tmp_path, {
        "train.csv": ",".join(["pixel"] * 1024 + ["label"]) + "\n" + rows(ink[:2], [324, 0]),
        "valid.csv": rows(ink[2:3], [7]),
        "test.csv": rows(ink[3:], [8]),
        "it.pkl": pickle.dumps([
            (ink[:2].reshape(2, 1024).astype(np.float32), [324, 0]), (ink[2:3], np.array([7])),
            (ink[3:] > 0, np.array([8])),
        ], protocol=2),
    })  # fmt: skip
    for reader, files, own in (
        ("csv", ["train.csv", "valid.csv", "test.csv"], {"label": "last"}),
        ("uhtelpcc_pickle", ["it.pkl"], {}),
    ):
        loaded = read(reader, tmp_path, (1, 32, 32), classes=325, files=files, **own)
        check(loaded, train=255 * ink[:2], test=255 * ink[3:], train_labels=[324, 0], valid_labels=[7])


def test_the_flowers_official_lists(tmp_path: Path) -> None:
    images = pictures(4, 8, 8, 3)
    members = [(f"jpg/image_{number:05d}.jpg", png(image)) for number, image in enumerate(images, start=1)]
    write(tmp_path, {"102flowers.tgz": tarred(members, "w:gz")})
    scipy.io.savemat(tmp_path / "imagelabels.mat", {"labels": np.array([[77, 1, 102, 5]], dtype=np.uint8)})
    scipy.io.savemat(tmp_path / "setid.mat", {"trnid": [[4, 1]], "valid": [[2]], "tstid": [[3]]}, do_compression=True)
    loaded = read("oxford_flowers", tmp_path)
    check(loaded, train=images[[0, 3]], test=images[2:3], train_labels=[76, 4], test_labels=[101])


# --- sizes and modes --------------------------------------------------------------------------------------------


def test_the_middle_is_cut_out() -> None:
    image = np.arange(60, dtype=np.uint8).reshape(6, 10)
    assert np.array_equal(Fit((1, 6, 6), "square")("it", image)[0], image[:, 2:8])
    assert np.array_equal(Fit((1, 2, 4), (2, 4))("it", image)[0], image[2:4, 3:7])
    with pytest.raises(ValueError, match="it: found an image of 6x10, too small to cut 7x7 from it"):
        Fit((1, 7, 7), (7, 7))("it", image)


def test_another_size_is_resized_only_where_that_is_asked_for() -> None:
    flat = np.full((9, 9), 77, dtype=np.uint8)
    with pytest.raises(ValueError, match="it: found an image of 9x9, expected 4x4; say `resize: true`"):
        Fit((1, 4, 4))("it", flat)
    assert np.array_equal(Fit((1, 4, 4), resize=True)("it", flat), np.full((1, 4, 4), 77))


def test_shrinking_averages() -> None:
    """A chequerboard of single pixels becomes grey; taking every other pixel would make it black or white."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = Fit((1, 16, 16), resize=True)("it", board)[0, 2:-2, 2:-2]
    assert abs(small.astype(float) - 127.5).max() < 8


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_images_of_every_mode_are_the_same_white(mode: str) -> None:
    image = (
        Image.fromarray(np.full((4, 4), 65535, dtype=np.uint16))
        if mode == "I;16"
        else Image.new("RGB", (4, 4), "white").convert(mode)
    )
    content = bytes_of(lambda file: image.save(file, "TIFF"))
    for channels in (1, 3):
        fitted = Fit((channels, 4, 4))("it", decoded("it", content))
        assert fitted.shape == (channels, 4, 4) and (fitted == 255).all()


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (Fit((3, 4, 4))("it", clear) == 255).all()


# --- splits -----------------------------------------------------------------------------------------------------


def loaded(labels: list[int] | None, test: int = 0, valid: int | None = None) -> Loaded:
    n = 30 if labels is None else len(labels)
    images = np.zeros((n, 1, 2, 2), dtype=np.uint8)
    marks = None if labels is None else np.array(labels)
    of = (lambda k: None) if labels is None else (lambda k: np.zeros(k, dtype=np.int64))
    own = {} if valid is None else {"valid_images": images[:valid], "valid_labels": of(valid)}
    return Loaded(images, marks, images[:test], of(test), tuple("abcdef"), **own)


def sizes(found: Any) -> dict[str, int]:
    return {split: len(chosen) for split, (_, _, chosen) in found.items()}


def test_official_splits_are_kept() -> None:
    assert sizes(parted(loaded(None, test=4, valid=3), valid=0.5, test=0.5, seed=0)) == {
        "train": 30,
        "test": 4,
        "valid": 3,
    }
    assert sizes(parted(loaded(None, test=4), valid=5, test=0.5, seed=0)) == {"train": 25, "test": 4, "valid": 5}


def test_what_the_source_has_none_of_is_drawn_without_overlap() -> None:
    found = parted(loaded(None), valid=0.1, test=0.2, seed=0)
    assert sizes(found) == {"train": 21, "test": 6, "valid": 3}
    assert sorted(np.concatenate([chosen for _, _, chosen in found.values()])) == list(range(30))


def test_a_class_of_three_is_in_all_splits_and_a_class_of_one_in_training() -> None:
    labels = 40 * [0] + 3 * [1] + 2 * [2] + [3]
    found = parted(loaded(labels), valid=0.1, test=0.1, seed=0)
    classes = {split: set(np.array(labels)[chosen].tolist()) for split, (_, _, chosen) in found.items()}
    assert classes["train"] >= {0, 1, 2, 3} - {2} and all(1 in here for here in classes.values())
    assert 3 not in classes["test"] | classes["valid"] and 3 in classes["train"] and 2 in classes["train"]


def test_one_class_is_none() -> None:
    images = np.zeros((3, 1, 2, 2), dtype=np.uint8)
    one = Loaded(images, np.zeros(3, dtype=np.int64), images[:0], np.zeros(0, dtype=np.int64), ("face",))
    assert one.without_one_class().train_labels is None and one.without_one_class().class_names == ()
