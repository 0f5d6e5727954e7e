"""Small data sets that are damaged, mixed up or renamed in all ways, for the fuzz."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.integration.test_file_formats import FORMATS, Written, data_sets

NAMES = [
    "train", "test", "val", "extra", "train.parquet", "test.csv", "metadata.csv", "metadata.jsonl", "x_train.npy",
    "a.png", "labels.npy", "images.npy", "data.mdb", "train.tar", "a.zip", "\u00e9.jpg", "a\nb.png", "0.cls",
    ".hidden", "b.tif", "t10k-labels-idx1-ubyte", "no ending", "train_test.parquet", "x.7z", "a\udce9.png",
]  # fmt: skip
CONTENTS = [
    b"", b"\0" * 40, b"file_name,label\n000.png,1\n", b'{"file_name": "a"}\n[1]\n', b"version https://git-lfs",
    b"1,2,x\n", b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"PK\x03\x04", b"PAR1",
    b"\x1f\x8b\x08", b"II*\0\x08\0\0\0\xff\xff", b"GIF89a\x08\0\x08\0", b"\xff\xd8\xff\xe0", b"BM\xff\xff\xff\x7f",
    b"P5 9 9 65535 ", b"\0\0\x08\x03",
]  # fmt: skip
OPTIONS: dict[str, list[Any]] = {
    "classes": [None, 0, 1, 2, 4, 9],
    "limit": [None, 1, 3, 1000],
    "value_range": [None, (0.0, 1.0), (0.0, 255.0), (-1.0, 4095.0)],
    "crop": [None, "square", (4, 4), (99, 1)],
    "resize": [False, True],
    "valid": [0.1, 1, 50],
    "test": [0.1, 2, 0.9],
    "shape": [[3, 8, 8], [1, 8, 8], [1, 1, 1], [3, 32, 32]],
}
READER_OPTIONS: dict[str, list[Any]] = {
    "broken": ["refuse", "skip", "x"],
    "labels": ["none", "folders", "metadata", "labels"],
    "links": ["follow", "refuse"],
    "splits": ["none", "folders"],
    "label": ["label", "x", "first"],
    "train_files": [["train"], "test*", ["*"]],
    "test_files": [["test"], ["0*"]],
    "class_names": [["a"], ["a", "b", "c", "d"]],
    "first_label": [1, 7],
    "transpose": [True],
    "every": [2, 100],
}


DAMAGES = ("truncate", "flip", "replace", "rename", "add", "copy", "remove", "link")


def damage(draw: st.DrawFn, path: Path) -> None:
    """One change of a file, or of what is beside it; OSError where it cannot be made."""
    content, kind = bytearray(path.read_bytes()), draw(st.sampled_from(DAMAGES))
    odd, other = st.sampled_from(CONTENTS) | st.binary(max_size=60), path.with_name(draw(st.sampled_from(NAMES)))
    if kind == "truncate":
        path.write_bytes(content[: draw(st.integers(0, len(content)))])
    elif kind == "flip" and content:
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
        path.write_bytes(content)
    elif kind in ("replace", "add"):
        (path if kind == "replace" else other).write_bytes(draw(odd))
    elif kind == "rename":
        path.replace(other)
    elif kind == "copy":
        shutil.copyfile(path, other)
    elif kind == "remove":
        path.unlink()
    elif kind == "link":
        other.symlink_to(draw(st.sampled_from([path.name, "..", "nowhere", "/dev/null", other.name])))


@st.composite
def malformed(draw: st.DrawFn, folder: Path) -> Written:
    """Write a small data set in any format into a folder and damage it; how it is to be read, as any block may say."""
    writer, kind = FORMATS[draw(st.sampled_from(sorted(FORMATS)))]
    made = draw(data_sets(*kind))
    reader, place, own = writer(folder, made)
    height, width, channels = made.images["train"].shape[1:]
    block: dict[str, Any] = {
        "dataset": "it", "shape": [channels, height, width], "crop": None, "resize": False, "limit": None, "valid": 0.1,
        "value_range": None, "test": 0.1, "split_seed": 0, "classes": None, "files": [], "options": {},
    }  # fmt: skip
    for key, value in own.items():
        (block if key in block else block["options"])[key] = value
    for key in draw(st.lists(st.sampled_from(sorted(OPTIONS)), max_size=2)):
        block[key] = draw(st.sampled_from(OPTIONS[key]))
    for key in draw(st.lists(st.sampled_from(sorted(READER_OPTIONS)), max_size=1)):
        block["options"][key] = draw(st.sampled_from(READER_OPTIONS[key]))
    for _ in range(draw(st.integers(0, 3))):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        with contextlib.suppress(OSError):
            damage(draw, draw(st.sampled_from(files or [folder])))
    return reader, place, block
