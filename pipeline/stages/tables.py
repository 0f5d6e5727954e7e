"""Build the main table of a data set (CSV, Markdown, LaTeX), the same by seed, the costs, and the papers' claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.metrics import columns
from pipeline.metrics.agreement import ignores_class
from pipeline.metrics.estimates import combine_seeds
from pipeline.runtime.job_context import JobContext
from pipeline.tables import (
    COST_COLUMNS,
    NETWORK_COLUMNS,
    Row,
    Run,
    battles_markdown,
    claims_markdown,
    cost_table,
    from_csv,
    main_columns,
    main_table,
    network_table,
    notes_markdown,
    published_markdown,
    published_metrics,
    ranks_markdown,
    seeds_columns,
    seeds_table,
    to_csv,
    to_latex,
    to_markdown,
)
from pipeline.tables.agreement import agreement
from pipeline.tables.budget import budget_note, budget_rows, images_seen
from pipeline.tables.claims import CLAIM_COLUMNS, Evidence, claim_rows, read_claims
from pipeline.tables.published import FOLDER
from pipeline.tables.ranks import with_ranks
from pipeline.tables.sentence import sentence
from pipeline.tables.tail import tail_markdown

DEPENDENT = (
    "Images of this data set are not independent of each other, as the frames of one film are not: intervals are too "
    "short, and held-out images are nearly training images, so no column tells learning from copying.\n"
)


def run(job: JobContext) -> None:
    """Rows from the files of all runs and of the references."""
    runs = [tuple(run) for run in job.config["runs"]]
    inputs, training = job.inputs, job.inputs["trainings"]
    results: dict[str, list[Run]] = {}
    notes: dict[str, dict[str, str]] = {}
    for (model, seed), measured, trained in zip(runs, inputs["metrics"], training, strict=True):
        content = artifacts.read_json(measured)
        results.setdefault(model, []).append(as_run(seed, content, artifacts.read_json(trained)))
        notes.setdefault(model, {}).update(content.get("undefined", {}))
    references = artifacts.read_json(inputs["references"])
    shown = {name: [as_run(0, content)] for name, content in references.items()}
    notes |= {name: content.get("undefined", {}) for name, content in references.items()}
    described, paper = columns(), published(job.config["published"])
    rows = main_table(results, described, combine=combine_seeds, references=shown, published=paper)
    standings = from_csv(inputs["standings"].read_text(encoding="utf-8"))
    ratings = {row["model"]: row["rating"] for row in standings}
    rows = [row | {"rating": ratings.get(row["model"])} for row in rows]
    singles = seeds_table(results | {name: shown[name] for name in shown if name == "real"}, described)
    judged, fights, judges = (
        from_csv(inputs[name].read_text(encoding="utf-8")) for name in ("judges_seeds", "battles", "judges")
    )
    spent = costs_of(runs, inputs["training_costs"], inputs["sampling_costs"], training)
    evidence = evidence_of(job, singles, rows, judged, fights, cost_table(spent))
    claims = claim_rows(read_claims((FOLDER / "claims.csv").read_text(encoding="utf-8")), evidence)
    rows = with_ranks(rows, evidence)
    job.write_text(job.outputs["table"], to_csv(rows, main_columns(described)))
    beside = published_markdown(rows) if job.config["published"] else ""
    bands = artifacts.read_json(inputs["summary"]).get("bands")
    verdict = sentence(rows, described)
    parts = [
        tail_markdown(rows, described, bands),
        to_markdown(rows, described),
        f"{verdict}\n" if verdict else "",
        ranks_markdown(rows, described),
        budget_note(budget_rows(cost_table(spent))),
        DEPENDENT if job.config["dependent"] else "",
        notes_markdown(notes),
        beside,
        battles_markdown(fights, judges),
        f"{agrees}\n" if (agrees := agreement(rows, standings, described)) else "",
        claims_markdown(claims),
    ]
    job.write_text(job.outputs["markdown"], "\n".join(filter(None, parts)))
    job.write_text(job.outputs["latex"], to_latex(rows, described))
    job.write_text(job.outputs["seeds"], to_csv(singles, seeds_columns(described)))
    job.write_text(job.outputs["claims"], to_csv(claims, CLAIM_COLUMNS))
    sizes = {model: artifacts.read_json(path)["parameters"] for (model, _), path in zip(runs, training, strict=True)}
    job.write_text(job.outputs["cost"], to_csv(cost_table(spent), COST_COLUMNS))
    job.write_text(job.outputs["networks"], to_csv(network_table(sizes, spent), NETWORK_COLUMNS))
    for row in rows:
        if row["status"] not in (None, "ok"):
            job.progress.say(f"warning: {row['model']}: {row['status']}; its row stays in the table and says so")
    job.progress.say(f"{len(rows)} rows")


def as_run(seed: int, measured: dict[str, Any], trained: dict[str, Any] | None = None) -> Run:
    """One run as the tables take it."""
    protocol = measured["protocol"]
    return Run(
        seed=seed,
        estimates=measured["estimates"],
        n_real=protocol["n_real"],
        n_fake=protocol["n_fake"],
        parameters=trained["parameters"]["total"] if trained else None,
        status=status_of(measured, trained["status"]) if trained else None,
    )


def status_of(measured: dict[str, Any], trained: str) -> str:
    """How the training ended; of a conditional model also whether its samples follow the class."""
    found = measured["estimates"]
    followed = [found[name]["value"] for name in ("class_accuracy", "class_accuracy_chance") if name in found]
    return "unconditional in effect" if trained == "ok" and followed and ignores_class(*followed) else trained


def evidence_of(
    job: JobContext, seeds: list[Row], rows: list[Row], judged: list[Row], battles: list[Row], costs: list[Row]
) -> Evidence:
    """What the papers' claims about this table's models, and its ranks, are tested by."""
    real = next((row for row in rows if row["model"] == "real"), {})
    block, dataset = job.config, job.wildcards["dataset"]
    return Evidence(seeds, columns(), real, judged, block["judged_by"], block["tolerance"], battles, dataset, costs)


def costs_of(
    runs: list[tuple[str, int]], training: list[Path], sampling: list[Path], trained: list[Path]
) -> dict[tuple[str, int], dict[str, Any]]:
    """What every run took where it ran. It differs from machine to machine, so the table of scores does not read it.

    `images_seen` alone, from the steps in `trained`, is the same everywhere.
    """
    spent: dict[tuple[str, int], dict[str, Any]] = {}
    for run, *files in zip(runs, training, sampling, trained, strict=True):
        first, second, report = map(artifacts.read_json, files)
        spent[run] = {"images_seen": images_seen(first, report["steps"])} | first | second
    return spent


def published(name: str | None) -> dict[str, dict[str, str]]:
    """The paper's own numbers for a data set; nothing where there are none."""
    return dict(published_metrics((FOLDER / f"{name}.csv").read_text(encoding="utf-8"))) if name else {}
