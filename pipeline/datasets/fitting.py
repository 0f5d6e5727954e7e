"""One image of any size and mode as the pixels that a data set has: cut around the middle, resized, grey or colour."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

__all__ = ["Fit", "decoded"]

Pixels = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is read; a file is what its bytes say, whatever its name."""

MOST_PIXELS = 50_000_000
"""Of one image: a small file may unfold into one that takes all memory."""

MALFORMED = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError, OverflowError, ArithmeticError,
    struct.error, zlib.error, Warning, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises for bytes that are no image."""


def decoded(name: str, content: bytes) -> Image.Image:
    """The image in a file's bytes, its pixels read; ValueError, with the file's name, for anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width:,} x {image.height:,} pixels, expected at most {MOST_PIXELS:,} in all")
            image.load()
    except MALFORMED as error:
        said = "no image that can be read" if "cannot identify" in str(error) else str(error)
        raise ValueError(f"{name}: {said or type(error).__name__}; expected one of {', '.join(FORMATS)}") from None
    return image


@dataclass(frozen=True)
class Fit:
    """What is done to every image: `crop` (None, 'square' or height and width), then `resize` where it is asked for."""

    shape: tuple[int, int, int]
    crop: str | tuple[int, int] | None = None
    resize: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Fit:
        """From a block's `shape`, `crop` and `resize`."""
        crop = options.get("crop")
        channels, height, width = options["shape"]
        sides = crop if crop in (None, "square") else tuple(crop)
        return cls((channels, height, width), sides, bool(options.get("resize")))

    def __call__(self, name: str, image: Image.Image | Pixels) -> Pixels:
        """Pixels (C, H, W) of an image: Pillow's, or an array (H, W) or (H, W, 1 or 3) uint8.

        Raises ValueError, with the image's name, where it is too small to cut, of another size that nobody asked to
        resize, or an array of another kind.
        """
        picture = _picture(name, image) if isinstance(image, np.ndarray) else _of_8_bits(ImageOps.exif_transpose(image))
        if picture.has_transparency_data:
            picture = _on_white(picture)
        picture = picture.convert("L" if self.shape[0] == 1 else "RGB")
        picture = self._cut(name, picture)
        height, width = self.shape[1:]
        if picture.size != (width, height):
            if not self.resize:
                raise ValueError(
                    f"{name}: found an image of {picture.height}x{picture.width}, expected {height}x{width}; "
                    "say `resize: true` in its data set's block, or give another shape"
                )
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture, dtype=np.uint8)
        return pixels[None] if self.shape[0] == 1 else pixels.transpose(2, 0, 1)

    def _cut(self, name: str, picture: Image.Image) -> Image.Image:
        """The part around the middle; an odd pixel is left out below and on the right."""
        if self.crop is None:
            return picture
        height, width = (min(picture.size),) * 2 if isinstance(self.crop, str) else self.crop
        if height > picture.height or width > picture.width:
            raise ValueError(
                f"{name}: found an image of {picture.height}x{picture.width}, too small to cut {height}x{width} from it"
            )
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        return picture.crop((left, top, left + width, top + height))


def _picture(name: str, pixels: Pixels) -> Image.Image:
    """An array as Pillow has images."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"{name}: found {pixels.dtype} {pixels.shape}, expected uint8 (H, W), (H, W, 1) or (H, W, 3)")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _of_8_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 bits as one of 8: Pillow would cut off what is above 255."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
