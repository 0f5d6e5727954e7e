"""Measure one model and seed against held-out real images: every metric, in one job."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.core import artifacts
from pipeline.datasets.prepared import load_split, subset
from pipeline.features.evaluator import Evaluator
from pipeline.metrics.agreement import ignores_class
from pipeline.metrics.likelihood import importance_weighted
from pipeline.models.base import ImageGenerator
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.training.levels import levels
from pipeline.training.trained import rebuilt

ELBO_BATCH = 500
AGREEMENT = ("class_accuracy", "class_accuracy_chance")


def run(job: JobContext) -> None:
    """One file of estimates with the protocol beside them."""
    use_device(job)
    known: dict[str, Any] = dict(likelihood(job)) if "weights" in job.inputs and is_binarised(job) else {}
    if "augmented" in job.inputs:
        known["correct_by_band"] = correct_by_band(job.inputs["augmented"])
    evaluator = Evaluator(job.inputs, job.config, dataset=job.wildcards["dataset"], progress=job.progress)
    samples, classes = artifacts.read_images(job.inputs["samples"])
    known["asked"] = None if classes is None else torch.from_numpy(classes[: len(evaluator.images)].copy())
    content = evaluator.measure(samples, known)
    job.write_json(job.outputs["metrics"], content)
    found = content["estimates"]
    if "class_accuracy" in found and ignores_class(*(found[name]["value"] for name in AGREEMENT)):
        job.progress.say(
            "warning: unconditional in effect: the classifier sees the requested class in "
            f"{found[AGREEMENT[0]]['value']:.1%} of the samples, {found[AGREEMENT[1]]['value']:.1%} by chance"
        )


def is_binarised(job: JobContext) -> bool:
    """Whether the model was trained on black-and-white images: where params.yaml leaves it to the images, they say."""
    if "data" not in job.config:
        return True
    return levels(job.config["data"], artifacts.read_images(job.inputs["train"])[0]) == "binarised"


def correct_by_band(path: Path) -> dict[str, tuple[Tensor, Tensor]] | None:
    """Which held-out images of a band a classifier knows: without generated images in its training, and with them.

    None where there were no such images: nothing was tried.
    """
    found = artifacts.read_json(path)
    if not found["generated"]["images"]:
        return None
    return {
        band: (torch.tensor(answers["without"]).bool(), torch.tensor(answers["augmented"]).bool())
        for band, answers in found["correct_by_band"].items()
    }


def likelihood(job: JobContext) -> dict[str, Tensor]:
    """Log-likelihoods in nats of the test images (N,): exact, or as bounds by one draw of latents and by several."""
    block, seed = job.config, job.config["protocol_seed"]
    model: Any = rebuilt(block, artifacts.read_tensors(job.inputs["weights"]), job.device)
    parts = binarised(job, model)
    with torch.no_grad():
        if hasattr(model, "log_likelihood"):
            return {"log_likelihood": torch.cat([model.log_likelihood(*part).cpu() for part in parts])}
        torch.manual_seed(seed)
        elbo = [model.elbo(*part).cpu() for part in parts]
        torch.manual_seed(seed + 1)
        weighted = []
        for done, part in enumerate(parts, start=1):
            weighted.append(importance_weighted(partial(model.log_weights, *part), block["importance_samples"]).cpu())
            job.progress.step(done, len(parts), unit="parts", per_unit=ELBO_BATCH, of="bounds")
    return {"elbo": torch.cat(elbo), "iwae_bound": torch.cat(weighted)}


def binarised(job: JobContext, model: ImageGenerator) -> list[tuple[Tensor, ...]]:
    """The test images, binarised once by the protocol's seed, and their labels if the model has classes, in parts.

    A conditional model gives the likelihood of an image given its class.
    """
    seed = job.config["protocol_seed"]
    images, labels = load_split(job.inputs["test"])
    chosen = subset(len(images), job.config["n"], seed)
    grey = images[chosen].float() / 255
    binary = (torch.rand(grey.shape, generator=torch.Generator().manual_seed(seed)) < grey).float()
    given = [binary, labels[chosen]] if model.classes and labels is not None else [binary]
    return list(zip(*(x.to(job.device).split(ELBO_BATCH) for x in given), strict=True))
