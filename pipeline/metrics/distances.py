"""Squared distances between many points, in chunks: exact where the points are 8-bit pixels.

Pixels k / 255 become whole numbers again and their products are summed in int32: no rounding, so equal distances
are equal (ties are real ties) and a training image is at distance 0 from its copy. Other points are centred first,
which takes most of the cancellation out of |a|^2 - 2ab + |b|^2.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.metrics.linear_algebra import inner_products

CHUNK_ELEMENTS = 2_000_000
"""Entries of a distance matrix held at once: 8 MB in float32, small enough to stay in the cache."""

TILE_COLUMNS = 4096
"""Points whose distances are computed together where many are searched: wide products take much scratch memory."""

PAIRS = 128
"""Pairs of points that are measured together: 0.8 MB of float64 at 784 dimensions, which stay in the cache."""

LARGEST_WHOLE = 16_384
"""Most dimensions for which 2 * d * 255^2 fits in int32."""


@dataclass(frozen=True)
class Points:
    """n points made ready for distances: `rows` (n, d) int8, float32 or float64, and their squared norms (n,)."""

    rows: Tensor
    norms: Tensor
    unit: float
    """Squared distances are in this unit: 1 / 255^2 for whole numbers, else 1."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | Tensor) -> Points:
        return Points(self.rows[index], self.norms[index], self.unit)


def prepare(*sets: Tensor, precise: bool = False) -> list[Points]:
    """Make sets of points (n_i, d) comparable: all as whole numbers, or all centred on the first one's mean.

    `precise` keeps float64 where the points are no whole numbers: for low dimensions and strict comparisons.
    """
    if sets[0].shape[1] <= LARGEST_WHOLE and all(map(_is_8_bit, sets)):
        return [_whole_points(x) for x in sets]
    kind = torch.float64 if precise else torch.float32
    centre = sets[0].double().mean(dim=0)
    centred = [(x - centre.to(x.dtype)).to(kind) for x in sets]
    return [Points(x, x.square().sum(dim=1), 1.0) for x in centred]


def _is_8_bit(x: Tensor) -> bool:
    return all(bool(((part * 255).round() / 255 == part).all()) for part in torch.split(x, 2000))


def _whole_points(x: Tensor) -> Points:
    # shifted by 128 to fit int8: distances do not change
    rows = torch.cat([(part * 255).round().sub_(128).to(torch.int8) for part in torch.split(x, 2000)])
    norms = torch.cat([part.int().square().sum(dim=1, dtype=torch.int32) for part in torch.split(rows, 2000)])
    return Points(rows, norms, 1 / 255**2)


def squared_distances(a: Points, b: Points) -> Tensor:
    """(len(a), len(b)) squared distances in `a.unit`: int32 for whole numbers."""
    if a.rows.dtype == torch.int8:
        product = whole_products(a.rows, b.rows)
        return product.mul_(-2).add_(a.norms[:, None]).add_(b.norms)
    product = inner_products(a.rows, b.rows).mul_(-2)
    return product.add_(b.norms).add_(a.norms[:, None]).clamp_min_(0)


def whole_products(a: Tensor, b: Tensor) -> Tensor:
    """Products (n, m) int32 of whole numbers (n, d) and (m, d) int8, exact on every machine."""
    if adds_exactly(a.device.type):
        return torch._int_mm(a, b.T)
    half, odd = b >> 1, b & 1  # b = 2 half + odd: no pair of products of either leaves 16 bits
    return torch._int_mm(a, half.T).mul_(2).add_(torch._int_mm(a, odd.T))


@functools.cache
def adds_exactly(device: str) -> bool:
    """Whether int8 products are summed without loss here.

    A CPU without VNNI adds products in pairs in 16 bits, where the largest of them saturate.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 2, (64, 784), generator=generator).mul_(255).sub_(128).to(torch.int8) for _ in "ab")
    return bool((torch._int_mm(a.to(device), b.to(device).T).cpu() == a.int() @ b.int().T).all())


def cast(points: Points, kind: torch.dtype) -> Points:
    """In float32, where squared distances are off by at most `rounding`, or in float64; pixels stay whole numbers."""
    if points.rows.dtype in (torch.int8, kind):
        return points
    rows = points.rows.to(kind)
    return Points(rows, rows.square().sum(dim=1), points.unit)


def rounding(a: Points, b: Points) -> float:
    """How far `squared_distances` of a and b in float32 may be from those of the points themselves; 0 for pixels.

    An inner product of d terms is off by at most d eps |a| |b| (Higham, Accuracy and Stability, 3.1), a norm by
    d eps |a|^2, the points by eps |a| each.
    """
    if a.rows.dtype == torch.int8:
        return 0.0
    largest = a.norms.max().item() + b.norms.max().item()
    return 2 * (a.rows.shape[1] + 8) * torch.finfo(torch.float32).eps * largest


def pair_distances(a: Points, i: Tensor, b: Points, j: Tensor) -> Tensor:
    """Squared distances (p,) of points a[i] and b[j] from their differences, without cancellation; float64."""
    found = [torch.zeros(0, dtype=torch.float64)]
    for left, right in zip(i.split(PAIRS), j.split(PAIRS), strict=True):
        difference = a.rows[left].double().sub_(b.rows[right])
        found.append(torch.linalg.vecdot(difference, difference))
    return torch.cat(found)


def within(distances: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the entries of (n, m) that are at most `reach`, which is broadcast; in order."""
    flat = torch.from_numpy(np.flatnonzero((distances <= reach).numpy()))  # at half of torch's time
    return flat // distances.shape[1], flat % distances.shape[1]


def chunks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of `rows` such that a slice times `columns` stays within `CHUNK_ELEMENTS`."""
    step = max(1, CHUNK_ELEMENTS // columns)
    return (slice(first, min(first + step, rows)) for first in range(0, rows, step))


def nearest(queries: Points, base: Points, k: int, *, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Squared distances (n, k) and indices (n, k) of every query's k nearest points; ties by the lowest index.

    `own` (n,) says which point each query is itself: a point is not its own neighbour.
    """
    # narrow tiles are multiplied faster, but their k nearest merge slowly
    width = TILE_COLUMNS if k == 1 else len(base)
    found = []
    for rows in chunks(len(queries), min(width, len(base))):
        of_tiles = [_nearest_in_tile(queries, base, k, rows, first, width, own) for first in range(0, len(base), width)]
        values, indices = (torch.cat(parts, dim=1) for parts in zip(*of_tiles, strict=True))
        if len(of_tiles) > 1:
            values, best = smallest(values, k)  # the first of equal ones is of the first tile
            indices = indices.gather(1, best)
        found.append((values, indices))
    values, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    return values, indices


def _nearest_in_tile(
    queries: Points, base: Points, k: int, rows: slice, first: int, width: int, own: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What `nearest` returns for some queries among the points from `first` on, `width` of them at most."""
    distances = squared_distances(queries[rows], base[first : first + width])
    if own is not None:
        mask_own(distances, own[rows] - first)
    values, indices = smallest(distances, k)
    return values, indices + first


def nearest_distances(queries: Points, base: Points) -> Tensor:
    """Euclidean distance (n,) from every query to its nearest point, float64."""
    return (nearest(queries, base, 1)[0].squeeze(1).double() * base.unit).sqrt()


def mask_own(distances: Tensor, own: Tensor) -> None:
    """Put each point's distance to itself beyond all others, in place; row i of (m, n) is of the point own[i].

    Where own[i] is no column of `distances` nothing changes.
    """
    largest = torch.inf if distances.is_floating_point() else torch.iinfo(distances.dtype).max
    rows = ((own >= 0) & (own < distances.shape[1])).nonzero().squeeze(1)
    distances[rows, own[rows]] = largest


def smallest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest entries of every row, ascending, and their columns, equal ones by the lowest column."""
    if k == 1:  # NumPy's takes a twentieth of topk's time, and the first of equal ones
        first = torch.from_numpy(distances.numpy().argmin(1))[:, None]
        return distances.gather(1, first), first
    extra = min(k + 1, distances.shape[1])
    values, indices = distances.topk(extra, dim=1, largest=False)
    # topk picks any of equal entries: rows that have some are sorted again, stably
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().squeeze(1)
    if len(tied):
        order = distances[tied].sort(dim=1, stable=True)
        values[tied], indices[tied] = order.values[:, :extra], order.indices[:, :extra]
    return values[:, :k], indices[:, :k]
