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
ODD_NUMBERS = [0, -1, 1, 2, 99, 101, 2**31, 2**63 - 1, 2**63, 10**20, 10**400, -(10**30)]
ODD_FLOATS = [0.0, -0.0, 0.5, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), 1e30, -3.5]

scalars = (
    st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS, *ODD_FLOATS, None, True, False])
    | st.text(max_size=8)
    | st.integers(-3, 300)
    | st.floats()
)
keys = st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS[:6], None, True, 1.5]) | st.text(max_size=6)


def nested(leaves: st.SearchStrategy[Any], key: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(key, inner, max_size=4), max_leaves=6
    )


values = nested(scalars | st.binary(max_size=4) | st.dates(), keys)


def places(block: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nested value."""
    inner = block.items() if isinstance(block, dict) else enumerate(block) if isinstance(block, list) else ()
    return [found for key, item in inner for found in ((*way, key), *places(item, (*way, key)))]


def parent_of(block: Any, way: tuple[Any, ...]) -> Any:
    for step in way[:-1]:
        block = block[step]
    return block


PLACES = places(CONFIG)
ACTIONS = ["replace", "remove", "rename", "add", "copy", "swap", "wrap"]


def act(draw: st.DrawFn, config: Any, found: list[tuple[Any, ...]], filling: st.SearchStrategy[Any]) -> None:
    """One change of one place."""
    way, action = draw(st.sampled_from(found)), draw(st.sampled_from(ACTIONS))
    block, key = parent_of(config, way), way[-1]
    if action == "remove":
        del block[key]
    elif action == "rename" and isinstance(block, dict):
        block[draw(keys) if draw(st.booleans()) else f"{key}_"] = block.pop(key)
    elif action == "add" and isinstance(block, dict):
        block[draw(keys)] = draw(filling)
    elif action == "copy" and isinstance(block, dict):
        block[draw(st.sampled_from([f"{key}_seeds", "zz", "real", f"{key}x"]))] = block[key]  # may be too deep to copy
    elif action == "swap":
        block[key] = copy.deepcopy(parent_of(CONFIG, other := draw(st.sampled_from(PLACES)))[other[-1]])
    elif action == "wrap":
        block[key] = [block[key]] if draw(st.booleans()) else {"tiny": block[key], "smoke": 1}
    else:
        mild = isinstance(block[key], int | float) and draw(st.integers(0, 3)) > 0
        block[key] = draw(st.integers(1, 50) if mild else filling)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """params.yaml with up to three changes, each where the file has something."""
    config = copy.deepcopy(CONFIG)
    untouched = list(PLACES)
    for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
        try:
            act(draw, config, untouched, values)
        except (KeyError, IndexError, TypeError, AttributeError):  # an earlier change took this place away
            continue
    return config


SNIPPETS = [
    "a: &a [ha, ha]\nb: &b [*a, *a]\nc: [*b, *b]\n", "seeds: 2\n", "models: {}\n", "? [1, 2]\n: 3\n", "---\n", "...\n",
    "%YAML 9.9\n", "!!python/object/apply:os.system ['true']\n", "x: !!python/name:os.system\n", "x: !!int seven\n",
    "x: !!int ''\n", "x: !!float ''\n", "x: !!bool maybe\n", "x: !!timestamp 2001-99-99\n", "x: 2001-99-99\n",
    "x: !!binary '*'\n", "x: !!set {a, b}\n", "x: !!omap [a: 1]\n", "x: !!pairs [a]\n", "x: 0x_\n", "x: 1:99:99\n",
    "x: *nobody\n", "x: &x [*x]\n", "<<: {seeds: 3}\n", "<<: 3\n", "{[: ]\n", "\t\n", "[" * 2000 + "\n",
    "{a: " * 300 + "\n", "- 1\n", "\ufeff", "\x00", 'x: "\\ud800"\n', "__use_yte__: true\n",
    "?for x in [1]:\n  a: 1\n", "x: " + "9" * 5000 + "\n", "y: |\n  text\n", "'", '"', "&", "!", "#", ": ", "\n\n",
    "=: 1\n", "z: " + "k" * 20_000 + "\n", "__definitions__: [import os]\n",
]  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """The bytes of a params.yaml: lines lost, doubled, indented, snippets between them, bytes changed; or anything."""
    manner = draw(st.sampled_from(["lines", "lines", "lines", "bytes", "dump", "random"]))
    if manner == "random":
        return draw(st.binary(max_size=60))
    if manner == "dump":
        return yaml.safe_dump(draw(configurations())).encode("utf-8", "surrogatepass")
    lines = TEXT.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        action = draw(st.sampled_from(["remove", "double", "indent", "outdent", "snippet", "snippet", "cut"]))
        if action == "remove":
            lines[place] = ""
        elif action == "double":
            lines.insert(place, lines[place])
        elif action == "indent":
            lines[place] = draw(st.sampled_from([" ", "  ", "\t"])) + lines[place]
        elif action == "outdent":
            lines[place] = lines[place].lstrip()
        elif action == "snippet":
            lines.insert(place, " " * draw(st.sampled_from([0, 0, 2, 4])) + draw(st.sampled_from(SNIPPETS)))
        else:
            lines = lines[: place + 1]
    content = bytearray("".join(lines).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(1, 4)) if manner == "bytes" and content else 0):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


VALUES = [
    *ODD_TEXTS, "1", "3", "tiny", "[1, 2]", "[1", "{a: 1}", "{a: {b: [1, {c: 2}]}}", "&a [*a]", "*a",
    "!!python/name:os.system x", "1e30", ".nan", ".inf", "9" * 5000, "[" * 1500, "{seeds: 1, seeds: 2}", "2001-99-99",
    "!!int ''", "- 1\n- 2", "a: b: c", "|", ">", "[vae]", '{"draw": {"glimpses": 20}}',
    '{"draw": {"glimpses": "many"}}', "{vae: {paper: 3}}", "{mnist: {files: {../x: y}}}",
]  # fmt: skip


SOUND = [
    "seeds=2",
    "budget=tiny",
    "device=cpu",
    "protocol={seed: 7}",
    'models={"draw": {"glimpses": 3}}',
    "seeds={tiny: 3}",
]


@st.composite
def assignments(draw: st.DrawFn) -> str:
    """`key.subkey=value`, mostly of a key that there is."""
    if draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(SOUND))
    way = [str(step) for step in draw(st.sampled_from(PLACES))]
    if draw(st.integers(0, 3)) == 0:
        way.insert(draw(st.integers(0, len(way))), draw(st.sampled_from(ODD_TEXTS)))
    if draw(st.integers(0, 9)) == 0:
        way = way[1:]
    equals = "=" if draw(st.integers(0, 19)) else draw(st.sampled_from(["", "==", " = ", ":"]))
    return ".".join(way) + equals + draw(st.sampled_from(VALUES) | st.text(max_size=8))


def jsons(of: Any) -> st.SearchStrategy[bytes]:
    """The bytes of a JSON file: some content of its own changed in up to three places, or something else."""
    found = places(of)
    plain = nested(scalars, st.sampled_from(ODD_TEXTS) | st.text(max_size=6))

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        content = copy.deepcopy(of)
        for _ in range(draw(st.integers(1, 3))):
            way = draw(st.sampled_from(found))
            try:
                block = parent_of(content, way)
                if draw(st.booleans()) and isinstance(block, dict):
                    block.pop(way[-1])
                block[way[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(ODD_TEXTS))] = draw(plain)
            except (KeyError, IndexError, TypeError, AttributeError):
                continue
        return as_bytes(content)

    whole = st.sampled_from(
        [b"", b"{}", b"[]", b"null", b"3", b"NaN", b"[" * 5000, b'{"a":' * 3000, b"\xff\xfe", b"\x00" * 9, b'"x"', b"{"]
    )
    return changed() | changed() | plain.map(as_bytes) | whole | st.binary(max_size=20)


def as_bytes(content: Any) -> bytes:
    """JSON as Python writes it, NaN included; of what it cannot write, something too deep."""
    try:
        text = json.dumps(content, ensure_ascii=True)
        return text[: 1 << 20].encode()
    except (RecursionError, ValueError, TypeError):
        return b"[" * 3000
