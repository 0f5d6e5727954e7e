"""Splits: what is held out, that no class is lost, and that the draw is the same everywhere."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datasets.loaded import Loaded
from pipeline.datasets.splits import hold_out, mean_image, parted, summary

PINNED = [1, 6, 8, 14, 19]
PINNED_STRATIFIED = [0, 5, 9, 14, 16, 19]


def labels_of(sizes: list[int], seed: int = 0) -> np.ndarray:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels)


def test_without_labels() -> None:
    train, valid = hold_out(None, 1000, count=200, seed=3)
    assert len(valid) == 200
    assert np.array_equal(np.sort(np.concatenate([train, valid])), np.arange(1000))
    assert np.all(np.diff(train) > 0) and np.all(np.diff(valid) > 0)
    # At random: the 200 are spread over the range (mean 499.5, standard deviation of the mean 18), not a block.
    assert abs(valid.mean() - 499.5) < 5 * 18


def test_the_draw_is_pinned() -> None:
    """Made with NumPy 2.4.6: another draw would change every result downstream without anyone's wish."""
    assert hold_out(None, 20, count=5, seed=0)[1].tolist() == PINNED
    assert hold_out(np.arange(20) % 2, 20, count=6, seed=0)[1].tolist() == PINNED_STRATIFIED
    assert hold_out(np.arange(20) % 2, 20, count=6, seed=1)[1].tolist() != PINNED_STRATIFIED


def test_a_class_is_drawn_the_same_whatever_the_others_are() -> None:
    three, two = np.repeat([0, 1, 2], [40, 40, 40]), np.repeat([0, 1], [40, 40])
    _, valid_of_three = hold_out(three, 120, count=30, seed=1)
    _, valid_of_two = hold_out(two, 80, count=20, seed=1)
    assert np.array_equal(valid_of_three[valid_of_three < 80], valid_of_two)


def test_shares_are_proportional() -> None:
    labels = labels_of([600, 300, 100])
    _, valid = hold_out(labels, 1000, count=100, seed=0)
    assert np.bincount(labels[valid]).tolist() == [60, 30, 10]
    # Shares of 10.5, 8.25, 3.75 and 7.5: the two left over go to the largest remainders, the first of equal ones.
    labels = labels_of([70, 55, 25, 50])
    _, valid = hold_out(labels, 200, count=30, seed=0)
    assert np.bincount(labels[valid]).tolist() == [11, 8, 4, 7]


def test_the_imbalance_of_uhtelpcc() -> None:
    sizes = np.round(np.geomspace(3, 2000, 325)).astype(int).tolist()
    n = sum(sizes)
    labels = labels_of(sizes)
    rest, test = hold_out(labels, n, count=n // 7, seed=0, keep=2)
    train, valid = hold_out(labels[rest], len(rest), count=n // 7, seed=1)
    for split in (test, rest[train], rest[valid]):
        assert np.bincount(labels[split], minlength=325).min() >= 1


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 2**32),
    keep=st.integers(1, 2),
)
def test_stratified_properties(sizes: list[int], share: float, seed: int, keep: int) -> None:
    labels = labels_of(sizes)
    n = len(labels)
    most = sum(max(size - keep, 0) for size in sizes)
    least = sum(size > keep for size in sizes)
    count = int(np.clip(round(share * n), least, most))
    if count >= n:
        return
    train, valid = hold_out(labels, n, count=count, seed=seed, keep=keep)
    assert len(valid) == count
    assert np.array_equal(np.sort(np.concatenate([train, valid])), np.arange(n))
    stays, goes = (np.bincount(labels[split], minlength=len(sizes)) for split in (train, valid))
    for size, stay, go in zip(sizes, stays, goes, strict=True):
        assert stay >= min(size, keep)
        assert go >= (1 if size > keep else 0)


def test_what_cannot_be_held_out_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold out 10 of 10"):
        hold_out(None, 10, count=10, seed=0)
    with pytest.raises(ValueError, match="3 to 7 can be"):
        hold_out(np.repeat([0, 1, 2], [4, 3, 3]), 10, count=2, seed=0)
    with pytest.raises(ValueError, match="expected 10 labels"):
        hold_out(np.zeros(9, dtype=np.int64), 10, count=2, seed=0)


def test_summary() -> None:
    images = np.zeros((4, 1, 2, 2), dtype=np.uint8)
    images[:, 0, 0, 1] = [0, 255, 255, 255]
    facts = summary(images, np.array([0, 0, 0, 2]), ["a", "b", "c"])
    assert facts["count"] == 4 and facts["shape"] == [1, 2, 2]
    assert facts["class_histogram"] == {"a": 3, "b": 0, "c": 1}
    assert facts["imbalance_ratio"] == 3.0 and facts["empty_classes"] == ["b"]
    assert facts["mean_image"] == [[[0.0, 0.75], [0.0, 0.0]]]
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_the_checksum_sees_pixels_labels_and_shape() -> None:
    images, labels = np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2), np.array([0, 1, 0, 1])
    other = images.copy()
    other[0, 0, 0, 0] ^= 1
    variants = [
        (images, labels),
        (other, labels),
        (images, labels[::-1].copy()),
        (images, None),
        (images.reshape(4, 1, 1, 4), labels),
        (images[::-1], labels),
    ]
    checksums = [summary(x, y, ["0", "1"])["checksum"] for x, y in variants]
    assert len(set(checksums)) == len(variants)
    assert summary(np.asfortranarray(images), labels, ["0", "1"])["checksum"] == checksums[0]


def loaded(labels: list[int] | None, test: int = 0, valid: int | None = None) -> Loaded:
    n = 30 if labels is None else len(labels)
    images = np.zeros((n, 1, 2, 2), dtype=np.uint8)
    marks = None if labels is None else np.array(labels)
    of = (lambda k: None) if labels is None else (lambda k: np.zeros(k, dtype=np.int64))
    own = {} if valid is None else {"valid_images": images[:valid], "valid_labels": of(valid)}
    return Loaded(images, marks, images[:test], of(test), tuple("abcdef"), **own)


def sizes(found: Any) -> dict[str, int]:
    return {split: len(chosen) for split, (_, _, chosen) in found.items()}


def test_official_splits_are_kept() -> None:
    both = parted(loaded(None, test=4, valid=3), valid=0.5, test=0.5, seed=0)
    assert sizes(both) == {"train": 30, "test": 4, "valid": 3}
    assert sizes(parted(loaded(None, test=4), valid=5, test=0.5, seed=0)) == {"train": 25, "test": 4, "valid": 5}


def test_what_the_source_has_none_of_is_drawn_without_overlap() -> None:
    found = parted(loaded(None), valid=0.1, test=0.2, seed=0)
    assert sizes(found) == {"train": 21, "test": 6, "valid": 3}
    assert sorted(np.concatenate([chosen for _, _, chosen in found.values()])) == list(range(30))


def test_a_class_of_three_is_in_all_splits_and_a_class_of_one_in_training() -> None:
    labels = 40 * [0] + 3 * [1] + 2 * [2] + [3]
    found = parted(loaded(labels), valid=0.1, test=0.1, seed=0)
    classes = {split: set(np.array(labels)[chosen].tolist()) for split, (_, _, chosen) in found.items()}
    assert classes["train"] >= {0, 1, 2, 3} - {2} and all(1 in here for here in classes.values())
    assert 3 not in classes["test"] | classes["valid"] and 3 in classes["train"] and 2 in classes["train"]


def test_one_class_is_none() -> None:
    images = np.zeros((3, 1, 2, 2), dtype=np.uint8)
    one = Loaded(images, np.zeros(3, dtype=np.int64), images[:0], np.zeros(0, dtype=np.int64), ("face",))
    assert one.without_one_class().train_labels is None and one.without_one_class().class_names == ()


def test_mean_image_is_exact_whatever_the_order() -> None:
    images = np.random.default_rng(0).integers(0, 256, (500, 3, 4, 4), dtype=np.uint8)
    assert np.array_equal(mean_image(images), mean_image(images[::-1]))
    np.testing.assert_allclose(mean_image(images), images.astype(np.float64).mean(axis=0) / 255, rtol=1e-14)


def test_an_empty_split_has_no_summary() -> None:
    with pytest.raises(ValueError, match="empty"):
        summary(np.zeros((0, 1, 2, 2), dtype=np.uint8), None, [])
