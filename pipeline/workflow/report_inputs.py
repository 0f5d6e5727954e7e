"""Which data sets the report shows, and what it reads of each; decided by content, and never a reason to compute one.

`report: current` in params.yaml means those that are asked for in the same command, and those whose results are there
as params.yaml and the code ask for them now. One that became stale leaves the report until it is made again: a report
shows no number that its own plan would not give. Where nothing is there and nothing asked for, it is the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.workflow import job_hash, layout, reconcile, stamps
from pipeline.workflow.params import CURRENT

RESULT_NEUTRAL = True

CAPTIONS = job_hash.ROOT / "report"
PAGE = job_hash.ROOT / "pipeline" / "report"
PAGE_FILES = (".css", ".js", ".j2")


def datasets(plan: Any, asked: Iterable[str] = ()) -> list[str]:
    """The report's data sets, in the order of params.yaml."""
    if plan.params.report != CURRENT:
        return list(plan.params.report)
    known, wanted = list(plan.params.datasets), set(asked)
    return [name for name in known if name in wanted or is_current(plan, name)] or known[:1]


def is_current(plan: Any, dataset: str) -> bool:
    """Whether all that the report reads of a data set is there, and nothing of the data set is stale or damaged.

    Only then does Snakemake do nothing for it but read.
    """
    if not layout.path(layout.TABLE, dataset=dataset).exists():
        return False  # most data sets of params.yaml: nothing of theirs has to be planned
    try:
        if not all(Path(path).exists() for path in plan.report_paths(dataset)):
            return False
        sums = reconcile.Sums()
        jobs = closure(plan.job("summary", dataset))
        return all(_is_sound(job, path, sums) for job in jobs for path in job.outputs.values() if Path(path).exists())
    except (OSError, UserError):  # another data set's own trouble is told where that one is asked for
        return False


def _is_sound(job: Any, path: str, sums: reconcile.Sums) -> bool:
    """Whether a file has the bytes of its stamp, and the planned job made it."""
    stamp = stamps.read(Path(path))
    if stamp is None or stamp["identity"] != job.identity:
        return False
    return sums.of(Path(path), path) == (stamp["bytes"], stamp["sha256"])


def closure(job: Any) -> list[Any]:
    """A job and all that it is made from, each once."""
    found: dict[int, Any] = {}

    def visit(item: Any) -> None:
        if id(item) not in found:
            found[id(item)] = item
            for other in item.parents:
                visit(other)

    visit(job)
    return list(found.values())


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
    return job_hash.digest([[path.name, path.read_text()] for path in sorted(files)])
