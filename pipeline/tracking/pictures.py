"""Picture files of a person: checked when they are read, written whole or not at all."""

from __future__ import annotations

import io
import warnings
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

MOST_PIXELS = 50_000_000
"""Of a picture that is read: a small file may unfold into one that takes all memory."""

READ = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
"""What is read; a file is what its bytes say, whatever its name."""

STILL = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
MOVING = {".gif": "GIF", ".webp": "WEBP", ".apng": "PNG"}
"""What is written, by the ending of the name."""


def read(path: Path, shape: Sequence[int], *, invert: bool = False) -> Picture:
    """A picture file as an image (C, H, W) uint8 of `shape`, cut to its aspect around the middle and resized.

    A picture of that size keeps its very pixels; of a moving one the first frame counts; where it is transparent it is
    white. `invert` turns light into dark. Raises `UserError` for a file that cannot be read or is no picture.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise UserError(f"{path}: {'not a plain file' if path.exists() else 'not found'}; name a picture file")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{path.stat().st_size:,} bytes, expected at most {LARGEST_FILE:,}")
        with warnings.catch_warnings(), path.open("rb") as handle:
            warnings.simplefilter("error")  # a decompression bomb is a warning up to twice Pillow's own bound
            with Image.open(handle, formats=READ) as image:
                return _fitted(image, shape, invert)
    except Exception as error:  # Pillow raises many kinds for bytes that are no picture
        problem = "not a picture that can be read" if isinstance(error, UnidentifiedImageError) else str(error)
        raise UserError(f"{path}: {problem or type(error).__name__}; expected one of {', '.join(READ)}") from None


def _fitted(image: Image, shape: Sequence[int], invert: bool) -> Picture:
    import numpy as np
    from PIL import ImageOps
    from PIL.Image import Resampling

    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{image.width:,} x {image.height:,} pixels, expected at most {MOST_PIXELS:,} in all")
    channels, height, width = shape
    image = ImageOps.exif_transpose(_of_8_bits(image))
    if image.has_transparency_data:
        image = _on_white(image)
    image = image.convert({1: "L", 3: "RGB"}[channels])
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Resampling.LANCZOS)
    pixels = np.asarray(image, dtype=np.uint8).reshape(height, width, channels).transpose(2, 0, 1)
    return 255 - pixels if invert else pixels.copy()


def _of_8_bits(image: Image) -> Image:
    """A picture of 16 bits as one of 8: Pillow would cut off what is above 255."""
    import numpy as np
    from PIL import Image

    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I;16") else image


def _on_white(image: Image) -> Image:
    from PIL import Image

    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)


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
