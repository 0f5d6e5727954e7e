"""Shorter trainings: their jobs, the claims at each length, and what is said while results are missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from pipeline.cli import main
from pipeline.core import artifacts
from pipeline.tables import from_csv, to_csv
from pipeline.tables.claims import CLAIM_COLUMNS, claims_columns
from pipeline.tables.lengths import LENGTHS_COLUMNS, SHARES, by_length, changed, lengths_columns
from pipeline.training.loop import Settings, Trainer
from pipeline.training.trained import network
from tests.conftest import ROOT, plan_of
from tests.stored import stored


def test_a_share_shortens_every_training_and_its_warm_up_and_changes_no_other_job() -> None:
    plan = plan_of("budget=laptop")
    third, whole = plan.with_share(0.5), plan.with_share(1.0)
    for model in ("vae", "draw_gan"):
        assert whole.job("train", "mnist", model, 0).hash == plan.job("train", "mnist", model, 0).hash
        assert third.job("train", "mnist", model, 0).hash != plan.job("train", "mnist", model, 0).hash
    blocks = [of.job("train", "mnist", "draw_gan", 0).config for of in (plan, third)]
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


def test_the_command_names_what_is_missing_then_shows_the_stored_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    artifacts.write_text(tmp_path / "params.yaml", (ROOT / "params.yaml").read_text(encoding="utf-8"))
    with pytest.raises(SystemExit, match="1"):
        main(["lengths", "--set", "budget=tiny"])
    _, *commands = capsys.readouterr().out.splitlines()
    shares = ["--config budget=tiny training_share=0.3333", "--config budget=tiny training_share=0.6667"]
    assert [share in line for line, share in zip(commands, [*shares, "--config budget=tiny --"], strict=True)] == [
        True
    ] * 3
    plan = plan_of("budget=tiny")
    for line, (name, share) in zip(commands, SHARES.items(), strict=True):
        job = plan.with_share(share).job("tables", "mnist")
        assert re.fullmatch(r"snakemake .* -- results/store/mnist/tables/\w{16}/claims.csv", line)
        assert line.endswith(job.outputs["claims"])
        verdict = "held" if name == "whole" else "unresolved"
        artifacts.write_text(tmp_path / job.outputs["claims"], to_csv([claim(verdict, share)], CLAIM_COLUMNS))
        stored(job, tmp_path)
    main(["lengths", "--set", "budget=tiny", "--to", "by_length.csv"])
    assert "1 of 1 claims change with the length of the trainings" in capsys.readouterr().out
    (row,) = from_csv((tmp_path / "by_length.csv").read_text(encoding="utf-8"))
    assert (row["verdict_third"], row["verdict_whole"], row["difference_third"]) == ("unresolved", "held", 0.3333)
