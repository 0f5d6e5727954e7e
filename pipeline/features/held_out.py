"""Which real images every row of a table is compared with, and which others, as many, are its row `real`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.datasets.prepared import load_split, subset


@dataclass(frozen=True)
class HeldOut:
    """Real images that no model was trained on."""

    images: Tensor
    """(n, C, H, W) uint8."""
    labels: Tensor | None
    """(n,)."""
    features: Mapping[str, Tensor]
    """(n, d) of each reference classifier, by its space."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> HeldOut:
        labels = None if self.labels is None else self.labels[rows]
        return HeldOut(self.images[rows], labels, {name: found[rows] for name, found in self.features.items()})


def load(path: Path, features: Mapping[str, Tensor]) -> HeldOut:
    """A prepared split with its features: those of `<split>` and, by further classifiers, of `<split>.<number>`."""
    split = path.stem
    own = {key: found for key, found in features.items() if key.split(".")[0] == split}
    return HeldOut(*load_split(path), {f"classifier{key.removeprefix(split)}": own[key] for key in sorted(own)})


def both(first: HeldOut, second: HeldOut) -> HeldOut:
    """The images of two splits, one after the other."""
    labels = None if first.labels is None or second.labels is None else torch.cat([first.labels, second.labels])
    features = {name: torch.cat([found, second.features[name]]) for name, found in first.features.items()}
    return HeldOut(torch.cat([first.images, second.images]), labels, features)


def compared_and_real(
    inputs: Mapping[str, Path], features: Mapping[str, Tensor], *, n: int, seed: int, pooled: bool
) -> tuple[HeldOut, HeldOut]:
    """Images to compare with, at most n of the test split, and as many others for the row `real`.

    These are of the validation split. Where it has too few images, or `pooled` says that the splits are not alike,
    both splits are mixed and parted at random. A search for settings, which passes the validation split as the test
    split, sees no other: it has no row `real`.
    """
    test = load(inputs["test"], features)
    if inputs.get("valid", inputs["test"]) == inputs["test"]:
        return test[subset(len(test), n, seed)], test[torch.arange(0)]
    valid, size = load(inputs["valid"], features), min(n, len(test))
    if not pooled and len(valid) >= size:
        return test[subset(len(test), n, seed)], valid[real_rows(len(valid), size, seed)]
    pool = both(test, valid)
    half = min(n, len(pool) // 2)
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    return pool[order[:half].sort().values], pool[order[half : 2 * half].sort().values]


def real_rows(size: int, n: int, seed: int) -> Tensor:
    """Which of the validation images are the row `real`, (<= n,), ascending."""
    draw = np.random.Generator(np.random.Philox(key=[seed, 0]))
    return torch.from_numpy(np.sort(draw.permutation(size)[:n]))
