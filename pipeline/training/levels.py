"""Whether images are black and white, which decides what `data: auto` means."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

CHECKED = 1000
"""Images that are looked at together."""


def is_black_and_white(images: NDArray[np.uint8]) -> bool:
    """Whether every pixel of images (n, C, H, W) of one channel is 0 or 255."""
    if images.shape[1] != 1:
        return False
    parts = (images[first : first + CHECKED] for first in range(0, len(images), CHECKED))
    return all(bool(((part == 0) | (part == 255)).all()) for part in parts)


def levels(data: str, images: NDArray[np.uint8]) -> Literal["binarised", "grey"]:
    """What a block's `data` means for a training split: `auto` goes by what the images hold."""
    if data == "auto":
        return "binarised" if is_black_and_white(images) else "grey"
    return "grey" if data == "grey" else "binarised"
