"""Which scale pixel values have: 0 to 255, 0 to 1, -1 to 1, 16 bits, or black and white as 0 and 1.

The decision is made once for all images of a dtype, because an almost black image alone cannot tell. Values that can be
read in two ways are refused; the key `value_range` of the data set's block chooses, whatever the reader.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BYTE", "Range", "Values", "read_as", "scaled"]

Range = tuple[float, float]
"""The values that become 0 and 255."""

BINARY: Range = (0.0, 1.0)
SIGNED: Range = (-1.0, 1.0)
BYTE: Range = (0.0, 255.0)
WORD: Range = (0.0, 65535.0)

OVERSHOOT = 0.01
"""Share of a range by which resampled values may leave it; they are clipped."""

FAINT = 0.25
"""Values from 0 to less than this share of a range are more likely of another range than of dark images."""


@dataclass
class Values:
    """Lowest and highest value of all images of one dtype, and the range as which they were read."""

    low: float = math.inf
    high: float = -math.inf
    whole: bool = True
    range: Range = BYTE

    def merge(self, other: Values) -> None:
        """Widen the range by another one; NaN stays NaN."""
        self.low, self.high = float(np.minimum(self.low, other.low)), float(np.maximum(self.high, other.high))

    def see(self, values: NDArray[np.generic]) -> None:
        """Widen the range by some more values; NaN stays NaN."""
        if values.size:
            self.merge(Values(float(values.min()), float(values.max())))


def read_as(kind: str, values: Values, chosen: Sequence[float] | None = None) -> Range:
    """The range as which values of a dtype are read; `chosen` is the block's `value_range`.

    Raises ValueError, with both readings and the key that chooses, where the values can be read in two ways.
    """
    low, high = values.low, values.high
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"pixels: found {kind} values that are NaN or infinite; expected numbers; replace them")
    if chosen is not None:
        return _chosen(kind, low, high, chosen)
    readings = _readings(low, high, whole=values.whole)
    if len(readings) > 1:
        one, other = (f"`value_range: [{a:g}, {b:g}]`" for a, b in readings)
        raise ValueError(
            f"pixels: found {kind} values from {low:g} to {high:g}, which can be read in two ways; "
            f"say {one} or {other} in the data set's block (black, white)"
        )
    return readings[0]


def _chosen(kind: str, low: float, high: float, chosen: Sequence[float]) -> Range:
    """The range that the block names; no value may be outside of it."""
    least, most = map(float, chosen)
    room = OVERSHOOT * (most - least)
    if low < least - room or high > most + room:
        raise ValueError(
            f"value_range: found {kind} values from {low:g} to {high:g}, expected none outside of {least:g} to {most:g}"
        )
    return least, most


def _readings(low: float, high: float, *, whole: bool) -> list[Range]:
    """The likeliest range, or the two that are equally likely."""
    if low < 0 and not whole and low >= -1 - OVERSHOOT and high <= 1 + OVERSHOOT:
        if low > -OVERSHOOT and high >= FAINT:
            return [BINARY]
        return [SIGNED] if max(-low, high) > 0.5 + OVERSHOOT else [SIGNED, (-0.5, 0.5)]
    if low < (0 if whole else -OVERSHOOT * max(high, 1)):
        return [(low, high), (-max(-low, high), max(-low, high))]
    if high <= (1 if whole else 1 + OVERSHOOT):
        return [BINARY] if whole or high >= FAINT or high <= 0 else [BINARY, (0.0, high)]
    if high < FAINT * 255:
        return [(0.0, high), BYTE]
    if high <= 255 * (1 if whole else 1 + OVERSHOOT):
        return [BYTE]
    if high <= 32767:
        return [(0.0, 2.0 ** math.ceil(math.log2(high + 1)) - 1), WORD]
    return [WORD] if high <= 65535 else [(0.0, high), (0.0, 2.0**32 - 1)]


def scaled(values: NDArray[np.generic], of: Range) -> NDArray[np.uint8]:
    """Values of a range as 0 to 255, rounded and clipped."""
    low, high = of
    levels = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    return levels.round().clip(0, 255).astype(np.uint8)
