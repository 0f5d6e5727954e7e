"""Make and measure the reference rows: held-out real images, uniform noise, and the mean image with pixel noise."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.core import artifacts
from pipeline.features.evaluator import Evaluator
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.workflow import layout

PIXEL_NOISE = 0.1 * 255
"""Standard deviation of the noise on the mean image."""


def run(job: JobContext) -> None:
    """What a perfect model would get (`real`), what nothing gets (`noise`), what a blur gets (`mean_image`)."""
    use_device(job)
    train = artifacts.read_images(job.inputs["train"])[0]
    valid, labels = artifacts.read_images(job.inputs["valid"])
    evaluator = Evaluator(
        job.inputs,
        dataset=job.wildcards["dataset"],
        n=job.config["n"],
        seed=job.config["protocol_seed"],
        groups=job.config["groups"],
        progress=job.progress,
    )
    evaluator.enough("valid", valid)
    makers = {"real": real, "noise": noise, "mean_image": mean_image}
    measured = {}
    for stream, name in enumerate(layout.REFERENCES):
        images = makers[name](train, valid, job.config["n"], generator(job, stream))
        known = {}
        if name == "real" and labels is not None:
            chosen = real_rows(len(valid), job.config["n"], generator(job, stream))
            known["asked"] = torch.from_numpy(labels[chosen])
        measured[name] = evaluator.measure(images, known)
        job.progress.say(f"{name}: {len(images):,} images measured")
    job.write_json(job.outputs["metrics"], measured)


def generator(job: JobContext, stream: int) -> np.random.Generator:
    """The random numbers of a reference."""
    return np.random.Generator(np.random.Philox(key=[job.config["protocol_seed"], stream]))


def real_rows(size: int, n: int, draw: np.random.Generator) -> np.ndarray:
    """Which of the validation images are the row `real`, (<= n,)."""
    return np.sort(draw.permutation(size)[:n])


def real(train: np.ndarray, valid: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Real images held out for validation, (<= n, C, H, W)."""
    return valid[real_rows(len(valid), n, draw)]


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
