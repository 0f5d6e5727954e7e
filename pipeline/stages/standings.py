"""Decide the battles: every judge on every contestant, the verdicts on all pairs, and the rating of all models."""

from __future__ import annotations

from collections import Counter
from typing import Any

from safetensors.numpy import load_file

from pipeline.battles.matrix import MATRIX_COLUMNS, judge_matrix, judged_by_seed
from pipeline.battles.scores import judges_of
from pipeline.battles.standings import STANDINGS_COLUMNS, standings
from pipeline.battles.verdicts import BATTLE_COLUMNS, battle_rows
from pipeline.core import artifacts
from pipeline.runtime.job_context import JobContext
from pipeline.tables import published, to_csv
from pipeline.tables.claims import JUDGED_COLUMNS

REJECTED_BELOW = 0.5
"""A set of samples is rejected where 1-NN errs less than this part of how often it errs on real images."""


def run(job: JobContext) -> None:
    """Battles in the form of Im et al. 2016's Table 2, the full matrix of its Table 1, and the standings."""
    block = job.config
    contestants = list(dict.fromkeys(model for model, _ in block["runs"]))
    scored = zip(block["judges"], job.inputs["scores"], strict=True)
    judges = [judge for model, path in scored for judge in judges_of(model, load_file(path))]
    judged_by = block["judged_by"]
    rule = {"tolerance": block["tolerance"], "ratio": block["ratio"], "doubled": block["doubled"]}
    battles = battle_rows(contestants, judges, judged_by=judged_by, **rule)
    table_2, table_3, table_4 = (
        (published.FOLDER / f"gran_{name}.csv").read_text(encoding="utf-8")
        for name in ("table2_battles", "table3_non_adversarial", "table4_more_steps")
    )
    battles = published.battles_beside(battles, block["dataset"], table_2, table_4)
    matrix = published.errors_beside(judge_matrix(judges, contestants), block["dataset"], table_3)
    job.write_text(job.outputs["battles"], to_csv(battles, (*BATTLE_COLUMNS, *published.PAPER_BATTLES)))
    job.write_text(job.outputs["judges"], to_csv(matrix, (*MATRIX_COLUMNS, "paper_error")))
    job.write_text(job.outputs["judges_seeds"], to_csv(judged_by_seed(judges, contestants), JUDGED_COLUMNS))
    left_out = {"beyond_training": block["beyond_training"], "rejected": rejected(job)}
    rated = standings(judges, contestants, judged_by=judged_by, seed=block["seed"], **left_out)
    job.write_text(job.outputs["standings"], to_csv(rated, STANDINGS_COLUMNS))
    for row in battles:
        job.progress.note(
            f"{row['model_1']} against {row['model_2']}: {row['verdict']}"
            + (f" ({row['note']})" if row.get("note") else "")
        )
    job.progress.say(f"{len(battles)} battles, {len(judges)} judges")


def rejected(job: JobContext) -> list[str]:
    """Models whose samples leave-one-out 1-NN tells from held-out images in most seeds, far better than real ones."""
    real = error_of(artifacts.read_json(job.inputs["references"])["real"])
    told, seeds = Counter[str](), Counter(model for model, _ in job.config["runs"])
    for (model, _), path in zip(job.config["runs"], job.inputs["metrics"], strict=True):
        error = error_of(artifacts.read_json(path))
        told[model] += error is not None and real is not None and error < REJECTED_BELOW * real
    return [model for model in seeds if told[model] > seeds[model] / 2]


def error_of(measured: dict[str, Any]) -> float | None:
    """The error of 1-NN between samples and held-out images, where it was measured."""
    estimate = measured["estimates"].get("c2st_1nn_error")
    return None if estimate is None else float(estimate["value"])
