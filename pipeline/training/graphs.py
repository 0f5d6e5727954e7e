"""A training step as a CUDA graph: captured once, then replayed with one launch in place of thousands.

The sequential models' steps are many small kernels, which a GPU does faster than Python can ask for them. A replay
does the same kernels on the same memory: the images of the batch are copied into the captured ones, random numbers go
on from the generator's state, and learning rates are read from the device. Models make it possible by never looking at
a tensor's value on the host.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator, optimisers

EAGER_STEPS = 3
"""Steps before the capture: optimisers make their state and libraries their workspaces, neither of them captured."""

Step = Callable[..., dict[str, Tensor]]


class GraphedStep:
    """`fit_batch` of a model on a GPU: eager at first, then replays. Called like it, and returns what it returns."""

    def __init__(self, model: ImageGenerator, step: Step) -> None:
        self.model, self.step = model, step
        self.taken = 0
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch: tuple[Tensor, ...] = ()
        self.scalars: dict[str, Tensor] = {}
        self.refused: str | None = None
        """Why the step could not be captured; it then stays eager."""
        for optimiser in optimisers(model).values():
            for group in optimiser.param_groups:  # a replayed step reads its learning rate again
                group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=model.device)

    def __call__(self, *batch: Tensor) -> dict[str, Tensor]:
        self.taken += 1
        if self.graph is None and self.refused is None and self.taken > EAGER_STEPS:
            self._capture(batch)
        if self.graph is None:
            return self._eager(batch)
        for place, values in zip(self.batch, batch, strict=True):
            place.copy_(values)
        self.graph.replay()
        return {name: value.clone() for name, value in self.scalars.items()}

    def _eager(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """On a stream of its own: what is captured later must not wait for the default one."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            scalars = self.step(*batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return scalars

    def _capture(self, batch: tuple[Tensor, ...]) -> None:
        """Record a step without taking it; a step that looks at values on the host cannot be, and stays eager."""
        self.batch = tuple(values.clone() for values in batch)
        for optimiser in optimisers(self.model).values():
            optimiser.zero_grad(set_to_none=True)  # gradients are to lie in the graph's own memory
            for group in optimiser.param_groups:
                group |= {"capturable": True} if "capturable" in group else {}
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.scalars = self.step(*self.batch)
        except RuntimeError as error:
            self.refused = str(error).splitlines()[0]
        else:
            self.graph = graph


def set_rate(group: dict[str, object], rate: float) -> None:
    """A group's learning rate, in place where it is a tensor."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def plain_groups(groups: list[dict[str, object]]) -> list[dict[str, object]]:
    """Groups of an optimiser's state without what only a graph needs: plain numbers, which any device goes on from."""
    plain = []
    for group in groups:
        values = {key: value.item() if isinstance(value, Tensor) else value for key, value in group.items()}
        plain.append(values | ({"capturable": False} if "capturable" in values else {}))
    return plain
