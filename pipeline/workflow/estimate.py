"""About how long a run will take: CPU seconds measured once on a reference machine, scaled to this one."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.workflow.plan import Plan

REFERENCE_PRODUCT = 0.06
"""Seconds that `product_seconds` took on the machine that measured the rest, one thread."""

START = 4.0
"""CPU seconds that any stage takes to start."""

PER_STEP = {
    **{"vae": 0.0085, "info_vae": 0.009, "dvae": 0.01, "autoencoder": 0.0135, "gan": 0.0105},
    **{"vae_mixture": 0.0085, "made": 0.019, "flow_matching": 0.105, "ddpm": 0.105},
    **{"draw": 0.08, "draw_gan": 0.135, "draw_adversarial_prior": 0.1},
    **{"dcgan": 0.125, "gan_conv": 0.1, "vae_gan": 0.094, "gran": 0.145},
}
"""CPU seconds per training step on 28x28 images, by the model's file, at params.yaml's settings."""

PER_STEP_OF_OTHERS = 0.1
"""The same for a model that was never measured."""

DRAWS = {"glimpses": 10, "time_steps": 3}
"""Times that a sequential model draws, as it was measured; the cost of a training step goes with them."""

PER_SAMPLE = {"evaluate": 4e-3, "references": 3.4e-3, "battle": 1.5e-3, "sample": 0.4e-3}
"""CPU seconds per compared image: of each row, of each judge."""

PER_CLASSIFIER_STEP = 0.1


def wall_seconds(
    plan: Plan, jobs: Iterable[tuple[str, Mapping[str, Any]]], saved: Mapping[str, int] | None = None
) -> tuple[float, float]:
    """Seconds on the wall for all jobs on this machine's cores, and of the longest job.

    `saved` has the steps that stopped trainings need not do again, by model and seed ('draw 0').
    """
    speed = product_seconds() / REFERENCE_PRODUCT
    each = [job_seconds(plan, stage, wildcards, saved or {}) * speed for stage, wildcards in jobs]
    longest = max(each, default=0.0)
    return max(sum(each) / (os.cpu_count() or 1), longest), longest


def job_seconds(plan: Plan, stage: str, wildcards: Mapping[str, Any], saved: Mapping[str, int]) -> float:
    """CPU seconds of one job on the reference machine."""
    n = plan.params.at_budget(plan.params.protocol.samples)
    if stage == "train":
        block = plan.model(wildcards["model"], wildcards["dataset"])
        steps = plan.steps(wildcards["model"], wildcards["dataset"]) - saved.get(
            f"{wildcards['model']} {wildcards['seed']}", 0
        )
        drawn = [block["arguments"][name] / often for name, often in DRAWS.items() if name in block["arguments"]]
        return START + steps * PER_STEP.get(block["class"], PER_STEP_OF_OTHERS) * math.prod(drawn)
    if stage in ("classifier", "augment"):
        count = plan.params.at_budget(plan.params.classifier.count) if stage == "classifier" else 1
        return START + count * plan.params.at_budget(plan.params.classifier.steps) * PER_CLASSIFIER_STEP
    times = len(plan.params.seeds_used()) if stage == "battle" else 1
    times = len(plan.references(wildcards["dataset"])) if stage == "references" else times
    return START + n * times * PER_SAMPLE.get(stage, 0.0)


def product_seconds() -> float:
    """Seconds of a fixed matrix product on one thread: how fast this machine is."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    a: Any = np.ones((768, 768), dtype=np.float32)
    with threadpool_limits(1):
        a @ a
        began = time.perf_counter()
        for _ in range(8):
            a @ a
    return float(time.perf_counter() - began)
