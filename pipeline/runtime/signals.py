"""How a stage is ended from outside: by a signal, in one line, or with the workflow that started it."""

from __future__ import annotations

import contextlib
import os
import platform
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a stage to end: the workflow or Slurm, a person's Ctrl-C, a terminal that was closed."""

Handler = Callable[[int, FrameType | None], None]


def answer(handler: Handler) -> None:
    """Have `handler` called for every signal that asks to end, but for those ignored from the start (nohup, &)."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def end_in_one_line(name: str) -> None:
    """From now on such a signal ends this process with one line and exit code 128 + its number.

    It ends by `SystemExit`, which no `except Exception` stops: partial files are deleted, children are killed.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)  # asked twice, it does not tidy up first
        with contextlib.suppress(OSError):  # straight to the file: Python's own may be amid another line
            line = f"easel: {name}: stopped by {signal.Signals(number).name}; run the same command to go on\n"
            os.write(sys.stderr.fileno(), line.encode())
        raise SystemExit(128 + number)

    answer(end)


def end_workflow_in_one_line() -> None:
    """From now on SIGTERM ends this Snakemake as Ctrl-C does: submitted jobs are cancelled, local stages save and end.

    Snakemake's own answer to SIGTERM is to wait until every running job has ended, which takes hours with trainings.
    What it says of the cancelled jobs goes to its log alone; each stage says by itself where it stopped.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        import psutil  # type: ignore[import-untyped]

        signal.signal(number, signal.SIG_DFL)  # asked twice, it ends at once
        with contextlib.suppress(OSError):
            word = signal.Signals(number).name
            line = f"easel: stopped by {word}: jobs are cancelled, trainings save; run the same command to go on\n"
            os.write(sys.stderr.fileno(), line.encode())
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        told = number == signal.SIGINT  # Ctrl-C reaches the stages too; told twice, they would not save
        for process in () if told else psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[1:3] == ["-m", "pipeline"]:
                    process.send_signal(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def follow_owner() -> None:
    """End with the workflow that EASEL_OWNER names as process@host, even when that was killed outright.

    Not by prctl(PR_SET_PDEATHSIG): the parent of a stage is the shell of its rule, which outlives the workflow.
    """
    process, _, host = os.environ.get("EASEL_OWNER", "").partition("@")
    if not process or host != platform.node():
        return  # started by hand, or on another machine, where that number is nobody's or a stranger's

    def follow() -> None:
        wait_for(int(process))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()


def wait_for(process: int) -> None:
    """Wait for the end of a process that need not be a child of this one."""
    with contextlib.suppress(AttributeError, OSError):  # Linux alone has these; they see a zombie's end as well
        select.select([os.pidfd_open(process)], [], [])
        return
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(process, 0)
            time.sleep(1.0)
