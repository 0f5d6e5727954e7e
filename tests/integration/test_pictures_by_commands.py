"""`generate` and `blend`: what they draw is what the model draws, and what they cannot do is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from pipeline import cli as cli
from pipeline.core import artifacts
from pipeline.figures.mosaic import mosaic
from pipeline.models.base import ImageGenerator
from pipeline.training.device import build
from pipeline.training.sampling import quantise, sample, sample_canvases
from pipeline.workflow import overrides
from pipeline.workflow.plan import Job
from tests.conftest import plan_of, told
from tests.stored import stored

SET = ("--set", "budget=tiny", "--set", "models.draw.glimpses=3", "--set", "models.draw.hidden=16")


def job_of(model: str, *settings: str) -> Job:
    words = [word for word in (*SET, *settings) if word != "--set"]
    return plan_of(*words).job("train", "mnist", model, 0)


def trained(model: str, *settings: str) -> ImageGenerator:
    """A model as it would be after a training, its weights lying where they would."""
    job = job_of(model, *settings)
    block = job.config
    network = build(block["class"], block["arguments"], (1, 28, 28), seed=7, device="cpu", classes=10).eval()
    if network.classes:
        network.class_counts += torch.arange(10)
    weights = Path(job.outputs["weights"])
    artifacts.write_tensors(weights, network.state_dict())
    stored(job)
    return network


def pixels(path: str) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def drawn(images: np.ndarray, columns: int, dots: int = 3) -> Any:
    return mosaic(images, columns).repeat(dots, 0).repeat(dots, 1)


# --- generate -----------------------------------------------------------------------------------------------------


def test_a_grid_holds_the_samples_of_the_workflow(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained("vae")
    cli.main(["generate", "--model", "vae", *SET, "--n", "7", "--seed", "5", "--to", "grid.png"])
    assert capsys.readouterr().out == "grid.png: 7 samples of vae\n"
    np.testing.assert_array_equal(pixels("grid.png"), drawn(sample(model, 7, 5).numpy(), 3))
    cli.main(["generate", "--model", "vae", *SET, "--n", "4", "--scale", "1", "--to", "small.png"])
    np.testing.assert_array_equal(pixels("small.png"), drawn(sample(model, 4, 0).numpy(), 2, dots=1))


def test_a_class_is_what_a_conditional_model_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conditional = ("--set", "models.vae.conditional=true")
    plain = ["generate", "--model", "vae", *SET, "--n", "4", "--to", "three.png"]
    words = [*plain, *conditional]
    model = trained("vae", *conditional)
    cli.main([*words, "--label", "3"])
    with torch.inference_mode():
        expected = quantise(model.decode(model.draw_latents(4, 0, label=3))).int().numpy()
    shown = pixels("three.png")
    assert np.abs(shown.astype(int) - drawn(expected.astype(np.uint8), 2).astype(int)).max() <= 1
    cli.main(words)
    assert not np.array_equal(pixels("three.png"), shown), "without a label it draws all classes"
    assert "--label: found 10, expected 0 to 9" in told(capsys, *words, "--label", "10")
    trained("vae")
    said = told(capsys, *plain, "--label", "3")
    assert "vae cannot draw a requested class as it was trained; set models.vae.conditional to true" in said
    trained("autoencoder")
    said = told(capsys, "generate", "--model", "autoencoder", *SET, "--label", "3", "--to", "a.png")
    assert "omit --label" in said


def frames(path: str) -> list[np.ndarray]:
    with Image.open(path) as film:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(film)]


def test_a_film_shows_canvases_or_a_walk_through_latents(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained("draw")
    cli.main(["generate", "--model", "draw", *SET, "--n", "2", "--seed", "1", "--to", "film.apng"])
    assert capsys.readouterr().out == "film.apng: 2 samples of draw, drawn in 3 steps\n"
    canvases = sample_canvases(model, 2, 1).numpy()
    np.testing.assert_array_equal(frames("film.apng"), [drawn(canvases[:, k], 2) for k in range(3)])
    more = ["--set", "models.gran3_at4.reuse_training_of=gran3", "--set", "models.gran3_at4.sample_steps=4"]
    trained("gran3", *more)
    cli.main(["generate", "--model", "gran3_at4", *SET, *more, "--n", "1", "--scale", "1", "--to", "a.apng"])
    assert len(frames("a.apng")) == 4, "of another model's training"
    capsys.readouterr()
    model = trained("autoencoder")
    cli.main(["generate", "--model", "autoencoder", *SET, "--n", "1", "--scale", "1", "--to", "film.webp"])
    assert "a walk through the latents and back" in capsys.readouterr().out
    walk = [frame[..., 0] for frame in frames("film.webp")]
    assert len(walk) == 48 and np.abs(walk[0] - sample(model, 1, 0).numpy()[0, 0].astype(int)).max() <= 1
    leaps = [np.abs(a - b).mean() for a, b in zip(walk, [*walk[1:], walk[0]], strict=True)]
    assert max(leaps) < 0.5 * max(np.abs(frame - walk[0]).mean() for frame in walk)


def test_weights_are_used_only_if_they_are_the_planned_ones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", "--model", "vae", *SET, "--n", "1", "--to", "a.png"]
    path = job_of("vae").outputs["weights"]
    command = overrides.snakemake("{0}") + " --config budget=tiny "
    missing = f"no weights for today's params.yaml, code and data ({{0}}); train it with `{command}"
    assert missing.format(path) in told(capsys, *words)
    assert "unknown model 'veaa'" in told(capsys, *["veaa" if word == "vae" else word for word in words])
    model, other = trained("vae"), ("--set", "models.vae.hidden=10")
    cli.main(words)
    assert missing.format(job_of("vae", *other).outputs["weights"]) in told(capsys, *words, *other)
    trained("vae", *other)
    cli.main(words)
    np.testing.assert_array_equal(pixels("a.png"), drawn(sample(model, 1, 0).numpy(), 1))
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"{path}: damaged" in told(capsys, *words)


# --- blend --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(folder: Path) -> Any:
    """Two picture files of the data set's size, and their pixels."""
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), dtype=np.uint8)
    for name, image in zip(("A.png", "B.png"), images, strict=True):
        Image.fromarray(image[0]).save(name)
    return images


def test_a_blend_is_the_decoded_mixture_of_the_codes(pair: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model: Any = trained("autoencoder")
    cli.main(["blend", "A.png", "B.png", *SET, "--percent", "30", "--to", "one.png"])
    assert capsys.readouterr().out == "one.png: A.png with 30 % of B.png, by autoencoder\n"
    with torch.inference_mode():
        a, b = model.encode(torch.from_numpy(pair).float() / 255)
        expected = quantise(model.decode((0.7 * a + 0.3 * b)[None])).numpy()
    assert np.abs(pixels("one.png").astype(int) - drawn(expected, 1).astype(int)).max() <= 1


def test_a_strip_leads_from_the_one_to_the_other(pair: Any) -> None:
    model: Any = trained("vae")
    cli.main(["blend", "A.png", "B.png", *SET, "--model", "vae", "--percent", "0", "50", "100", "--to", "strip.png"])
    with torch.inference_mode():
        rebuilt = quantise(model.reconstruct(torch.from_numpy(pair).float() / 255)).numpy()
    strip = pixels("strip.png")
    tiles = [strip[:, k * 90 : k * 90 + 84] for k in range(5)]
    np.testing.assert_array_equal(tiles[0], drawn(pair[:1], 1))
    np.testing.assert_array_equal(tiles[4], drawn(pair[1:], 1))
    for tile, image in ((tiles[1], rebuilt[:1]), (tiles[3], rebuilt[1:])):
        assert np.abs(tile.astype(int) - drawn(image, 1).astype(int)).max() <= 1


def test_dark_strokes_on_white_may_be_turned(pair: Any) -> None:
    trained("autoencoder")
    for name, image in zip(("darkA.png", "darkB.png"), pair, strict=True):
        Image.fromarray(255 - image[0]).save(name)
    cli.main(["blend", "A.png", "B.png", *SET, "--to", "light.png"])
    cli.main(["blend", "darkA.png", "darkB.png", "--invert", *SET, "--to", "dark.png"])
    np.testing.assert_array_equal(pixels("light.png"), pixels("dark.png"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("generate --to a.tiff", "--to: found 'a.tiff', expected a name that ends in .png, .jpg, .jpeg, .gif"),
        ("generate --to a.png --n 0", "argument --n: found 0, expected a whole number, 1 or more"),
        ("generate --to a.png --seed -1", "argument --seed: found -1, expected a whole number, 0 or more"),
        ("generate --to a.png --scale 0", "argument --scale: found 0, expected a whole number, 1 or more"),
        ("generate --to a.png --n 1000000", "--n: 1,000,000 samples make 7,056,000,000 pixels, expected at most"),
        ("generate --to a.gif --n 10000", "expected at most 100,000,000; use a smaller --n"),
        ("generate --to a.png --training -1", "--training: found -1, expected 0 or more"),
        ("generate --to A.png/file/a.png --n 1", "A.png/file/a.png: could not be written"),
        ("blend A.png B.png --to a.gif", "--to: found 'a.gif', expected a name that ends in .png, .jpg, .jpeg"),
        ("blend A.png B.png --to a.png --percent 101", "--percent: found 101, expected 0 to 100"),
        ("blend A.png B.png --to a.png --percent nan", "--percent: found nan, expected 0 to 100"),
        ("blend A.png none.png --to a.png", "none.png: not found; name a picture file"),
        ("blend A.png params.yaml --to a.png", "params.yaml: no image that can be read"),
        ("blend A.png B.png --to a.png --model gran3", "--model: gran3 has no encoder; expected one of"),
        ("blend A.png B.png --to a.png --model vae", "no weights for today's params.yaml, code and data"),
        ("blend A.png B.png --to a.png --dataset mist", "unknown data set 'mist'; did you mean 'mnist'?"),
    ],
)
def test_a_mistake_is_one_line(pair: Any, capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    trained("autoencoder")
    more = ["--model", "autoencoder"] if words.startswith("generate") else []
    code = 2 if said.startswith("argument") else 1
    assert said in told(capsys, *words.split(), *more, *SET, code=code)
