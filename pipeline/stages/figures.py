"""Draw the figures of a data set's comparison, each as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline.core import artifacts
from pipeline.figures.battles import battle_matrix, standings_plot, verdict_matrix
from pipeline.figures.class_sheet import class_sheet
from pipeline.figures.class_sizes import class_sizes
from pipeline.figures.classes import class_histogram
from pipeline.figures.cost import score_against_cost, training_cost
from pipeline.figures.distances import Metric, message, ranking, score_overview
from pipeline.figures.losses import loss_overview
from pipeline.figures.samples import sample_sheet
from pipeline.figures.style import finite, save, short
from pipeline.metrics import columns
from pipeline.metrics.bands import BANDS, bands_of
from pipeline.runtime.job_context import JobContext
from pipeline.tables import Row, from_csv, headline_columns
from pipeline.tables.columns import KID
from pipeline.tables.ranks import rank_of
from pipeline.tables.sentence import leaders

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Material:
    """Everything that the figures show, read from this job's inputs."""

    def __init__(self, job: JobContext) -> None:
        runs = [tuple(run) for run in job.config["runs"]]
        inputs = job.inputs
        samples, histories, metrics = (
            dict(zip(runs, inputs[name], strict=True)) for name in ("samples", "histories", "metrics")
        )
        self.warmups: dict[str, int] = job.runtime_only["warmups"]
        self.models: list[str] = list(dict.fromkeys(model for model, _ in runs))
        first = {model: min(seed for name, seed in runs if name == model) for model in self.models}
        self.training_images, self.training_labels = artifacts.read_images(inputs["train"])
        self.real = artifacts.read_images(inputs["test"])[0]
        self.summary = artifacts.read_json(inputs["summary"])
        self.samples = {model: artifacts.read_images(samples[model, first[model]])[0] for model in self.models}
        self.histories = {
            model: from_csv(histories[model, first[model]].read_text(encoding="utf-8")) for model in self.models
        }
        self.metrics = {run: artifacts.read_json(path) for run, path in metrics.items()}
        self.table, self.cost, self.judges, self.battles, self.standings = (
            from_csv(inputs[name].read_text(encoding="utf-8"))
            for name in ("table", "cost", "judges", "battles", "standings")
        )

    def costs(self) -> list[dict[str, Any]]:
        """One row per model: its row of the table with the mean of what its trainings cost; and the row `real`."""
        rows = []
        for row in self.table:
            seconds = [float(item["train_cpu_seconds"] or 0) for item in self.cost if item["model"] == row["model"]]
            if seconds:
                rows.append({**row, "train_cpu_seconds": float(np.mean(seconds))})
        return rows + [row for row in self.table if row["model"] == "real"]

    def sizes(self) -> np.ndarray:
        """Training images of each class, (classes,)."""
        return np.array(list((self.summary["train"]["class_histogram"] or {}).values()), dtype=np.int64)

    def histograms(self) -> dict[str, np.ndarray]:
        """Classes of each model's samples, summed over its seeds."""
        found: dict[str, np.ndarray] = {}
        for (model, _), content in self.metrics.items():
            if "class_histogram" in content:
                found[model] = found.get(model, 0) + np.array(content["class_histogram"])
        return found


def run(job: JobContext) -> None:
    """Draw and write them all."""
    material = Material(job)
    count = 0
    for count, (name, figure) in enumerate(figures(material), start=1):  # noqa: B007
        for kind, content in zip(("png", "svg"), save(figure), strict=True):
            job.write_bytes(job.folder / f"{name}.{kind}", content)
        job.progress.note(f"{name} drawn")
    job.progress.say(f"{count} figures")


def figures(material: Material) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of all that have something to show, in the order of `layout.FIGURES`; the best model first."""
    entries, table, models = columns(), material.table, material.models
    headline = [as_metric(name, entries[name], table) for name in headline_columns(entries, table) if name in entries]
    score = headline[0]
    panels = [metric for metric in headline if any(finite(row, metric.name) is not None for row in table)]
    order = ranking(table, score)
    classes = material.summary["test"]["class_histogram"] or {}
    drawn = {model: counts for model in order if (counts := material.histograms().get(model)) is not None}
    yield "samples", samples(material, score, order)
    yield "scores", score_overview(table, panels)
    histories = {model: material.histories[model] for model in order}
    yield "losses", loss_overview(histories, warmups=material.warmups, models=models)
    costs = material.costs()
    yield "score_against_cost", score_against_cost(costs, score=score.name, score_label=score.label, models=models)
    yield "training_cost", training_cost(costs, models=models)
    if classes:
        yield "classes", class_histogram(np.array(list(classes.values())), drawn, class_names=list(classes))
    if material.training_labels is not None:
        sheet = class_sheet(material.training_images, material.training_labels, material.summary["classes"])
        yield "classes_sheet", sheet
    if (parted := bands(sizes := material.sizes())) is not None:
        yield "class_sizes", class_sizes(sizes, drawn, bands=parted)
    if material.judges:
        yield "judges", battle_matrix(material.judges, models=order)
    if any(finite(row, "advantage") is not None for row in material.battles):
        yield "verdicts", verdict_matrix(material.battles, models=order)
    if any(finite(row, "rating") is not None for row in material.standings):
        yield "standings", standings_plot(material.standings, models=models)


def samples(material: Material, score: Metric, order: Sequence[str]) -> Figure:
    """The sheet of samples, the models by their score, which stands under their names with the rank of the report."""
    label = "KID" if score.name == KID else "FD"
    values = {str(row["model"]): value for row in material.table if (value := finite(row, score.name)) is not None}
    ranked = {str(row["model"]): rank for row in material.table if (rank := rank_of(row, score.name))}
    notes = {name: f"{label} {short(values[name])}" for name in ("real", *order) if name in values}
    notes |= {name: f"{notes[name]}, rank {rank} of {len(ranked)}" for name, rank in ranked.items() if name in notes}
    # The files are ordered, and their first images come from few writers: spread over the whole split instead.
    real = material.real[:: max(1, len(material.real) // 30)]
    images = {"real": real} | {name: material.samples[name] for name in order}
    return sample_sheet(images, notes=notes, title=message(material.table, score))


def bands(sizes: np.ndarray) -> dict[str, np.ndarray] | None:
    """Which classes are of the head, the middle and the tail, by name; None for balanced data."""
    found = bands_of(torch.from_numpy(sizes))
    return None if found is None else {name: (found == band).numpy() for band, name in enumerate(BANDS)}


def as_metric(name: str, entry: dict[str, Any], table: list[Row]) -> Metric:
    """A column's description as the figure takes it, with who leads on it."""
    better = {"lower": "lower", "higher": "higher"}.get(entry["better"] or "", "real")
    return Metric(name, entry["label"], better, leaders(table, name, entry["better"]))  # type: ignore[arg-type]
