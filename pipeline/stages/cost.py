"""Gather what every training and sampling took, measured where it ran."""

from __future__ import annotations

from pipeline.infra import artifacts, layout
from pipeline.infra.stage import Work
from pipeline.tables import COST_COLUMNS, cost_table, to_csv


def run(work: Work) -> None:
    """`<dataset>_cost.csv`; it changes from run to run, so nothing that is compared byte for byte reads it."""
    runs = [tuple(run) for run in work.block["runs"]]
    training, sampling = work.reads[: len(runs)], work.reads[len(runs) :]
    costs = {
        run: artifacts.read_json(first) | artifacts.read_json(second)
        for run, first, second in zip(runs, training, sampling, strict=True)
    }
    work.write_text(work.at(layout.COST), to_csv(cost_table(costs), COST_COLUMNS))
