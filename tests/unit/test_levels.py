"""Grey levels: own images train as what they hold, unless the block says."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.training.levels import is_black_and_white, levels
from pipeline.workflow.plan import Plan
from tests.conftest import plan_of

BLACK_AND_WHITE = np.tile(np.array([0, 255], dtype=np.uint8), (1500, 1, 2, 1))


def test_one_grey_pixel_makes_images_grey() -> None:
    grey = BLACK_AND_WHITE.copy()
    grey[1400, 0, 1, 1] = 254
    assert is_black_and_white(BLACK_AND_WHITE) and not is_black_and_white(grey)
    assert not is_black_and_white(BLACK_AND_WHITE.repeat(3, axis=1)), "colour is never black and white"
    assert (levels("auto", BLACK_AND_WHITE), levels("auto", grey)) == ("binarised", "grey")
    assert (levels("grey", BLACK_AND_WHITE), levels("binarised", grey)) == ("grey", "binarised")


def plan(*words: str) -> Plan:
    own = "datasets.own={reader: images, path: pictures, shape: [1, 8, 8], classes: 2, models: [vae, dcgan]}"
    return plan_of("budget=tiny", own, *words)


@pytest.mark.parametrize(
    ("words", "data"),
    [
        ((), "auto"),
        (("datasets.own.settings={vae: {data: grey}}",), "grey"),
        (("datasets.own.settings={vae: {data: binarised}}",), "binarised"),
        (("datasets.own.settings={vae: {tiny: {data: grey}}}",), "grey"),
        (("datasets.own.settings={vae: {latent: 3}}",), "auto"),
        (("datasets.own.binarised=true",), "binarised"),
        (("datasets.own.path=null", "datasets.own.files={own.zip: any}"), "auto"),
    ],
)
def test_own_images_decide_where_their_block_is_silent(words: tuple[str, ...], data: str) -> None:
    made = plan(*words)
    assert made.model("vae", "own")["training"]["data"] == data
    assert made.has_elbo("vae", "own") == (data != "grey")
    assert made.model("dcgan", "own")["training"]["data"] == "grey"
    assert made.model("vae", "mnist")["training"]["data"] == "binarised"
