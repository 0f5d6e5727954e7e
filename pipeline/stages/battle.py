"""Score real images and all models' samples with a model's judges (Im et al. 2016, section 4).

Its judges are its discriminators, one of every seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.battles.judging import REFRESHED_WITH, logits, refresh
from pipeline.battles.scores import JudgeScores, beats_chance, errors_on_generated, errors_on_real, judges_of
from pipeline.core import artifacts
from pipeline.datasets.prepared import load_split, subset
from pipeline.models.base import ImageGenerator
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.training.trained import rebuilt


def run(job: JobContext) -> None:
    """Logits on test, training and validation images and on all samples, and how each judge does on its own."""
    device, block = use_device(job), job.config
    weights, splits, contestants = _read(job)
    images = load_split(splits["train"])[0]
    real = images[subset(len(images), REFRESHED_WITH // 2, 0)]
    judges: dict[int, ImageGenerator] = {}
    for seed, path in weights.items():
        judges[seed] = rebuilt(block, artifacts.read_tensors(path), device)
        refresh(judges[seed], real, load_split(contestants[(block["model"], seed)])[0][: REFRESHED_WITH // 2])
    scores: dict[str, Tensor] = {}
    total = len(splits) + len(contestants)
    for done, (name, part) in enumerate(_parts(splits, contestants, block), 1):
        scores |= {f"{seed}/{name}": logits(judge, part) for seed, judge in judges.items()}
        job.progress.step(done, total, unit="sets", per_unit=len(part) * len(judges), of="verdicts")
    job.write_tensors(job.outputs["scores"], scores)
    report(job, scores)


def _read(job: JobContext) -> tuple[dict[int, Path], dict[str, Path], dict[tuple[str, int], Path]]:
    """The judges' weights by seed, the splits by name, the contestants' samples by model and seed."""
    block, inputs = job.config, job.inputs
    weights = dict(zip(block["seeds"], inputs["weights"], strict=True))
    splits = {name: inputs[name] for name in ("train", "valid", "test")}
    return weights, splits, dict(zip(map(tuple, block["contestants"]), inputs["samples"], strict=True))


def _parts(
    splits: Mapping[str, Path], contestants: Mapping[tuple[str, int], Path], block: Mapping[str, Any]
) -> Iterator[tuple[str, Tensor]]:
    """What is judged, one part in memory at a time: there may be more contestants than it holds."""
    for name, path in splits.items():
        yield name, chosen(load_split(path)[0], block["n"])
    for (model, seed), path in contestants.items():
        yield f"samples/{model}/{seed}", chosen(load_split(path)[0], block["n"])


def chosen(images: Tensor, n: int) -> Tensor:
    """At most n of the images, the same for every judge."""
    return images[subset(len(images), n, 2)]


def report(job: JobContext, scores: dict[str, Tensor]) -> None:
    """Each judge's accuracy on its own held-out real and generated images, and whether it beats chance."""
    found = [
        {"seed": judge.seed, **own_accuracy(judge)}
        for judge in judges_of(job.config["model"], {name: values.numpy() for name, values in scores.items()})
    ]
    job.write_json(job.outputs["judge"], found)
    for judge in found:
        accuracy = f"accuracy on held-out real {judge['accuracy_real_test']:.3f}, own generated "
        eligible = "judges" if judge["beats_chance"] else f"judges nobody: {judge['reason']}"
        job.progress.note(f"seed {judge['seed']}: {accuracy}{judge['accuracy_generated']:.3f}: {eligible}")
    job.progress.say(f"judges in {sum(judge['beats_chance'] for judge in found)} of {len(found)} seeds")


def own_accuracy(judge: JudgeScores) -> dict[str, Any]:
    """How a judge does on real images and on its own generator's, and whether that is enough to judge others."""
    own = judge.samples[judge.identity]
    is_eligible, reason = beats_chance(judge)
    return {
        "accuracy_real_test": 1 - errors_on_real(judge.test) / len(judge.test),
        "accuracy_real_train": 1 - errors_on_real(judge.train) / len(judge.train),
        "accuracy_generated": 1 - errors_on_generated(own) / len(own),
        "beats_chance": is_eligible,
        "reason": reason,
    }
