"""Pictures within a page: each as a data: address, as small as its pixels allow without losing one."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_SVG = 400_000
"""Bytes; a drawing of more than this has so many points that its picture is the smaller one."""
RASTER = re.compile(rb"<image\b")


def png(picture: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) and its opacity (H, W, 1), both uint8, as the address of a PNG; grey if it has no colour."""
    from PIL import Image

    grey = bool((picture[..., 0] == picture[..., 1]).all() and (picture[..., 1] == picture[..., 2]).all())
    layers = np.concatenate([picture[..., :1] if grey else picture, alpha], axis=-1)
    return address(_encoded(Image.fromarray(layers)), "image/png")


def _encoded(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def address(content: bytes, kind: str) -> str:
    """Bytes as a data: address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def drawing(svg: Path | None, raster: Path) -> dict[str, Any]:
    """A figure's address, and whether it is a drawing of lines on white, whose colours a dark page may turn.

    Lines are embedded as SVG, pictures as PNG: a raster inside an SVG is the same bytes and more.
    """
    content = svg.read_bytes() if svg is not None and svg.exists() else b""
    if content and len(content) <= LARGEST_SVG and not RASTER.search(content):
        return {"src": address(content, "image/svg+xml"), "lines": True, "kind": "svg"}
    return {"src": address(smaller(raster.read_bytes()), "image/png"), "lines": False, "kind": "png"}


def smaller(content: bytes) -> bytes:
    """The same picture in fewer bytes where it has at most 256 colours; else the bytes as they are."""
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=("PNG",)) as opened:
        image = opened.convert("RGB")
    colours = image.getcolors(256)
    if colours is None:
        return content
    grey = image.convert("L")
    if grey.convert("RGB").tobytes() == image.tobytes():
        packed = _encoded(grey)
    else:
        few = image.quantize(len(colours), dither=Image.Dither.NONE)
        packed = _encoded(few) if few.convert("RGB").tobytes() == image.tobytes() else content
    return min(packed, content, key=len)
