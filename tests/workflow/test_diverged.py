"""A training whose loss stops being a number: its row says so, everything else is made as if nothing had happened."""

from __future__ import annotations

import json
import math
from pathlib import Path

from pipeline.tables.text import from_csv
from tests.conftest import EVERYTHING, TABLE, snakemake

RATE = ("models={vae: {learning_rate: 1e10}}",)
"""Adam's first step then moves every weight by 1e10: the next loss is no number, as in a real divergence."""

WEIGHTS = "results/store/mnist/train/{}/0/*/weights.safetensors"


def lines_of(folder: Path) -> dict[str, str]:
    return {line.split(",")[0]: line for line in (folder / TABLE).read_text().splitlines()}


def test_a_model_that_diverges_is_marked_and_the_rest_is_made(copied: Path, mnist_mirror: Path) -> None:
    before = lines_of(copied)
    others_weights = {path: path.read_bytes() for path in copied.glob(WEIGHTS.format("*"))}
    done = snakemake(copied, mnist_mirror, TABLE, EVERYTHING, config=RATE)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not list(copied.glob(WEIGHTS.format("dcgan"))), "the tiny table has no dcgan"
    told = [line for line in said.splitlines() if "diverged: " in line and "last good weights are kept" in line]
    assert len(told) == 1
    (weights,) = set(copied.glob(WEIGHTS.format("vae"))) - set(others_weights)
    report = json.loads((weights.parent / "training.json").read_text())
    assert report["status"] == "diverged" and report["diverged_at"] >= 1
    (row,) = (row for row in from_csv((copied / TABLE).read_text()) if row["model"] == "vae")
    assert row["status"] == "diverged"
    assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    assert isinstance(row["fd_classifier"], float)
    after = lines_of(copied)
    assert set(after) == set(before) and after["vae"] != before["vae"]
    assert before | {"vae": after["vae"]} == after
    assert {path: path.read_bytes() for path in others_weights} == others_weights
    assert "diverged" in (copied / EVERYTHING).read_text(), "the page that ends the run says so"
    again = snakemake(copied, mnist_mirror, TABLE, EVERYTHING, config=RATE)
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stdout + again.stderr
