"""Training, images per second: our loop beside pythae's, the textbook one and, on a GPU, ours without its graph."""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass, replace
from functools import partial

import torch

from bench import limit, pythae_loop, settings, textbook
from bench.asked import Asked, Task
from bench.rows import Row, alone, compared
from bench.settings import Model
from bench.timing import Contestant, race, say
from pipeline.training.graphs import EAGER_STEPS
from pipeline.training.loop import Diverged, Trainer

OURS, EAGER, TEXTBOOK = "ours", "ours, eager", "textbook"
NAMES = {EAGER: "our loop without its graph", TEXTBOOK: "textbook loop (bench/textbook.py)"}
WARM_UP = EAGER_STEPS + 2
"""Our steps before anything is timed: on a GPU the graph is captured in them."""


def steps_of(trainer: Trainer, *, eager: bool = False) -> Contestant:
    """Our own loop, as the stage `train` calls it; it begins anew where it comes to its end."""

    def steps(n: int) -> None:
        for _ in range(n):
            if trainer.finished:
                trainer.step = 0
            # Weights are put back where they were; what it costs does not depend on what is learnt from discs.
            with contextlib.suppress(Diverged):
                trainer.advance()
            if eager and trainer.graphed is not None and trainer.graphed.refused is None:
                trainer.graphed.refused = "the eager loop is measured"

    return steps


@dataclass
class Field:
    """Everyone who trains one model here, ours first: name -> who does n units, and how many images a unit is."""

    trainer: Trainer
    contestants: dict[str, tuple[Contestant, int]]
    missing: list[str]
    """Peers that should be here and are not, with why."""


def field(model: Model, device: str) -> Field:
    """Of a model on a device."""
    trainer = model.trainer(device)
    found: dict[str, tuple[Contestant, int]] = {OURS: (steps_of(trainer), model.batch)}
    missing = []
    if device == "cuda":
        found[EAGER] = (steps_of(model.trainer(device), eager=True), model.batch)
    plain = textbook.made(model.source, model.arguments, model.shape)
    if plain is not None:
        binarised = model.training["data"] == "binarised"
        loop = textbook.Loop(plain.to(device), model.images().numpy(), model.batch, binarised=binarised)
        found[TEXTBOOK] = (loop.steps, model.batch)
    if device == "cpu" and pythae_loop.has(model):
        try:
            found[pythae_loop.version()] = pythae_loop.contestant(model)
        except ImportError as error:  # PackageNotFoundError among them
            missing.append(f"pythae not measured: {error}")
            say(f"NOT MEASURED: {model.name} by pythae: {error}; make bench installs it")
    return Field(trainer, found, missing)


def measured(model: Model, asked: Asked) -> list[Row]:
    """A row for each peer; one without where nobody else trains this model."""
    here = field(model, asked.device)
    rates = race({name: runner for name, (runner, _) in here.contestants.items()}, asked.pace, {OURS: WARM_UP})
    of_images = {name: [v * here.contestants[name][1] for v in values] for name, values in rates.items()}
    graphed = here.trainer.graphed
    refused = [f"not captured as a graph: {graphed.refused}"] if graphed is not None and graphed.refused else []
    row = Row("train", model.name, model.setting, "images/s", note="; ".join([*refused, *here.missing]))
    row = limit.reached(alone(row, of_images[OURS]), model, asked)
    peers = [name for name in of_images if name != OURS]
    rows = [compared(replace(row), of_images[OURS], NAMES.get(peer, peer), of_images[peer]) for peer in peers]
    del here
    gc.collect()
    if asked.device == "cuda":
        torch.cuda.empty_cache()
    return rows or [row]


def tasks(asked: Asked) -> list[Task]:
    """One per model and setting."""
    models = settings.on_a_gpu(quick=asked.quick) if asked.device == "cuda" else settings.on_a_cpu(quick=asked.quick)
    return [Task(f"train: {model.name}, {model.setting}", partial(measured, model, asked)) for model in models]
