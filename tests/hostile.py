"""Strategies of the fuzz: what a careless or a hostile hand might write in params.yaml, in words, in a record."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "params.yaml").read_text()
CONFIG: dict[str, Any] = yaml.safe_load(TEXT)

ODD_TEXTS = [
    "", " ", "true", "null", "none", "nan", "inf", "-1", "0x10", "1e400", "1_0", "..", "../../etc/passwd",
    "/etc/passwd", "a/b", "~", "$(id)", "`id`", "; id", "{dataset}", "{", "%s", "mnist\n", "a\x00b", "\x1b[31m",
    "\u2028", "é", "名", "🜁", "\ud800", "-rf", "--help", "*", "&a", "vae", "draw", "mnist", "tiny", "laptop", "MNIST",
    "x" * 300, "y" * 20_000, "file:///etc/passwd", "http://[", "http://x:99999999/", "idx", "real", "error", "cuda",
    "grey", "\udcff",
]  # fmt: skip
ODD_NUMBERS = [
    0, -1, 1, 2, 99, 101, 2**31, 2**63 - 1, 2**63, 10**20, 10**400, -(10**30), -0.0, 0.5, 1e-320, 1e308, 1e30, -3.5,
    float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
YAML_VALUES = [
    "1", "[1, 2]", "[1", "{a: {b: [1, {c: 2}]}}", "&a [*a]", "*a", "!!python/name:os.system x", ".nan", ".inf",
    "9" * 5000, "[" * 1500, "{seeds: 1, seeds: 2}", "2001-99-99", "!!int ''", "!!binary '*'", "!!set {a, b}", "!!float",
    "!!omap [a: 1]", "!!timestamp 2001-99-99", "- 1\n- 2", "a: b: c", "|", "{glimpses: many}", "1:99:99", '"\\ud800"',
]  # fmt: skip
YAML_LINES = [
    "a: &a [ha, ha]\nb: &b [*a, *a]\nc: [*b, *b]", "seeds: 2", "models: {}", "? [1, 2]\n: 3", "---", "=: 1",
    "!!python/object/apply:os.system ['true']", "x: &x [*x]", "<<: {seeds: 3}", "<<: 3", "{[: ]", "\t", "%YAML 9.9",
    "- 1", "\ufeff", "%YAML 9.9", "{a: " * 300, "\x00", "__use_yte__: true", "?for x in [1]:\n  a: 1", "'", "&",
    "__definitions__: [import os]",
]  # fmt: skip

scalars = st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS, None, True, False]) | st.text(max_size=8) | st.floats()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(ODD_TEXTS), inner, max_size=4),
    max_leaves=6,
)


def places(block: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nested value."""
    inner = block.items() if isinstance(block, dict) else enumerate(block) if isinstance(block, list) else ()
    return [found for key, item in inner for found in ((*way, key), *places(item, (*way, key)))]


PLACES = places(CONFIG)


@st.composite
def changed(draw: st.DrawFn, of: Any) -> bytes:
    """JSON (which YAML reads too) of a nested value with up to three places replaced, removed or renamed."""
    content = copy.deepcopy(of)
    for way in draw(st.lists(st.sampled_from(places(of)), min_size=1, max_size=3)):
        block = content
        try:
            for step in way[:-1]:
                block = block[step]
            if draw(st.booleans()) and isinstance(block, dict):
                block.pop(way[-1])
            block[way[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(ODD_TEXTS))] = draw(values)
        except (KeyError, IndexError, TypeError, AttributeError):  # an earlier change took this place away
            continue
    return as_bytes(content)


def as_bytes(content: Any) -> bytes:
    """JSON as Python writes it, NaN included; of what it cannot write, something too deep."""
    try:
        return json.dumps(content)[: 1 << 20].encode()
    except (RecursionError, ValueError, TypeError):
        return b"[" * 3000


def jsons(of: Any) -> st.SearchStrategy[bytes]:
    """The bytes of a JSON file: some content of its own changed, or something else."""
    short = [b"", b"{}", b"[]", b"null", b"3", b"NaN", b"{", b"\xff\xfe", b"\0" * 9, b"[" * 5000, b'{"a":' * 3000]
    return changed(of) | changed(of) | values.map(as_bytes) | st.sampled_from(short) | st.binary(max_size=20)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """The bytes of a params.yaml: other values, or its text with an odd line, an indented line or other bytes in it."""
    manner = draw(st.sampled_from(["values", "line", "indent", "bytes"]))
    if manner == "values":
        return draw(jsons(CONFIG))
    lines = TEXT.splitlines()
    place = draw(st.integers(0, len(lines) - 1))
    if manner == "line":
        odd = st.sampled_from(YAML_LINES) | st.sampled_from(YAML_VALUES).map("x: {}".format)
        lines.insert(draw(st.sampled_from([0, place, len(lines)])), draw(odd))
    elif manner == "indent":
        lines[place] = draw(st.sampled_from(["  ", "\t"])) + lines[place]
    content = bytearray("\n".join([*lines, ""]).encode())
    for _ in range(3 if manner == "bytes" else 0):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


@st.composite
def assignments(draw: st.DrawFn) -> str:
    """`key.subkey=value`, mostly of a key that there is."""
    sound = ["seeds=2", "budget=tiny", "device=cpu", "protocol={seed: 7}", 'models={"draw": {"glimpses": 3}}']
    if draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(sound))
    way = [str(step) for step in draw(st.sampled_from(PLACES))]
    if draw(st.integers(0, 3)) == 0:
        way.insert(draw(st.integers(0, len(way))), draw(st.sampled_from(ODD_TEXTS)))
    equals = draw(st.sampled_from([*["="] * 9, "", "==", " = ", ":"]))
    return ".".join(way) + equals + draw(st.sampled_from([*ODD_TEXTS, *YAML_VALUES]) | st.text(max_size=8))
