"""Agreement of ratings with a distance, and of two halves of the judges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipeline.battles.standings import Games, rated
from pipeline.metrics import columns
from pipeline.tables.agreement import agreement, spearman

NAMES = "abcdef"


def test_spearman_is_scipys_with_ties_and_over_what_both_have() -> None:
    first, second = [1.0, 2.0, 2.0, 5.0, 3.0, 0.0], [2.0, 2.0, 7.0, 6.0, 6.0, 1.0]
    sides = [dict(zip(NAMES, values, strict=True)) for values in (first, second)]
    expected = stats.spearmanr(first, second).statistic
    assert spearman(sides[0] | {"x": 9.0}, sides[1]) == (pytest.approx(expected), 6)
    assert spearman({"a": 1.0, "b": 2.0}, sides[1]) == (None, 2)
    assert spearman(dict.fromkeys(NAMES, 1.0), sides[1]) == (None, 6)


def test_the_sentence_has_all_judges_both_halves_and_the_halves_with_each_other() -> None:
    """Of d = sum of squared rank differences, 1 - 6 d / (n (n^2 - 1)) with n = 4: d = 0, 2, 20 and 18."""
    table = [{"model": m, "status": "ok", "fd_classifier": d} for m, d in zip("abcd", (1, 2, 3, 4), strict=True)]
    failed = {"model": "e", "status": "diverged", "fd_classifier": 0.5}
    ratings = {"rating": (4, 3, 2, 1), "rating_half_1": (4, 3, 1, 2), "rating_half_2": (1, 2, 3, 4)}
    standings = [{"model": m, **{n: float(v[k]) for n, v in ratings.items()}} for k, m in enumerate("abcd")]
    words = agreement([*table, failed], [*standings, {"model": "e", "rating": 9.0}], columns())
    said = ": 1; by two halves of the judges 0.8 and -1; of the two halves with each other -0.8 (4 models)."
    assert words.endswith(said)
    of_one = [{**row, "rating_half_1": None} for row in standings]
    assert agreement(table, of_one, columns()).endswith("higher): 1 (4 models).")
    assert agreement(table[:2], standings, columns()) == ""


def test_halves_are_disjoint_judges_and_each_rates_by_its_own_verdicts() -> None:
    wins = np.zeros((3, 2, 2))
    wins[0, 0, 1] = wins[2, 0, 1] = wins[1, 1, 0] = 1  # judges 0 and 2 prefer a, judge 1 prefers b
    games = Games(wins, np.zeros_like(wins), ("a", "b"))
    assert [len(games.half(which).wins) for which in (0, 1)] == [2, 1]
    assert [rated(games.half(which), 0, 0)[0]["model"] for which in (0, 1)] == ["a", "b"]
