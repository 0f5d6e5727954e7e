"""Reading JSON that others may have written or damaged: numbers are finite and of 64 bits, texts are Unicode."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

LARGEST = 2**63 - 1
"""Largest whole number that the numerical libraries take."""


def read_json(path: Path) -> Any:
    """The content of a JSON file; OSError where it cannot be read, else ValueError as in `parsed_json`."""
    return parsed_json(path.read_text(encoding="utf-8"))


def parsed_json(text: str) -> Any:
    """The content of JSON text; ValueError for anything else, endless nesting included."""
    try:
        content = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_bounded)
    except RecursionError:
        raise ValueError("too many levels of nesting") from None
    if "\\ud" in text.lower():  # a lone half of a character fails here, not where it is printed
        json.dumps(content, ensure_ascii=False).encode()
    return content


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"found {digits}, expected a finite number")
    return number


def _bounded(digits: str) -> int:
    number = int(digits)
    if abs(number) > LARGEST:
        raise ValueError(f"found a whole number of {number.bit_length()} bits, expected at most 63")
    return number
