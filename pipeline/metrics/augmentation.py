"""Are generated images of use to a classifier, where real ones are few? What training on them too does for the tail."""

from __future__ import annotations

import math

from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.estimates import NORMAL_QUANTILE
from pipeline.metrics.intervals import around

ORDER = 115

COLUMNS: dict[str, dict[str, str]] = {
    "tail_accuracy_gain": {
        "label": "Tail accuracy gained",
        "meaning": "Accuracy on held-out real images of rare classes of a classifier trained with generated images of "
        "them too, minus that of the reference classifier, trained alike without; negative: they hurt. The interval "
        "says how test images vary, not how another training of the classifiers would. Empty where the data is "
        "balanced, or the reference classifier is sure of no sample of a rare class.",
        "better": "higher",
        "unit": "share",
        "scale": "linear",
    },
    "middle_accuracy_gain": {
        "label": "Middle accuracy gained",
        "meaning": "The same for the classes between, which get no generated images: what the help to others costs.",
        "better": "higher",
        "unit": "share",
        "scale": "linear",
    },
    "head_accuracy_gain": {
        "label": "Head accuracy gained",
        "meaning": "The same for the common classes, which get no generated images either.",
        "better": "higher",
        "unit": "share",
        "scale": "linear",
    },
}


def gain(*, without: Tensor, augmented: Tensor) -> Estimate:
    """Difference of two accuracies on the same images, given as correct or not (n,) bool.

    The interval is Agresti & Min's (2005) for paired proportions: half an image is added to each of the four cells,
    so that two classifiers that agree on few images are not known to be alike.
    """
    n = len(without) + 2
    won = (augmented & ~without).sum().item() + 0.5
    lost = (without & ~augmented).sum().item() + 0.5
    centre = (won - lost) / n
    error = math.sqrt(max(0.0, won + lost - (won - lost) ** 2 / n)) / n
    value = augmented.double().mean().item() - without.double().mean().item()
    return around(value, centre, NORMAL_QUANTILE * error, "linear", "per-image")


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Where both classifiers' answers are given, of each band with images."""
    answers = (comparison.correct_by_band or {}).items()
    return {
        f"{band}_accuracy_gain": gain(without=without, augmented=augmented)
        for band, (without, augmented) in answers
        if len(without)
    }
