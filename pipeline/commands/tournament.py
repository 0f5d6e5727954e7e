"""Rate the snapshots of one training by judges (Olsson et al. 2018), from stored results."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import overrides
from pipeline.workflow.plan import Plan
from pipeline.workflow.shares import Wanted, commands

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.battles.scores import JudgeScores
    from pipeline.tables.rows import Row

FEWEST, MOST = 2, 20
"""Snapshots of a training."""


@dataclass(frozen=True)
class Entrant:
    """A model trained for a share of its steps, as a contestant or as a judge."""

    name: str
    plan: Plan
    dataset: str
    model: str
    seed: int

    def wanted(self, stage: str, output: str) -> Wanted:
        """An output of one of its jobs."""
        job = self.plan.job(
            stage, self.dataset, self.plan.trained(self.model) if stage == "train" else self.model, self.seed
        )
        return Wanted(self.plan, job, output)

    def path(self, stage: str, output: str) -> Path:
        """Where that is stored."""
        return Path(self.wanted(stage, output).path)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The training, how many snapshots, and where to write."""
    parser.add_argument("--model", required=True, help="a model of params.yaml")
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default: 0)")
    parser.add_argument("--snapshots", type=int, default=5, help="lengths of the training, evenly spaced (default: 5)")
    parser.add_argument("--to", type=Path, metavar="FILE.csv", help="also write the table")
    parser.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu", help="where to judge (default: cpu)"
    )
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table; 1 and the commands that make what is missing, if anything is."""
    from pipeline.battles.tournament import TOURNAMENT_COLUMNS, tournament
    from pipeline.tables import to_csv

    plan = overrides.of(arguments)
    snapshots, judges = entrants(plan, arguments)
    wanted = [snapshot.wanted("evaluate", "metrics") for snapshot in snapshots]
    wanted += [judge.wanted("sample", "images") for judge in judges if judge not in snapshots]
    if lines := commands(wanted):
        print("\n".join(["some results are missing; these commands make them:", *lines]))
        return 1
    scores = [scores_of(judge, snapshots, arguments.device) for judge in judges]
    steps = {of.name: artifacts.read_json(of.path("train", "training"))["steps"] for of in snapshots}
    measured = {of.name: artifacts.read_json(of.path("evaluate", "metrics"))["estimates"] for of in snapshots}
    distances = {name: of["fd_classifier"]["value"] for name, of in measured.items() if "fd_classifier" in of}
    rows = tournament(scores, steps, distances, plan.params.protocol.seed)
    report(rows, arguments.model, [judge.name for judge in judges])
    if arguments.to is not None:
        artifacts.write_text(arguments.to, to_csv(rows, TOURNAMENT_COLUMNS))
    return 0


def entrants(plan: Plan, arguments: argparse.Namespace) -> tuple[list[Entrant], list[Entrant]]:
    """The snapshots, and the judges: themselves if they have discriminators, else the table's fully trained judges."""
    count, dataset, model, seed = arguments.snapshots, arguments.dataset, arguments.model, arguments.seed
    if not FEWEST <= count <= MOST:
        raise UserError(f"--snapshots: found {count}, expected {FEWEST} to {MOST}")
    if seed < 0:
        raise UserError(f"--seed: found {seed}, expected 0 or more")
    plan.require(dataset, model)
    plan.require_trained(model)
    shares = [round(number / count, 4) for number in range(1, count + 1)]
    snapshots = [Entrant(f"{model} {share:.0%}", plan.with_share(share), dataset, model, seed) for share in shares]
    if plan.declares(model, "discriminate"):
        return snapshots, snapshots
    judges = [Entrant(name, plan, dataset, name, seed) for name in plan.judges(dataset)]
    if not judges:
        raise UserError(f"{model} has no discriminator, and no model of {dataset}'s table has one: there is no judge")
    return snapshots, judges


def scores_of(judge: Entrant, contestants: Sequence[Entrant], device: str) -> JudgeScores:
    """A judge's logits on real images, on its own generator's samples and on all contestants'."""
    from pipeline.battles.judging import REFRESHED_WITH, logits, refresh
    from pipeline.battles.scores import JudgeScores
    from pipeline.datasets.prepared import load_split, subset
    from pipeline.training.device import pick_device
    from pipeline.training.trained import rebuilt

    params, prepared = judge.plan.params, judge.plan.job("prepare", judge.dataset)
    n = min(judge.plan.n_samples(), params.protocol.judged_images)
    weights = artifacts.read_tensors(judge.path("train", "weights"))
    network = rebuilt(judge.plan.network(judge.model, judge.dataset), weights, pick_device(device))
    real = {name: load_split(Path(prepared.outputs[name]))[0] for name in ("train", "valid", "test")}
    train, half = real["train"], REFRESHED_WITH // 2
    refresh(network, train[subset(len(train), half, 0)], load_split(judge.path("sample", "images"))[0][:half])

    def judged(images: Tensor) -> Any:
        return logits(network, images[subset(len(images), n, 2)]).numpy()

    samples = {
        (of.name, of.seed): judged(load_split(of.path("sample", "images"))[0])
        for of in dict.fromkeys((judge, *contestants))
    }
    return JudgeScores(
        judge.name, judge.seed, **{name: judged(images) for name, images in real.items()}, samples=samples
    )


def report(rows: Sequence[Row], model: str, judges: Sequence[str]) -> None:
    """The table, who judged, and Spearman's correlations with the steps and with the distance."""
    from pipeline.battles.tournament import TOURNAMENT_COLUMNS
    from pipeline.metrics import columns
    from pipeline.tables import to_terminal
    from pipeline.tables.agreement import spearman
    from pipeline.tables.text import readable

    described = columns() | {
        "steps": {"label": "Steps", "meaning": "Steps of the training.", "better": None},
        "auc": {
            "label": "AUC",
            "meaning": "Mean share of real images that a judge ranks above a sample.",
            "better": "lower",
        },
    }
    print(to_terminal(rows, described, TOURNAMENT_COLUMNS))
    print(f"{model}, judged by {', '.join(judges)}; a snapshot does not judge itself")
    rating, auc, steps, distance = (
        {str(row["steps"]): sign * float(row[name] or 0) for row in rows if row[name] is not None}
        for name, sign in (("rating", 1), ("auc", -1), ("steps", 1), ("fd_classifier", -1))
    )
    if len({*rating.values()}) == 1:
        print("all verdicts are ties, for example because few samples pass a judge: read the AUC, not the rating")
    for words, other in (("the steps", steps), ("the Frechet distance (sign reversed)", distance)):
        for score, values in (("the rating", rating), ("the AUC (sign reversed)", auc)):
            value, count = spearman(values, other)
            known = readable(value, 2) or "unknown"
            print(f"Spearman's correlation of {score} with {words}: {known} ({count} snapshots)")
