"""Reading what others may have written or damaged: nothing in it may take all memory, all time, or a stack.

YAML's aliases and deep nesting make much out of little text, JSON's numbers may have any length, and a text may hold
what is no Unicode. All of it is refused here, with the place and the reason, before anything walks through it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEEPEST = 20
"""Levels of nesting; params.yaml has six."""

MOST = 10_000
"""Values in all, those behind an alias counted each time; params.yaml has a few hundred."""

MOST_IN_A_STAMP = 200_000
"""The same of a stamp or a job: a battle reads every contestant's samples."""

LONGEST = 10_000
"""Characters of one text."""

LARGEST = 2**63 - 1
"""What libraries take for a whole number."""


NO_JSON = (datetime.date, datetime.time, bytes, set, frozenset)
"""What YAML makes of 2026-11-27, of !!binary and !!set, and JSON, of which identities are made, has no form for."""


def flaw(content: Any, most: int = MOST) -> str | None:
    """The first thing in a nested value that is out of bounds, with its place; None where all is well."""
    return None if _is_plain(content, most) else _first_flaw(content, most)


def _first_flaw(content: Any, most: int) -> str | None:
    waiting: list[tuple[tuple[str, ...], Any]] = [((), content)]
    seen = 0
    while waiting:
        where, item = waiting.pop()
        seen += 1
        found = _flaw_of(item, len(where)) if seen <= most else f"more than {most:,} values (aliases counted each time)"
        if found:
            return f"{'.'.join(where) or 'all of it'}: found {found}"
        waiting.extend(((*where, str(key)[:80]), inner) for key, inner in _inner(item))
    return None


def _is_plain(content: Any, most: int) -> bool:
    """Whether all is well beyond doubt, found out level by level and without places: thousands of stamps are read."""
    level, seen = [content], 0
    for _ in range(DEEPEST):
        seen += len(level)
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                if len(item) > LONGEST or not item.isascii():
                    return False
            elif kind is dict:
                inner += item
                inner += item.values()
            elif kind is list:
                inner += item
            elif kind is int:
                if not -LARGEST <= item <= LARGEST:
                    return False
            elif not (item is None or kind is bool or kind is float):
                return False
        if not inner:
            return seen <= most
        if seen + len(inner) > most:
            return False
        level = inner
    return False


def _inner(item: Any) -> Iterator[tuple[Any, Any]]:
    """What a value holds: of a mapping its keys too."""
    if isinstance(item, dict):
        for key, value in item.items():
            if _flaw_of(key, 0):
                yield "a key", key
            else:
                yield key, value
    elif isinstance(item, list | tuple | set | frozenset):
        yield from enumerate(item)


def _flaw_of(item: Any, depth: int) -> str | None:
    if depth > DEEPEST:
        return f"more than {DEEPEST} levels of nesting"
    if isinstance(item, int) and abs(item) > LARGEST:
        return f"a whole number of {item.bit_length()} bits, expected at most 63"
    if isinstance(item, str | bytes) and len(item) > LONGEST:
        return f"a text of {len(item):,} characters, expected at most {LONGEST:,}"
    if isinstance(item, NO_JSON):
        return f"{str(item)[:40]!r} ({type(item).__name__}), expected text or a number; text that looks so needs quotes"
    if isinstance(item, str) and not item.isascii() and any("\ud800" <= character <= "\udfff" for character in item):
        return "half of a character (a lone surrogate), expected Unicode text"
    return None


def read_json(path: Path) -> Any:
    """The content of a JSON file; OSError where it cannot be read, else ValueError as in `parsed_json`."""
    return parsed_json(path.read_text(encoding="utf-8"))


def parsed_json(text: str) -> Any:
    """What JSON says, within the bounds and its numbers finite; ValueError for anything else."""
    try:
        content = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} levels of nesting") from None
    found = flaw(content, MOST_IN_A_STAMP)
    if found:
        raise ValueError(found)
    return content


def _no_number(word: str) -> float:
    raise ValueError(f"found {word}, expected a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if abs(number) != float("inf") else _no_number(digits)
