"""The study of rare classes: closed forms of its losses, weights and interval, its images, and its resumption."""

import csv
import json

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from bench import rare, rare_arms, rare_data, rare_table
from bench.rare_arms import Recipe
from pipeline.tables.text import csv_value
from pipeline.workflow.job_hash import ROOT

COUNTS = torch.tensor([80, 15, 5, 0])


def test_logit_adjustment_is_the_loss_of_menon_et_al():
    """-log( pi_y^tau e^f_y / sum_k pi_k^tau e^f_k )."""
    logits, labels, recipe = torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 1, 0]), Recipe(tau=1.5)
    scores = logits.double().exp() * torch.tensor([0.8, 0.15, 0.05, 1.0]).double() ** 1.5
    expected = -(scores[torch.arange(6), labels] / scores.sum(1)).log().mean()
    found = rare_arms.loss_of(logits, labels, torch.ones(6), rare_arms.adjustment(COUNTS, recipe))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_plain_loss_is_cross_entropy():
    logits, labels, recipe = torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 1, 0]), Recipe()
    weights = rare_arms.class_weights(COUNTS, recipe)[labels]
    found = rare_arms.loss_of(logits, labels, weights, rare_arms.adjustment(COUNTS, recipe))
    torch.testing.assert_close(found, cross_entropy(logits, labels))


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0])
def test_weights_fall_with_the_class_size_and_their_mean_over_sampled_images_is_one(power):
    recipe = Recipe(reweight=0.5, power=power)
    weights = rare_arms.class_weights(COUNTS, recipe).double()
    torch.testing.assert_close((weights * rare_arms.priors(COUNTS, power)).sum().item(), 1.0, rtol=1e-6, atol=0)
    torch.testing.assert_close(weights[2] / weights[0], torch.tensor(4.0).double(), rtol=1e-6, atol=0)
    assert weights[3] == 0


def test_further_images_count_less_than_the_others_of_their_class_which_counts_as_much_as_before():
    labels, is_extra = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([False, False, False, True, True])
    found = rare_arms.image_weights(labels, is_extra, torch.bincount(labels), Recipe(extra_weight=0.25))
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0, 2.0, 0.5, 0.5]))


def test_balanced_sampling_has_no_prior_to_adjust_for():
    shift = rare_arms.adjustment(COUNTS, Recipe(power=0.0, tau=1.0))
    torch.testing.assert_close(shift[:3], torch.full((3,), -np.log(3)).float())


def test_interval_over_trainings_and_classes():
    """Where classes do not differ it is Student's over trainings; where trainings do not, the normal one."""
    trainings = np.array([[0.1], [0.2], [0.3]]) + np.zeros((3, 50))
    classes = np.zeros((3, 1)) + np.array([[0.0, 1.0] * 50])
    over_trainings, over_classes = rare_table.two_way(trainings), rare_table.two_way(classes)
    assert over_trainings.value - over_trainings.low == pytest.approx(4.302653 * 0.1 / 3**0.5)
    assert over_classes.high - over_classes.value == pytest.approx(1.959964 * np.sqrt(0.25 * 100 / 99) / 10)


def test_augmentation_of_strength_zero_changes_nothing():
    image = torch.zeros(2, 1, 32, 32)
    image[:, :, 8:20, 10:25] = 1
    same = rare_arms.augmented(image, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same, image)
    moved = rare_arms.augmented(image, 1.0, torch.Generator().manual_seed(0))
    assert not torch.equal(moved, same) and moved.min() >= 0 and moved.max() <= 1


def test_bad_scan_repeats_and_stays_black_and_white():
    images = np.zeros((5, 1, 32, 32), np.uint8)
    images[:, :, 8:24, 8:24] = 255
    scanned = rare_data.degrade(images, 3)
    assert set(np.unique(scanned)) == {0, 255}
    assert np.array_equal(scanned, rare_data.degrade(images, 3)) and not np.array_equal(scanned[0], scanned[1])
    assert (scanned[:, :, 12:20, 12:20] == 255).mean() > 0.9 > 0.1 > (scanned[:, :, :4] == 255).mean()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A study of four classes of noise, the last two rare; trainings of two updates."""
    monkeypatch.setattr(rare_arms, "STEPS", 2)
    monkeypatch.setattr(rare_arms, "BATCH", 8)
    labels = np.repeat([0, 1, 2, 3], [40, 12, 4, 4])
    images = np.random.default_rng(0).integers(0, 2, (60, 1, 32, 32), np.uint8) * 255
    np.savez(tmp_path / "scan.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    sets = {name: (images[52:], labels[52:]) for name in ("valid", "test", "real")}
    np.savez(tmp_path / "rare.npz", **{f"x_{n}": x for n, (x, _) in sets.items()},
             **{f"y_{n}": y for n, (_, y) in sets.items()})  # fmt: skip
    monkeypatch.setattr(rare, "RENDERED", dict.fromkeys(("valid", "test", "fonts", "real"), 4))
    return tmp_path


def test_further_images_are_marked_and_at_most_as_many_as_the_recipe_says(folder):
    images, labels, is_extra = rare.training_set(rare.load_sets(folder), Recipe(extra="real", each=3))
    assert len(images) == 66 and is_extra.sum() == 6 and torch.bincount(labels[is_extra]).tolist() == [0, 0, 3, 3]


def test_a_cell_is_trained_once(folder, monkeypatch):
    study = rare.Study(folder)
    cell = study.cell("plain", Recipe(), 0)
    assert cell["right"]["test"] and len(cell["right"]["test"]) == 2
    monkeypatch.setattr(rare, "train", None)
    again = rare.Study(folder).cell("plain", Recipe(), 0)
    assert again == cell and len((folder / "cells.jsonl").read_text().splitlines()) == 1


def test_table_compares_with_the_baseline(tmp_path):
    def cell(arm, seed, right):
        return {"arm": arm, "seed": seed, "right": {"test": right}, "images": {"test": 20}, "head": 1.0, "middle": 0.9,
                "recipe": {"tau": 1.0}, "seconds": 1.0}  # fmt: skip

    cells = [cell("plain", s, [10, 12 + s]) for s in (0, 1)] + [cell("better", s, [12, 14 + s]) for s in (0, 1)]
    cells += [cell("better + generated", s, [13, 15 + s]) for s in (0, 1)]
    rare_table.write(tmp_path, json.loads(json.dumps(cells)), "plain")
    plain, better, more = rare_table.rows(cells, "plain")
    assert (more["over"], more["gain"]) == ("better", pytest.approx(0.05))
    assert "gain" not in plain and better["gain"] == pytest.approx(0.1) and better["gain_low"] == pytest.approx(0.1)
    assert (tmp_path / "rare_classes.csv").read_text().splitlines()[1].startswith("held-out instances,plain,2,2,40,")
    assert "+10.0 [10.0, 10.0] over plain" in (tmp_path / "rare_classes.md").read_text()


def test_published_table_follows_from_the_published_trainings():
    folder = ROOT / "results/published/rare-classes"
    lines = (folder / "cells.jsonl").read_text(encoding="utf-8").splitlines()
    cells = [cell for cell in map(json.loads, lines) if cell["seed"] < rare.TRAININGS]
    published = list(csv.DictReader((folder / "rare_classes.csv").read_text(encoding="utf-8").splitlines()))
    found = {(row["test"], row["arm"]): row for row in rare_table.rows(cells, "augmentation")}
    assert len(published) == len(found) == 18
    for row in published:
        own = found[row["test"], row["arm"]]
        for column in ("accuracy", "accuracy_low", "gain", "gain_high", "middle"):
            assert row[column] == csv_value(own.get(column))


def test_a_folder_without_the_fonts_is_named_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        rare.main(["--to", str(tmp_path / "study"), "--fonts", str(tmp_path)])
    words = capsys.readouterr().err
    assert words.count("\n") == 1 and f"--fonts: {tmp_path} has no " in words
    assert not list((tmp_path / "study").iterdir())
