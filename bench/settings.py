"""The models that are measured, as params.yaml has them, and where."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from bench import pictures
from pipeline.models.base import ImageGenerator
from pipeline.training.device import build
from pipeline.training.loop import Settings, Trainer
from pipeline.workflow import params
from pipeline.workflow.job_hash import ROOT

MNIST = (1, 28, 28)
IMAGES = {784: 50_000}
"""Pixels -> images of the training split; as many as MNIST's."""
FEWER_IMAGES = 10_000


@dataclass(frozen=True)
class Model:
    """A model of params.yaml at one budget, on images of one shape."""

    name: str
    source: str
    """Its file in pipeline/models."""
    arguments: dict[str, Any]
    training: dict[str, Any]
    shape: tuple[int, int, int]
    setting: str

    @property
    def batch(self) -> int:
        """Images per training step."""
        return int(self.training["batch"])

    def built(self, device: str) -> ImageGenerator:
        """The untrained model."""
        return build(self.source, self.arguments, self.shape, seed=0, device=device)

    def images(self, n: int | None = None) -> Tensor:
        """The training split, uint8 (N, C, H, W) on the CPU."""
        channels, height, width = self.shape
        return pictures.made_up(n or IMAGES.get(channels * height * width, FEWER_IMAGES), self.shape)

    def trainer(self, device: str, images: int | None = None) -> Trainer:
        """The project's own training loop, at its first step."""
        settings = Settings(**self.training, seed=0)
        return Trainer(self.built(device), self.images(images).to(device), settings)


@functools.cache
def loaded(budget: str) -> params.Params:
    """params.yaml at a budget."""
    return params.load([f"budget={budget}"], file=ROOT / "params.yaml")


def model(name: str, budget: str = "laptop", *, dataset: str = "mnist", batch: int | None = None) -> Model:
    """A model as a data set's table has it; DRAW-GAN past its warm-up, from where on all its losses count."""
    resolved = loaded(budget)
    block = resolved.model_for(dataset, name)
    channels, height, width = resolved.datasets[dataset].shape
    training, arguments = dict(block["training"]), dict(block["arguments"])
    if batch is not None:
        training["batch"] = batch
    if "warmup" in arguments:
        arguments["warmup"] = 0
    words = [budget, f"{height}x{width}", f"batch {training['batch']}"]
    if "glimpses" in arguments:
        words.insert(1, f"T={arguments['glimpses']}")
    return Model(name, block["class"], arguments, training, (channels, height, width), ", ".join(words))


def laptop() -> list[Model]:
    """Every model of params.yaml that has a training of its own, at the laptop budget on MNIST's shape."""
    names = [name for name, block in loaded("laptop").resolved_models.items() if "reuse_training_of" not in block]
    return [model(name) for name in names]


def on_a_cpu(*, quick: bool) -> list[Model]:
    """What is trained and sampled there."""
    if quick:
        return [model("vae")]
    return [*laptop(), model("draw", "paper"), *_larger()]


def on_a_gpu(*, quick: bool) -> list[Model]:
    """The models that a GPU is for, at the budgets that it is for."""
    if quick:
        return [model("vae"), model("draw")]
    grans = [model(f"gran{t}", batch=batch) for t in (1, 3, 5) for batch in (64, 100)]
    return [
        model("draw", "paper"),
        *grans,
        model("draw_gan"),
        model("draw_gan", "paper"),
        model("dcgan"),
        *_larger(),
        model("vae"),
    ]


def _larger() -> list[Model]:
    return [model("dcgan", dataset="cifar10"), model("dcgan", dataset="celeba")]


def small_batch(of: Model, batch: int) -> Model:
    """The same model with fewer images per step."""
    return replace(of, training=of.training | {"batch": batch})
