"""Fetch the raw files of a data set, each verified by its SHA-256."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.infra import layout, sources
from pipeline.infra.stage import Work


def run(work: Work) -> None:
    """Put the raw files in place; the list of them with their digests is what the next stage reads."""
    dataset, files = work.wildcards["dataset"], work.block["files"]
    mirror = os.environ.get("DATA_MIRROR")
    sources.fetch(
        dataset,
        files,
        work.neutral["sources"],
        destination=work.at(layout.RAW),
        mirror=Path(mirror) if mirror else None,
        say=work.progress.say,
    )
    work.write_json(work.at(layout.FETCHED), {"files": files})
