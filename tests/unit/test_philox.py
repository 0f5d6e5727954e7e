"""Latents have the bits of one NumPy generator for each sample, however they are computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.models import philox
from pipeline.models.base import ImageGenerator

SEEDS = (0, 2026, 2026 + 4 * 1_000_003, 2**40 + 7)


def one_each(seed: int, first: int, n: int) -> list[np.random.Generator]:
    return [np.random.Generator(np.random.Philox(key=[seed, k])) for k in range(first, first + n)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 100])
def test_uniform_numbers_are_numpys(seed: int, count: int) -> None:
    singles, doubles = philox.uniforms(seed, 5, 9, count)
    wanted = one_each(seed, 5, 9)
    assert singles.dtype == np.float32
    assert np.array_equal(singles, [generator.random(count, dtype=np.float32) for generator in wanted])
    assert np.array_equal(doubles, [generator.random() for generator in wanted])


@pytest.mark.parametrize("seed", SEEDS)
def test_words_are_numpys(seed: int) -> None:
    wanted = [np.random.Philox(key=[seed, k]).random_raw(11) for k in range(3, 7)]
    assert np.array_equal(philox.words(seed, 3, 4, 11), wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_generator_whose_key_is_set_again_is_a_new_one(seed: int) -> None:
    for generator, wanted in zip(philox.generators(seed, 2, 5), one_each(seed, 2, 5), strict=True):
        assert np.array_equal(generator.standard_normal(33, np.float32), wanted.standard_normal(33, np.float32))
        assert generator.random(3, np.float32).tolist() == wanted.random(3, np.float32).tolist()  # leaves half a word
        assert generator.random() == wanted.random()


@pytest.mark.parametrize("law", ["normal", "uniform"])
@pytest.mark.parametrize("classes", [0, 10])
def test_latents_are_those_of_one_generator_for_each_sample(law: str, classes: int) -> None:
    model = ImageGenerator((1, 2, 2), classes)
    model.latent_shape, model.latent_law = (3, 5), law  # type: ignore[misc, assignment]
    if classes:
        model.class_counts.copy_(torch.arange(classes))
    rows = []
    for generator in one_each(2026, 40, 12):
        if law == "normal":
            row = generator.standard_normal((3, 5), dtype=np.float32)
        else:
            row = 2.0 * generator.random((3, 5), dtype=np.float32) - 1.0
        one_hot = np.zeros((3, classes), dtype=np.float32)
        if classes:
            shares = np.cumsum(np.arange(classes) / np.arange(classes).sum())
            one_hot[:, np.searchsorted(shares, generator.random(), "right")] = 1
        rows.append(np.concatenate([row, one_hot], 1))
    assert torch.equal(model.draw_latents(12, 2026, first=40), torch.from_numpy(np.stack(rows)))
