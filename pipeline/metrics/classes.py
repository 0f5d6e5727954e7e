"""Does a generator drop classes? The samples' classes, as the reference classifier sees them, against the data's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.intervals import jackknife, rate

ORDER = 70

COLUMNS: dict[str, dict[str, str]] = {
    "classes_covered": {
        "label": "Classes covered",
        "meaning": "Number of classes that the samples show at least a tenth as often as the data does; the reference "
        "classifier names a class even for noise.",
        "better": "near_real",
        "unit": "classes",
        "scale": "linear",
    },
    "class_tv": {
        "label": "Class histogram distance",
        "meaning": "Total variation between the class histograms of samples and data; chance alone gives more than 0, "
        "the more the fewer samples there are.",
        "better": "lower",
        "unit": "share",
        "scale": "logit",
    },
}

COVERED_SHARE = 0.1
"""A class is covered where its share among the samples is at least this part of its share in the data."""


def total_variation(*, real: Tensor, fake: Tensor) -> float:
    """Half the absolute differences of two histograms (classes,), counts or shares."""
    real, fake = real.double(), fake.double()
    return 0.5 * (real / real.sum() - fake / fake.sum()).abs().sum().item()


def classes_covered(*, real: Tensor, fake: Tensor) -> Estimate:
    """Classes of a data histogram (classes,) that sampled classes (n,) reach; classes that the data lacks count not.

    The ends count the classes whose share's own interval lies above, or reaches, what is asked.
    """
    wanted = COVERED_SHARE * real.double() / real.double().sum()
    shares = [(rate(fake == c), share.item()) for c, share in enumerate(wanted) if share > 0]
    low, value, high = (sum(getattr(e, part) >= w for e, w in shares) for part in ("low", "value", "high"))
    return Estimate(value, low, high, "per-image")


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Both, where the samples' class probabilities and the data's class histogram are given."""
    probabilities, real = comparison.probabilities, comparison.real_class_histogram
    if probabilities is None or real is None:
        return {}
    classes = probabilities.argmax(dim=1)
    counts = one_hot(classes, num_classes=len(real)).double()
    groups = torch.stack([counts[part].sum(0) for part in comparison.fake_groups])
    without = [total_variation(real=real, fake=groups.sum(0) - group) for group in groups]
    return {
        "classes_covered": classes_covered(real=real, fake=classes),
        "class_tv": jackknife(total_variation(real=real, fake=groups.sum(0)), without, "logit"),
    }
