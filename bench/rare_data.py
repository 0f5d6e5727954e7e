"""Images for the study of rare classes: printed Telugu on a bad scan, and sets of rare classes rendered for it.

A bad scan turns the image a little, loses resolution, contrast and straight edges, and is made black and white again.
Every split and every extra set is degraded in this one way, each image once: a person whose scans are bad trains and
reads on the same bad scans. If only the test images were degraded, the question would be about a change of domain,
and a generator that has only seen clean images could not answer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from pipeline.datasets.glyphs import FontInstance, Rasteriser
from pipeline.datasets.telugu_classes import telugu_classes
from pipeline.datasets.telugu_print import Page, page, render

SIDE_OF_SCAN = 16
"""Pixels of the bad scan's side, of 32."""
NOISE = 0.13
"""Standard deviation at that resolution, of black to white = 1; fixed on the validation sets."""
ROTATION = 4.0
"""Standard deviation, in degrees."""
CONTRAST = (0.6, 1.0)
THRESHOLD = (0.35, 0.6)
"""Of the contrast."""
CHUNK = 2000

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Numbers (n, 1, 1, 1) between two bounds."""
    return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)


def degrade(images: Images, seed: int, noise: float = NOISE) -> Images:
    """A bad scan of binary images (n, 1, H, W), ink 255 on 0; binary again."""
    generator = torch.Generator().manual_seed(seed)
    parts = [_scan(part.float() / 255, generator, noise) for part in torch.from_numpy(images).split(CHUNK)]
    return torch.cat(parts).numpy()


def _scan(ink: Tensor, generator: torch.Generator, noise: float) -> Tensor:
    n, side = len(ink), ink.shape[-1]
    angle = torch.deg2rad(ROTATION * torch.randn(n, generator=generator)).clamp(-0.3, 0.3)
    zero = torch.zeros(n)
    rows = [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero]
    turned = grid_sample(ink, affine_grid(torch.stack(rows, 1).view(n, 2, 3), list(ink.shape), False),
                         align_corners=False)  # fmt: skip
    contrast = uniform(n, *CONTRAST, generator)
    scanned = contrast * interpolate(turned, size=SIDE_OF_SCAN, mode="area")
    scanned = scanned + noise * torch.randn(scanned.shape, generator=generator)
    enlarged = interpolate(scanned, size=side, mode="bilinear", align_corners=False)
    return (enlarged > contrast * uniform(n, *THRESHOLD, generator)).to(torch.uint8) * 255


def rendered(
    folder: Path, instances: Sequence[FontInstance], classes: Labels, each: int, seed: int, noise: float = NOISE
) -> tuple[Images, Labels]:
    """`each` degraded images of every class, in font instances drawn at random, and their labels.

    The same arguments give the same images. `seed` must not be the data set's own, whose images it would repeat.
    """
    labels = np.repeat(classes, each)
    fonts = np.random.Generator(np.random.Philox(key=[seed, 0])).integers(len(instances), size=len(labels))
    plan = Page(seed, list(instances), labels, np.zeros_like(labels), fonts)
    return degrade(render(plan, folder), seed, noise), labels


def instances_of(options: Mapping[str, Any], split: int) -> list[FontInstance]:
    """The font instances of a split of the data set: 0 train, 1 valid, 2 test."""
    whole = page(options)
    return [whole.instances[k] for k in np.unique(whole.fonts[whole.splits == split])]


def other_families(folder: Path, classes: Labels, known: Sequence[str]) -> list[FontInstance]:
    """Fonts of a folder that have glyphs for all of the classes, but for families whose name begins as a known one."""
    texts = [telugu_classes()[label].text for label in classes]
    beginnings = tuple(Path(file).stem.split("-")[0].lower() for file in known)
    return [
        FontInstance(path.name)
        for path in sorted(folder.glob("*.ttf"))
        if not path.stem.lower().startswith(beginnings) and draws_all(folder, path.name, texts)
    ]


def draws_all(folder: Path, file: str, texts: Sequence[str]) -> bool:
    """Whether a font has glyphs for every text, and ink for them."""
    try:
        rasteriser = Rasteriser(folder, FontInstance(file))
        return all(rasteriser.draw(text).size for text in texts)
    except ValueError:
        return False
