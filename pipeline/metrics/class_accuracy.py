"""Does a conditional model draw the requested class? As the reference classifier sees it, also by band.

The row `real` has the classifier's own accuracy on held-out images, which no model can be expected to pass. Chance is
what the classifier's answers would agree with the requests if neither depended on the other (Cohen 1960).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.metrics.bands import BANDS, LEAST, TOO_FEW
from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import rate

ORDER = 75

COLUMNS: dict[str, dict[str, str]] = {
    "class_accuracy": {
        "label": "Class accuracy",
        "meaning": "Share of a conditional model's samples that the reference classifier puts into the class that was "
        "asked for; row real: its own accuracy on held-out images, the ceiling. Empty for other models.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "class_accuracy_chance": {
        "label": "Class accuracy, chance",
        "meaning": "class_accuracy if the images did not depend on the requested class; a model below a tenth "
        "of the way from here to 1 is unconditional in effect.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "class_accuracy_head": {
        "label": "Class accuracy, head",
        "meaning": "class_accuracy of the samples whose requested class is common; empty where the data is "
        "balanced, or there are fewer than 20 of them.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "class_accuracy_middle": {
        "label": "Class accuracy, middle",
        "meaning": "The same for the classes between.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "class_accuracy_tail": {
        "label": "Class accuracy, tail",
        "meaning": "The same for the rare classes; coverage_tail, in contrast, accepts an image of any rare class.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "class_accuracy_tail_chance": {
        "label": "Class accuracy, tail, chance",
        "meaning": "class_accuracy_tail if the images did not depend on the requested class.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
}


def chance(asked: Tensor, seen: Tensor, classes: int) -> Estimate:
    """Agreement of classes `asked` (n,) with classes `seen` (m,) if they were drawn independently."""
    shares = [torch.bincount(x, minlength=classes)[:classes].double() / len(x) for x in (asked, seen)]
    value = (shares[0] * shares[1]).sum().item()
    return Estimate(value, value, value, "per-image")


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Where the samples' requested classes are given and the reference classifier knows classes."""
    asked, probabilities = comparison.asked, comparison.probabilities
    if asked is None or probabilities is None:
        return {}
    seen, classes = probabilities.argmax(1), probabilities.shape[1]
    found = {"class_accuracy": rate(seen == asked), "class_accuracy_chance": chance(asked, seen, classes)}
    if comparison.bands is None:
        return found
    for band, name in enumerate(BANDS):
        rows = comparison.bands[asked] == band
        enough = int(rows.sum()) >= LEAST
        found[f"class_accuracy_{name}"] = rate(seen[rows] == asked[rows]) if enough else undefined(TOO_FEW)
        if name == "tail":
            by_chance = chance(asked[rows], seen, classes) if enough else undefined(TOO_FEW)
            found["class_accuracy_tail_chance"] = by_chance
    return found
