"""The official files of Oxford's 102 flowers: an archive of photographs, and two MATLAB lists, labels and splits.

Nilsback & Zisserman 2008. jpg/image_00001.jpg is the first image of `labels` (imagelabels.mat, 1 to 102), and setid.mat
names images, from 1, of the three splits: trnid, valid, tstid.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.fitting import decoded
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.members import contents
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("class_names", "broken")
"""What a block of params.yaml may say under `options`."""

ARCHIVE, LABELS, SPLITS_FILE = "102flowers.tgz", "imagelabels.mat", "setid.mat"
SPLITS = {"train": "trnid", "valid": "valid", "test": "tstid"}
IMAGE = re.compile(r"(?:.*/)?image_(\d{5})\.jpg")


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The official splits; ValueError for lists that do not fit each other, or a damaged archive."""
    folder = place(raw_folder, options)
    labels = matrix(folder / LABELS, "labels") - 1
    members = {split: matrix(folder / SPLITS_FILE, key) for split, key in SPLITS.items()}
    if max(int(ids.max()) for ids in members.values()) > len(labels) or min(int(i.min()) for i in members.values()) < 1:
        raise ValueError(f"{SPLITS_FILE}: names images from 1 to {len(labels):,} at most; expected no others")
    names = options.get("class_names") or range(1, 103)
    splits = {split: examples(folder / ARCHIVE, set(ids.tolist()), labels) for split, ids in members.items()}
    source = Source(LABELS, {split: f"{key} of {SPLITS_FILE}" for split, key in SPLITS.items()}, files=3)
    return spooled(splits, raw_folder, options, tuple(map(str, names)), source)


def matrix(path: Path, key: str) -> NDArray[np.int64]:
    """One row of whole numbers of a MATLAB file."""
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(path, variable_names=[key])[key], dtype=np.int64).reshape(-1)
    except Exception as error:  # SciPy raises of every kind for a file that is damaged
        raise ValueError(f"{path.name}: no MATLAB file with '{key}' in it, or a damaged one ({error})") from None


def examples(archive: Path, chosen: set[int], labels: NDArray[np.int64]) -> Iterator[Example]:
    """The chosen photographs, in the archive's order."""

    def wanted(name: str) -> bool:
        found = IMAGE.fullmatch(name)
        return found is not None and int(found[1]) in chosen

    for name, content in contents(archive, wanted):
        number = int(name[-9:-4])
        yield name, functools.partial(decoded, name, content), int(labels[number - 1])
