"""The papers' claims: closed forms of the tests, their size by simulation, and every measure's direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy

import pipeline.tables
from pipeline import metrics
from pipeline.battles.matrix import judged_by_seed
from pipeline.battles.scores import JudgeScores
from pipeline.cli import main
from pipeline.commands.claims import of_table
from pipeline.tables.aliases import current_column
from pipeline.tables.claims import (
    CLAIM_COLUMNS,
    COST_MEASURES,
    HELD,
    JUDGED_COLUMNS,
    REVERSED,
    UNRESOLVED,
    Evidence,
    claim_rows,
    claims_columns,
    holm,
    paired_t,
    read_claims,
    tally,
    welch_t,
)
from pipeline.tables.lengths import SHARES
from pipeline.tables.text import from_csv, to_csv
from pipeline.workflow import params
from tests.conftest import told

CLAIMS = read_claims((Path(pipeline.tables.__file__).parent / "published" / "claims.csv").read_text())
METRICS = metrics.columns()


def claim(better: str, worse: str, measure: str, family: str = "f") -> dict[str, str]:
    row = dict.fromkeys(("claim", "section", "family", "definition", "open"), "x")
    return row | {"paper": family, "better": better, "worse": worse, "measure": measure}


def seeds(measure: str, **values: Sequence[float | None]) -> list[dict[str, Any]]:
    return [{"model": m, "seed": s, measure: v} for m, column in values.items() for s, v in enumerate(column)]


def verdict(better: str, worse: str, measure: str, evidence: Evidence) -> dict[str, Any]:
    (row,) = claim_rows([claim(better, worse, measure)], evidence)
    assert tuple(row) == CLAIM_COLUMNS
    return row


def judged(
    judge: str, contestant: str, rates: Sequence[float], is_eligible: int = 1, n: int = 1000
) -> list[dict[str, Any]]:
    return [
        {"judge": judge, "judge_seed": seed, "is_eligible": is_eligible, "contestant": contestant,
         "contestant_seed": None if contestant.startswith("real") else seed, "errors": round(rate * n), "total": n}
        for seed, rate in enumerate(rates)
    ]  # fmt: skip


# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [None, [1.0, 1.5, 1.1]], ids=["paired", "Welch"])
def test_a_t_test_is_scipys(second: list[float] | None) -> None:
    first = [0.3, -0.1, 0.8, 0.4]
    if second is None:
        (low, high, p), wanted = paired_t(first), scipy.stats.ttest_1samp(first, 0.0)
    else:
        (low, high, p), wanted = welch_t(first, second), scipy.stats.ttest_ind(first, second, equal_var=False)
    assert (low, high, p) == pytest.approx((*wanted.confidence_interval(0.95), wanted.pvalue))


def test_differences_that_are_all_the_same_have_no_test() -> None:
    assert paired_t([0.0, 0.0, 0.0]) == welch_t([0.2, 0.2], [0.2, 0.2]) == (0.0, 0.0, 1.0)
    assert paired_t([0.2, 0.2]) == welch_t([0.2, 0.2], [0.3, 0.3]) == (None, None, None)


def test_equal_numbers_of_seeds_pair_two_trainings_no_more_than_any_other_order() -> None:
    tables = [seeds("fd_classifier", a=[1.0, 1.5, 2.0], b=b) for b in ([2.0, 3.1, 4.0], [4.0, 2.0, 3.1])]
    one, other = (verdict("a", "b", "fd_classifier", Evidence(table, METRICS)) for table in tables)
    assert one["p"] == pytest.approx(other["p"])
    shared = [Evidence(table, METRICS, judged_by={"b": "a"}) for table in tables]
    assert verdict("a", "b", "fd_classifier", shared[0])["p"] < verdict("a", "b", "fd_classifier", shared[1])["p"]


@pytest.mark.parametrize(
    ("given", "corrected"),
    [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.6, 0.9], [1.0, 1.0]), ([0.02], [0.02]), ([], [])],
)
def test_holm_is_the_step_down_of_its_paper(given: list[float], corrected: list[float]) -> None:
    assert holm(given) == pytest.approx(corrected)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_with_no_true_difference_a_family_is_decided_in_at_most_a_twentieth_of_the_draws(count: int) -> None:
    """Three claims of a chain of four models, which share their models' seeds."""
    rng = np.random.default_rng(count)
    chain = [claim(a, b, "fd_classifier") for a, b in (("a", "b"), ("b", "c"), ("c", "d"))]
    wrong, draws = 0, 400
    for _ in range(draws):
        drawn = np.exp(1 + 0.1 * rng.standard_normal((4, count)))
        rows = claim_rows(chain, Evidence(seeds("fd_classifier", **dict(zip("abcd", drawn, strict=True))), METRICS))
        wrong += any(row["verdict"] != UNRESOLVED for row in rows)
    assert wrong / draws < 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize(("shift", "wanted"), [(0.5, HELD), (-0.5, REVERSED)])
@pytest.mark.parametrize("shared", [{}, {"b": "a"}], ids=["two trainings", "samples of one training"])
def test_a_clear_difference_is_found_in_its_direction(shift: float, wanted: str, shared: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        common = rng.standard_normal(5) if shared else 0.0
        a, b = (np.exp(common + 0.05 * rng.standard_normal(5) + move) for move in (0.0, shift))
        evidence = Evidence(seeds("fd_classifier", a=a, b=b), METRICS, judged_by=shared)
        found.append(verdict("a", "b", "fd_classifier", evidence))
    assert np.mean([row["verdict"] == wanted for row in found]) > 0.99
    # The interval holds the truth in 95 % of the draws.
    assert 0.9 < np.mean([row["low"] <= shift <= row["high"] for row in found]) < 0.99


# -- every measure's direction ------------------------------------------------------------------------------------


MODELS = seeds("x", **dict.fromkeys(("a", "b", "g", "long", "vae", "draw"), [1.0] * 3))
LARGER, SMALLER = [0.60, 0.65, 0.62], [0.45, 0.44, 0.46]
CLOSER, FARTHER = seeds("knn_error", a=SMALLER, b=LARGER), seeds("knn_error", a=LARGER, b=SMALLER)
REAL = {"model": "real", "knn_error": 0.46}

OF_B = judged("a", "b", [0.1, 0.11, 0.1]) + judged("b", "a", [0.2, 0.21, 0.2]) + judged("b", "real_test", [0.1] * 3)
FAIR, UNFAIR = (OF_B + judged("a", "real_test", [rate] * 3) for rate in (0.1, 0.2))
OF_G = judged("g", "g", [0.1, 0.12, 0.1]) + judged("g", "long", [0.2, 0.23, 0.2]) + judged("g", "real_test", [0.1] * 3)
CAUGHT = judged("g", "vae", [0.05, 0.06, 0.05]) + judged("g", "draw", [0.3, 0.33, 0.31])

THIRD = {"model_1": "b", "model_2": "a", "advantage": -1.0, "advantage_low": -1.5, "advantage_high": -0.5,
         "advantage_p": 0.001, "note": None}  # fmt: skip
OPEN = THIRD | dict.fromkeys(("advantage_low", "advantage_high", "advantage_p")) | {"note": "one seed; more"}


def near(value: float) -> Any:
    return pytest.approx(value, abs=0.05)


@pytest.mark.parametrize(
    ("measure", "better", "worse", "given", "expected", "reason"),
    [
        # a distance is compared by its logarithm where it is positive
        ("fd_classifier", "a", "b", {"seeds": seeds("fd_classifier", a=[1.0, 2.0], b=[2.0, 5.0])},
         {"difference": pytest.approx((math.log(2) + math.log(2.5)) / 2), "seeds": 2}, ""),
        ("mmd_rbf", "a", "b", {"seeds": seeds("mmd_rbf", a=[-1e-4, 2e-4], b=[0.2, 0.3])},
         {"difference": pytest.approx(0.25 - 0.5e-4)}, "not positive" if METRICS["mmd_rbf"]["scale"] == "log" else ""),
        # a two-sample error by its distance to the row `real`
        ("knn_error", "a", "b", {"seeds": CLOSER, "real": REAL}, {"verdict": HELD}, "None"),
        ("knn_error", "a", "b", {"seeds": FARTHER, "real": REAL}, {"verdict": REVERSED}, "None"),
        ("knn_error", "a", "b", {"seeds": CLOSER}, {"verdict": UNRESOLVED, "difference": None}, "real"),
        # one seed is unresolved, and a missing value drops its seed
        ("fd_classifier", "a", "b", {"seeds": seeds("fd_classifier", a=[1.0], b=[2.0])},
         {"verdict": UNRESOLVED, "p": None, "difference": pytest.approx(math.log(2)), "reason": "one seed"}, ""),
        ("fd_classifier", "a", "b", {"seeds": seeds("fd_classifier", a=[1.0, None, 1.1], b=[2.0, 2.0, 2.1])},
         {"seeds": 2}, ""),
        # a battle is won by the model whose judge is fooled less, and by none where judges differ on held-out images
        ("r_sample", "a", "b", {"judged": FAIR}, {"verdict": HELD, "difference": near(math.log(2))}, "None"),
        ("r_sample", "b", "a", {"judged": FAIR}, {"verdict": REVERSED, "difference": near(-math.log(2))}, "None"),
        ("r_sample", "a", "b", {"judged": UNFAIR}, {"verdict": UNRESOLVED, "p_holm": near(0)}, "r_test 2"),
        # samples of one training fight before their one judge
        ("r_sample", "long", "g", {"judged": OF_G, "judged_by": {"long": "g"}}, {"verdict": HELD}, "None"),
        # catching is less than half, fooling is more than another; a judge at chance supports no claim
        ("caught", "g", "vae", {"judged": CAUGHT},
         {"verdict": HELD, "difference": near(math.log(0.947 / 0.053))}, "None"),
        ("fools_g", "draw", "vae", {"judged": CAUGHT}, {"verdict": HELD}, "None"),
        ("fools_g", "vae", "draw", {"judged": CAUGHT}, {"verdict": REVERSED}, "None"),
        ("caught", "g", "vae", {"judged": judged("g", "vae", [0.01] * 3, is_eligible=0)},
         {"verdict": UNRESOLVED, "seeds": 0}, ""),
        # the verdict of third parties is turned the claim's way
        ("third_party", "a", "b", {"battles": [THIRD]},
         {"verdict": HELD, "difference": 1.0, "low": 0.5, "high": 1.5, "seeds": 3}, ""),
        ("third_party", "b", "a", {"battles": [OPEN]},
         {"verdict": UNRESOLVED, "difference": -1.0, "reason": "one seed"}, ""),
        ("third_party", "a", "b", {}, {"seeds": 0}, ""),
    ],
)  # fmt: skip
def test_every_measure_has_its_scale_and_direction(
    measure: str, better: str, worse: str, given: dict[str, Any], expected: dict[str, Any], reason: str
) -> None:
    row = verdict(better, worse, measure, Evidence(**{"seeds": MODELS, "metrics": METRICS, **given}))
    assert {key: row[key] for key in expected} == expected
    assert reason in str(row["reason"])


def test_a_papers_own_direction_and_data_set_go_before_the_columns() -> None:
    evidence = Evidence(seeds("knn_error_max", a=LARGER, b=SMALLER), METRICS, dataset="telugu_print")
    as_written = claim("a", "b", "knn_error_max") | {"direction": "higher", "dataset": "telugu"}
    (row,) = claim_rows([as_written], evidence)
    assert row["verdict"] == HELD, "Renkila et al.: the greater rate is the better one"
    assert claim_rows([as_written], replace(evidence, dataset="mnist")) == []


def test_correction_is_within_a_paper_and_a_definition() -> None:
    table = seeds("fd_classifier", a=[1.0, 1.1, 1.2], b=[2.0, 2.1, 2.6], c=[3.0, 4.0, 3.5])
    chain = [claim("a", "b", "fd_classifier"), claim("b", "c", "fd_classifier")]
    alone = claim("a", "b", "fd_classifier", family="other")
    first, second, third = claim_rows([*chain, alone], Evidence(table, METRICS))
    assert first["p"] == third["p"] == third["p_holm"]
    assert [first["p_holm"], second["p_holm"]] == pytest.approx(holm([first["p"], second["p"]]))
    ours = claim("b", "c", "fd_classifier") | {"definition": "ours"}
    assert [row["p_holm"] == row["p"] for row in claim_rows([chain[0], ours], Evidence(table, METRICS))] == [True, True]


# -- the claims themselves, and the tables that they are made from ---------------------------------------------------


def test_every_claim_speaks_of_models_and_measures_that_there_are() -> None:
    known = set(params.load().resolved_models)
    keys = ("paper", "claim", "measure", "better", "worse")
    assert len({tuple(row[key] for key in keys) for row in CLAIMS}) == len(CLAIMS)
    for row in CLAIMS:
        assert {row[side].partition("@")[0] for side in ("better", "worse")} <= known
        assert {row[side].partition("@")[2] for side in ("better", "worse")} <= {"", *SHARES}
        measure = row["measure"]
        judge = measure.removeprefix("fools_")
        others = ("r_sample", "caught", "third_party", *COST_MEASURES)
        assert measure in METRICS or measure in others or judge in known
        assert row["definition"] in ("paper", "ours")
        assert row["direction"] in ("column", "lower", "higher")
        assert all(row.values())
    assert set(claims_columns()) == set(CLAIM_COLUMNS)


def test_dearer_is_more_seconds_in_all_or_for_each_image_on_one_device() -> None:
    """GAN takes twice the seconds for four times the images of VAE: dearer in all, cheaper for each."""
    spread, models = [1.0, 1.05, 0.95], seeds("fd_classifier", gan=[1.0] * 3, vae=[1.0] * 3)

    def verdicts(device: str) -> dict[str, dict[str, Any]]:
        costs = [
            {"model": model, "seed": seed, "train_cpu_seconds": seconds * x, "images_seen": images, "device": where}
            for model, seconds, images, where in (("gan", 200, 4000, device), ("vae", 100, 1000, "cpu"))
            for seed, x in enumerate(spread)
        ]
        rows = claim_rows([c for c in CLAIMS if c["family"] == "cost"], Evidence(models, METRICS, costs=costs))
        return {row["measure"]: row for row in rows}

    found = verdicts("cpu")
    assert found["train_cpu_seconds"]["difference"] == pytest.approx(math.log(2))
    assert found["cpu_seconds_per_image"]["difference"] == pytest.approx(math.log(0.5))
    assert [row["verdict"] for row in found.values()] == [HELD, REVERSED]
    assert {row["reason"] for row in verdicts("a GPU").values()} == {
        "trained on different devices, whose seconds do not compare"
    }


def test_claims_of_models_that_are_not_in_the_table_are_left_out() -> None:
    rows = claim_rows(CLAIMS, Evidence(seeds("mmd_rbf", draw=[0.1, 0.2], vae=[0.3, 0.4]), METRICS))
    assert {(row["better"], row["worse"]) for row in rows} == {("draw", "vae")}
    assert tally(rows).endswith(f"{len(rows) - 1} unresolved") or tally(rows).endswith(f"{len(rows)} unresolved")


def test_the_judges_by_seed_are_every_pair_but_a_judges_other_seeds() -> None:
    rng = np.random.default_rng(0)
    logits = {("g", 0): -1.0, ("g", 1): -1.0, ("v", 0): 1.0, ("v", 1): -2.0}
    samples = {key: mean + 0.1 * rng.standard_normal(50) for key, mean in logits.items()}
    real = 1 + 0.1 * rng.standard_normal(60)
    rows = judged_by_seed([JudgeScores("g", seed, real, real, real, samples) for seed in (0, 1)], ["v", "g"])
    assert all(set(row) <= set(JUDGED_COLUMNS) for row in rows)
    found = {(r["judge_seed"], r["contestant"], r.get("contestant_seed")): (r["errors"], r["total"]) for r in rows}
    assert found[0, "v", 0] == (50, 50)
    assert found[0, "v", 1] == (0, 50)
    assert found[1, "real_test", None] == found[1, "real_train", None] == (0, 60)
    assert (1, "g", 0) not in found
    assert len(found) == len(rows) == 2 * (2 + 2 + 1)


def test_a_person_can_ask_with_the_tables_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def verdicts() -> dict[tuple[Any, Any], Any]:
        main(["claims", str(path), "--to", str(tmp_path / "claims.csv")])
        rows = from_csv((tmp_path / "claims.csv").read_text())
        return {(row["claim"], row["measure"]): row["verdict"] for row in rows}

    table = seeds("fd_classifier", draw=[4.0, 4.1, 3.9], vae=[13.0, 13.2, 12.9], gran1=[5.0] * 3, gran3=[2.0] * 3)
    path = tmp_path / "mnist_seeds.csv"
    path.write_text(to_csv(table, ("model", "seed", "fd_classifier")))
    found = verdicts()
    said = capsys.readouterr().out
    assert "DRAW before VAE" in said and "no table of the judges" in said
    assert found["DRAW before VAE", "fd_classifier"] == HELD
    assert found["GRAN3 before GRAN1", "r_sample"] == UNRESOLVED
    battle = judged("gran1", "gran3", [0.4, 0.42, 0.41]) + judged("gran3", "gran1", [0.1, 0.12, 0.11])
    battle += judged("gran1", "real_test", [0.1] * 3) + judged("gran3", "real_test", [0.1] * 3)
    (tmp_path / "mnist_judges_seeds.csv").write_text(to_csv(battle, JUDGED_COLUMNS))
    assert verdicts()["GRAN3 before GRAN1", "r_sample"] == HELD


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("mnist.csv", "model,seeds\nvae,5\n", "mnist_seeds.csv"),
        ("mnist_seeds.csv", "", "columns model"),
        ("mnist_seeds.csv", "a,b\n1,2\n", "columns model"),
        ("mnist_seeds.csv", "model,seed,fd_classifier\nvae,0,1\ndraw,0,much\n", "csv: a damaged table (could"),
        ("mnist_seeds.csv", "model,seed,fd_classifier\nvae,0\ndraw,0,2,3,4\n", "csv: a damaged table (int()"),
        ("mnist_seeds.csv", f"model,seed,{'x' * 200_000}\n", "csv: a damaged table (field larger"),
    ],
)
def test_another_file_is_refused_in_one_line(
    name: str, text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    line = told(capsys, "claims", str(tmp_path / name))
    assert said in line and name in line


def test_a_main_table_or_a_folder_is_enough(tmp_path: Path) -> None:
    loaded = params.load(["budget=tiny"])
    rows = [{"model": name, "seeds": 1, "status": "ok", "fd_classifier": fd} for name, fd in (("draw", 4), ("vae", 13))]
    names = ("model", "seeds", "status", "fd_classifier")
    (tmp_path / "own.csv").write_text(to_csv([*rows, {"model": "real", "fd_classifier": 1.0}], names))
    (row,) = [row for row in of_table(tmp_path / "own.csv", loaded) if row["measure"] == "fd_classifier"]
    assert (row["better"], row["worse"], row["seeds"], row["verdict"]) == ("draw", "vae", 1, UNRESOLVED)
    table = seeds("fid_classifier", draw=[4.0, 4.1, 3.9], vae=[13.0, 13.2, 12.9])
    (tmp_path / "own_seeds.csv").write_text(to_csv(table, ("model", "seed", "fid_classifier")))
    for path in (tmp_path, tmp_path / "own.csv", tmp_path / "own_seeds.csv"):
        (row,) = [row for row in of_table(path, loaded) if row["measure"] == "fd_classifier"]
        assert row["verdict"] == HELD, "an old column's name is read as today's"


PUBLISHED = sorted((Path(pipeline.__file__).parents[1] / "results/published").rglob("*_claims.csv"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: str(path.parent.name))
def test_published_claims_follow_from_the_published_tables(path: Path) -> None:
    """To the digits of the tables. Those without `definition` are of a version that paired the seeds."""
    found = of_table(path.parent, params.load())
    for row in from_csv(path.read_text()):
        measure = current_column(str(row["measure"]))
        same = [now for now in found if (now["claim"], now["measure"]) == (row["claim"], measure)]
        cells = ("difference", "low", "high", "p") if "definition" in row else ("difference",)
        agreeing = [now for now in same if all(agree(now[cell], row[cell]) for cell in cells)]
        assert row["verdict"] in {now["verdict"] for now in agreeing}, (row, same)


def agree(now: Any, before: Any) -> bool:
    """Whether two cells are equal but for the digits that a table was cut to."""
    if now is None or before is None:
        return now == before
    return math.isclose(now, before, rel_tol=0.01, abs_tol=2e-5)
