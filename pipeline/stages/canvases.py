"""Draw how one model draws: its canvases through time, as PNG and SVG."""

from __future__ import annotations

from pipeline.core import artifacts
from pipeline.figures.canvases import canvas_sheet
from pipeline.figures.style import save
from pipeline.runtime.job_context import JobContext


def run(job: JobContext) -> None:
    """One sheet, samples as rows and steps as columns."""
    canvases, _ = artifacts.read_images(job.inputs["canvases"])
    png, svg = save(canvas_sheet(canvases, title=f"{job.config['model']}: canvases through time"))
    job.write_bytes(job.outputs["png"], png)
    job.write_bytes(job.outputs["svg"], svg)
