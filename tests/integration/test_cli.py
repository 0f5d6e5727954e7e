"""`python -m pipeline`: what it finds and how it ends; a mistake is one line and an exit code, never a traceback."""

from __future__ import annotations

import argparse
import json
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline import cli as cli
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.runtime.job_context import sole_writer
from pipeline.workflow import overrides
from tests.conftest import ROOT, plan_of, run, told
from tests.stored import record

Command = Callable[[argparse.Namespace], int | None]


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Command], None]:
    """Put a command `ponder` beside the real ones; it runs in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def make(run: Command) -> None:
        module = types.ModuleType("pipeline.commands.ponder")
        module.arguments = overrides.add  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pipeline.commands.ponder", module)
        monkeypatch.setattr(cli, "commands", lambda: {"ponder": "Think."})

    return make


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int | str | None, str]:
    """The exit code of a command line and its complaint."""
    with pytest.raises(SystemExit) as caught:
        cli.main(list(words))
    return caught.value.code, capsys.readouterr().err


# --- stages and commands -----------------------------------------------------------------------------------------


def test_help_lists_every_stage_and_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert cli.stages() and cli.commands()
    for name, line in {**cli.stages(), **cli.commands()}.items():
        assert line, f"{name} says nothing of itself"
        assert f"  {name:<20} {line}" in text
    assert not set(cli.stages()) & set(cli.commands()), "one name, one meaning"


def test_every_name_has_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name, line in {**cli.stages(), **cli.commands()}.items():
        with pytest.raises(SystemExit) as caught:
            cli.main([name, "--help"])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: python -m pipeline {name} ")
        assert line[:40] in text
        assert ("--job" in text) == (name in cli.stages())


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ["torch", "numpy", "pydantic", "yaml", "mlflow", "dvc", "pandas", "pyarrow", "scipy"]
    code = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)\n"
    )
    for words in (["--help"], ["train", "--help"]):
        done = run([sys.executable, "-c", code, *words], tmp_path, PYTHONPATH=str(ROOT))
        assert done.stderr.strip() == "[]"


def test_a_commands_exit_code_is_the_processes(
    capsys: pytest.CaptureFixture[str], made_up: Callable[[Command], None]
) -> None:
    made_up(lambda arguments: 3)
    assert ended(capsys, "ponder") == (3, "")
    made_up(lambda arguments: 0)
    cli.main(["ponder"])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("the key: found a, expected b"), 1, "easel: ponder: the key: found a, expected b"),
        (KeyboardInterrupt(), 130, "easel: ponder: interrupted"),
        (ZeroDivisionError("one\ntwo"), 70, "easel: ponder: ZeroDivisionError: one two (a bug in easel; traceback in"),
    ],
)
def test_whatever_a_command_raises_is_one_line(
    capsys: pytest.CaptureFixture[str],
    made_up: Callable[[Command], None],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    def broken(arguments: argparse.Namespace) -> None:
        raise error

    made_up(broken)
    found, text = ended(capsys, "ponder")
    assert found == code and text.startswith(line) and len(text.splitlines()) == 1
    log = Path("logs/commands/ponder.log")
    assert log.exists() == (code == 70)
    if code == 70:
        assert "Traceback" in log.read_text()


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    words = f"set -o pipefail; {sys.executable} -m pipeline train --model draw --seed 0 --print-spec | true"
    done = run(["bash", "-c", words], tmp_path, PYTHONPATH=str(ROOT))
    assert done.stderr == ""


# --- what is typed wrongly --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["trian", "--model", "vae"], 2, "unknown stage or command 'trian'; did you mean 'train'?"),
        (["zzz"], 2, "unknown stage or command 'zzz'; there are: augment, battle, "),
        ([], 2, "the following arguments are required: NAME"),
        (["train", "--sede", "0"], 2, "unrecognized arguments: --sede 0; see python -m pipeline train --help"),
        (["train", "--model", "vae", "--seed", "one"], 2, "--seed: found one, expected a whole number, 0 or more"),
        (["train", "--device", "gpu"], 2, "invalid choice: 'gpu'"),
        (["prepare", "--dataset", "mnits"], 1, "unknown data set 'mnits'; did you mean 'mnist'?"),
        (["train", "--model", "drw", "--seed", "0"], 1, "unknown model 'drw'; did you mean 'draw'?"),
        (["train", "--seed", "0"], 1, "this stage takes --dataset and --model and --seed; found --dataset --seed"),
        (
            ["battle", "--model", "gran3", "--seed", "0"],
            1,
            "this stage takes --dataset and --model; found --dataset --model --seed",
        ),
        (["prepare", "--model", "vae", "--seed", "0"], 1, "this stage takes --dataset; found --dataset --model --seed"),
        (["status", "--cores", "x"], 2, "--cores: found x, expected a whole number, 1 or more"),
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


def test_a_folder_without_params_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "params.yaml").unlink()
    assert "params.yaml: No such file or directory; expected a YAML file; run from the folder that holds it" in told(
        capsys, "prepare"
    )


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
    path = r"data/raw/mnist/\.fetched/[0-9a-f]{16}/fetched\.json"
    assert re.search(rf"easel: prepare mnist: ({path}): not there yet, and .*`snakemake --cores all \1` with", line)


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
