"""Job hashes: what makes a result stale is content, never a clock.

The hash of a job is a digest of the stage's name, the configuration that it uses, the syntax trees (without comments
and docstrings) of the science modules that it imports, the versions of their numerical libraries, and the hashes of
the jobs that it reads from.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
NUMERICAL = {"torch": "torch", "numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "pyarrow": "pyarrow",
             "PIL": "pillow", "av": "av", "lmdb": "lmdb",
             "uharfbuzz": "uharfbuzz", "freetype": "freetype-py"}  # fmt: skip
"""Import name -> distribution of the libraries whose version is part of an identity."""
MODULE = re.compile(r"pipeline(\.\w{1,100}){0,5}", re.ASCII)
"""A dotted name of this project, as stamps and jobs' files may have it."""


def digest(*parts: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the parts as canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


OUTSIDE = (
    "pipeline.workflow", "pipeline.runtime", "pipeline.tracking", "pipeline.commands", "pipeline.cli",
    "pipeline.snakefile", "pipeline.core.errors", "pipeline.core.locks", "pipeline.core.untrusted",
)  # fmt: skip
"""Modules that change no result: they decide when and where a job runs, and what people are told."""


def compute(stage: str, config: Any, modules: Iterable[str], inputs: Sequence[str]) -> str:
    """Hash of a job: `modules` are the roots of its code, `inputs` the hashes of the jobs it reads from, in order."""
    closure = code_closure(tuple(modules))
    return digest(stage, config, closure_digest(closure), library_versions(closure), list(inputs))


# --- code -----------------------------------------------------------------------------------------------------


def module_file(name: str) -> Path | None:
    """The file of a module of this project, or None."""
    base = ROOT.joinpath(*name.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@functools.cache
def syntax_tree(name: str) -> ast.Module:
    """Parsed source of a module of this project."""
    file = module_file(name)
    if file is None:
        raise ModuleNotFoundError(f"no module {name} in this project")
    try:
        return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except SyntaxError as error:
        raise UserError(f"{file}:{error.lineno}: {error.msg}") from None


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement of a module, nested ones too; expressions, which are most of a tree, hold none."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            inner = getattr(node, field, ())
            waiting.extend(inner)
            yield from inner


@functools.cache
def imports(name: str) -> frozenset[str]:
    """Every module that a module imports anywhere in its text, as dotted names (a `from` import's parts included)."""
    names: set[str] = set()
    for node in statements(syntax_tree(name)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def changes_no_result(name: str) -> bool:
    """Whether a module is outside of what a job's hash covers."""
    return any(name == outside or name.startswith(f"{outside}.") for outside in OUTSIDE)


@functools.cache
def code_closure(roots: tuple[str, ...]) -> tuple[str, ...]:
    """The project's modules reached from the roots by imports, those outside left out, sorted."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in seen or module_file(name) is None or changes_no_result(name):
            continue
        seen.add(name)
        waiting.extend(imported for imported in imports(name) if imported.startswith("pipeline."))
    return tuple(sorted(seen))


@functools.cache
def closure_digest(closure: tuple[str, ...]) -> str:
    """Digest of the normalised syntax trees of some modules."""
    return digest([[name, module_digest(name)] for name in closure])


@functools.cache
def module_digest(name: str) -> str:
    """Digest of a module's normalised syntax tree: comments, docstrings and layout do not count."""
    return digest(_normalised(syntax_tree(name)))


def _normalised(node: Any) -> Any:
    """The tree as nested lists, without docstrings and empty fields (which differ between Python versions)."""
    if isinstance(node, ast.AST):
        fields = []
        for field, value in ast.iter_fields(node):
            if field == "body" and isinstance(value, list):
                value = [statement for statement in value if not _is_docstring(statement)]
            if value is None or value == [] or field in ("type_comment", "kind"):
                continue
            fields.append([field, _normalised(value)])
        return [type(node).__name__, fields]
    if isinstance(node, list):
        return [_normalised(item) for item in node]
    return node if isinstance(node, str | int | bool) else repr(node)


def _is_docstring(statement: Any) -> bool:
    """Whether a statement is a string that stands alone: a docstring, also of an attribute."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


@functools.cache
def library_versions(closure: tuple[str, ...]) -> dict[str, str]:
    """Versions of the numerical libraries that some modules import."""
    imported = {module.split(".")[0] for name in closure for module in imports(name)}
    return {NUMERICAL[name]: version(NUMERICAL[name]) for name in sorted(imported & set(NUMERICAL))}


@functools.cache
def version(distribution: str) -> str:
    """Installed version of a distribution, 'none' if it is not there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "none"


# --- what a model's class declares, read without importing it ---------------------------------------------------


def literal(module: str, name: str, default: Any = None) -> Any:
    """What a module's top level says a name is, where that is written out."""
    for node in syntax_tree(module).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    return default


@functools.cache
def is_model(module: str) -> bool:
    """Whether a module holds a model: it names exactly one class in `__all__`; what models share names none."""
    return module_file(module) is not None and len(_exported(module)) == 1


def _exported(module: str) -> list[str]:
    return list(literal(module, "__all__", ()))


@functools.cache
def class_chain(module: str, name: str | None = None) -> tuple[ast.ClassDef, ...]:
    """A model's class (or class `name` of a module) and what it derives from, nearest first, but for the common base.

    Raises `UserError` for a module that names no model.
    """
    if name is None and not is_model(module):
        raise UserError(f'{module_file(module)}: no __all__ = ["TheModel"] that names the one class of the model')
    name = name or _exported(module)[0]
    tree = syntax_tree(module)
    declared = next((item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == name), None)
    if declared is None:
        raise UserError(f'{module_file(module)}: no __all__ = ["TheModel"] that names a class of it: found {name!r}')
    bases = {base.id for base in declared.bases if isinstance(base, ast.Name)}
    chain = [declared]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline.models."):
            for alias in node.names:
                if alias.name in bases and alias.name != "ImageGenerator":
                    chain.extend(class_chain(node.module, alias.name))
    return tuple(chain)


@functools.cache
def methods_of(module: str) -> frozenset[str]:
    """Names of the methods that a model defines, inherited ones included but for those of the common base."""
    return frozenset(
        item.name for owner in class_chain(module) for item in owner.body if isinstance(item, ast.FunctionDef)
    )
