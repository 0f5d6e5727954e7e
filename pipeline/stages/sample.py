"""Sample a trained model: images, canvases through time, and how fast."""

from __future__ import annotations

import time

import torch

from pipeline.core import artifacts
from pipeline.models.base import ImageGenerator
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.training.sampling import sample, sample_canvases
from pipeline.training.trained import rebuilt
from pipeline.workflow import layout


def run(job: JobContext) -> None:
    """Draw n samples and the canvases of the first few; the seed of latents holds for every model of the table."""
    device = use_device(job)
    model = load_model(job, device)
    # Seeds of trainings draw from latents of their own, so that they are independent throughout.
    seed = job.block["protocol_seed"] + 1_000_003 * job.block["seed"]
    began = time.perf_counter()
    images = sample(model, job.block["n"], seed)
    seconds = time.perf_counter() - began
    canvases = sample_canvases(model, job.block["canvases"], seed)
    job.write_images(job.at(layout.SAMPLES), images.numpy())
    job.write_images(job.at(layout.CANVASES), canvases.numpy())
    rate = len(images) / seconds
    job.write_json(job.at(layout.SAMPLING_COST), {"sample_images_per_second": round(rate, 1)})
    job.progress.say(f"{len(images):,} images, {rate:,.0f} images/s")


def load_model(job: JobContext, device: str) -> ImageGenerator:
    """The model whose weights are this job's first input, in evaluation mode."""
    model = rebuilt(job.block, artifacts.read_tensors(job.reads[0]), device)
    torch.manual_seed(job.block.get("protocol_seed", 0))
    return model
