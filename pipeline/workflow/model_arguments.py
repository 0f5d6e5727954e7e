"""The arguments of a model's constructor: names, types and defaults, read from its syntax tree without torch."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pipeline.core.errors import UserError
from pipeline.models import kinds
from pipeline.workflow import job_hash

PLAIN: dict[str, Any] = {"bool": bool, "str": str, "int": int, "float": float}


def expecting(fits: Callable[[Any], bool], words: str) -> BeforeValidator:
    """A check that comes before pydantic's, in words of our own."""

    def check(value: Any) -> Any:
        if not fits(value):
            raise ValueError(f"found {value!r}, expected {words}")
        return value

    return BeforeValidator(check)


NO_BOOL = expecting(lambda value: not isinstance(value, bool), "a number")
"""`true` is no number, though Python lets it pass for 1."""


@functools.cache
def constructor(module: str) -> tuple[tuple[str, Any, Any], ...]:
    """(name, type, default) of the keyword-only arguments of a model's constructor, read from its syntax tree."""
    found = []
    for argument, default in _keywords(module):
        where = f"{job_hash.module_file(module)}: argument {argument.arg!r}"
        value = ... if default is None else _plain_value(default, where)
        found.append((argument.arg, _kind(argument.annotation, where), value))
    return tuple(found)


def kinds_of(module: str) -> dict[str, str]:
    """What annotates each of those arguments, as it is written: Rate, Count, bool, Literal['a', 'b'], ..."""
    return {argument.arg: ast.unparse(argument.annotation or ast.Name("")) for argument, _ in _keywords(module)}


def _keywords(module: str) -> list[tuple[ast.arg, ast.expr | None]]:
    """Keyword-only arguments and their defaults, of the nearest `__init__` of a model's class and its bases."""
    for statement in (item for owner in job_hash.class_chain(module) for item in owner.body):
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return list(zip(statement.args.kwonlyargs, statement.args.kw_defaults, strict=True))
    return []


def _one_alone(value: Any) -> Any:
    """`hidden: 400` is `hidden: [400]`."""
    return value if isinstance(value, list | tuple | dict) else [value]


def _plain_value(default: ast.expr, where: str) -> Any:
    """The value of a default that is written out."""
    try:
        return ast.literal_eval(default)
    except ValueError:
        raise UserError(f"{where}: found the default {ast.unparse(default)}, expected a plain value") from None


def _kind(annotation: ast.expr | None, where: str) -> Any:
    """The type that an annotation names: one of `pipeline.models.kinds`, bool, str, a Literal, or a tuple of them."""
    if isinstance(annotation, ast.Name) and hasattr(kinds, annotation.id):
        kind = getattr(kinds, annotation.id)
        bounds = getattr(kind, "__metadata__", None)
        return Annotated[kind.__origin__, Field(**bounds[0]), NO_BOOL] if bounds else kind
    if isinstance(annotation, ast.Name) and annotation.id in PLAIN:
        return PLAIN[annotation.id]
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name):
        if annotation.value.id == "Literal":
            return Literal[ast.literal_eval(annotation.slice)]
        if annotation.value.id == "tuple" and isinstance(annotation.slice, ast.Tuple):
            return Annotated[tuple[_kind(annotation.slice.elts[0], where), ...], BeforeValidator(_one_alone)]  # type: ignore[misc]
    raise UserError(
        f"{where}: found the annotation {ast.unparse(annotation) if annotation else None}, "
        "expected one of pipeline.models.kinds, bool, str, Literal[...] or tuple[kind, ...]"
    )
