"""Reading what others may have written: refused with a reason, or plain."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import untrusted
from pipeline.workflow import yaml_loader

PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
def test_plain_content_is_read_as_it_was_written(content: Any) -> None:
    assert untrusted.parsed_json(json.dumps(content)) == content
    assert yaml_loader.plain(content) == content


@pytest.mark.parametrize(
    "text", ["NaN", "-Infinity", "1e999", str(2**63), '"\\ud800"', '{"a": "\\uDFFF"}', "[" * 10**5]
)
def test_json_without_end_or_meaning_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"finite|bits|nesting|surrogates"):
        untrusted.parsed_json(text)


def test_a_place_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"^a\.1\.b: found '2026-11-30' \(date\), expected text or a number; .*quotes$"
    ):
        yaml_loader.plain({"a": [1, {"b": datetime.date(2026, 11, 30)}]})


def test_blocks_that_an_alias_shares_are_apart() -> None:
    shared = {"x": 1}
    content = yaml_loader.plain({"a": shared, "b": shared})
    assert content["a"] is not content["b"]
