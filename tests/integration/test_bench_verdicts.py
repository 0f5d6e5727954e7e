"""The simulation of verdicts: the truth is what was put in, and the rules err as often as they may."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.verdicts import BETTER, COLUMNS, PAIR, RULES, WORSE, World, main, rates, simulate, winners, worlds
from pipeline.tables import from_csv

THIRD, PAPERS, _, MATCHED = RULES


def by_rule(world: World, draws: int) -> dict:
    return {row["rule"]: row for row in rates(world, draws)}


def test_logits_have_the_means_and_the_correlation_that_were_asked_for() -> None:
    world = World(
        seeds=1, images=20_000, seed_deviation=0.0, taste=0.0, strictness=0.0, effect=0.4, abilities=(0.5, 0.5)
    )
    scores = {judge.model: judge for judge in simulate(world, np.random.default_rng(0))}
    assert scores["judge0"].test.mean() == pytest.approx(1.3, abs=0.03)
    logits = {name: scores["judge0"].samples[name, 0] for name in PAIR}
    assert logits[BETTER].mean() == pytest.approx(1.3 - 0.5 - 1.0, abs=0.03)
    assert logits[WORSE].mean() == pytest.approx(logits[BETTER].mean() - 0.4, abs=0.03)
    assert logits[BETTER].std() == pytest.approx(1, abs=0.02)
    again = scores["judge1"].samples[BETTER, 0]
    assert np.corrcoef(logits[BETTER], again)[0, 1] == pytest.approx(0.5, abs=0.03)
    assert scores[WORSE].samples[BETTER, 0].mean() == pytest.approx(1.3 - 1.0 - 1.0, abs=0.03)


def test_equal_generators_are_rarely_decided_by_third_parties_and_mostly_by_their_own_judges() -> None:
    found = by_rule(World(seeds=5, images=200), draws=80)
    assert found[THIRD]["wrong"] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 80)
    assert found[PAPERS]["wrong"] > 0.3
    assert found[MATCHED]["wrong"] > 0.3


def test_a_better_generator_wins_before_third_parties_and_loses_where_its_own_judge_is_worse() -> None:
    found = by_rule(World(seeds=5, images=200, effect=0.6, judges=4), draws=30)
    assert found[THIRD]["right"] > 0.5
    assert found[THIRD]["wrong"] == 0
    assert found[PAPERS]["right"] < found[THIRD]["right"]


def test_a_winner_is_named_by_rule() -> None:
    row = {"model_1": BETTER, "model_2": WORSE, "verdict": "unresolved", "winner": WORSE, "winner_tested": "tie"}
    named = winners(row | {"r_sample_matched_low": 0.5, "r_sample_matched_high": 0.9})
    assert named == dict(zip(RULES, (None, WORSE, None, BETTER), strict=True))


def test_the_command_writes_a_row_for_every_world_and_rule(tmp_path: Path) -> None:
    main(["--to", str(tmp_path / "verdicts.csv"), "--draws", "1", "--judges", "3"])
    rows = from_csv((tmp_path / "verdicts.csv").read_text())
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(RULES) * len(list(worlds((3,))))
