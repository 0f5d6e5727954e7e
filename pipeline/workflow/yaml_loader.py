"""The text of params.yaml and of `--set` values: safe YAML of bounded size in which no key stands twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipeline.core import untrusted
from pipeline.core.errors import UserError

RUNTIME_ONLY = True

LONGEST_FILE = 256 * 1024
"""Bytes of a file of parameters."""

MOST_KEYS = 1000
"""Keys of one block: merged aliases (`<<`) multiply while the text is still being read."""

MALFORMED = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises for text that it cannot make a value of: a wrong `!!int` or date, endless nesting."""


class _Loader(yaml.SafeLoader):
    """Plain values alone."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_KEYS:
            raise ValueError(f"a block of {len(node.value):,} keys, expected at most {MOST_KEYS:,}")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The last of equal keys would win without a word."""
        own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and not key.tag.endswith("merge")]
        twice = next((key for place, key in enumerate(own) if key in own[:place]), None)
        if twice is not None:
            raise ValueError(f"line {node.start_mark.line + 1}: {twice!r} stands twice in one block; keep one")
        return super().construct_mapping(node, deep)


def value_of(text: str) -> Any:
    """The plain value that YAML text means; ValueError in one line for anything else.

    Blocks that the text shares by an alias (`*name`) are apart in it: what is set in one is not set in the others.
    """
    loader = None
    try:
        loader = _Loader(text)
        content = loader.get_single_data()
    except MALFORMED as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
    finally:
        if loader is not None:
            loader.dispose()
    found = untrusted.flaw(content)
    if found:
        raise ValueError(found)
    return _apart(content)


def _apart(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _apart(value) for key, value in content.items()}
    return [_apart(value) for value in content] if isinstance(content, list) else content


def block_of(file: Path) -> dict[str, Any]:
    """The block of keys that a file holds; `UserError` for anything else."""
    try:
        text = _text_of(file)
        content = value_of(text)
    except FileNotFoundError as error:
        raise UserError(f"{file}: {error.strerror}; run from the folder that holds it") from None
    except OSError as error:
        raise UserError(f"{file}: could not be read: {error.strerror}; expected a file of YAML; mend it") from None
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
