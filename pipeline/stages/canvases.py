"""Draw how one model draws: its canvases through time, as PNG and SVG."""

from __future__ import annotations

from pipeline.core import artifacts
from pipeline.figures.canvases import canvas_sheet
from pipeline.figures.style import save
from pipeline.runtime.job_context import Work
from pipeline.workflow import layout


def run(work: Work) -> None:
    """One sheet, samples as rows and steps as columns."""
    canvases, _ = artifacts.read_images(work.reads[0])
    png, svg = save(canvas_sheet(canvases, title=f"{work.block['model']}: canvases through time"))
    path = work.at(layout.CANVAS_SHEET)
    work.write_bytes(path.with_suffix(".png"), png)
    work.write_bytes(path.with_suffix(".svg"), svg)
