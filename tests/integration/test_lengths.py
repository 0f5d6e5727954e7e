"""Shorter trainings: their jobs, the claims at each length, and what is said while results are missing."""

from __future__ import annotations

import copy
import shlex
from pathlib import Path

import numpy as np
import pytest
import scipy
import torch
from snakemake.cli import parse_config

from pipeline import metrics
from pipeline.cli import main
from pipeline.core import artifacts
from pipeline.snakefile import Workflow
from pipeline.tables import from_csv, to_csv
from pipeline.tables.claims import CLAIM_COLUMNS, claims_columns, read_claims
from pipeline.tables.lengths import LENGTHS_COLUMNS, SHARES, between_lengths, by_length, changed, lengths_columns
from pipeline.tables.published import FOLDER
from pipeline.training.loop import Settings, Trainer
from pipeline.training.trained import network
from pipeline.workflow import overrides, params, store
from pipeline.workflow.overrides import snakemake
from pipeline.workflow.plan import Plan
from pipeline.workflow.shares import Wanted, commands
from tests.conftest import ROOT, plan_of
from tests.stored import stored


def test_a_share_shortens_every_training_and_its_warm_up_and_changes_no_other_job() -> None:
    plan = plan_of("budget=laptop")
    third, whole = plan.with_share(0.5), plan.with_share(1.0)
    for model in ("vae", "draw_gan"):
        assert whole.job("train", "mnist", model, 0).hash == plan.job("train", "mnist", model, 0).hash
        assert third.job("train", "mnist", model, 0).hash != plan.job("train", "mnist", model, 0).hash
    blocks = [copy.deepcopy(of.job("train", "mnist", "draw_gan", 0).config) for of in (plan, third)]
    assert [block["training"].pop("steps") for block in blocks] == [4000, 2000]
    assert [block["arguments"].pop("warmup") for block in blocks] == [2500, 1250]
    assert blocks[0] == blocks[1]
    assert third.job("references", "mnist").hash == plan.job("references", "mnist").hash
    in_epochs = [of.job("train", "celeba", "vae_faces", 0).config["training"] for of in (plan, third)]
    assert [training["epochs"] for training in in_epochs] == [250, 125]


def test_without_a_falling_rate_a_shorter_training_is_a_snapshot_of_the_longer_one() -> None:
    images = torch.randint(0, 256, (40, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    weights = []
    for steps in (4, 2):
        config = plan_of("budget=tiny").job("train", "mnist", "gran1", 0).config
        model = network({**config, "shape": (1, 28, 28)}, "cpu")
        trainer = Trainer(model, images, Settings(steps, 16, "grey", "float32", seed=0))
        assert [trainer.advance() for _ in range(2)]
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def claim(verdict: str, difference: float, measure: str = "fd_classifier") -> dict:
    row = dict.fromkeys(CLAIM_COLUMNS)
    keys = {"paper": "p", "claim": "a before b", "definition": "ours", "measure": measure, "better": "a", "worse": "b"}
    return row | keys | {"verdict": verdict, "difference": difference}


def test_claims_stand_side_by_side_by_length() -> None:
    found = {"third": [claim("reversed", -1.0)], "two_thirds": [claim("unresolved", 0.1), claim("held", 2.0, "elbo")]}
    found["whole"] = [claim("held", 1.0), claim("held", 3.0, "elbo")]
    first, second = rows = by_length(found)
    assert tuple(first) == LENGTHS_COLUMNS
    assert [first[f"verdict_{name}"] for name in SHARES] == ["reversed", "unresolved", "held"]
    assert [second[f"difference_{name}"] for name in SHARES] == [None, 2.0, 3.0]
    assert changed(rows) == rows and not changed(by_length({name: found["whole"] for name in SHARES}))
    assert set(LENGTHS_COLUMNS) <= lengths_columns().keys() > claims_columns().keys()


@pytest.mark.parametrize(("whole", "expected"), [([0.1, 0.2, 0.15], "held"), ([0.9, 0.8, 1.0], "unresolved")])
def test_a_late_collapse_is_told_from_the_lengths_of_one_training(whole: list[float], expected: str) -> None:
    stated = [row for row in read_claims((FOLDER / "claims.csv").read_text()) if row["measure"] == "diversity"]
    values = {"two_thirds": [0.9, 0.95, 0.85], "whole": whole}
    seeds = {
        name: [{"model": "dcgan", "seed": seed, "diversity": value} for seed, value in enumerate(of)]
        for name, of in values.items()
    }
    (row,) = between_lengths(stated, seeds, metrics.columns(), "cats")
    assert (row["claim"], row["verdict"]) == ("cats collapse late", expected)
    wanted = scipy.stats.ttest_rel(np.log(values["two_thirds"]), np.log(whole))
    assert row["p"] == pytest.approx(wanted.pvalue), "one training's lengths are paired by seed"
    assert not between_lengths(stated, seeds, metrics.columns(), "mnist")


@pytest.mark.parametrize(("share", "budget"), [("1.0", "tiny"), ("0.5", None)])
def test_a_shorter_training_is_not_sent_to_mlflow_as_a_version_of_the_whole_one(
    share: str, budget: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay passes over a training whose specification names no budget."""
    monkeypatch.chdir(tmp_path)
    planned = Workflow(plan_of("budget=tiny", f"training_share={share}"))
    job = planned.plan.job("train", "mnist", "vae", 0)
    planned.planned[job.hash] = job
    planned.write_specifications()
    assert store.specification(job.hash)["budget"] == budget


def test_the_printed_command_has_the_settings_in_a_form_that_snakemake_takes() -> None:
    settings = ["budget=tiny", "models.vae.learning_rate=0.002", "models.vae.batch=50", "device=cpu"]
    plan = overrides.plan(settings).with_share(0.5)
    (line,) = commands([Wanted(plan, plan.job("tables", "mnist"), "claims")])
    words = shlex.split(line)
    given = parse_config(words[words.index("--config") + 1 :])
    base = params.merged(file=ROOT / "params.yaml")
    params.merge_into(base, given)
    plans = Plan(params.check(base)), plan_of(*settings, "training_share=0.5")
    assert len({plan.job("train", "mnist", "vae", 0).hash for plan in (*plans, plan_of("budget=tiny"))}) == 2
    assert plans[0].model("vae", "mnist") == plans[1].model("vae", "mnist")


def test_the_command_names_what_is_missing_then_shows_the_stored_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    artifacts.write_text(tmp_path / "params.yaml", (ROOT / "params.yaml").read_text(encoding="utf-8"))
    with pytest.raises(SystemExit, match="1"):
        main(["lengths", "--set", "budget=tiny"])
    _, *lines = capsys.readouterr().out.splitlines()
    shares = [" training_share=0.3333", " training_share=0.6667", ""]
    plan = plan_of("budget=tiny")
    for line, (name, share), given in zip(lines, SHARES.items(), shares, strict=True):
        job = plan.with_share(share).job("tables", "mnist")
        assert line == snakemake(job.outputs["claims"], f" --config budget=tiny{given}")
        verdict = "held" if name == "whole" else "unresolved"
        artifacts.write_text(tmp_path / job.outputs["claims"], to_csv([claim(verdict, share)], CLAIM_COLUMNS))
        artifacts.write_text(tmp_path / job.outputs["seeds"], "model,seed\nvae,0\n")
        stored(job, tmp_path)
    main(["lengths", "--set", "budget=tiny", "--to", "by_length.csv"])
    assert "1 of 1 claims change with the length of the trainings" in capsys.readouterr().out
    (row,) = from_csv((tmp_path / "by_length.csv").read_text(encoding="utf-8"))
    assert (row["verdict_third"], row["verdict_whole"], row["difference_third"]) == ("unresolved", "held", 0.3333)
