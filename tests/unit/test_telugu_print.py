"""Printed Telugu: shaped by the fonts' rules, the same bytes from the same seed, and no font instance in two splits."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.datasets.glyphs import FontInstance, Rasteriser, font_instances
from pipeline.datasets.scan import Defects, _ink, overlaps, resize_binary, scan
from pipeline.datasets.telugu_classes import class_sizes, latin_name, telugu_classes
from pipeline.datasets.telugu_print import near_duplicates, page, render

NOTO, ANEK, RAMABHADRA = "NotoSansTelugu.ttf", "AnekTelugu.ttf", "Ramabhadra-Regular.ttf"
PACKAGES = {NOTO: "fontpkg-noto-sans-telugu", ANEK: "fontpkg-anek-telugu", RAMABHADRA: "fontpkg-ramabhadra"}
OPTIONS: dict[str, Any] = {
    "fonts": {
        NOTO: {"wght": [350, 500, 650], "wdth": [62.5, 80, 100]},
        ANEK: {"wght": [350, 500, 650], "wdth": [75, 100, 125]},
        RAMABHADRA: {},
    },
    "seed": 3, "images": 70000, "valid": 10000, "test": 10000, "largest": 2300, "smallest": 6, "instances_held_out": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fonts")
    for name, package in PACKAGES.items():
        (file,) = [found for found in importlib.metadata.files(package) or () if found.suffix == ".ttf"]
        (folder / name).write_bytes(Path(str(file.locate())).read_bytes())
    return folder


# --- classes ----------------------------------------------------------------------------------------------------


def test_there_are_325_classes_of_every_kind_with_names_of_their_own() -> None:
    classes = telugu_classes()
    assert len(classes) == len({entry.text for entry in classes}) == len({entry.name for entry in classes}) == 325
    assert {"అ", "క", "కి", "క్", "క్ష", "స్త్ర", "జ్ఞ", "ళ్ళు"} <= {entry.text for entry in classes}
    assert all(entry.name.isascii() for entry in classes)
    expected = {"క": "ka", "కీ": "kii", "క్": "k", "క్ష": "k-ssa", "స్త్రీ": "s-t-rii", "కృ": "kvr", "ఋ": "vr", "అం": "am"}
    assert {text: latin_name(text) for text in expected} == expected


def test_sizes_have_a_long_tail_and_the_right_sum() -> None:
    sizes = class_sizes(70000, 325, largest=2300, smallest=6)
    assert sizes.sum() == 70000 and sizes[0] == 2300 and sizes[-1] == 6
    assert (np.diff(sizes) <= 1).all() and (sizes > 2000).sum() >= 2 and 20 < (sizes < 10).sum() < 100
    with pytest.raises(ValueError, match="cannot have 1000000 together"):
        class_sizes(1_000_000, 325, largest=2300, smallest=6)


# --- glyphs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PACKAGES)
@pytest.mark.parametrize("text", ["క్ష", "స్త్ర", "జ్ఞ", "ళ్ళు", "కి", "ర్థ"])
def test_conjuncts_and_signs_are_shaped(fonts: Path, file: str, text: str) -> None:
    """The glyphs are others than the letters' own, and no virama is left to be seen."""
    rasteriser = Rasteriser(fonts, FontInstance(file))
    shaped = [glyph for glyph, _, _ in rasteriser.shape(text)]
    letters = [rasteriser.face.get_char_index(letter) for letter in text]
    assert shaped != letters and len(shaped) < len(letters)
    assert rasteriser.face.get_char_index("\N{TELUGU SIGN VIRAMA}") not in shaped
    assert rasteriser.face.get_char_index("\N{DOTTED CIRCLE}") not in shaped


@pytest.mark.parametrize("file", PACKAGES)
def test_every_class_is_drawn_by_every_font_and_looks_like_no_other(fonts: Path, file: str) -> None:
    rasteriser = Rasteriser(fonts, FontInstance(file))
    pictures = [rasteriser.draw(entry.text) for entry in telugu_classes()]
    assert len({(picture.shape, picture.tobytes()) for picture in pictures}) == 325
    assert all(picture[[0, -1]].any(axis=1).all() and picture[:, [0, -1]].any(axis=0).all() for picture in pictures)


def test_parts_lie_where_harfbuzz_puts_them(fonts: Path) -> None:
    """A vowel sign that stands apart moves the picture's edge by just its advance."""
    rasteriser = Rasteriser(fonts, FontInstance(NOTO))
    one, two = rasteriser.draw("అ"), rasteriser.draw("అఅ")
    advance = rasteriser.shape("అఅ")[1][1] / 64
    assert abs(two.shape[1] - one.shape[1] - advance) <= 1 and two.shape[0] == one.shape[0]


def test_weight_and_width_follow_the_axes(fonts: Path) -> None:
    def drawn(weight: float, width: float) -> np.ndarray:
        return Rasteriser(fonts, FontInstance(NOTO, (("wght", weight), ("wdth", width)))).draw("మ")

    assert drawn(800, 100).mean() > 1.3 * drawn(350, 100).mean()
    assert drawn(400, 62.5).shape[1] < 0.85 * drawn(400, 100).shape[1]


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        (FontInstance(NOTO, (("wght", 2000.0),)), r"found wght=2000, but its axes are: wght 100 to 900, wdth 62.5 to"),
        (FontInstance(RAMABHADRA, (("wght", 400.0),)), "found wght=400, but its axes are: none"),
        (FontInstance("no-font.ttf"), "no-font.ttf: not a font that FreeType can read"),
        (FontInstance(RAMABHADRA), f"{RAMABHADRA}: no glyph for"),
    ],
)
def test_what_a_font_cannot_do_is_one_line(fonts: Path, instance: FontInstance, message: str) -> None:
    (fonts / "no-font.ttf").write_bytes(b"no font")
    with pytest.raises(ValueError, match=message) as failure:
        Rasteriser(fonts, instance).draw("क")
    assert "\n" not in str(failure.value)


def test_a_missing_library_is_one_line(fonts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uharfbuzz", None)
    with pytest.raises(ValueError, match=r"'uharfbuzz' is not installed; .* envs/requirements\.txt"):
        Rasteriser(fonts, FontInstance(RAMABHADRA))


# --- print and scan ---------------------------------------------------------------------------------------------


def test_resizing_is_by_area_and_exact() -> None:
    black = np.random.default_rng(0).random((45, 27)) < 0.5
    fine = np.kron(black, np.ones((32, 32))).reshape(32, 45, 32, 27).mean(axis=(1, 3))
    assert (resize_binary(black, 32) == (fine >= 0.5)).all()
    assert (overlaps(45, 32).sum(axis=1) == 45).all() and (overlaps(45, 32).sum(axis=0) == 32).all()


def test_a_scan_is_binary_cropped_to_the_glyph_and_its_class_can_be_seen() -> None:
    """A ring stays a ring: ink on all four sides, none in the middle, whatever the draw."""
    y, x = np.mgrid[-20:21, -25:26]
    ring = (255 * ((y / 20) ** 2 + (x / 25) ** 2 <= 1) * ((y / 11) ** 2 + (x / 16) ** 2 >= 1)).astype(np.uint8)
    for k in range(40):
        image = scan(ring, 32, np.random.Generator(np.random.Philox(key=[1, k])))
        assert image.shape == (32, 32) and set(np.unique(image)) == {0, 255}
        assert (image[14:18, 14:18] == 0).all()
        assert all((edge > 0).any() for edge in (image[:2], image[-2:], image[:, :2], image[:, -2:]))


def test_a_lower_threshold_spreads_the_ink() -> None:
    stroke = np.full((40, 8), 255, dtype=np.uint8)
    rest = {"rotation": 0.0, "slant": 0.0, "reduction": 1.0, "offset": (0.0, 0.0), "optics_blur": 0.3, "noise": 0.0}
    thin, thick = (
        _ink(stroke, Defects(ink_blur=1.2, ink_threshold=t, threshold=0.5, **rest)).sum()  # type: ignore[arg-type]
        for t in (0.6, 0.4)
    )
    assert thin < 40 * 8 < thick


# --- the plan and the images ------------------------------------------------------------------------------------


def test_no_font_instance_is_in_two_splits_and_every_class_in_all() -> None:
    plan, instances = page(OPTIONS), font_instances(OPTIONS["fonts"])
    assert len(instances) == len(set(instances)) == 19, "all combinations"
    assert instances[1].name == "NotoSansTelugu wght=350 wdth=80" and instances[-1].name == "Ramabhadra-Regular"
    owned = [set(plan.instances_of(split)) for split in range(3)]
    assert [len(names) for names in owned] == [13, 3, 3] and len(set.union(*owned)) == len(plan.instances) == 19
    assert np.bincount(plan.splits).tolist() == [50000, 10000, 10000]
    assert all(np.unique(plan.labels[plan.splits == split]).size == 325 for split in range(3))
    sizes = np.bincount(plan.labels)
    assert sizes.max() == 2300 and sizes.min() == 6
    first = np.bincount(plan.labels[plan.splits == 2][:2000], minlength=325)[:20].sum()
    assert abs(first / 2000 - np.sort(sizes)[-20:].sum() / 70000) < 0.04, "a split's first images are a fair sample"


CODE = """
import hashlib, json, sys
from pathlib import Path
import numpy as np
from pipeline.datasets.telugu_print import page, render
images = render(page(json.loads(sys.argv[2])), Path(sys.argv[1]), np.arange(60))
print(hashlib.sha256(images.tobytes()).hexdigest())
"""


def test_image_k_is_the_same_whatever_else_is_rendered_and_in_another_process(fonts: Path) -> None:
    plan, chosen = page(OPTIONS), np.arange(60)
    together = render(plan, fonts, chosen)
    backwards = render(plan, fonts, chosen[::-1])
    assert (backwards[::-1] == together).all() and (render(plan, fonts, chosen[41:42]) == together[41:42]).all()
    assert len({image.tobytes() for image in together}) == 60
    other = render(page(OPTIONS | {"seed": 4}), fonts, chosen)
    assert (other != together).any()
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(fonts), json.dumps(OPTIONS)],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": "."}, capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == hashlib.sha256(together.tobytes()).hexdigest()


def test_near_duplicates_are_counted_within_a_class() -> None:
    rng = np.random.default_rng(0)
    train = np.where(rng.random((5, 1, 32, 32)) < 0.5, np.uint8(255), np.uint8(0))
    test = train[[0, 1, 2, 3]].copy()
    test[1, 0, 0, :20] ^= 255  # 20 of 1,024 pixels: at most 2 %
    test[2, 0, 0, :21] ^= 255
    labels = np.array([0, 0, 1, 1, 1])
    found = near_duplicates(test, np.array([0, 0, 1, 0]), train, labels)  # the last is a copy of one of class 1
    assert found == {"identical": 1, "within_2_percent": 2, "within_5_percent": 3, "median_percent": 2.0}
    alone = near_duplicates(test[:1], np.array([7]), train, labels)
    assert alone == {"identical": 0, "within_2_percent": 0, "within_5_percent": 0, "median_percent": 100.0}
