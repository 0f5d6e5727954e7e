"""The text of params.yaml and of `--set` values: safe YAML in which no key stands twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipeline.core import untrusted
from pipeline.core.errors import UserError

LONGEST_FILE = 256 * 1024
"""Bytes of a file of parameters."""

LONGEST = 10_000
"""Characters of one text."""

DEEPEST = 20
"""Levels of nesting; params.yaml has six."""

MALFORMED = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises for text that it cannot make a value of: a wrong `!!int` or date, endless nesting."""


class _Loader(yaml.SafeLoader):
    """Plain values alone."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A block's keys and values; PyYAML itself would silently take the last of equal keys."""
        keys = [
            key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and not key.tag.endswith("merge")
        ]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise ValueError(f"line {node.start_mark.line + 1}: {twice!r} stands twice in one block; keep one")
        return super().construct_mapping(node, deep)


def value_of(text: str) -> Any:
    """The plain value that YAML text means; ValueError in one line for anything else."""
    try:
        return plain(_Loader(text).get_single_data())
    except MALFORMED as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


def plain(value: Any, *where: Any) -> Any:
    """A copy of nested values that JSON has a form for: blocks that an alias shared (`*name`) are apart in it.

    Raises:
        ValueError: with the place of a date, a set, endless nesting, a number or a text without end.
    """
    _check_plain(value, where)
    if isinstance(value, dict):
        for key in value:
            _check_plain(key, (*where, "a key"))
        return {key: plain(item, *where, str(key)[:80]) for key, item in value.items()}
    return [plain(item, *where, place) for place, item in enumerate(value)] if isinstance(value, list) else value


def _check_plain(value: Any, where: tuple[Any, ...]) -> None:
    problem = None
    if len(where) > DEEPEST:
        problem = f"more than {DEEPEST} levels of nesting"
    elif not isinstance(value, str | int | float | dict | list | tuple | None):
        problem = (
            f"{str(value)[:40]!r} ({type(value).__name__}), expected text or a number; text that looks so needs quotes"
        )
    elif isinstance(value, int) and abs(value) > untrusted.LARGEST:
        problem = f"a whole number of {value.bit_length()} bits, expected at most 63"
    elif isinstance(value, str) and len(value) > LONGEST:
        problem = f"a text of {len(value):,} characters, expected at most {LONGEST:,}"
    elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        problem = "half of a character (a lone surrogate), expected Unicode text"
    if problem:
        raise ValueError(f"{'.'.join(map(str, where)) or 'the whole text'}: found {problem}")


def block_of(file: Path) -> dict[str, Any]:
    """The block of keys that a file holds; `UserError` for anything else."""
    try:
        content = value_of(_text_of(file))
    except FileNotFoundError as error:
        raise UserError(f"{file}: {error.strerror}; run from the folder that holds it") from None
    except OSError as error:
        raise UserError(f"{file}: could not be read: {error.strerror}; expected a YAML file") from None
    except ValueError as error:
        raise UserError(f"{file}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: found {content!r}, expected a block of keys")
    return content


def _text_of(file: Path) -> str:
    if file.exists() and not file.is_file() and not file.is_dir():
        raise ValueError("not a plain file")  # a pipe would be waited for
    with file.open("rb") as handle:
        content = handle.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise ValueError(f"more than {LONGEST_FILE:,} bytes")
    return content.decode()
