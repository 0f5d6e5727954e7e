"""NumPy's Philox generator for many keys: the numbers that `Generator(Philox(key=[seed, k]))` draws, without one each.

Salmon et al. 2011, 'Parallel random numbers: as easy as 1, 2, 3' (Philox 4x64, ten rounds). A new generator costs more
than the few numbers that a sample needs of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
KEY_STEPS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
ROUNDS = 10
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def generators(seed: int, first: int, n: int) -> Iterator[np.random.Generator]:
    """`Generator(Philox(key=[seed, k]))` for k = first, ..., first + n - 1: one generator, its key set again each time.

    Each is valid until the next one is taken.
    """
    philox = np.random.Philox(key=np.array([seed, first], dtype=np.uint64))
    generator, state = np.random.Generator(philox), philox.state
    for k in range(first, first + n):
        state["state"]["key"][1] = k
        philox.state = state
        yield generator


def uniforms(seed: int, first: int, n: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """`random(count, float32)` of each of those generators, (n, count), and the `random()` that follows, (n,)."""
    pairs = -(-count // 2)  # a word gives two float32, its low half first
    drawn = words(seed, first, n, pairs + 1)
    halves = np.stack([drawn[:, :pairs] & LOW, drawn[:, :pairs] >> HALF], -1).reshape(n, -1)[:, :count]
    singles = (halves >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    return singles, (drawn[:, pairs] >> np.uint64(11)).astype(np.float64) * 2.0**-53


def words(seed: int, first: int, n: int, count: int) -> Words:
    """The first `count` 64-bit words of each of those generators, (n, count)."""
    blocks = -(-count // 4)
    # NumPy counts up before it computes a block: the first counter is 1.
    counter = np.tile(np.arange(1, blocks + 1, dtype=np.uint64), n)
    zeros = np.zeros_like(counter)
    keys = np.repeat(np.arange(first, first + n, dtype=np.uint64), blocks)
    return np.stack(_rounds((counter, zeros, zeros, zeros), np.uint64(seed), keys), -1).reshape(n, -1)[:, :count]


def _rounds(block: tuple[Words, ...], first_key: np.uint64, second_key: Words) -> tuple[Words, ...]:
    """Ten rounds on four words (N,) of every block."""
    a, b, c, d = block
    with np.errstate(over="ignore"):  # keys and products wrap around
        for step in range(ROUNDS):
            key_0 = first_key + np.uint64(step) * KEY_STEPS[0]
            key_1 = second_key + np.uint64(step) * KEY_STEPS[1]
            (high_0, low_0), (high_1, low_1) = _product(a, MULTIPLIERS[0]), _product(c, MULTIPLIERS[1])
            a, b, c, d = high_1 ^ b ^ key_0, low_1, high_0 ^ d ^ key_1, low_0
    return a, b, c, d


def _product(x: Words, y: np.uint64) -> tuple[Words, Words]:
    """High and low word of the product of two 64-bit words."""
    x_high, x_low, y_high, y_low = x >> HALF, x & LOW, y >> HALF, y & LOW
    cross = x_high * y_low + (x_low * y_low >> HALF)  # each below 2^64
    other = x_low * y_high + (cross & LOW)
    return x_high * y_high + (cross >> HALF) + (other >> HALF), x * y
