"""The sanity checks of the metrics: shapes and bounds as the paper defines them, and copies that are seen."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bench import sanity_checks
from bench.sanity import LADDER, LADDER_COLUMNS, accuses, is_monotone, ladder, main, scores, sweep, verdicts
from bench.sanity_checks import CHECKS, KINDS, OVERALL, Check, bell, falls, flat, rises, settles
from bench.sanity_page import meanings
from pipeline import metrics
from pipeline.tables import from_csv

XS = (0.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("shape", "right", "wrong"),
    [
        (partial(bell, middle=1.0), (0.1, 1.0, 0.0), (0.1, 1.0, 0.9)),
        (falls, (1.0, 0.6, 0.3), (1.0, 0.0, 0.9)),
        (partial(falls, by=1.0), (1.0, 0.8, 0.3), (1.0, 0.95, 0.3)),
        (rises, (0.3, 0.6, 1.0), (1.0, 0.6, 0.3)),
        (flat, (0.5, 0.52, 0.54), (0.5, 0.52, 0.6)),
        (settles, (0.0, 0.52, 0.54), (0.0, 0.5, 0.6)),
    ],
)
def test_a_shape_is_told_from_another(shape: sanity_checks.Shape, right: tuple, wrong: tuple) -> None:
    assert shape(XS, right)
    assert not shape(XS, wrong)


def test_the_papers_fifteen_checks_are_there_and_columns_are_those_of_the_tables() -> None:
    assert (
        len({check.title.split(",")[0] if check.title.startswith("Whole") else check.title for check in CHECKS}) == 15
    )
    assert set(KINDS) <= set(metrics.columns())


def test_scores_are_one_where_samples_are_as_good_as_real_images() -> None:
    rows = [{"value": value} for value in (0.0, 0.25, 0.5)]
    assert scores("knn_error", rows) == [0.0, 0.5, 1.0]
    assert scores("fld", rows) == [1.0, 0.5, 0.0]
    assert scores("fd_classifier", rows) == pytest.approx([1.0, 1 - 0.5**0.5, 0.0])
    assert scores("recall", rows) == [0.0, 0.25, 0.5]


def test_copying_is_alleged_on_one_side_of_real_images_alone() -> None:
    assert accuses("copying", {"value": 0.7, "real": 0.5})
    assert not accuses("copying", {"value": 0.1, "real": 0.5})
    assert accuses("authenticity", {"value": 0.3, "real": 0.6})
    assert not accuses("authenticity", {"value": 0.9, "real": 0.6})


def test_a_far_mean_is_seen_by_distances_and_not_by_the_spread_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanity_checks, "N", 150)
    shape = {"both together": (partial(bell, middle=0.0),), "diversity": (partial(bell, middle=0.0),)}
    draws = {"2": partial(sanity_checks.shifted, d=2, reach=6.0)}
    check = Check("far", (-1.0, 0.0, 1.0), draws, shape, {OVERALL: ([(0.0, 1.0), (1.0, 0.0)],)}, "")
    passed = {(row["column"], row["desideratum"]): row["passed"] for row in verdicts(check, sweep(check, repeats=1))}
    assert passed["mmd_rbf", "purpose"]
    assert passed["naive_bayes_error", "purpose"]
    assert passed["coverage", "purpose"]
    assert not passed["diversity", "purpose"]
    assert passed["copying", "no false alarm"]


def test_the_page_says_what_failures_and_false_alarms_mean() -> None:
    failed = [("kid_classifier", "purpose"), ("recall", "bounds"), ("copying", "no false alarm")]
    rows = [{"check": "Ball and ring", "column": column, "desideratum": d, "passed": False} for column, d in failed]
    words = meanings(rows)
    assert "count as real. `kid_classifier`, (`recall`).\n" in words
    assert "  - Ball and ring: `copying`.\n" in words


def test_every_step_of_the_copy_ladder_is_seen() -> None:
    steps = ladder(repeats=1, n=300, d=8)
    assert [row["share"] for row in steps] == list(LADDER)
    assert all(is_monotone(column, steps) for column in LADDER_COLUMNS)
    assert not is_monotone("copying", steps[::-1])


def test_toy_distributions_are_what_they_are_named_for() -> None:
    rng = np.random.default_rng(0)
    real, fake, _ = sanity_checks.cubes(4000, rng, d=8, real_too=True)
    start = 1 - 0.2 ** (1 / 8)
    assert np.mean(np.all(real > start, axis=1)) == pytest.approx(0.2, abs=0.03)
    assert fake.min() > start
    ring, ball, _ = sanity_checks.ring(1000, rng, real_ball=False)
    assert np.linalg.norm(ball, axis=1).max() <= 0.8 < 0.9 <= np.linalg.norm(ring, axis=1).min() + 1e-9
    real, fake, _ = sanity_checks.merged(4.0, rng, d=1)
    assert (real.std(), fake.std()) == pytest.approx((5**0.5, 17**0.5), rel=0.1)


def test_the_command_writes_values_and_a_page_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanity_checks, "N", 60)
    monkeypatch.setattr("bench.sanity.ladder", partial(ladder, n=60, d=4))
    asked = ["--to", str(tmp_path / "s.csv"), "--page", str(tmp_path / "s.md"), "--repeats", "1"]
    main([*asked, "--only", "Scale of one dimension"])
    rows = from_csv((tmp_path / "s.csv").read_text())
    assert {row["column"] for row in rows} == set(KINDS)
    page = (tmp_path / "s.md").read_text()
    assert "| Scale of one dimension: invariance | " in page
    assert "| 100% | " in page
    assert "a feature of a large scale hides the others" in page
    assert "One run of the command at commit " in page and ", with numpy " in page
