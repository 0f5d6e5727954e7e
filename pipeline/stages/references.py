"""Make the reference rows' images: held-out real ones, uniform noise, and the mean image with pixel noise."""

from __future__ import annotations

import numpy as np

from pipeline.infra import artifacts, layout
from pipeline.infra.stage import Work

PIXEL_NOISE = 0.1 * 255
"""Standard deviation of the noise on the mean image."""


def run(work: Work) -> None:
    """What a perfect model would give (`real`), what nothing gives (`noise`), what a blur gives (`mean_image`)."""
    train, _ = artifacts.read_images(work.reads[0])
    valid, _ = artifacts.read_images(work.reads[1])
    n, seed = work.block["n"], work.block["seed"]
    makers = {"real": real, "noise": noise, "mean_image": mean_image}
    for stream, name in enumerate(layout.REFERENCES):
        draw = np.random.Generator(np.random.Philox(key=[seed, stream]))
        images = makers[name](train, valid, n, draw)
        work.write_images(work.at(layout.REFERENCE, reference=name), images)


def real(train: np.ndarray, valid: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Real images held out for validation, (<= n, C, H, W)."""
    return valid[np.sort(draw.permutation(len(valid))[:n])]


def noise(train: np.ndarray, valid: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Uniform noise, (n, C, H, W)."""
    images: np.ndarray = draw.integers(0, 256, (n, *train.shape[1:]), dtype=np.uint8)
    return images


def mean_image(train: np.ndarray, valid: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """The training split's mean image with normal noise on every pixel, (n, C, H, W)."""
    mean = train.mean(0, dtype=np.float64)
    noisy = mean + PIXEL_NOISE * draw.standard_normal((n, *mean.shape), dtype=np.float32)
    images: np.ndarray = noisy.round().clip(0, 255).astype(np.uint8)
    return images
