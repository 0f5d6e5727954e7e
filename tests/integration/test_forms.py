"""Forms of a data set, a person's own path, and settings of models that only one data set has."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.errors import UserError
from pipeline.workflow.params import check
from pipeline.workflow.plan import Plan
from tests.conftest import ROOT

CONFIG = yaml.safe_load((ROOT / "params.yaml").read_text())


def config(**datasets: Any) -> dict[str, Any]:
    whole = copy.deepcopy(CONFIG)
    whole["datasets"] |= datasets
    return whole


OWN = {"reader": "images", "path": "$SHIRTS", "shape": [3, 64, 64], "models": ["vae", "gran3"]}
"""A path and three lines."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("DATA_MIRROR", "DATA_RAW"):
        monkeypatch.delenv(variable, raising=False)


def test_a_path_and_three_lines_are_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIRTS", str(tmp_path / "shirts"))
    before = Plan(check(config(shirts=OWN))).job("prepare", "shirts")
    (tmp_path / "shirts").mkdir()
    (tmp_path / "shirts/a.png").write_bytes(b"1")
    after = Plan(check(config(shirts=OWN))).job("prepare", "shirts")
    assert after.runtime_only["path"] == str(tmp_path / "shirts")
    assert before.hash != after.hash, "the contents are part of the hash"
    (tmp_path / "shirts").rename(tmp_path / "skirts")
    moved = Plan(check(config(shirts=OWN | {"path": str(tmp_path / "skirts")}))).job("prepare", "shirts")
    assert moved.hash == after.hash, "where it lies is not"


def test_what_a_mirror_holds_decides_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Plan(check(CONFIG)).form("cifar10").reader == "cifar", "the one with an address"
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror/cifar10").mkdir(parents=True)
    (tmp_path / "mirror/cifar10/train.parquet").touch()
    assert Plan(check(CONFIG)).form("cifar10").reader == "cifar", "half a form is none"
    (tmp_path / "mirror/cifar10/test.parquet.gz").touch()
    assert Plan(check(CONFIG)).form("cifar10").reader == "parquet"
    (tmp_path / "data/raw/cifar10").mkdir(parents=True)
    for name in CONFIG["datasets"]["cifar10"]["files"]:
        (tmp_path / "data/raw/cifar10" / name).touch()
    assert Plan(check(CONFIG)).form("cifar10").reader == "cifar", "what was fetched comes first"


def test_files_that_everyone_has_another_of_are_known_by_content(tmp_path: Path) -> None:
    assert Plan(check(CONFIG)).job("fetch", "skyline").config["files"] == {"timelapse.mp4": "absent"}
    (tmp_path / "data/raw/skyline").mkdir(parents=True)
    (tmp_path / "data/raw/skyline/timelapse.mp4").write_bytes(b"film")
    found = Plan(check(CONFIG)).job("fetch", "skyline").config["files"]["timelapse.mp4"]
    assert found == hashlib.sha256(b"film").hexdigest()


def test_a_data_set_without_labels_has_no_conditional_models_and_no_sampler() -> None:
    whole = config()
    whole["models"]["draw"] |= {"conditional": True, "sampler": "balanced"}
    plan = Plan(check(whole))
    celeba, mnist = (plan.model("draw", dataset) for dataset in ("celeba", "mnist"))
    assert not celeba["arguments"]["conditional"] and celeba["training"]["sampler"] == "natural"
    assert mnist["arguments"]["conditional"] and mnist["training"]["sampler"] == "balanced"


def test_a_data_sets_settings_are_put_over_the_models_own() -> None:
    whole = config()
    whole["budget"] = "smoke"
    plan = Plan(check(whole))
    assert plan.model("vae", "mnist")["training"]["data"] == "binarised"
    assert plan.model("vae", "cifar10")["training"]["data"] == "grey" and not plan.has_elbo("vae", "cifar10")
    warm = plan.model("draw_gan", "cifar10")
    assert warm["arguments"]["warmup"] == 10 and warm["arguments"]["gamma"] == 10.0
    assert plan.job("train", "mnist", "vae", 0).hash == Plan(check(whole)).job("train", "mnist", "vae", 0).hash


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"files": {}}, "files: found beside `path`; say `files: null` to read the path; expected file names"),
        ({"path": None}, "files: missing; expected file names with their SHA-256 (or any), or a `path`"),
        ({"reader": "image"}, "reader: no file pipeline/datasets/image.py; did you mean 'images'?"),
        ({"options": {"lables": "none"}}, "options.lables: unknown key; did you mean 'labels'?"),
        ({"crop": "circle"}, "crop: found 'circle', expected square, a side, or [height, width]"),
        ({"valid": 1.5}, "valid: found 1.5, expected a whole number of images, at least 1"),
        ({"test": 0}, "test: found 0, expected a whole number of images, at least 1, or a share"),
        ({"alternatives": [{"reader": "images", "paths": "x"}]}, "alternatives.0.paths: unknown key"),
        ({"settings": {"vea": {}}}, "settings: unknown model 'vea'; did you mean"),
        ({"settings": {"vae": {"class": "gan"}}}, "settings.vae.class: what a model is does not"),
        (
            {"settings": {"vae": {"hiden": 3}}},
            "params.yaml: models.vae.hiden: unknown key; did you mean 'hidden'? (with",
        ),
        ({"value_range": "0 to 1"}, "value_range: found '0 to 1', expected two numbers"),
        ({"value_range": [1]}, "value_range: found [1], expected two numbers"),
        ({"value_range": [0, True]}, "value_range: found [0, True], expected two numbers"),
        ({"value_range": [1, 0]}, "value_range: found [1, 0], expected two numbers"),
        ({"shape": [2, 16, 16]}, "shape: found [2, 16, 16], expected channels first, 1 or 3 of them"),
        ({"shape": [16, 16, 3]}, "shape: found [16, 16, 3], expected channels first, 1 or 3 of them"),
        ({"shape": [16, 16, 3]}, "did you mean [3, 16, 16]?"),
        ({"options": {"labels": 3}}, "options.labels: found 3, expected a valid string"),
        ({"options": {"face": "yes"}}, "options.face: found 'yes', expected a valid boolean"),
        ({"options": {"train_files": {"a": 1}}}, "options.train_files: found {'a': 1}, expected a val"),
    ],
)
def test_a_mistake_is_one_line(block: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        check(config(shirts=OWN | block))
    place = "" if expected.startswith(("params.yaml", "did you")) else "datasets.shirts."
    assert f"{place}{expected}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_name_is_lower_case_and_files_and_a_path_exclude_each_other() -> None:
    with pytest.raises(UserError, match=r"datasets\.my-shirts: .*lower-case letters, digits and _.*my_shirts"):
        check(config(**{"my-shirts": OWN}))
    with pytest.raises(UserError, match=r"datasets\.mnist\.files: found beside `path`.*`files: null`"):
        check(config(mnist=CONFIG["datasets"]["mnist"] | {"path": "x"}))
    assert check(config(shirts=OWN | {"value_range": [0, 1]})).datasets["shirts"].value_range == (0, 1)
