"""What a stage says of its progress: a terminal gets lines now and then, a file none but the log's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.runtime import progress


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_of_a_loop_is_for_a_terminal_and_the_log(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "TERMINAL_EVERY", 0.0)
    told = progress.Progress("train mnist vae 0", tmp_path / "a.log")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    told.step(30, 40, unit="steps")
    told.say("done")
    told.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 + terminal and lines[-1].endswith("done")
    assert "75 %  30/40 steps" in (tmp_path / "a.log").read_text()


@pytest.mark.parametrize("followed", [True, False])
def test_in_a_workflow_the_last_line_is_left_to_its_display(
    followed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if followed:
        monkeypatch.setenv(progress.FOLLOWED, "yes")
    told = progress.Progress("train mnist vae 0", tmp_path / "a.log")
    told.say("resumed")
    told.note("for the log")
    told.end()
    told.say("ok")
    told.end()
    told.close()
    printed = [line.split()[-1] for line in capsys.readouterr().err.splitlines()]
    assert printed == ["resumed", "done", "ok"][: 2 if followed else 3]
    logged = [line.split()[-1] for line in (tmp_path / "a.log").read_text().splitlines()]
    assert logged == ["resumed", "log", "done", "ok"]
