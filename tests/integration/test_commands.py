"""`python -m pipeline NAME`: stages and commands are found by existing; each has its own flags and its own help."""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline import cli as cli
from pipeline.core.errors import UserError
from pipeline.workflow import overrides
from tests.conftest import ROOT, run, stage

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


def test_help_lists_every_stage_and_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "--help")[0] == 0
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


def test_every_command_has_the_two_functions() -> None:
    for name in cli.commands():
        module = importlib.import_module(f"pipeline.commands.{name}")
        assert callable(module.arguments) and callable(module.run)


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
        (ZeroDivisionError("one\ntwo"), 70, "easel: ponder: ZeroDivisionError: one two (a bug here; traceback in"),
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


def test_torchs_own_words_for_an_error_of_the_disk_are_one_line_with_a_remedy(
    capsys: pytest.CaptureFixture[str], made_up: Callable[[Command], None], tmp_path: Path
) -> None:
    missing = tmp_path / "weights.safetensors"
    with pytest.raises(RuntimeError) as told:
        torch.UntypedStorage.from_file(str(missing), False, 8)  # as safetensors maps a file of weights into memory
    words = str(told.value).replace("No such file or directory (2)", "Permission denied (13)")

    def broken(arguments: argparse.Namespace) -> None:
        raise RuntimeError(words)

    made_up(broken)
    line = f"easel: ponder: {missing}: Permission denied; correct its permissions, then run the same command again\n"
    assert ended(capsys, "ponder") == (1, line)


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    words = f"set -o pipefail; {sys.executable} -m pipeline train --model draw --seed 0 --print-spec | true"
    done = run(["bash", "-c", words], tmp_path, PYTHONPATH=str(ROOT))
    assert done.stderr == ""
    assert stage(tmp_path, "train", "--model", "draw", "--seed", "0", "--print-spec").returncode == 0
