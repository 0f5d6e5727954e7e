"""What a person is told of rare classes before and after a training: counts, small numbers, the tail's table first."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets import band_counts
from pipeline.metrics import bands, columns
from pipeline.tables import tail

TRAIN, VALID, TEST = [8, 9, 60, 400, 900], [1, 1, 5, 40, 90], [1, 5, 6, 50, 100]


def counted() -> dict[str, object]:
    sizes = {"train": TRAIN, "valid": VALID, "test": TEST}
    labels = {split: np.repeat(np.arange(5), of) for split, of in sizes.items()}
    found = band_counts.band_counts(labels, list("abcde"))
    assert found is not None
    return found


def test_images_are_counted_by_band_and_split() -> None:
    found = counted()
    assert band_counts.BANDS == bands.BANDS
    assert found["tail"] == {"classes": 2, "train": 17, "valid": 2, "test": 6}
    assert found["middle"] == {"classes": 1, "train": 60, "valid": 5, "test": 6}
    assert found["head"] == {"classes": 2, "train": 1300, "valid": 130, "test": 150}
    assert found["under_three_test_images"] == ["a"] and found["rare_under_three"] == 1


@pytest.mark.parametrize("sizes", [[10, 10, 11], [10, 50, 99]])
def test_balanced_data_has_no_counts(sizes: list[int]) -> None:
    labels = dict.fromkeys(("train", "valid", "test"), np.repeat(np.arange(3), sizes))
    assert band_counts.band_counts(labels, list("abc")) is None


def test_how_much_is_known_is_the_normal_interval() -> None:
    assert band_counts.half_width(400) == pytest.approx(1.96 * 0.4 / 20)
    assert band_counts.half_width(band_counts.enough()) <= band_counts.WANTED
    assert band_counts.half_width(band_counts.enough() - 1) > band_counts.WANTED


def test_the_lines_name_small_classes_and_say_what_to_do() -> None:
    said = list(band_counts.lines(counted()))
    assert said[2] == "tail: 2 classes; images to train, validate and test: 17, 2, 6"
    assert said[3].startswith("warning: 1 classes have fewer than 3 test images, 1 of them rare (a); raise `test`")
    assert "6 test images of rare classes" in said[4] and "32.0 points either way" in said[4]


def test_the_tail_stands_first_and_balanced_data_has_none() -> None:
    gain = {"tail_accuracy_gain": 0.5, "tail_accuracy_gain_low": -0.125, "tail_accuracy_gain_high": 0.75}
    row = dict.fromkeys(columns()) | {"model": "vae", "status": "ok", "coverage_tail": 0.25, **gain}
    page = tail.tail_markdown([row], columns(), counted())
    assert page.startswith("Rare classes: 2 of 5, 17 training and 6 test images")
    assert "1 of these classes have fewer than 3" in page and "| `vae` |" in page.replace("| vae |", "| `vae` |")
    lines = "\n".join(tail.tail_terminal([row], columns(), counted()))
    assert "Rare classes: 2 of 5" in lines and "vae" in lines and "0.25" in lines and "0.5 [-0.125, 0.75]" in lines
    assert "contains 0 may be none" in page and "are empty" not in page
    assert "are empty: too few images" in tail.tail_markdown([row | {"coverage_tail": None}], columns(), counted())
    wide = row | {name: -0.123 for name in columns() if name.endswith(("_gain", "_tail", "_chance"))}
    wide |= {f"{name}_{end}": -0.0123 for name in tail.GAINS for end in ("low", "high")} | {"model": 20 * "m"}
    words = "\n".join(tail.tail_terminal([wide], columns(), counted()))
    assert words.count("-0.123 [-0.0123, -0.0123]") == 3 and "not shown" not in words
    nothing = tail.tail_terminal([dict.fromkeys(columns()) | {"model": "vae", "status": "ok"}], columns(), counted())
    assert not any("vae" in line for line in nothing), "a table of empty columns"
    assert tail.tail_markdown([row], columns(), None) == "" and tail.tail_terminal([row], columns(), None) == []
