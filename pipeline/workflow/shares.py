"""Results of shorter trainings: which of them are missing, and the commands that make them.

They are stored like all others, under the hashes of their jobs; no view shows them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.workflow import params, store
from pipeline.workflow.overrides import snakemake
from pipeline.workflow.plan import Job


class Wanted(NamedTuple):
    """An output of a job of a plan whose trainings take `share` of their steps."""

    share: float
    job: Job
    output: str

    @property
    def path(self) -> str:
        """Where it is stored."""
        return self.job.outputs[self.output]


def commands(wanted: Iterable[Wanted], overrides: Sequence[str] = (), flags: str = "") -> list[str]:
    """The command for each share of which something is missing; none where all is stored.

    `overrides` and `flags` are those that the plans were made with.
    """
    missing: dict[float, list[str]] = {}
    for item in wanted:
        if not store.is_complete(item.job.folder):
            missing.setdefault(item.share, []).append(item.path)
    found = []
    for share, paths in missing.items():
        config = params.nested([*overrides, *([] if share == 1 else [f"training_share={share:g}"])])
        values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        settings = [shlex.quote(f"{key}={value}") for key, value in values.items()]  # Snakemake takes no key with dots
        words = [*flags.split(), *(["--config", *settings] if settings else []), "--", *paths]
        found.append(snakemake(" ".join(words)))
    return found
