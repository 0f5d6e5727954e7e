"""Contestants measured in turn: ours, peer, ours, peer, ..., each for about as long, never two at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from pipeline.runtime.progress import duration

Contestant = Callable[[int], None]
"""Does n units of its work (training steps, batches of samples)."""

BEGAN = time.monotonic()


@dataclass(frozen=True)
class Pace:
    """How long each contestant's turn lasts, about, and how many rounds there are."""

    turn: float
    """Seconds."""
    rounds: int


def say(message: str) -> None:
    """A line of progress, headed by the time that passed."""
    print(f"{duration(time.monotonic() - BEGAN):>8}  {message}", file=sys.stderr, flush=True)


def seconds_of(work: Callable[..., object], *arguments: int) -> float:
    """Wall seconds of some work, whatever it left to a GPU included."""
    _finish()
    began = time.perf_counter()
    work(*arguments)
    _finish()
    return time.perf_counter() - began


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def units_per_turn(contestant: Contestant, turn: float, warm_up: int) -> int:
    """How many units fill a turn, found by doubling after the warm-up."""
    contestant(warm_up)
    units = 1
    while (seconds := seconds_of(contestant, units)) < turn / 4:
        units *= 2
    return max(1, round(units * turn / seconds))


def race(
    contestants: Mapping[str, Contestant], pace: Pace, warm_ups: Mapping[str, int] | None = None
) -> dict[str, list[float]]:
    """Units per second of every contestant in every round; within a round they take turns in their order.

    `warm_ups` are the units that a contestant does before any is timed, one where it is not named.
    """
    warm_ups = warm_ups or {}
    units = {name: units_per_turn(of, pace.turn, warm_ups.get(name, 1)) for name, of in contestants.items()}
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(pace.rounds):
        for name, contestant in contestants.items():
            rates[name].append(units[name] / seconds_of(contestant, units[name]))
    return rates
