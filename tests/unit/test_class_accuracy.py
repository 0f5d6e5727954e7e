"""Classes asked for against classes shown: the columns, chance, the status, and where the classes come from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.metrics import class_accuracy
from pipeline.metrics.agreement import ignores_class
from pipeline.metrics.bands import HEAD, MIDDLE, TAIL
from pipeline.metrics.comparison import Comparison
from pipeline.stages.tables import status_of
from pipeline.training.requested import drawn_classes
from tests.small_models import CLASSES, CONDITIONAL, small

POINTS = {"classifier": torch.zeros(4, 2)}
BANDS = torch.tensor([HEAD, MIDDLE, TAIL, TAIL])


def compared(asked: Tensor | None, seen: Tensor, bands: Tensor | None = BANDS) -> Comparison:
    probabilities = torch.nn.functional.one_hot(seen, 4).double()
    return Comparison(real=POINTS, fake=POINTS, probabilities=probabilities, asked=asked, bands=bands)


def test_accuracy_is_the_share_of_images_of_the_asked_class_and_chance_is_cohens() -> None:
    generator = torch.Generator().manual_seed(0)
    asked, seen = torch.randint(4, (2, 400), generator=generator)
    found = class_accuracy.measure(compared(asked, seen))
    assert found["class_accuracy"].value == (asked == seen).double().mean().item()
    shares = [[(x == c).double().mean().item() for c in range(4)] for x in (asked, seen)]
    wanted = sum(a * b for a, b in zip(*shares, strict=True))
    assert found["class_accuracy_chance"].value == pytest.approx(wanted)
    tail = asked >= 2
    assert found["class_accuracy_tail"].value == pytest.approx((asked == seen)[tail].double().mean().item())
    of_tail = [(asked[tail] == c).double().mean().item() * (seen == c).double().mean().item() for c in range(4)]
    assert found["class_accuracy_tail_chance"].value == pytest.approx(sum(of_tail))


def test_images_that_ignore_the_class_agree_by_chance() -> None:
    asked = torch.arange(4000) % 4
    seen = asked[torch.randperm(4000, generator=torch.Generator().manual_seed(1))]
    found = class_accuracy.measure(compared(asked, seen))
    accuracy, chance = found["class_accuracy"], found["class_accuracy_chance"]
    assert chance.value == pytest.approx(0.25) and accuracy.low < chance.value < accuracy.high
    assert ignores_class(accuracy.value, chance.value)
    assert not ignores_class(0.9, chance.value) and not ignores_class(1.0, 0.99)


def test_what_cannot_be_said_is_left_empty() -> None:
    asked = torch.cat([torch.zeros(50), torch.ones(19)]).long()
    assert class_accuracy.measure(compared(None, asked)) == {}
    of_all = class_accuracy.measure(compared(asked, asked, bands=None))
    assert set(of_all) == {"class_accuracy", "class_accuracy_chance"}
    few = class_accuracy.measure(compared(asked, asked))["class_accuracy_middle"]
    assert few.kind == "undefined: fewer than 20 images of the band", "19 images are too few"


@pytest.mark.parametrize("accuracy", [0.3, 0.9])
def test_a_model_that_ignores_the_class_has_a_status_of_its_own(accuracy: float) -> None:
    estimates = {"class_accuracy": {"value": accuracy}, "class_accuracy_chance": {"value": 0.25}}
    wanted = "unconditional in effect" if accuracy == 0.3 else "ok"
    assert status_of({"estimates": estimates}, "ok") == wanted
    assert status_of({"estimates": estimates}, "collapsed") == "collapsed"
    assert status_of({"estimates": {}}, "ok") == "ok"


@pytest.mark.parametrize("name", [*CONDITIONAL])
def test_drawn_classes_are_those_in_the_latents(name: str) -> None:
    model = small(name)
    model.class_counts.copy_(torch.arange(CLASSES).float())
    found = drawn_classes(model, 260, 3)
    assert found is not None and found.shape == (260,)
    every = model.draw_latents(260, 3)[..., -CLASSES:].flatten(1)[:, :CLASSES].argmax(1)
    assert torch.equal(found, every) and 0 not in found.tolist()
    assert drawn_classes(small("vae"), 3, 0) is None, "a model without classes has none"
