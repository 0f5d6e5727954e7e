"""A step as a CUDA graph does what the step does; its optimisers' settings stay plain on file."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from pipeline.training.graphs import EAGER_STEPS, plain_groups, set_rate
from pipeline.training.loop import Settings, Trainer
from tests.small_models import NAMES, RESOLVED, small

STEPS = 12

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: needs a GPU, and this machine has none")


def test_a_rate_is_set_in_place_where_a_graph_reads_it() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.Adam([weight], lr=0.5)
    (group,) = optimiser.param_groups
    set_rate(group, 0.25)
    assert group["lr"] == 0.25 and not isinstance(group["lr"], torch.Tensor)
    group["lr"] = place = torch.tensor(0.5)
    set_rate(group, 0.125)
    assert group["lr"] is place and float(place) == 0.125


def test_what_is_saved_holds_no_trace_of_the_graph() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    plain, graphed = (torch.optim.Adam([weight], lr=0.5) for _ in range(2))
    graphed.param_groups[0] |= {"lr": torch.tensor(0.5), "capturable": True}
    momentum = torch.optim.SGD([weight], lr=0.5, momentum=0.9)
    for saved, wanted in ((graphed, plain), (momentum, momentum)):
        assert plain_groups(saved.state_dict()["param_groups"]) == wanted.state_dict()["param_groups"]


def trainer(name: str, *, graphed: bool) -> Trainer:
    """A small model on a GPU after STEPS steps."""
    torch.manual_seed(0)
    images = (torch.rand(40, 1, 28, 28) * 255).byte().cuda()
    training: dict[str, Any] = RESOLVED[name]["training"]
    settings = Settings(STEPS, 12, training["data"], "float32", 0, lr_decay_fraction=0.5, average=True)
    made = Trainer(small(name).cuda(), images, settings)
    torch.cuda.manual_seed(0)
    while not made.finished:
        if not graphed and made.graphed is not None:
            made.graphed.refused = "not asked for"
        made.advance()
    return made


@on_a_gpu
def test_a_replayed_training_is_the_eager_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every model; in one test, so that a machine without a GPU says once what it did not check."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # Adam's first steps take noise for a direction
    assert STEPS > 2 * EAGER_STEPS
    differ = {}
    for name in NAMES:
        eager, graphed = (trainer(name, graphed=graphed) for graphed in (False, True))
        assert graphed.graphed is not None
        rows = [[list(row.values()) for row in of.rows] for of in (eager, graphed)]
        same = [one == pytest.approx(other, rel=2e-3, abs=2e-3) for one, other in zip(*rows, strict=True)]
        if graphed.graphed.graph is None or not all(same):
            differ[name] = graphed.graphed.refused or list(zip(*rows, strict=True))[same.index(False)]
    assert not differ


@on_a_gpu
def test_a_state_from_a_gpu_is_gone_on_with_anywhere() -> None:
    for name, device in itertools.product(("draw", "gran3", "gan_conv"), ("cuda", "cpu")):
        tensors, header = trainer(name, graphed=True).state()
        settings = Settings(STEPS + 5, 12, RESOLVED[name]["training"]["data"], "float32", 0)
        images = torch.zeros(40, 1, 28, 28, dtype=torch.uint8, device=device)
        other = Trainer(small(name).to(device), images, settings)
        other.restore(tensors, header)
        while not other.finished:
            other.advance()
        assert all(value.isfinite().all() for value in other.model.state_dict().values())
