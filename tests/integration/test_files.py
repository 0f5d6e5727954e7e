"""Files as people have them: each is read as its owner means it, or refused in one line that says what to do.

Inputs are the smallest that public bug reports of the nearest tools give; each case stands for a kind.
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
from pipeline.datasets.fitting import Fit, decoded
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
    film,
    folders,
    idx,
    image_folder,
    npy,
    npz,
    parquet,
    picture,
    pictures,
    png,
    png_of,
    read,
    rows,
    table,
    tarred,
    write,
    zipped,
)  # fmt: skip
from tests.faults.test_hostile_data import RAW, nothing_elsewhere, prepared  # noqa: F401

Files = dict[str, bytes | str]

BLACK, WHITE = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
GREY = {"shape": (1, 8, 8)}
RGB, GREYS = pictures(9, 8, 8, 3), pictures(9, 8, 8)
RAMP = np.arange(64).reshape(1, 8, 8)
"""An image with 64 levels."""


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return tmp_path / "given"


def refused(reader: str, place: Path, **options: Any) -> str:
    """The one line with which a reader refuses."""
    with pytest.raises(ValueError) as caught:
        read(reader, RAW, path=str(place), **options)
    assert "\n" not in str(caught.value) and not list(RAW.iterdir()), "one line, and nothing left behind"
    return str(caught.value)


# --- files that are made here -----------------------------------------------------------------------------------


def numbered_columns(n: int = 64, *before: str) -> str:
    return ",".join([*before, *(f"pixel{number}" for number in range(n))])


def text_rows(images: np.ndarray, *before: Any) -> str:
    """Rows of pixels after some other columns."""
    columns = zip(*before, images.reshape(len(images), -1).tolist(), strict=True)
    return "".join(",".join(map(str, [*head, *pixels])) + "\n" for *head, pixels in columns)


def mat(images: np.ndarray, labels: list[int]) -> bytes:
    """SVHN's file: images (H, W, C, n), labels (n, 1)."""
    return bytes_of(lambda file: savemat(file, {"X": images.transpose(1, 2, 3, 0), "y": np.array(labels)[:, None]}))


def fer2013() -> bytes:
    """One table of all splits, an image's pixels as one text, and an index that pandas wrote."""
    usage = ["Training", "PublicTest", "Training", "PrivateTest"]
    texts = [" ".join(map(str, image.reshape(-1))) for image in GREYS[:4]]
    body = [f"{n},{n % 2},{text},{use}" for n, (text, use) in enumerate(zip(texts, usage, strict=True))]
    return "\n".join([",emotion,pixels,Usage", *body]).encode("utf-8-sig")


def webdataset(kind: str) -> Files:
    """Three shards whose labels are `.cls` or `.json` files, before or after their images."""
    files, texts = {}, ["3", "0", "3", "1", "0"]
    for split, first, last_ in (("train-000000", 0, 2), ("train-000001", 2, 4), ("test-000000", 4, 5)):
        members = [("readme.txt", b"about")]
        for n in range(first, last_):
            label = texts[n] if kind == "cls" else json.dumps({"label": int(texts[n])})
            pair = [(f"{n:03d}.png", png(RGB[n])), (f"{n:03d}.{kind}", label.encode())]
            members += pair[:: 1 if n % 2 else -1]
        files[f"{split}.tar"] = tarred(members)
    return files


def small_idx(prefix: str = "", first: int = 0, compress: bool = False, name: str = "{0}-{1}-idx{2}-ubyte") -> Files:
    """MNIST's four files with 6 and 3 images of ten classes."""
    files, labels = {}, (np.arange(9) % 10 + first).astype(np.uint8)
    for split, part in (("train", slice(0, 6)), ("test" if prefix else "t10k", slice(6, 9))):
        for kind, array in (("images", GREYS[part]), ("labels", labels[part])):
            content = gzip.compress(idx(array)) if compress else idx(array)
            files[prefix + name.format(split, kind, array.ndim) + (".gz" if compress else "")] = content
    return files


def hugging_face_folder(kind: str) -> Files:
    """Splits with a table of labels each, as CSV or as lines of JSON."""
    files: Files = {}
    for split, labels, images in (("train", ["dog", "cat", "dog"], RGB[:3]), ("test", ["eel"], RGB[3:4])):
        files |= {f"{split}/{number}.png": png(image) for number, image in enumerate(images)}
        pairs = [{"file_name": f"{number}.png", "label": label} for number, label in enumerate(labels)]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["file_name", "label"])
        writer.writeheader()
        writer.writerows(pairs)
        content = text.getvalue() if kind == "csv" else "".join(json.dumps(pair) + "\n" for pair in pairs)
        files[f"{split}/metadata.{kind}"] = content
    return files


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


def zip_made_on_windows() -> bytes:
    """Backslashes between folders, which Python's zipfile does not write by itself."""

    def write_to(file: io.BytesIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for number, label in enumerate("abab"):
                member = zipfile.ZipInfo("x")
                member.filename = f"shirts\\{label}\\{number}.png"
                archive.writestr(member, png(RGB[number]))

    return bytes_of(write_to)


# --- what is read -----------------------------------------------------------------------------------------------

A_B, X_CAT_DOG = ["a", "b"], {"labels": ["cat", "dog"], "passed_over": {".csv": 1}}
SIDE_BY_SIDE = folders({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1, "extra/a": 3})
WITHOUT_SPLITS = {f"{number:04d}.parquet": parquet(np.stack([WHITE] * 2), [0, 1], A_B) for number in range(3)}
NAMED_TOO = {**WITHOUT_SPLITS, "test.parquet": parquet(WHITE[None], [0], A_B)}
KERAS = {"it.npz": npz(x_train=GREYS[:6], y_train=np.arange(6) % 2, x_test=GREYS[6:], y_test=np.arange(3) % 2)}
LABELS_OF_X = {**folders({"x": 2}), "sample_submission.csv": b"id\n"}
COCO = {
    "images": [{"id": 7, "file_name": "0.png"}, {"id": 8, "file_name": "1.png"}],
    "annotations": [{"image_id": 8, "category_id": 3}, {"image_id": 7, "category_id": 1}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
}
DOTS = [(f"v1.0/22.0{n}.png", png(RGB[n])) for n in range(3)]
DOTS += [(f"v1.0/22.0{n}.cls", b"ab"[n % 2 : n % 2 + 1]) for n in range(3)]
KINDS = [("foo.left.png", png(WHITE)), ("foo.cls", b"a"), ("bar.in.png", png(BLACK)), ("bar.cls", b"b")]
SORTED = sorted(range(64), key=str)
FIRST_A, CAT_DOG = GREYS[:3].copy(), ["cat", "dog", "dog"]
FIRST_A[:, :, 0] = 7
INK = (pictures(4, 32, 32) > 127).astype(np.int64)
CIFAR = b"".join(bytes([label]) + image.tobytes() for label, image in enumerate(pictures(3, 3, 32, 32)))
LETTERS = {"prefix": "emnist-letters-", "classes": 26, **GREY}
EMNIST = {**small_idx("emnist-letters-", 1, compress=True), **small_idx("emnist-balanced-", compress=True)}

READ: dict[str, tuple[str, Files, dict[str, Any], dict[str, Any]]] = {
    # splits
    "three splits and their words": ("parquet", {
        f"{name}.parquet": parquet(RGB[part], [n % 2 for n in range(part.start, part.stop)], ["cat", "dog"])
        for name, part in (("plain_text/train/0000", slice(0, 2)), ("plain_text/train/0001", slice(2, 3)),
                           ("eval", slice(3, 5)), ("holdout", slice(5, 6)))
    }, {}, {"train": RGB[:3], "valid": RGB[3:5], "test": RGB[5:6], "train_labels": [0, 1, 0],
            "valid_labels": [1, 0], "test_labels": [1], "names": ["cat", "dog"],
            "splits": {"train": "plain_text/train/0000.parquet, plain_text/train/0001.parquet",
                       "valid": "eval.parquet", "test": "holdout.parquet"}}),
    "no split in any name": ("parquet", WITHOUT_SPLITS, {}, {
        "sizes": (6, 0, 0), "remarks": ["no split in the names of 3 files, so all were read for training"]}),
    "splits that are told": ("parquet", NAMED_TOO, {"train_files": ["000?.parquet"], "test_files": ["test.parquet"]},
                             {"sizes": (6, 0, 1)}),
    "splits in class folders": ("images", folders({"a/train": 3, "a/test": 1, "b/train": 2, "b/test": 2}), {},
                                {"names": "ab", "train_labels": [0, 0, 0, 1, 1], "test_labels": [0, 1, 1]}),
    "folders that are told": ("images", SIDE_BY_SIDE, {"train_files": ["train", "extra"], "test_files": ["test"]},
                              {"sizes": (7, 0, 2), "names": "ab"}),
    "folders of which one is left out": ("images", SIDE_BY_SIDE, {"train_files": ["train"], "test_files": "test"},
                                         {"sizes": (4, 0, 2), "passed_over": {".png": 3}}),
    "folders that are classes": ("images", SIDE_BY_SIDE, {"splits": "none"},
                                 {"names": ["extra", "test", "train"], "sizes": (9, 0, 0)}),
    # arrays
    **{f"Keras, {options}": ("arrays", KERAS, {"path": "it.npz", **GREY, **options}, {
        "train": GREYS[:6], "test": GREYS[6:], "test_labels": [0, 1, 0],
        "splits": {"train": "array x_train", "test": "array x_test"}})
       for options in ({}, {"images": "x_train", "labels": "y_train"}, {"images": "x_train"})},
    "MedMNIST": ("arrays", {"it.npz": npz(
        train_images=RGB[:5], val_images=RGB[5:7], test_images=RGB[7:], train_labels=np.arange(5)[:, None] % 3,
        val_labels=np.arange(2)[:, None], test_labels=np.array([[1], [2]]))}, {},
        {"valid": RGB[5:7], "test_labels": [1, 2]}),
    "nameless arrays": ("arrays", {
        f"kmnist-{split}-{kind}.npz": npz(of[part]) for split, part in (("train", slice(0, 3)), ("test", slice(3, 5)))
        for kind, of in (("imgs", GREYS), ("labels", np.array([0, 1, 0, 1, 1])))
    }, GREY, {"train": GREYS[:3], "test": GREYS[3:5], "test_labels": [1, 1]}),
    **{f"labels {labels} of {classes} classes": (  # from one: STL-10's
        "arrays", {"it.npz": npz(train_X=GREYS[:3], train_y=np.array(labels, np.uint8))}, {"classes": classes, **GREY},
        {"labels": list(map(str, labels)), "names": [str(number) for number in range(first, first + count)]})
       for labels, classes, count, first in (
           ([1, 2, 10], None, 10, 1), ([1, 2, 10], 10, 10, 1), ([1, 2, 10], 11, 11, 0), ([0, 2, 10], None, 11, 0),
           ([2, 3, 4], None, 5, 0))},
    "several labels an image, not wanted": (  # ChestMNIST's
        "arrays", {"it.npz": npz(train_images=GREYS[:4], train_labels=np.eye(14, dtype=int)[:4])},
        {"classes": 0, **GREY}, {"train_labels": None}),
    "arrays that are not used": ("arrays", {"it.npz": npz(images=GREYS), "c.npz": npz(extra=np.zeros(3))}, GREY,
                                 {"remarks": ["arrays not used: extra"]}),
    "channels first": ("arrays", {"it.npz": npz(images=RGB.transpose(0, 3, 1, 2))}, {}, {"train": RGB}),
    "channels last": ("arrays", {"it.npz": npz(images=RGB)}, {}, {"train": RGB}),
    "one channel": ("arrays", {"it.npz": npz(images=GREYS[:, None])}, GREY, {"train": GREYS}),
    "flat": ("arrays", {"it.npz": npz(images=GREYS.reshape(9, 64))}, GREY, {"train": GREYS}),
    **{f"black and white as {dtype.__name__}": ("arrays", {"images.npy": npy((RAMP % 2).astype(dtype))}, GREY,
                                                {"train": 255 * (RAMP % 2)})
       for dtype in (np.uint8, np.int32, np.float32, np.bool_)},
    "SVHN": ("svhn", {"train_32x32.mat": mat(RGB[:3], [1, 10, 3]), "test_32x32.mat": mat(RGB[3:5], [2, 10])}, {},
             {"train": RGB[:3], "test": RGB[3:5], "train_labels": [1, 0, 3]}),
    # text tables
    "a first label that is a word": ("csv", {"it.csv": text_rows(FIRST_A, CAT_DOG)}, {"label": "first", **GREY},
                                     {"train": FIRST_A, "names": ["cat", "dog"]}),
    "pixels sorted by their letters": ("csv", {"it.csv": ",".join(["label", *(f"pixel{n}" for n in SORTED)]) + "\n"
                                               + text_rows(GREYS[:3].reshape(3, 64)[:, SORTED], "012")}, GREY,
                                       {"train": GREYS[:3], "labelled": "column 'label'"}),
    "labels not wanted": ("csv", {"it.csv": text_rows(GREYS[:3], "012")}, {"classes": 0, "label": "first", **GREY},
                          {"train": GREYS[:3], "train_labels": None}),
    "a column of labels not wanted": (
        "csv", {"it.csv": numbered_columns(64, "who") + "\n" + text_rows(GREYS[:3], "012")},
        {"classes": 0, "label": "who", **GREY}, {"train": GREYS[:3], "train_labels": None}),
    "FER2013": ("csv", {"it.csv": fer2013()}, {"label": "emotion", **GREY},
                {"train": GREYS[:4:2], "test": GREYS[[3, 1]], "test_labels": [1, 1],
                 "remarks": ["columns not used: ''"]}),
    "pandas": ("csv", {"it.csv": ",".join(map(str, range(65))) + "\n" + text_rows(GREYS[:3], "aba")},
               {"label": "0", **GREY}, {"train": GREYS[:3], "names": "ab"}),
    "pandas with its index": ("csv", {"it.csv": "," + ",".join(map(str, range(65))) + "\n"
                                      + text_rows(GREYS[:3], "012", "aba")},
                              {"label": "0", **GREY}, {"train": GREYS[:3], "names": "ab"}),
    **{name: ("csv", {name: (numbered_columns(64, "Label") + "\n" + text_rows(GREYS[:3] / divisor, "aba"))
                      .replace(old, new)}, {"path": name, **GREY}, {"train": GREYS[:3], "names": "ab"})
       for name, divisor, old, new in (
           ("it.csv", 255, ",", ";"), ("it.tsv", 1, ",", "\t"), ("mac.csv", 1, "\n", "\r"))},
    "it.csv.gz": ("csv", {"it.csv.gz": gzip.compress((numbered_columns() + "\n" + text_rows(GREYS)).encode())}, GREY,
                  {"train": GREYS}),
    **{f"colours {order}": ("csv", {"it.csv": numbered_columns(192) + "\n" + text_rows(laid)}, {"channels": order},
                            {"train": RGB})
       for order, laid in (("last", RGB), ("first", RGB.transpose(0, 3, 1, 2)))},
    # archives and images
    "a zip made on Windows": ("images", {"it.zip": zip_made_on_windows()}, {"path": "it.zip"},
                              {"names": "ab", "sizes": (4, 0, 0)}),
    "an archive with what programs leave in it": (
        "images", {"it.zip": zipped({"set/train/a/a.png": png(RGB[0]), "set/train/b/b.png": png(RGB[1]),
                                     "set/val/a/c.png": png(RGB[2]), "set/README.txt": b"about", "set/.DS_Store": b"",
                                     "__MACOSX/set/train/a/._a.png": b"no image"})}, {"path": "it.zip"},
        {"train": RGB[:2], "valid": RGB[2:3], "train_labels": [0, 1], "names": "ab"}),
    **{make.__name__: ("images", {"a.jpg": make()}, {}, {"train": WHITE[None]})
       for make in (jpeg_with_damaged_exif, tiff_with_a_tag_twice, jpeg_with_a_malformed_mpo)},
    **{f"{mode} as {ending}": ("images", {f"it{ending}": picture(WHITE, mode)}, {}, {"train": WHITE[None]})
       for mode, ending in (
           ("JPEG", ".jfif"), ("JPEG", ".jpe"), ("PPM", ".pnm"), ("AVIF", ".avif"), ("TGA", ".tga"),
           ("JPEG2000", ".jp2"), ("ICO", ".ico"), ("PCX", ".pcx"), ("SGI", ".rgb"), ("DDS", ".dds"), ("QOI", ".qoi"),
           ("PNG", ".JPG"), ("DIB", ".dib"), ("IM", ".im"))},
    # columns of labels, labels in other files
    "one column that is called a label": ("parquet", {"train.parquet": table(
        image=encoded(RGB[:4]), fine_label=[0, 1, 0, 1])}, {"classes": 2}, {"labelled": "column 'fine_label'"}),
    "the column that is told": ("parquet", {"train.parquet": table(
        image=encoded(RGB[:4]), fine_label=[0, 1, 0, 1], coarse_label=[0] * 4)},
        {"label": "fine_label", "classes": 2}, {"names": "01"}),
    "no column of labels": ("parquet", {"train.parquet": table(image=encoded(RGB[:4]), id=[0, 1, 0, 1])}, {},
                            {"train_labels": None, "labelled": "none; the columns are image, id"}),
    "labels that are texts": ("parquet", {
        "train.parquet": table(image=encoded(RGB[:4]), label=["dog", "cat", "dog", "eel"]),
        "test.parquet": table(image=encoded(RGB[4:6]), label=["cat", "ant"])}, {},
        {"names": ["ant", "cat", "dog", "eel"], "train_labels": [2, 1, 2, 3]}),
    **{f"Parquet of {name}": ("parquet", {"train.parquet": table(image=column)}, {}, {"train": RGB})
       for name, column in (
           ("structs", [{"bytes": png(image), "path": "x.png"} for image in RGB]), ("lists", RGB.tolist()),
           ("bytes", list(map(png, RGB))), ("lists, channels first", RGB.transpose(0, 3, 1, 2).tolist()))},
    **{f"folders that are no classes, {nothing}": (  # as the command line and YAML have it
        "images", folders({"a": 2, "test": 2}), {"labels": nothing, "splits": nothing},
        {"train_labels": None, "sizes": (4, 0, 0)}) for nothing in ("none", None)},
    **{f"WebDataset, {kind}": ("webdataset", webdataset(kind), {}, {
        "train": RGB[:4], "train_labels": [2, 0, 2, 1], "test_labels": [0], "names": "013"})
       for kind in ("cls", "json")},
    "WebDataset of given classes": ("webdataset", webdataset("cls"), {"classes": 4}, {"names": "0123"}),
    "WebDataset with dots in its folders": ("webdataset", {"train.tar": tarred(DOTS)}, {},
                                            {"train": RGB[:3], "train_labels": [0, 1, 0], "names": "ab"}),
    "WebDataset with dots in its kinds": ("webdataset", {"train.tar": tarred(KINDS)}, {}, {"labels": A_B}),
    **{f"metadata.{kind}": ("images", hugging_face_folder(kind), {}, {
        "names": ["cat", "dog", "eel"], "train_labels": [1, 0, 1], "test": RGB[3:4],
        "labelled": "column 'label' of metadata"}) for kind in ("csv", "jsonl")},
    **{f"{name}: {text[:20]!r}": ("images", {**LABELS_OF_X, name: text.encode("utf-8-sig")},
                                  {"metadata": "*.json" if "/" in name else name, **options}, X_CAT_DOG)
       for name, text, options in (
           ("labels.csv", "id,breed\n1,dog\n0,cat\n", {"label": "breed"}),
           ("labels.csv", "filename;label\n1.png;dog\n./x/0.png;cat\n", {}),
           ("labels.csv", "path,label\n/home/me/it/x/1.png,dog\nC:\\it\\x\\0.png,cat\n", {}),
           ("labels.tsv", "picture\tlabel\n1.png\tdog\n0.png\tcat\n", {"file": "picture"}),
           ("val.txt", "x/1.png dog\nx/0.png cat\n", {}),
           ("annotations/instances_train2017.json", json.dumps(COCO), {}),
           ("labels.json", json.dumps([{"image": "1.png", "label": "dog"}, {"image": "0.png", "label": "cat"}]), {}),
           ("labels.json", json.dumps({"x/1.png": "dog", "x/0.png": "cat"}), {}))},
    **{f"the JSON of StyleGAN: {content[:20]}": (
        "images", {**folders({"00000": 2, "00001": 1}), "dataset.json": content}, {}, expected)
       for content, expected in (
           ('{"labels": [["00000/0.png", 6], ["00000/1.png", 2], ["00001/0.png", 2]]}', {"labels": ["6", "2", "2"]}),
           ('{"labels": null}', {"train_labels": None}), ('{"name": "mine"}', {"names": ["00000", "00001"]}))},
    "one table of labels for each split": (
        "images", {**folders({"train": 2, "test": 2}), "train.csv": "id,label\n0,a\n1,b\n",
                   "test.csv": "id,label\n0,b\n1,a\n"}, {"metadata": ["train.csv", "test.csv"]},
        {"names": "ab", "train_labels": [0, 1], "test_labels": [1, 0]}),
    "paths of metadata as Windows writes them": (
        "images", {**folders({"a": 2}), "metadata.csv": "file_name,label\r\na\\0.png,x\r\na\\1.png,y\r\n"}, {},
        {"names": "xy"}),
    "labels of the test images alone": ("images", folders({"train": 3, "test/a": 2, "test/b": 2}), {},
                                        {"test_labels": None, "names": "", "sizes": (3, 0, 4)}),
    "one class in two spellings of Unicode": ("images", folders({"caf\u00e9": 2, "cafe\u0301": 3, "tea": 2}), {},
                                              {"names": ["caf\u00e9", "tea"], "train_labels": [0] * 5 + [1] * 2}),
    # other formats
    "EMNIST": ("idx", EMNIST, {"transpose": True, "first_label": 1, **LETTERS},
               {"train": GREYS[:6].transpose(0, 2, 1), "train_labels": range(6), "names": map(str, range(1, 27))}),
    "MNIST as Kaggle has it": ("idx", {f"{name}/{name}": content for name, content in small_idx(
        name="{0}-{1}.idx{2}-ubyte").items()}, GREY, {"train": GREYS[:6], "test_labels": [6, 7, 8]}),
    "another size": ("idx", small_idx(), {"shape": (1, 16, 16), "resize": True}, {"sizes": (6, 0, 3)}),
    "CIFAR as its archive unpacks": ("cifar", {f"cifar-10-batches-bin/{name}.bin": CIFAR for name in (
        *(f"data_batch_{number}" for number in range(1, 6)), "test_batch")}, {"shape": (3, 32, 32)},
        {"train_labels": [0, 1, 2] * 5, "test_labels": [0, 1, 2], "names": [
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]}),
    "UHTelPCC as a pickle": ("uhtelpcc_pickle", {"it.pkl": pickle.dumps([
        (INK[:2].reshape(2, 1024).astype(np.float32), [324, 0]), (INK[2:3], np.array([7])),
        (INK[3:] > 0, np.array([8])),
    ], protocol=2)}, {"shape": (1, 32, 32), "classes": 325, "path": "it.pkl"}, {
        "train": 255 * INK[:2], "test": 255 * INK[3:], "train_labels": [324, 0], "valid_labels": [7]}),
    "Oxford's flowers": ("oxford_flowers", {
        "102flowers.tgz": tarred([(f"jpg/image_{n + 1:05d}.jpg", png(RGB[n])) for n in range(4)], "w:gz"),
        "imagelabels.mat": bytes_of(lambda file: savemat(file, {"labels": np.array([[77, 1, 102, 5]], np.uint8)})),
        "setid.mat": bytes_of(lambda file: savemat(
            file, {"trnid": [[4, 1]], "valid": [[2]], "tstid": [[3]]}, do_compression=True))}, {},
        {"train": RGB[[0, 3]], "test": RGB[2:3], "train_labels": [76, 4], "test_labels": [101]}),
}  # fmt: skip
"""Reader, files, options and what is read, in the words of `tests.data_files.check`."""


@pytest.mark.parametrize("case", READ)
def test_files_are_read_as_their_owner_means_them(case: str, given: Path) -> None:
    reader, files, options, expected = READ[case]
    place = write(given, files) / options.get("path", "")
    check(read(reader, RAW, **{**options, "path": str(place)}), **expected)
    assert not list(RAW.iterdir()), "nothing is left behind"


# --- splits -----------------------------------------------------------------------------------------------------------


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


def test_lsun_takes_one_image_of_each_category_in_turn_and_none_of_other_splits(given: Path) -> None:
    database(given / "kitchen_train_lmdb", [png(image) for image in RGB[:3]])
    database(given / "room_train_lmdb", [png(image) for image in RGB[3:5]])
    database(given / "room_val_lmdb", [b"never read"])
    loaded = read("lsun", RAW, path=str(given))
    remarks = ["databases of other splits not used: room_val_lmdb"]
    check(loaded, train=RGB[[0, 3, 1, 4, 2]], train_labels=None, remarks=remarks)
    assert len(read("lsun", RAW, path=str(given), limit=2).train_images) == 2


def test_a_film_of_which_every_third_frame_is_read(given: Path) -> None:
    film(given / "film.mkv", frames := pictures(7, 16, 16, 3))
    check(read("video", given, (3, 16, 16), files=["film.mkv"], every=3), train=frames[::3], train_labels=None)


def test_cats_are_cut_to_the_face_and_their_shelves_are_no_classes(given: Path) -> None:
    image = pictures(1, 40, 50, 3)[0]
    points = " ".join(f"{x} {y}" for x, y in [(10, 5), (18, 13)] + 7 * [(14, 9)])
    for shelf in ("CAT_00", "CAT_01"):
        write(given / shelf, {"1.png": png(image), "1.png.cat": f"9 {points} "})
    loaded = read("images", RAW, path=str(given), labels="none", face=True)
    check(loaded, train_labels=None, train=np.stack([image[5:13, 10:18]] * 2))
    (given / "CAT_01" / "1.png.cat").unlink()
    said = refused("images", given, labels="none", face=True)
    assert "CAT_01/1.png: found no annotation of 9 points" in said


# --- value ranges -----------------------------------------------------------------------------------------------------


def tiff(pixels: np.ndarray) -> bytes:
    return picture(pixels, "TIFF")


def levels(place: Path, reader: str, **options: Any) -> np.ndarray:
    return read(reader, RAW, path=str(place), **GREY, **options).train_images[0, 0]


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


# --- archives and images ----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_images_of_every_mode_are_the_same_white(mode: str) -> None:
    white = Image.new("RGB", (4, 4), "white")
    image = Image.fromarray(np.full((4, 4), 65535, np.uint16)) if mode == "I;16" else white.convert(mode)
    content = bytes_of(lambda file: image.save(file, "TIFF"))
    for channels in (1, 3):
        fitted = Fit((channels, 4, 4))("it", decoded("it", content))
        assert fitted.shape == (channels, 4, 4) and (fitted == 255).all()


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (Fit((3, 4, 4))("it", clear) == 255).all()


# --- labels -----------------------------------------------------------------------------------------------------------


SECRET: dict[str, tuple[str, Files, dict[str, Any]]] = {
    "Kaggle's digit recognizer": (
        "csv", {"train.csv": numbered_columns(192, "label") + "\n" + text_rows(RGB[:6], "012012"),
                "test.csv": numbered_columns(192) + "\n" + text_rows(RGB[6:])}, {"channels": "last"}),
    "class folders": ("images", folders({"train/0": 2, "train/1": 2, "train/2": 2, "test": 3}), {}),
    "Kaggle's dog breeds": (
        "images", {**folders({"train": 6, "test": 3}),
                   "labels.csv": "id,breed\n" + "".join(f"train/{n},{n % 3}\n" for n in range(6))},
        {"metadata": "labels.csv", "label": "breed", "limit": 100}),
    "Hugging Face's label -1": (
        "parquet", {"train.parquet": table(image=encoded(RGB[:6]), label=[0, 1, 2, 0, 1, 2]),
                    "test.parquet": table(image=encoded(RGB[6:]), label=[-1] * 3)}, {"classes": 3}),
}  # fmt: skip


@pytest.mark.parametrize("case", SECRET)
def test_test_images_whose_labels_are_secret(case: str, given: Path) -> None:
    reader, files, options = SECRET[case]
    loaded = read(reader, RAW, path=str(write(given, files)), **options)
    check(loaded, sizes=(6, 0, 0), names="012")
    assert loaded.source.remarks[-1] == "3 test images without labels not used (`classes: 0` uses them)"
    assert set(loaded.source.splits) <= {"train"}
    without = read(reader, RAW, path=str(given), **options | {"classes": 0})
    check(without, sizes=(6, 0, 3), train_labels=None, names="")


def test_labels_that_are_not_used_are_described(given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {".": 2, "a": 3})), classes=0)
    assert loaded.train_labels is None
    said = lines(description(loaded, parted(loaded, valid=1, test=1, seed=0)))
    assert said[2] == "labels: none used (class folders)"


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [20, 30, 7])
def test_a_limit_is_drawn_over_the_classes(limit: int, given: Path) -> None:
    loaded = read("images", RAW, path=str(image_folder(given, {"a": 20, "b": 20})), limit=limit)
    counts = np.bincount(loaded.train_labels).tolist()
    assert sum(counts) == limit and abs(counts[0] - counts[1]) <= 1
    assert loaded.source.remarks == [f"{40 - limit} beyond `limit` not read"] and not loaded.source.passed_over


def test_a_limit_holds_for_each_split_and_leaves_every_class_an_image(given: Path) -> None:
    loaded = read(
        "images", RAW, path=str(image_folder(given, {f"{s}/{c}": 4 for s in ("train", "test") for c in "abcde"}))
    )
    parts = parted(loaded, valid=0.3, test=0.1, seed=0, limit=15)
    assert {split: len(chosen) for split, (_, _, chosen) in parts.items()} == {"train": 10, "test": 15, "valid": 5}
    with pytest.raises(ValueError, match="limit: found 3, expected at least one image for each of 5 classes"):
        parted(loaded, valid=0.1, test=0.1, seed=0, limit=3)


def test_cifar_is_prepared(given: Path) -> None:
    """The shares of the block's `valid` and `test` are no lists of files."""
    records = [bytes([label % 3]) + image.tobytes() for label, image in enumerate(pictures(60, 3, 32, 32))]
    write(given, {f"data_batch_{number}.bin": b"".join(records[:30]) for number in range(1, 6)})
    write(given, {"test_batch.bin": b"".join(records[30:])})
    job = prepared(given, reader="cifar", shape=[3, 32, 32])
    content = json.loads(job.outputs["summary"].read_text())
    assert (content["train"]["count"], content["test"]["count"]) == (135, 30)


# --- what prepare says ------------------------------------------------------------------------------------------------


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


# --- what is refused --------------------------------------------------------------------------------------------------


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
    # splits
    ("parquet", NAMED_TOO, {}, "0000.parquet, 0001.parquet, 0002.parquet: names no split, but test.parquet does"),
    ("images", SIDE_BY_SIDE, {}, "folders: test, train are called as splits are, but not extra; say which are which"),
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
    ("idx", small_idx(), {"shape": (1, 16, 16)}, "expected 16x16; say `resize: true`"),
    ("idx", EMNIST, GREY, "expected one file; say which, `options: {prefix: ...}`"),
    ("idx", EMNIST, {"first_label": 5, **LETTERS}, "train labels: expected 0 to 25, found -4 to 1"),
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
    ("parquet", {"train.parquet": parquet(RGB[:2], [0, 2])}, {},
     "column 'label' has no class names; give their number as `classes`"),
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
    ("images", {**hugging_face_folder("csv"), "train/9.png": png(WHITE)}, {},
     "metadata: no row for train/9.png; expected a row for every image"),
    ("images", hugging_face_folder("jsonl"), {"label": "kind"}, "no column 'kind'; there are: file_name, label"),
    ("images", folders({".": 2, "a": 3}), {}, "2 of 5 images have no label; expected labels for all or for none"),
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
