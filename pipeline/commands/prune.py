"""Delete files that no job of params.yaml makes, after asking: earlier results, training states, unfinished files."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterator
from itertools import groupby

from rich.filesize import decimal

from pipeline.core.errors import UserError
from pipeline.workflow import garbage, overrides, run_lock
from pipeline.workflow.garbage import UNKNOWN, Garbage

NAMED = 5
"""Things that are named of each kind before they are only counted."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--yes", action="store_true", help="delete without asking")
    parser.add_argument("--dry-run", action="store_true", help="list every path and delete nothing")
    parser.add_argument("--unknown", action="store_true", help=f"also delete {UNKNOWN}")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """List what is not needed, ask, delete."""
    if run_lock.is_live():
        raise UserError(f"{run_lock.holder()}; wait for it or stop it")
    plan = overrides.of(arguments)
    items = garbage.find(plan)
    seeds = len(plan.params.seeds_used())
    judged = f"params.yaml at the {plan.params.budget} budget with seeds={seeds}"
    if not items:
        print(f"nothing to prune: {judged} needs every stored result")
        return
    print(f"not needed by {judged} (--set for other settings)")
    print("\n".join(listing(items, whole=arguments.dry_run)))
    kept = [item for item in items if item.kind == UNKNOWN and not arguments.unknown]
    if kept:
        print(f"kept: {len(kept)} {UNKNOWN}; they may belong to another configuration (--unknown deletes them too)")
    if arguments.dry_run or len(kept) == len(items):
        return
    if not arguments.yes and not agreed():
        print("nothing was deleted")
        return
    run_lock.hold()  # no run begins while files go; what one took up while a person thought stays
    still = set(garbage.find(plan))
    delete([item for item in items if item in still and item not in kept])
    print("deleted")


def listing(everything: list[Garbage], whole: bool) -> Iterator[str]:
    """Each kind with its size, some of it or all by name, and the total."""
    for kind, group in groupby(everything, key=lambda item: item.kind):
        items = list(group)
        yield f"  {decimal(garbage.freed(items)):>9}  {kind}: {len(items)}"
        if whole:
            yield from (f"             {item.path}  ({item.what})" for item in items)
        else:
            names = list(dict.fromkeys(item.what for item in items))
            more = f", and {len(names) - NAMED} more" if names[NAMED:] else ""
            yield f"             {', '.join(names[:NAMED])}{more}"
    yield f"  {decimal(garbage.freed(everything)):>9}  in total (hard links count once)"


def agreed() -> bool:
    """What a person at a terminal says; without one nobody can be asked."""
    if not sys.stdin.isatty():
        raise UserError("nothing was deleted: no terminal for the question; use --yes to delete, --dry-run to list")
    return input("delete? [y/N] ").strip().lower() in ("y", "yes")


def delete(items: list[Garbage]) -> None:
    """Remove them, and the folders that are empty then."""
    for item in items:
        try:
            if item.path.is_dir():
                shutil.rmtree(item.path)
            else:
                item.path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{item.path}: could not be deleted: {error.strerror}; correct its permissions") from error
        with contextlib.suppress(OSError):  # the first of the folders above it that is not empty
            for folder in item.path.parents[:-2]:
                folder.rmdir()
