"""When do generated images help a classifier of rare classes? The study of docs/rare-classes.md.

`python -m bench.rare --to DIR --fonts data/raw/telugu_print [--other-fonts DIR]`. Every step leaves files in DIR and
every trained classifier a line in DIR/cells.jsonl; the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from bench import rare_data, rare_table
from bench.rare_arms import BATCH, STEPS, Recipe, train
from pipeline import cli
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.datasets import telugu_print
from pipeline.features.classifier import correct
from pipeline.metrics.bands import HEAD, MIDDLE, TAIL, bands_of
from pipeline.runtime.machine import cpu_model
from pipeline.runtime.progress import Progress
from pipeline.workflow import params
from pipeline.workflow.job_hash import ROOT

DATASET, MODEL = "telugu_scan", "draw_gan"
RENDERED = {"valid": 20, "test": 20, "fonts": 20, "real": 100}
"""Images of each rare class in the sets that are rendered for the study, and the seeds of their generators."""
SEEDS = {"train": 11, "valid": 12, "test": 13, "fonts": 14, "real": 15}
GENERATED = 100
"""Kept images of each rare class."""
MIN_CONFIDENCE, DRAWS = 0.5, 1000
TUNING_SEED, TRAININGS = 100, 5

RATES = tuple(Recipe(learning_rate=rate) for rate in (3e-3, 6e-3, 1.2e-2))
"""Three settings of the plain classifier; its best rate is everybody's. Each other arm has three settings too."""
REMEDIES: dict[str, list[dict[str, Any]]] = {
    "re-weighting": [{"reweight": power} for power in (0.25, 0.5, 1.0)],
    "balanced sampling": [{"power": power} for power in (0.0, 0.25, 0.5)],
    "logit adjustment": [{"tau": tau} for tau in (0.5, 1.0, 1.5)],
    "augmentation": [{"augment": 0.5, "power": 0.0}, {"augment": 1.0, "power": 0.0}, {"augment": 0.5, "tau": 1.0}],
}
EXTRAS: list[dict[str, Any]] = [
    {"each": 25, "extra_weight": 0.3},
    {"each": 25, "extra_weight": 1.0},
    {"each": GENERATED, "extra_weight": 0.3},
]
WITH_EXTRAS = {"generated": "best + generated", "real": "best + real"}

Sets = dict[str, tuple[Tensor, Tensor]]
"""Images uint8 and labels of `train`, `held_out` and the rendered sets."""


# --- data -------------------------------------------------------------------------------------------------------------


def make_data(folder: Path, fonts: Path, others: Path | None) -> None:
    """The degraded data set for the workflow (scan.npz), and the sets of rare classes (rare.npz)."""
    block = params.load(file=ROOT / "params.yaml").datasets["telugu_print"]
    options: dict[str, Any] = {**block.options, "valid": block.valid, "test": block.test}
    if missing := [file for file in options["fonts"] if not (fonts / file).is_file()]:
        raise UserError(
            f"--fonts: {fonts} has no {missing[0]}; `python -m pipeline fetch --dataset telugu_print` gets it"
        )
    plan = telugu_print.page(options)
    images = rare_data.degrade(telugu_print.render(plan, fonts), SEEDS["train"])
    arrays: dict[str, Any] = {}
    for split, name in enumerate(("train", "valid", "test")):
        chosen = np.flatnonzero(plan.splits == split)
        arrays |= {f"x_{name}": images[chosen], f"y_{name}": plan.labels[chosen]}
    rare = rare_classes(torch.from_numpy(arrays["y_train"])).numpy()
    sources = {
        name: (fonts, rare_data.instances_of(options, split))
        for name, split in (("valid", 1), ("test", 2), ("real", 0))
    }
    if others:
        families = rare_data.other_families(others, rare, list(options["fonts"]))
        if not families:
            raise UserError(
                f"--other-fonts: {others} has no .ttf file of another family with glyphs for all rare classes"
            )
        sources["fonts"] = (others, families)
    more: dict[str, Any] = {}
    for name, (place, instances) in sources.items():
        found, labels = rare_data.rendered(place, instances, rare, RENDERED[name], SEEDS[name])
        more |= {f"x_{name}": found, f"y_{name}": labels, f"from_{name}": [each.name for each in instances]}
    for name, content in (("rare.npz", more), ("scan.npz", arrays)):  # scan.npz last: it says that both are there
        with artifacts.replacing(folder / name) as partial, partial.open("wb") as file:
            np.savez(file, **content)


def rare_classes(labels: Tensor) -> Tensor:
    """Numbers of the tail's classes, of the training labels."""
    bands = bands_of(torch.bincount(labels))
    assert bands is not None
    return (bands == TAIL).nonzero().squeeze(1)


def load_sets(folder: Path) -> Sets:
    """Every set that is there."""
    sets: Sets = {}
    for file in ("scan.npz", "rare.npz", "generated/images.npz"):
        if (folder / file).exists():
            with np.load(folder / file) as arrays:
                names = {"x_train": "train", "x_test": "held_out", "images": "generated"}
                if file == "rare.npz":
                    names = {f"x_{name}": name for name in RENDERED}
                for key in set(names) & set(arrays.files):
                    labels = arrays["labels" if key == "images" else key.replace("x_", "y_")]
                    sets[names[key]] = torch.from_numpy(arrays[key]), torch.from_numpy(labels)
    if "generated" in sets:  # black and white, as the data are; the model's images have grey edges
        images, labels = sets["generated"]
        sets["generated"] = (images > 127).to(torch.uint8) * 255, labels
    return sets


# --- the generator: the two commands of docs/rare-classes.md ----------------------------------------------------------


def generate(folder: Path) -> None:
    """Train the conditional model by the workflow, and export filtered images of the rare classes."""
    block = {"reader": "arrays", "path": str((folder / "scan.npz").resolve()), "shape": [1, 32, 32], "classes": 325,
             "imbalanced": True, "models": [MODEL],
             "settings": {MODEL: {"conditional": True, "sampler": "balanced"}}}  # fmt: skip
    own = {"classifier": {"count": 1}, "datasets": {DATASET: block}}
    artifacts.write_text(folder / "own.yaml", yaml.safe_dump(own, sort_keys=False))
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    one = ["--dataset", DATASET, "--model", MODEL]
    with contextlib.chdir(folder):
        for stage in ("fetch", "prepare", "classifier"):
            cli.main([stage, "--dataset", DATASET])
        cli.main(["train", *one, "--seed", "0"])
        filters = ["--min-confidence", str(MIN_CONFIDENCE), "--no-copies", "--until-enough", "--limit", str(DRAWS)]
        cli.main(["generate", *one, "--classes", "tail", "--n", str(GENERATED), *filters, "--form", "npz",
                  "--to", "generated"])  # fmt: skip


# --- cells ------------------------------------------------------------------------------------------------------------


def training_set(sets: Sets, recipe: Recipe) -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels and which of them are further ones, for a recipe."""
    images, labels = sets["train"]
    is_extra = torch.zeros(len(images), dtype=torch.bool)
    if recipe.extra:
        more, classes = sets[recipe.extra]
        rows = torch.cat([(classes == label).nonzero().squeeze(1)[: recipe.each] for label in classes.unique()])
        images, labels = torch.cat([images, more[rows]]), torch.cat([labels, classes[rows]])
        is_extra = torch.cat([is_extra, torch.ones(len(rows), dtype=torch.bool)])
    return images, labels, is_extra


class Study:
    """The sets, and the file of the cells that are done."""

    def __init__(self, folder: Path) -> None:
        self.file, self.sets, self.progress = folder / "cells.jsonl", load_sets(folder), Progress("rare")
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        self.cells = {cell["key"]: cell for cell in map(json.loads, lines)}

    def cell(self, arm: str, recipe: Recipe, seed: int) -> dict[str, Any]:
        """One trained classifier: correct images by rare class in each set, accuracy on the other bands."""
        settings = dataclasses.asdict(recipe)
        key = json.dumps([settings, seed])
        if key not in self.cells:
            began = time.process_time()
            images, labels, is_extra = training_set(self.sets, recipe)
            classes = int(labels.max()) + 1
            model = train(images, labels, is_extra, classes, recipe, seed, self._step)
            found = {"key": key, "arm": arm, "recipe": settings, "seed": seed, **self._measured(model, seed)}
            found["seconds"] = round(time.process_time() - began, 2)
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            self.cells[key] = found
        cell = self.cells[key]
        self.progress.say(
            f"{arm}, seed {seed}, {rare_table.told(settings)}: valid {rare_table.accuracy(cell, 'valid'):.4f}"
        )
        return {**cell, "arm": arm}

    def _step(self, step: int) -> None:
        self.progress.step(step, STEPS, unit="steps", per_unit=BATCH, of="images")

    def _measured(self, model: Any, seed: int) -> dict[str, Any]:
        found: dict[str, Any] = {"right": {}, "images": {}}
        for name in ("valid",) if seed == TUNING_SEED else ("valid", "test", "fonts"):
            if name in self.sets:
                images, labels = self.sets[name]
                right = torch.bincount(labels[correct(model, images, labels)], minlength=int(labels.max()) + 1)
                found["right"][name] = right[labels.unique()].tolist()
                found["images"][name] = RENDERED[name]
        return found if seed == TUNING_SEED else found | self._other_bands(model)

    def _other_bands(self, model: Any) -> dict[str, float]:
        """Accuracy on the data set's own test images of the common classes."""
        images, labels = self.sets["held_out"]
        bands = bands_of(torch.bincount(self.sets["train"][1]))
        assert bands is not None
        right, of_image = correct(model, images, labels).double(), bands[labels]
        return {name: right[of_image == band].mean().item() for name, band in (("head", HEAD), ("middle", MIDDLE))}

    def tuned(self, arm: str, trials: list[Recipe]) -> Recipe:
        """The trial with the best accuracy on the validation set of rare classes."""
        scores = [rare_table.accuracy(self.cell(arm, trial, TUNING_SEED), "valid") for trial in trials]
        return trials[int(np.argmax(scores))]

    def arms(self) -> dict[str, Recipe]:
        """Every arm with its tuned recipe."""
        plain = self.tuned("plain", list(RATES))
        arms = {"plain": plain}
        for arm, trials in REMEDIES.items():
            arms[arm] = self.tuned(arm, [dataclasses.replace(plain, **trial) for trial in trials])
        best = arms[self.best(arms)]
        for extra, arm in WITH_EXTRAS.items():
            if extra in self.sets:
                arms[arm] = self.tuned(arm, [dataclasses.replace(best, extra=extra, **trial) for trial in EXTRAS])
        for arm in ("plain", "balanced sampling") if "generated" in self.sets else ():
            arms[f"{arm} + generated"] = dataclasses.replace(arms[arm], extra="generated", **EXTRAS[1])
        return arms

    def best(self, arms: Mapping[str, Recipe]) -> str:
        """The arm that does best on the validation set."""
        return max(arms, key=lambda arm: rare_table.accuracy(self.cell(arm, arms[arm], TUNING_SEED), "valid"))


def main(words: list[str] | None = None) -> int:
    """Make what is missing, train what is missing, write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.rare", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder of the study")
    fonts = "the fonts of telugu_print, which its stage `fetch` leaves in data/raw/telugu_print"
    parser.add_argument("--fonts", type=Path, required=True, metavar="DIR", help=fonts)
    others = "font files of other families, for a second test set"
    parser.add_argument("--other-fonts", type=Path, metavar="DIR", help=others)
    parser.add_argument("--without-generator", action="store_true", help="tune the other arms, and stop")
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    asked.to = asked.to.resolve()
    asked.to.mkdir(parents=True, exist_ok=True)
    if not (asked.to / "scan.npz").exists():
        with cli.errors_in_one_line("rare", asked.to / "rare.log"):
            make_data(asked.to, asked.fonts, asked.other_fonts)
    if not asked.without_generator and not (asked.to / "generated").exists():
        generate(asked.to)
    study = Study(asked.to)
    arms = study.arms()
    if asked.without_generator:
        return 0
    cells = [study.cell(arm, recipe, seed) for seed in range(TRAININGS) for arm, recipe in arms.items()]
    baseline = study.best({arm: arms[arm] for arm in ("plain", *REMEDIES)})
    rare_table.write(asked.to, cells, baseline)
    print(cpu_model())
    return 0


if __name__ == "__main__":
    sys.exit(main())
