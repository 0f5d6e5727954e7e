"""In which order the training images are shown: once an epoch each, or each class as often as is asked for.

Every sampler is a power p of the class frequency: a class of n images is drawn in proportion to n^p. `natural` is
p = 1, one pass over the images; `balanced` p = 0, each class equally often; `tempered` lies between (Mahajan et al.
2018, arXiv:1805.00932, take p = 1/2).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sampler", "balanced_order", "epoch_order", "power_of"]

Sampler = Literal["natural", "balanced", "tempered"]
Indices = NDArray[np.int64]


def power_of(sampler: Sampler, tempered: float) -> float:
    """The power of the class frequency that a sampler draws by; `tempered` is that of the sampler of this name."""
    return {"natural": 1.0, "balanced": 0.0, "tempered": tempered}[sampler]


def epoch_order(n: int, key: tuple[int, int], labels: Indices | None = None, power: float = 1.0) -> Indices:
    """Indices (n,) of an epoch's n images in the order in which they are shown; depends on the arguments alone.

    At power 1 every image is there once. Else the classes of `labels` (n,) get n shares in proportion to their size
    to that power, whole numbers whose mean over epochs is exact, and within a class no image is shown twice more
    often than another. `key` is (seed, epoch). Raises ValueError where labels are needed and missing.
    """
    generator = np.random.Generator(np.random.Philox(key=list(key)))
    if power == 1.0:
        return generator.permutation(n)
    if labels is None or labels.shape != (n,):
        raise ValueError("sampler: the training split has no labels; expected a labelled data set, or natural")
    classes, sizes = np.unique(labels, return_counts=True)
    weights = sizes.astype(np.float64) ** power
    quotas = _whole_shares(n * weights / weights.sum(), generator)
    drawn = [_in_turn(np.flatnonzero(labels == c), q, generator) for c, q in zip(classes, quotas, strict=True)]
    return generator.permutation(np.concatenate(drawn))


def balanced_order(labels: Indices, count: int, seed: int) -> Indices:
    """Indices (count,) of as many epochs as it takes in which each class of `labels` (n,) is shown equally often."""
    epochs = range(-(-count // len(labels)))
    return np.concatenate([epoch_order(len(labels), (seed, epoch), labels, 0.0) for epoch in epochs])[:count]


def _whole_shares(shares: NDArray[np.float64], generator: np.random.Generator) -> Indices:
    """Whole numbers (classes,) that sum to the shares' whole sum, each its share rounded up or down.

    Systematic sampling: one random offset for all, so that the mean of each is its share.
    """
    ends = np.concatenate([[0.0], shares.cumsum()])
    ends[-1] = round(ends[-1])
    # the offset is below 1, and the last end is whole: the sum is exact
    reached: Indices = np.floor(ends + generator.random()).astype(np.int64)
    return reached[1:] - reached[:-1]


def _in_turn(members: Indices, count: int, generator: np.random.Generator) -> Indices:
    """`count` of a class's images: all of them in a fresh random order, again and again."""
    rounds = -(-count // len(members))
    return np.concatenate([generator.permutation(members) for _ in range(rounds)] or [members[:0]])[:count]
