"""What two-sample tests by classifier share (Renkila et al. section IV-B): the 50:50 mixes, and the error rates of a
verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.metrics.comparison import Estimate
from pipeline.metrics.intervals import larger


@dataclass(frozen=True)
class Halves:
    """Two disjoint 50:50 mixes of real and generated points: one to train a classifier on, one to test it on.

    `*_points` (n, d); `*_generated` (n,) bool, true for generated points.
    """

    train_points: Tensor
    train_generated: Tensor
    test_points: Tensor
    test_generated: Tensor


def draw_halves(*, real: Tensor, fake: Tensor, seed: int) -> Halves:
    """Stratified random halves of points (n, d) and (m, d); the larger set is cut down at random to the smaller.

    Each mix is in random order, so that 'the lowest index' favours neither side.

    Raises:
        ValueError: a set of one point has no half.
    """
    n = min(len(real), len(fake))
    if n < 2:
        raise ValueError(f"halves need two points of each kind, got {len(real)} real and {len(fake)} generated")
    generator = torch.Generator().manual_seed(seed)
    real_rows, fake_rows = (torch.randperm(len(x), generator=generator)[:n] for x in (real, fake))
    mixes: list[Tensor] = []
    for part in (slice(0, n // 2), slice(n // 2, n)):
        points = torch.cat([real[real_rows[part]], fake[fake_rows[part]]])
        generated = torch.arange(len(points)) >= len(points) // 2
        order = torch.randperm(len(points), generator=generator)
        mixes += [points[order], generated[order]]
    return Halves(*mixes)


Verdict = tuple[Tensor, Tensor]
"""Which test points are generated (n,) bool, and which were called so (n,) bool."""


def groups_of(n: int, groups: int) -> Tensor:
    """Group (n,) of every point of a mix, for the jackknife; the mix is in random order already."""
    return torch.arange(n) % groups


def wrong(verdict: Verdict) -> dict[str, Tensor]:
    """Error indicators: '' of all test points, '_real' real ones called generated, '_generated' the reverse."""
    generated, called = verdict
    return {"": called != generated, "_real": called[~generated], "_generated": ~called[generated]}


def error_columns(
    name: str,
    verdict: Verdict,
    others: Sequence[Verdict],
    interval: Callable[[Tensor, Sequence[Tensor]], Estimate],
) -> dict[str, Estimate]:
    """The columns of a verdict; `interval` makes an estimate of its error indicators and the other verdicts'.

    `<name>` is 1 - accuracy, `_real` the real points called generated, `_generated` the generated ones called real,
    `_max` the larger of the two as Renkila et al. have it.
    """
    wrong_elsewhere = [wrong(other) for other in others]
    found = {
        name + kind: interval(indicators, [other[kind] for other in wrong_elsewhere])
        for kind, indicators in wrong(verdict).items()
    }
    return found | {f"{name}_max": larger(found[f"{name}_real"], found[f"{name}_generated"])}
