"""What tests of stages and commands share: a place to work in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli
from tests.conftest import ROOT

Lines = Callable[..., list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with params.yaml and nothing made yet; what a stage sets in the environment is set back."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EASEL_OWNER", raising=False)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    return tmp_path


@pytest.fixture
def lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> Lines:
    """The lines that a command prints at the tiny budget."""

    def of(name: str, *words: str) -> list[str]:
        cli.main([name, "--set", "budget=tiny", *words])
        return capsys.readouterr().out.splitlines()

    return of
