"""What a person sees while a workflow runs: a line for each job that ends, on a terminal also the jobs that run.

It takes the place of Snakemake's own lines, by the events that Snakemake's interface for loggers defines.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.runtime.progress import duration
from pipeline.workflow import layout

SNAKEMAKE = logging.getLogger("snakemake.logging")
TAIL = 4096
"""Bytes of a log's end that are read for its last line."""

QUIET = 300.0
"""Seconds without a line after which a run without a terminal says how far its jobs are."""

TIME = re.compile(r" *\d+\.\ds  ")
"""What a stage's lines in its log begin with; the one that says why it failed does not."""

UNTOLD = re.compile(
    r"RuleException:\nCalledProcessError|Exiting because a job|WorkflowError:\nAt least one job"
    r"|No SLURM account|No account was given|Guessed SLURM account|Unable to guess SLURM account"
    r"|MinJobAge .* should work reliably"
)
"""Snakemake's messages that say no more than a failed job's own line, or that all is well with a Slurm."""


def silence_snakemake() -> None:
    """From now on Snakemake prints warnings, errors and that there is nothing to do; its log file has the rest."""

    def is_shown(record: logging.LogRecord) -> bool:
        message = str(record.msg)
        return message.startswith("Nothing to") or (record.levelno > logging.INFO and not UNTOLD.match(message))

    for handler in SNAKEMAKE.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(is_shown)


@dataclass
class Running:
    """A job that was started here or submitted to a queue."""

    name: str
    log: Path
    began: float

    def last_line(self) -> str:
        """The last line of its log; empty before it has written any."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            if os.fstat(file.fileno()).st_mtime >= self.began:  # else of an earlier process
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                return ("\n" + file.read().decode(errors="replace")).splitlines()[-1]
        return ""

    def progress(self) -> str:
        """The last message of its log; empty before it has written any."""
        return TIME.sub("", self.last_line(), count=1)


class Display(logging.Handler):
    """Prints a line when one of `total` jobs ends; knows which run."""

    def __init__(self, total: int) -> None:
        super().__init__(logging.INFO)
        self.total, self.done, self.began, self.told = total, 0, time.time(), time.time()
        self.running: dict[int, Running] = {}
        SNAKEMAKE.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Follow a job's start, end or failure."""
        event, of = getattr(record, "event", None), vars(record)
        if event == LogEvent.JOB_INFO and of["rule_name"] in layout.WILDCARDS:
            name = " ".join([of["rule_name"], *(of["wildcards"][key] for key in layout.WILDCARDS[of["rule_name"]])])
            self.running[of["jobid"]] = Running(name, Path(of["log"][0]), time.time())
        elif event == LogEvent.JOB_FINISHED and (job := self.running.pop(of["job_id"], None)):
            self.done += 1
            took = f"{self.done} of {self.total} jobs, {duration(time.time() - job.began)}"
            self._print(job, f"{job.progress() or 'done'} ({took})")
        elif event == LogEvent.JOB_ERROR and (job := self.running.pop(of["jobid"], None)):
            line = job.last_line()
            reason = "" if not line or TIME.match(line) else f": {line}"
            logs = " ".join(map(str, of["log"]))
            self._print(job, f"failed after {duration(time.time() - job.began)}{reason} (log: {logs})")

    def _print(self, job: Running, message: str) -> None:
        self.told = time.time()
        print(f"{job.name:<28} {message}", file=sys.stderr, flush=True)

    def tell_when_quiet(self, seconds: float = QUIET, most: int = 4) -> None:
        """From now on say how far the run is whenever no job has ended for so long."""

        def follow() -> None:
            while True:
                time.sleep(max(0.0, self.told + seconds - time.time()))
                if time.time() - self.told >= seconds:
                    self.told = time.time()
                    print("easel: " + "\n".join(self.lines(most)), file=sys.stderr, flush=True)

        threading.Thread(target=follow, daemon=True).start()

    def lines(self, most: int) -> list[str]:
        """How far the run is, then each running job's progress, those that have begun first."""
        jobs = [(job.name, job.progress()) for job in list(self.running.values())]
        jobs.sort(key=lambda job: not job[1])
        left_out = [f"and {len(jobs) - most} more"] if len(jobs) > most else []
        head = f"{self.done} of {self.total} jobs done, {len(jobs)} running, {duration(time.time() - self.began)}"
        return [head, *(f"  {name:<28} {progress}" for name, progress in jobs[:most]), *left_out]


class Screen:
    """A terminal whose last lines are renewed; what any process prints meanwhile stands above them."""

    def __init__(self, lines: Callable[[int], list[str]]) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self.terminal = os.dup(sys.stderr.fileno())
        read, write = os.pipe()
        self.pipe = os.fstat(write)
        os.dup2(write, sys.stderr.fileno())
        os.close(write)
        console = Console(file=os.fdopen(os.dup(self.terminal), "w"), highlight=False)
        self.live = Live(
            get_renderable=lambda: Text("\n".join(lines(console.height // 2)), no_wrap=True, overflow="ellipsis"),
            console=console, transient=True, refresh_per_second=1, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.live.start()
        console.show_cursor()  # a process that is killed could not show it again
        self.reader = threading.Thread(target=self._follow, args=(os.fdopen(read, errors="replace"),), daemon=True)
        self.reader.start()

    def _follow(self, printed: TextIO) -> None:
        from rich.text import Text

        for line in printed:
            self.live.console.print(Text.from_ansi(line.rstrip("\n")), soft_wrap=True)

    def close(self) -> None:
        """Remove those lines; from now on processes print to the terminal itself."""
        if os.path.samestat(self.pipe, os.fstat(sys.stderr.fileno())):  # else silenced meanwhile
            os.dup2(self.terminal, sys.stderr.fileno())
        self.reader.join(1.0)  # a process that outlives the workflow would hold it for longer
        self.live.stop()
