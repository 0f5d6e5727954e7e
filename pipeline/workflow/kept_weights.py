"""Where the weights of a trained model lie, in place or kept from an earlier time; their stamps alone are believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.workflow import kept, layout, stamps
from pipeline.workflow.plan import Plan

RUNTIME_ONLY = True


def find(plan: Plan, dataset: str, model: str, training: int) -> tuple[Path, dict[str, Any]]:
    """The weights of independent training 0, 1, ... of a model, as params.yaml and the code ask for them now.

    Beside them the block of the job that samples it, from which the network is rebuilt.

    Raises `UserError` that says how to get them where there are none, others, or damaged ones.
    """
    if training < 0:
        raise UserError(f"--training: found {training}, expected 0 or more")
    plan.require(dataset, model)
    job = plan.job("train", dataset, plan.trained(model), training)
    path = layout.path(layout.WEIGHTS, **job.wildcards)
    for place in (path, kept.folder_of(job.identity) / path):
        if place.exists() and stamps.checked(place)["identity"] == job.identity:
            return place, plan.job("sample", dataset, model, training).block
    if path.exists():
        raise UserError(
            f"{path}: trained with other settings or code than those of now; train again with `snakemake --cores 8 "
            f"{path}`, or name the settings that it was trained with (--set budget=smoke)"
        )
    raise UserError(f"{path}: {model} is not trained yet; train it with `snakemake --cores 8 {path}`")
