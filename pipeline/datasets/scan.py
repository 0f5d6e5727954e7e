"""From clean glyphs to what a scanner sees of a printed page: ink that spreads, a page not quite straight, blur, noise.

The order is the physical one: ink on paper (blur and a threshold that thickens or thins), the page's place (rotation,
slant, size, an offset of less than a pixel), the optics' blur, the sensor's noise, the threshold that makes it black
and white, the crop to the glyph, 32 x 32. After Baird, 'Document image defect models' (1992), with our own ranges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Defects", "scan"]

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Defects:
    """How one image is degraded; lengths in pixels of the clean glyph unless told otherwise."""

    ink_blur: float
    ink_threshold: float
    """Of the blackest ink: below 1/2 it spreads, above it thins."""
    rotation: float
    """Radians."""
    slant: float
    reduction: float
    """Pixels of the clean glyph to one of the scan."""
    offset: tuple[float, float]
    """Of the grid, in pixels of the scan."""
    optics_blur: float
    noise: float
    """Standard deviation, of black to white = 1."""
    threshold: float
    """Of the blackest pixel, as a scanner sets its own exposure."""

    @classmethod
    def drawn(cls, draw: np.random.Generator) -> Defects:
        """One image's defects."""
        return cls(
            ink_blur=draw.uniform(0.3, 1.2),
            ink_threshold=draw.uniform(0.36, 0.56),
            rotation=math.radians(float(np.clip(draw.normal(0.0, 1.5), -4.0, 4.0))),
            slant=draw.uniform(-0.04, 0.04),
            reduction=draw.uniform(1.0, 1.6),
            offset=(draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5)),
            optics_blur=draw.uniform(0.3, 0.6),
            noise=draw.uniform(0.03, 0.14),
            threshold=draw.uniform(0.36, 0.52),
        )


def scan(glyph: NDArray[np.uint8], side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """A glyph's coverage (height, width) as a binary image (side, side), ink 255 on 0, cropped to the glyph.

    All that is random comes from `draw`. The crop is stretched to the square, as a character's bounding box is.
    """
    defects = Defects.drawn(draw)
    grey = _optics(_ink(glyph, defects), defects)
    level = np.float32(defects.threshold) * grey.max()
    noisy = grey + np.float32(defects.noise) * draw.standard_normal(grey.shape, dtype=np.float32)
    # The bounding box is that of the glyph: a speck outside it would have been taken for another component.
    rows, columns = _bounds(grey > level)
    black = noisy[rows, columns] > level
    return np.where(resize_binary(black, side), np.uint8(255), np.uint8(0))


def _ink(glyph: NDArray[np.uint8], defects: Defects) -> Grey:
    """Ink on paper, 0 to 1, with room around it for what follows."""
    from scipy.ndimage import gaussian_filter

    room = math.ceil(3 * defects.ink_blur + 3 * defects.reduction + 0.08 * max(glyph.shape))
    paper = np.pad(glyph, room).astype(np.float32) / np.float32(255.0)
    blurred = gaussian_filter(paper, defects.ink_blur, truncate=3.0)
    # An edge of the ink is sharp, but not more so than the grid can say.
    inked: Grey = np.clip(2.0 * (blurred - np.float32(defects.ink_threshold) * blurred.max()) + 0.5, 0.0, 1.0)
    return inked


def _optics(ink: Grey, defects: Defects) -> Grey:
    """What the sensor's pixels get: the turned and slanted page through the lens, at the scan's resolution."""
    from scipy.ndimage import affine_transform, gaussian_filter

    blurred = gaussian_filter(ink, defects.optics_blur * defects.reduction, truncate=3.0)
    cosine, sine = math.cos(defects.rotation), math.sin(defects.rotation)
    turn = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[1.0, 0.0], [defects.slant, 1.0]])
    matrix = defects.reduction * turn
    size = np.ceil(np.array(ink.shape) / defects.reduction).astype(int)
    middle, centre = (np.array(ink.shape) - 1) / 2, (size - 1) / 2 + np.array(defects.offset)
    moved: Grey = affine_transform(blurred, matrix, middle - matrix @ centre, output_shape=tuple(size), order=1)
    return moved


def _bounds(black: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns from the first to the last with ink; all of them where there is none."""
    found = []
    for axis in (1, 0):
        marked = np.flatnonzero(black.any(axis=axis))
        found.append(slice(int(marked[0]), int(marked[-1]) + 1) if len(marked) else slice(None))
    return found[0], found[1]


def resize_binary(black: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """(height, width) to (side, side): a pixel is ink where at least half of its area is. Exact, in integers."""
    height, width = black.shape
    covered = overlaps(height, side) @ black.astype(np.int64) @ overlaps(width, side).T
    return np.asarray(2 * covered >= height * width)


def overlaps(source: int, target: int) -> NDArray[np.int64]:
    """(target, source): how much of a source pixel lies in a target one; the whole side is source * target."""
    starts, ends = np.arange(target)[:, None] * source, (np.arange(target)[:, None] + 1) * source
    pixels = np.arange(source)[None] * target
    return np.clip(np.minimum(ends, pixels + target) - np.maximum(starts, pixels), 0, None)
