"""Tournaments within one training: on made-up scores, and the command on stored snapshots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.battles.scores import JudgeScores
from pipeline.battles.tournament import TOURNAMENT_COLUMNS, tournament
from pipeline.cli import main
from pipeline.core import artifacts
from pipeline.tables import from_csv
from pipeline.training.trained import network
from tests.conftest import ROOT, plan_of
from tests.stored import stored


def test_a_training_that_improves_has_rising_ratings_and_one_that_collapses_falls() -> None:
    """Real images lie at 2, a snapshot's samples the nearer to them the better it is; the last two are equal."""
    quality = {"a": -2.0, "b": -1.0, "c": 0.5, "d": 0.5, "e": -3.0}
    steps = {name: 100 * number for number, name in enumerate(quality, start=1)}
    rng = np.random.default_rng(0)
    judges = [
        JudgeScores(
            name, 0, *(2 + rng.normal(size=(3, 800))), {(of, 0): q + rng.normal(size=800) for of, q in quality.items()}
        )
        for name in ("a", "b", "c", "d")
    ]
    blind = JudgeScores("e", 0, *rng.normal(size=(3, 800)), {(name, 0): rng.normal(size=800) for name in quality})
    rows = tournament([*judges, blind], dict(reversed(steps.items())), {"a": 5.0})
    assert [row["steps"] for row in rows] == [100, 200, 300, 400, 500]
    ratings = [float(row["rating"] or 0) for row in rows]
    assert ratings[4] < ratings[0] < ratings[1] < ratings[2] and ratings[2] == pytest.approx(ratings[3], abs=60)
    aucs = [float(row["auc"] or 0) for row in rows]
    assert aucs[4] > aucs[0] > aucs[1] > aucs[2] == pytest.approx(0.86, abs=0.02), "P(N(2, 1) > N(0.5, 1)); 0.5 is best"
    assert [row["judged"] for row in rows] == [3, 3, 3, 3, 4], "nobody judges itself, and e judges nobody"
    assert [bool(row["note"]) for row in rows] == [False] * 4 + [True]
    assert [row["fd_classifier"] for row in rows] == [5.0, None, None, None, None]
    assert all(
        float(row["rating_low"] or 0) <= rating <= float(row["rating_high"] or 0)
        for row, rating in zip(rows, ratings, strict=True)
    )


def test_the_command_rates_stored_snapshots_and_says_who_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    artifacts.write_text(tmp_path / "params.yaml", (ROOT / "params.yaml").read_text(encoding="utf-8"))
    asked = ["tournament", "--model", "gran3", "--snapshots", "2", "--set", "budget=tiny"]
    with pytest.raises(SystemExit, match="1"):
        main(asked)
    assert capsys.readouterr().out.count("evaluate/gran3/0/") == 2
    plan, images = plan_of("budget=tiny"), np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
    prepared = plan.job("prepare", "mnist")
    for split in ("train", "valid", "test"):
        artifacts.write_images(tmp_path / prepared.outputs[split], images, None)
    for share, steps in ((0.5, 2), (1.0, 4)):
        train, sample, evaluate = (
            plan.with_share(share).job(stage, "mnist", "gran3", 0) for stage in ("train", "sample", "evaluate")
        )
        torch.manual_seed(steps)
        artifacts.write_tensors(
            tmp_path / train.outputs["weights"], network(plan.network("gran3", "mnist"), "cpu").state_dict()
        )
        artifacts.write_json(tmp_path / train.outputs["training"], {"steps": steps})
        artifacts.write_images(tmp_path / sample.outputs["images"], images[::-1].copy(), None)
        artifacts.write_json(
            tmp_path / evaluate.outputs["metrics"], {"estimates": {"fd_classifier": {"value": 1 / steps}}}
        )
        for job in (train, sample, evaluate):
            stored(job, tmp_path)
    main([*asked, "--to", "rated.csv"])
    text = capsys.readouterr().out
    assert "gran3, judged by gran3 50%, gran3 100%; a snapshot does not judge itself" in text
    assert "Spearman's correlation of the rating with the steps: unknown" in text
    rows = from_csv((tmp_path / "rated.csv").read_text(encoding="utf-8"))
    assert tuple(rows[0]) == TOURNAMENT_COLUMNS
    assert [(row["steps"], row["fd_classifier"]) for row in rows] == [(2, 0.5), (4, 0.25)]
    assert all(str(row["note"]).startswith("judges nobody") for row in rows), "untrained"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "gran3", "--snapshots", "1"], "--snapshots: found 1, expected 2 to 20"),
        (["--model", "gran3", "--seed", "-1"], "--seed: found -1, expected 0 or more"),
        (["--model", "gran5_at7"], "gran5_at7 is gran5's training sampled otherwise; train gran5"),
        (["--model", "vae", "--set", "datasets.mnist.models=[vae]"], "there is no judge"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match="1"):
        main(["tournament", *words])
    assert message in capsys.readouterr().err
