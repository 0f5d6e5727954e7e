"""Which images rows are compared with, and the rows that no model makes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core import artifacts
from pipeline.features.classifier import DomainClassifier, extract
from pipeline.features.fitting import load_more
from pipeline.features.held_out import compared_and_real
from pipeline.stages import classifier, evaluate, references
from pipeline.tables import notes_markdown
from tests.made_up_mnist import digits

SIZES = {"train": 120, "valid": 40, "test": 40}


def stage_inputs(folder: Path, sizes: dict[str, int] = SIZES, classifiers: int = 1) -> dict[str, Path]:
    """Prepared splits of small digits, an untrained classifier and its features, as files."""
    torch.manual_seed(0)
    images = {name: digits(n, seed) for seed, (name, n) in enumerate(sizes.items())}
    inputs = {name: folder / f"{name}.arrow" for name in images} | {
        "classifier": folder / "c",
        "features": folder / "f",
    }
    for name, (pixels, labels) in images.items():
        artifacts.write_images(inputs[name], pixels[:, None], labels.astype(np.int64))
    models = [DomainClassifier((1, 28, 28), 10).eval() for _ in range(classifiers)]
    shape = {"classes_and_shape": "10 1 28 28"}
    artifacts.write_tensors(inputs["classifier"], models[0].state_dict(), shape)
    more = {f"{k}.{key}": tensor for k, model in enumerate(models[1:], 1) for key, tensor in model.state_dict().items()}
    inputs["more_classifiers"] = folder / "more"
    artifacts.write_tensors(inputs["more_classifiers"], more, shape)
    features = {
        f"{name}{f'.{number}' if number else ''}": extract(model, torch.from_numpy(pixels[:, None]))[0]
        for name, (pixels, _) in images.items()
        for number, model in enumerate(models)
    }
    artifacts.write_tensors(inputs["features"], features)
    return inputs


def test_the_row_real_has_as_many_images_as_every_row_and_none_of_those_compared_with(tmp_path: Path) -> None:
    for sizes, n, pooled, expected in (
        ({"valid": 40, "test": 40}, 30, False, 30),  # validation against test
        ({"valid": 40, "test": 25}, 30, False, 25),
        ({"valid": 12, "test": 40}, 40, False, 26),  # too few to validate: both in one, parted
        ({"valid": 40, "test": 40}, 30, True, 30),
        ({"valid": 40, "test": 40}, 60, True, 40),
    ):
        folder = tmp_path / f"{sizes['valid']}_{sizes['test']}_{n}_{pooled}"
        folder.mkdir()
        inputs = stage_inputs(folder, {"train": 20, **sizes})
        features = artifacts.read_tensors(inputs["features"])
        compared, real = compared_and_real(inputs, features, n=n, seed=3, pooled=pooled)
        assert len(compared) == len(real) == expected
        seen = [{image.numpy().tobytes() for image in side.images} for side in (compared, real)]
        assert len(seen[0] | seen[1]) == 2 * expected
        test = {image.tobytes() for image in artifacts.read_images(inputs["test"])[0]}
        assert (seen[0] <= test) == ((not pooled and sizes["valid"] >= sizes["test"]) or expected == 25)
        again, _ = compared_and_real(inputs, features, n=n, seed=3, pooled=pooled)
        assert torch.equal(again.images, compared.images)
        rows = [[torch.equal(image, other) for other in compared.images].index(True) for image in compared.images]
        assert rows == list(range(expected)), "no image twice"
        known = {image.tobytes(): row for split in ("valid", "test") for image, row in zip(
            artifacts.read_images(inputs[split])[0], features[split], strict=True)}  # fmt: skip
        for image, row in zip(compared.images, compared.features["classifier"], strict=True):
            assert torch.equal(known[image.numpy().tobytes()], row)


def test_a_search_sees_the_validation_split_alone(tmp_path: Path) -> None:
    inputs = stage_inputs(tmp_path)
    features = artifacts.read_tensors(inputs["features"])
    searched = inputs | {"test": inputs["valid"]}
    compared, real = compared_and_real(searched, features, n=30, seed=0, pooled=True)
    valid = {image.tobytes() for image in artifacts.read_images(inputs["valid"])[0]}
    assert {image.numpy().tobytes() for image in compared.images} <= valid
    assert not len(real)


def test_reference_rows_show_the_faults_that_they_have() -> None:
    draw = np.random.default_rng(0)
    train = np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1)
    given = references.Given(train, np.arange(60) % 6, 100 + train[:40], n=20)
    made = {name: make(given, draw) for name, make in references.MAKERS.items()}
    assert {name: len(images) for name, images in made.items()} == dict.fromkeys(made, 20) | {
        "real": 40, "other_fonts": 40}  # fmt: skip
    assert len(set(made["copies"].flat)) == 20
    assert set(made["copies"].flat) <= set(train.flat)
    assert len(set(made["duplicates"].flat)) == 20 // references.REPEATED
    assert set(made["duplicates"].flat) <= set(given.real.flat)
    assert set(made["half_the_classes"].flat) <= {value for value in range(60) if value % 6 < 3}


class Job:
    """What a stage is given, without a workflow."""

    def __init__(self, inputs: dict[str, Path], config: dict[str, Any], folder: Path, *outputs: str) -> None:
        self.inputs, self.config = inputs, config
        self.outputs = {name: folder / f"made_{name}" for name in outputs}
        self.wildcards, self.device = {"dataset": "digits"}, "cpu"
        self.progress = SimpleNamespace(say=str, note=str, step=lambda *_, **__: None)
        self.write_json, self.write_tensors = artifacts.write_json, artifacts.write_tensors


def test_the_references_stage_measures_each_row_that_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "use_device", lambda job: "cpu")
    inputs = stage_inputs(tmp_path, classifiers=2)
    rows = ["real", "mean_image", "copies", "half_the_classes", "other_fonts"]
    config = {"n": 40, "protocol_seed": 0, "groups": 3, "frechet_images": 8, "pooled": True, "rows": rows}
    job: Any = Job(inputs, config, tmp_path, "metrics", "baselines")
    references.run(job)
    measured = json.loads(job.outputs["metrics"].read_text())
    assert list(measured) == rows
    values = {name: {k: v["value"] for k, v in found["estimates"].items()} for name, found in measured.items()}
    assert {found["protocol"]["n_fake"] for found in measured.values()} == {40}
    assert values["copies"]["copying"] > 0.95 > values["real"]["copying"]
    assert values["copies"]["authenticity"] == 0
    copying = {"copying", "authenticity", "fld", "fld_gap", "knn_train_error"}
    assert not copying & values["half_the_classes"].keys()
    assert copying <= values["real"].keys()
    assert "class_accuracy" in values["real"]
    each = measured["copies"]["estimates"]["fd_classifier"]["each"]
    assert len(each) == 2
    assert values["copies"]["fd_classifier"] == pytest.approx((each[0] * each[1]) ** 0.5)


def test_other_fonts_has_a_reason_where_the_validation_split_is_too_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With test images to make up the number, the row would compare the test split's fonts with themselves."""
    monkeypatch.setattr(references, "use_device", lambda job: "cpu")
    inputs = stage_inputs(tmp_path, SIZES | {"valid": 30})
    config = {"n": 40, "protocol_seed": 0, "groups": 3, "frechet_images": 8, "pooled": True, "rows": ["other_fonts"]}
    job: Any = Job(inputs, config, tmp_path, "metrics", "baselines")
    references.run(job)
    (row,) = json.loads(job.outputs["metrics"].read_text()).values()
    assert not row["estimates"]
    notes = notes_markdown({"other_fonts": row["undefined"]})
    assert notes == (
        "- Empty, the validation split has 30 images, but the comparison needs 40: `every column` of other_fonts\n"
    )


def test_the_first_of_several_classifiers_is_that_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "use_device", lambda job: "cpu")
    inputs = stage_inputs(tmp_path)
    outputs = ("classifier", "more_classifiers", "features", "report")
    settings = {"steps": 3, "batch": 16, "learning_rate": 3e-3, "seed": 5}
    made = {}
    for count, seed in ((1, 5), (3, 5), (1, 7)):
        folder = tmp_path / f"{count}_{seed}"
        folder.mkdir()
        job: Any = Job(inputs, settings | {"count": count, "seed": seed}, folder, *outputs)
        classifier.run(job)
        made[count, seed] = job.outputs
    one, three, last = made.values()
    assert one["classifier"].read_bytes() == three["classifier"].read_bytes()
    assert not load_more(one["more_classifiers"])
    more, images = load_more(three["more_classifiers"]), artifacts.read_images(inputs["valid"])[0]
    assert list(more) == ["1", "2"]
    features = [artifacts.read_tensors(files["features"]) for files in (one, three, last)]
    assert features[1].keys() == features[0].keys() | {"valid.1", "valid.2", "test.1", "test.2"}
    assert all(torch.equal(features[0][split], features[1][split]) for split in ("train", "valid", "test"))
    assert torch.equal(features[1]["valid.2"], features[2]["valid"]), "each is trained by a seed of its own"
    torch.testing.assert_close(extract(more["2"], torch.from_numpy(images.copy()))[0], features[1]["valid.2"])


def test_an_evaluation_compares_as_many_samples_as_there_are_held_out_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "use_device", lambda job: "cpu")
    inputs = stage_inputs(tmp_path, {"train": 60, "valid": 10, "test": 30}, classifiers=3)
    inputs["samples"] = tmp_path / "samples.arrow"
    pixels, labels = digits(50, seed=7)
    artifacts.write_images(inputs["samples"], pixels[:, None], labels.astype(np.int64))
    job: Any = Job(
        inputs, {"n": 50, "protocol_seed": 0, "groups": 3, "frechet_images": 8, "pooled": False}, tmp_path, "metrics"
    )
    evaluate.run(job)
    content = json.loads(job.outputs["metrics"].read_text())
    assert (content["protocol"]["n_real"], content["protocol"]["n_fake"]) == (20, 20)
    assert list(content["protocol"]["spaces"]) == ["pixels", "classifier", "classifier.1", "classifier.2"]
    found = content["estimates"]
    for column in ("fd_classifier", "kid_classifier", "coverage"):
        assert len(found[column]["each"]) == 3
        assert found[f"{column}_min"]["value"] == min(found[column]["each"])
        assert found[f"{column}_max"]["value"] == max(found[column]["each"])
    assert "class_accuracy" in found


def test_an_evaluation_with_the_baselines_of_the_references_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What depends on real images alone is computed once for the data set, and not again for each model."""
    for stage in (evaluate, references):
        monkeypatch.setattr(stage, "use_device", lambda job: "cpu")
    inputs = stage_inputs(tmp_path, classifiers=2)
    pixels, labels = digits(40, seed=7)
    artifacts.write_images(tmp_path / "samples.arrow", pixels[:, None], labels.astype(np.int64))
    config = {"n": 40, "protocol_seed": 0, "groups": 3, "frechet_images": 8, "pooled": False}
    rows: Any = Job(inputs, config | {"rows": ["real", "noise"]}, tmp_path, "metrics", "baselines")
    references.run(rows)
    found = artifacts.read_tensors(rows.outputs["baselines"])
    once = ["kernel in pixels", "distances in pixels", "copying", "fld"]
    once += [f"{name} in {space}" for name in ("kernel", "balls") for space in ("classifier", "classifier.1")]
    assert found.keys() == {f"{name}, 3 groups" for name in once}
    inputs["samples"] = tmp_path / "samples.arrow"
    alone: Any = Job(inputs, config, tmp_path, "metrics")
    evaluate.run(alone)
    expected = alone.outputs["metrics"].read_bytes()
    assert {"fld", "kid_classifier", "coverage", "copying", "mmd_rbf", "diversity"} <= json.loads(expected)[
        "estimates"
    ].keys()

    def computed_again(*_: Any, **__: Any) -> None:
        raise AssertionError("the baseline of FLD was computed again")

    monkeypatch.setattr("pipeline.metrics.fld.baseline", computed_again)
    with_baselines: Any = Job(inputs | {"baselines": rows.outputs["baselines"]}, config, tmp_path, "metrics")
    evaluate.run(with_baselines)
    assert with_baselines.outputs["metrics"].read_bytes() == expected
