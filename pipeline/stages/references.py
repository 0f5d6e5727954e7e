"""Make and measure the reference rows: held-out real images, uniform noise, and the mean image with pixel noise."""

from __future__ import annotations

import numpy as np

from pipeline.core import artifacts
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.stages.evaluate import Evaluator
from pipeline.workflow import layout

PIXEL_NOISE = 0.1 * 255
"""Standard deviation of the noise on the mean image."""


def run(job: JobContext) -> None:
    """What a perfect model would get (`real`), what nothing gets (`noise`), what a blur gets (`mean_image`)."""
    use_device(job)
    valid_path, train_path, test_path, classifier, features = job.reads
    train, valid = artifacts.read_images(train_path)[0], artifacts.read_images(valid_path)[0]
    evaluator = Evaluator(job, train_path, test_path, classifier, features)
    evaluator.enough("valid", valid)
    makers = {"real": real, "noise": noise, "mean_image": mean_image}
    measured = {}
    for stream, name in enumerate(layout.REFERENCES):
        draw = np.random.Generator(np.random.Philox(key=[job.block["protocol_seed"], stream]))
        images = makers[name](train, valid, job.block["n"], draw)
        measured[name] = evaluator.measure(images)
        job.progress.say(f"{name}: {len(images):,} images measured")
    job.write_json(job.at(layout.REFERENCE_METRICS), measured)


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
