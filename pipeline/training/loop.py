"""The training loop: index batches on the device, one synchronisation per window, exact resume.

The whole training split sits on the device as uint8 and a batch is an index into it. Scalars are gathered on the
device and looked at once per window of steps; a value that is not finite ends the training with the weights of the
last good window. A state holds everything (weights, optimisers, random generators, position, pending scalars), so a
training that was killed and resumed equals an uninterrupted one bit for bit on a CPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator, optimisers
from pipeline.training.average import Average, estimate_norms
from pipeline.training.graphs import GraphedStep, plain_groups, set_rate
from pipeline.training.sampler import Sampler, epoch_order, power_of

WINDOWS = 200
"""A history has about this many rows, whatever the number of steps."""

LONGEST_HORIZON = 1000
"""Steps that an average of the weights looks back at most."""

PRIOR_BATCH = 1000
"""Training images that a prior is fitted to are shown so many at a time."""


@dataclass(frozen=True)
class Settings:
    """What the loop is told: `steps` optimiser steps of `batch` images."""

    steps: int
    batch: int
    data: Literal["binarised", "grey"]
    precision: Literal["float32", "bfloat16"]
    seed: int
    lr_decay_fraction: float = 0.0
    """The last share of the steps, over which all learning rates fall linearly towards 0."""
    sampler: Sampler = "natural"
    """How often each class is shown (pipeline/training/sampler.py)."""
    sampler_power: float = 0.5
    """Of the class frequency, in [0, 1], for the sampler `tempered`."""
    average: bool = False
    """Whether a moving average of the weights is kept, and used for all but the training itself."""

    def rate_factor(self, step: int) -> float:
        """What the learning rates of a step (0, 1, ...) are multiplied by, in (0, 1]."""
        falling = self.lr_decay_fraction * self.steps
        return min(1.0, (self.steps - step) / falling) if falling > 0 else 1.0

    @property
    def window(self) -> int:
        """Steps per row of the history."""
        return max(1, -(-self.steps // WINDOWS))

    @property
    def horizon(self) -> int:
        """About how many steps the average of the weights looks back."""
        return max(1, min(LONGEST_HORIZON, self.steps // 10))


class Diverged(ArithmeticError):
    """A loss that is not finite, or weights that are not after a loss that was: which step, and which term."""

    def __init__(self, step: int, term: str, value: float) -> None:
        super().__init__(f"{term} is {value} at step {step}")
        self.step, self.term = step, term


class Trainer:
    """A model, its training images (N, C, H, W) uint8 on the device, their labels (N,) if any, and where it stands.

    Labels are for a conditional model, and for a sampler other than `natural`.
    """

    def __init__(self, model: ImageGenerator, images: Tensor, settings: Settings, labels: Tensor | None = None) -> None:
        if len(images) < settings.batch:
            raise ValueError(f"batch: found {settings.batch}, but the training split has only {len(images)} images")
        self.model, self.images, self.settings = model, images, settings
        self.labels = _labels(model, labels)
        self.power = power_of(settings.sampler, settings.sampler_power)
        if labels is None and self.power != 1.0:
            raise ValueError(f"sampler: found {settings.sampler}, but the training split has no labels; say natural")
        self.sorts = None if labels is None or self.power == 1.0 else labels.numpy()
        """The labels that the sampler goes by; what a conditional model is told of class sizes stays the data's."""
        self.rates = {name: _rates(optimiser) for name, optimiser in optimisers(model).items()}
        self.average = Average(model, settings.horizon) if settings.average else None
        self.graphed: GraphedStep | None = None
        """The step as a GPU takes it; made at the first one, when whatever was restored is in its place."""
        self.step = 0
        self.snapshots: list[Tensor] = []
        """Samples of the same latents as the training goes on, each uint8 (n, C, H, W) on the CPU."""
        self.rows: list[dict[str, float]] = []
        self.names: list[str] = []
        self.pending: list[Tensor] = []
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)
        self.good = self._weights()
        self.model.train()

    @property
    def finished(self) -> bool:
        """Whether all steps are taken."""
        return self.step >= self.settings.steps

    def advance(self) -> bool:
        """Take one step; True when it closed a window and added a row to `rows`.

        Raises `Diverged`, the model's weights put back to those of the last good window.
        """
        if self.images.is_cuda and self.graphed is None:
            self.graphed = GraphedStep(self.model, self._fit_batch)
        self._set_rates()
        scalars = (self.graphed or self._fit_batch)(*self._batch())
        self.names = list(scalars)
        self.pending.append(torch.stack([value.detach().float() for value in scalars.values()]))
        self.step += 1
        if self.step % self.settings.window and not self.finished:
            return False
        self._close_window()
        return True

    @contextmanager
    def averaged(self) -> Iterator[ImageGenerator]:
        """The model with its averaged weights where the settings ask for them; it goes back to the raw ones."""
        if self.average is None or self.step == 0:
            yield self.model
            return
        raw = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.average.put_in()
        estimate_norms(self.model, self.images, self.labels, self.settings.seed)
        try:
            yield self.model
        finally:
            self.model.load_state_dict(raw)
            self.model.train()

    # -- the parts of a step -----------------------------------------------------------------------------------

    def _set_rates(self) -> None:
        if self.settings.lr_decay_fraction:
            factor = self.settings.rate_factor(self.step)
            for name, optimiser in optimisers(self.model).items():
                for group, rate in zip(optimiser.param_groups, self.rates[name], strict=True):
                    set_rate(group, rate * factor)

    def _fit_batch(self, *batch: Tensor) -> dict[str, Tensor]:
        with self._precision():
            scalars = self.model.fit_batch(*batch)
        if self.average:
            self.average.update()
        return scalars

    def _precision(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        # Weights that were cast are not remembered where a graph would remember them for ever.
        return torch.autocast(self.images.device.type, torch.bfloat16, cache_enabled=not self.images.is_cuda)

    def _batch(self) -> tuple[Tensor, ...]:
        """Images (batch, C, H, W) of this step, in [0, 1]; binary ones are drawn again every time. Labels, if used."""
        per_epoch = len(self.images) // self.settings.batch
        epoch, place = divmod(self.step, per_epoch)
        if epoch != self.epoch:
            order = epoch_order(len(self.images), (self.settings.seed, epoch), self.sorts, self.power)
            self.order = torch.from_numpy(order).to(self.images.device)
            self.epoch = epoch
        chosen = self.order[place * self.settings.batch : (place + 1) * self.settings.batch]
        real = self._real(self.images[chosen])
        return (real,) if self.labels is None else (real, self.labels[chosen])

    def _real(self, pixels: Tensor) -> Tensor:
        """Images as the model is trained on them, of uint8."""
        real = pixels.float() / 255
        return (torch.rand_like(real) < real).float() if self.settings.data == "binarised" else real

    def fit_prior(self) -> None:
        """After the last step: a model that has a prior to fit does so, on the training images."""
        fit: Any = getattr(self.model.eval(), "fit_prior", None)
        if fit:
            fit(map(self._real, self.images.split(PRIOR_BATCH)))

    def _close_window(self) -> None:
        """Look at the window's scalars: a row of means, or `Diverged`."""
        values = torch.stack(self.pending).cpu()
        self.pending = []
        bad = (~values.isfinite()).nonzero()
        if len(bad):
            offset, term = bad[0].tolist()
            self._put_back(self.good)
            raise Diverged(self.step - len(values) + offset + 1, self.names[term], values[offset, term].item())
        weights = self._weights()
        # A finite loss may still have had a gradient that was not: such weights are no place to go back to.
        if not torch.stack([value.isfinite().all() for value in weights.values()]).all():
            self._put_back(self.good)
            raise Diverged(self.step, "weights", float("nan"))
        self.good = weights
        means = dict(zip(self.names, values.double().mean(0).tolist(), strict=True))
        self.rows.append({"step": self.step, "kimg": self.step * self.settings.batch / 1000, **means})

    def _weights(self) -> dict[str, Tensor]:
        """A copy of the model's weights, and of their average where one is kept."""
        weights = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        if self.average:
            weights |= {f"average/{name}": value for name, value in self.average.state().items()}
        return {name: value.detach().clone() for name, value in weights.items()}

    def _put_back(self, weights: Mapping[str, Tensor]) -> None:
        """Give the model, and its average, what `_weights` copied."""
        self.model.load_state_dict(_under(weights, "model/"))
        if self.average:
            self.average.restore(_under(weights, "average/"))

    # -- the whole state ---------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Everything that the rest of the training depends on: tensors, and a header of text."""
        tensors = self._weights()
        tensors |= {f"good/{name}": value for name, value in self.good.items()}
        groups = {}
        for name, optimiser in optimisers(self.model).items():
            state = optimiser.state_dict()
            groups[name] = plain_groups(state["param_groups"])
            for index, entries in state["state"].items():
                tensors |= {f"optimiser/{name}/{index}/{key}": torch.as_tensor(v) for key, v in entries.items()}
        tensors |= {f"generator/{name}": value for name, value in self._generators().items()}
        if self.pending:
            tensors["pending"] = torch.stack(self.pending)
        if self.snapshots:
            tensors["snapshots"] = torch.stack(self.snapshots)
        header = {"step": self.step, "names": self.names, "rows": self.rows, "groups": groups}
        return tensors, {"state": json.dumps(header)}

    def restore(self, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
        """Stand where `state` was taken."""
        kept = json.loads(header["state"])
        self._put_back(tensors)
        self.good = {name: value.to(self.images.device) for name, value in _under(tensors, "good/").items()}
        for name, optimiser in optimisers(self.model).items():
            state: dict[int, dict[str, Tensor]] = {}
            for path, value in _under(tensors, f"optimiser/{name}/").items():
                index, key = path.split("/")
                state.setdefault(int(index), {})[key] = value
            optimiser.load_state_dict({"state": state, "param_groups": _tuples(kept["groups"][name])})
        torch.set_rng_state(tensors["generator/cpu"])
        if "generator/cuda" in tensors and self.images.is_cuda:
            torch.cuda.set_rng_state(tensors["generator/cuda"])
        self.step, self.names, self.rows = kept["step"], kept["names"], kept["rows"]
        self.pending = list(tensors["pending"].to(self.images.device)) if "pending" in tensors else []
        self.snapshots = list(tensors["snapshots"]) if "snapshots" in tensors else []

    def _generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.images.is_cuda:
            states["cuda"] = torch.cuda.get_rng_state()
        return states


def _labels(model: ImageGenerator, labels: Tensor | None) -> Tensor | None:
    """The labels (N,) that a conditional model is trained with, on its device; it is told how often each occurs.

    Raises ValueError where it needs labels and there are none, or they name other classes.
    """
    if not model.classes:
        return None
    if labels is None:
        raise ValueError("conditional: the training split has no labels; expected a labelled data set, or false")
    found = int(labels.max()) + 1
    if found > model.classes:
        raise ValueError(f"conditional: found labels of {found} classes, expected {model.classes} (datasets: classes)")
    model.class_counts.copy_(torch.bincount(labels, minlength=model.classes))
    return labels.to(model.device)


def _rates(optimiser: torch.optim.Optimizer) -> list[float]:
    """The learning rates that a model chose for its optimiser's groups."""
    return [group["lr"] for group in optimiser.param_groups]


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name begins with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _tuples(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON has no tuples; Adam's betas are one."""
    return [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in groups]
