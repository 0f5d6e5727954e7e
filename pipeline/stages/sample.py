"""Sample a trained model: images, canvases through time, and how fast."""

from __future__ import annotations

import time

import torch

from pipeline.core import artifacts
from pipeline.models.base import ImageGenerator
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import Work
from pipeline.training.sampling import sample, sample_canvases
from pipeline.training.trained import rebuilt
from pipeline.workflow import layout


def run(work: Work) -> None:
    """Draw n samples and the canvases of the first few; the seed of latents holds for every model of the table."""
    device = use_device(work)
    model = load_model(work, device)
    # Seeds of trainings draw from latents of their own, so that they are independent throughout.
    seed = work.block["protocol_seed"] + 1_000_003 * work.block["seed"]
    began = time.perf_counter()
    images = sample(model, work.block["n"], seed)
    seconds = time.perf_counter() - began
    canvases = sample_canvases(model, work.block["canvases"], seed)
    work.write_images(work.at(layout.SAMPLES), images.numpy())
    work.write_images(work.at(layout.CANVASES), canvases.numpy())
    rate = len(images) / seconds
    work.write_json(work.at(layout.SAMPLING_COST), {"sample_images_per_second": round(rate, 1)})
    work.progress.say(f"{len(images):,} images, {rate:,.0f} images/s")


def load_model(work: Work, device: str) -> ImageGenerator:
    """The model whose weights are this job's first input, in evaluation mode."""
    model = rebuilt(work.block, artifacts.read_tensors(work.reads[0]), device)
    torch.manual_seed(work.block.get("protocol_seed", 0))
    return model
