"""Tables: rows and their order, number formatting, the round trip through CSV, what stands out, the papers' numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline.metrics
import pipeline.tables
from pipeline import metrics
from pipeline.battles.matrix import MATRIX_COLUMNS
from pipeline.battles.standings import STANDINGS_COLUMNS
from pipeline.battles.verdicts import BATTLE_COLUMNS
from pipeline.metrics.intervals import combine_seeds
from pipeline.tables import (
    CAVEAT,
    COST_COLUMNS,
    FILES,
    NETWORK_COLUMNS,
    Run,
    battles_markdown,
    claims_markdown,
    cost_table,
    describe,
    from_csv,
    headline_columns,
    main_columns,
    main_table,
    network_table,
    notes_markdown,
    published,
    published_markdown,
    published_metrics,
    published_rows,
    seeds_columns,
    seeds_table,
    to_csv,
    to_latex,
    to_markdown,
    to_terminal,
)
from pipeline.tables.aliases import COLUMN_ALIASES, current_column, with_current_columns
from pipeline.tables.claims import CLAIM_COLUMNS, JUDGED_COLUMNS, read_claims
from pipeline.tables.rows import Estimate
from pipeline.tables.sentence import ONE_SEED, listed, sentence
from pipeline.tables.text import best_rows, csv_value, readable
from tests.conftest import ROOT

PUBLISHED = Path(pipeline.tables.__file__).parent / "published"
METRICS: dict[str, dict[str, Any]] = {
    "fd_classifier": {"label": "FD", "meaning": "", "better": "lower", "unit": "", "scale": "log"},
    "knn_error": {"label": "K-NN error", "meaning": "", "better": "near_real", "unit": "", "scale": "logit"},
    "elbo": {"label": "ELBO", "meaning": "", "better": "higher", "unit": "nats", "scale": "linear"},
}


def text_of(name: str) -> str:
    return (PUBLISHED / name).read_text(encoding="utf-8")


def estimate(value: float, spread: float = 0.1, kind: str = "per-image") -> dict[str, Any]:
    return {"value": value, "low": value - spread, "high": value + spread, "kind": kind}


def run(seed: int, fd: float, knn: float, elbo: float | None = None, status: str | None = "ok", **more: Any) -> Run:
    estimates = {"fd_classifier": estimate(fd, kind="delete-d jackknife"), "knn_error": estimate(knn, 0.01)}
    if elbo is not None:
        estimates["elbo"] = estimate(elbo)
    return Run(seed, estimates, n_real=1000, n_fake=1000, status=status, **more)


def mean_of_seeds(estimates: Sequence[Estimate], scale: str) -> Estimate:
    """Stands in for the metrics' own: mean, lowest and highest, and the scale that it was told."""
    values = [e.value for e in estimates]
    return Estimate(sum(values) / len(values), min(values), max(values), f"{scale} over {len(values)}")


def results() -> dict[str, list[Run]]:
    return {
        "vae": [run(0, 30.0, 0.40, -100.0, parameters=650_000), run(1, 34.0, 0.44, -102.0, parameters=650_000)],
        "gran3": [run(0, 10.0, 0.30, parameters=1_200_000), run(1, 12.0, 0.36, parameters=1_200_000)],
    }


def references() -> dict[str, list[Run]]:
    return {
        "noise": [run(0, 900.0, 0.0, status=None)],
        "mean_image": [run(0, 300.0, 0.5, status=None)],
        "real": [run(0, 1.5, 0.41, status=None)],
    }


def table() -> list[dict[str, Any]]:
    return main_table(
        results(),
        METRICS,
        combine=mean_of_seeds,
        references=references(),
        published=published_metrics(text_of(FILES["mnist"])),
    )


def test_models_come_in_their_order_and_the_references_last() -> None:
    assert [row["model"] for row in table()] == ["vae", "gran3", "real", "noise", "mean_image"]


def test_every_key_of_a_row_is_a_column() -> None:
    columns = main_columns(METRICS)
    assert columns[:4] == ("model", "seeds", "n_real", "n_fake")
    assert columns[4:7] == ("fd_classifier", "fd_classifier_low", "fd_classifier_high")
    assert columns[-7:-4] == ("interval_kind", "parameters", "status")
    assert all(set(row) <= set(columns) for row in table())


def test_seeds_are_combined_on_the_columns_scale() -> None:
    vae = table()[0]
    assert (vae["seeds"], vae["n_real"], vae["parameters"], vae["status"]) == (2, 1000, 650_000, "ok")
    assert (vae["fd_classifier"], vae["fd_classifier_low"], vae["fd_classifier_high"]) == (32.0, 30.0, 34.0)
    assert vae["interval_kind"] == "log over 2; logit over 2; linear over 2"


def test_the_metrics_own_combination_of_seeds_fits() -> None:
    row = main_table(results(), METRICS, combine=combine_seeds)[1]
    assert row["fd_classifier"] == pytest.approx(11.0)
    assert row["fd_classifier_low"] < 11.0 < row["fd_classifier_high"]
    single = main_table({"vae": [run(0, 30.0, 0.4)]}, METRICS, combine=combine_seeds)[0]
    assert (single["fd_classifier_low"], single["fd_classifier_high"]) == (29.9, 30.1)
    assert single["interval_kind"] == "delete-d jackknife; per-image"


def test_a_diverged_seed_leaves_its_metrics_to_the_others_and_marks_the_row() -> None:
    runs = [run(0, 10.0, 0.3), Run(1, {}, status="diverged")]
    row = main_table({"gan": runs}, METRICS, combine=mean_of_seeds)[0]
    assert (row["fd_classifier"], row["seeds"], row["status"]) == (10.0, 2, "diverged")
    alone = main_table({"gan": runs[1:]}, METRICS, combine=mean_of_seeds)[0]
    assert alone.get("fd_classifier") is None
    assert to_csv([alone], main_columns(METRICS)).splitlines()[1] == "gan,1" + "," * 21 + "diverged,,,,"


def test_a_bound_that_is_missing_is_empty() -> None:
    entry = {"value": 3.0, "low": None, "high": None, "kind": "per-image"}
    row = main_table({"vae": [Run(0, {"elbo": entry})]}, METRICS, combine=combine_seeds)[0]
    assert to_csv([row], ("model", "elbo", "elbo_low", "elbo_high")) == "model,elbo,elbo_low,elbo_high\nvae,3,,\n"


def test_a_model_without_a_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="draw has no run"):
        main_table({"draw": []}, METRICS, combine=mean_of_seeds)


def test_single_runs_and_costs() -> None:
    rows = seeds_table(results(), METRICS)
    assert [(row["model"], row["seed"]) for row in rows] == [("vae", 0), ("vae", 1), ("gran3", 0), ("gran3", 1)]
    assert rows[1]["fd_classifier"] == 34.0
    assert to_csv(rows, seeds_columns(METRICS)).splitlines()[3] == "gran3,0,10,0.3,"
    costs = cost_table({("vae", 0): {"train_seconds": 12.5, "device": "cpu"}})
    assert tuple(costs[0]) == COST_COLUMNS
    assert to_csv(costs, COST_COLUMNS).splitlines()[1] == "vae,0,,12.5,,,,,,,cpu"


def test_networks_are_counted_apart_and_costs_are_means_over_seeds() -> None:
    sizes = {"gan": {"generator": 30, "discriminator": 12, "total": 42}, "vae": {"generator": 7, "total": 9}}
    costs = {
        ("gan", 0): {"train_cpu_seconds": 10.0, "train_images_per_second": 5},
        ("gan", 1): {"train_cpu_seconds": 20.0, "train_images_per_second": None},
    }
    gan, vae = network_table(sizes, costs)
    assert tuple(gan) == tuple(vae) == NETWORK_COLUMNS
    assert (gan["parameters_generator"], gan["parameters_discriminator"], gan["parameters"]) == (30, 12, 42)
    assert (gan["seeds"], gan["train_cpu_seconds"], gan["train_images_per_second"]) == (2, 15.0, 5.0)
    assert gan["parameters_encoder"] is None and gan["peak_memory_mb"] is None
    assert (vae["parameters"], vae["seeds"], vae["train_cpu_seconds"]) == (9, 0, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (1234567.8, "1234570"),
        (1e-7 / 3, "3.33333e-08"),
        (-0.0, "0"),
        (2.0, "2"),
        (7, "7"),
        (123456789, "123456789"),
        (math.nan, ""),
        (None, ""),
        (np.float32(0.1), "0.1"),
        (np.int64(3), "3"),
        ("799.6821", "799.6821"),
    ],
)
def test_numbers_in_a_csv(value: Any, text: str) -> None:
    assert csv_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (1234567.0, "1,234,567"), (0.123456, "0.1235"), (-104.52, "-104.5"), (None, "")],
)
def test_numbers_for_readers(value: Any, text: str) -> None:
    assert readable(value) == text


def test_csv_round_trip() -> None:
    columns = ("model", "seed", "value", "missing", "note")
    rows = [
        {"model": "vae", "seed": 3, "value": 0.123456, "missing": None, "note": 'a, "b"; c'},
        {"model": "gran5_at7", "seed": 0, "value": -1.5e-9, "missing": None, "note": None},
    ]
    text = to_csv(rows, columns)
    assert from_csv(text) == rows
    assert to_csv(from_csv(text), columns) == text
    assert "\r" not in text


def test_the_main_table_survives_its_csv() -> None:
    columns = main_columns(METRICS)
    text = to_csv(table(), columns)
    assert ",799.6821," in text  # as printed in the paper, not rounded to our six digits
    read = from_csv(text)
    for row, back in zip(table(), read, strict=True):
        for column in main_columns(METRICS)[:-4]:
            assert back[column] == (pytest.approx(row[column]) if column in row else None)
    assert published_markdown(read) == published_markdown(table())


def test_best_is_lowest_highest_or_nearest_to_real_and_never_a_reference() -> None:
    rows = table()
    assert best_rows(rows, "fd_classifier", "lower") == {1}
    assert best_rows(rows, "elbo", "higher") == {0}
    assert best_rows(rows, "knn_error", "near_real") == {0}  # 0.42 against 0.41; 0.33 is further off
    assert best_rows(rows[:2], "knn_error", "near_real") == set()  # nothing to be near to
    assert best_rows(rows, "model", None) == set()
    diverged = [{**row, "status": "diverged"} if row["model"] == "gran3" else row for row in rows]
    assert best_rows(diverged, "fd_classifier", "lower") == {0}


@pytest.mark.parametrize("degenerate", [{"knn_error_real": 0.99}, {"knn_error_generated": 0.95}, {"recall": 0.0}])
def test_no_value_of_a_degenerate_test_is_the_best(degenerate: dict[str, float]) -> None:
    plain = {"knn_error_real": 0.5, "knn_error_generated": 0.4, "recall": 0.8, "precision": 0.8, "knn_error": 0.3}
    blur = plain | {"knn_error": 0.46, "precision": 0.95} | degenerate
    rows: list[dict[str, Any]] = [
        {"model": "blur", **blur, "coverage": 0.9}, {"model": "draw", **plain, "coverage": 0.5},
        {"model": "real", **plain, "knn_error": 0.46, "precision": 0.95, "coverage": 0.95},
    ]  # fmt: skip
    assert [best_rows(rows, name, "near_real") for name in ("knn_error", "precision", "coverage")] == [{1}, {1}, {0}]
    assert "**0.46**" not in to_markdown(rows, pipeline.metrics.columns(), ("model", "knn_error"))
    assert "0.46*" not in to_terminal(rows, pipeline.metrics.columns(), ("model", "knn_error"))


@pytest.mark.parametrize(
    ("measured", "status"),
    [
        ({"classes_covered": 7, "coverage": 0.9}, "collapsed"),
        ({"classes_covered": 8, "coverage": 0.9}, "ok"),
        ({"diversity": 0.49}, "collapsed"),
        ({"diversity": 0.51, "coverage": 0.2}, "poor"),
        ({"coverage": 0.25}, "ok"),
        ({}, "ok"),
    ],
)
def test_the_status_says_what_the_samples_show_next_to_real_ones(measured: dict[str, float], status: str) -> None:
    known = pipeline.metrics.columns()
    real = {"classes_covered": 10, "coverage": 0.95, "diversity": 1.0}
    runs = [
        Run(0, {name: estimate(value) for name, value in values.items()}, status=state)
        for values, state in ((measured, "ok"), (measured, "diverged"), (real, None))
    ]
    rows = main_table({"a": runs[:1], "b": runs[1:2]}, known, combine=mean_of_seeds, references={"real": runs[2:]})
    assert [row["status"] for row in rows] == [status, "diverged", None]


def test_a_poor_model_competes_and_a_collapsed_one_does_not() -> None:
    rows = [
        {"model": name, "status": name, "fd_classifier": value} for name, value in (("collapsed", 1.0), ("poor", 2.0))
    ]
    assert best_rows(rows, "fd_classifier", "lower") == {1}


def test_markdown() -> None:
    lines = to_markdown(table(), METRICS, ("model", "fd_classifier", "status")).splitlines()
    assert lines == [
        "| Model | FD | Status |",
        "| :--- | ---: | :--- |",
        "| vae | 32 [30, 34] | ok |",
        "| gran3 | **11** [10, 12] | ok |",
        "| real | 1.5 [1.5, 1.5] |  |",
        "| noise | 900 [900, 900] |  |",
        "| mean\\_image | 300 [300, 300] |  |",
    ]


def test_latex() -> None:
    text = to_latex(table(), METRICS, ("model", "fd_classifier"))
    assert text.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Model & FD(clf) \\",
        r"\midrule",
        r"vae & 32 {\scriptsize [30, 34]} \\",
        r"gran3 & \textbf{11} {\scriptsize [10, 12]} \\",
        r"\midrule",
        r"real & 1.5 {\scriptsize [1.5, 1.5]} \\",
        r"noise & 900 {\scriptsize [900, 900]} \\",
        r"mean\_image & 300 {\scriptsize [300, 300]} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_terminal() -> None:
    """The only model with a bound is not the best one."""
    assert to_terminal(table(), METRICS, ("model", "fd_classifier", "elbo", "n_fake")).splitlines() == [
        "model       FD(clf)   ELBO  n_fake",
        "----------------------------------",
        "vae              32   -101   1,000",
        "gran3            11*         1,000",
        "real            1.5          1,000",
        "noise           900          1,000",
        "mean_image      300          1,000",
    ]


def full_rows() -> list[dict[str, Any]]:
    """Rows with every headline metric at its widest."""
    known = metrics.columns()
    values = {name: -0.000123456 for name in known} | {
        "elbo": -104.567,
        "iwae_bound": -101.234,
        "rating": 1523.4567,
        "status": "collapsed",
    }
    return [{"model": "draw_adversarial_prior", **values}, {"model": "real", **values, "status": None}]


def test_the_terminal_table_fits_its_width_and_names_what_it_leaves_out() -> None:
    text = to_terminal(full_rows(), metrics.columns(), width=60)
    *lines, beneath = text.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("model")
    assert "collapsed" in lines[2]  # never left out
    assert beneath.startswith("not shown, too wide: ")
    assert beneath.endswith("elbo, rating")
    assert max(map(len, to_terminal(full_rows(), metrics.columns()).splitlines())) <= 120


def test_a_table_without_rows_is_only_a_head() -> None:
    assert to_csv([], ("a", "b")) == "a,b\n"
    assert to_terminal([], METRICS) == ""
    assert len(to_markdown([], METRICS).splitlines()) == 2


def test_every_column_of_every_table_is_described() -> None:
    known = describe(metrics.columns())
    tables = (
        main_columns(metrics.columns()), seeds_columns(metrics.columns()), COST_COLUMNS, BATTLE_COLUMNS,
        NETWORK_COLUMNS, MATRIX_COLUMNS, STANDINGS_COLUMNS, headline_columns(metrics.columns()),
    )  # fmt: skip
    for column in {column for columns in tables for column in columns}:
        assert known[column]["label"] and known[column]["meaning"], column
        assert known[column]["better"] in (None, "lower", "higher", "near_real")


def test_the_headline_has_the_metrics_that_there_are() -> None:
    assert headline_columns(METRICS) == ("model", "status", "fd_classifier", "elbo", "rating")
    found = headline_columns(metrics.columns())
    assert set(found) >= {"fd_classifier", "precision", "coverage", "copying", "elbo", "rating"}
    assert headline_columns(metrics.columns(), [{"fd_classifier": 1.0}]) == found
    with_cost = headline_columns(metrics.columns(), [{"fd_classifier": 1.0, "train_cpu_seconds": 2.0}])
    assert with_cost == (*found, "train_cpu_seconds") and len(with_cost) <= 9


def test_kid_takes_the_place_of_a_frechet_distance_that_no_row_has() -> None:
    names = ("fd_classifier", "kid_classifier", "precision")
    with_one = [{"model": "vae", "fd_classifier": None}, {"model": "gan", "fd_classifier": 0.0}]
    assert (
        headline_columns(names, with_one)
        == headline_columns(names)
        == ("model", "status", "fd_classifier", "precision", "rating")
    )
    assert headline_columns(names, with_one[:1])[2:] == ("kid_classifier", "precision", "rating")


# -- a table in one sentence ------------------------------------------------------------------------------------------

SAID = {name: METRICS["fd_classifier"] | {"label": label, "better": better} for name, label, better in (
    ("fd_classifier", "FD", "lower"), ("coverage", "coverage", "near_real"), ("elbo", "ELBO", "higher"),
)}  # fmt: skip


def said(seeds: int = 3, **models: dict[str, float]) -> str:
    """The sentence of a made-up table; every value has an interval of 0.1 to either side."""
    rows: list[dict[str, Any]] = [
        {"model": model, "seeds": seeds, "status": "ok"}
        | {f"{name}{end}": value + by for name, value in values.items() for end, by in BOUNDS.items()}
        for model, values in models.items()
    ]
    return sentence([*rows, {"model": "real", "status": None, "coverage": 0.9}], SAID)


BOUNDS = {"": 0.0, "_low": -0.1, "_high": 0.1}


def test_the_sentence_says_who_leads_on_what() -> None:
    text = said(a={"fd_classifier": 1.0, "coverage": 0.8, "elbo": -90.0}, b={"fd_classifier": 2.0, "coverage": 0.1})
    assert text == "a leads on FD and coverage."  # one model alone leads on nothing: no word of the ELBO


def test_the_sentence_says_who_cannot_be_told_apart() -> None:
    text = said(
        a={"fd_classifier": 1.0, "elbo": -90.0}, b={"fd_classifier": 1.15, "elbo": -95.0}, c={"fd_classifier": 2.0}
    )
    assert text == "a leads on ELBO; a and b cannot be told apart on FD."


def test_the_sentence_of_one_seed_or_of_no_comparison() -> None:
    assert said(1, a={"fd_classifier": 1.0}, b={"fd_classifier": 2.0}) == f"a leads on FD. {ONE_SEED}"
    assert said(a={"fd_classifier": 1.0}) == said() == ""


def test_empty_cells_are_explained_a_line_for_each_reason() -> None:
    text = notes_markdown({"vae": {"mmd_rbf": "why", "fd": "how"}, "draw": {"mmd_rbf": "why"}, "gan": {}})
    assert text == "- Empty, why: `mmd_rbf` of vae, draw\n- Empty, how: `fd` of vae\n"
    assert notes_markdown({"vae": {}}) == ""


def test_names_are_listed_as_in_english() -> None:
    assert [listed(list("abc"[:n])) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_published_numbers_of_the_papers() -> None:
    mnist, telugu = (published_metrics(text_of(FILES[name])) for name in ("mnist", "ocr_telugu"))
    assert list(mnist) == list(telugu) == ["vae", "info_vae", "draw", "draw_gan"]
    assert mnist["draw_gan"] == {
        "paper_mmd": "0.0963", "paper_fid": "701.546", "paper_knn": "0.6434", "paper_bayes": "0.8124",
    }  # fmt: skip
    for model, decimals in (("vae", "6821"), ("info_vae", "1730")):
        assert {table[model]["paper_fid"].split(".")[1] for table in (mnist, telugu)} == {decimals}
    battles = published_rows(text_of("gran_table2_battles.csv"))
    assert (len(battles), battles[0]["model_1"], battles[0]["winner"]) == (8, "gran1", "gran3")
    assert [row["contestant"] for row in published_rows(text_of("gran_table3_non_adversarial.csv"))] == [
        "dvae", "dvae", "draw", "draw",
    ]  # fmt: skip
    assert published_rows(text_of("gran_table4_more_steps.csv"))[2]["model_1"] == "gran5_at7"


def test_published_numbers_stand_apart_with_their_caveat() -> None:
    text = published_markdown(table())
    assert "| vae | 0.1464 | 799.6821 | 0.2176 | 0.4617 |" in text
    assert "gran3" not in text
    assert text.endswith(f"{CAVEAT}\n")
    assert published_markdown([{"model": "gran3"}]) == ""


# -- the papers' battles beside ours ----------------------------------------------------------------------------------


def battle_row(model_1: str, model_2: str, note: str | None = None) -> dict[str, Any]:
    return {"model_1": model_1, "model_2": model_2, "r_test": 0.5, "r_sample": 2.5, "winner": model_2, "note": note}


def beside(*rows: dict[str, Any], dataset: str = "mnist") -> list[dict[str, Any]]:
    return published.battles_beside(
        rows, dataset, text_of("gran_table2_battles.csv"), text_of("gran_table4_more_steps.csv")
    )


def test_001s_battles_stand_in_columns_of_their_own() -> None:
    ours, theirs = beside(battle_row("gran1", "gran3"), battle_row("dcgan", "gran3"))
    assert (ours["r_test"], ours["r_sample"]) == (0.5, 2.5), "ours stay ours"
    assert (ours["paper_r_test"], ours["paper_r_sample"], ours["paper_winner"]) == ("0.79", "1.75", "gran3")
    assert {theirs[name] for name in published.PAPER_BATTLES} == {None}


def test_a_pair_in_the_other_order_has_the_ratios_turned_over() -> None:
    (row,) = beside(battle_row("gran3", "gran1"))
    assert float(row["paper_r_test"]) == pytest.approx(1 / 0.79, rel=0.01)
    assert float(row["paper_r_sample"]) == pytest.approx(1 / 1.75, rel=0.01)
    assert row["paper_winner"] == "gran3"


def test_another_data_sets_battles_are_not_this_ones() -> None:
    (row,) = beside(battle_row("gran3", "gran5"))
    assert row["paper_r_test"] is None, "Im et al. 2016 have no such row for MNIST"
    (row,) = beside(battle_row("gran3", "gran5"), dataset="cifar10")
    assert (row["paper_r_test"], row["paper_r_sample"]) == ("1.00", "2.289")


def test_longer_samples_battles_say_what_001_prints_of_theirs() -> None:
    (row,) = beside(battle_row("gran5", "gran5_at7", "both share the judge"))
    assert row["note"] == "both share the judge; Im et al. 2016's Table 4 (CIFAR10) prints r_test 1.01, r_sample 0.94"
    assert row["paper_r_test"] is None


def test_001s_errors_of_judges_stand_beside_ours() -> None:
    rows = [{"judge": judge, "contestant": "dvae", "error": 0.5} for judge in ("gran1", "gran3", "dcgan")]
    found = published.errors_beside(rows, "mnist", text_of("gran_table3_non_adversarial.csv"))
    assert [row["paper_error"] for row in found] == ["0.058", "0.01", None]
    assert all(row["error"] == 0.5 for row in found)


def test_battles_and_claims_as_pages_name_whose_numbers_are_whose() -> None:
    judges = [{"judge": "gran1", "contestant": "dvae", "error": 0.5, "paper_error": 0.058}]
    page = battles_markdown(beside(battle_row("gran1", "gran3")), judges)
    assert "r\\_sample (paper)" in page
    assert "Error rate (paper)" in page
    assert published.BATTLE_CAVEAT in page
    plain = battles_markdown([battle_row("dcgan", "gran3")], [judges[0] | {"paper_error": None}])
    assert "(paper)" not in plain
    assert battles_markdown([], []) == claims_markdown([]) == ""
    row = dict.fromkeys(CLAIM_COLUMNS) | {"claim": "a before b", "measure": "mmd_rbf", "seeds": 3, "verdict": "held"}
    page = claims_markdown([row | {"difference": 0.5, "low": 0.25, "high": 0.75, "p_holm": 0.01}])
    assert "| 0.5 [0.25, 0.75] | 0.01 | held |" in page
    assert "1 held, 0 reversed, 0 unresolved" in page


# --- old names of columns ---------------------------------------------------------------------------------------

OLD_TABLE = ROOT / "tests" / "tables" / "mnist_fed246a.csv"
"""The table of docs/results/mnist at commit fed246a, which has the old names."""


def test_an_old_table_is_read_with_the_new_columns_and_the_same_values() -> None:
    old = OLD_TABLE.read_bytes().decode()
    new = with_current_columns(old)
    (old_header, old_body), (new_header, new_body) = old.split("\n", 1), new.split("\n", 1)
    assert new_body == old_body
    then = new_header.split(",")  # columns that were added since are in no old table
    assert then == [column for column in main_columns(metrics.columns()) if column in then]
    changed = {(a, b) for a, b in zip(old_header.split(","), new_header.split(","), strict=True) if a != b}
    assert len(changed) == 3 * 10 and {current_column(a) for a, _ in changed} == {b for _, b in changed}
    rows = from_csv(old)
    assert rows == from_csv(new) and rows[0]["fd_classifier"] == 13.1116 and rows[0]["paper_fid"] == 799.6821


def test_a_table_with_the_new_columns_is_left_alone() -> None:
    new = to_csv(table(), main_columns(METRICS))
    assert with_current_columns(new) is new
    assert with_current_columns("") == ""


def test_aliases_lead_to_columns_that_exist_and_from_none_that_do() -> None:
    known = {*metrics.columns(), *JUDGED_COLUMNS}
    assert set(COLUMN_ALIASES.values()) <= known and not set(COLUMN_ALIASES) & known
    assert current_column("elbo_iw_low") == "iwae_bound_low" and current_column("paper_fid") == "paper_fid"


def test_the_claims_name_columns_that_exist() -> None:
    measures = {row["measure"] for row in read_claims(text_of("claims.csv"))}
    assert {"fd_classifier", "naive_bayes_error"} <= measures and not measures & set(COLUMN_ALIASES)


def test_a_degenerate_precision_of_the_mean_image_is_no_floor() -> None:
    rows = [
        {"model": "draw", "status": "ok", "precision": 0.8, "recall": 0.8},
        {"model": "real", "precision": 0.95, "recall": 0.95},
        {"model": "mean_image", "precision": 1.0, "recall": 0.0},
    ]
    assert best_rows(rows, "precision", "near_real") == {0}
    rows[2]["recall"] = 0.1
    assert best_rows(rows, "precision", "near_real") == set()
