"""Printed Telugu, rendered here: 325 very unequal classes from free fonts, degraded as print and scan degrade.

It stands in for OCR-Telugu (Renkila et al. section V.B; UHTelPCC of the University of Hyderabad) where that cannot be
had, and is not that set: its images are fonts on paper that was never printed, whole syllables and not connected
components, and its class sizes follow a curve. Like that set it is binary, 32 x 32, cropped to the glyph, with 325
classes of under ten to over two thousand images.

A font instance (a file and a place on its axes of weight and width) belongs to one split alone, so that no test image
differs from a training image by its scan only. Image k is made from a generator of its own, by a counter: it depends
on the seed and on k, and not on what else is rendered or in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.glyphs import FontInstance, Rasteriser, font_instances
from pipeline.datasets.loaded import Loaded, Source
from pipeline.datasets.scan import scan
from pipeline.datasets.splits import hold_out
from pipeline.datasets.telugu_classes import class_sizes, telugu_classes

__all__ = ["Page", "load", "near_duplicates", "page", "render"]

SIDE = 32
OPTIONS = ("fonts", "seed", "images", "largest", "smallest", "instances_held_out")
"""What the block's `options` may have."""

SPLITS = ("train", "valid", "test")
NEAR = (2, 5)
"""Percent of the pixels by which two images of a class may differ and still count as near-duplicates."""

Indices = NDArray[np.int64]
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Page:
    """What is to be printed: for each image k its class, its split (0 train, 1 valid, 2 test) and its font instance."""

    seed: int
    instances: list[FontInstance]
    labels: Indices
    splits: Indices
    fonts: Indices

    def instances_of(self, split: int) -> list[str]:
        """Names of the font instances that a split's images are set in."""
        return [self.instances[k].name for k in np.unique(self.fonts[self.splits == split])]


def page(options: Mapping[str, Any]) -> Page:
    """The plan of the data set.

    `fonts` maps each file to its axes' values (every combination is an instance), `images` is their number, `valid`
    and `test` how many of them, or what share, are held out, `largest` and `smallest` are class sizes, and
    `instances_held_out` is the number of instances of each of valid and test. Classes are split by the rule of
    `splits.hold_out`. Raises ValueError where an option is missing or the numbers do not fit together.
    """
    for option in OPTIONS:
        if option not in options:
            raise ValueError(f"options.{option}: missing; the reader telugu_print needs it")
    seed, total = int(options["seed"]), int(options["images"])
    sizes = class_sizes(
        total, len(telugu_classes()), largest=int(options["largest"]), smallest=int(options["smallest"])
    )
    draw = np.random.Generator(np.random.Philox(key=[seed, 0]))
    labels = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))  # any first n images are a fair sample
    valid, test = (round(part * total) if part < 1 else int(part) for part in (options["valid"], options["test"]))
    splits = three_ways(labels, valid, test, seed)
    instances = font_instances(options["fonts"])
    files = np.unique([instance.file for instance in instances], return_inverse=True)[1].astype(np.int64)
    held_out = int(options["instances_held_out"])
    owners = three_ways(files, held_out, held_out, seed)
    fonts = np.zeros(total, dtype=np.int64)
    for split in range(len(SPLITS)):
        own, members = np.flatnonzero(owners == split), np.flatnonzero(splits == split)
        fonts[members] = own[draw.integers(len(own), size=len(members))]
    return Page(seed, instances, labels, splits, fonts)


def three_ways(groups: Indices, valid: int, test: int, seed: int) -> Indices:
    """0 (train), 1 (valid) or 2 (test) for each member, drawn group by group."""
    owner = np.zeros(len(groups), dtype=np.int64)
    rest, tested = hold_out(groups, len(groups), count=test, seed=seed, keep=2)
    validated = hold_out(groups[rest], len(rest), count=valid, seed=seed)[1]
    owner[tested], owner[rest[validated]] = 2, 1
    return owner


def render(
    page: Page, folder: Path, chosen: Indices | None = None, *, step: Callable[[int, int], None] | None = None
) -> Images:
    """Images k of `chosen` (all unless told), uint8 (n, 1, 32, 32), ink 255 on 0, with the font files of `folder`.

    `step(done, all)` is told how far it is. One font instance is open at a time, with the classes that it has drawn.
    """
    chosen = np.arange(len(page.labels)) if chosen is None else chosen
    classes = telugu_classes()
    images = np.zeros((len(chosen), 1, SIDE, SIDE), dtype=np.uint8)
    done = 0
    for font in np.unique(page.fonts[chosen]):
        rasteriser = Rasteriser(folder, page.instances[font])
        drawn: dict[int, Images] = {}
        for place in np.flatnonzero(page.fonts[chosen] == font):
            k = int(chosen[place])
            label = int(page.labels[k])
            if label not in drawn:
                drawn[label] = rasteriser.draw(classes[label].text)
            images[place, 0] = scan(drawn[label], SIDE, _generator(page.seed, k))
            done += 1
            if step and done % 500 == 0:
                step(done, len(chosen))
    return images


def _generator(seed: int, k: int) -> np.random.Generator:
    """Of image k alone; stream 0 is the plan's."""
    return np.random.Generator(np.random.Philox(key=[seed, k + 1]))


def nearest(images: Images, labels: Indices, others: Images, other_labels: Indices) -> Indices:
    """Pixels by which each of `images` (n, 1, H, W) differs from the nearest of `others` of its class, (n,).

    Binary images; H * W where the class has no other.
    """
    ours, theirs = _packed(images), _packed(others)
    found = np.full(len(images), images[0].size, dtype=np.int64)
    for label in np.unique(labels):
        candidates = theirs[other_labels == label]
        for place in np.flatnonzero(labels == label) if len(candidates) else ():
            found[place] = np.bitwise_count(candidates ^ ours[place]).sum(axis=1, dtype=np.int64).min()
    return found


def near_duplicates(images: Images, labels: Indices, others: Images, other_labels: Indices) -> dict[str, float]:
    """How many of `images` have an equal or nearly equal one of their class among `others`, and what is usual.

    `within_<p>_percent` counts those that differ in at most p % of the pixels; the median is in % of the pixels.
    """
    pixels = nearest(images, labels, others, other_labels)
    share = 100.0 * pixels / images[0].size
    counts = {f"within_{near}_percent": int((share <= near).sum()) for near in NEAR}
    return {"identical": int((pixels == 0).sum()), **counts, "median_percent": round(float(np.median(share)), 2)}


def _packed(images: Images) -> NDArray[np.uint64]:
    """One bit a pixel, in words of 64."""
    bits = np.packbits(images.reshape(len(images), -1) > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """The data set, rendered with the font files of `raw_folder`; `options` as `page` takes them, and `step`.

    Raises ValueError in one line where a font or a library is not what it should be.
    """
    planned = page(options)
    images = render(planned, raw_folder, step=options.get("step"))
    chosen = [np.flatnonzero(planned.splits == split) for split in range(len(SPLITS))]
    (train, valid, test), labels = (images[k] for k in chosen), [planned.labels[k] for k in chosen]
    return Loaded(
        train_images=train,
        train_labels=labels[0],
        valid_images=valid,
        valid_labels=labels[1],
        test_images=test,
        test_labels=labels[2],
        class_names=tuple(entry.name for entry in telugu_classes()),
        source=Source(
            "the plan", dict.fromkeys(SPLITS, "the plan"), files=len({font.file for font in planned.instances})
        ),
        facts=facts(planned, (train, valid, test), labels),
    )


def facts(page: Page, images: Sequence[Images], labels: Sequence[Indices]) -> dict[str, Any]:
    """What the summary says of the set beside its splits: its font instances, and near-duplicates between splits."""
    pairs = {"valid in train": (1, 0), "test in train": (2, 0), "test in valid": (2, 1)}
    return {
        "rendered_from": {name: page.instances_of(split) for split, name in enumerate(SPLITS)},
        "near_duplicates": {
            name: near_duplicates(images[a], labels[a], images[b], labels[b]) for name, (a, b) in pairs.items()
        },
        "written": {entry.name: entry.text for entry in telugu_classes()},
    }
