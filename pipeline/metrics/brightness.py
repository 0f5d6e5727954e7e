"""How bright samples are against real images: Im et al. 2016 find samples of more steps than trained brighter."""

from __future__ import annotations

from torch import Tensor

from pipeline.metrics.comparison import Comparison, Estimate
from pipeline.metrics.sharpness import ratio

ORDER = 106

COLUMNS: dict[str, dict[str, str]] = {
    "brightness": {
        "label": "Brightness",
        "meaning": "Mean pixel of samples over that of held-out real images; empty where all real images are black.",
        "better": "near_real",
        "unit": "ratio",
        "scale": "log",
    },
}


def image_brightness(images: Tensor) -> Tensor:
    """Mean pixel (n,) float64, in [0, 1], of images (n, C, H, W) uint8."""
    return images.flatten(1).double().mean(1) / 255


def measure(comparison: Comparison) -> dict[str, Estimate]:
    """Where the images themselves are given."""
    if comparison.real_images is None or comparison.fake_images is None:
        return {}
    return {
        "brightness": ratio(
            real=image_brightness(comparison.real_images), fake=image_brightness(comparison.fake_images)
        )
    }
