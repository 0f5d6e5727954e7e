"""The average of the weights: its closed form, what it leaves alone, and batch norms. test_training.py resumes it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator
from pipeline.stages import train as stage
from pipeline.training import average, loop
from pipeline.training.loop import Diverged, Settings, Trainer
from tests.conftest import plan_of
from tests.small_models import RESOLVED, images, small

STEPS = 14
"""Of the fifty that a training has, so that the average looks back at five."""
NORMS = torch.nn.modules.batchnorm._BatchNorm
OF_EACH_KIND = ["draw", "gran3", "vae_gan"]


class Counter(ImageGenerator):
    """Its weight is the number of steps taken, and its loss is infinite at step `bad`."""

    def __init__(self, bad: int = 0) -> None:
        super().__init__((1, 1, 1))
        self.latent_shape, self.bad = (1,), bad
        self.weight = torch.nn.Parameter(torch.zeros(()), requires_grad=False)

    def decode(self, z: Tensor) -> Tensor:
        return self.weight.expand(len(z), 1, 1, 1) / 1000

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        self.weight += 1
        return {"loss": torch.tensor(float("inf") if self.weight == self.bad else 0.0)}


def counted(steps: int, bad: int = 0) -> Trainer:
    pixels = torch.zeros(4, 1, 1, 1, dtype=torch.uint8)
    return Trainer(Counter(bad), pixels, Settings(steps, 2, "grey", "float32", 0, average=True))


def trained(name: str, steps: int = STEPS, *, seed: int = 0, averages: bool = True) -> Trainer:
    data = RESOLVED[name]["training"]["data"]
    settings = Settings(50, 12, data, "float32", 0, lr_decay_fraction=0.5, average=averages)
    trainer = Trainer(small(name, seed=seed), images(40), settings)
    torch.manual_seed(seed)
    return go(trainer, steps)


def go(trainer: Trainer, to: int) -> Trainer:
    while trainer.step < to:
        trainer.advance()
    return trainer


def weights(model: ImageGenerator) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer samples to estimate batch norms from, and to watch, than a training has."""
    monkeypatch.setattr(average, "NORM_BATCH", 16)
    monkeypatch.setattr(stage, "WATCHED_SAMPLES", 8)


def test_the_horizon_is_a_tenth_of_the_steps_and_a_thousand_at_most() -> None:
    horizons = [Settings(steps, 1, "grey", "float32", 0).horizon for steps in (4, 50, 4000, 10_000, 200_000)]
    assert horizons == [1, 5, 400, 1000, 1000]


@pytest.mark.parametrize("steps", [0, 1, 10, 60, 300])
def test_the_average_is_the_weighted_mean_of_the_weights_so_far(steps: int) -> None:
    """Before the first step, and outside of `averaged`, the weights are the model's own."""
    trainer = go(counted(steps=300), steps)
    shares = [(1 - 1 / 30) ** (steps - step) for step in range(1, steps + 1)]
    wanted = sum(share * step for step, share in enumerate(shares, start=1)) / sum(shares) if steps else 0
    with trainer.averaged() as model:
        assert float(model.weight) == pytest.approx(wanted, rel=1e-5)
    assert float(trainer.model.weight) == steps


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_the_training_goes_on_from_the_raw_weights(name: str) -> None:
    """Which the average does not touch, however often it is looked at; a discriminator has no other ones."""
    plain, averaging = trained(name, averages=False), trained(name, STEPS - 4)
    raw = weights(averaging.model)
    with averaging.averaged() as model:
        inside = weights(model)
    assert same(weights(averaging.model), raw)
    moved = {key for key, value in raw.items() if not torch.equal(value, inside[key])}
    judges = set(average.discriminators(averaging.model))
    prefixes = [key for key, module in averaging.model.named_modules() if module in judges]
    assert len(prefixes) == len(judges)
    assert moved and not any(key.startswith(f"{prefix}.") for key in moved for prefix in prefixes)
    assert same(weights(go(averaging, STEPS).model), weights(plain.model))


@pytest.mark.parametrize("name", ["dcgan", "gran3", "vae_gan"])
def test_batch_norms_are_estimated_again_from_fixed_samples(name: str) -> None:
    trainer, seen = trained(name), {}
    judges = {module for judge in average.discriminators(trainer.model) for module in judge.modules()}
    norms = {key: m for key, m in trainer.model.named_modules() if isinstance(m, NORMS) and m not in judges}
    hooks = [
        norm.register_forward_pre_hook(lambda norm, given: seen.setdefault(norm, []).append(given[0].detach()))
        for norm in norms.values()
    ]
    assert norms
    before = torch.get_rng_state()
    with trainer.averaged() as model:
        found = weights(model)
    assert torch.equal(torch.get_rng_state(), before), "with numbers of their own"
    for hook in hooks:
        hook.remove()
    for key, norm in norms.items():
        inputs = seen[norm]
        assert len(inputs) == average.NORM_BATCHES == found[f"{key}.num_batches_tracked"], "every one is reached"
        means = torch.stack([x.transpose(0, 1).flatten(1).mean(1) for x in inputs]).mean(0)
        variances = torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in inputs]).mean(0)
        torch.testing.assert_close(found[f"{key}.running_mean"], means, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[f"{key}.running_var"], variances, rtol=1e-4, atol=1e-5)
        assert norm.momentum == 0.1
    with trainer.averaged() as model:
        assert same(weights(model), found)


def test_watching_an_averaged_training_does_not_change_it() -> None:
    alone, watched = trained("gran3"), trained("gran3", 0)
    for step in range(1, STEPS + 1):
        go(watched, step)
        stage.watch(watched, real=1.0)
    state = watched.state()[0]
    assert len(state.pop("snapshots")) == STEPS // 2
    assert same(state, alone.state()[0])


def test_a_training_that_diverges_goes_back_to_the_average_of_its_last_good_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "WINDOWS", 4)
    wanted, trainer = go(counted(steps=80), 40), counted(steps=80, bad=50)
    with pytest.raises(Diverged):
        go(trainer, 80)
    with trainer.averaged() as found, wanted.averaged() as good:
        assert float(found.weight) == float(good.weight)


def test_what_is_stored_is_what_is_averaged() -> None:
    """The weights that a training writes give the samples that were watched last."""
    trainer = trained("gran3")
    with trainer.averaged() as model:
        stored = weights(model)
    assert not same(stored, weights(trainer.model))
    again = small("gran3", seed=9)
    again.load_state_dict(stored)
    stage.watch(trainer, real=1.0)
    drawn = stage.sample(again, stage.WATCHED_SAMPLES, trainer.settings.seed, stage.WATCHED_SAMPLES)
    assert torch.equal(trainer.snapshots[-1], drawn[: stage.KEPT_SAMPLES])


@pytest.mark.parametrize(("name", "value"), [("vae", "true"), ("gran3", "false")])
def test_average_is_a_key_of_any_block(name: str, value: str) -> None:
    found = plan_of(f"models.{name}.average={value}").params.resolved_models[name]
    assert found["training"]["average"] is (value == "true")
