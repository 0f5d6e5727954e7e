"""Coverage (Naeem et al. 2020, arXiv:2002.09797) of common and of rare classes apart.

The balls are those of `coverage`, to the 5th neighbour among all held-out images. But a rare class has fewer images
than that, so its balls reach into other classes: only generated images that the reference classifier puts into the same
band count, else a generator without a single rare class would seem to cover them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.metrics.bands import BANDS, LEAST, TOO_FEW
from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.distances import Points, chunks, prepare, squared_distances
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import jackknife, rate, wider
from pipeline.metrics.prdc import K, kept_rows, radii

ORDER = 62

COLUMNS: dict[str, dict[str, str]] = {
    "coverage_head": {
        "label": "Coverage, head",
        "meaning": "Share of the common classes' real images whose ball of 5 neighbours holds a generated image of a "
        "common class; empty where the largest class is under 10 times the smallest, or the band has under 20 images.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "coverage_middle": {
        "label": "Coverage, middle",
        "meaning": "The same for the classes between; bands are thirds of the logarithm of a class's training images.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
    "coverage_tail": {
        "label": "Coverage, tail",
        "meaning": "The same for the rare classes: 0 where none is generated. An image of any rare class counts; "
        "class_accuracy_tail says whether it is of the requested class. The reference classifier errs most there.",
        "better": "near_real",
        "unit": "share",
        "scale": "logit",
    },
}


def coverage_by_band(
    *, real: Sequence[Tensor], fake: Sequence[Tensor], real_bands: Tensor, fake_bands: Tensor, k: int = K
) -> dict[int, Estimate]:
    """Band -> share of its real images whose ball holds a generated one of the band, from groups of features (n_g, d).

    `real_bands` (n,) and `fake_bands` (m,) are in the order of the groups' images. The balls are closed and of all real
    images; the interval is the wider of the per-image one and the jackknife's. Bands of few real images are left out.
    """
    x, y = prepare(torch.cat(list(real)), torch.cat(list(fake)), precise=True)
    with_rows = kept_rows(real)
    reach = radii(x, with_rows, k)
    group = torch.arange(len(fake)).repeat_interleave(torch.tensor([len(part) for part in fake]))
    found = {}
    for band in range(len(BANDS)):
        own, theirs = real_bands == band, fake_bands == band
        if own.sum() >= LEAST:
            near = nearest_by_group(x[own], y[theirs], group[theirs], len(fake))
            inside = [near.amin(1) <= reach[0, own]]
            for g in range(len(fake)):
                others = torch.arange(len(fake)) != g
                covered = near[:, others].amin(1) <= reach[g + 1, own]
                inside.append(covered[with_rows[g + 1, own]])
            found[band] = _rate(inside)
    return found


def _rate(inside: Sequence[Tensor]) -> Estimate:
    """Share of true values of the first (n,), with the wider of Wilson's interval and the jackknife's of the others.

    Half an image is added on either side: of few images a share is often exactly 1 without one group or another, which
    has no logit.
    """
    per_image = rate(inside[0])
    moved = [(each.sum().item() + 0.5) / (len(each) + 1) for each in inside]
    found = jackknife(moved[0], moved[1:], "logit")
    low, high = min(found.low, per_image.value), max(found.high, per_image.value)
    return wider(per_image, Estimate(per_image.value, low, high, found.kind))


def nearest_by_group(queries: Points, base: Points, group: Tensor, groups: int) -> Tensor:
    """Squared distances (n, groups) float64 to the nearest point of each group; infinite where a group has none."""
    near = torch.full((len(queries), groups), torch.inf, dtype=torch.float64)
    for rows in chunks(len(queries), max(1, len(base))):
        distances = squared_distances(queries[rows], base).double()
        near[rows] = near[rows].scatter_reduce(1, group.expand(len(distances), -1), distances, "amin")
    return near


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """On the reference classifier's features, where the data has bands."""
    real_bands, fake_bands = comparison.real_bands, comparison.fake_bands
    if not comparison.has("classifier") or real_bands is None or fake_bands is None:
        return {}
    found = coverage_by_band(
        real=comparison.real_parts("classifier"),
        fake=comparison.fake_parts("classifier"),
        real_bands=real_bands[torch.cat(comparison.real_groups)],
        fake_bands=fake_bands[torch.cat(comparison.fake_groups)],
    )
    return {f"coverage_{name}": found.get(band, undefined(TOO_FEW)) for band, name in enumerate(BANDS)}
