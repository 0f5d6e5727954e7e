"""`generate --to FOLDER`: labelled images with a manifest, each row of which is true."""

from __future__ import annotations

import contextlib
import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from pipeline import cli
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.datasets.splits import summary
from pipeline.features.classifier import DomainClassifier, extract
from pipeline.features.rare_classes import wanted_images
from pipeline.metrics.bands import bands_of
from pipeline.models.base import ImageGenerator
from pipeline.tracking import class_choice, export_folder
from pipeline.training.device import build
from pipeline.training.requested import requested
from pipeline.training.sampling import quantise
from pipeline.workflow import overrides
from pipeline.workflow.plan import Job
from tests.conftest import plan_of, told
from tests.stored import stored

CONDITIONAL = ("budget=tiny", "models.vae.conditional=true")
NAMES = ["a/b", "క", ".", "d", "D", "f", "g", "h", "class_0000", "j"]
COUNTS = [2, 3, 5, 10, 20, 30, 30, 30, 30, 0]


@pytest.fixture(scope="module")
def stored_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImageGenerator]:
    """Prepared splits of ten unequal classes, a reference classifier and trained VAEs; the one that draws classes."""
    with contextlib.chdir(folder := tmp_path_factory.mktemp("stored")):
        labels = np.repeat(np.arange(10), COUNTS)
        prepare(np.random.default_rng(0).integers(0, 256, (len(labels), 1, 28, 28), dtype=np.uint8), labels)
        classifier = job("classifier")
        torch.manual_seed(0)
        weights = DomainClassifier((1, 28, 28), 10).state_dict()
        artifacts.write_tensors(Path(classifier.outputs["classifier"]), weights, {"classes_and_shape": "10 1 28 28"})
        stored(classifier)
        trained("budget=tiny")
        return folder, trained()


@pytest.fixture
def folder(folder: Path, stored_once: tuple[Path, ImageGenerator]) -> Path:
    """A folder to work in with all of it and params.yaml."""
    shutil.copytree(stored_once[0], folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def model(folder: Path, stored_once: tuple[Path, ImageGenerator]) -> ImageGenerator:
    return stored_once[1]


def prepare(images: np.ndarray, labels: np.ndarray | None) -> None:
    """Store one set of images as all three splits."""
    prepared = job("prepare")
    for split in ("train", "valid", "test"):
        artifacts.write_images(Path(prepared.outputs[split]), images, labels)
    content: dict[str, Any] = {"classes": NAMES, "train": summary(images, labels, NAMES)}
    artifacts.write_json(Path(prepared.outputs["summary"]), content)
    stored(prepared)


def job(stage: str, *names: Any, settings: tuple[str, ...] = CONDITIONAL) -> Job:
    return plan_of(*settings).job(stage, "mnist", *names)


def trained(*settings: str) -> ImageGenerator:
    """A VAE with stored weights, as after a training."""
    planned = job("train", "vae", 0, settings=settings or CONDITIONAL)
    block = planned.config
    network = build("vae", block["arguments"], (1, 28, 28), seed=7, device="cpu", classes=10).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3.0)  # so that samples differ
    artifacts.write_tensors(Path(planned.outputs["weights"]), network.state_dict())
    stored(planned)
    return network


def words(*more: str, to: str = "out", settings: tuple[str, ...] = CONDITIONAL) -> list[str]:
    sets = [word for setting in settings for word in ("--set", setting)]
    return ["generate", "--model", "vae", "--to", to, *sets, *more]


def manifest(to: str = "out") -> list[dict[str, str]]:
    with (Path(to) / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def pixels(rows: list[dict[str, str]], to: str = "out") -> Any:
    images = []
    for row in rows:
        with Image.open(Path(to) / row["file"]) as image:
            assert image.mode == "L" and image.size == (28, 28)
            images.append(np.asarray(image)[None])
    return np.stack(images)


def leftovers() -> list[str]:
    return [path.name for path in Path().iterdir() if path.name not in ("params.yaml", "results", "data", "logs")]


# --- what is written --------------------------------------------------------------------------------------------------


def test_every_row_of_the_manifest_is_true(model: ImageGenerator, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(words("--classes", "train<6", "--n", "3", "--seed", "5"))
    said = capsys.readouterr().out
    assert "out: 9 images of 3 classes by vae, manifest.csv and manifest.parquet" in said
    rows = manifest()
    assert [(row["class"], row["number"]) for row in rows] == [(n, str(k)) for n in NAMES[:3] for k in range(3)]
    assert [row["file"] for row in rows[::3]] == ["class_0000/000000.png", "క/000000.png", "class_0002/000000.png"]
    assert {str(path.relative_to("out")) for path in Path("out").rglob("*.png")} == {row["file"] for row in rows}
    found = pixels(rows)
    labels = [int(row["class_number"]) for row in rows]
    with torch.inference_mode():
        latents = [model.draw_latents(1, 5, first=int(row["number"]), label=c) for row, c in zip(rows, labels)]  # noqa: B905
        wanted = quantise(model.decode(torch.cat(latents))).numpy()
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= 1
    check_measured(rows, found, labels)


def check_measured(rows: list[dict[str, str]], found: Any, labels: list[int]) -> None:
    """Probability, recognised class and nearest training image, against plain computations."""
    classifier = DomainClassifier((1, 28, 28), 10)
    classifier.load_state_dict(artifacts.read_tensors(Path(job("classifier").outputs["classifier"])))
    probabilities = extract(classifier, torch.from_numpy(found))[1]
    train = artifacts.read_images(Path(job("prepare").outputs["train"]))[0]
    distances = np.sqrt(((found[:, None] / 255 - train[None] / 255) ** 2).sum((2, 3, 4)))
    for row, label, seen, to_train in zip(rows, labels, probabilities, distances, strict=True):
        assert float(row["probability"]) == pytest.approx(seen[label].item(), rel=1e-4)
        assert row["recognised"] == NAMES[int(seen.argmax())]
        assert int(row["nearest_training_image"]) == to_train.argmin()
        assert float(row["distance"]) == pytest.approx(to_train.min(), rel=1e-5)


def test_both_manifests_are_the_same(model: ImageGenerator) -> None:
    cli.main(words("--classes", "1,d", "--n", "2"))
    table = parquet.read_table("out/manifest.parquet").to_pylist()
    assert [list(map(str, row)) for row in table] == [list(row) for row in manifest()]
    for row, text in zip(table, manifest(), strict=True):
        assert {k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in row.items()} == text


def test_the_forms_hold_the_same_images(model: ImageGenerator) -> None:
    for form in export_folder.FORMS:
        cli.main(words("--classes", "train>25", "--n", "70", "--form", form, to=form))
    found = pixels(manifest("png"), "png")
    labels = [int(row["class_number"]) for row in manifest("png")]
    assert len(found) == 280, "more than one batch"
    with np.load("npz/images.npz") as archive:
        np.testing.assert_array_equal(archive["images"], found)
        assert archive["labels"].tolist() == labels
    images, marks = artifacts.read_images(Path("arrow/images.arrow"))
    np.testing.assert_array_equal(images, found)
    assert marks is not None and marks.tolist() == labels
    assert sorted(path.name for path in Path("npz").iterdir()) == ["images.npz", "manifest.csv", "manifest.parquet"]


def test_an_image_does_not_depend_on_what_else_is_drawn(model: ImageGenerator) -> None:
    cli.main(words("--classes", "2", "--n", "4", to="few"))
    cli.main(words("--classes", "all", "--n", "40", to="many"))
    of = [row for row in manifest("many") if row["class_number"] == "2"][:4]
    np.testing.assert_array_equal(pixels(manifest("few"), "few"), pixels(of, "many"))


def test_a_model_without_classes_gives_a_flat_folder(folder: Path) -> None:
    plain = ("budget=tiny",)
    cli.main(words("--n", "3", settings=plain))
    rows = manifest()
    assert [row["file"] for row in rows] == [f"images/00000{k}.png" for k in range(3)]
    assert {row["class"] for row in rows} == {""} and all(row["recognised"] in NAMES for row in rows)


def test_data_without_labels_has_no_probability(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = ("budget=tiny",)
    prepare(np.zeros((20, 1, 28, 28), np.uint8), None)
    cli.main(words("--n", "2", settings=plain))
    assert {(row["probability"], row["recognised"]) for row in manifest()} == {("", "")}
    capsys.readouterr()
    assert "mnist has no labels" in told(capsys, *words("--min-confidence", ".5", to="x", settings=plain))


# --- filters ----------------------------------------------------------------------------------------------------------


def test_what_the_classifier_does_not_see_is_left_out(
    model: ImageGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(words("--classes", "d", "--n", "50", to="all"))
    every = [float(row["probability"]) for row in manifest("all")]
    bound = float(np.quantile(every, 0.6))
    wanted = [str(k) for k, probability in enumerate(every) if probability >= bound]
    cli.main(words("--classes", "d", "--n", "50", "--min-confidence", str(bound), to="sure"))
    assert [row["number"] for row in manifest("sure")] == wanted
    assert f"{50 - len(wanted)} below --min-confidence, 0 copies" in capsys.readouterr().out
    more = ("--min-confidence", str(bound), "--until-enough")
    cli.main(words("--classes", "d", "--n", "25", *more, to="enough"))
    rows = manifest("enough")
    assert len(rows) == 25 and all(float(row["probability"]) >= bound for row in rows)
    first = [row["number"] for row in rows if int(row["number"]) < 50]
    assert first == wanted[: len(first)]


def test_drawing_ends_at_the_limit(model: ImageGenerator, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(words("--classes", "d", "--n", "2", "--min-confidence", "1", "--until-enough", "--limit", "30"))
    said = capsys.readouterr().out
    assert "left out of 30 drawn: 30 below" in said and "1 of 1 classes have fewer images than wanted" in said
    assert manifest() == []


def test_copies_are_left_out(model: ImageGenerator, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(words("--classes", "d", "--n", "4", to="all"))
    drawn = pixels(manifest("all"), "all")
    train, labels = artifacts.read_images(Path(job("prepare").outputs["train"]))
    assert labels is not None
    prepare(np.concatenate([train[:-1], drawn[2:3]]), labels)
    cli.main(words("--classes", "d", "--n", "4", "--no-copies", "0", to="new"))
    assert [row["number"] for row in manifest("new")] == ["0", "1", "3"]
    assert "1 copies" in capsys.readouterr().out
    cli.main(words("--classes", "d", "--n", "4", "--no-copies", to="auto"))
    assert [row["number"] for row in manifest("auto")] == ["0", "1", "3"], "held-out images here are copies themselves"
    assert "copies: within 0.000 of a training image" in capsys.readouterr().err


# --- the images that `augment` adds -----------------------------------------------------------------------------------


def test_the_images_of_augmentation_are_those_of_the_stage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = (*CONDITIONAL, "datasets.mnist.imbalanced=true")
    model = trained(*settings)
    counts = torch.tensor(COUNTS)
    bands = bands_of(counts)
    assert bands is not None
    wanted = wanted_images(counts, bands)
    cli.main(words("--augment", settings=settings))
    rows = manifest()
    classes = torch.arange(10).repeat_interleave(wanted)
    assert [int(row["class_number"]) for row in rows] == classes.tolist()
    np.testing.assert_array_equal(pixels(rows), requested(model, classes, 2026 + 500_000).numpy())
    first = model.draw_latents(1, int(rows[4]["seed"]), first=int(rows[4]["number"]), label=int(classes[4]))
    with torch.inference_mode():
        assert np.abs(quantise(model.decode(first)).numpy()[0] - pixels(rows)[4].astype(int)).max() <= 1
    assert f"{len(classes)} images of {len(classes.unique())} classes" in capsys.readouterr().out


def test_of_a_model_without_classes_they_are_those_that_the_classifier_is_sure_of(folder: Path) -> None:
    settings = ("budget=tiny", "datasets.mnist.imbalanced=true")
    trained(*settings)
    samples = np.random.default_rng(3).integers(0, 256, (30, 1, 28, 28), dtype=np.uint8)
    of_samples = job("sample", "vae", 0, settings=settings)
    artifacts.write_images(Path(of_samples.outputs["images"]), samples)
    stored(of_samples)
    classifier = DomainClassifier((1, 28, 28), 10)
    with torch.no_grad():
        classifier.last.bias[1] = 50.0  # sure of class 1, whatever it sees
    path = Path(job("classifier").outputs["classifier"])
    artifacts.write_tensors(path, classifier.state_dict(), {"classes_and_shape": "10 1 28 28"})
    stored(job("classifier"))
    cli.main(words("--augment", settings=settings))
    rows = manifest()
    lacking = 5 - 3  # the tail ends at the cube root of 2 * 2 * 30, rounded up
    assert [(row["class"], row["number"]) for row in rows] == [(NAMES[1], str(k)) for k in range(lacking)]
    np.testing.assert_array_equal(pixels(rows), samples[:lacking])


# --- which classes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("train<5", [0, 1]),
        ("train <= 5", [0, 1, 2]),
        ("train>20,a/b", [0, 5, 6, 7, 8]),
        ("train=2", [0]),
        ("3, క", [1, 3]),
        ("tail", [0, 1]),
        ("head,tail", [0, 1, 4, 5, 6, 7, 8]),
    ],
)
def test_classes_are_named_in_many_ways(text: str, wanted: list[int]) -> None:
    assert class_choice.chosen(text, NAMES, COUNTS) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train<2", "found 'train<2', which no class of the data set meets"),
        ("9", "9 has no training image"),
        ("12", "found 12, expected 0 to 9"),
        ("clas_0000", "did you mean 'class_0000'?"),
        ("", "found ''; expected all, a band"),
    ],
)
def test_a_wrong_choice_of_classes_is_one_line(text: str, said: str) -> None:
    with pytest.raises(UserError, match=r"--classes: ") as caught:
        class_choice.chosen(text, NAMES, COUNTS)
    assert said in str(caught.value)
    with pytest.raises(UserError, match="has no bands; say a condition such as"):
        class_choice.chosen("tail", ["a", "b"], [20, 30])


def test_every_class_has_a_folder_of_its_own() -> None:
    names = ["a", "A", "..", "x/y", "con:", "క", "class_0001", "b" * 101, "", "a\u202e"]
    found = export_folder.folder_names(names)
    assert found[0] == "a" and found[5] == "క"
    assert len({name.casefold() for name in found}) == len(names)
    assert all(Path(name).name == name and not name.startswith(".") for name in found)


# --- what cannot be done --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--to", "full"), "--to: full is not empty; name a new folder"),
        (("--to", "a_file"), "--to: a_file is a file"),
        (("--to", "a.png", "--form", "npz"), "--form: found with --to a.png, a single picture"),
        (("--to", "a.png", "--until-enough"), "--until-enough: found with --to a.png, a single picture"),
        (("--limit", "9"), "--limit: found without --until-enough"),
        (("--until-enough", "--limit", "9"), "--limit: found 9, expected at least --n, 64"),
        (("--min-confidence", "2"), "--min-confidence: found 2, expected 0 to 1"),
        (("--no-copies", "-1"), "--no-copies: found -1, expected a distance of 0 or more"),
        (("--classes", "zzz"), "--classes: found 'zzz'; expected all"),
        (("--classes", "1", "--label", "1"), "--label: found with --classes"),
        (("--augment", "--until-enough"), "--augment: found with --until-enough; leave one of the two out"),
        (("--augment",), "datasets.mnist is not imbalanced: nothing to augment"),
        (("--set", "models.vae.conditional=false", "--classes", "1"), "set models.vae.conditional to true"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    model: ImageGenerator, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    (Path("full") / "x").mkdir(parents=True)
    Path("a_file").touch()
    before = leftovers()
    assert said in told(capsys, *words(*more))
    assert leftovers() == before


def test_a_missing_classifier_is_named_with_the_command_that_trains_it(
    model: ImageGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job("classifier").outputs["classifier"]
    (Path(path).parent / "job.json").unlink()
    assert f"{path}: not there yet; make it with `{overrides.snakemake(path)} --config budget=tiny " in told(
        capsys, *words()
    )
    assert leftovers() == []


def test_nothing_half_written_stays(
    model: ImageGenerator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_folder.Writer, "close", full)
    assert "out: could not be written: No space left on device; make room" in told(capsys, *words("--n", "1"))
    assert leftovers() == []


def test_a_model_that_ignores_the_class_is_told(model: ImageGenerator, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(words("--n", "30"))
    said = capsys.readouterr().out
    share = np.mean([row["class"] == row["recognised"] for row in manifest()])
    assert f"sees the asked class in {share:.1%} of all drawn (chance: 10.0%)" in said
    assert ("warning: near chance" in said) == (share < 0.2)
