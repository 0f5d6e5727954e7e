"""Feature spaces in which images are compared: pixels, and the penultimate layer of a classifier trained here.

A module of this folder with a function `space` is a feature space, by its file's name. `space(train)` is given the
training images (N, C, H, W) uint8 and returns a function of such images whose values are points (N, d) float32.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["spaces"]


def spaces() -> dict[str, Any]:
    """The function `space` of every module that has one, by the module's name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    modules = {name: import_module(f"{__name__}.{name}") for name in names}
    return {name: module.space for name, module in modules.items() if hasattr(module, "space")}
