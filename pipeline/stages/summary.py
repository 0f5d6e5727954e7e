"""Write the text that a run ends with: the headline table, the paths of the results, and the time taken."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from pipeline.battles.scores import TIE
from pipeline.battles.third_party import UNRESOLVED as UNDECIDED
from pipeline.core import artifacts
from pipeline.metrics import columns
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import duration
from pipeline.tables import Row, from_csv, to_terminal
from pipeline.tables.agreement import agreement
from pipeline.tables.budget import with_cost
from pipeline.tables.claims import UNRESOLVED, tally
from pipeline.tables.sentence import ranks_in_words, sentence
from pipeline.tables.tail import tail_terminal

MADE = (
    ("the table", "results/tables/{dataset}.csv", "also .md, .tex, and .json: what made it"),
    ("by seed", "results/tables/{dataset}_seeds.csv", ""),
    ("battles", "results/tables/{dataset}_battles.csv", ""),
    ("every judge on everyone", "results/tables/{dataset}_judges.csv", ""),
    ("standings", "results/tables/{dataset}_standings.csv", ""),
    ("the papers' claims", "results/tables/{dataset}_claims.csv", "held, reversed or unresolved"),
    ("what it cost", "results/tables/{dataset}_cost.csv", ""),
    ("network sizes", "results/tables/{dataset}_networks.csv", ""),
    ("figures", "results/figures/{dataset}/", "samples, scores, losses, canvases, walks, neighbours, ..."),
    ("the numbers in them", "results/figures/{dataset}/gallery.json", ""),
    ("MLflow", "results/mlflow.db", "look with `make ui`"),
)


def run(job: JobContext) -> None:
    """One page of text for the terminal."""
    dataset = job.wildcards["dataset"]
    table, cost, battles, standings, claims = (
        from_csv(job.inputs[name].read_text(encoding="utf-8"))
        for name in ("table", "cost", "battles", "standings", "claims")
    )
    lines = [
        f"{dataset}: {len(table)} rows",
        "",
        *tail_terminal(table, columns(), artifacts.read_json(job.inputs["summary"]).get("bands")),
        to_terminal(with_cost(table, cost), columns()),
        *filter(None, [sentence(table, columns()), ranks_in_words(table, columns())]),
        "",
        *verdicts(battles, standings),
        *filter(None, [agreement(table, standings, columns())]),
        *of_claims(claims),
        "",
    ]
    lines += [f"  {what:<24} {pattern.format(dataset=dataset)}  {note}".rstrip() for what, pattern, note in MADE]
    lines += [f"  warning: {text}" for text in warnings(artifacts.read_json(job.inputs["gallery"]))]
    cpu = sum(float(row["train_cpu_seconds"] or 0) for row in cost)
    lines += ["", f"training took {duration(cpu)} of CPU for {len(cost)} runs"]
    job.write_text(job.outputs["text"], "\n".join(lines) + "\n")


def warnings(gallery: dict[str, Any]) -> list[str]:
    """Trainings that collapsed, diverged or whose samples lost diversity, a line each."""
    trained = gallery.get("epochs", {})
    return [f"{model} {found['warning']}" for model, found in trained.items() if found["warning"]]


def verdicts(battles: list[Row], standings: list[Row]) -> list[str]:
    """The decided battles, a line each, how many are not, and the standings."""
    decided = [row for row in battles if row["verdict"] in (row["model_1"], row["model_2"])]
    counts = {what: sum(row["verdict"] == what for row in battles) for what in (TIE, UNDECIDED)}
    lines = [f"  {before(row)}" for row in decided]
    ranked = [f"{row['model']} {float(row['rating']):.0f}" for row in standings if row["rating"] is not None]
    head = f"battles  {len(decided)} decided, {counts[TIE]} tied, {counts[UNDECIDED]} unresolved"
    why = Counter(str(row["note"]).split("; ")[0] for row in battles if row["verdict"] == UNDECIDED)
    lines += [f"  unresolved, {count}: {reason}" for reason, count in why.most_common()]
    return [head, *lines, *(["standings  " + ", ".join(ranked)] if ranked else [])]


def before(row: Row) -> str:
    """'dcgan before vae: odds of passing 2.5 [1.3, 4.8] times as high, 3 judges'."""
    first, second = row["model_1"], row["model_2"]
    bounds = [float(row[name] or 0) for name in ("advantage", "advantage_low", "advantage_high")]
    if row["verdict"] == second:
        first, second, bounds = second, first, [-bounds[0], -bounds[2], -bounds[1]]
    odds, low, high = (f"{math.exp(value):.3g}" for value in bounds)
    judges = row["third_party_judges"]
    return f"{first} before {second}: odds of passing {odds} [{low}, {high}] times as high, {judges} judges"


def of_claims(claims: list[Row]) -> list[str]:
    """How many of the papers' claims hold, and those that were decided, a line each."""
    if not claims:
        return []
    decided = [row for row in claims if row["verdict"] != UNRESOLVED]
    why = " (one seed)" if all(row["reason"] == "one seed" for row in claims) else ""
    return [f"the papers' claims  {tally(claims)}{why}"] + [
        f"  {row['verdict']}: {row['claim']}, {row['measure']} ({row['paper']})" for row in decided
    ]
