"""Build the main table of a data set (CSV, Markdown, LaTeX), the same figures by seed, and what every run cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.infra import artifacts, layout
from pipeline.infra.stage import Work
from pipeline.metrics import columns
from pipeline.metrics.estimates import combine_seeds
from pipeline.tables import (
    COST_COLUMNS,
    Run,
    cost_table,
    main_columns,
    main_table,
    published_markdown,
    published_metrics,
    seeds_columns,
    seeds_table,
    to_csv,
    to_latex,
    to_markdown,
)

PUBLISHED = Path(__file__).parents[1] / "tables" / "published"


def run(work: Work) -> None:
    """Rows from the files of all runs and of the references."""
    runs = [tuple(run) for run in work.block["runs"]]
    metrics, training, *costs = (work.reads[i * len(runs) : (i + 1) * len(runs)] for i in range(4))
    results: dict[str, list[Run]] = {}
    for (model, seed), measured, trained in zip(runs, metrics, training, strict=True):
        results.setdefault(model, []).append(as_run(seed, artifacts.read_json(measured), artifacts.read_json(trained)))
    references = {name: [as_run(0, content)] for name, content in artifacts.read_json(work.reads[-1]).items()}
    described = columns()
    rows = main_table(
        results, described, combine=combine_seeds, references=references, published=published(work.block["published"])
    )
    work.write_text(work.at(layout.TABLE), to_csv(rows, main_columns(described)))
    beside = published_markdown(rows) if work.block["published"] else ""
    work.write_text(work.at(layout.TABLE_MARKDOWN), "\n".join(filter(None, [to_markdown(rows, described), beside])))
    work.write_text(work.at(layout.TABLE_LATEX), to_latex(rows, described))
    work.write_text(work.at(layout.SEEDS), to_csv(seeds_table(results, described), seeds_columns(described)))
    work.write_text(work.at(layout.COST), cost_csv(runs, *costs))
    for row in rows:
        if row["status"] not in (None, "ok"):
            work.progress.say(f"warning: {row['model']} has {row['status']}; its row stays in the table and says so")


def as_run(seed: int, measured: dict[str, Any], trained: dict[str, Any] | None = None) -> Run:
    """One run as the tables take it."""
    protocol = measured["protocol"]
    return Run(
        seed=seed,
        estimates=measured["estimates"],
        n_real=protocol["n_real"],
        n_fake=protocol["n_fake"],
        parameters=trained["parameters"]["total"] if trained else None,
        status=trained["status"] if trained else None,
    )


def cost_csv(runs: list[tuple[str, int]], training: list[Path], sampling: list[Path]) -> str:
    """What every run took where it ran. It differs from machine to machine, so the other tables do not read it."""
    parts = zip(runs, training, sampling, strict=True)
    costs = {run: artifacts.read_json(first) | artifacts.read_json(second) for run, first, second in parts}
    return to_csv(cost_table(costs), COST_COLUMNS)


def published(name: str | None) -> dict[str, dict[str, str]]:
    """The paper's own numbers for a data set; nothing where there are none."""
    return dict(published_metrics((PUBLISHED / f"{name}.csv").read_text())) if name else {}
