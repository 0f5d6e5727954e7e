"""About how long a run will take: CPU seconds that this machine measured, else a reference machine's, scaled."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.workflow import layout, store
from pipeline.workflow.plan import Plan

REFERENCE_PRODUCT = 0.06
"""CPU seconds that `product_seconds` took on the machine that measured the rest, one thread."""

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

NOTHING: Mapping[Any, Any] = {}
MOST_BENCHMARKS = 500
"""Benchmark files that are read: a results folder of years has thousands."""


def wall_seconds(
    plan: Plan, jobs: Iterable[tuple[str, Mapping[str, Any]]], saved: Mapping[str, int] | None = None, cores: int = 0
) -> tuple[float, float]:
    """Seconds on the wall for all jobs on `cores` (0: this machine's), and of the longest job.

    `saved` has the steps that stopped trainings need not do again, by model and seed ('draw 0').
    """
    speed, rates = product_seconds() / REFERENCE_PRODUCT, learned_rates()
    each = [seconds(plan, stage, wildcards, saved or {}, rates, speed) for stage, wildcards in jobs]
    longest = max(each, default=0.0)
    return max(sum(each) / (cores or os.cpu_count() or 1), longest), longest


def seconds(
    plan: Plan,
    stage: str,
    wildcards: Mapping[str, Any],
    saved: Mapping[str, int] = NOTHING,
    rates: Mapping[tuple[str, str], float] = NOTHING,
    speed: float = 1.0,
) -> float:
    """CPU seconds of one job: by the rates that this machine measured, else by those of the reference machine."""
    given = {name: wildcards[name] for name in layout.WILDCARDS[stage]}
    config = plan.job(stage, **(given | {"seed": 0} if "seed" in given else given)).config
    if stage == "train":
        done = saved.get(f"{given['model']} {given['seed']}", 0)
        config = {**config, "training": {"steps": plan.steps(given["model"], given["dataset"]) - done}}
    work, rate, key = amount(stage, config)
    return rates[key] * work if key in rates else speed * (START + rate * work)


def amount(stage: str, config: Mapping[str, Any]) -> tuple[float, float, tuple[str, str]]:
    """How much a job of this configuration does, the reference machine's CPU seconds for each, and the kind of work."""
    if stage == "train":
        arguments, kind = config["arguments"], config["class"]
        drawn = math.prod(arguments[name] / often for name, often in DRAWS.items() if name in arguments)
        return config["training"]["steps"] * drawn, PER_STEP.get(kind, PER_STEP_OF_OTHERS), (stage, kind)
    if stage in ("classifier", "augment"):
        steps = (config["classifier"] if stage == "augment" else config)["steps"]
        return steps * config.get("count", 1), PER_CLASSIFIER_STEP, ("classifier", "")
    times = len(config["seeds"]) if stage == "battle" else len(config["rows"]) if stage == "references" else 1
    return config.get("n", 0) * times, PER_SAMPLE.get(stage, 0.0), (stage, "")


def learned_rates(folder: Path = Path()) -> dict[tuple[str, str], float]:
    """Kind of work -> CPU seconds of each on this machine: the median of Snakemake's benchmark files here.

    A job's start is part of it, so only jobs that took three times as long as that count.
    """
    measured: dict[tuple[str, str], list[float]] = {}
    for path in sorted(folder.glob("benchmarks/*/*/*.tsv"))[-MOST_BENCHMARKS:]:
        stage, names = path.parts[-3], path.parts[-2].split("-")
        with contextlib.suppress(OSError, ValueError, LookupError):  # of a stage that there is no more, say
            wildcards = dict(zip(layout.WILDCARDS[stage], names, strict=True))
            record = store.read(folder / layout.job_folder(stage, wildcards, path.stem))
            head, row, *_ = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
            cpu = float(dict(zip(head, row, strict=True))["cpu_time"])
            work, _, key = amount(stage, record["config"] if record else {})
            if work and cpu >= 3 * START:
                measured.setdefault(key, []).append(cpu / work)
    return {key: statistics.median(rates) for key, rates in measured.items()}


def product_seconds() -> float:
    """CPU seconds of a fixed matrix product on one thread: how fast this machine is, however busy."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    a: Any = np.ones((768, 768), dtype=np.float32)
    with threadpool_limits(1):
        a @ a
        began = time.thread_time()
        for _ in range(8):
            a @ a
    return float(time.thread_time() - began)
