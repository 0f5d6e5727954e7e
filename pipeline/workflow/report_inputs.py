"""Which data sets the report shows, and what it reads of each; decided by content, and never a reason to compute one.

`report: current` in params.yaml means those that are asked for in the same command, and those whose results are there
as params.yaml and the code ask for them now. One that became stale leaves the report until it is made again: a report
shows no number that its own plan would not give. Where nothing is there and nothing asked for, it is the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.workflow import job_hash, layout, reconcile, stamps
from pipeline.workflow.params import CURRENT

RUNTIME_ONLY = True

Input = tuple[Any, str]
"""(a job of the plan, the path of one of its outputs)."""

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
        if not all(Path(path).exists() for _, path in inputs(plan, dataset)):
            return False
        sums = reconcile.Sums()
        jobs = closure(plan.job("summary", dataset))
        return all(_is_sound(job, path, sums) for job in jobs for path in job.outputs if Path(path).exists())
    except (OSError, UserError):  # another data set's own trouble is told where that one is asked for
        return False


def _is_sound(job: Any, path: str, sums: reconcile.Sums) -> bool:
    """Whether a file has the bytes of its stamp, and the planned job made it."""
    stamp = stamps.read(Path(path))
    if stamp is None or stamp["identity"] != job.identity:
        return False
    return sums.of(Path(path), path) == (stamp["bytes"], stamp["sha256"])


def inputs(plan: Any, dataset: str) -> list[Input]:
    """All that the report reads of a data set, each file once."""
    runs, jobs = plan.runs(dataset), closure(plan.job("summary", dataset))
    wanted = [
        layout.SUMMARY, layout.TEST, layout.CLASSIFIER_REPORT, layout.TABLE, layout.COST, layout.CLAIMS,
        layout.BATTLES, layout.JUDGES, layout.STANDINGS, layout.TRACKED,
    ]  # fmt: skip
    paths = [str(layout.path(pattern, dataset=dataset)) for pattern in wanted]
    for model, seed in runs:
        trained = plan.trained(model)
        for pattern, name in ((layout.TRAINING, trained), (layout.WEIGHTS, trained), (layout.METRICS, model)):
            paths.append(str(layout.path(pattern, dataset=dataset, model=name, seed=seed)))
    for model, pattern in shown(plan, dataset):
        paths.append(str(layout.path(pattern, dataset=dataset, model=model, seed=0)))
    makers = {path: job for job in jobs for path in job.outputs}
    paths += [path for path in makers if layout.FIGURE_FOLDER.match(path)]
    return [(makers[path], path) for path in dict.fromkeys(paths)]


def shown(plan: Any, dataset: str) -> Iterator[tuple[str, str]]:
    """(model, pattern) of the images that the report shows: every model's samples, and canvases where it has them."""
    for model in plan.models(dataset):
        yield model, layout.SAMPLES
        if model in plan.sequential(dataset):
            yield model, layout.CANVASES


def closure(job: Any) -> list[Any]:
    """A job and all that it is made from, each once."""
    found: dict[int, Any] = {}

    def visit(item: Any) -> None:
        if id(item) not in found:
            found[id(item)] = item
            for other in item.inputs:
                visit(other)

    visit(job)
    return list(found.values())


def block(plan: Any, names: Iterable[str]) -> dict[str, Any]:
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
