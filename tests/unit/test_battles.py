"""Battles: closed forms, symmetry, zero counts, coverage of the intervals, judges at chance, standings."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy

import pipeline.tables
from pipeline.battles.matrix import REAL_TEST, REAL_TRAIN, judge_matrix
from pipeline.battles.ratios import Cells, Ratio, paired_ratio, ratio_of_cells, smoothed_rates, welch_freedom
from pipeline.battles.scores import JudgeScores, beats_chance, errors_on_generated, errors_on_real, matched_threshold
from pipeline.battles.standings import BEYOND_TRAINING, HALVES, OUTPASSED, davidson, standings
from pipeline.battles.verdicts import BATTLE_COLUMNS, TIE, battle, battle_rows, winner, winner_tested

PUBLISHED = Path(pipeline.tables.__file__).parent / "published"
N = 400


def published(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((PUBLISHED / name).read_text(encoding="utf-8"))))


def real_logits(errors: int, n: int = N) -> np.ndarray:
    """n logits of which the first `errors` call a real image generated."""
    return np.where(np.arange(n) < errors, -1.0, 1.0)


def fake_logits(errors: int, n: int = N) -> np.ndarray:
    """n logits of which the first `errors` call a generated image real."""
    return np.where(np.arange(n) < errors, 1.0, -1.0)


def judge(model: str, errors: Mapping[Any, int], seed: int = 0, *, test: int = 40) -> JudgeScores:
    """A judge with so many errors on test images and on those of each contestant, a name or (name, seed)."""
    graded = np.linspace(-1, 3, N)  # its own scale of validation images
    samples = {key if isinstance(key, tuple) else (key, 0): fake_logits(count) for key, count in errors.items()}
    return JudgeScores(model, seed, real_logits(test), real_logits(30), graded, samples)


def duel(one_on_two: int, two_on_one: int, *, test_1: int = 40, test_2: int = 40) -> list[JudgeScores]:
    return [judge("a", {"a": 50, "b": one_on_two}, test=test_1), judge("b", {"b": 50, "a": two_on_one}, test=test_2)]


def gaussian_judge(rng: np.random.Generator, model: str, means: Mapping[tuple[str, int], float], seed: int = 0, n=300):
    """Logits N(1, 1) on real images, N(mean, 1) on each contestant's."""
    real = [rng.normal(1.0, 1.0, n) for _ in range(3)]
    return JudgeScores(model, seed, *real, {key: rng.normal(mean, 1.0, n) for key, mean in means.items()})


def test_a_judge_of_twice_as_many_generated_images_is_evened_by_log_2_for_eq_11_alone() -> None:
    rng = np.random.default_rng(1)
    judges = [gaussian_judge(rng, name, {(name, 0): -1.0, (other, 0): -0.5}) for name, other in ("ab", "ba")]
    (plain,), (row,) = battle_rows(["a", "b"], judges), battle_rows(["a", "b"], judges, doubled=["a"])
    assert plain["r_sample_even"] is plain["winner_even"] is None
    assert row | {"r_sample_even": None, "winner_even": None} == plain
    more = np.count_nonzero(judges[0].samples["b", 0] >= -np.log(2))
    fewer = np.count_nonzero(judges[1].samples["a", 0] >= 0)
    assert row["r_sample_even"] == pytest.approx(more / fewer)
    assert row["winner_even"] in ("a", "b", TIE)


def test_a_logit_of_zero_calls_an_image_real() -> None:
    logits = np.array([-1.0, 0.0, 2.0])
    assert errors_on_real(logits) == 1
    assert errors_on_generated(logits) == 2


def test_matched_threshold_calls_a_tenth_of_the_validation_images_generated() -> None:
    valid = np.random.default_rng(0).permutation(np.arange(1000.0))
    assert errors_on_real(valid, matched_threshold(valid)) == 100
    assert errors_on_real(np.ones(50), matched_threshold(np.ones(50))) == 0  # ties never go above the share


def test_ratios_are_those_of_equation_10() -> None:
    row = battle("a", "b", duel(20, 80, test_1=40, test_2=42))
    assert tuple(row) == BATTLE_COLUMNS
    assert row["r_test"] == pytest.approx(40 / 42)
    assert row["r_sample"] == pytest.approx(20 / 80)
    assert (row["errors_1_on_2"], row["total_1_on_2"], row["errors_2_on_1"], row["total_2_on_1"]) == (20, N, 80, N)
    assert (row["errors_1_test"], row["total_1_test"], row["errors_2_test"], row["total_2_test"]) == (40, N, 42, N)
    assert row["gap_1"] == pytest.approx((40 - 30) / N)
    assert row["winner"] == row["winner_tested"] == "a"


def test_counts_are_pooled_over_all_pairs_of_seeds() -> None:
    judges = [judge("a", {("a", s): 50, ("b", 0): 10 + s, ("b", 1): 11 + s}, s) for s in range(3)]
    judges += [judge("b", {("b", s): 50} | {("a", other): 90 for other in range(3)}, s) for s in range(2)]
    row = battle("a", "b", judges)
    assert (row["errors_1_on_2"], row["total_1_on_2"]) == (sum(10 + s + o for s in range(3) for o in range(2)), 6 * N)
    assert row["errors_2_on_1"] == 6 * 90
    assert row["r_sample"] == pytest.approx(69 / 540)


def test_swapping_the_sides_turns_every_ratio_over() -> None:
    rng = np.random.default_rng(3)
    keys = [(model, seed) for model in "ab" for seed in (0, 1, 2)]
    judges = [
        gaussian_judge(rng, model, {key: -0.6 if key[0] == "a" else -1.2 + 0.1 * key[1] for key in keys}, seed)
        for model, seed in keys
    ]
    for ratio in ("error", "accuracy"):
        one, two = battle("a", "b", judges, ratio=ratio), battle("b", "a", judges, ratio=ratio)
        for name in ("r_test", "r_sample", "r_sample_matched"):
            assert one[name] == pytest.approx(1 / two[name])
            assert one[f"{name}_low"] == pytest.approx(1 / two[f"{name}_high"])
            assert one[f"{name}_high"] == pytest.approx(1 / two[f"{name}_low"])
        assert (one["winner"], one["winner_tested"]) == (two["winner"], two["winner_tested"])
        assert one["errors_1_on_2"] == two["errors_2_on_1"]


def test_both_options_name_the_same_winner_but_only_errors_have_a_gate() -> None:
    fair, unfair = duel(20, 80), duel(20, 80, test_1=10)
    assert battle("a", "b", fair)["winner"] == battle("a", "b", fair, ratio="accuracy")["winner"] == "a"
    row = battle("a", "b", fair, ratio="accuracy")
    assert row["r_sample"] == pytest.approx((N - 20) / (N - 80))
    assert "authors' code" in row["note"]
    assert battle("a", "b", unfair)["winner"] == TIE
    assert battle("a", "b", unfair, ratio="accuracy")["winner"] == "a"


def named(rows: Sequence[Mapping[str, str]], tolerance: float = 0.3) -> list[str]:
    return [
        winner(row["model_1"], row["model_2"], float(row["r_test"]), float(row["r_sample"]), tolerance) for row in rows
    ]


def test_a_tolerance_of_0_3_reproduces_every_winner_of_table_2_and_0_25_does_not() -> None:
    rows = published("gran_table2_battles.csv")
    assert named(rows) == [row["winner"] for row in rows] != named(rows, 0.25)


def test_table_4_of_the_paper_is_a_cycle() -> None:
    assert named(published("gran_table4_more_steps.csv")) == ["GRAN5", "GRAN9", "GRAN7"]  # 5 > 7 > 9 > 5


def test_ties() -> None:
    assert winner("a", "b", 1.0, 1.0) == TIE
    assert winner("a", "b", 1.3, 0.5) == "a"  # on the edge counts as near
    assert winner("a", "b", 1 / 1.3, 0.5) == "a"  # symmetric
    assert winner("a", "b", 1.31, 0.5) == TIE
    assert battle("a", "b", duel(40, 40))["winner"] == TIE
    close = battle("a", "b", duel(40, 42))
    assert (close["winner"], close["winner_tested"]) == ("a", TIE)


def test_the_tested_winner_needs_both_tests() -> None:
    sure, clear = Ratio(1.0, 0.01), Ratio(0.5, 0.1)
    assert winner_tested("a", "b", sure, clear) == "a"
    assert winner_tested("a", "b", sure, Ratio(2.0, 0.1)) == "b"
    assert winner_tested("a", "b", Ratio(1.0, 0.5), clear) == TIE  # the judges may differ by far
    assert winner_tested("a", "b", sure, Ratio(0.5, 0.5)) == TIE


@pytest.mark.parametrize("counts", [(0, 0), (0, 30), (30, 0), (N, N), (0, N)])
@pytest.mark.parametrize("tests", [(0, 0), (0, 40), (40, 40)])
@pytest.mark.parametrize("ratio", ["error", "accuracy"])
def test_zero_counts_never_give_infinity(counts: tuple[int, int], tests: tuple[int, int], ratio) -> None:
    row = battle("a", "b", duel(*counts, test_1=tests[0], test_2=tests[1]), ratio=ratio)
    for name in ("r_test", "r_sample", "r_sample_matched"):
        value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
        assert all(math.isfinite(bound) and bound > 0 for bound in (value, low, high))
        assert low <= value <= high
    smoothed = "r_sample is smoothed" in row["note"]
    assert smoothed == ((0 if ratio == "error" else N) in counts)
    assert (row["errors_1_on_2"], row["errors_2_on_1"]) == counts
    if counts in ((0, 0), (N, N)):
        assert row["winner"] == row["winner_tested"] == TIE


def test_add_half_smoothing() -> None:
    assert smoothed_rates(3, 10, 5, 10) == (0.3, 0.5)
    assert smoothed_rates(0, 9, 5, 9) == (0.05, 0.55)
    first, second = smoothed_rates(0, 10, 0, 99)  # two zeros make no order, whatever the totals
    assert first == second


def test_the_paired_deviation_is_that_of_mcnemars_table() -> None:
    wrong_1 = np.arange(1000) < 120
    wrong_2 = (np.arange(1000) >= 40) & (np.arange(1000) < 140)
    found = paired_ratio(wrong_1[None], wrong_2[None])
    b, c = 40, 20
    assert found.value == pytest.approx(1.2)
    # The textbook form leaves out the (small) square of the mean difference, which is 0 here, and divides by n.
    assert found.deviation**2 == pytest.approx((b + c) / (120 * 100) * 1000 / 999)
    same = paired_ratio(wrong_1[None], wrong_1[None])
    assert (same.value, same.deviation) == (1.0, 0.0)


def test_welch_freedom_matches_scipys() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, 4), rng.normal(0, 3, 7)
    parts = [(x.var(ddof=1) / 4, 3.0), (y.var(ddof=1) / 7, 6.0)]
    assert welch_freedom(parts, sum(v for v, _ in parts)) == pytest.approx(
        scipy.stats.ttest_ind(x, y, equal_var=False).df
    )


Drawn = tuple[tuple[float, float], float]
"""An interval and the truth."""


def of_one_seed(rng: np.random.Generator, rates: tuple[float, float]) -> Drawn:
    return ratio_of_cells(*(counted(rng, np.array([[rate]])) for rate in rates)).interval(), rates[0] / rates[1]


def over_seeds(rng: np.random.Generator, seeds: int) -> Drawn:
    """Every judge and every generator has its own strength; a seed's judge and generator are made together."""
    strict, good = np.exp(rng.normal(0, 0.15, (2, 2, seeds))) / np.exp(0.15**2 / 2)  # mean 1
    one, two = 0.1 * np.outer(strict[0], good[1]), 0.2 * np.outer(strict[1], good[0])
    return ratio_of_cells(counted(rng, one), counted(rng, two)).interval(), 0.5


def on_real_images(rng: np.random.Generator) -> Drawn:
    shared = rng.normal(0, 1, 2000)  # images that are hard are hard for both
    wrong_1, wrong_2 = (shared + rng.normal(0, 1, 2000) > z for z in (1.5, 1.8))
    truth = scipy.stats.norm.sf(1.5 / math.sqrt(2)) / scipy.stats.norm.sf(1.8 / math.sqrt(2))
    return paired_ratio(wrong_1[None], wrong_2[None]).interval(), truth


def matched(rng: np.random.Generator) -> Drawn:
    """Its threshold is estimated."""
    means = (("a", -1.0, -0.8), ("b", -0.5, -1.0))
    row = battle("a", "b", [gaussian_judge(rng, name, {("a", 0): a, ("b", 0): b}) for name, a, b in means])
    edge = 1 + scipy.stats.norm.ppf(0.1)
    truth = scipy.stats.norm.sf(edge + 0.8) / scipy.stats.norm.sf(edge + 0.5)
    return (row["r_sample_matched_low"], row["r_sample_matched_high"]), truth


def counted(rng: np.random.Generator, rates: np.ndarray, n: int = 1000) -> Cells:
    return Cells(rng.binomial(n, rates).astype(float), np.full(rates.shape, float(n)))


@pytest.mark.parametrize(
    "draw",
    [
        *(partial(of_one_seed, rates=rates) for rates in ((0.1, 0.2), (0.02, 0.03), (0.6, 0.9))),
        *(partial(over_seeds, seeds=seeds) for seeds in (3, 5)),
        on_real_images,
        matched,
    ],
)
def test_an_interval_of_95_percent_holds_the_truth_in_90_to_99_percent_of_the_draws(draw: Callable[..., Drawn]) -> None:
    rng = np.random.default_rng(5)
    hits = sum(low <= truth <= high for (low, high), truth in (draw(rng) for _ in range(200)))
    assert 0.90 * 200 <= hits <= 0.99 * 200


def test_matching_removes_a_judges_bias_that_r_sample_shows() -> None:
    """A judge that adds 1 to every logit lets more pass; at the same error on real images it is as good as before."""
    rng = np.random.default_rng(2)
    means = {("a", 0): -0.7, ("b", 0): -0.7}
    plain = [gaussian_judge(rng, model, means, n=4000) for model in "ab"]
    lenient = JudgeScores(
        "a", 0, plain[0].test + 1, plain[0].train + 1, plain[0].valid + 1,
        {key: logits + 1 for key, logits in plain[0].samples.items()},
    )  # fmt: skip
    before, after = battle("a", "b", plain), battle("a", "b", [lenient, plain[1]])
    assert after["r_sample"] > 2 * before["r_sample"]
    assert after["r_sample_matched"] == pytest.approx(before["r_sample_matched"])


@pytest.mark.parametrize("own", [N - 40, N])  # balanced accuracy 0.5; always 'real' but for the test errors
def test_a_judge_at_chance_judges_nobody_and_is_named(own: int) -> None:
    blind = judge("a", {"a": own, "b": 3}, test=40)
    assert not beats_chance(blind)[0]
    other = judge("b", {"b": 20, "a": 90})
    row = battle("a", "b", [blind, other])
    assert "judge of a, seed 0, does not beat chance" in row["note"]
    assert all(row[name] is None for name in ("r_test", "r_sample", "winner", "winner_tested", "errors_1_on_2"))
    matrix = judge_matrix([blind, other])
    assert all(("does not beat chance" in (line["note"] or "")) == (line["judge"] == "a") for line in matrix)
    third = judge("c", {"a": 10, "b": 20, "c": 20})
    assert {line["model"]: line["judged"] for line in standings([blind, third], ["a", "b", "c"], draws=50)} == {
        "a": 1, "b": 1, "c": 0,
    }  # fmt: skip


def test_one_blind_seed_is_left_out_of_the_judging_but_not_of_the_battle() -> None:
    seeing, blind = judge("a", {"a": 20, "b": 30}), judge("a", {("a", 1): N, "b": N}, seed=1)
    other = judge("b", {"b": 20, "a": 60, ("a", 1): 100})
    row = battle("a", "b", [seeing, blind, other])
    assert "seed 1, does not beat chance" in row["note"]
    assert (row["errors_1_on_2"], row["total_1_on_2"]) == (30, N)
    assert (row["errors_2_on_1"], row["total_2_on_1"]) == (160, 2 * N)
    assert row["total_1_test"] == N
    seeing.test[3] = np.nan
    assert beats_chance(seeing) == (False, "has logits that are not finite")


def test_models_that_share_a_judge_have_an_r_test_of_exactly_1() -> None:
    judges = [judge("gran5", {"gran5": 50, "gran5_at7": 90, "gran5_at9": 20})]
    shared = {"gran5_at7": "gran5", "gran5_at9": "gran5"}
    rows = battle_rows(["gran5", "gran5_at7", "gran5_at9"], judges, judged_by=shared)
    assert [(row["r_test"], row["r_test_low"], row["r_test_high"]) for row in rows] == [(1.0, 1.0, 1.0)] * 3
    assert all("r_test is 1 by construction" in row["note"] for row in rows)
    assert rows[0]["r_sample"] == pytest.approx(90 / 50)
    assert [row["winner"] for row in rows] == ["gran5_at7", "gran5", "gran5_at7"]  # one judge makes no cycle
    with pytest.raises(ValueError, match="vae has no judge"):
        battle("vae", "gran5", judges)


def test_the_matrix_holds_real_images_own_generator_and_non_adversarial_contestants() -> None:
    judges = [judge("a", {"a": 50, "b": 20, "vae": 4}), judge("b", {"b": 60, "a": 80, "vae": 8})]
    rows = {(row["judge"], row["contestant"]): row for row in judge_matrix(judges)}
    assert set(rows) == {(j, c) for j in "ab" for c in (REAL_TEST, REAL_TRAIN, "a", "b", "vae")}
    assert rows["a", "vae"]["error"] == pytest.approx(0.01)
    assert rows["a", REAL_TRAIN]["error"] == pytest.approx(30 / N)
    interval = scipy.stats.binomtest(20, N).proportion_ci(method="wilson")
    assert (rows["a", "b"]["error_low"], rows["a", "b"]["error_high"]) == pytest.approx((interval.low, interval.high))
    assert all(row["error_low"] <= row["error"] <= row["error_high"] for row in rows.values())


def test_seeds_that_differ_widen_the_matrix_interval_and_a_judge_meets_its_own_seed_of_its_model() -> None:
    def rows(counts: tuple[int, ...]) -> dict:
        judges = [judge("a", {("a", s): 9, "vae": count}, s, test=9) for s, count in enumerate(counts)]
        return next(row for row in judge_matrix(judges) if row["contestant"] == "vae")

    equal, different = rows((100, 100, 100)), rows((20, 100, 180))
    assert equal["error"] == different["error"]
    assert different["error_high"] - different["error_low"] > 3 * (equal["error_high"] - equal["error_low"])
    assert 0 <= different["error_low"] <= different["error"] <= different["error_high"] <= 1
    own = next(row for row in judge_matrix([judge("a", {"a": 10, ("a", 1): N})]) if row["contestant"] == "a")
    assert (own["errors"], own["total"], own["seeds"]) == (10, N, 1)


def skilled_judges(models: list[str], skills: list[float], judging: list[str], n: int = 2000) -> list[JudgeScores]:
    """Judges of different strictness whose share of fooling images has the log odds skill - strictness."""
    rng, judges = np.random.default_rng(4), []
    for strict, name in enumerate(judging):
        odds = [1 / (1 + math.exp(1.5 + 0.4 * strict - skill)) for skill in skills]
        counts = {model: int(rng.binomial(n, p)) for model, p in zip(models, odds, strict=True)}
        samples = {(model, 0): fake_logits(count, n) for model, count in counts.items()}
        samples[name, 0] = fake_logits(5, n)  # a generator that its own judge knows well
        judges.append(JudgeScores(name, 0, real_logits(40), real_logits(40), real_logits(40), samples))
    return judges


def test_standings_recover_the_order_of_known_skills_and_who_fools_nobody_has_a_finite_rating() -> None:
    models, skills = [f"m{i}" for i in range(8)], [-40.0, *(0.4 * i for i in range(1, 8))]
    rows = standings(skilled_judges(models, skills, models[:5]), models)
    assert [row["model"] for row in rows] == models[::-1]
    assert np.mean([row["rating"] for row in rows]) == pytest.approx(1500)
    assert all(math.isfinite(row[key]) for row in rows for key in ("rating", "rating_low", "rating_high"))
    assert all(row["rating_low"] <= row["rating"] <= row["rating_high"] for row in rows)
    assert {row["model"]: row["judged"] for row in rows} == {m: 4 if m in models[:5] else 5 for m in models}


def test_standings_of_two_judges_and_three_contestants() -> None:
    models = ["a", "b", "vae"]
    rows = standings(skilled_judges(models, [2.0, 1.0, 0.0], ["a", "b"]), models)
    assert [row["model"] for row in rows] == models  # though each meets its own judge as the worst
    assert all(row["rating_low"] is None for row in rows)  # two comparisons for two unknowns: no spread to see
    nobody = standings(skilled_judges(["a", "b"], [1.0, 0.0], ["a", "b"]), ["a", "b"])
    empty = dict.fromkeys(("rating", "rating_low", "rating_high", "rating_without", "left_out", *HALVES))
    assert nobody == [{"model": name, "judged": 0, **empty} for name in ("a", "b")], "none is compared"


def test_neither_a_judges_own_generator_nor_the_contestants_order_moves_the_standings() -> None:
    models = ["a", "b", "c", "vae"]
    judges = skilled_judges(models, [1.0, 0.6, 0.3, 0.0], ["a", "b", "c"])
    fooled = [
        JudgeScores(j.model, j.seed, j.test, j.train, j.valid, {**j.samples, j.identity: fake_logits(900, 2000)})
        for j in judges
    ]
    rows = standings(judges, models, draws=50)
    assert rows == standings(judges, models, draws=50) == standings(fooled, models, draws=50)
    turned = {row["model"]: row["rating"] for row in standings(judges, models[::-1], draws=50)}
    assert turned == pytest.approx({row["model"]: row["rating"] for row in rows})
    shared = standings(judges, models, judged_by={"vae": "a"}, draws=50)
    assert {row["model"]: row["judged"] for row in shared}["vae"] == 2


@pytest.mark.parametrize("count", [0, 20])
def test_davidson_of_two_players_is_its_closed_form(count: int) -> None:
    """Of 30 wins, 10 losses and n ties: pi_1 / pi_2 = 3, as of Bradley and Terry, and nu = n / sqrt(30 * 10)."""
    wins, ties = np.array([[[0.0, 30.0], [10.0, 0.0]]]), np.array([[[0.0, count], [count, 0.0]]])
    skills, log_nu = davidson(wins, ties, ridge=1e-9)
    assert skills[0, 0] - skills[0, 1] == pytest.approx(math.log(3), abs=1e-6)
    assert log_nu[0] == pytest.approx(math.log(count / math.sqrt(300)) if count else -math.inf, abs=1e-6)


def test_davidson_is_the_log_linear_poisson_model() -> None:
    """A Poisson regression of the counts on pairs, skills (a half each of a tie) and ties, by another library.

    scikit-learn's, because statsmodels is not in the lock file: without a penalty both maximise the same likelihood.
    """
    from sklearn.linear_model import PoissonRegressor

    rng, count = np.random.default_rng(8), 5
    wins, ties = rng.poisson(6, (count, count)).astype(float), np.triu(rng.poisson(4, (count, count)), 1).astype(float)
    np.fill_diagonal(wins, 0)
    rows, counts = [], []
    pairs = [(a, b) for a in range(count) for b in range(a)]
    for n, (a, b) in enumerate(pairs):
        for share, seen in ((1.0, wins[a, b]), (0.0, wins[b, a]), (0.5, ties[b, a])):
            row = np.zeros(len(pairs) + count + 1)
            row[n], row[len(pairs) + a], row[len(pairs) + b], row[-1] = 1, share, 1 - share, share == 0.5
            rows.append(row)
            counts.append(seen)
    fit = PoissonRegressor(alpha=1e-9, fit_intercept=False, max_iter=10_000, tol=1e-10, solver="newton-cholesky")
    found = fit.fit(np.array(rows), np.array(counts)).coef_
    skills, log_nu = davidson(wins[None], (ties + ties.T)[None], ridge=1e-9)
    wanted = found[len(pairs) : -1]
    assert skills[0] - skills[0].mean() == pytest.approx(wanted - wanted.mean(), abs=1e-6)
    assert log_nu[0] == pytest.approx(found[-1], abs=1e-6)


def test_what_only_judges_let_pass_and_what_was_sampled_for_longer_is_named_and_left_out() -> None:
    models = ["a", "b", "c", "odd", "weak", "long"]
    judges = skilled_judges(models, [0.5, 0.3, 0.0, 9.0, -3.0, 1.0], ["a", "b", "c"])
    rows = standings(judges, models, beyond_training=["long"], rejected=["odd", "weak"], draws=50)
    by_model = {row["model"]: row for row in rows}
    assert by_model["odd"]["left_out"] == OUTPASSED
    assert by_model["odd"]["rating"] > 1500 and by_model["odd"]["rating_without"] is None
    assert by_model["weak"]["left_out"] is None, "the judges do not let it pass either"
    assert (by_model["long"]["rating"], by_model["long"]["left_out"]) == (None, BEYOND_TRAINING)
    kept = [row["rating_without"] for row in rows if row["rating_without"] is not None]
    assert len(kept) == 4 and np.mean(kept) == pytest.approx(1500)
