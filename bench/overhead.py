"""What the pipeline costs around the work: a run with nothing to do, and a job beyond the import of torch."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench import commands, made_up, pictures
from bench.asked import Asked, Task
from bench.rows import Row, alone
from pipeline.core import artifacts
from pipeline.workflow import layout, params, store
from pipeline.workflow.job_hash import ROOT
from pipeline.workflow.plan import Plan

RUNS = (10, 100, 1000)
QUICK_RUNS = (10,)
MODELS = {10: ("vae", "draw"), 100: ("vae", "draw", "gran3", "dcgan"), 1000: ()}
"""Models of a table of so many trainings, none for all; seeds make up the rest."""
MOST_ROUNDS = 5


def overrides(runs: int) -> list[str]:
    """Settings under which MNIST's table has about so many trainings: `models * seeds`."""
    every = params.load(["budget=tiny"], file=ROOT / "params.yaml").resolved_models
    trained = [name for name, block in every.items() if "reuse_training_of" not in block]
    models = list(MODELS[runs]) or trained
    seeds = -(-runs // len(models))
    return [
        "budget=tiny",
        f"seeds={seeds}",
        "report=[mnist]",
        f'datasets={{"mnist": {{"models": {json.dumps(models)}}}}}',
    ]


def plan_of(config: Sequence[str]) -> Plan:
    """The plan that Snakemake makes of them."""
    words = [word for word in config if not word.startswith("datasets=")]
    (models,) = [word for word in config if word.startswith("datasets=")]
    listed = json.loads(models.removeprefix("datasets="))["mnist"]["models"]
    return Plan(params.load([*words, f"datasets.mnist.models={json.dumps(listed)}"], file=ROOT / "params.yaml"))


def nothing_to_do(runs: int, asked: Asked) -> list[Row]:
    """Seconds of a workflow whose results are all there: made-up ones, with sound records."""
    config = overrides(runs)
    plan = plan_of(config)
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as name:
        folder = Path(name)
        with contextlib.chdir(folder):
            made_up.make(plan)
        words = ("--config", *config, "--", layout.SUMMARY_TEXT.format(dataset="mnist"), layout.REPORT)
        ended = [commands.snakemake(*words, folder=folder) for _ in range(min(asked.pace.rounds, MOST_ROUNDS) + 1)]
    idle = all("Nothing to be done" in run.said for run in ended[1:])
    trainings = len(plan.runs("mnist"))
    row = alone(Row("pipeline", "nothing to do", f"{trainings:,} trainings", "s"), [run.seconds for run in ended[1:]])
    row.memory_mb = max(run.memory_mb for run in ended)
    row.note = "" if idle else "not measured: Snakemake found something to do"
    return [row]


def job(asked: Asked) -> list[Row]:
    """A training of a fraction of a second as a process of its own, beside one that imports torch and no more."""
    plan = Plan(params.load(["budget=tiny"], file=ROOT / "params.yaml"))
    planned = plan.job("train", "mnist", "vae", 0)
    words = ["train", "--model", "vae", "--seed", "0", "--spec", "spec.json", "--device", "cpu"]
    beyond, whole, bare = [], [], []
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as name:
        folder = Path(name)
        images = pictures.made_up(1000, (1, 28, 28))
        prepared = planned.parents[0]
        split = folder / prepared.outputs["train"]
        artifacts.write_images(split, images.numpy(), np.zeros(len(images), dtype=np.int64))
        store.write(split.parent, made_up.record(prepared))
        artifacts.write_json(folder / "spec.json", planned.spec)
        cost = folder / planned.outputs["cost"]
        for _ in range(asked.pace.rounds + 1):
            whole.append(commands.stage(*words, folder=folder).seconds)
            bare.append(commands.python("-c", "import torch", folder=folder).seconds)
            beyond.append(whole[-1] - bare[-1] - json.loads(cost.read_text(encoding="utf-8"))["train_seconds"])
    row = alone(Row("pipeline", "a job beyond import torch", "train vae, tiny", "s"), beyond[1:])
    row.note = f"the process {np.median(whole[1:]):.2f} s, import torch {np.median(bare[1:]):.2f} s, the rest training"
    return [row]


def tasks(asked: Asked) -> list[Task]:
    """The job, and the workflow at several sizes."""
    sizes = QUICK_RUNS if asked.quick else RUNS
    idle = [Task(f"pipeline: nothing to do, {runs:,} runs", partial(nothing_to_do, runs, asked)) for runs in sizes]
    return [Task("pipeline: a job beyond import torch", partial(job, asked)), *idle]
