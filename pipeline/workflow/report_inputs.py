"""Which data sets the report shows, and what it reads of each; decided by content, and never a reason to compute one.

`report: current` in params.yaml means the data sets that are targets of the same command, and those whose stored
results are current. A data set that became stale leaves the report until it is made again: a report shows no number
that its own plan would not give. Without any of these it is the first data set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.core.errors import UserError
from pipeline.workflow import job_hash, layout, store
from pipeline.workflow.params import CURRENT

CAPTIONS = job_hash.ROOT / "report"
PAGE = job_hash.ROOT / "pipeline" / "report"
PAGE_FILES = (".css", ".js", ".j2")


def datasets(plan: Any, targets: Iterable[str] = ()) -> list[str]:
    """The report's data sets, in the order of params.yaml."""
    if plan.params.report != CURRENT:
        return list(plan.params.report)
    known, wanted = list(plan.params.datasets), set(targets)
    return [name for name in known if name in wanted or is_current(plan, name)] or known[:1]


def is_current(plan: Any, dataset: str) -> bool:
    """Whether the results of a data set are stored as params.yaml and the code ask for them now."""
    if not layout.path(layout.TABLE, dataset=dataset).exists():
        return False  # most data sets of params.yaml: nothing of theirs has to be planned
    try:
        return all(store.is_complete(folder) for folder in plan.report_folders(dataset))
    except (OSError, UserError):  # an error of another data set is reported when that one is made
        return False


def closure(job: Any) -> list[Any]:
    """A job and all that it is made from, each once."""
    jobs: dict[int, Any] = {}

    def visit(item: Any) -> None:
        if id(item) not in jobs:
            jobs[id(item)] = item
            for other in item.parents:
                visit(other)

    visit(job)
    return list(jobs.values())


def config(plan: Any, names: Iterable[str]) -> dict[str, Any]:
    """What the report is told, the digest of the page's own text among it."""
    about = {
        name: {
            "models": plan.models(name),
            "runs": plan.runs(name),
            "trained": {model: plan.trained(model) for model in plan.models(name)},
            "sequential": plan.sequential(name),
            "published": plan.params.datasets[name].published,
        }
        for name in names
    }
    return {"budget": plan.params.budget, "report": about, "page": digest_of_page()}


def digest_of_page() -> str:
    """Digest of the template, the style, the script and the captions."""
    files = [*CAPTIONS.glob("*.rst"), *(path for path in PAGE.iterdir() if path.suffix in PAGE_FILES)]
    return job_hash.digest([[path.name, path.read_text(encoding="utf-8")] for path in sorted(files)])
