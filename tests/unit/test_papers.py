"""`budget=paper` is what the papers state: the resolved configuration against docs/papers/settings.csv."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from pipeline.core.errors import UserError
from pipeline.training.length import total_steps
from pipeline.workflow import params
from pipeline.workflow.params import Dataset, Params
from tests.conftest import ROOT

CONFIG = ROOT / "params.yaml"
FILE = ROOT / "docs" / "papers" / "settings.csv"
ROWS = list(csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()))
EXPECTED = [row for row in ROWS if row["here"] or row["value"] != "open"]
"""Rows that state a value: the paper's, or this project's where the paper leaves it open."""


@pytest.fixture(scope="module")
def paper() -> Params:
    return params.load(["budget=paper"], CONFIG)


def resolved(paper: Params, row: dict[str, str]) -> Any:
    """The value of a row's setting in the data set's table."""
    dataset: Dataset = paper.datasets[row["data set"]]
    if row["setting"] == "held out":
        return int(dataset.valid) + int(dataset.test)
    if row["setting"] in Dataset.model_fields:
        return getattr(dataset, row["setting"])
    block = paper.model_for(row["data set"], row["model"])
    return {**block["training"], **block["arguments"]}.get(row["setting"])


def typed(text: str) -> Any:
    """What a cell means: numbers, true or false, or words; several stand apart by spaces."""
    words = [{"true": True, "false": False}.get(word, word) for word in text.split()]
    values = [float(word) if isinstance(word, str) and word.replace(".", "").isdigit() else word for word in words]
    return values[0] if len(values) == 1 else values


def test_every_setting_is_the_papers(paper: Params) -> None:
    for row in EXPECTED:
        expected = row["here"] if row["value"] == "open" else row["value"]
        value = resolved(paper, row)
        value = list(value) if isinstance(value, list | tuple) else value
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        assert value == typed(expected), row


def test_the_papers_models_are_in_the_data_sets_table_and_a_stated_setting_has_a_source(paper: Params) -> None:
    assert not [row for row in ROWS if row["model"] not in paper.models_of(row["data set"])]
    assert not [row for row in ROWS if row["value"] != "open" and not row["source"]]


def test_epochs_become_whole_batches_and_take_the_place_of_steps() -> None:
    assert total_steps({"batch": 100, "epochs": 250.0}, 1450) == 250 * 14
    assert total_steps({"batch": 100, "epochs": 0.5}, 100) == 1
    changed = params.load(["budget=tiny", "models.vae.epochs=3"], CONFIG)
    training = changed.resolved_models["vae"]["training"]
    assert training["epochs"] == 3 and "steps" not in training


def test_every_model_of_the_matched_table_sees_the_same_number_of_images() -> None:
    matched = params.load([], CONFIG, more=[ROOT / "docs" / "overlays" / "mnist_matched_images.yaml"])
    training = [matched.model_for("mnist", model)["training"] for model in matched.models_of("mnist")]
    assert [block["steps"] * block["batch"] for block in training] == [256_000] * 9


def test_a_warm_up_as_long_as_the_training_is_refused() -> None:
    with pytest.raises(UserError, match=r"models\.draw_gan\.warmup: found 4, expected less than the 4 steps"):
        params.load(["budget=tiny", "models.draw_gan.tiny.warmup=4"], CONFIG)


def test_a_block_for_a_budget_is_checked_at_every_budget() -> None:
    assert params.load(["budget=laptop"], CONFIG).datasets["flowers102"].shape == (3, 64, 64)
    message = r"datasets\.flowers102\.shpe: unknown key; did you mean 'shape'\? \(at budget paper\)"
    with pytest.raises(UserError, match=message):
        params.load(["budget=laptop", "datasets.flowers102.paper.shpe=1"], CONFIG)
