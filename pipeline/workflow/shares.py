"""Results of shorter trainings: which of them are missing, and the commands that make them.

They are stored like all others, under the hashes of their jobs; no view shows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pipeline.workflow import store
from pipeline.workflow.overrides import snakemake
from pipeline.workflow.plan import Job, Plan


class Wanted(NamedTuple):
    """An output of a job, and the plan that has the job."""

    plan: Plan
    job: Job
    output: str

    @property
    def path(self) -> str:
        """Where it is stored."""
        return self.job.outputs[self.output]


def commands(wanted: Iterable[Wanted]) -> list[str]:
    """The command for each plan of which something is missing; none where all is stored."""
    missing: dict[str, list[str]] = {}
    for item in wanted:
        if not store.is_complete(item.job.folder):
            missing.setdefault(item.plan.flags, []).append(item.path)
    return [snakemake(" ".join(paths), flags) for flags, paths in missing.items()]
