"""One image of any size and mode as the pixels that a data set has: cut around the middle, resized, grey or colour."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.datasets.members import pointer_hint
from pipeline.datasets.value_ranges import BYTE, Range, Values, read_as, scaled

__all__ = ["Fit", "decoded", "endings"]

Pixels = NDArray[np.uint8]

FORMATS = (
    "PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "BLP", "CUR", "DCX", "DDS", "DIB", "FITS", "FLI",
    "FTEX", "GBR", "ICNS", "ICO", "IM", "JPEG2000", "MSP", "PCD", "PCX", "PIXAR", "PSD", "QOI", "SGI", "SPIDER", "SUN",
    "TGA", "XBM", "XPM", "XVTHUMB",
)  # fmt: skip
"""What is read, all of Pillow's but those that need a program or say nothing of pixels (EPS, WMF, HDF5, ...); a file is
what its bytes say, whatever its name."""

DISPLAYED = frozenset({"JPEG", "MPO", "WEBP", "GIF", "AVIF", "JPEG2000", "ICO", "ICNS", "CUR", "BLP", "DDS", "FTEX"})
"""Formats of pictures for people: their values are levels from 0 to 255, never counts or classes."""

MOST_PIXELS = 50_000_000
"""Of one image: a small file may unfold into one that takes all memory."""


WIDE = re.compile(r"RGB\w?;16[BLN]")
"""Pillow's name of colours of 16 bits each; BGR;16 is one of 16 bits a pixel."""


@functools.cache
def endings() -> tuple[str, ...]:
    """How the names of files end that Pillow reads, in lower case, the commonest first."""
    Image.init()
    known = {ending for ending, kind in Image.registered_extensions().items() if kind in (*FORMATS, "MPO")}
    first = [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"]
    return (*first, *sorted({*known, ".pnm"} - set(first)))


def decoded(name: str, content: bytes) -> Image.Image:
    """The image in a file's bytes, its pixels read; ValueError, with the file's name, for anything else.

    `info["wide"]` is true for colours of 16 bits, of which Pillow keeps the upper 8, and `info["more"]` for a file with
    further pages or frames.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, which change no pixel
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width:,} x {image.height:,} pixels, expected at most {MOST_PIXELS:,} in all")
            wide = WIDE.search(str(image.tile)) is not None
            image.load()
            image.info |= {"wide": wide, "more": _has_more(image)}
    except Exception as error:  # Pillow raises of every kind for bytes that are no image
        if "cannot identify" in str(error):
            formats, hint = ", ".join(FORMATS[:7]), pointer_hint(content)
            raise ValueError(f"{name}: no image that can be read; expected one of {formats}, ...{hint}") from None
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{name}: damaged, or more than can be read ({said})") from None
    return image


def _has_more(image: Image.Image) -> bool:
    """Whether an image that was read has further pages or frames."""
    with contextlib.suppress(Exception):  # a damaged second page does not matter
        return bool(getattr(image, "is_animated", False))
    return False


@dataclass(frozen=True)
class Fit:
    """What is done to every image: `crop` (None, 'square' or height and width), then `resize` where it is asked for."""

    shape: tuple[int, int, int]
    crop: str | tuple[int, int] | None = None
    resize: bool = False
    value_range: Range | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Fit:
        """From a block's `shape`, `crop`, `resize` and `value_range`."""
        crop, chosen = options.get("crop"), options.get("value_range")
        channels, height, width = options["shape"]
        sides = crop if crop in (None, "square") else tuple(crop)
        resize = bool(options.get("resize"))
        return cls((channels, height, width), sides, resize, None if chosen is None else (chosen[0], chosen[1]))

    def __call__(self, name: str, image: Image.Image | NDArray[Any]) -> Pixels:
        """Pixels (C, H, W) uint8 of an image alone: values of other scales are read by what this image shows."""
        fitted, values, kind = self.fitted(name, image)
        return fitted if values is None else scaled(fitted, read_as(kind, values, self.value_range))

    def fitted(self, name: str, image: Image.Image | NDArray[Any]) -> tuple[NDArray[Any], Values | None, str]:
        """Pixels (C, H, W) of an image, Pillow's or an array (H, W), (H, W, 1) or (H, W, 3), and the name of its dtype.

        They are uint8 from 0 to 255, or float32 on a scale that is still to be found, with the values before the
        image was resized. Raises ValueError, with the image's name, where it is too small to cut, of another size
        that nobody asked to resize, or an array of another kind.
        """
        if isinstance(image, np.ndarray):
            return self._array(name, image)
        picture, kind = _upright(image), _kind(image)
        if picture.mode.startswith(("I", "F")):
            return self._scaled_later(name, np.asarray(picture), kind)
        if picture.has_transparency_data:
            picture = _on_white(picture)
        picture = _converted(name, picture, "L" if self.shape[0] == 1 else "RGB")
        if image.info.get("wide"):
            return self._scaled_later(name, np.asarray(picture).astype(np.float32) * 257, kind)
        if kind == "uint8" and self._scale_first(_highest(picture)):
            return self._scaled_later(name, np.asarray(picture), kind)
        return self._sized(name, picture), None, kind

    def _array(self, name: str, pixels: NDArray[Any]) -> tuple[NDArray[Any], Values | None, str]:
        """The same for an array."""
        kind = pixels.dtype.name
        if pixels.dtype.kind not in "buif" or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,)):
            raise ValueError(f"{name}: found {kind} {pixels.shape}, expected numbers (H, W), (H, W, 1) or (H, W, 3)")
        if pixels.dtype == np.bool_:
            pixels = pixels * np.uint8(255)
        if pixels.dtype != np.uint8 or (kind == "uint8" and self._scale_first(int(pixels.max()))):
            return self._scaled_later(name, pixels, kind)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if self.crop is None and (pixels.shape[2], *pixels.shape[:2]) == self.shape:
            return pixels.transpose(2, 0, 1), None, kind
        picture = Image.fromarray(np.ascontiguousarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]))
        return self._sized(name, picture.convert("L" if self.shape[0] == 1 else "RGB")), None, kind

    def _scale_first(self, highest: int) -> bool:
        """Whether values are put on the scale from 0 to 255 before they are mixed: a named range, or 0 and 1."""
        return highest == 1 if self.value_range is None else self.value_range[1] <= BYTE[1]

    def _scaled_later(self, name: str, pixels: NDArray[Any], kind: str) -> tuple[NDArray[Any], Values | None, str]:
        """Values of an unknown scale, cut, resized and grey or colour, as float32."""
        values = Values(whole=not kind.startswith("float"))
        values.see(pixels)
        levels = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
        if self.shape[0] == 1 and levels.shape[2] == 3:
            levels = (levels @ np.array(LUMINANCE, np.float32))[:, :, None]
        planes = [self._sized(name, Image.fromarray(plane))[0] for plane in np.moveaxis(levels, 2, 0)]
        return np.stack(planes * (self.shape[0] // len(planes))), values, kind

    def _sized(self, name: str, picture: Image.Image) -> NDArray[Any]:
        """Pixels (C, H, W), cut around the middle and resized."""
        picture = self._cut(name, picture)
        height, width = self.shape[1:]
        if picture.size != (width, height):
            if not self.resize:
                raise ValueError(
                    f"{name}: found an image of {picture.height}x{picture.width}, expected {height}x{width}; "
                    "say `resize: true` in its data set's block, or give another shape"
                )
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

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


LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as Pillow has them."""


def _kind(image: Image.Image) -> str:
    """What an image's values are: the name of a dtype, or `8-bit` for a picture for people."""
    if image.info.get("wide") or image.mode.startswith("I;16"):
        return "uint16"
    if image.mode in ("I", "F"):
        return {"I": "int32", "F": "float32"}[image.mode]
    return "8-bit" if image.mode in ("1", "P", "PA") or image.format in DISPLAYED else "uint8"


def _highest(picture: Image.Image) -> int:
    """The highest value of any channel."""
    found: Any = picture.getextrema()
    return int(max(np.ravel(found)))


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say; damaged data say nothing."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        return ImageOps.exif_transpose(image)
    return image


def _converted(name: str, image: Image.Image, mode: str) -> Image.Image:
    """Grey or colour; ValueError for a colour space that Pillow cannot convert."""
    try:
        return image.convert(mode)
    except ValueError as error:
        raise ValueError(f"{name}: found colours of mode {image.mode} ({error}); save it as RGB") from None


def _on_white(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
