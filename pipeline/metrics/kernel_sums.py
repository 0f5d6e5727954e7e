"""Sums of a kernel over pairs of points, kept by pairs of groups: what a jackknife needs to leave a group out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.metrics.distances import chunks

Entries = Callable[[slice, slice], Tensor]
"""Kernel values (rows, columns) of the points in two slices."""


def block_sums(rows: Sequence[int], columns: Sequence[int], entries: Entries, *, symmetric: bool = False) -> Tensor:
    """Sums of `entries` over every group of rows and group of columns, (G, G) float64, in bounded memory.

    Points are sorted by group; `rows` and `columns` are the groups' sizes. `symmetric` computes only blocks on and
    above the diagonal.
    """
    sums = torch.zeros(len(rows), len(columns), dtype=torch.float64)
    first_row = 0
    for g, size in enumerate(rows):
        first = first_row if symmetric else 0
        sizes = list(columns[g:] if symmetric else columns)
        for part in chunks(size, sum(sizes)):
            strip = entries(slice(first_row + part.start, first_row + part.stop), slice(first, first + sum(sizes)))
            per_column = strip.sum(dim=0).double()
            sums[g, -len(sizes) :] += torch.stack([group.sum() for group in torch.split(per_column, sizes)])
        first_row += size
    return sums.triu() + sums.triu(1).T if symmetric else sums


@dataclass(frozen=True)
class KernelSums:
    """Sums of a kernel within the real points, within the generated ones and across, each (G, G) by groups.

    The sums within have no k(x, x) in them.
    """

    real: Tensor
    fake: Tensor
    cross: Tensor
    real_sizes: Tensor
    fake_sizes: Tensor

    def unbiased(self, without: int | None = None) -> float:
        """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3), optionally without group `without`.

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j); it may be negative.
        """
        keep = torch.arange(len(self.real_sizes)) != (-1 if without is None else without)
        m, n = self.real_sizes[keep].sum(), self.fake_sizes[keep].sum()
        real, fake, cross = (block[keep][:, keep].sum() for block in (self.real, self.fake, self.cross))
        return (real / (m * (m - 1)) + fake / (n * (n - 1)) - 2 * cross / (m * n)).item()

    def without_each(self) -> list[float]:
        """The same statistic without each group in turn."""
        return [self.unbiased(g) for g in range(len(self.real_sizes))]
