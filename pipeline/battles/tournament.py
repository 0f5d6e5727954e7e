"""A tournament within one training: snapshots of a model judge each other, or are judged by other models.

Olsson et al., 'Skill rating for generative models' (2018), arXiv:1808.04888: discriminators of different steps of a
training judge the generators of all its steps. A rating that still rises at the end says that the model still improves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from pipeline.battles.scores import JudgeScores, beats_chance, ranks_above
from pipeline.battles.standings import standings
from pipeline.battles.verdicts import Row

TOURNAMENT_COLUMNS = ("steps", "rating", "rating_low", "rating_high", "judged", "auc", "fd_classifier", "note")


def tournament(
    judges: Sequence[JudgeScores], steps: Mapping[str, int], distances: Mapping[str, float], seed: int = 0
) -> list[Row]:
    """Rows of TOURNAMENT_COLUMNS by steps, the fewest first.

    Args:
        judges: one training each; a snapshot that judges has its contestant's name, and does not judge itself.
        steps: contestant -> steps of its training.
        distances: contestant -> Frechet distance of its samples, where it is known.
    """
    rated = {str(row["model"]): row for row in standings(judges, list(steps), seed=seed)}
    chance = {judge.model: reason for judge in judges for beats, reason in [beats_chance(judge)] if not beats}
    rows: list[Row] = []
    for name, count in sorted(steps.items(), key=lambda item: item[1]):
        ratings = {column: rated[name][column] for column in TOURNAMENT_COLUMNS[1:5]}
        others = [judge for judge in judges if judge.model not in (name, *chance)]
        ranked = [
            ranks_above(judge.test, of) for judge in others for (who, _), of in judge.samples.items() if who == name
        ]
        ratings["auc"] = fmean(ranked) if ranked else None
        note = f"judges nobody: {chance[name]}" if name in chance else None
        rows.append({"steps": count, **ratings, "fd_classifier": distances.get(name), "note": note})
    return rows
