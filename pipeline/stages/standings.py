"""Decide the battles: every judge on every contestant, winners, and the rating of all models."""

from __future__ import annotations

from safetensors.numpy import load_file

from pipeline.battles.matrix import MATRIX_COLUMNS, judge_matrix, judged_by_seed
from pipeline.battles.scores import judges_of
from pipeline.battles.standings import STANDINGS_COLUMNS, standings
from pipeline.battles.verdicts import BATTLE_COLUMNS, battle_rows
from pipeline.runtime.job_context import JobContext
from pipeline.tables import published, to_csv
from pipeline.tables.claims import JUDGED_COLUMNS


def run(job: JobContext) -> None:
    """Battles in the form of 001's Table 2, the full matrix of its Table 1, and the standings."""
    block = job.config
    contestants = list(dict.fromkeys(model for model, _ in block["runs"]))
    scored = zip(block["judges"], job.inputs["scores"], strict=True)
    judges = [judge for model, path in scored for judge in judges_of(model, load_file(path))]
    # Other samples of a training fight with the training's judge, in the order of the table.
    judged_by, seated = block["judged_by"], {judge.model for judge in judges}
    models = [model for model in contestants if judged_by.get(model, model) in seated]
    rule = {"tolerance": block["tolerance"], "ratio": block["ratio"]}
    battles = battle_rows(models, judges, judged_by=judged_by, **rule)
    table_2, table_3, table_4 = (
        (published.FOLDER / f"gran_{name}.csv").read_text(encoding="utf-8")
        for name in ("table2_battles", "table3_non_adversarial", "table4_more_steps")
    )
    battles = published.battles_beside(battles, block["dataset"], table_2, table_4)
    matrix = published.errors_beside(judge_matrix(judges, contestants), block["dataset"], table_3)
    job.write_text(job.outputs["battles"], to_csv(battles, (*BATTLE_COLUMNS, *published.PAPER_BATTLES)))
    job.write_text(job.outputs["judges"], to_csv(matrix, (*MATRIX_COLUMNS, "paper_error")))
    job.write_text(job.outputs["judges_seeds"], to_csv(judged_by_seed(judges, contestants), JUDGED_COLUMNS))
    rated = standings(judges, contestants, judged_by=judged_by, seed=block["seed"])
    job.write_text(job.outputs["standings"], to_csv(rated, STANDINGS_COLUMNS))
    for row in battles:
        job.progress.say(
            f"{row['model_1']} against {row['model_2']}: winner {row['winner']}, tested {row['winner_tested']}"
            + (f" ({row['note']})" if row.get("note") else "")
        )
