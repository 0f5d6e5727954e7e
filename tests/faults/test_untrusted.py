"""Reading what others may have written: refused with a reason, or plain."""

from __future__ import annotations

import datetime
import json

import pytest

from pipeline.core import untrusted
from pipeline.workflow import yaml_loader


def test_plain_content_is_read_as_it_was_written() -> None:
    leaves = [None, True, False, 0, -1, 2**63 - 1, -(2**63) + 1, 0.0, -1.5, 1e308, "", "é名\U0001f701", "a\nb"]
    content = {"": leaves, "a": {"b": [[], {}, [leaves]], "null": None}, "1": []}
    for plain in (content, *leaves):
        assert untrusted.parsed_json(json.dumps(plain)) == plain
        assert yaml_loader.plain(plain) == plain


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
