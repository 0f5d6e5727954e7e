"""`python -m pipeline`: a mistake is one line and an exit code, never a traceback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline import cli as cli
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.runtime.job_context import sole_writer
from tests.conftest import Run, plan_of, stage, told
from tests.stored import record


def one_line(text: str) -> str:
    """The text, which must be one line of ours."""
    assert len(text.splitlines()) == 1, text
    assert text.startswith("easel: ")
    assert "Traceback" not in text
    return text.strip()


def refused(done: Run, code: int = 1) -> str:
    """The one line that a process ended with."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return one_line(done.stderr)


# --- what is typed wrongly --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["trian", "--model", "vae"], 2, "unknown stage or command 'trian'; did you mean 'train'?"),
        (["compre"], 2, "unknown stage or command 'compre'; did you mean 'compare'?"),
        (["zzz"], 2, "unknown stage or command 'zzz'; there are: augment, battle, "),
        ([], 2, "the following arguments are required: NAME"),
        (["train", "--sede", "0"], 2, "unrecognized arguments: --sede 0; see python -m pipeline train --help"),
        (["train", "--model", "vae", "--seed", "one"], 2, "invalid int value: 'one'"),
        (["train", "--device", "gpu"], 2, "invalid choice: 'gpu'"),
        (["prepare", "--dataset", "mnits"], 1, "unknown data set 'mnits'; did you mean 'mnist'?"),
        (["train", "--model", "drw", "--seed", "0"], 1, "unknown model 'drw'; did you mean 'draw'?"),
        (["train", "--seed", "0"], 1, "this stage takes --dataset and --model and --seed; found --dataset --seed"),
        (["train", "--model", "vae"], 1, "this stage takes --dataset and --model and --seed; found"),
        (
            ["battle", "--model", "gran3", "--seed", "0"],
            1,
            "this stage takes --dataset and --model; found --dataset --model --seed",
        ),
        (["tables", "--model", "gran3"], 1, "this stage takes --dataset; found --dataset --model"),
        (["train"], 1, "this stage takes --dataset and --model and --seed; found --dataset"),
        (["prepare", "--model", "vae", "--seed", "0"], 1, "this stage takes --dataset; found --dataset --model --seed"),
        (["train", "--model", "vae", "--seed", "-1"], 1, "--seed: found -1, expected 0 or more"),
        (["prepare", "--set", "budgett=tiny"], 1, "params.yaml: budgett: unknown key; did you mean 'budget'?"),
        (["prepare", "--set", "models.draw.glimpse=3"], 1, "models.draw.glimpse: unknown key; did you mean"),
        (["prepare", "--set", "seeds=0"], 1, "seeds: found 0, expected"),
        (["prepare", "--set", "seeds"], 1, "--set seeds: expected KEY=VALUE"),
        (["prepare", "--spec", "nothing.json"], 1, "nothing.json: not a readable job"),
        (["prepare", "--spec", "params.yaml"], 1, "params.yaml: not a readable job"),
        (
            ["prepare", "--job", "0" * 16],
            1,
            "job 0000000000000000: unknown (no .snakemake/easel/0000000000000000.json)",
        ),
        (["compare", "y" * 300, "."], 1, "File name too long; give a shorter path, then run the same command again"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, expected: str
) -> None:
    assert expected in told(capsys, *words, code=code)


def test_a_mistake_is_one_line_of_the_real_command(folder: Path) -> None:
    assert "did you mean 'draw'?" in refused(stage(folder, "train", "--model", "drw", "--seed", "0"))


def test_a_folder_without_params_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "params.yaml").unlink()
    assert "params.yaml: No such file or directory; run from the folder that holds it" in told(capsys, "prepare")


# --- a job as JSON ----------------------------------------------------------------------------------------------


def test_a_job_is_printed_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["train", "--model", "draw", "--seed", "0", "--print-spec", "--set", "budget=tiny"])
    spec = json.loads(capsys.readouterr().out)
    job = plan_of("budget=tiny").job("train", "mnist", "draw", 0)
    assert spec == json.loads(json.dumps(job.spec))
    assert spec["hash"] == job.hash
    assert spec["inputs"] == {"train": job.reads[0]}
    assert not (folder / "logs").exists(), "nothing is done yet"


def test_a_printed_job_is_refused_when_it_was_made_for_other_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["fetch", "--print-spec"])
    spec = json.loads(capsys.readouterr().out)
    (folder / "job.json").write_text(json.dumps(spec | {"hash": "0" * 16}))
    assert "planned as 0000000000000000, but its code, libraries and inputs now give" in told(
        capsys, "fetch", "--spec", "job.json"
    )


# --- what is not there, or not right ----------------------------------------------------------------------------


def test_a_missing_input_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "prepare")
    assert re.search(r"easel: prepare mnist: data/raw/mnist/\.fetched/[0-9a-f]{16}/job\.json: missing or damaged", line)


def test_an_input_of_another_job_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = plan_of().job("fetch", "mnist")
    artifacts.write_json(folder / job.outputs["fetched"], {"files": job.config["files"]})
    record(folder / job.folder, "f" * 16)
    line = told(capsys, "prepare")
    assert "they changed since" in line and "prepare mnist: planned as " in line


def test_locks_are_per_job(folder: Path) -> None:
    second = sole_writer("train mnist vae 0")
    with sole_writer("train mnist vae 0"), sole_writer("train mnist vae 1"), pytest.raises(UserError, match="another"):
        second.__enter__()


# --- the device -------------------------------------------------------------------------------------------------


def test_a_gpu_that_is_not_there_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    job = plan_of("budget=tiny").job("train", "mnist", "vae", 0)
    path = folder / job.reads[0]
    artifacts.write_images(path, np.zeros((8, 1, 28, 28), np.uint8))
    record(path.parent, job.parents[0].hash)
    words = ["train", "--model", "vae", "--seed", "0", "--set", "budget=tiny", "--device", "cuda"]
    line = told(capsys, *words)
    assert "train mnist vae 0: device: found cuda, but torch sees no GPU here; expected auto or cpu" in line
    assert not (folder / "results/store").exists()
