"""The samplers: natural is the plain shuffle bit for bit, the others show classes as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st
from torch import Tensor

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.training.loop import Settings, Trainer
from pipeline.training.sampler import epoch_order, power_of
from pipeline.workflow import params
from tests.conftest import ROOT
from tests.small_models import CONDITIONAL, images, small

SIZES = (50, 9, 3, 1)
LABELS = np.repeat(np.arange(4), SIZES)[np.random.default_rng(0).permutation(sum(SIZES))]


def test_samplers_are_powers_of_the_frequency() -> None:
    assert [power_of(name, 0.3) for name in ("natural", "balanced", "tempered")] == [1.0, 0.0, 0.3]


@pytest.mark.parametrize("labels", [None, LABELS])
def test_natural_is_the_plain_shuffle(labels: np.ndarray | None) -> None:
    for key in ((0, 0), (3, 7)):
        plain = np.random.Generator(np.random.Philox(key=list(key))).permutation(63)
        assert np.array_equal(epoch_order(63, key, labels), plain)


@few(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    power=st.floats(0.0, 0.99),
    key=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
def test_an_epoch_shows_each_class_its_share_and_its_images_in_turn(
    sizes: list[int], power: float, key: tuple[int, int]
) -> None:
    labels, n = np.repeat(np.arange(len(sizes)), sizes), sum(sizes)
    order = epoch_order(n, key, labels, power)
    assert len(order) == n
    assert np.array_equal(order, epoch_order(n, key, labels, power))
    wanted = n * np.array(sizes) ** power / sum(size**power for size in sizes)
    shown = np.bincount(labels[order], minlength=len(sizes))
    assert (np.abs(shown - wanted) < 1 + 1e-9).all()
    each = np.bincount(order, minlength=n)
    for c in range(len(sizes)):
        assert each[labels == c].max() - each[labels == c].min() <= 1


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_over_epochs_the_shares_are_exact_in_the_mean(power: float) -> None:
    shown = np.mean([np.bincount(LABELS[epoch_order(63, (1, e), LABELS, power)]) for e in range(600)], axis=0)
    wanted = 63 * np.array(SIZES) ** power / sum(size**power for size in SIZES)
    # a count is its share rounded up or down: a standard error of at most 0.5 / sqrt(600)
    assert np.allclose(shown, wanted, atol=4 * 0.5 / 600**0.5)


def trainer(sampler: str, *, name: str = "vae", labels: Tensor | None = None, seed: int = 0, **more: float) -> Trainer:
    settings = Settings(14, 12, "binarised", "float32", 0, lr_decay_fraction=0.5, sampler=sampler, **more)  # type: ignore[arg-type]
    made = Trainer(small(name, seed=seed), images(63), settings, labels)
    torch.manual_seed(seed)
    return made


def weights(trainer: Trainer) -> dict[str, Tensor]:
    while not trainer.finished:
        trainer.advance()
    return trainer.state()[0]


def alike(weights: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return weights.keys() == others.keys() and all(torch.equal(others[key], value) for key, value in weights.items())


def test_natural_leaves_every_training_as_it_was() -> None:
    """Against the loop as it stood before there were samplers: the order is the shuffle, and labels change nothing."""

    class Before(Trainer):
        def _batch(self) -> tuple[Tensor, ...]:
            per_epoch = len(self.images) // self.settings.batch
            epoch, place = divmod(self.step, per_epoch)
            shuffle = np.random.Generator(np.random.Philox(key=[self.settings.seed, epoch]))
            order = torch.from_numpy(shuffle.permutation(len(self.images)))
            real = self.images[order[place * self.settings.batch : (place + 1) * self.settings.batch]].float() / 255
            return ((torch.rand_like(real) < real).float(),)

    settings = Settings(14, 12, "binarised", "float32", 0, lr_decay_fraction=0.5)
    before = Before(small("vae"), images(63), settings)
    torch.manual_seed(0)
    wanted = weights(before)
    for labels in (None, torch.from_numpy(LABELS)):
        assert alike(weights(trainer("natural", labels=labels)), wanted)


@pytest.mark.parametrize("sampler", ["balanced", "tempered"])
def test_a_sampled_training_differs_and_resumes_bit_for_bit(sampler: str, tmp_path) -> None:
    labels = torch.from_numpy(LABELS)
    wanted = weights(trainer(sampler, labels=labels))
    stopped = trainer(sampler, labels=labels)
    for _ in range(7):
        stopped.advance()
    artifacts.write_tensors(tmp_path / "state", *stopped.state())
    resumed = trainer(sampler, labels=labels, seed=5)
    resumed.restore(artifacts.read_tensors(tmp_path / "state"), artifacts.read_metadata(tmp_path / "state"))
    assert alike(weights(resumed), wanted)
    natural = weights(trainer("natural", labels=labels))
    assert any(not torch.equal(natural[key], value) for key, value in wanted.items() if key.startswith("model/"))


def test_tempered_at_one_is_natural() -> None:
    labels = torch.from_numpy(LABELS)
    assert alike(*(weights(trainer(sampler, labels=labels, sampler_power=1.0)) for sampler in ("tempered", "natural")))


def test_a_balanced_conditional_model_is_told_the_data_s_own_class_sizes() -> None:
    """So that its samples have the classes of the data, however it was trained."""
    made = trainer("balanced", name=next(iter(CONDITIONAL)), labels=torch.from_numpy(LABELS))
    assert made.model.class_counts[:4].tolist() == list(SIZES)


def test_a_sampler_without_labels_is_one_line_before_anything_is_trained() -> None:
    with pytest.raises(ValueError, match="sampler: found balanced, but the training split has no labels"):
        trainer("balanced")


def test_a_sampler_on_a_data_set_without_classes_is_refused_at_plan_time() -> None:
    words = ["models.vae.sampler=tempered", "models.vae.sampler_power=0.25", "datasets.mnist.classes=null"]
    found = params.load(words[:2], ROOT / "params.yaml").resolved_models["vae"]["training"]
    assert (found["sampler"], found["sampler_power"]) == ("tempered", 0.25)
    with pytest.raises(UserError, match=r"models\.vae\.sampler: found tempered, but datasets\.mnist has no `classes`"):
        params.load(words, ROOT / "params.yaml")
    with pytest.raises(UserError, match=r"models\.vae\.sampler_power: found 1.5"):
        params.load(["models.vae.sampler_power=1.5"], ROOT / "params.yaml")
