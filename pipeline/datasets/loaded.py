"""What every reader returns: a data set's images and labels, before they are split and prepared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.value_ranges import Values

__all__ = ["Loaded", "Source"]


@dataclass
class Source:
    """What was read: a reader says where splits and labels come from, `spooled` counts the rest."""

    labels: str = "none"
    """Where the labels come from: `class folders`, `column 'label'`, ..."""
    splits: dict[str, str] = field(default_factory=dict)
    """Where each split comes from, in words."""
    files: int = 1
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files that were not read, by the ending of their names, and arrays by their own names."""
    remarks: list[str] = field(default_factory=list)
    values: dict[str, Values] = field(default_factory=dict)
    """By dtype."""
    modes: Counter[str] = field(default_factory=Counter)
    """Images by their colour mode, in Pillow's words, or their number of channels."""
    frames: int = 0
    """Images with further pages or frames, of which the first was read."""
    broken: list[str] = field(default_factory=list)
    """What was wrong with each image that could not be read, its name first."""


@dataclass(frozen=True)
class Loaded:
    """Images uint8 (n, C, H, W), 0 to 255; labels int64 (n,), 0 to classes - 1, or None; one name a class.

    A source without a test split of its own has test_images of length 0, one without a validation split None. The
    arrays may be memory-mapped. Raises ValueError where the parts do not fit each other.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64] | None
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    valid_images: NDArray[np.uint8] | None = None
    valid_labels: NDArray[np.int64] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the summary is to say of it besides, ready for JSON."""
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        self._check("train", self.train_images, self.train_labels)
        self._check("test", self.test_images, self.test_labels)
        if self.valid_images is not None:
            self._check("valid", self.valid_images, self.valid_labels)
            if self.valid_images.shape[1:] != self.train_images.shape[1:]:
                raise ValueError(f"train images are {self.train_images.shape[1:]}, valid {self.valid_images.shape[1:]}")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(f"train images are {self.train_images.shape[1:]}, test {self.test_images.shape[1:]}")

    def without_one_class(self) -> Loaded:
        """The same without labels where all images are of one class: there is nothing to tell apart."""
        if len(self.class_names) > 1:
            return self
        return self.without_labels()

    def without_labels(self) -> Loaded:
        """The same images, no labels."""
        return replace(self, train_labels=None, test_labels=None, valid_labels=None, class_names=())

    def pooled(self) -> Loaded:
        """All images as one training split, in the order train, valid, test; labels only where every split has them."""
        parts = [(self.train_images, self.train_labels), (self.test_images, self.test_labels)]
        if self.valid_images is not None:
            parts.insert(1, (self.valid_images, self.valid_labels))
        parts = [(images, labels) for images, labels in parts if len(images)]
        labels = [own for _, own in parts if own is not None]
        return replace(
            self,
            train_images=np.concatenate([images for images, _ in parts]),
            train_labels=np.concatenate(labels) if len(labels) == len(parts) else None,
            test_images=self.test_images[:0],
            test_labels=None,
            valid_images=None,
            valid_labels=None,
        )

    def _check(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> None:
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(f"{split} images: expected uint8 (n, C, H, W), found {images.dtype} {images.shape}")
        if labels is None:
            return
        if labels.shape != images.shape[:1]:
            raise ValueError(f"{split}: {len(images)} images but {len(labels)} labels")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise ValueError(
                f"{split} labels: expected 0 to {len(self.class_names) - 1}, found {labels.min()} to {labels.max()}"
            )
