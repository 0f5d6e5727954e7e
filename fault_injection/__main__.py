"""`python -m fault_injection`: the fault campaigns, their progress, and a table at the end."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fault_injection import damage, errors, kills, ledger, shim, whole
from fault_injection.forks import Forks
from fault_injection.project import Project, Undisturbed

Campaign = Callable[[Project, Undisturbed, argparse.Namespace], list[ledger.Row]]


def _kills(done: Project, undisturbed: Undisturbed, asked: argparse.Namespace) -> list[ledger.Row]:
    folder = done.folder.with_name("killed")
    shutil.rmtree(folder, ignore_errors=True)
    project = Project.made(folder, done.mirror)
    return kills.campaign(project, undisturbed, asked.kills, asked.seed)


@contextlib.contextmanager
def _forks(done: Project, name: str) -> Iterator[tuple[Project, Forks]]:
    """A copy of the finished project, and the process that forks stages for it."""
    shutil.rmtree(done.folder.with_name(name), ignore_errors=True)
    project = done.copied(done.folder.with_name(name))
    library = shim.build(done.folder.parent)
    if library is None:
        sys.exit("fault injection: NOT CHECKED: errors and damage need a C compiler (cc); see --only")
    with contextlib.closing(Forks(library, project.environ())) as forks:
        yield project, forks


def _errors(done: Project, undisturbed: Undisturbed, asked: argparse.Namespace) -> list[ledger.Row]:
    with _forks(done, "errors") as (project, forks):
        return errors.campaign(project, undisturbed, forks, asked.points, asked.seed)


def _damage(done: Project, undisturbed: Undisturbed, asked: argparse.Namespace) -> list[ledger.Row]:
    with _forks(done, "damaged") as (project, forks):
        return damage.campaign(project, undisturbed, forks, asked.workflows, asked.seed)


def _whole(done: Project, undisturbed: Undisturbed, asked: argparse.Namespace) -> list[ledger.Row]:
    return whole.campaign(done, undisturbed, shim.build(done.folder.parent), asked.seed)


CAMPAIGNS: dict[str, Campaign] = {"errors": _errors, "damage": _damage, "whole": _whole, "kills": _kills}


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m fault_injection", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(CAMPAIGNS), default=list(CAMPAIGNS), help="default: all")
    parser.add_argument("--kills", type=int, default=200, help="how often something is killed (default: 200)")
    parser.add_argument("--points", type=int, default=40, help="calls of a stage that each error strikes (default: 40)")
    parser.add_argument("--workflows", type=int, default=12, help="files damaged under the workflow (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--folder", type=Path, help="where the copies of the project go (default: a temporary folder)")
    parser.add_argument("--to", type=Path, help="a file for the table, as CSV")
    return parser.parse_args()


def finished(folder: Path) -> Project:
    """A copy of the project in which everything was made once, undisturbed; one that is there already will do.

    The other copies fetch from $DATA_MIRROR or, where that is not set, from what this one fetched.
    """
    mirror = Path(os.environ.get("DATA_MIRROR") or folder / "data/raw")
    if not (folder / "said.txt").exists():
        ledger.say(f"the undisturbed run, in {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        done = Project.made(folder, mirror).run()
        if done.returncode:
            sys.exit(f"fault injection: the undisturbed run failed:\n{done.stderr}")
        (folder / "said.txt").write_text(done.stderr)
    return Project(folder, mirror)


def main() -> int:
    """Run the campaigns; 1 if anything was lost or wrong."""
    asked = arguments()
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="chaos-"))).absolute()
    done = finished(folder / "undisturbed")
    rows: list[ledger.Row] = []
    for name in asked.only:
        ledger.say(f"campaign: {name}")
        rows += CAMPAIGNS[name](done, Undisturbed.of(done), asked)
        print(ledger.table(rows), flush=True)
        if asked.to:
            ledger.write(asked.to, rows)
    return int(any(row.wrong or row.equal < row.runs for row in rows))


if __name__ == "__main__":
    sys.exit(main())
