"""Let one judge, a trained discriminator, score real images and every contestant's samples (001 section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.battles.scores import beats_chance, errors_on_generated, errors_on_real, judge_scores
from pipeline.infra import layout
from pipeline.infra.stage import Work
from pipeline.models.base import ImageGenerator
from pipeline.stages._device import use_device
from pipeline.stages.classifier import load_split
from pipeline.stages.evaluate import subset
from pipeline.stages.sample import load_model

BATCH = 500
REFRESHED_WITH = 2000
"""Images on which batch-norm statistics are taken anew, half of them real training images and half its own samples."""


def run(work: Work) -> None:
    """Logits on test, training and validation images and on all samples, and how the judge does on its own."""
    device = use_device(work)
    judge = load_model(work, device)
    block, (train, valid, test), contestants = work.block, work.reads[1:4], work.reads[4:]
    samples = {tuple(run): load_split(path)[0] for run, path in zip(block["contestants"], contestants, strict=True)}
    own = samples[(block["model"], block["seed"])]
    images = load_split(train)[0]
    refresh(judge, images[subset(len(images), REFRESHED_WITH // 2, 0)], own[: REFRESHED_WITH // 2])
    seen = images[subset(len(images), block["judged_training_images"], 1)]
    sets = {"test": load_split(test)[0], "train": seen, "valid": load_split(valid)[0]}
    sets = {name: part[subset(len(part), max(block["n"], 1), 2)] for name, part in sets.items()}
    sets |= {f"samples/{model}/{seed}": part for (model, seed), part in samples.items()}
    scores = {name: logits(judge, part) for name, part in sets.items()}
    work.write_tensors(work.at(layout.SCORES), scores)
    report(work, scores)


def logits(judge: ImageGenerator, images: Tensor) -> Tensor:
    """The discriminator's logits (N,) of uint8 images, in evaluation mode."""
    judge.eval()
    with torch.inference_mode():
        parts = [judge.discriminate(part.to(judge.device).float() / 255).cpu() for part in images.split(BATCH)]  # type: ignore[operator]
    return torch.cat(parts).float()


def refresh(judge: ImageGenerator, real: Tensor, generated: Tensor) -> None:
    """Take the discriminator's batch-norm statistics anew on a fixed 50:50 set (uint8 images).

    In training it met real and generated images in batches apart, so its running statistics fit neither.
    """
    discriminator: nn.Module = judge.discriminator  # type: ignore[assignment]
    layers = [m for m in discriminator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over the batches
    judge.eval()
    for layer in layers:
        layer.train()
    half = min(len(real), len(generated))
    mixed = torch.stack([real[:half], generated[:half]], 1).flatten(0, 1)  # real, generated, real, ...
    with torch.no_grad():
        for part in mixed.split(BATCH):
            judge.discriminate(part.to(judge.device).float() / 255)  # type: ignore[operator]
    judge.eval()


def report(work: Work, scores: dict[str, Tensor]) -> None:
    """The judge's accuracy on its own held-out real and generated images, and whether it beats chance."""
    found = judge_scores(work.block["model"], work.block["seed"], {k: v.numpy() for k, v in scores.items()})
    own = found.samples[found.identity]
    sits, reason = beats_chance(found)
    content = {
        "accuracy_real_test": 1 - errors_on_real(found.test) / len(found.test),
        "accuracy_real_train": 1 - errors_on_real(found.train) / len(found.train),
        "accuracy_generated": 1 - errors_on_generated(own) / len(own),
        "beats_chance": sits,
        "reason": reason,
    }
    work.write_json(work.at(layout.JUDGE), content)
    work.progress.say(
        f"accuracy on held-out real {content['accuracy_real_test']:.3f}, own generated "
        f"{content['accuracy_generated']:.3f}: {'judges' if sits else 'judges nobody: ' + reason}"
    )
