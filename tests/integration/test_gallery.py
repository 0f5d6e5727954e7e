"""What the papers show: which figures a table has, and that the numbers in them are what they are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.stages import gallery
from pipeline.workflow import layout
from pipeline.workflow.plan import Plan
from tests.conftest import plan_of

ALWAYS = ["walks", "neighbours", "epochs"]


def plan(*words: str) -> Plan:
    return plan_of("budget=tiny", *words)


# --- which figures there are --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "figures"),
    [
        ("[vae]", ["reconstructions", "blends"]),
        ("[gan]", ["adversaries"]),
        ("[vae_2d]", ["reconstructions", "blends", "planes"]),
        ("[gran3, gran3_noise]", ["noise", "adversaries"]),
        ("[gran1, gran3_noise]", ["adversaries"]),
        ("[gran5, gran5_at7]", ["steps", "adversaries"]),
        ("[gran5_at9]", ["adversaries"]),
        ("[autoencoder]", ["reconstructions", "blends"]),
        ("[vae_2d]; models.vae_2d.conditional=true", ["reconstructions", "blends", "planes", "asked"]),
        ("all", ["reconstructions", "blends", "planes", "noise", "steps", "adversaries"]),
    ],
)
def test_a_table_has_the_figures_that_its_models_can_show(models: str, figures: list[str]) -> None:
    job = plan(*f"datasets.mnist.models={models}".split("; ")).job("gallery", "mnist")
    assert job.config["figures"] == [name for name in layout.GALLERY if name in {*ALWAYS, *figures}]


def test_the_sheet_of_neighbours_is_titled_with_whose_samples_lie_nearest() -> None:
    told = "gran3's samples lie nearest to training images, median distance 4.25 in pixels; held-out real images 6"
    assert gallery.nearest_told({"real": 6.0, "vae": 5.5, "gran3": 4.25}) == told
    assert gallery.nearest_told({"real": 6.0}) == "No samples to compare with training images"


def test_a_models_plane_and_its_pair_of_noise_follow_from_its_params() -> None:
    planar = ("datasets.mnist.models=[info_vae, draw, autoencoder]", "models.draw.latent=2")
    assert plan(*planar).planar("mnist") == []
    wider = plan(*planar, "models.info_vae.latent=2", "models.autoencoder.features=2")
    assert wider.planar("mnist") == ["info_vae", "autoencoder"]
    noise = "datasets.mnist.models=[gran3, gran5, gran3_noise]"
    assert plan(noise).noise_pairs("mnist") == [("gran3", "gran3_noise")]
    assert plan(noise, "models.gran3_noise.latent=7").noise_pairs("mnist") == []


def test_a_head_over_a_column_is_short() -> None:
    heads = {22_400: "22k", 134_400: "134k", 1_080_000: "1.1M", 2_040_000: "2M", 500: "500"}
    assert {images: gallery.head(images) for images in heads} == heads


def test_all_figures_have_their_function_and_no_other() -> None:
    assert tuple(gallery.FIGURES) == layout.GALLERY


# --- numbers in them ----------------------------------------------------------------------------------------------


def pictures(n: int, seed: int, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, 6, 6), generator=generator).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("part", [36, 36 * 3 * 7, 10**9])
def test_nearest_in_pixels_is_the_nearest(monkeypatch: pytest.MonkeyPatch, channels: int, part: int) -> None:
    monkeypatch.setattr(gallery, "PART", part)
    train, queries = pictures(40, 0, channels), pictures(5, 1, channels)
    queries[3] = train[29]
    train[33] = train[29]
    distance, index = gallery.nearest_in_pixels(queries, train)
    every = torch.cdist(queries.flatten(1).double() / 255, train.flatten(1).double() / 255)
    torch.testing.assert_close(distance, every.min(1).values, atol=1e-6, rtol=1e-6)
    assert index.tolist() == every.argmin(1).tolist()
    assert distance[3] == 0 and index[3] == 29, "a copy is at 0, and of two the first is named"


def test_brightness_is_the_mean_intensity_with_its_standard_error() -> None:
    images = np.zeros((4, 3, 2, 2), dtype=np.uint8)
    images[:2] = 255
    found = gallery.brightness(images)
    assert found == {"brightness": 0.5, "brightness_error": round(1 / 12**0.5, 6), "images": 4}
    assert gallery.brightness(np.full((1, 1, 2, 2), 51, dtype=np.uint8))["brightness"] == 0.2


def test_the_error_of_a_reconstruction_is_the_mean_square_over_all_values() -> None:
    images = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    images[0] = 255
    assert gallery.squared_error(images, torch.full((1, 3, 2, 2), 0.25)) == (0.75**2 + 0.25**2) / 2
    assert gallery.squared_error(images, images.float() / 255) == 0


@pytest.mark.parametrize(
    ("diversity", "status", "words"),
    [
        ([0.5, 0.9, 1.0], "ok", ""),
        ([1.8, 1.2, 1.0], "ok", ""),  # it begins with noise, and ends as diverse as real images are
        ([0.5, 0.9, 0.6], "ok", "diversity fell from 0.90 to 0.60"),
        ([0.5, 0.9, 0.02], "collapsed", "collapsed: samples differ by 0.02 of what real images do"),
        ([], "ok", ""),
        ([0.9], "diverged", "diverged at step 1,200: these are the last good weights'"),
    ],
)
def test_a_warning_says_what_went_wrong(diversity: list[float], status: str, words: str) -> None:
    report: dict[str, Any] = {"status": status, "diverged_at": 1200}
    assert gallery.warned(diversity, report) == words


class FewImages(gallery.Material):
    """Held-out images of some classes, nothing else."""

    def __init__(self, labels: list[int] | None, count: int) -> None:
        self.test, self.labels = pictures(count, 2), None if labels is None else torch.tensor(labels)


def test_blended_images_are_of_two_classes_where_there_are_two() -> None:
    labels = [0] * 60 + [1, 2, 1, 2]
    chosen = gallery.pairs(FewImages(labels, 64))
    assert chosen.shape == (gallery.PAIRS, 2) and len(set(chosen.flatten().tolist())) == 2 * gallery.PAIRS
    assert all(labels[first] != labels[second] for first, second in chosen.tolist())
    assert gallery.pairs(FewImages(None, 64)).shape == (gallery.PAIRS, 2)
    assert gallery.pairs(FewImages([3] * 9, 9)).tolist() == [[0, 0]], "one class alone has no two"


def test_rare_classes_are_shown_rarest_first_with_their_own_images() -> None:
    counts = torch.tensor([5, 0, 2, 9, 2, 30, 40, 50, 60, 70])
    assert gallery.rarest(counts) == [2, 4, 0, 3, 5, 6, 7, 8]
    rows = torch.tensor([3, 7, 11, 20])
    assert gallery.spread_over(rows, 3).tolist()[::2] == [3, 20]
    assert gallery.spread_over(rows[:1], 3).tolist() == [3, 3, 3]
