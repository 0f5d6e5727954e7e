"""Measure the reference rows (`real`, `noise`, `mean_image`) by the same code as every model."""

from __future__ import annotations

from pipeline.infra import layout
from pipeline.infra.stage import Work
from pipeline.stages.evaluate import Subject
from pipeline.training.device import pick_device


def run(work: Work) -> None:
    """One file with the estimates of all three."""
    work.device = pick_device(work.device)
    *references, train, test, classifier, features = work.reads
    subject = Subject(work, train, test, classifier, features)
    named = zip(layout.REFERENCES, references, strict=True)
    work.write_json(work.at(layout.REFERENCE_METRICS), {name: subject.measure(path) for name, path in named})
