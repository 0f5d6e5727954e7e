"""Columns that are means over several reference classifiers."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch

from pipeline.metrics import columns, frechet, kid, prdc
from pipeline.metrics.comparison import Comparison
from pipeline.tables import Run, seeds_columns, seeds_table
from pipeline.tables.claims import DISAGREE, Evidence, claim_rows

MODULES = {"fd_classifier": frechet, "kid_classifier": kid, "coverage": prdc}


def comparison(*spaces: str) -> Comparison:
    """120 real and generated points; every space is another draw of features."""
    sides: dict[str, dict[str, torch.Tensor]] = {"real": {}, "fake": {}}
    for number, space in enumerate(spaces):
        generator = torch.Generator().manual_seed(number)
        sides["real"][space] = torch.randn(120, 3, generator=generator)
        sides["fake"][space] = torch.randn(120, 3, generator=generator) * 0.9 + 0.2
    return Comparison(**sides, groups=5)


def renamed(given: Comparison, space: str) -> Comparison:
    """One of its spaces as the only classifier's."""
    return Comparison(real={"classifier": given.real[space]}, fake={"classifier": given.fake[space]}, groups=5)


@pytest.mark.parametrize("column", MODULES)
def test_a_column_is_the_mean_over_classifiers_with_their_least_and_largest(column: str) -> None:
    spaces = ("classifier", "classifier.1", "classifier.2")
    several = comparison(*spaces)
    measure = MODULES[column].measure
    singles = [measure(renamed(several, space))[column] for space in spaces]
    found = measure(several)
    values = [single.value for single in singles]
    assert found[column].each == pytest.approx(values)
    assert found[f"{column}_min"].value == pytest.approx(min(values))
    assert found[f"{column}_max"].value == pytest.approx(max(values))
    expected = math.prod(values) ** (1 / 3) if column == "fd_classifier" else sum(values) / 3
    assert found[column].value == pytest.approx(expected)
    assert found[column].low < found[column].value < found[column].high
    reach = [single.high - single.low for single in singles]
    assert found[column].high - found[column].low < 1.1 * max(reach)
    assert f"{column}_min" not in measure(renamed(several, "classifier")), "of one there is nothing to compare"
    assert {column, f"{column}_min", f"{column}_max"} <= columns().keys()


def test_alike_classifiers_give_what_one_gives() -> None:
    one = comparison("classifier")
    alike = {f"classifier.{k}": one.real["classifier"] for k in (1, 2)}
    faked = {f"classifier.{k}": one.fake["classifier"] for k in (1, 2)}
    three = Comparison(real={**one.real, **alike}, fake={**one.fake, **faked}, groups=5)
    for column, module in MODULES.items():
        first, mean = module.measure(one)[column], module.measure(three)[column]
        assert (mean.value, mean.low, mean.high) == pytest.approx((first.value, first.low, first.high))


def test_coverage_alone_is_that_of_the_four_statistics() -> None:
    parts = comparison("classifier")
    sides = {"real": parts.real_parts("classifier"), "fake": parts.fake_parts("classifier")}
    whole, alone = prdc.membership(**sides), prdc.membership(**sides, recall=False)
    assert torch.equal(whole.covered, alone.covered)
    assert torch.equal(whole.balls, alone.balls)


def test_an_order_that_classifiers_disagree_on_is_unresolved() -> None:
    metrics = {name: columns()[name] for name in ("fd_classifier", "fd_classifier_min")}

    def runs(*each: tuple[float, ...]) -> list[Run]:
        entries = [{"value": fmean(x), "low": None, "high": None, "kind": "", "each": list(x)} for x in each]
        return [Run(seed, {"fd_classifier": entry}) for seed, entry in enumerate(entries)]

    good, bad = runs((1.0, 1.1, 1.2), (1.1, 1.1, 1.3), (1.0, 1.2, 1.2)), runs((5, 5, 5), (5.1, 5, 6), (5, 4, 5))
    torn = runs((0.9, 9.0, 9.0), (0.9, 9.1, 9.0), (0.8, 9.0, 9.2))
    claim = {"paper": "p", "claim": "c", "definition": "ours", "measure": "fd_classifier", "better": "a", "worse": "b"}

    def verdict(first: list[Run], second: list[Run]) -> tuple:
        rows = seeds_table({"a": first, "b": second}, metrics)
        assert rows[0]["fd_classifier_each"] == " ".join(f"{x:g}" for x in first[0].estimates["fd_classifier"]["each"])
        (row,) = claim_rows([claim], Evidence(rows, metrics))
        return row["verdict"], row["reason"]

    assert seeds_columns(metrics)[-1] == "fd_classifier_each"
    assert verdict(good, bad) == ("held", None)
    assert verdict(bad, good) == ("reversed", None)
    assert verdict(good, torn) == ("unresolved", DISAGREE)


def test_each_classifier_has_its_own_row_real_to_be_near_to() -> None:
    """By the mean of `real`, 0.5, the second classifier would have b nearer; by its own, 0.3, a is."""
    each = {"a": "0.8 0.28", "b": "0.9 0.6", "real": "0.7 0.3"}
    rows = [
        {"model": model, "seed": seed, "coverage": fmean(map(float, values.split())), "coverage_each": values}
        for model, values in each.items()
        for seed in range(1 if model == "real" else 2)
    ]
    claim = {"paper": "p", "claim": "c", "definition": "ours", "measure": "coverage", "better": "a", "worse": "b"}
    metrics = {"coverage": columns()["coverage"]}

    def reason(seeds: list[dict]) -> str | None:
        return claim_rows([claim], Evidence(seeds, metrics, {"coverage": 0.5}))[0]["reason"]

    assert DISAGREE in str(reason(rows[:-1]))
    assert DISAGREE not in str(reason(rows))
