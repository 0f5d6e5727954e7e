"""Verdicts of third-party judges: the additive model's closed forms, its error rate, and what decides nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from pipeline.battles.scores import TIE, JudgeScores, ranks_above
from pipeline.battles.third_party import UNRESOLVED, PassRates, decide, pass_rates
from pipeline.battles.verdicts import BATTLE_COLUMNS, battle_rows

JUDGES = ("i", "j", "k", "l")


def rates(image_variance: float = 0.0, judges: Sequence[str] = JUDGES, **log_odds: np.ndarray) -> PassRates:
    """Log odds (judges, seeds) of each contestant."""
    values = {(j, name): table[n] for name, table in log_odds.items() for n, j in enumerate(judges)}
    variance = {key: np.full(len(row), image_variance) for key, row in values.items()}
    return PassRates(values, variance, {}, {name: tuple(range(table.shape[1])) for name, table in log_odds.items()})


def test_the_advantage_is_the_least_squares_difference_of_the_additive_model() -> None:
    rng = np.random.default_rng(0)
    table = {name: rng.normal(size=(4, seeds)) for name, seeds in (("a", 3), ("b", 3))}
    rows, values = [], []
    for column, name in enumerate("ab"):
        for (judge, seed), value in np.ndenumerate(table[name]):
            seeds = np.zeros(4)
            seeds[2 * column + min(seed, 1)] = 1.0 if seed < 2 else 0.0  # seeds within a contestant, sum to zero
            if seed == 2:
                seeds[2 * column : 2 * column + 2] = -1.0
            rows.append([*np.eye(4)[judge], float(column == 0), *seeds])
            values.append(value)
    coefficient = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0][4]
    assert decide(rates(**table), "a", "b").advantage == pytest.approx(coefficient)


def test_a_judges_strictness_and_ability_cancel() -> None:
    rng = np.random.default_rng(1)
    table = {name: rng.normal(size=(4, 3)) for name in "ab"}
    moved = {name: values + np.array([[-3.0], [0.0], [1.0], [4.0]]) for name, values in table.items()}
    assert decide(rates(**moved), "a", "b").advantage == pytest.approx(decide(rates(**table), "a", "b").advantage)
    assert decide(rates(**moved), "a", "b").low == pytest.approx(decide(rates(**table), "a", "b").low)


def test_with_judges_that_differ_alone_it_is_a_paired_t_test_over_judges() -> None:
    values = np.array([[0.9], [0.4], [1.2], [0.1]])
    wanted = stats.ttest_1samp(values[:, 0], 0.0).confidence_interval(0.95)
    found = decide(rates(a=np.repeat(values, 2, 1), b=np.zeros((4, 2))), "a", "b")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_with_seeds_that_differ_alone_it_is_welchs_t_test_over_seeds() -> None:
    first, second = np.array([0.3, 1.0, 0.8]), np.array([-0.2, 0.4, 0.3, 0.1])
    wanted = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    found = decide(rates(a=np.tile(first, (4, 1)), b=np.tile(second, (4, 1))), "a", "b")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_samples_of_one_training_are_paired_by_seed() -> None:
    first, second = np.array([0.3, 2.0, 0.8]), np.array([0.1, 1.75, 0.6])
    table = rates(long=np.tile(first, (4, 1)), short=np.tile(second, (4, 1)))
    wanted = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = decide(table, "long", "short", judged_by={"long": "short"})
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.winner == "long"
    assert decide(table, "long", "short").winner == UNRESOLVED, "two trainings are not paired by their seeds' numbers"


def test_own_judges_and_those_of_the_same_training_are_left_out() -> None:
    table = {name: np.zeros((4, 2)) for name in ("i", "j", "k_long", "x")}
    assert decide(rates(**table), "i", "x").judges == 3
    assert decide(rates(**table), "i", "k_long", judged_by={"k_long": "k"}).judges == 2
    for pair, judges in ((("i", "j"), 2), (("i", "k_long"), 3)):
        assert decide(rates(**table), *pair).judges == judges


def test_fewer_than_three_judges_or_one_seed_decide_nothing() -> None:
    clear = {"a": np.full((2, 5), 4.0), "b": np.zeros((2, 5))}
    found = decide(rates(judges=("i", "j"), **clear), "a", "b")
    assert (found.advantage, found.low, found.winner) == (4.0, None, UNRESOLVED)
    assert found.reason == "third-party judges: 2, at least 3 are needed"
    single = decide(rates(a=np.full((4, 1), 4.0), b=np.zeros((4, 5))), "a", "b")
    assert single.winner == UNRESOLVED and "one seed" in str(single.reason)
    assert decide(rates(judges=("a", "b"), **clear), "a", "b").advantage is None


def test_seeds_that_agree_by_luck_are_no_surer_than_their_images() -> None:
    same = {"a": np.full((4, 2), 0.2), "b": np.zeros((4, 2))}
    found = decide(rates(image_variance=0.04, **same), "a", "b")
    assert found.high - found.advantage >= 1.96 * math.sqrt(0.04 / 2 * 2)
    assert found.winner == UNRESOLVED


def test_a_tie_is_an_interval_within_the_tolerance() -> None:
    rng = np.random.default_rng(2)
    close = {name: 0.01 * rng.normal(size=(4, 5)) for name in "ab"}
    assert decide(rates(**close), "a", "b").winner in (TIE, "a", "b")
    table = rates(a=np.array([[0.1, -0.1]] * 4), b=np.array([[-0.1, 0.1]] * 4))
    assert decide(table, "a", "b", tolerance=3.0).winner == TIE
    assert decide(table, "a", "b", tolerance=0.1).winner == UNRESOLVED


@pytest.mark.parametrize(("seeds", "judge_noise", "seed_noise"), [(3, 0.5, 0.1), (3, 0.1, 0.5), (5, 0.3, 0.3)])
def test_equal_generators_are_decided_in_at_most_a_twentieth_of_the_draws(
    seeds: int, judge_noise: float, seed_noise: float
) -> None:
    rng, draws, wrong = np.random.default_rng(3), 1000, 0
    for _ in range(draws):
        strict = rng.normal(0, 2, (3, 1))
        table = {
            name: strict
            + rng.normal(0, judge_noise, (3, 1))
            + rng.normal(0, seed_noise, seeds)
            + rng.normal(0, 0.1, (3, seeds))
            for name in "ab"
        }
        wrong += decide(rates(judges=JUDGES[:3], **table), "a", "b").winner in ("a", "b")
    assert wrong / draws < 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


# -- from the judges' logits ------------------------------------------------------------------------------------------


def judge(model: str, means: dict[str, float], ability: float, seeds: int = 3, n: int = 400) -> list[JudgeScores]:
    """Judges N(ability, 1) on real images, N(mean, 1) on each contestant's, and N(-1, 1) on their own generator's."""
    rng = np.random.default_rng(sum(map(ord, model)))
    found = []
    for seed in range(seeds):
        real = [rng.normal(ability, 1.0, n) for _ in range(3)]
        samples = {(name, other): rng.normal(m, 1.0, n) for name, m in means.items() for other in range(seeds)}
        samples[model, seed] = rng.normal(-1.0, 1.0, n)
        found.append(JudgeScores(model, seed, *real, samples))
    return found


def test_pass_rates_are_those_at_a_tenth_of_error_on_real_images_and_none_passes_more_often_than_real_ones() -> None:
    judges = judge("i", {"good": 5.0, "bad": 0.0}, ability=1.5, n=4000)
    found = pass_rates(judges, ["good", "bad", "absent"])
    assert set(found.log_odds) == {("i", "good"), ("i", "bad")}
    threshold = 1.5 + stats.norm.ppf(0.1)
    share = stats.norm.sf(threshold)
    assert found.log_odds["i", "bad"] == pytest.approx(math.log(share / (1 - share)), abs=0.1)
    assert found.log_odds["i", "good"] == pytest.approx(math.log(0.9 / 0.1), abs=0.15), "clipped at the real images'"


def test_battles_hold_every_pair_and_its_own_judges_describe_it_only() -> None:
    means = {"vae": -0.5, "draw": 0.5}
    judges = [
        scores for name, ability in zip("ijk", (1.0, 1.5, 2.0), strict=True) for scores in judge(name, means, ability)
    ]
    rows = {(row["model_1"], row["model_2"]): row for row in battle_rows(["vae", "draw", "i"], judges)}
    assert set(rows) == {("vae", "draw"), ("vae", "i"), ("draw", "i")}
    assert all(tuple(row) == BATTLE_COLUMNS for row in rows.values())
    decided = rows["vae", "draw"]
    assert (decided["verdict"], decided["third_party_judges"], decided["r_test"]) == ("draw", 3, None)
    assert decided["advantage_low"] < decided["advantage"] < decided["advantage_high"] < 0
    assert rows["draw", "i"]["verdict"] == UNRESOLVED, "i's samples of other seeds met nobody else"


def test_the_auc_is_the_mann_whitney_share() -> None:
    rng = np.random.default_rng(5)
    real, fake = np.round(rng.normal(1, 1, 50), 1), np.round(rng.normal(0, 1, 70), 1)
    assert ranks_above(real, fake) == pytest.approx(stats.mannwhitneyu(real, fake).statistic / (50 * 70))
