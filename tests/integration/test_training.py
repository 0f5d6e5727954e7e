"""The training loop: its batches, its windows, divergence, and a resume that equals no interruption, bit for bit."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline import cli
from pipeline.core import artifacts
from pipeline.models.base import ImageGenerator, optimisers
from pipeline.models.vae import VAE
from pipeline.stages import train as stage
from pipeline.training import loop
from pipeline.training.loop import Diverged, Settings, Trainer
from tests.small_models import ONE_OF_EACH_CLASS, RESOLVED, images, small
from tests.small_trainings import Training, begun


def settings(steps: int = 6, batch: int = 4, **more: Any) -> Settings:
    return Settings(**{"steps": steps, "batch": batch, "data": "grey", "precision": "float32", "seed": 0} | more)


class Recorder(ImageGenerator):
    """Keeps the batches that it is given; its weight counts steps, `a` is the step, and `bad` values take its place."""

    def __init__(self, bad: dict[int, dict[str, float]] | None = None) -> None:
        super().__init__((1, 2, 2))
        self.weight = torch.nn.Parameter(torch.zeros(()), requires_grad=False)
        self.bad = bad or {}
        self.seen: list[Tensor] = []

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        self.seen.append(real)
        self.weight += 1
        step = int(self.weight)
        terms = {"a": float(step), "b": 0.0} | self.bad.get(step, {})
        return {name: torch.tensor(value) for name, value in terms.items()}


def numbered(n: int) -> Tensor:
    """Images (n, 1, 2, 2) of one level each: image k's pixels are all k."""
    return torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 2, 2).contiguous()


def run_to_end(trainer: Trainer) -> None:
    while not trainer.finished:
        trainer.advance()


# -- batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch"), [(12, 4), (14, 4), (5, 5)])
def test_an_epoch_visits_every_image_once(n: int, batch: int) -> None:
    per_epoch = n // batch
    model = Recorder()
    run_to_end(Trainer(model, numbered(n), settings(steps=3 * per_epoch, batch=batch)))
    levels = [(real * 255).round().long()[:, 0, 0, 0].tolist() for real in model.seen]
    starts = range(0, 3 * per_epoch, per_epoch)
    epochs = [list(itertools.chain(*levels[start : start + per_epoch])) for start in starts]
    for epoch in epochs:
        assert len(set(epoch)) == per_epoch * batch  # what does not fill a batch waits for another epoch
        assert set(epoch) <= set(range(n))
    assert epochs[0] != epochs[1] != epochs[2]
    assert torch.equal(torch.cat(model.seen).unique(), (numbered(n).float() / 255).unique()), "grey levels are exact"
    with pytest.raises(ValueError, match=rf"found {n + 1}, .*{n} images"):
        Trainer(Recorder(), numbered(n), settings(batch=n + 1))


def test_the_order_depends_on_the_seed_alone() -> None:
    def order(seed: int, noise: int) -> list[Tensor]:
        model = Recorder()
        torch.manual_seed(noise)
        run_to_end(Trainer(model, numbered(12), settings(seed=seed)))
        return model.seen

    assert all(map(torch.equal, order(1, 0), order(1, 9)))
    assert not all(map(torch.equal, order(1, 0), order(2, 0)))


def test_binarised_batches_are_binary_anew_each_time_and_grey_in_the_mean() -> None:
    grey = torch.tensor([[[0, 30], [128, 255]]], dtype=torch.uint8)
    model, draws = Recorder(), 600 * 8
    torch.manual_seed(0)
    run_to_end(Trainer(model, grey.expand(8, 1, 2, 2).contiguous(), settings(steps=600, batch=8, data="binarised")))
    seen = torch.stack(model.seen)
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(seen[0], seen[1])
    p = grey.double() / 255
    difference = (seen.double().mean((0, 1)) - p).abs()
    assert (difference <= 5 * (p * (1 - p) / draws).sqrt()).all()  # so 0 and 255 are exact


# -- windows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 199, 200, 201, 400, 5000, 150_001])
def test_a_history_has_at_most_two_hundred_rows(steps: int) -> None:
    window = settings(steps=steps).window
    rows = -(-steps // window)
    assert rows <= 200
    assert rows > 100 or window == 1


def test_a_row_is_the_mean_of_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "WINDOWS", 4)
    trainer = Trainer(Recorder(), numbered(12), settings(steps=10))
    closed = [trainer.advance() for _ in range(10)]
    assert [step for step, ended in enumerate(closed, start=1) if ended] == [3, 6, 9, 10]
    assert trainer.finished
    wanted = [(3, 2.0), (6, 5.0), (9, 8.0), (10, 10.0)]
    assert trainer.rows == [{"step": step, "kimg": step * 4 / 1000, "a": mean, "b": 0.0} for step, mean in wanted]


def test_bfloat16_is_the_loops_business() -> None:
    weights = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = VAE((1, 28, 28), hidden=(8,), latent=2)
        run_to_end(Trainer(model, images(12), settings(steps=3, precision=precision)))
        weights.append(model.state_dict())
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights[1].values())
    assert any(not torch.equal(value, weights[1][name]) for name, value in weights[0].items())


# -- divergence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "step", "term", "weight"),
    [
        ({8: {"b": float("nan")}}, 8, "b", 6.0),
        ({7: {"a": float("inf")}}, 7, "a", 6.0),
        ({8: {"b": float("nan")}, 9: {"a": float("nan")}}, 8, "b", 6.0),
        ({2: {"a": float("-inf"), "b": float("nan")}}, 2, "a", 0.0),
        ({10: {"a": float("nan")}}, 10, "a", 9.0),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_training(
    bad: dict[int, dict[str, float]], step: int, term: str, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "WINDOWS", 4)
    model = Recorder(bad)
    trainer = Trainer(model, numbered(12), settings(steps=10))
    with pytest.raises(Diverged, match=rf"\b{term}\b.* step {step}\b") as caught:
        run_to_end(trainer)
    assert (caught.value.step, caught.value.term) == (step, term)
    assert float(model.weight) == weight  # of the last good window, which ends every three steps
    assert [row["step"] for row in trainer.rows] == [end for end in (3, 6, 9) if end <= weight]


def test_a_window_that_was_resumed_in_its_middle_still_names_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "WINDOWS", 4)
    bad = {7: {"b": float("nan")}}
    first, second = (Trainer(Recorder(bad), numbered(12), settings(steps=10)) for _ in range(2))
    for _ in range(8):
        first.advance()
    second.restore(*first.state())
    with pytest.raises(Diverged, match=r"\bb\b.* step 7\b"):
        run_to_end(second)
    assert float(second.model.weight) == 6.0


@pytest.mark.parametrize("rate", [1e18, 1e39])
def test_the_weights_that_are_kept_are_finite(rate: float) -> None:
    # 1e39 is infinite in float32: the first loss is finite, the weights after it are not.
    torch.manual_seed(0)
    model = VAE((1, 28, 28), hidden=(8,), latent=2, learning_rate=rate)
    with pytest.raises(Diverged):
        run_to_end(Trainer(model, images(12), settings(steps=20)))
    assert all(value.isfinite().all() for value in model.state_dict().values())


# -- killed and resumed --------------------------------------------------------------------------------------------

STEPS = 10


def trainer_of(name: str, seed: int, average: bool = False) -> Trainer:
    """A small model at the start of its training; `seed` is that of its weights and of the noise."""
    training = {key: RESOLVED[name]["training"][key] for key in ("data", "precision")}
    steps = 30 if average else STEPS  # of which an average looks back at three
    chosen = settings(steps, batch=12, lr_decay_fraction=0.5, average=average, **training)
    trainer = Trainer(small(name, seed=seed), images(40), chosen)
    torch.manual_seed(seed)
    return trainer


def go(trainer: Trainer, to: int, *, watched: bool = True) -> Trainer:
    while trainer.step < to:
        if trainer.advance() and watched:
            stage.watch(trainer, real=1.0)
    return trainer


def assert_same_state(found: tuple[dict[str, Tensor], Any], wanted: tuple[dict[str, Tensor], Any]) -> None:
    assert found[1] == wanted[1]
    assert found[0].keys() == wanted[0].keys()
    different = [name for name, value in wanted[0].items() if not torch.equal(found[0][name], value)]
    assert not different


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of three steps, so that a kill falls into the middle of one; few samples to watch."""
    monkeypatch.setattr(loop, "WINDOWS", 4)
    monkeypatch.setattr(stage, "WATCHED_SAMPLES", 4)


AVERAGED = [(name, True) for name in ("draw", "gran3", "vae_gan")]
"""A model with batch norms, one without, and one with a discriminator's: all that an average treats apart."""


@pytest.mark.parametrize(("name", "average"), [*((name, False) for name in ONE_OF_EACH_CLASS), *AVERAGED])
def test_killed_and_resumed_equals_uninterrupted(name: str, average: bool, coarse: None, tmp_path: Path) -> None:
    wanted = go(trainer_of(name, 0, average), STEPS)
    kills = sorted(random.Random(name).sample(range(1, STEPS), 2))
    trainer = trainer_of(name, 0, average)
    for kill in kills:
        tensors, header = go(trainer, kill).state()
        assert all(optimiser.state for optimiser in optimisers(trainer.model).values())
        assert sum(key.startswith("optimiser/") for key in tensors) >= len(list(trainer.model.parameters()))
        artifacts.write_tensors(tmp_path / "state", tensors, header)
        trainer = trainer_of(name, 100 + kill, average)
        trainer.restore(artifacts.read_tensors(tmp_path / "state"), artifacts.read_metadata(tmp_path / "state"))
        assert trainer.step == kill
        assert_same_state(trainer.state(), (tensors, header))
    go(trainer, STEPS)
    assert trainer.rows == wanted.rows
    assert average or [row["step"] for row in trainer.rows] == [3, 6, 9, 10]
    assert_same_state(trainer.state(), wanted.state())
    assert average == any(key.startswith("average/") for key in tensors)
    with trainer.averaged() as one, wanted.averaged() as other:
        assert_same_state((one.state_dict(), None), (other.state_dict(), None))


@pytest.mark.parametrize("name", ONE_OF_EACH_CLASS)
def test_learning_rates_fall_in_the_last_steps(name: str) -> None:
    trainer = Trainer(small(name), images(12), settings(steps=6, lr_decay_fraction=0.5))
    groups = [group for optimiser in optimisers(trainer.model).values() for group in optimiser.param_groups]
    chosen = [group["lr"] for group in groups]
    for factor in (1, 1, 1, 1, 2 / 3, 1 / 3):
        trainer.advance()
        assert [group["lr"] for group in groups] == pytest.approx([rate * factor for rate in chosen])


def test_learning_rates_stay_where_no_decay_is_asked_for() -> None:
    assert {settings(steps=7).rate_factor(step) for step in range(7)} == {1.0}
    assert [settings(steps=4, lr_decay_fraction=1.0).rate_factor(step) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("name", ONE_OF_EACH_CLASS)
def test_looking_at_a_training_does_not_change_it(name: str, coarse: None) -> None:
    alone, watched = go(trainer_of(name, 0), 7, watched=False), trainer_of(name, 0)
    for step in range(1, 8):
        go(watched, step).state()
    state = watched.state()[0]
    assert len(state.pop("snapshots")) == len(watched.rows)
    assert_same_state((state, None), (alone.state()[0], None))
    assert all("diversity" in row for row in watched.rows)


# -- the stage -----------------------------------------------------------------------------------------------------


def test_the_state_before_stays_until_the_next_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, checkpoint = go(trainer_of("vae", seed=0), 3), tmp_path / "abc.safetensors"
    stage.save(trainer, checkpoint, stage.Clock())
    go(trainer, 10)
    with monkeypatch.context() as killed:
        killed.setattr(artifacts, "write_json", lambda *_: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            stage.save(trainer, checkpoint, stage.Clock())
    assert [path.stem for path in stage.saved_states(checkpoint)] == ["abc-10", "abc-3"]
    stage.save(trainer, checkpoint, stage.Clock())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["abc-10.json", "abc-10.safetensors"]


def trained_here(training: Training, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Train to the end in this process; the report."""
    monkeypatch.chdir(training.folder)
    cli.main(training.words)
    return dict(json.loads(training.written()["training"]))


def test_a_diverged_training_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = begun(tmp_path, "vae", 200, learning_rate=1e18)
    report = trained_here(training, monkeypatch)
    assert report["status"] == "diverged"
    assert report["diverged_term"] in ("loss", "reconstruction", "kl", "weights")
    assert 1 <= report["diverged_at"] <= report["steps"] < 200
    weights = artifacts.read_tensors(training.path("weights"))
    assert all(value.isfinite().all() for value in weights.values())
    assert f"at step {report['diverged_at']}" in capsys.readouterr().err


def test_an_undisturbed_training_reports_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = begun(tmp_path, "vae", 200, hidden=[16], latent=4)
    report = trained_here(training, monkeypatch)
    assert (report["status"], report["steps"]) == ("ok", 200)
    header, *rows = training.path("history").read_text().splitlines()
    assert header.startswith("step,kimg,loss,reconstruction,kl")
    assert [row.split(",")[0] for row in rows] == [str(step) for step in range(1, 201)]
    losses = [float(row.split(",")[2]) for row in rows]
    assert losses[-1] < 0.7 * losses[0]
