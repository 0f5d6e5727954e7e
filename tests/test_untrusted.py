"""Reading what others may have written: the quick look at plain content says what the thorough one says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import untrusted

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(2**65), 2**65),
    st.text(max_size=4),
    st.sampled_from(
        ["a" * (untrusted.LONGEST + 1), "a" * untrusted.LONGEST, "\ud800", "é", 2**63, 2**63 - 1, b"", {1}]
    ),
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(NESTED, st.integers(0, 30), st.integers(0, untrusted.DEEPEST + 2))
def test_both_looks_agree(content: Any, most: int, deeper: int) -> None:
    for _ in range(deeper):
        content = [content]
    for bound in (most, untrusted.MOST):
        assert untrusted.flaw(content, bound) == untrusted._first_flaw(content, bound)


@pytest.mark.parametrize("depth", [untrusted.DEEPEST, untrusted.DEEPEST + 1])
def test_the_deepest_level_is_the_last(depth: int) -> None:
    content = json.loads("[" * depth + "1" + "]" * depth)
    assert (untrusted.flaw(content) is None) == (depth <= untrusted.DEEPEST)


def test_a_place_is_named() -> None:
    assert untrusted.flaw({"a": [1, {"b": 2**70}]}) == "a.1.b: found a whole number of 71 bits, expected at most 63"
