"""The verdict on made-up tables, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.metrics import columns
from pipeline.tables.sentence import ONE_SEED
from pipeline.tables.verdict import Tables, leader_tests, p_value, verdict

NOISY = "No better than noise or the mean image"
REAL = {"model": "real", "fd_classifier": 0.1, "coverage": 0.95, "precision": 0.95, "copying": 0.5}
REAL |= {"coverage_tail": 0.9}
NOISE = {"model": "noise", "fd_classifier": 99.0, "coverage": 0.0, "precision": 0.98, "coverage_tail": 0.0}


BANDS: dict[str, Any] = {name: {"classes": 3, "train": 30, "test": 10} for name in ("head", "middle", "tail")}


def row(model: str, seeds: int = 1, status: str = "ok", **values: float) -> dict[str, Any]:
    """A row whose intervals reach a tenth of the value to either side."""
    bounds = {f"{name}_{side}": v * by for name, v in values.items() for side, by in (("low", 0.9), ("high", 1.1))}
    return {"model": model, "seeds": seeds, "status": status, **values, **bounds}


def told(*rows: dict[str, Any], **tables: Any) -> dict[str, str]:
    """The verdict's sentences by their titles."""
    found = verdict(Tables([*rows, REAL, NOISE], metrics=columns(), **tables))
    return {"lead": found["lead"], **{title: " ".join(filter(None, lines)) for title, lines in found["points"]}}


def test_one_seed_tells_who_leads_and_that_another_training_may_differ() -> None:
    words = told(row("a", fd_classifier=1.0, coverage=0.8), row("b", fd_classifier=2.0, coverage=0.3))
    assert words == {
        "lead": "a leads on Frechet distance (classifier) and Coverage.",
        "How sure": "a 1 [0.9, 1.1], next b 2 [1.8, 2.2]; real images get 0.1; lower is better; 95 % intervals in "
        f"brackets. {ONE_SEED} So this ranks trained models, not methods.",
    }


def test_models_that_overlap_share_the_lead_and_the_rank() -> None:
    rows = [row("c", fd_classifier=3.0), row("b", fd_classifier=1.1), row("a", fd_classifier=1.0)]
    found = verdict(Tables([*rows, REAL, NOISE], metrics=columns()))
    assert found["lead"] == "a and b lead on Frechet distance (classifier) and cannot be told apart."
    assert found["ranks"] == [((1, 1, 2), "a"), ((2, 1, 2), "b"), ((3, 3, 3), "c")] and found["leaders"] == 2
    collapsed = [*rows[:2], row("a", status="collapsed", fd_classifier=1.0), REAL]
    assert verdict(Tables(collapsed, metrics=columns()))["ranks"] == [((1, 1, 1), "b"), ((2, 2, 2), "c"), (None, "a")]


def test_another_metric_names_its_own_leader_and_who_is_alike() -> None:
    words = told(
        row("a", fd_classifier=1.0, coverage=0.3, copying=0.3, rating=1000.0),
        row("b", fd_classifier=2.0, coverage=0.8, copying=0.31, rating=2000.0),
    )
    assert words["lead"] == "a leads on Frechet distance (classifier)."
    assert words["Other headline metrics"] == (
        "Coverage: b 0.8 [0.72, 0.88], next a 0.3 [0.27, 0.33]; real images get 0.95; nearer to real images is better. "
        "Rating: b 2,000 [1,800, 2,200], next a 1,000 [900, 1,100]; higher is better."
    )
    assert words["Cannot be told apart"] == "Copying: b and a."


def test_models_of_one_rank_are_named_below_the_leaders_too() -> None:
    values = {"a": 1.0, "b": 1.05, "c": 3.0, "d": 3.1, "e": 9.0}
    words = told(*(row(name, fd_classifier=value) for name, value in values.items()))
    assert words["Cannot be told apart"] == "Frechet distance (classifier): c and d."


def test_copies_and_other_real_images_with_a_fault_are_no_floor_for_models() -> None:
    """Training images beat every model on most columns; only noise and the mean image disqualify one."""
    faulty = [
        {"model": name, "fd_classifier": 0.2, "coverage": 0.94}
        for name in ("copies", "duplicates", "half_the_classes", "other_fonts")
    ]
    rows = [row("a", fd_classifier=1.0, coverage=0.8), row("b", fd_classifier=2.0, coverage=0.3)]
    words = told(*rows, *faulty)
    assert words["lead"] == "a leads on Frechet distance (classifier) and Coverage."
    assert NOISY not in words


def test_who_is_no_better_than_noise_does_not_lead() -> None:
    rows = [row("a", fd_classifier=1.0, precision=0.9), row("b", fd_classifier=2.0, precision=0.94)]
    words = told(*rows, row("d", fd_classifier=120.0, precision=0.2))
    assert words[NOISY] == (
        "Frechet distance (classifier): d. Precision: all but b. Such a value is no evidence of quality."
    )
    assert words["Other headline metrics"].startswith("Precision: b 0.94 [")
    only = told(row("a", fd_classifier=100.0), row("b", fd_classifier=99.0))
    assert only["lead"] == "No model leads on Frechet distance (classifier): none is better than noise."
    assert "How sure" not in only
    last = told(row("a", fd_classifier=1.0), row("b", status="collapsed", fd_classifier=0.5))
    assert last["lead"] == "Only a is compared on Frechet distance (classifier): the others failed."
    many = [row(name, fd_classifier=100.0) for name in "abcdefg"]
    good = [row(name, fd_classifier=1.0) for name in "hij"]
    assert told(*many, *good)[NOISY].startswith("Frechet distance (classifier): 7 of 10 models. Such a value")


OF_SEEDS = [row("a", seeds=3, fd_classifier=1.01), row("b", seeds=3, fd_classifier=2.01)]


def by_seed(**each: str) -> list[dict[str, Any]]:
    """Three trainings of a and of b, each with its values by every reference classifier."""
    return [
        {"model": model, "seed": seed, "fd_classifier": value + 0.01 * seed, "fd_classifier_each": each.get(model)}
        for model, value in (("a", 1.0), ("b", 2.0))
        for seed in range(3)
    ]


def test_seeds_give_a_p_value_by_the_test_of_the_claims() -> None:
    words = told(*OF_SEEDS, seeds=by_seed())
    assert words["How sure"] == (
        "a 1.01 [0.909, 1.11], next b 2.01 [1.81, 2.21]; real images get 0.1; lower is better; 95 % intervals in "
        "brackets. 3 seeds; the intervals are over seeds. "
        "a against b: p < 0.001 (Welch's t, Holm over the headline metrics)."
    )
    (test,) = leader_tests(Tables([*OF_SEEDS, REAL, NOISE], by_seed(), metrics=columns()))
    assert test["p"] == test["p_holm"] and test["verdict"] == "held"
    assert p_value(0.0123) == "p = 0.012"


def test_a_small_p_is_not_all_where_the_reference_classifiers_disagree() -> None:
    seeds = by_seed(a="1 1 1", b="2 2 0.5")
    assert told(*OF_SEEDS, seeds=seeds)["How sure"].endswith("; the reference classifiers disagree on the order.")
    paired = told(*OF_SEEDS, seeds=seeds, trained={"a": "a", "b": "a"})["How sure"]
    assert "(paired t, Holm over the headline metrics)" in paired


def test_failures_claims_and_rare_classes_are_told() -> None:
    verdicts = (("held", None), ("unresolved", "one seed; and more"), ("unresolved", "one seed"))
    claims = [{"verdict": verdict, "reason": reason} for verdict, reason in verdicts]
    rows = row("a", fd_classifier=1.0, coverage_tail=0.5), row("b", fd_classifier=2.0, coverage_tail=0.2)
    words = told(
        *rows,
        row("c", status="collapsed", fd_classifier=0.5),
        claims=claims,
        bands=BANDS | {"tail_known_to": 0.1, "rare_under_three": 0},
    )
    assert words["lead"].startswith("a leads"), "a model that collapsed does not lead"
    assert words["Status not ok"] == "c: collapsed."
    assert words["The papers' claims"] == "1 held, 0 reversed, 2 unresolved; 2 of these: one seed."
    assert words["Rare classes"] == (
        "Coverage, tail: a 0.5 [0.45, 0.55]; real images get 0.9. Rare classes: 3 of 9, 30 training and 10 test images."
    )


def test_one_model_does_not_lead_on_rare_classes() -> None:
    words = told(row("a", fd_classifier=1.0, coverage_tail=0.5), bands=BANDS)["Rare classes"]
    assert words.startswith("Coverage, tail: a 0.5 [0.45, 0.55]; real images get 0.9; no other is measured.")


def test_widely_different_trainings_are_told() -> None:
    rows = [row("a", fd_classifier=1.0, images_seen=500_000), row("b", fd_classifier=2.0, images_seen=100_000)]
    assert told(*rows)["Unequal training"] == "Images seen: from 100,000 (b) to 500,000 (a)."
    rows[0]["images_seen"] = 499_999
    assert "Unequal training" not in told(*rows)


@pytest.mark.parametrize("rows", [[], [row("a", fd_classifier=1.0)]])
def test_one_model_or_none_is_compared_with_nothing(rows: list[dict[str, Any]]) -> None:
    found = verdict(Tables([*rows, REAL], metrics=columns()))
    assert found["lead"] == f"Nothing is compared: only {'a' if rows else 'no model'} was measured."
    assert found["points"] == []
    assert found["ranks"] == [(None, item["model"]) for item in rows]
