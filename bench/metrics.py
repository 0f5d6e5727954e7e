"""Metrics, seconds and memory: ours beside the public tools, in processes of their own that take turns."""

from __future__ import annotations

import importlib.metadata
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from bench.apart import Child, Measured, NotMeasured, child
from bench.asked import Asked, Task
from bench.rows import Row, alone, compared
from bench.timing import say

MODULE, PREPARED = "bench.metric_work", "prepared"


@dataclass(frozen=True)
class Contest:
    """One quantity: who computes it, by the functions of bench/metric_work.py."""

    what: str
    name: str
    space: str
    d: int
    peers: tuple[str, ...]
    """Distributions of which each has a function `by_<distribution>_<name>`."""
    note: str = ""

    def setting(self, n: int) -> str:
        """In words."""
        return f"{n:,} against {n:,}, d = {self.d}"

    def function(self, peer: str) -> str:
        """Of a peer."""
        return f"by_{peer.removesuffix('-cpu').replace('-', '_')}_{self.name}"


SUBSETS = "theirs: 100 subsets of 1,000; ours: all pairs"
CONTESTS = (
    Contest("Frechet distance", "frechet", "features", 784, ("torch-fidelity", "torchmetrics")),
    Contest("Frechet distance", "frechet", "features", 2048, ("torch-fidelity", "torchmetrics")),
    Contest("KID", "kid", "features", 2048, ("torch-fidelity", "torchmetrics"), SUBSETS),
    Contest("MMD, five Gaussian kernels", "mmd", "pixels", 784, ("scikit-learn",)),
    Contest("precision, recall, density, coverage, k = 5", "prdc", "features", 784, ("prdc",)),
    Contest("1-NN, leave one out, both sets together", "nn1", "pixels", 784, ("scikit-learn", "faiss-cpu")),
    Contest("5-NN, half judges half", "knn", "pixels", 784, ("scikit-learn",)),
)


def versioned(distribution: str) -> str:
    """A peer's name and version."""
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return distribution


def measured(contest: Contest, n: int, asked: Asked) -> list[Row]:
    """A row for each peer; one that cannot be had is a loud line and an empty cell."""
    row = Row("metrics", contest.what, contest.setting(n), "s", note=contest.note)
    with ExitStack() as stack:
        started: dict[str, Child] = {}
        found: dict[str, list[Measured]] = {}
        missing: dict[str, str] = {}
        for who, function in {
            "ours": f"ours_{contest.name}",
            **{p: contest.function(p) for p in contest.peers},
        }.items():
            process = stack.enter_context(child(MODULE, PREPARED, asked.threads))
            try:
                process.prepare(by=function, space=contest.space, n=n, d=contest.d)
                found[who] = [process.go()]  # its memory counts, its time does not: it is the first
                started[who] = process
            except NotMeasured as error:
                if who == "ours":
                    raise
                missing[who] = str(error)
                say(f"NOT MEASURED: {contest.what} by {who}: {error}")
        for _ in range(asked.pace.rounds):
            for who, process in started.items():
                found[who].append(process.go())
    return [_compared(row, who, found, missing.get(who)) for who in contest.peers]


def _compared(row: Row, peer: str, found: dict[str, list[Measured]], missing: str | None) -> Row:
    row = replace(row, memory_mb=found["ours"][0].memory_mb)
    ours = [run.seconds for run in found["ours"][1:]]
    if missing is not None:
        row = alone(row, ours)
        row.peer, row.note = versioned(peer), "; ".join(filter(None, [row.note, f"peer not measured: {missing}"]))
        return row
    row.peer_memory_mb = found[peer][0].memory_mb
    row.agreement = agreement(found["ours"][0].values, found[peer][0].values)
    return compared(row, ours, versioned(peer), [run.seconds for run in found[peer][1:]])


def agreement(ours: dict[str, float], theirs: dict[str, float]) -> str:
    """Both values, and by how much they differ at most, relative to theirs."""
    gaps = [abs(ours[name] - value) / max(abs(value), 1e-300) for name, value in theirs.items()]
    if len(theirs) == 1:
        (name,) = theirs
        return f"{ours[name]:.6g} and {theirs[name]:.6g}, off by {gaps[0]:.1e}"
    return f"{len(theirs)} values, off by {max(gaps):.1e}"


def tasks(asked: Asked) -> list[Task]:
    """One per quantity."""
    contests, n = (CONTESTS[:1], 1000) if asked.quick else (CONTESTS, 10_000)
    return [
        Task(f"metrics: {contest.what}, d = {contest.d}", partial(measured, contest, n, asked)) for contest in contests
    ]
