"""`--classes`: which classes are meant by names, numbers, a band, or a condition on the number of training images."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pipeline.core.errors import UserError, near
from pipeline.datasets.class_bands import BANDS, IMBALANCED_FROM, bands_of

CONDITION = re.compile(r"train\s*(<=|>=|<|>|=)\s*(\d+)")
COMPARED: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip
ALL = "all"

EXPECTED = "all, a band (head, middle, tail), a condition such as 'train<30', or names or numbers with commas"


def chosen(text: str, names: Sequence[str], counts: Sequence[int]) -> list[int]:
    """Numbers of the classes that `--classes TEXT` means, ascending.

    Args:
        text: see EXPECTED.
        names: what each class is called; a name goes before a number.
        counts: images of each class in the training split; a class without any is never meant by a condition.

    Raises:
        UserError: a name that there is not, a class without a training image, or no class at all.
    """
    found = sorted({label for word in text.split(",") for label in _meant(word.strip(), names, counts)})
    if not found:
        raise UserError(f"--classes: found {text!r}, which no class of the data set meets; expected {EXPECTED}")
    return found


def _meant(word: str, names: Sequence[str], counts: Sequence[int]) -> Iterator[int]:
    present = [label for label, count in enumerate(counts) if count]
    condition = CONDITION.fullmatch(word)
    if word in names:
        yield _trained(names.index(word), word, counts)
    elif condition:
        meets, bound = COMPARED[condition[1]], int(condition[2])
        yield from (label for label in present if meets(counts[label], bound))
    elif word == ALL:
        yield from present
    elif word in BANDS:
        yield from _of_band(word, counts)
    elif word.isdecimal() and int(word) < len(names):
        yield _trained(int(word), word, counts)
    elif word.isdecimal():
        raise UserError(f"--classes: found {word}, expected 0 to {len(names) - 1}")
    else:
        raise UserError(f"--classes: found {word!r}; expected {EXPECTED}{near(word, names) if word else ''}")


def _trained(label: int, word: str, counts: Sequence[int]) -> int:
    if not counts[label]:
        raise UserError(f"--classes: {word} has no training image, so no model can draw it; leave it out")
    return label


def _of_band(word: str, counts: Sequence[int]) -> Iterator[int]:
    bands = bands_of(np.array(counts))
    if bands is None:
        raise UserError(
            f"--classes: found {word}, but no class has {IMBALANCED_FROM:g} times the training images of another, so "
            "the data set has no bands; say a condition such as 'train<30'"
        )
    yield from np.flatnonzero(bands == BANDS.index(word)).tolist()
