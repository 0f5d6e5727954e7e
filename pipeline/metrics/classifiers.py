"""One number from the features of several reference classifiers: another training of them would give another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from pipeline.metrics.estimates import Estimate, Scale, back, forward, usable
from pipeline.metrics.intervals import jackknife


def over_classifiers(column: str, estimates: Sequence[Estimate], mean: Estimate) -> dict[str, Estimate]:
    """The column's mean over the classifiers, each one's value with it, and `<column>_min` and `<column>_max`.

    Of one classifier there is its own estimate alone.
    """
    if len(estimates) == 1:
        return {column: estimates[0]}
    ordered = sorted(estimates, key=lambda estimate: estimate.value)
    each = tuple(estimate.value for estimate in estimates)
    return {column: replace(mean, each=each), f"{column}_min": ordered[0], f"{column}_max": ordered[-1]}


def mean_on_scale(values: Sequence[float], scale: Scale) -> float:
    """The mean of values on a scale, carried back: of the scale 'log' the geometric mean."""
    return back(fmean(forward(value, scale) for value in values), scale)


def jackknife_over_classifiers(
    column: str, found: Sequence[tuple[float, Sequence[float]]], scale: Scale
) -> dict[str, Estimate]:
    """The same from each classifier's value and its values without each group of images.

    The interval leaves the same images out for all classifiers.
    """
    values, without = zip(*found, strict=True)
    scale = usable([value for value, fewer in found for value in (value, *fewer)], scale)
    means = [mean_on_scale(group, scale) for group in zip(*without, strict=True)]
    mean = jackknife(mean_on_scale(values, scale), means, scale)
    return over_classifiers(column, [jackknife(value, fewer, scale) for value, fewer in found], mean)
