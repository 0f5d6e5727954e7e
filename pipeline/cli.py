"""The command line: stages and commands are found by listing their folders; a mistake is one line, not a traceback."""

from __future__ import annotations

import argparse
import ast
import contextlib
import errno
import functools
import importlib
import importlib.metadata
import os
import sys
import tomllib
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pipeline.core.errors import InUse, UserError, near, one_line
from pipeline.runtime.progress import FOLLOWED
from pipeline.runtime.utf8 import restart_in_utf8
from pipeline.workflow import job_hash, layout

REMEDIES: dict[int | None, str] = {
    None: "check that it exists and is readable, and that the disk is not full",  # of a library that says no more
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "correct its permissions",
    errno.EPERM: "correct its permissions",
    errno.EIO: "the disk may be failing: delete the file or use another disk",
    errno.ENAMETOOLONG: "give a shorter path",
}
"""What a person can do about an error of the file system that no stage foresaw."""


def stages() -> dict[str, str]:
    """Stage -> first line of its module's docstring."""
    return _listed("stages")


def commands() -> dict[str, str]:
    """Command -> first line of its module's docstring."""
    return _listed("commands")


@functools.cache
def _listed(folder: str) -> dict[str, str]:
    files = sorted((job_hash.ROOT / "pipeline" / folder).glob("[!_]*.py"))
    return {
        file.stem: (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or " ").splitlines()[0]
        for file in files
    }


class Parser(argparse.ArgumentParser):
    """A command line whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """One line instead of the usage."""
        fail(f"{message}; see {self.prog} --help", 2)


def parser() -> argparse.ArgumentParser:
    """The program: its help and version, and the name of a stage or command."""
    groups = {"commands": commands(), "stages (run by Snakemake)": stages()}
    listing = [
        "\n".join([f"{title}:", *(f"  {name:<20} {line}" for name, line in names.items())])
        for title, names in groups.items()
    ]
    top = Parser(
        prog=program(),
        description="Show the workflow's results, or run a single stage.",
        epilog="\n\n".join([*listing, f"flags of a command or stage: {program()} NAME --help"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"easel {version()}")
    top.add_argument("name", metavar="NAME", help="a command or stage from the list below")
    return top


def program() -> str:
    """The name of this program as it was called: the installed script, or the module."""
    return "easel" if Path(sys.argv[0]).stem == "easel" else "python -m pipeline"


def version() -> str:
    """The version of the checkout, or of the installed package; pyproject.toml is where it is stated."""
    project = job_hash.ROOT / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return importlib.metadata.version("easel")


def fail(message: str, code: int = 1) -> NoReturn:
    """One line, then the exit code."""
    print(f"easel: {one_line(message)}", file=sys.stderr)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one stage or command; returns when all went well, else ends the process with an exit code."""
    restart_in_utf8()
    words = list(sys.argv[1:] if argv is None else argv)
    name = parser().parse_args(words[:1]).name
    known = {**commands(), **stages()}
    if name not in known:
        fail(f"unknown stage or command {name!r}{near(name, known)}", 2)
    module = importlib.import_module("pipeline.runtime.stage_cli" if name in stages() else f"pipeline.commands.{name}")
    flags = Parser(prog=f"{program()} {name}", description=known[name])
    flags.set_defaults(name=name)
    module.arguments(flags)
    arguments = flags.parse_args(words[1:])
    with errors_in_one_line(*_title_and_log(module, arguments), followed=name in stages() and FOLLOWED in os.environ):
        code = module.run(arguments)
        sys.stdout.flush()
    if code:
        sys.exit(code)


def _title_and_log(module: Any, arguments: argparse.Namespace) -> tuple[str, Path]:
    """What an error's line begins with, and where a traceback goes."""
    if hasattr(module, "title_and_log"):
        return module.title_and_log(arguments)
    return arguments.name, layout.path(layout.LOG, stage="commands", name=arguments.name)


@contextlib.contextmanager
def errors_in_one_line(title: str, log: Path, *, followed: bool = False) -> Iterator[None]:
    """End the process with one line and an exit code for whatever is raised inside.

    `followed`: a workflow's display prints the last line of a failed job's log.
    """

    def end(message: str, code: int = 1) -> NoReturn:
        written = _append(log, one_line(message), only_if_there=True)
        if followed and written and code < 128:  # ended by a signal: the display may be gone as well
            sys.exit(code)
        fail(f"{title}: {message}", code)

    try:
        yield
    except UserError as error:
        if isinstance(error, InUse):  # the log is that of the process that is at it
            fail(f"{title}: {error}", error.exit_code)
        end(str(error), error.exit_code)
    except KeyboardInterrupt:
        fail(f"{title}: interrupted", 130)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except MemoryError:
        end("out of memory; lower `batch` in params.yaml or run fewer jobs at once (--cores)")
    except Exception as error:  # the last resort: a traceback is for the log, one line for the person
        written, remedy = _append(log, traceback.format_exc()), _remedy(error)
        if remedy:
            end(f"{remedy}, then run the same command again")
        if not written:
            traceback.print_exc()
        problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        end(f"{problem} (a bug in easel; traceback in {log})", 70)


def _append(log: Path, text: str, *, only_if_there: bool = False) -> bool:
    """Whether the text could be added to a log."""
    try:  # a damaged job may name no possible file
        if only_if_there and not log.exists():
            return False
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as handle:
            print(text, file=handle)
    except OSError:
        return False
    return True


def _remedy(error: Exception) -> str | None:
    """What went wrong with a file and what to do; None for what is no error of the file system."""
    if not isinstance(error, OSError) or error.errno not in REMEDIES:
        return None
    where = f"{error.filename}: " if error.filename else ""
    problem = f"{where}{error.strerror}" if error.errno else " ".join(str(error).split())
    return f"{problem}; {REMEDIES[error.errno]}"
