"""Imbalanced data: bands of classes, the columns that speak of rare ones, and generated images as an aid to them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.features import classifier as features
from pipeline.features.fitting import fit
from pipeline.metrics import augmentation, coverage_bands, kid, kid_tail, prdc, sharpness
from pipeline.metrics.bands import BANDS, HEAD, MIDDLE, NO_BAND, TAIL, bands_of, imbalance_ratio, tail_ends_at
from pipeline.metrics.comparison import Comparison
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import Progress
from pipeline.stages import augment, classifier, evaluate
from pipeline.workflow import params
from pipeline.workflow.plan import Plan
from tests.conftest import ROOT, plan_of
from tests.small_models import CLASSES, CONDITIONAL, block_of, small, small_arguments

# --- bands ----------------------------------------------------------------------------------------------------------


def test_bands_are_thirds_of_the_logarithm_of_a_class_s_size() -> None:
    counts = torch.tensor([8, 47, 48, 287, 288, 1728, 0])
    found = bands_of(counts)
    assert found is not None
    assert found.tolist() == [TAIL, TAIL, MIDDLE, MIDDLE, HEAD, HEAD, NO_BAND]
    assert tail_ends_at(counts) == pytest.approx(48)
    assert imbalance_ratio(counts) == 216


def test_neither_head_nor_tail_is_empty_and_equal_classes_stay_together() -> None:
    for counts in ([10, 100, 100, 100], [10, 10, 10, 100], [1, 10]):
        found = bands_of(torch.tensor(counts))
        assert found is not None
        assert {HEAD, TAIL} <= set(found.tolist())
        by_size = {size: {b for c, b in zip(counts, found.tolist(), strict=True) if c == size} for size in counts}
        assert all(len(bands) == 1 for bands in by_size.values())


@pytest.mark.parametrize("counts", [[5000, 5400, 6700], [10, 99], [3, 0, 3], [0, 0]])
def test_balanced_data_has_no_bands(counts: list[int]) -> None:
    assert bands_of(torch.tensor(counts)) is None


REASON = "undefined: fewer than 20 images of the band"

# --- columns --------------------------------------------------------------------------------------------------------


def gaussian(n: int, seed: int, *, at: float = 0.0) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) + at


def one_hot(labels: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels, 3).double()


def compared(real_labels: Tensor, fake_labels: Tensor, *, shift: float = 0.0) -> Comparison:
    """Three classes, one of each band, at three places; the generated images lie `shift` beside the real ones."""
    real, fake = (gaussian(len(k), seed) + 8.0 * k[:, None] for seed, k in enumerate((real_labels, fake_labels)))
    return Comparison(
        real={"classifier": real}, fake={"classifier": fake + shift}, probabilities=one_hot(fake_labels),
        real_labels=real_labels, bands=torch.tensor([HEAD, MIDDLE, TAIL]), groups=5,
    )  # fmt: skip


def test_the_interval_of_few_images_says_something_although_all_may_be_covered() -> None:
    labels = torch.cat([torch.zeros(200), torch.full((25,), 2)]).long()
    given = compared(labels, labels.clone())
    found = coverage_bands.measure(given)["coverage_tail"]
    assert found.value > 0.85
    assert 0.3 < found.low <= found.value <= found.high


def test_a_generator_that_drops_the_tail_covers_none_of_it() -> None:
    """Though its images lie in balls of the tail: they are of other classes, or just beside."""
    labels = torch.arange(150) % 3
    honest = coverage_bands.measure(compared(labels, labels.flip(0)))
    assert all(honest[name].value > 0.85 for name in coverage_bands.COLUMNS)
    dropped = coverage_bands.measure(compared(labels, labels.clamp_max(1)))
    assert dropped["coverage_tail"].value == 0.0
    assert 0.0 < dropped["coverage_tail"].high < 0.2
    close = replace(
        compared(labels, torch.zeros(150, dtype=torch.long)),
        real={"classifier": gaussian(150, 1)}, fake={"classifier": gaussian(150, 2)},
    )  # fmt: skip
    assert prdc.measure(close)["coverage"].value > 0.9
    assert coverage_bands.measure(close)["coverage_tail"].value == 0.0


def test_coverage_by_band_is_the_plain_double_loop_and_kid_of_the_tail_that_of_its_images() -> None:
    labels, drawn = torch.arange(120) % 3, torch.arange(90) % 3
    given = compared(labels, drawn, shift=0.8)
    real, fake = given.real["classifier"].double(), given.fake["classifier"].double()
    inside = torch.cdist(real, fake) < torch.cdist(real, real).sort(1).values[:, 5, None]
    wanted = {
        f"coverage_{name}": inside[labels == band][:, drawn == band].any(1).double().mean().item()
        for band, name in enumerate(BANDS)
    }
    wanted["kid_tail"] = kid.kid(real=given.real["classifier"][labels == 2], fake=given.fake["classifier"][drawn == 2])
    found = coverage_bands.measure(given) | kid_tail.measure(given)
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(wanted)
    assert all(estimate.low < estimate.value < estimate.high for estimate in found.values())


def test_what_cannot_be_said_is_left_empty() -> None:
    labels = torch.arange(150) % 3
    balanced = Comparison(
        real={"classifier": gaussian(150, 1)}, fake={"classifier": gaussian(150, 2)},
        probabilities=one_hot(labels), real_labels=labels,
        real_images=(ramp := torch.arange(256, dtype=torch.uint8).view(4, 1, 8, 8)), fake_images=ramp,
    )  # fmt: skip
    assert coverage_bands.measure(balanced) == kid_tail.measure(balanced) == augmentation.measure(balanced) == {}
    assert set(sharpness.measure(balanced)) == {"sharpness"}
    few = compared(torch.cat([torch.arange(100) % 2, torch.full((19,), 2)]), labels)
    assert {name for name, of in coverage_bands.measure(few).items() if of.kind == REASON} == {"coverage_tail"}
    assert kid_tail.measure(few)["kid_tail"].kind == REASON
    dropped = kid_tail.measure(compared(labels, labels.clamp_max(1)))
    assert dropped["kid_tail"].kind == REASON, "no image of the tail was generated"


def wave(frequency: float, contrast: float = 100.0) -> Tensor:
    """(1, 1, 130, 130): whole periods within the edges."""
    line = torch.cos(frequency * torch.arange(130, dtype=torch.float64))
    return (128 + contrast * line).round().expand(1, 1, 130, 130).to(torch.uint8)


@pytest.mark.parametrize("periods", [4, 16, 32])
def test_sharpness_of_a_wave_in_closed_form(periods: int) -> None:
    frequency = 2 * np.pi * periods / 128
    for image in (wave(frequency), wave(frequency).transpose(2, 3)):
        # levels are rounded: an error of variance up to 1 / 12 against the wave's 5,000, and 20 times that in energy
        truth = (2 - 2 * np.cos(frequency)) ** 2
        assert sharpness.image_sharpness(image).item() == pytest.approx(truth, rel=0.01, abs=20 / 12 / 5000)


def test_sharpness_of_noise_a_constant_and_a_blur() -> None:
    noise = torch.randint(0, 256, (40, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert sharpness.image_sharpness(noise).mean().item() == pytest.approx(20, rel=0.02)
    assert sharpness.image_sharpness(torch.full((2, 1, 8, 8), 7, dtype=torch.uint8)).tolist() == [0, 0]
    faint, strong = (sharpness.image_sharpness(wave(0.5, contrast)).item() for contrast in (30.0, 120.0))
    assert faint == pytest.approx(strong, rel=0.03)
    blurred = torch.nn.functional.avg_pool2d(noise.double(), 3, stride=1, padding=1).round().to(torch.uint8)
    found, same = (
        sharpness.measure(Comparison(real={}, fake={}, real_images=noise, fake_images=fake))["sharpness"]
        for fake in (blurred, noise)
    )
    assert found.high < 0.5
    assert same.value == 1 and same.low < 1 < same.high


def test_gain_counts_what_only_one_classifier_knows() -> None:
    without = torch.tensor([True] * 5 + [False] * 5)
    augmented = torch.tensor([True] * 4 + [False] + [True] * 3 + [False] * 2)
    found = augmentation.gain(without=without, augmented=augmented)
    assert found.value == pytest.approx(0.2)  # three won, one lost, of ten
    # Agresti & Min: half an image in each cell
    centre, n = (3.5 - 1.5) / 12, 12
    error = ((5 - 4 / n) ** 0.5) / n
    assert (found.low, found.high) == pytest.approx((centre - 1.959964 * error, centre + 1.959964 * error))
    alike = augmentation.gain(without=without, augmented=without)
    assert alike.value == 0 and alike.low < 0 < alike.high
    worse = augmentation.gain(without=torch.ones(400).bool(), augmented=torch.arange(400) > 100)
    assert worse.high < 0


# --- the stages -----------------------------------------------------------------------------------------------------

SIZES = {"train": (200, 60, 10), "valid": (60, 40, 40), "test": (60, 40, 40)}


def patterned(sizes: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images (n, 1, 12, 12): a bright row, a bright column, or both; labels in order."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    images = rng.integers(0, 60, (len(labels), 1, 12, 12))
    for image, label, at in zip(images, labels, rng.integers(1, 10, (len(labels), 2)), strict=True):
        if label != 1:
            image[0, at[0]] = 220
        if label != 0:
            image[0, :, at[1]] = 220
    return images.astype(np.uint8), labels.astype(np.int64)


SETTINGS = {"steps": 60, "batch": 32, "learning_rate": 3e-3, "seed": 0}
COUNT = {"count": 1}


STORE = "results/store/d"
PLACES = {
    "train": "prepared/train.arrow", "valid": "prepared/valid.arrow", "test": "prepared/test.arrow",
    "samples": "samples.arrow", "weights": "weights.safetensors",
    "classifier": f"{STORE}/classifier/hash/weights.safetensors",
    "more_classifiers": f"{STORE}/classifier/hash/more.safetensors",
    "features": f"{STORE}/classifier/hash/features.safetensors",
    "report": f"{STORE}/classifier/hash/report.json",
    "augmented": f"{STORE}/augment/m/0/hash/augmented.json",
    "metrics": f"{STORE}/evaluate/m/0/hash/metrics.json",
}  # fmt: skip
"""Where the stages of this file's one job read and write."""


def job_of(stage: str, reads: list[str], block: dict[str, Any]) -> JobContext:
    wildcards = {"dataset": "d"} | ({} if stage == "classifier" else {"model": "m", "seed": 0})
    inputs = {name: Path(PLACES[name]) for name in reads}
    return JobContext(stage, wildcards, {**wildcards, **block}, (), "hash", inputs, Progress(stage), device="cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared imbalanced set with its classifier, and samples of a generator that has seen it all."""
    with contextlib.chdir(folder := tmp_path_factory.mktemp("prepared")):
        prepare(SIZES)
        artifacts.write_images(Path(PLACES["samples"]), patterned((60, 60, 60), 9)[0])
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test's own copy of the prepared set."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(sizes: dict[str, tuple[int, ...]]) -> None:
    """Write the splits and train their reference classifiers."""
    for seed, (split, of_classes) in enumerate(sizes.items()):
        artifacts.write_images(Path(PLACES[split]), *patterned(of_classes, seed))
    classifier.run(job_of("classifier", list(sizes), SETTINGS | COUNT))


READS = ["samples", "train", "test", "classifier"]


def augmented(*further_reads: str, **block: Any) -> dict[str, Any]:
    reads = [*READS, *further_reads]
    augment.run(job_of("augment", reads, {"classifier": SETTINGS, "protocol_seed": 0, **block}))
    found: dict[str, Any] = artifacts.read_json(Path(PLACES["augmented"]))
    return found


def evaluated(samples: np.ndarray, *further_reads: str, **block: Any) -> dict[str, dict[str, Any]]:
    """The estimates of some samples."""
    artifacts.write_images(Path(PLACES["samples"]), samples)
    reads = [*READS, "valid", "more_classifiers", "features", *further_reads]
    settings = {"protocol_seed": 0, "groups": 5, "frechet_images": 8, "pooled": False}
    evaluate.run(job_of("evaluate", reads, settings | block))
    found: dict[str, dict[str, Any]] = artifacts.read_json(Path(PLACES["metrics"]))["estimates"]
    return found


def test_the_classifier_of_imbalanced_data_is_balanced_and_reports_by_band(folder: Path) -> None:
    report = artifacts.read_json(Path(PLACES["report"]))
    assert set(report["accuracy_by_band"]) == {"valid", "test"}
    by_band = [report["accuracy_by_band"]["test"][band] for band in BANDS]
    assert report["accuracy"]["test"] == pytest.approx(np.average(by_band, weights=SIZES["test"]))
    natural = features.train_classifier(*map(torch.from_numpy, patterned(SIZES["train"], 0)), classes=3, **SETTINGS)
    kept = artifacts.read_tensors(Path(PLACES["classifier"]))
    assert not torch.equal(natural.last.weight, kept["last.weight"])


def test_the_classifier_of_balanced_data_is_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(dict.fromkeys(SIZES, (40, 30, 20)))
    natural = features.train_classifier(*map(torch.from_numpy, patterned((40, 30, 20), 0)), classes=3, **SETTINGS)
    kept = artifacts.read_tensors(Path(PLACES["classifier"]))
    assert all(torch.equal(kept[name], value) for name, value in natural.state_dict().items())
    assert "accuracy_by_band" not in artifacts.read_json(Path(PLACES["report"]))
    with pytest.raises(UserError, match=r"datasets\.d\.imbalanced: found true, but the largest class has only 2.0"):
        augmented()


def test_the_tail_is_filled_with_images_that_the_classifier_is_sure_of(folder: Path) -> None:
    found = augmented()
    wanted = int(np.ceil(10 ** (2 / 3) * 200 ** (1 / 3))) - 10
    assert found["generated"] == {"labelled_by": "classifier", "classes": 1, "images": found["generated"]["images"]}
    assert 0 < found["generated"]["images"] <= wanted
    for band, size in zip(BANDS, SIZES["test"], strict=True):
        for name, correct in found["correct_by_band"][band].items():
            assert len(correct) == size
            assert np.mean(correct) == pytest.approx(found["accuracy_by_band"][name][band])


def test_without_a_generated_image_the_two_classifiers_are_one(folder: Path) -> None:
    artifacts.write_images(Path(PLACES["samples"]), patterned((60, 0, 0), 9)[0])
    found = augmented()
    assert found["generated"]["images"] == 0
    assert all(of["without"] == of["augmented"] for of in found["correct_by_band"].values())
    assert evaluate.correct_by_band(Path(PLACES["augmented"])) is None
    images, labels = map(torch.from_numpy, patterned(SIZES["train"], 0))
    again = fit(Progress("augment"), images, labels, 3, balanced=True, settings=SETTINGS)
    kept = artifacts.read_tensors(Path(PLACES["classifier"]))
    assert all(torch.equal(kept[name], value) for name, value in again.state_dict().items())


def test_a_conditional_model_is_asked_for_the_rare_classes(folder: Path) -> None:
    name = next(name for name in CONDITIONAL if block_of(name)["class"] == "vae")
    model = small(name, shape=(1, 12, 12))
    artifacts.write_tensors(Path(PLACES["weights"]), model.state_dict())
    network = {"class": "vae", "arguments": small_arguments(name), "shape": [1, 12, 12], "classes": CLASSES}
    found = augmented("weights", **network)
    assert found["generated"] == {"images": 18, "classes": 1, "labelled_by": "request"}


def test_the_gain_and_the_bands_reach_the_model_s_metrics(folder: Path) -> None:
    augmented()
    estimates = evaluated(patterned((33, 33, 34), 9)[0], "augmented", n=100, augmented=True)
    wanted = {"class_tv", "coverage_head", "coverage_tail", "kid_tail", "sharpness", "sharpness_tail"}
    assert wanted | {f"{band}_accuracy_gain" for band in BANDS} <= set(estimates)
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in estimates.values())


def test_a_copy_is_seen_whichever_training_image_it_is_of(folder: Path) -> None:
    """Also where far fewer images are held out than were trained on."""
    training = artifacts.read_images(Path(PLACES["train"]))[0]
    assert evaluated(training[::2], n=30)["copying"]["value"] == 1


# --- the plan -------------------------------------------------------------------------------------------------------


def test_only_imbalanced_data_has_jobs_of_augmentation() -> None:
    plain = plan_of("budget=smoke")
    assert all(job.stage != "augment" for job in plain.job("evaluate", "mnist", "vae", 0).parents)
    with pytest.raises(UserError, match="mnist is not imbalanced"):
        plain.job("augment", "mnist", "vae", 0)
    plan = plan_of("budget=smoke", "datasets.mnist.imbalanced=true", "models.vae.conditional=true")
    assert plan.job("evaluate", "mnist", "vae", 0).parents[-1] == plan.job("augment", "mnist", "vae", 0)
    for model, weights in (("vae", ["train"]), ("dcgan", [])):
        stages = [job.stage for job in plan.job("augment", "mnist", model, 0).parents]
        assert stages == ["sample", "prepare", "classifier", *weights]
    for job in (("prepare", "mnist"), ("train", "mnist", "dcgan", 0)):
        assert plan.job(*job).hash == plain.job(*job).hash


def test_the_overlay_s_blocks_are_the_product_s_but_for_sampler_and_classes() -> None:
    """So that its rows differ in what they compare alone."""
    overlay = yaml.safe_load((ROOT / "docs" / "overlays" / "telugu_samplers.yaml").read_text())
    config = yaml.safe_load((ROOT / "params.yaml").read_text())
    config["models"] |= overlay["models"]
    data = config["datasets"]["telugu_print"] | overlay["datasets"]["telugu_print"]
    plan = Plan(params.check(config | {"datasets": {"telugu_print": data}, "dvc_tracked": []}))
    for name in plan.models("telugu_print"):
        of = "draw_gan" if name.startswith("draw_gan") else "draw"
        block, base = (plan.model(each, "telugu_print") for each in (name, of))
        words = name.removeprefix("draw").removeprefix("_gan").split("_")
        sampler = next((word for word in words if word in ("balanced", "tempered")), "natural")
        assert block["training"] == base["training"] | {"sampler": sampler}
        assert block["arguments"] == base["arguments"] | {"conditional": "conditional" in words}
    tables = plan.job("tables", "telugu_print")
    assert tables.config["published"] == "draw_gan_table2_ocr_telugu"
    assert {job.parents[-1].stage for job in tables.parents if job.stage == "evaluate"} == {"augment"}


def test_imbalanced_data_without_classes_is_refused() -> None:
    with pytest.raises(UserError, match=r"datasets\.mnist\.imbalanced: found true, but it has no `classes`"):
        params.load(["datasets.mnist.imbalanced=true", "datasets.mnist.classes=null"], ROOT / "params.yaml")


def test_the_script_of_the_docs_writes_a_long_tail_and_keeps_test_images_apart(tmp_path: Path) -> None:
    images = np.arange(3 * 240, dtype=np.uint8).reshape(-1, 1, 1).repeat(2, 1)
    images[:, 1] = np.arange(3 * 240).reshape(-1, 1) // 256  # no two are equal
    np.savez(tmp_path / "a.npz", images=images, labels=np.repeat([0, 4, 9], 240))
    words = [sys.executable, str(ROOT / "docs/data-sets/long_tail.py"), "a.npz", "made"]
    subprocess.run(words, cwd=tmp_path, check=True)
    names = {split: list((tmp_path / "made" / split).rglob("*.png")) for split in ("train", "test")}
    assert sorted(Counter(path.parent.name for path in names["train"]).values()) == [8, 40, 200]
    assert Counter(path.parent.name for path in names["test"]) == {"000": 35, "004": 35, "009": 35}
    pixels = [Image.open(path).tobytes() for paths in names.values() for path in paths]
    assert len(set(pixels)) == 8 + 40 + 200 + 3 * 35
