"""Captions: one paragraph each in a file of its own, which Snakemake's report shows too.

A file is reStructuredText of one form: `**Title.**` and then sentences, in which ``words`` may be marked as literal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TITLE = re.compile(r"\*\*(?P<title>[^*]+?)\.?\*\*\s+(?P<text>.+)", re.DOTALL)


@dataclass(frozen=True)
class Caption:
    """A title, and a paragraph as (text, whether it is literal) one after the other."""

    title: str
    parts: tuple[tuple[str, bool], ...]

    @property
    def text(self) -> str:
        """The paragraph as plain text."""
        return "".join(part for part, _ in self.parts)


def parsed(text: str, name: str) -> Caption:
    """The caption in a file's text. Raises ValueError with the file's name for text of another form."""
    found = TITLE.fullmatch(" ".join(text.split()))
    if found is None:
        raise ValueError(f"report/{name}.rst: found {text[:40]!r}, expected **Title.** and one paragraph")
    pieces = found["text"].split("``")
    return Caption(found["title"], tuple((piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece))


def read(folder: Path) -> dict[str, Caption]:
    """Every caption of a folder by the name of its file."""
    return {path.stem: parsed(path.read_text(encoding="utf-8"), path.stem) for path in sorted(folder.glob("*.rst"))}


def of(captions: dict[str, Caption], name: str) -> Caption:
    """The caption of a figure; of one that nobody wrote a caption for, its name."""
    return captions.get(name) or Caption(name.replace("_", " ").capitalize(), ())
