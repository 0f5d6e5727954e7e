"""From examples that come one by one to a loaded data set, whose pixels lie on the disk: memory does not grow with it.

A reader hands over, split by split, names, images and labels. Each image is fitted at once and appended to a nameless
file in the data set's raw folder, which is gone when its last user is, however that ends; the array that comes back
is that file, memory-mapped. Values that are no levels from 0 to 255 wait in a second file until the range of all of
them is known.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from pipeline.datasets.fitting import Fit
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.naming import listed
from pipeline.datasets.value_ranges import BYTE, Range, Values, read_as, scaled

__all__ = ["Example", "place", "spooled"]

Picture = Image | NDArray[Any]

Example = tuple[str, Picture | Callable[[], Picture], int | None]
"""What it is called in messages, the image or what decodes it, and its label or None.

A ValueError of what decodes it says that this image is broken.
"""

CHUNK = 1000
"""Images that are looked at at a time."""

CERTAIN = ("8-bit", "bool")
"""Kinds of images whose values cannot be of another range: pictures for people, and Booleans."""


def place(raw: Path, options: Mapping[str, Any]) -> Path:
    """Where a reader finds its files: the user's own path, or the folder of the raw files."""
    return Path(options["path"]) if options.get("path") else raw


def spooled(
    splits: Mapping[str, Iterable[Example]],
    raw: Path,
    options: Mapping[str, Any],
    class_names: Sequence[str] = (),
    source: Source | None = None,
) -> Loaded:
    """All examples, each fitted to the block's shape; of images without labels the first `limit` of each split.

    `splits` has train, and valid and test where the source has them; `source` says where they come from. Raises
    ValueError for images that are broken or do not fit, for values of an unknown range, for labels on some images
    alone, and for a training split without images.
    """
    fit, source, limit = Fit.of(options), source or Source(), options.get("limit")
    with contextlib.ExitStack() as files:
        spools = {split: _Spool(fit, raw, source, files) for split in splits}
        for split, examples in splits.items():
            spools[split].add(examples, limit)
        _check_broken(source, options)
        ranges = _ranges(spools.values(), source, options.get("value_range"))
        found = {split: spool.finished(ranges) for split, spool in spools.items()}
    if "train" not in found or not len(found["train"][0]):
        others = [split for split, (images, _) in found.items() if len(images)]
        raise ValueError(
            f"no training images; expected at least one{f', found only {listed(others)}' if others else ''}"
        )
    nothing = found["train"][0][:0], None if found["train"][1] is None else found["train"][1][:0]
    valid_images, valid_labels = found.get("valid", (None, None))
    return Loaded(
        *found["train"],
        *found.get("test", nothing),
        class_names=tuple(class_names),
        valid_images=valid_images,
        valid_labels=valid_labels,
        source=source,
    )


def _check_broken(source: Source, options: Mapping[str, Any]) -> None:
    """Raise ValueError with every image that could not be read, unless the block says to leave them out."""
    policy, broken = options.get("broken", "refuse"), source.broken
    if policy not in ("refuse", "skip"):
        raise ValueError(f"options.broken: found {policy!r}, expected refuse or skip")
    if broken and policy == "refuse":
        count = f"; {len(broken):,} images cannot be read" if len(broken) > 1 else ""
        raise ValueError(
            f"{listed(broken, 20)}{count}; repair or delete what is damaged, or say `options: {{broken: skip}}`"
        )


def _ranges(spools: Iterable[_Spool], source: Source, chosen: Sequence[float] | None) -> dict[str, Range]:
    """The range of each dtype over all splits; images of 8 bits cannot have a range above 255."""
    for spool in spools:
        spool.look()
    for kind, values in source.values.items():
        if kind not in CERTAIN:
            eight_bits = kind == "uint8" and chosen is not None and chosen[1] > BYTE[1]
            values.range = read_as(kind, values, None if eight_bits else chosen)
    return {kind: values.range for kind, values in source.values.items()}


class _Spool:
    """The images of one split, on the disk."""

    def __init__(self, fit: Fit, raw: Path, source: Source, files: contextlib.ExitStack) -> None:
        self.fit, self.source = fit, source
        nameless: Callable[[], Any] = functools.partial(tempfile.TemporaryFile, prefix=".decoded-", dir=raw)
        self.levels: IO[bytes] = files.enter_context(nameless())
        self.others: IO[bytes] = files.enter_context(nameless())
        self.labels: list[int | None] = []
        self.waiting: list[tuple[str, int]] = []
        """Kind and place of each image whose values are in the second file."""
        self.kinds: set[str] = set()
        """Of the images whose values are levels already."""

    def add(self, examples: Iterable[Example], limit: int | None) -> None:
        """Read examples; of those without labels at most `limit`."""
        for name, image, label in examples:
            if label is None and len(self.labels) == limit:
                break
            try:
                picture = image() if callable(image) else image
            except ValueError as error:
                self.source.broken.append(str(error))
                continue
            self._append(name, picture)
            self.labels.append(label)

    def _append(self, name: str, picture: Picture) -> None:
        pixels, values, kind = self.fit.fitted(name, picture)
        if values is None:
            self.kinds.add(kind)
        else:
            self.source.values.setdefault(kind, Values(whole=values.whole)).merge(values)
            self.waiting.append((kind, len(self.labels)))
            self.others.write(pixels.tobytes())
            pixels = np.zeros(self.fit.shape, np.uint8)
        self.levels.write(pixels.tobytes())
        if isinstance(picture, np.ndarray):
            self.source.modes["colour" if picture.shape[2:] == (3,) else "grey"] += 1
        else:
            self.source.modes[picture.mode] += 1
            self.source.frames += bool(picture.info.get("more"))

    def _images(self, mode: Literal["r", "r+"] = "r") -> NDArray[np.uint8]:
        shape = (len(self.labels), *self.fit.shape)
        self.levels.flush()
        return np.memmap(self.levels, np.uint8, mode, shape=shape) if self.labels else np.empty(shape, np.uint8)

    def look(self) -> None:
        """Add the range of the images whose values are levels already."""
        if not self.kinds:
            return
        kind = next(iter(self.kinds)) if len(self.kinds) == 1 else "8-bit"
        values, images = self.source.values.setdefault(kind, Values()), self._images()
        known = np.ones(len(images), bool)
        known[[place for _, place in self.waiting]] = False
        for first in range(0, len(images), CHUNK):
            chunk = images[first : first + CHUNK]
            values.see(chunk if known.all() else chunk[known[first : first + CHUNK]])

    def finished(self, ranges: Mapping[str, Range]) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
        """Images (n, C, H, W) and labels (n,) or None; values of the second file are scaled first."""
        if self.waiting:
            self.others.flush()
            others = np.memmap(self.others, np.float32, "r", shape=(len(self.waiting), *self.fit.shape))
            images = self._images("r+")
            for (kind, where), values in zip(self.waiting, others, strict=True):
                images[where] = scaled(values, ranges[kind])
        without = self.labels.count(None)
        if 0 < without < len(self.labels):
            raise ValueError(
                f"{without:,} of {len(self.labels):,} images have no label; expected labels for all or for none"
            )
        return self._images(), None if without == len(self.labels) else np.array(self.labels, dtype=np.int64)
