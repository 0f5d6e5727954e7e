"""What a figure says to who does not see it: its title and its alternative text, read from its PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Words(NamedTuple):
    """A figure's message, and the result that it shows in full."""

    title: str
    text: str


def read(png: Path) -> Words:
    """The words that `style.save` kept in a figure; both empty where it has none."""
    from PIL import Image

    with Image.open(png, formats=("PNG",)) as image:
        return Words(str(image.info.get("Title", "")), str(image.info.get("Description", "")))
