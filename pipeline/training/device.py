"""Where a stage computes, and how a model is built there."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import torch

from pipeline.models.base import ImageGenerator


def pick_device(wish: str) -> str:
    """'cuda' when there is a GPU and it is not refused, else 'cpu' with one thread.

    Raises ValueError if a GPU is asked for and there is none.
    """
    # Bits depend on the number of threads, so it is fixed; many one-thread jobs beat one wide one.
    torch.set_num_threads(1)
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise ValueError("device: found cuda, but torch sees no GPU here; expected auto or cpu")
    if available and wish != "cpu":
        return "cuda"
    leave_the_compiler_out()
    return "cpu"


def leave_the_compiler_out() -> None:
    """Keep the first optimiser from importing torch's compiler, which costs every process 3 to 4 CPU seconds.

    torch.optim marks its methods as not to be compiled, and imports `torch._dynamo` for the marking alone. Nothing is
    compiled on a CPU here, so stand-ins for the two functions that it calls do.
    """
    if "torch._dynamo" in sys.modules:
        return
    compiler = types.ModuleType("torch._dynamo")
    compiler.disable = lambda function, recursive=True, wrapping=True: function  # type: ignore[attr-defined]
    compiler.graph_break = lambda: None  # type: ignore[attr-defined]
    sys.modules["torch._dynamo"] = torch._dynamo = compiler


def build(
    source: str, arguments: dict[str, Any], shape: tuple[int, ...], *, seed: int, device: str, classes: int = 0
) -> ImageGenerator:
    """The model of file `source` with some arguments for images of a shape, initialised from a seed.

    `classes` counts those that a conditional model can be asked for. Raises ValueError where the model cannot work on
    such images.
    """
    module = importlib.import_module(f"pipeline.models.{source}")
    (name,) = module.__all__
    torch.manual_seed(seed)
    keywords = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    if keywords.get("conditional") and classes < 1:
        raise ValueError("conditional: found true for images without classes; expected labelled ones, or false")
    of_data = (tuple(shape), classes) if keywords.get("conditional") else (tuple(shape),)
    model: ImageGenerator = getattr(module, name)(*of_data, **keywords)
    return model.to(device)
