"""A small data set in the place of MNIST, in its format: what tests of the workflow run on, with no network."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np
import yaml

TRAIN, VALID, TEST = 1000, 200, 200
"""Images of each split; the tiny budget compares 200."""


def idx(values: np.ndarray) -> bytes:
    """uint8 values as a file of MNIST's format."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes() + values.tobytes()


def digits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Soft discs on black, (n, 28, 28) uint8, whose place on a circle is their class, (n,) uint8."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    angle = 2 * np.pi * labels / 10
    centres = 13.5 + 7 * np.stack([np.sin(angle), np.cos(angle)], axis=1) + chance.normal(0, 1, (n, 2))
    rows, columns = np.mgrid[:28, :28]
    distance = np.hypot(rows - centres[:, 0, None, None], columns - centres[:, 1, None, None])
    radius = chance.uniform(3, 6, (n, 1, 1))
    return (128 * (radius - distance)).clip(0, 255).astype(np.uint8), labels.astype(np.uint8)


@functools.cache
def files() -> dict[str, bytes]:
    """MNIST's four files by name."""
    found = {}
    for split, n, seed in (("train", TRAIN + VALID, 0), ("t10k", TEST, 1)):
        images, labels = digits(n, seed)
        found[f"{split}-images-idx3-ubyte"], found[f"{split}-labels-idx1-ubyte"] = idx(images), idx(labels)
    return found


def write(folder: Path) -> None:
    """Write the four files."""
    folder.mkdir(parents=True)
    for name, content in files().items():
        (folder / name).write_bytes(content)


def params_of(text: str) -> str:
    """params.yaml with these files' digests in the place of MNIST's, and a validation split of their size."""
    listed = yaml.safe_load(text)["datasets"]["mnist"]
    for name, content in files().items():
        text = text.replace(listed["files"][name], hashlib.sha256(content).hexdigest())
    before, block, after = text.partition("\n  mnist:\n")
    return before + block + after.replace(f"valid: {listed['valid']} ", f"valid: {VALID} ", 1)
