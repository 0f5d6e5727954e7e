"""Sample a trained model: images, canvases through time, and how fast."""

from __future__ import annotations

import time

import torch

from pipeline.core import artifacts
from pipeline.models.base import ImageGenerator
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.training.requested import drawn_classes
from pipeline.training.sampling import sample, sample_canvases
from pipeline.training.trained import rebuilt


def run(job: JobContext) -> None:
    """Draw n samples and the canvases of the first few; the seed of latents holds for every model of the table.

    A conditional model's samples have the classes that they were asked to be of as labels.
    """
    device = use_device(job)
    model = load_model(job, device)
    # Seeds of trainings draw from latents of their own, so that they are independent throughout.
    seed = job.config["protocol_seed"] + 1_000_003 * job.config["seed"]
    began = time.perf_counter()
    images = sample(model, job.config["n"], seed)
    seconds = time.perf_counter() - began
    classes = drawn_classes(model, len(images), seed)
    canvases = sample_canvases(model, job.config["canvases"], seed)
    job.write_images(job.outputs["images"], images.numpy(), None if classes is None else classes.numpy())
    job.write_images(job.outputs["canvases"], canvases.numpy())
    rate = len(images) / seconds
    job.write_json(job.outputs["cost"], {"sample_images_per_second": round(rate, 1)})
    job.progress.say(f"{len(images):,} images, {rate:,.0f} images/s")


def load_model(job: JobContext, device: str) -> ImageGenerator:
    """The model whose weights this job reads, in evaluation mode."""
    model = rebuilt(job.config, artifacts.read_tensors(job.inputs["weights"]), device)
    torch.manual_seed(job.config.get("protocol_seed", 0))
    return model
