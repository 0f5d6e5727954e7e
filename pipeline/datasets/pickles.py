"""Reading a pickle of arrays without running what stands in it: nothing but NumPy's own arrays can be rebuilt."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read"]

LARGEST = 1 << 32
"""Bytes of a file."""


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 spells a Python 2 array's bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode(encoding)


def _array(subtype: type, shape: tuple[int, ...], kind: Any) -> Any:
    """An empty array that the pickle then fills; of its own class alone."""
    if subtype is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("an array of another class")
    return np.ndarray.__new__(np.ndarray, (0,), "u1")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _array for core in ("core", "_core")},
}
"""Every name that a pickle may ask for, and what it gets."""


class ArraysAlone(pickle.Unpickler):  # noqa: S301  it rebuilds arrays alone
    """Knows no class or function but those of arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every other name: to look one up is to import it, to call it is to run it."""
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def read(path: Path) -> Any:
    """What a pickle of numbers, texts, lists, tuples, dictionaries and arrays holds.

    Raises ValueError in one line for one that asks for anything else, and for a damaged one.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name}: {path.stat().st_size:,} bytes, expected at most {LARGEST:,}")
    try:
        with path.open("rb") as stream:
            return ArraysAlone(stream, encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise whatever the methods of arrays raise
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path.name}: refused, for it is no plain pickle of arrays ({said})") from None
