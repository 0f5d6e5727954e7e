"""Every model that params.yaml names, made small: what the tests of the contract and of the loop run on."""

from __future__ import annotations

import importlib
from typing import Any, get_args

import torch
from torch import Tensor

from pipeline.models import kinds
from pipeline.models.base import ImageGenerator
from pipeline.training.device import build
from pipeline.workflow import model_arguments
from tests.conftest import plan_of

WIDEST = 8
"""Largest value that a small model's counts have."""

CLASSES = 10
"""Of the data that conditional models are tried on."""

RESOLVED = plan_of("budget=tiny").params.resolved_models
_OWN = sorted(name for name, block in RESOLVED.items() if "reuse_training_of" not in block)
"""The models with a training of their own."""

_OF_CLASS = {block["class"]: name for name, block in RESOLVED.items() if "conditional" in block["arguments"]}
CONDITIONAL = {f"{name}, conditional": name for name in sorted(_OF_CLASS.values())}
"""One model of every class that can draw a requested class of images."""


def block_of(name: str) -> dict[str, Any]:
    """The resolved block of a model of params.yaml, or of its conditional form."""
    if name not in CONDITIONAL:
        return RESOLVED[name]
    block = RESOLVED[CONDITIONAL[name]]
    return block | {"arguments": block["arguments"] | {"conditional": True}}


def variant(name: str) -> tuple[Any, ...]:
    """A model's class and its choices: what differs in numbers alone runs the same code, and small the same numbers."""
    arguments = block_of(name)["arguments"].items()
    return (block_of(name)["class"], *((key, value) for key, value in arguments if isinstance(value, bool | str)))


NAMES = list({variant(name): name for name in _OWN}.values())
"""One model of every class and of every choice that params.yaml makes of it."""

ONE_OF_EACH_CLASS = sorted({block_of(name)["class"]: name for name in NAMES}.values())


def class_of(name: str) -> type[ImageGenerator]:
    """The class of a model, not built: what it can do is known without a network."""
    module = importlib.import_module(f"pipeline.models.{block_of(name)['class']}")
    found: type[ImageGenerator] = getattr(module, module.__all__[0])
    return found


torch.set_num_threads(1)


def small_arguments(name: str) -> dict[str, Any]:
    """A model's arguments, its counts and lists of counts cut to `WIDEST` and every schedule to five steps."""
    arguments = dict(block_of(name)["arguments"])
    for argument, kind, _ in model_arguments.constructor(f"pipeline.models.{block_of(name)['class']}"):
        value = arguments[argument]
        if argument == "warmup":
            arguments[argument] = min(value, 5)
        elif isinstance(value, tuple | list):
            arguments[argument] = tuple(min(item, WIDEST) for item in value)
        elif get_args(kind)[:1] == (int,) and not isinstance(value, bool):
            arguments[argument] = min(value, WIDEST)
    return arguments


def small(name: str, shape: kinds.Shape = (1, 28, 28), seed: int = 0) -> ImageGenerator:
    """A small model of params.yaml, initialised from a seed."""
    arguments = small_arguments(name)
    return build(block_of(name)["class"], arguments, shape, seed=seed, device="cpu", classes=CLASSES)


def after_noise(model: ImageGenerator, steps: int) -> Any:
    """A model after updates on noise images, in evaluation mode: statistics and weights have moved."""
    torch.manual_seed(5)
    for _ in range(steps):
        model.fit_batch(torch.rand(8, *model.shape))
    return model.eval()


def images(n: int, shape: kinds.Shape = (1, 28, 28), seed: int = 0) -> Tensor:
    """Grey discs of random place and size on black, uint8 (n, C, H, W): empty corners and soft edges, as digits."""
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    x, y, radius = torch.rand(3, n, channels, 1, 1, generator=generator)
    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    distance = ((columns - 0.3 - 0.4 * x).square() + (rows - 0.3 - 0.4 * y).square()).sqrt()
    return ((0.1 + 0.2 * radius - distance) * 1500).clamp(0, 255).to(torch.uint8)


def bars(n: int) -> Tensor:
    """Images (n, 1, 6, 6): a row of ones at a random place on zeros."""
    x = torch.zeros(n, 1, 6, 6)
    x[torch.arange(n), 0, torch.randint(0, 6, (n,), generator=torch.Generator().manual_seed(0))] = 1.0
    return x


def real_batch(name: str, n: int, shape: kinds.Shape = (1, 28, 28)) -> Tensor:
    """A batch as the loop would feed it to the model: binary or grey, float (n, C, H, W)."""
    real = images(n, shape).float() / 255
    return (real > 0.5).float() if block_of(name)["training"]["data"] == "binarised" else real


def fed(name: str, n: int, shape: kinds.Shape = (1, 28, 28)) -> tuple[Tensor, ...]:
    """What the loop would feed it: the batch, and labels of every class in turn where the model takes them."""
    real = real_batch(name, n, shape)
    return (real, torch.arange(n) % CLASSES) if name in CONDITIONAL else (real,)
