"""The text of params.yaml and of `--set` values: safe YAML in which no key stands twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipeline.core.errors import UserError

MALFORMED = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises for text that it cannot make a value of, such as a wrong `!!int` or date."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml's, six times as fast
    """Plain values alone."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A block's keys and values; PyYAML itself would silently take the last of equal keys."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place] and key != "<<"), None)
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
        ValueError: with the place of a date, a set or bytes.
    """
    if isinstance(value, dict):
        return {plain(key, *where, "a key"): plain(item, *where, key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, *where, place) for place, item in enumerate(value)]
    if not isinstance(value, str | int | float | None):
        raise ValueError(
            f"{'.'.join(map(str, where)) or 'the whole text'}: found {str(value)!r} ({type(value).__name__}), expected "
            "text or a number; text that looks so needs quotes"
        )
    return value


def block_of(file: Path) -> dict[str, Any]:
    """The block of keys that a file holds; `UserError` for anything else."""
    try:
        content = value_of(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; expected a YAML file; run from the folder that holds it") from None
    except ValueError as error:
        raise UserError(f"{file}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: found {content!r}, expected a block of keys")
    return content
