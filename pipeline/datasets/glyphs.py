"""Written text to a picture: shaped by HarfBuzz, rasterised by FreeType, one instance of one font at a time.

Shaping is what makes Telugu right: vowel signs join their consonant and the later consonants of a conjunct take their
forms below the first, by the font's own OpenType rules. Outlines are not hinted, so that a picture depends on the
font's bytes and the libraries' versions alone. Both libraries are imported when the first font is opened.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FontInstance", "Rasteriser", "font_instances"]

EM = 64
"""Pixels of the em square: a page at 10 points and 460 dots per inch, finer than it is scanned."""


@dataclass(frozen=True)
class FontInstance:
    """A font file and the place on its axes of variation (weight, width, ...), in the font's own units."""

    file: str
    axes: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """For instance `NotoSansTelugu wdth=75 wght=400`."""
        return " ".join([Path(self.file).stem, *(f"{axis}={value:g}" for axis, value in self.axes)])


def font_instances(fonts: Mapping[str, Mapping[str, Sequence[float]]]) -> list[FontInstance]:
    """Every combination of the values that `fonts` gives to each file's axes; a file without axes is one instance."""
    return [
        FontInstance(file, tuple(zip(axes, (float(value) for value in values), strict=True)))
        for file, axes in fonts.items()
        for values in itertools.product(*axes.values())
    ]


class Rasteriser:
    """Draws text in one instance of a font.

    Raises ValueError, in one line, where a library is missing, the file is no font, or it lacks an axis or a value.
    """

    def __init__(self, folder: Path, instance: FontInstance) -> None:
        self.instance = instance
        self.shaper, self.freetype = _libraries()
        path = folder / instance.file
        try:
            self.face = self.freetype.Face(str(path))
        except self.freetype.FT_Exception as error:
            raise ValueError(f"{instance.file}: not a font that FreeType can read ({error})") from None
        self.face.set_pixel_sizes(EM, EM)
        self.font = self.shaper.Font(self.shaper.Face(path.read_bytes()))
        self.font.scale = (EM * 64, EM * 64)
        if instance.axes:
            self._vary(dict(instance.axes))

    def _vary(self, place: Mapping[str, float]) -> None:
        """Set both libraries to the instance; HarfBuzz needs it for the advances and the rules."""
        try:
            axes = self.face.get_variation_info().axes
        except self.freetype.FT_Exception:
            axes = []
        known = {axis.tag: axis for axis in axes}
        for tag, value in place.items():
            if tag not in known or not known[tag].minimum <= value <= known[tag].maximum:
                ranges = ", ".join(f"{axis.tag} {axis.minimum:g} to {axis.maximum:g}" for axis in axes) or "none"
                raise ValueError(f"{self.instance.file}: found {tag}={value:g}, but its axes are: {ranges}")
        self.face.set_var_design_coords([place.get(axis.tag, axis.default) for axis in axes])
        self.font.set_variations(dict(place))

    def shape(self, text: str) -> list[tuple[int, int, int]]:
        """(glyph, x, y) of each glyph, the place of its origin in 64ths of a pixel, y upwards.

        Raises ValueError for text that the font has no glyphs for.
        """
        buffer = self.shaper.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        self.shaper.shape(self.font, buffer)
        placed, pen = [], 0
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            if info.codepoint == 0:
                raise ValueError(f"{self.instance.file}: no glyph for {text!r}")
            placed.append((info.codepoint, pen + position.x_offset, position.y_offset))
            pen += position.x_advance
        return placed

    def draw(self, text: str) -> NDArray[np.uint8]:
        """Coverage of the text's ink, uint8 (height, width), cropped to it; the em is `EM` pixels."""
        parts = [self._part(*placed) for placed in self.shape(text)]
        parts = [part for part in parts if part[0].size]
        top = max(part[1] for part in parts)
        bottom = min(part[1] - part[0].shape[0] for part in parts)
        left = min(part[2] for part in parts)
        right = max(part[2] + part[0].shape[1] for part in parts)
        picture = np.zeros((top - bottom, right - left), dtype=np.uint8)
        for bitmap, above, start in parts:
            place = picture[top - above :, start - left :][: bitmap.shape[0], : bitmap.shape[1]]
            np.maximum(place, bitmap, out=place)
        rows, columns = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
        return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def _part(self, glyph: int, x: int, y: int) -> tuple[NDArray[np.uint8], int, int]:
        """One glyph's bitmap, and how far above the baseline and right of the origin it starts."""
        self.face.set_transform(
            self.freetype.Matrix(0x10000, 0, 0, 0x10000), self.freetype.Vector(x, y)
        )  # in the outline, before it is rasterised: parts meet to a 64th of a pixel
        self.face.load_glyph(glyph, self.freetype.FT_LOAD_RENDER | self.freetype.FT_LOAD_NO_HINTING)
        slot = self.face.glyph
        bitmap = slot.bitmap
        pixels = np.array(bitmap.buffer, dtype=np.uint8).reshape(bitmap.rows, bitmap.pitch)[:, : bitmap.width]
        return pixels, slot.bitmap_top, slot.bitmap_left


def _libraries() -> tuple[Any, Any]:
    try:
        import freetype
        import uharfbuzz
    except ImportError as error:
        raise ValueError(
            f"the package for module '{error.name}' is not installed; rendering needs uharfbuzz and freetype-py: "
            "install what envs/requirements.txt has"
        ) from None
    return uharfbuzz, freetype
