"""The judge before it judges: batch-norm statistics estimated again on a fixed set, logits of one image each."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.battles import judging
from pipeline.battles.scores import judges_of
from pipeline.core import artifacts
from pipeline.models.base import ImageGenerator
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import Progress
from pipeline.stages import battle
from tests.small_models import NAMES, block_of, class_of, images, small, small_arguments

JUDGES = [name for name in NAMES if hasattr(class_of(name), "discriminate")]


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@functools.cache
def trained(name: str) -> ImageGenerator:
    model = small(name)
    torch.manual_seed(2)
    for _ in range(3):
        model.fit_batch(images(12).float() / 255)
    return model


def judge_of(name: str) -> ImageGenerator:
    """A judge whose statistics fit neither real nor generated images, as after a training."""
    return copy.deepcopy(trained(name))


def real_and_generated(n: int) -> tuple[Tensor, Tensor]:
    return images(n, seed=1), torch.randint(0, 256, (n, 1, 28, 28), generator=torch.Generator().manual_seed(2)).byte()


class Judge(ImageGenerator):
    """A discriminator whose first layer is a batch norm: its statistics are those of the pixels."""

    def __init__(self) -> None:
        super().__init__((1, 4, 4))
        self.discriminator = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 1))
        self.elsewhere = nn.BatchNorm2d(1)

    def discriminate(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(x)
        return logits.squeeze(1)


@pytest.mark.parametrize(
    ("batch", "generated_images", "parts"),
    [
        (judging.BATCH, 30, [(0, 30)]),
        (judging.BATCH, 10, [(0, 10)]),  # as many real as generated images count
        (12, 18, [(0, 6), (6, 12), (12, 18)]),  # several batches weigh the same and mix both kinds
    ],
)
def test_statistics_are_the_mean_and_the_variance_of_the_given_images(
    batch: int, generated_images: int, parts: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "BATCH", batch)
    judge, (real, generated) = Judge(), real_and_generated(30 if generated_images == 10 else generated_images)
    real, generated = real[..., 10:14, 10:14], generated[:generated_images, :, :4, :4]
    judging.refresh(judge, real, generated)
    pixels = [torch.cat([real[first:end], generated[first:end]]).double() / 255 for first, end in parts]
    norm = judge.discriminator[0]
    mean, variance = (sum(of(part).item() for part in pixels) / len(parts) for of in (torch.mean, torch.var))
    assert norm.running_mean.item() == pytest.approx(mean, rel=1e-5)
    assert norm.running_var.item() == pytest.approx(variance, rel=1e-5)  # unbiased, as torch keeps it
    assert judge.elsewhere.num_batches_tracked == 0
    assert judge.elsewhere.running_var == 1


@pytest.mark.parametrize("name", JUDGES)
def test_refreshed_statistics_give_what_training_mode_gives_on_the_same_images(name: str) -> None:
    judge, (real, generated) = judge_of(name), real_and_generated(20)
    both = torch.cat([real, generated])
    before = judging.logits(judge, both)
    in_training = copy.deepcopy(judge).train()
    with torch.no_grad():
        wanted = in_training.discriminate(both.float() / 255)
    judging.refresh(judge, real, generated)
    found = judging.logits(judge, both)
    if not norms(judge.discriminator):
        assert torch.equal(before, found)
        return
    # Only the variance's denominator differs: n - 1 in the running one, at least 2 * 20 * 7 * 7 values each.
    torch.testing.assert_close(found, wanted, rtol=5e-3, atol=5e-3)
    assert (before - wanted).abs().max() > 10 * (found - wanted).abs().max()


@pytest.mark.parametrize("name", JUDGES)
def test_weights_stay_and_statistics_depend_on_the_images_alone(name: str) -> None:
    judge, (real, generated) = judge_of(name), real_and_generated(20)
    other = copy.deepcopy(judge)
    before = {key: value.clone() for key, value in judge.state_dict().items()}
    torch.manual_seed(5)
    judging.refresh(judge, real, generated)
    torch.manual_seed(6)
    for norm in norms(other.discriminator):
        norm.running_mean += 3
    judging.refresh(other, real, generated)
    after = judge.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert all(key.startswith("discriminator.") and key.endswith(statistics) for key in moved)
    assert bool(moved) == bool(norms(judge.discriminator))
    assert all(torch.equal(value, after[key]) for key, value in other.state_dict().items())


@pytest.mark.parametrize("name", JUDGES)
def test_the_logit_of_an_image_does_not_depend_on_the_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, (real, generated) = judge_of(name), real_and_generated(15)
    judging.refresh(judge, real, generated)
    judge.train()  # `logits` has to leave it: dropout and batch statistics would mix the images
    both = torch.cat([real, generated])
    whole = judging.logits(judge, both)
    assert whole.shape == (30,)
    assert whole.std() > 0
    monkeypatch.setattr(judging, "BATCH", 7)
    torch.testing.assert_close(judging.logits(judge, both), whole)
    torch.testing.assert_close(judging.logits(judge, both.flip(0)).flip(0), whole)
    assert torch.equal(judging.logits(judge, both), judging.logits(judge, both))


# -- the job of one model's judges ----------------------------------------------------------------------------------

SEEDS = (0, 10, 2)
JUDGE, OTHER = "dcgan", "gran3"


def job_of_three_judges() -> JobContext:
    """Three trainings of one model are to judge their own samples and another model's; splits of some images."""
    contestants = [(model, seed) for model in (OTHER, JUDGE) for seed in SEEDS]
    weights = [Path(f"weights{seed}.safetensors") for seed in SEEDS]
    for seed, path in zip(SEEDS, weights, strict=True):
        artifacts.write_tensors(path, small(JUDGE, seed=seed).state_dict())
    names = ["train", "valid", "test", *(f"{model}{seed}" for model, seed in contestants)]
    for number, name in enumerate(names):
        artifacts.write_images(Path(f"{name}.arrow"), images(20, seed=number).numpy())
    paths = [Path(f"{name}.arrow") for name in names]
    inputs = {"weights": weights, "train": paths[0], "valid": paths[1], "test": paths[2], "samples": paths[3:]}
    block = {
        "dataset": "mnist", "model": JUDGE, "class": block_of(JUDGE)["class"], "arguments": small_arguments(JUDGE),
        "shape": (1, 28, 28), "seeds": SEEDS, "contestants": contestants, "n": 12,
    }  # fmt: skip
    return JobContext(
        "battle", {"dataset": "mnist", "model": JUDGE}, block, (), "0", inputs, Progress("battle"), device="cpu"
    )


def test_every_seeds_judge_scores_everyone_as_it_would_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    work = job_of_three_judges()
    battle.run(work)
    scores = load_file(work.outputs["scores"])
    assert len(scores) == len(SEEDS) * (3 + 2 * len(SEEDS))
    for number, seed in enumerate(SEEDS):
        alone = small(JUDGE, seed=seed)
        train, own = images(20, seed=0), images(20, seed=3 + len(SEEDS) + number)
        judging.refresh(alone, train, own)
        for place, other in enumerate(SEEDS):
            theirs = images(20, seed=3 + place)[battle.subset(20, 12, 2)]
            assert torch.equal(scores[f"{seed}/samples/{OTHER}/{other}"], judging.logits(alone, theirs))
        assert torch.equal(scores[f"{seed}/train"], judging.logits(alone, train[battle.subset(20, 12, 2)]))
        test = images(20, seed=2)[battle.subset(20, 12, 2)]
        assert torch.equal(scores[f"{seed}/test"], judging.logits(alone, test))
    judges = judges_of(JUDGE, {name: values.numpy() for name, values in scores.items()})
    assert [judge.identity for judge in judges] == [(JUDGE, seed) for seed in sorted(SEEDS)]
    told = json.loads(work.outputs["judge"].read_text())
    assert [judge["seed"] for judge in told] == sorted(SEEDS)
    for judge, said in zip(judges, told, strict=True):
        assert said["accuracy_real_test"] == pytest.approx((judge.test >= 0).mean())
        assert said["accuracy_generated"] == pytest.approx((judge.samples[judge.identity] < 0).mean())
