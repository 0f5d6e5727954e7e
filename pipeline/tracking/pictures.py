"""Picture files of a person: checked when they are read, written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import artifacts
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Picture = NDArray[np.uint8]

LARGEST_FILE = 64 * 2**20
"""Bytes of a picture that is read."""

STILL = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
MOVING = {".gif": "GIF", ".webp": "WEBP", ".apng": "PNG"}
"""What is written, by the ending of the name."""


def read(path: Path, shape: Sequence[int], *, invert: bool = False) -> Picture:
    """A picture file as an image (C, H, W) uint8 of `shape`, cut to its aspect around the middle and resized.

    It is read as a data set's images are. `invert` turns light into dark. Raises `UserError` for a file that cannot be
    read or is no picture.
    """
    from PIL import ImageOps

    from pipeline.datasets.fitting import Fit, decoded

    if not path.is_file():
        raise UserError(f"{path}: {'not a plain file' if path.exists() else 'not found'}; name a picture file")
    channels, height, width = shape
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{path}: {path.stat().st_size:,} bytes, expected at most {LARGEST_FILE:,}")
        image = decoded(str(path), path.read_bytes())
        upright = ImageOps.exif_transpose(image)
        scale = min(upright.height / height, upright.width / width)
        cut = round(scale * height), round(scale * width)
        pixels = Fit((channels, height, width), cut, resize=True)(str(path), image)
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from None
    return 255 - pixels if invert else pixels.copy()


def check_ending(path: Path, *kinds: dict[str, str]) -> str:
    """The ending of a file to be written, which must be one of `kinds`; `UserError` otherwise."""
    known = [ending for kind in kinds for ending in kind]
    if path.suffix.lower() not in known:
        raise UserError(f"--to: found {str(path)!r}, expected a name that ends in {', '.join(known)}")
    return path.suffix.lower()


def write(path: Path, picture: Picture) -> None:
    """A picture (H, W, 3) as PNG or JPEG."""
    from PIL import Image

    _save(path, Image.fromarray(picture), STILL, quality=95)


def write_moving(path: Path, frames: Sequence[Picture], milliseconds: Sequence[int]) -> None:
    """Pictures (H, W, 3) one after the other, each for its time, over and over."""
    from PIL import Image

    first, *others = [Image.fromarray(frame) for frame in frames]
    _save(
        path, first, MOVING, save_all=True, append_images=others, duration=list(milliseconds), loop=0, lossless=True
    )  # fmt: skip


def _save(path: Path, image: Image, kinds: dict[str, str], **options: Any) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format=kinds[check_ending(path, kinds)], **options)
    artifacts.write_bytes(path, buffer.getvalue())
