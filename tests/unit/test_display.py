"""What is printed while a workflow runs: a line for each job that ends, the running jobs below, nothing lost."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.runtime import display
from tests.conftest import ROOT


def tell(event: LogEvent, **about: object) -> None:
    """A record as Snakemake's logger makes it."""
    logging.getLogger("snakemake.logging").error("", extra={"event": event, **about})


@pytest.fixture
def shown() -> Iterator[display.Display]:
    """What shows a run of three jobs."""
    made = display.Display(3)
    yield made
    display.SNAKEMAKE.removeHandler(made)
    made.told = time.time() + 1e6  # its threads sleep to the end of the process


def begin(jobid: int, model: str, log: Path) -> None:
    names = {"dataset": "mnist", "model": model, "seed": "0", "hash": "0123"}
    tell(LogEvent.JOB_INFO, jobid=jobid, rule_name="train", wildcards=names, log=[str(log)])


def test_a_job_has_its_progress_while_it_runs_and_one_line_when_it_ends(
    shown: display.Display, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for jobid, model in enumerate(["vae", "draw", "gan"]):
        begin(jobid, model, tmp_path / f"{model}.log")
    tell(LogEvent.JOB_INFO, jobid=3, rule_name="view_tables", wildcards={"dataset": "mnist"}, log=["view.log"])
    (tmp_path / "draw.log").write_text("     1.0s  begins\n    12.5s   34 %  34/100 steps  4 s left\n")
    (tmp_path / "gan.log").write_text("    99.0s  of an earlier process\n")
    os.utime(tmp_path / "gan.log", (1, 1))
    head, first, *others = shown.lines(2)
    assert head == "0 of 3 jobs done, 3 running, 0 s"
    assert first.split() == ["train", "mnist", "draw", "0", "34", "%", "34/100", "steps", "4", "s", "left"]
    assert others == [f"  {'train mnist vae 0':<28} ", "and 1 more"]
    tell(LogEvent.JOB_FINISHED, job_id=1)
    tell(LogEvent.JOB_FINISHED, job_id=3)
    (tmp_path / "vae.log").write_text("     1.0s  begins\nno room; make room\n")
    tell(LogEvent.JOB_ERROR, jobid=0, log=["vae.log", "slurm.log"])
    assert shown.lines(9)[0] == "1 of 3 jobs done, 1 running, 0 s"
    assert capsys.readouterr().err.splitlines() == [
        f"{'train mnist draw 0':<28}  34 %  34/100 steps  4 s left (1 of 3 jobs, 0 s)",
        f"{'train mnist vae 0':<28} failed after 0 s: no room; make room (log: vae.log slurm.log)",
    ]


def test_a_run_without_a_terminal_says_how_far_it_is_whenever_it_is_quiet_for_long(
    shown: display.Display, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(0, "draw", tmp_path / "log")
    (tmp_path / "log").write_text("     9.0s   34 %  34/100 steps  4 s left\n")
    shown.tell_when_quiet(seconds=3600)
    shown.tell_when_quiet(seconds=0.05)
    told = ""
    while told.count("easel: ") < 2:
        told += capsys.readouterr().err
    lines = ["easel: 0 of 3 jobs done, 1 running, N s", f"  {'train mnist draw 0':<28}  34 %  34/100 steps  4 s left"]
    assert re.sub(r"running, \d+ s", "running, N s", told).splitlines()[:4] == lines * 2


@pytest.mark.parametrize(
    ("level", "message", "is_shown"),
    [
        (logging.INFO, "Nothing to be done", True),
        (logging.INFO, "Building DAG of jobs...", False),
        (logging.WARNING, "No SLURM account given, trying to guess.", False),
        (logging.WARNING, "MinJobAge 300s (>= 60s). 'squeue' should work reliably for status queries.", False),
        (logging.WARNING, "MinJobAge 5s (< 60s). This may cause 'squeue' to miss recently finished jobs.", True),
        (logging.ERROR, 'RuleException:\nCalledProcessError in file "stages.smk"', False),
        (logging.ERROR, "MissingOutputException in rule train", True),
    ],
)
def test_snakemake_prints_what_no_line_of_a_job_says(level: int, message: str, is_shown: bool) -> None:
    handler = logging.NullHandler()
    handler.name = "DefaultStreamHandler"
    display.SNAKEMAKE.addHandler(handler)
    try:
        display.silence_snakemake()
    finally:
        display.SNAKEMAKE.removeHandler(handler)
    assert bool(handler.filter(logging.LogRecord("", level, "", 0, message, None, None))) == is_shown


@pytest.mark.parametrize("silenced", [False, True])
def test_on_a_terminal_every_line_of_every_process_is_printed_once_and_the_last_lines_go(silenced: bool) -> None:
    code = f"""
import os, subprocess, sys
from pipeline.runtime.display import Screen
screen = Screen(lambda most: ["1 of 2 jobs done"])
print("mine", file=sys.stderr, flush=True)
subprocess.run([sys.executable, "-c", "import sys; print('a terminal:', sys.stderr.isatty(), file=sys.stderr)"])
if {silenced}:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
screen.close()
print("after", file=sys.stderr, flush=True)
"""
    terminal, other = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdin=other, stdout=other, stderr=other)
    os.close(other)
    text = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert done.returncode == 0, text
    lines = [re.sub(r"\x1b\[[0-9?]*[a-zA-Z]|\r", "", line) for line in text.splitlines()]
    assert [lines.count(line) for line in ("mine", "a terminal: False", "after")] == [1, 1, not silenced]
    assert text.rindex("\x1b[2K") > text.rindex("1 of 2 jobs done")
