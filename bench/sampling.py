"""Sampling, images per second: `pipeline.training.sampling.sample` beside the textbook models' own."""

from __future__ import annotations

from functools import partial

import torch

from bench import settings, textbook
from bench.asked import Asked, Task
from bench.rows import Row, alone, compared
from bench.settings import Model
from bench.timing import Contestant, race
from pipeline.training.sampling import BATCH, sample

OURS, TEXTBOOK = "ours", "textbook"


def contestants(model: Model, device: str) -> dict[str, Contestant]:
    """Who draws n batches of samples, as uint8 on the CPU."""
    network = model.built(device)

    def ours(n: int) -> None:
        sample(network, n * BATCH, seed=0)

    found: dict[str, Contestant] = {OURS: ours}
    plain = textbook.made(model.source, model.arguments, model.shape)
    if plain is not None:
        found[TEXTBOOK] = partial(batches, plain.to(device).eval())
    return found


def batches(network: textbook.Textbook, n: int) -> None:
    """n batches, as they are commonly drawn."""
    with torch.no_grad():
        for _ in range(n):
            (network.generate(BATCH) * 255).byte().cpu().numpy()


def measured(model: Model, asked: Asked) -> list[Row]:
    """One row."""
    rates = race(contestants(model, asked.device), asked.pace)
    of_images = {name: [value * BATCH for value in values] for name, values in rates.items()}
    row = Row("sample", model.name, model.setting.replace(f"batch {model.batch}", f"batch {BATCH}"), "images/s")
    if TEXTBOOK not in of_images:
        return [alone(row, of_images[OURS])]
    return [compared(row, of_images[OURS], "textbook (bench/textbook.py)", of_images[TEXTBOOK])]


def tasks(asked: Asked) -> list[Task]:
    """One per network; how many images a training step had makes no other one."""
    models = settings.on_a_gpu(quick=asked.quick) if asked.device == "cuda" else settings.on_a_cpu(quick=asked.quick)
    networks = {(model.name, str(model.arguments), model.shape): model for model in reversed(models)}
    return [
        Task(f"sample: {model.name}, {model.setting}", partial(measured, model, asked))
        for model in reversed(networks.values())
    ]
