"""The data sets' readers: one file for each source format, found by its name, imported only when it is needed."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.datasets.loaded import Loaded

__all__ = ["Reader", "load_reader"]

Reader = Callable[[Path, Mapping[str, Any]], Loaded]
"""`load(raw_folder, options)`: reads the raw files of one data set.

`options` are those of the data set's block, which the reader names in OPTIONS, and what every block has: `shape`
(C, H, W), `crop`, `resize`, `value_range`, `limit`, `classes`, `files` (their names) and `path` (a place of the
user's own, or None).
`step(done, all)`, where it is given, is to be told how far a reader is that takes long.
"""

SHARED = frozenset(
    ["description", "fitting", "glyphs", "loaded", "members", "metadata", "naming", "pickles", "prepared", "scan",
     "splits", "spooled", "telugu_classes", "value_ranges"]
)  # fmt: skip
"""Modules of this folder that read no format."""


def load_reader(name: str) -> Reader:
    """The function `load` of `pipeline/datasets/<name>.py`.

    Raises ValueError, with the nearest name, where there is no such reader.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
        raise ValueError(f"no reader '{name}' in pipeline/datasets; {hint}")
    reader: Reader = import_module(f"{__name__}.{name}").load
    return reader
