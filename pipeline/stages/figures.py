"""Draw the figures of a data set's comparison, each as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline.core import artifacts
from pipeline.figures.battles import battle_matrix, standings_plot, verdict_matrix
from pipeline.figures.class_sheet import class_sheet
from pipeline.figures.class_sizes import class_sizes
from pipeline.figures.classes import class_histogram
from pipeline.figures.cost import score_against_cost, training_cost
from pipeline.figures.distances import Metric, score_overview
from pipeline.figures.losses import loss_overview
from pipeline.figures.samples import sample_sheet
from pipeline.figures.style import save
from pipeline.metrics import columns
from pipeline.metrics.bands import BANDS, bands_of
from pipeline.runtime.job_context import JobContext
from pipeline.tables import Row, from_csv, headline_columns
from pipeline.tables.sentence import leaders

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORE_AGAINST_COST = "fd_classifier"


class Material:
    """Everything that the figures show, read from this job's inputs."""

    def __init__(self, job: JobContext) -> None:
        runs = [tuple(run) for run in job.config["runs"]]
        inputs = job.inputs
        samples, histories, metrics = (
            dict(zip(runs, inputs[name], strict=True)) for name in ("samples", "histories", "metrics")
        )
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
        """One row per model: its row of the table with the mean of what its trainings cost."""
        rows = []
        for row in self.table:
            seconds = [float(item["train_cpu_seconds"] or 0) for item in self.cost if item["model"] == row["model"]]
            if seconds:
                rows.append({**row, "train_cpu_seconds": float(np.mean(seconds))})
        return rows

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
    for name, figure in figures(material):
        png, svg = save(figure)
        job.write_bytes(job.outputs[f"{name}_png"], png)
        job.write_bytes(job.outputs[f"{name}_svg"], svg)
        job.progress.note(f"{name} drawn")


def figures(material: Material) -> Iterator[tuple[str, Figure]]:
    """(name, figure), in the order of `layout.FIGURES`."""
    entries = columns()
    headline = [as_metric(name, entries[name], material.table) for name in headline_columns(entries) if name in entries]
    score = entries[SCORE_AGAINST_COST]
    names = material.summary["test"]["class_histogram"] or {}
    # The files are ordered, and their first images come from few writers: spread over the whole split instead.
    real = material.real[:: max(1, len(material.real) // 30)]
    yield "samples", sample_sheet({"real": real, **material.samples})
    yield "scores", score_overview(material.table, headline)
    yield "losses", loss_overview(material.histories)
    yield (
        "score_against_cost",
        score_against_cost(
            material.costs(), score=SCORE_AGAINST_COST, score_label=score["label"], models=material.models
        ),
    )
    yield "training_cost", training_cost(material.costs())
    yield "classes", class_histogram(np.array(list(names.values())), material.histograms(), class_names=list(names))
    yield "classes_sheet", class_sheet(material.training_images, material.training_labels, material.summary["classes"])
    yield "class_sizes", class_sizes(sizes := material.sizes(), material.histograms(), bands=bands(sizes))
    yield "judges", battle_matrix(material.judges, models=material.models)
    yield "verdicts", verdict_matrix(material.battles, models=material.models)
    yield "standings", standings_plot(material.standings, models=material.models)


def bands(sizes: np.ndarray) -> dict[str, np.ndarray] | None:
    """Which classes are of the head, the middle and the tail, by name; None for balanced data."""
    found = bands_of(torch.from_numpy(sizes))
    return None if found is None else {name: (found == band).numpy() for band, name in enumerate(BANDS)}


def as_metric(name: str, entry: dict[str, Any], table: list[Row]) -> Metric:
    """A column's description as the figure takes it, with who leads on it."""
    better = {"lower": "lower", "higher": "higher"}.get(entry["better"] or "", "real")
    return Metric(name, entry["label"], better, leaders(table, name, entry["better"]))  # type: ignore[arg-type]
