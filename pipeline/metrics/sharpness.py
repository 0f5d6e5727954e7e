"""Are samples blurred, those of rare classes above all (Renkila et al.)? The share of an image's contrast that is fine
detail.

Of one image it is the mean square of the Laplacian over the variance of its pixels: the Laplacian's energy measures
focus (Pech-Pacheco et al. 2000), and over the variance a faint image is as sharp as a strong one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.metrics.bands import BANDS, LEAST, TOO_FEW
from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.estimates import undefined
from pipeline.metrics.intervals import delta

ORDER = 105

COLUMNS: dict[str, dict[str, str]] = {
    "sharpness": {
        "label": "Sharpness",
        "meaning": "Mean of the Laplacian's energy over the pixels' variance, of samples over held-out real images; "
        "below 1 samples are blurred, but noise has far more than 1.",
        "better": "near_real",
        "unit": "ratio",
        "scale": "log",
    },
    "sharpness_head": {
        "label": "Sharpness, head",
        "meaning": "sharpness of the images of common classes against real ones of common classes; empty where the "
        "data is balanced or either side has under 20 of them.",
        "better": "near_real",
        "unit": "ratio",
        "scale": "log",
    },
    "sharpness_middle": {
        "label": "Sharpness, middle",
        "meaning": "The same for the classes between.",
        "better": "near_real",
        "unit": "ratio",
        "scale": "log",
    },
    "sharpness_tail": {
        "label": "Sharpness, tail",
        "meaning": "The same for the rare classes; blurred more than the head is what Renkila et al. reports.",
        "better": "near_real",
        "unit": "ratio",
        "scale": "log",
    },
}

CHUNK = 2000
"""Images worked on at once."""


def image_sharpness(images: Tensor) -> Tensor:
    """Sharpness (n,) float64 of images (n, C, H, W) uint8, channels averaged: 0 for a constant image.

    A wave of angular frequency w along one axis has (2 - 2 cos w)^2 over whole periods, white noise 20. The edge
    pixels have no Laplacian, and do not count.
    """
    return torch.cat([_sharpness(part.double().mean(1)) for part in torch.split(images, CHUNK)])


def _sharpness(grey: Tensor) -> Tensor:
    centre = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    energy = (around - 4 * centre).square().mean((1, 2))
    variance = centre.flatten(1).var(1, correction=0)
    return torch.where(variance > 0, energy / variance, torch.zeros_like(energy))


def ratio(*, real: Tensor, fake: Tensor) -> Estimate:
    """Mean of fake (m,) over mean of real (n,), with its interval by the delta method; undefined if the latter is 0."""
    means = [side.mean().item() for side in (real, fake)]
    if not means[0]:
        return undefined("all real images are flat or black")
    value = means[1] / means[0]
    spread = sum(
        (side.std().item() / mean) ** 2 / len(side) for side, mean in zip((real, fake), means, strict=True) if mean > 0
    )
    return delta(value, value * spread**0.5, "log")


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Where the images themselves are given: of all, and by band where the data has bands."""
    if comparison.real_images is None or comparison.fake_images is None:
        return {}
    real, fake = image_sharpness(comparison.real_images), image_sharpness(comparison.fake_images)
    found = {"sharpness": ratio(real=real, fake=fake)}
    real_bands, fake_bands = comparison.real_bands, comparison.fake_bands
    if real_bands is not None and fake_bands is not None:
        for band, name in enumerate(BANDS):
            sides = real[real_bands == band], fake[fake_bands == band]
            enough = min(map(len, sides)) >= LEAST
            found[f"sharpness_{name}"] = ratio(real=sides[0], fake=sides[1]) if enough else undefined(TOO_FEW)
    return found
