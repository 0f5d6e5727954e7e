"""Intervals hold their point and cover the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import metrics
from pipeline.features.evaluator import FEWEST
from pipeline.metrics import intervals
from pipeline.metrics.bands import TOO_FEW
from pipeline.metrics.comparison import Estimate
from pipeline.workflow.params import FEWEST_COMPARED
from tests.made_up_comparison import drawn

DRAWS = 200
OF_THE_SLOW = 100
SLOW = {"coverage_bands", "fld", "frechet", "kid", "mmd", "neighbours", "prdc"}
"""Metrics that take longer than all others together."""

CONSERVATIVE = {"knn_error_real", "knn_error_max", "naive_bayes_error_real", "classes_covered", "coverage_head",
                "coverage_middle"}  # fmt: skip
"""Columns whose interval covers more than 99 % of small sets: two-sided rates of few images, and whole numbers."""


def test_t_quantiles_are_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for degrees in (1, 2, 4, 19, 20, 21, 30, 100, 10**6):
        assert intervals.t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=2e-5)


def test_wilson_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for successes, n in ((0, 50), (1, 50), (30, 50), (50, 50)):
        found = intervals.rate(torch.arange(n) < successes)
        truth = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
        assert (found.low, found.high) == pytest.approx((truth.low, truth.high), abs=1e-9)


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=8),
    st.sampled_from(["log", "logit", "linear"]),
)
@settings(max_examples=200, deadline=None)
def test_every_interval_holds_its_point(values: list[float], scale: intervals.Scale) -> None:
    if scale == "logit":
        values = [abs(v) / 50 for v in values]
    estimates = [Estimate(v, v - 1, v + 1, "none") for v in values]
    for found in (intervals.combine_seeds(estimates, scale), intervals.jackknife(values[0], [*values, 0.5], scale)):
        assert found.low <= found.value <= found.high


def test_seeds_are_combined_by_students_t_where_there_are_two_that_did_not_diverge() -> None:
    two, missing = (Estimate(v, v, v, "none") for v in (2.0, math.nan))
    found = intervals.combine_seeds([Estimate(1, 1, 1, "none"), two, Estimate(3, 3, 3, "none")], "linear")
    half = 4.302653 * 1.0 / math.sqrt(3)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - half, 2 + half), rel=1e-6)
    assert intervals.combine_seeds([two], "logit") is two
    diverged = intervals.combine_seeds([missing, two], "log")
    assert math.isnan(diverged.value) and math.isnan(diverged.low)
    with pytest.raises(ValueError, match="no seed"):
        intervals.combine_seeds([], "log")


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    x = torch.randn(20, generator=torch.Generator().manual_seed(0)).double()
    without = [(x.sum() - v).item() / 19 for v in x]
    found = intervals.jackknife(x.mean().item(), without, "linear")
    truth = intervals.t_quantile(19) * x.std().item() / math.sqrt(20)
    assert found.high - found.value == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_seeds_cover_the_truth(scale: intervals.Scale) -> None:
    generator = torch.Generator().manual_seed(3)
    draws = torch.randn(DRAWS, 5, generator=generator).double() * 0.2
    values = draws.exp() if scale == "log" else draws
    truth = 1.0 if scale == "log" else 0.0
    found = [intervals.combine_seeds([Estimate(v, v, v, "none") for v in row.tolist()], scale) for row in values]
    assert 0.90 <= _covering(found, truth) <= 0.99


def _covering(found: Sequence[Estimate], truth: float) -> float:
    return sum(e.low <= truth <= e.high for e in found) / len(found)


@pytest.mark.parametrize("name", metrics.names())
def test_one_seeds_interval_covers_what_the_metric_expects(name: str) -> None:
    """The truth is the metric's own expectation at this n: that of a biased one (Frechet distance) is not its limit."""
    found: dict[str, list[Estimate]] = {column: [] for column in metrics.load(name).COLUMNS}
    draws = OF_THE_SLOW if name in SLOW else DRAWS
    for number in range(draws):
        for column, estimate in metrics.load(name).measure(drawn(number)).items():
            found[column].append(estimate)
    for column, estimates in found.items():
        truth = sum(e.value for e in estimates) / draws
        assert len(estimates) == draws and all(e.low <= e.value <= e.high for e in estimates), column
        if column.endswith("_chance"):  # a level to compare with, no estimate
            assert all(e.low == e.high for e in estimates)
        else:
            most = 1.0 if column in CONSERVATIVE else 0.99
            assert 0.90 <= _covering(estimates, truth) <= most, column


@pytest.mark.parametrize("name", metrics.names())
def test_a_small_set_has_every_estimate_with_its_interval(name: str) -> None:
    """Twenty groups of a small set would leave some of them without images of either kind."""
    assert FEWEST == FEWEST_COMPARED
    for n in (FEWEST_COMPARED, 13, 27):
        found = metrics.load(name).measure(replace(drawn(0, n), groups=20))
        assert set(found) == set(metrics.load(name).COLUMNS)
        for column, estimate in found.items():
            if estimate.kind == f"undefined: {TOO_FEW}":
                assert name in ("class_accuracy", "coverage_bands", "kid_tail", "sharpness")
            else:
                assert math.isfinite(estimate.value), (column, n)
                assert estimate.low <= estimate.value <= estimate.high, (column, n)
