"""The device of a stage's job."""

from __future__ import annotations

from pipeline.core.errors import UserError
from pipeline.runtime.gpu_slots import hold_gpu
from pipeline.runtime.job_context import JobContext
from pipeline.training.device import pick_device


def use_device(job: JobContext) -> str:
    """Decide where this job computes, and note it for the record; `UserError` if a GPU is required and missing.

    On a machine with GPUs it waits for one that has room.
    """
    if job.device != "cpu":
        hold_gpu(job.progress.say)
    try:
        job.device = pick_device(job.device)
    except ValueError as error:
        raise UserError(str(error)) from None
    return job.device
