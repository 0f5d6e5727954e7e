"""Picture files that people give: their pixels where they are pictures, one line where they are not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import UserError
from pipeline.tracking import pictures

SHAPE, COLOUR = (1, 28, 28), (3, 32, 32)


def pixels(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def saved(folder: Path, image: Image.Image, name: str = "a.png", **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def test_a_picture_of_the_data_sets_size_keeps_its_very_pixels(tmp_path: Path) -> None:
    grey, colour = pixels(28, 28), pixels(32, 32, 3)
    read = pictures.read(saved(tmp_path, Image.fromarray(grey)), SHAPE)
    np.testing.assert_array_equal(read, grey[None])
    assert read.dtype == np.uint8
    read = pictures.read(saved(tmp_path, Image.fromarray(colour)), COLOUR)
    np.testing.assert_array_equal(read, colour.transpose(2, 0, 1))
    inverted = pictures.read(saved(tmp_path, Image.fromarray(grey)), SHAPE, invert=True)
    np.testing.assert_array_equal(inverted, 255 - grey[None])


def test_a_long_picture_is_cut_around_its_middle_and_not_squeezed(tmp_path: Path) -> None:
    wide = np.zeros((56, 168), np.uint8)
    wide[:, 56:112] = 255
    assert (pictures.read(saved(tmp_path, Image.fromarray(wide)), SHAPE) > 230).all()


def test_a_camera_turned_on_its_side_is_put_upright(tmp_path: Path) -> None:
    top = np.zeros((56, 28), np.uint8)
    top[:14] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    read = pictures.read(saved(tmp_path, Image.fromarray(top), exif=exif), (1, 56, 28))
    np.testing.assert_array_equal(read[0], top[::-1])


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        pictures.read(path, SHAPE)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_what_is_no_file_of_a_picture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("a text\nof two lines\n")
    (tmp_path / "empty.png").touch()
    saved(tmp_path, Image.fromarray(pixels(28, 28)))
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "vector.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(pictures.LARGEST_FILE + 1)
    for name, said in {
        "text.png": "no image that can be read", "empty.png": "no image", "vector.png": "no image",
        "cut.png": "damaged",
        "pipe.png": "not a plain file", "large.png": "67,108,865 bytes", "none.png": "not found", ".": "not a plain",
    }.items():  # fmt: skip
        assert said in refused(tmp_path / name), name


@pytest.mark.parametrize("name", ["a.png", "a.PNG"])
def test_a_still_picture_is_written_as_it_is(tmp_path: Path, name: str) -> None:
    pictures.write(tmp_path / name, picture := pixels(20, 30, 3))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), picture)


@pytest.mark.parametrize("ending", ["webp", "apng", "gif"])
def test_a_film_holds_every_frame_for_its_time_and_begins_again(tmp_path: Path, ending: str) -> None:
    frames = [np.repeat(pixels(20, 30, 1) // 2 + 40 * k, 3, axis=2) for k in range(3)]
    pictures.write_moving(tmp_path / f"a.{ending}", frames, [100, 200, 500])
    found, times = [], []
    with Image.open(tmp_path / f"a.{ending}") as film:
        assert film.n_frames == 3 and film.info.get("loop", 0) == 0
        for k in range(3):
            film.seek(k)
            found.append(np.asarray(film.convert("RGB")))
            times.append(film.info.get("duration"))
    np.testing.assert_array_equal(np.stack(found), np.stack(frames))
    if ending != "webp":  # Pillow does not tell a WebP frame's own time
        assert times == [100, 200, 500]


def test_an_ending_that_is_no_picture_is_refused() -> None:
    with pytest.raises(UserError, match=r"--to: found 'a\.tiff', expected a name that ends in \.png, \.jpg, \.jpeg"):
        pictures.check_ending(Path("a.tiff"), pictures.STILL)
    assert pictures.check_ending(Path("x/y.GIF"), pictures.STILL, pictures.MOVING) == ".gif"
