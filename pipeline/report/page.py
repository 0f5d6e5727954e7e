"""The page from what it is to show: every value escaped, style and script within, nothing asked of anybody else.

A browser is told so as well (Content-Security-Policy): it runs and styles by the two texts that are here, known by
their digests, shows pictures of data: addresses, and makes no request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STEPS = 20
"""Shades of the battle matrix, from 0 to chance and above."""


def render(datasets: Sequence[Mapping[str, Any]], **about: Any) -> str:
    """The whole page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shade"] = shade
    return environment.get_template("page.html.j2").render(
        datasets=datasets,
        policy=policy(style, script),
        style=Markup(style),  # noqa: S704  our own file
        script=Markup(script),  # noqa: S704
        **about,
    )


def policy(style: str, script: str) -> str:
    """What a browser may do for this page: nothing but show it."""
    sources = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{_digest(style)}'",
        "script-src": f"'sha256-{_digest(script)}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items())


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def shade(share: float | None, top: float) -> str:
    """The class of a cell of the battle matrix: its share of `top` in steps."""
    return "none" if share is None else f"s{min(STEPS, max(0, round(STEPS * share / max(top, 1e-9))))}"
