"""Splits of a data set, and the summary that is written beside each.

A labelled set is split class by class, so that a class of three images is in every split (the imbalanced sets of
Renkila et al. have classes of under ten). The draw depends on the seed and, within a class, on that class's images
alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.loaded import Loaded

__all__ = ["hold_out", "mean_image", "parted", "summary"]

Indices = NDArray[np.int64]


Part = tuple[NDArray[np.uint8], NDArray[np.int64] | None, Indices]
"""Images, labels or None, and which of them a split has."""


def parted(loaded: Loaded, *, valid: float, test: float, seed: int, limit: int | None = None) -> dict[str, Part]:
    """The splits train, valid and test: the source's own, and what it has none of drawn from its training images.

    `valid` and `test` are counts, or shares of the training images where they are below 1; at most `limit` images of
    each of the source's splits are used. Raises ValueError where so many cannot be drawn.
    """
    images, labels = loaded.train_images, loaded.train_labels
    left = first_of(labels, len(images), limit)
    total = len(left)
    parts: dict[str, Part] = {}
    parts["test"] = (
        loaded.test_images,
        loaded.test_labels,
        first_of(loaded.test_labels, len(loaded.test_images), limit),
    )
    to_draw = {"test": test} if not len(loaded.test_images) else {}
    if loaded.valid_images is None:
        to_draw["valid"] = valid
    else:
        chosen = first_of(loaded.valid_labels, len(loaded.valid_images), limit)
        parts["valid"] = (loaded.valid_images, loaded.valid_labels, chosen)
    for done, (split, part) in enumerate(to_draw.items(), start=1):
        own, keep = None if labels is None else labels[left], 1 + len(to_draw) - done
        stay, drawn = hold_out(own, len(left), count=_count(part, own, total, keep), seed=seed, keep=keep)
        parts[split], left = (images, labels, left[drawn]), left[stay]
    return {"train": (images, labels, left)} | parts


def first_of(labels: NDArray[np.int64] | None, n: int, limit: int | None) -> Indices:
    """Indices of at most `limit` of n images: the first, or the first of each class, in proportion to its size.

    Raises ValueError where there are more classes than images to choose.
    """
    if limit is None or limit >= n:
        return np.arange(n)
    if labels is None:
        return np.arange(limit)
    classes, owner, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if limit < len(classes):
        raise ValueError(f"limit: found {limit}, expected at least one image for each of {len(classes)} classes")
    order = np.argsort(owner, kind="stable")
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.flatnonzero(rank < _quotas(sizes, limit, 0)[owner])


def _count(part: float, labels: NDArray[np.int64] | None, n: int, keep: int) -> int:
    """How many images a share of n is: as many as the classes ask for where that is more."""
    if part >= 1:
        return int(part)
    least = 1
    if labels is not None:
        least = max(1, int((np.unique(labels, return_counts=True)[1] > keep).sum()))
    return max(least, round(part * n))


SMALLEST = 3
"""Images of a class that is in every split."""


def hold_out(
    labels: NDArray[np.int64] | None, n: int, *, count: int, seed: int, keep: int = 1
) -> tuple[Indices, Indices]:
    """Indices of the n - count examples that stay and of the `count` drawn at random, both ascending.

    With `labels` (n,) the draw is stratified: every class gives its share to within one image where it can, at
    least one image if it has more than `keep`, and at least `keep` of them stay. Where a third split is drawn from
    what stays, the first draw takes keep=2: then a class of three images is in all three.
    Raises ValueError where `count` cannot be drawn.
    """
    if not 0 <= count < n:
        raise ValueError(f"cannot hold out {count} of {n} examples")
    if labels is None:
        drawn = _draw(np.arange(n), count, seed, 0)
    else:
        if labels.shape != (n,):
            raise ValueError(f"expected {n} labels, found shape {labels.shape}")
        classes, sizes = np.unique(labels, return_counts=True)
        quotas = _quotas(sizes, count, keep)
        drawn = np.concatenate(
            [_draw(np.flatnonzero(labels == c), q, seed, int(c)) for c, q in zip(classes, quotas, strict=True)]
        )
    held = np.zeros(n, dtype=bool)
    held[drawn] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def _draw(members: Indices, count: int, seed: int, stream: int) -> Indices:
    generator = np.random.Generator(np.random.Philox(key=[seed, stream]))
    return generator.permutation(members)[:count]


def _quotas(sizes: Indices, count: int, keep: int) -> Indices:
    """How many to draw from each class, (classes,): the largest-remainder shares, within each class's bounds."""
    ideal = count * sizes / sizes.sum()
    most: Indices = np.maximum(sizes - keep, 0)
    least = np.minimum(1, most)
    if not least.sum() <= count <= most.sum():
        small = (
            f", of which {(sizes < SMALLEST).sum()} have fewer than {SMALLEST} images" if min(sizes) < SMALLEST else ""
        )
        raise ValueError(
            f"cannot hold out {count} examples of {len(sizes)} classes{small}: {least.sum()} to {most.sum()} can be; "
            f"change `valid` and `test`, bring a split of your own, or at least {SMALLEST} images a class"
        )
    quotas: Indices = np.clip(np.floor(ideal).astype(np.int64), least, most)
    while (short := count - quotas.sum()) != 0:
        want = ideal - quotas
        if short > 0:
            quotas[np.argmax(np.where(quotas < most, want, -np.inf))] += 1
        else:
            quotas[np.argmin(np.where(quotas > least, want, np.inf))] -= 1
    return quotas


def mean_image(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean of images (n, C, H, W), n > 0, as (C, H, W) in [0, 1]; exact sums, so the order does not matter."""
    mean: NDArray[np.float64] = images.sum(axis=0, dtype=np.uint64) / (255.0 * len(images))
    return mean


def summary(images: NDArray[np.uint8], labels: NDArray[np.int64] | None, class_names: Sequence[str]) -> dict[str, Any]:
    """What a split holds, ready for JSON.

    `count`, `shape` (C, H, W), `class_histogram` (name to count) and `imbalance_ratio` (largest class over
    smallest that is not empty; both None without labels), `empty_classes`, `mean_image` (nested list, 0 to 1, five
    decimals) and `checksum` (SHA-256 of shape, pixels and labels). Raises ValueError on an empty split.
    """
    if not len(images):
        raise ValueError("an empty split has no summary")
    facts: dict[str, Any] = {"count": len(images), "shape": list(images.shape[1:])}
    facts |= _classes(labels, class_names)
    facts["mean_image"] = mean_image(images).round(5).tolist()
    facts["checksum"] = _checksum(images, labels)
    return facts


def _classes(labels: NDArray[np.int64] | None, class_names: Sequence[str]) -> dict[str, Any]:
    if labels is None:
        return {"class_histogram": None, "imbalance_ratio": None, "empty_classes": []}
    counts = np.bincount(labels, minlength=len(class_names))
    present = counts[counts > 0]
    return {
        "class_histogram": {name: int(count) for name, count in zip(class_names, counts, strict=True)},
        "imbalance_ratio": float(present.max() / present.min()),
        "empty_classes": [name for name, count in zip(class_names, counts, strict=True) if count == 0],
    }


def _checksum(images: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> str:
    digest = hashlib.sha256(repr((images.shape, labels is not None)).encode())
    digest.update(np.ascontiguousarray(images).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()
