"""Draw how one model draws: its canvases through time, as PNG and SVG."""

from __future__ import annotations

from pipeline.core import artifacts
from pipeline.figures.canvases import canvas_sheet
from pipeline.figures.style import save
from pipeline.runtime.job_context import JobContext
from pipeline.workflow import layout


def run(job: JobContext) -> None:
    """One sheet, samples as rows and steps as columns."""
    canvases, _ = artifacts.read_images(job.reads[0])
    png, svg = save(canvas_sheet(canvases, title=f"{job.block['model']}: canvases through time"))
    path = job.at(layout.CANVAS_SHEET)
    job.write_bytes(path.with_suffix(".png"), png)
    job.write_bytes(path.with_suffix(".svg"), svg)
