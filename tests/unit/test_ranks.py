"""Ranks with confidence sets: closed forms, joint coverage, and what leaves an order open."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline import metrics
from pipeline.metrics.intervals import combine_seeds
from pipeline.tables import ranks_markdown
from pipeline.tables.claims import Evidence
from pipeline.tables.ranks import p_value, positions, ranks, with_ranks
from pipeline.tables.rows import Estimate
from pipeline.tables.sentence import ranks_in_words

Z = NormalDist().inv_cdf(0.975)
METRICS = {name: metrics.columns()[name] for name in ("fd_classifier", "coverage", "elbo")}
SETS = {"a": (1, 1, 1), "b": (2, 2, 2), "c": (3, 3, 3)}


def row(model: str, column: str, value: float, error: float, seeds: int = 1, **more: Any) -> dict[str, Any]:
    bounds = {f"{column}_{end}": value + sign * Z * error for end, sign in (("low", -1), ("high", 1))}
    return {"model": model, "seeds": seeds, "status": "ok", column: value, **bounds, **more}


def found(rows: list[dict[str, Any]], column: str = "elbo", **evidence: Any) -> dict[str, tuple[int, int, int]]:
    return {model: tuple(rank) for model, rank in ranks(rows, column, Evidence([], METRICS, **evidence)).items()}


@pytest.mark.parametrize(("pairs", "alpha"), [(1, 0.05), (3, 0.05 / 3)])
@pytest.mark.parametrize(("share", "apart"), [(0.999, False), (1.001, True)])
def test_two_models_are_apart_from_holms_bound_on(pairs: int, alpha: float, share: float, apart: bool) -> None:
    """Of three pairs with differences d, d and 2d, 2d is decided first, then d against p = 0.05 / 2."""
    step = share * math.sqrt(2) * -NormalDist().inv_cdf(alpha / 2 if pairs == 1 else 0.05 / 4)
    rows = [row(model, "elbo", -k * step, 1.0) for k, model in enumerate("abc"[: 2 if pairs == 1 else 3])]
    last = len(rows)
    expected = SETS if apart else {"a": (1, 1, last - (last == 3)), "b": (2, 1, last), "c": (3, 2, 3)}
    assert found(rows) == {model: expected[model] for model in "abc"[:last]}


def test_over_seeds_the_test_is_welchs_on_the_columns_scale() -> None:
    values = {"a": [1.0, 1.3, 1.1, 0.9], "b": [1.5, 1.9, 1.4]}
    rows, known = [], []
    for model, seeds in values.items():
        combined = combine_seeds([Estimate(value, math.nan, math.nan, "") for value in seeds], "log")
        bounds = {"fd_classifier_low": combined.low, "fd_classifier_high": combined.high}
        rows.append({"model": model, "seeds": len(seeds), "status": "ok", "fd_classifier": combined.value, **bounds})
        known += [math.log(combined.value), np.log(seeds).std(ddof=1), len(seeds)]
    expected = stats.ttest_ind_from_stats(*known, equal_var=False)
    assert p_value(*positions(rows, "fd_classifier", METRICS["fd_classifier"])) == pytest.approx(expected.pvalue)


def test_true_ranks_lie_in_all_sets_at_once_in_95_percent_of_the_draws() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.0, 0.0, 1.0, 1.5, 4.0])  # two models are equal: ranks 1 to 2 are both true of each
    held = 0
    for _ in range(300):
        drawn = truth + rng.normal(size=5)
        rows = [row(model, "elbo", -value, 1.0) for model, value in zip("abcde", drawn, strict=True)]
        sets = found(rows)
        assert all(low <= rank <= high for rank, low, high in sets.values())
        possible = {"a": (1, 2), "b": (1, 2), "c": (3, 3), "d": (4, 4), "e": (5, 5)}
        held += all(sets[m][1] <= low and high <= sets[m][2] for m, (low, high) in possible.items())
    assert held / 300 >= 0.93


def test_nearest_to_real_is_first_and_failures_and_cells_without_interval_have_no_rank() -> None:
    rows = [
        row("above", "coverage", 0.96, 0.01), row("below", "coverage", 0.84, 0.01), row("far", "coverage", 0.5, 0.01),
        row("gone", "coverage", 0.9, 0.01) | {"status": "collapsed"}, {"model": "bare", "seeds": 1, "coverage": 0.9},
        {"model": "real", "coverage": 0.9},
    ]  # fmt: skip
    assert found(rows, "coverage") == {"above": (1, 1, 2), "below": (2, 1, 2), "far": (3, 3, 3)}


@pytest.mark.parametrize(
    ("better", "worse", "apart"),
    [
        ((0.98, 1e-15, 1.0), (0.02, 0.0, 0.03), False),  # the first may be anything
        ((0.98, 0.9, 1.0), (0.02, 0.0, 0.03), True),
        ((0.98, 0.9, 1.0), (0.02, 0.0, 0.95), False),
        ((0.89, 0.88, 1.0), (0.86, 0.85, 0.861), False),  # beyond real the first may be further away than the second
        ((0.89, 0.88, 0.91), (0.86, 0.85, 0.861), True),
    ],
)
def test_the_sides_of_the_intervals_towards_each_other_decide(better: Any, worse: Any, apart: bool) -> None:
    names = ("coverage", "coverage_low", "coverage_high")
    rows: list[dict[str, Any]] = [
        {"model": model, "seeds": 1, "status": "ok", **dict(zip(names, cells, strict=True))}
        for model, cells in (("a", better), ("b", worse))
    ]
    assert found([*rows, {"model": "real", "coverage": 0.9}], "coverage")["a"] == (1, 1, 1 if apart else 2)


def test_an_order_that_the_classifiers_disagree_on_is_left_open() -> None:
    rows = [row(model, "fd_classifier", value, 0.01) for model, value in (("a", 1.0), ("b", 2.0))]
    seeds = [{"model": "a", "seed": 0, "fd_classifier_each": "1 1"}, {"model": "b", "seed": 0}]
    for each, expected in (("3 2", (1, 1, 1)), ("5 0.8", (1, 1, 2))):
        evidence = Evidence([seeds[0], seeds[1] | {"fd_classifier_each": each}], METRICS)
        assert tuple(ranks(rows, "fd_classifier", evidence)["a"]) == expected


def test_kid_has_ranks_where_it_takes_the_place_of_the_frechet_distance() -> None:
    known = {name: metrics.columns()[name] for name in ("fd_classifier", "kid_classifier")}
    rows = [row(model, "kid_classifier", value, 0.01) for model, value in (("a", 2.0), ("b", 1.0))]
    ranked = with_ranks(rows, Evidence([], known))
    assert [each["rank_kid_classifier"] for each in ranked] == [2, 1]
    assert ranks_in_words(ranked, known) == "Ranks by KID (classifier): b 1, a 2."
    assert "Rank, KID (classifier)" in ranks_markdown(ranked, known)
    with_frechet = with_ranks([rows[0] | rows[1] | row("a", "fd_classifier", 3.0, 0.1)], Evidence([], known))
    assert "rank_kid_classifier" not in with_frechet[0]


def test_ranks_stand_in_a_table_and_in_a_line() -> None:
    rows = [row(model, "elbo", value, 1.0) for model, value in (("b", -90.0), ("a", -60.0), ("c", -90.5))]
    rows.append({"model": "real", "status": None})
    only = {"elbo": METRICS["elbo"]}
    ranked = with_ranks(rows, Evidence([], only))
    assert ranks_markdown(ranked, only).splitlines()[2:7] == [
        "| Model | Rank, ELBO |", "| :--- | ---: |", "| b | 2 [2, 3] |", "| a | **1** [1, 1] |", "| c | 3 [2, 3] |",
    ]  # fmt: skip
    assert ranks_in_words(ranked, only) == "Ranks by ELBO: a 1, b 2-3, c 2-3."
    assert ranks_markdown(rows, only) == ranks_in_words(rows, only) == ""
