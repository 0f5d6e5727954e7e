"""docs/rare-classes.md as a person walks it: a folder of images, one file, two commands, and `prune` after it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import BIN, run

SIZES = {"common": 160, "often": 60, "seldom": 12, "rare/ish": 9}
TARGETS = ("results/summary/glyphs.txt", "results/tables/glyphs.csv")
OWN = """
budget: tiny
datasets:
  glyphs:
    reader: images
    path: scans
    shape: [1, 16, 16]
    resize: true
    crop: square
    classes: 4
    imbalanced: true
    test: 40
    models: [vae]
    settings:
      vae: {conditional: true, sampler: balanced}
"""


def scans(folder: Path) -> None:
    """Grey pictures of several sizes in class folders: a bright bar at a place of its class, with noise."""
    draw = np.random.default_rng(0)
    for label, (name, size) in enumerate(SIZES.items()):
        place = folder / name.replace("/", "-")
        place.mkdir(parents=True)
        for k in range(size):
            side = int(draw.integers(18, 30))
            pixels = draw.integers(0, 60, (side, side + 4), dtype=np.uint8)
            pixels[:, label * side // 4 : (label + 1) * side // 4] += 150
            Image.fromarray(pixels).save(place / f"{k}.png")


@pytest.mark.workflow
def test_a_folder_of_images_gives_labelled_images_of_its_rare_classes(clone: Callable[[str], Path]) -> None:
    project = clone("journey")
    scans(project / "scans")
    (project / "own.yaml").write_text(OWN)
    done = run([str(BIN / "snakemake"), "--cores", "2", "--", *TARGETS], project)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = done.stdout + done.stderr
    assert "tail: 2 classes; images to train, validate and test:" in said
    assert "data: grey, by what the images hold" in said
    summary = (project / "results/summary/glyphs.txt").read_text()
    assert summary.splitlines()[2].startswith("Rare classes: 2 of 4")
    assert (project / "results/tables/glyphs.md").read_text().startswith("Rare classes: 2 of 4")
    rows = list(csv.DictReader((project / "results/tables/glyphs.csv").read_text().splitlines()))
    assert float(rows[0]["class_accuracy"]) >= 0 and rows[0]["elbo"] == ""
    easel = [str(BIN / "python"), "-m", "pipeline"]
    words = ["--dataset", "glyphs", "--model", "vae", "--classes", "train<15", "--n", "7", "--to", "more"]
    done = run([*easel, "generate", *words], project)
    assert done.returncode == 0, done.stderr
    with (project / "more/manifest.csv").open() as handle:
        listed = list(csv.DictReader(handle))
    assert [row["class"] for row in listed] == ["rare-ish"] * 7 + ["seldom"] * 7
    for row in listed:
        with Image.open(project / "more" / row["file"]) as image:
            assert (image.mode, image.size) == ("L", (16, 16))
    augmented = run([*easel, "generate", *words[:4], "--augment", "--to", "added"], project)
    assert augmented.returncode == 0 and len(list((project / "added").rglob("*.png"))) > 0
    check_prune(project, easel)


def check_prune(project: Path, easel: list[str]) -> None:
    """With own.yaml nothing is left over; without it the results are named as unknown, and kept."""
    done = run([*easel, "prune", "--dry-run"], project)
    assert done.returncode == 0 and "nothing to prune" in done.stdout, done.stdout + done.stderr
    before = {path for path in (project / "results/store/glyphs").rglob("*") if path.is_file()}
    shutil.move(project / "own.yaml", project / "elsewhere.yaml")
    done = run([*easel, "prune", "--yes", "--set", "budget=tiny"], project)
    assert done.returncode == 0 and "dataset glyphs" in done.stdout and "kept:" in done.stdout, done.stdout
    assert {path for path in (project / "results/store/glyphs").rglob("*") if path.is_file()} == before
    done = run([*easel, "status", "--configfile", "elsewhere.yaml"], project)
    assert done.stdout.startswith("glyphs: all 14 jobs are done"), done.stdout
