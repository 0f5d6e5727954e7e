"""LSUN's LMDB archives, unzipped: one image file a key, WebP or JPEG, without labels.

Yu et al., 'LSUN', arXiv:1506.03365: <category>_train_lmdb and <category>_val_lmdb, folders of data.mdb and lock.mdb.
The database is opened for reading, nothing is locked, and images are taken in the order of their keys.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.datasets.fitting import decoded
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.naming import by_split, listed
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("broken",)
"""What a block of params.yaml may say under `options`."""

DATABASE = "data.mdb"


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """All images of the training archives, one of each in turn; ValueError for what is no such database."""
    at = place(raw_folder, options)
    folders = databases(at)
    each = [examples(folder) for folder in folders]
    in_turn = (example for row in itertools.zip_longest(*each) for example in row if example is not None)
    source = Source(splits={"train": listed(folder.name for folder in folders)}, files=len(folders))
    others = [path.parent.name for path in at.glob(f"*/{DATABASE}") if path.parent not in folders]
    if others:
        source.remarks.append(f"databases of other splits not used: {listed(sorted(others))}")
    return spooled({"train": in_turn}, raw_folder, options, source=source)


def databases(found: Path) -> list[Path]:
    """The folders with databases: the place itself, or those below it that are for training by their names."""
    if found.name == DATABASE:
        return [found.parent]
    here = [path for pattern in (DATABASE, f"*/{DATABASE}") for path in found.glob(pattern) if path.is_file()]
    folders = sorted(path.parent for path in here)
    if not folders:
        raise ValueError(f"{found}: no {DATABASE} in it or one folder below; unzip LSUN's archive there")
    if len(folders) == 1:
        return folders
    training = by_split([folder.name for folder in folders], {}).get("train")
    if training is None:
        raise ValueError(f"{found}: no database for training; expected a folder like church_outdoor_train_lmdb")
    return [folder for folder in folders if folder.name in training]


def examples(folder: Path) -> Iterator[Example]:
    """The images in the order of their keys."""
    try:
        import lmdb
    except ModuleNotFoundError:
        raise ValueError("the package lmdb is missing; run `make build`, or pip install lmdb") from None

    try:
        with lmdb.open(str(folder), readonly=True, lock=False, create=False, readahead=False) as environment:
            check_length(folder / DATABASE, environment)
            with environment.begin(buffers=False) as transaction:
                for key, content in transaction.cursor():
                    name = f"{folder.name}[{key.decode(errors='replace')}]"
                    yield name, functools.partial(decoded, name, content), None
    except lmdb.Error as error:
        raise ValueError(f"{folder / DATABASE}: no LMDB database, or a damaged one ({error})") from None


def check_length(path: Path, environment: Any) -> None:
    """ValueError for a file that is cut short: a page that is not there would end the process, not raise."""
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if path.stat().st_size < expected:
        raise ValueError(f"{path}: found {path.stat().st_size:,} bytes, expected {expected:,}: it is cut short")
