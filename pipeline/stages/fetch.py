"""Fetch the raw files of a data set, each verified by its SHA-256, or find them in a local folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.runtime.job_context import JobContext, sole_writer
from pipeline.workflow import content_hash, layout, sources


def run(job: JobContext) -> None:
    """Put the raw files in place; the list of them with their digests is what the next stage reads."""
    raw = job.at(layout.RAW)
    if "content" in job.config:
        find(job, content_hash.located(job.runtime_only["path"]), raw)
    else:
        bring(job, job.config["files"], raw)
    job.write_json(job.outputs["fetched"], {key: job.config[key] for key in ("content", "files") if key in job.config})


def find(job: JobContext, path: Path, raw: Path) -> None:
    """A person's own folder or file stays where it is; its contents must be what was planned with."""
    expected, advice = job.config["content"], job.runtime_only.get("manual_download")
    if expected in (content_hash.ABSENT, content_hash.UNREADABLE):
        what = "not found" if expected == content_hash.ABSENT else "could not be read; check its rights"
        raise UserError(f"{path}: {what}; datasets.{job.wildcards['dataset']}.path names it" + and_do(advice))
    raw.mkdir(parents=True, exist_ok=True)
    if content_hash.digest(path, raw) != expected:
        raise UserError(f"{path}: changed while it was being read; run the same command again")
    content_hash.write_index(path, raw)
    job.progress.say(f"{path}: found, {expected[:12]} by content")


def bring(job: JobContext, files: Mapping[str, str], raw: Path) -> None:
    """Fetch files into data/raw, or into the folder that several working folders share and link to it from here."""
    dataset, advice = job.wildcards["dataset"], job.runtime_only.get("manual_download")
    missing = [file for file, digest in files.items() if digest == content_hash.ABSENT]
    if missing:
        raise UserError(f"{dataset}: no {', '.join(missing)} in {raw}/ or in $DATA_MIRROR/{dataset}/" + and_do(advice))
    mirror, shared = os.environ.get("DATA_MIRROR"), os.environ.get("DATA_RAW")
    folder = Path(shared) / dataset if shared else raw
    placed = [{"kind": "folder", "path": str(raw)}] if shared and raw.is_dir() else []
    lock = sole_writer(f"fetch {dataset}", folder.parent / ".locks") if shared else contextlib.nullcontext()
    try:
        with lock:
            sources.fetch(
                dataset,
                files,
                [*placed, *job.runtime_only["sources"]],
                destination=folder,
                mirror=Path(mirror) if mirror else None,
                say=job.progress.say,
            )
    except sources.SourceError as error:
        raise UserError(f"{error}{and_do(advice)}") from None
    for file in files:
        link(raw / file, folder / file)


def link(here: Path, there: Path) -> None:
    """Make a raw file of a shared folder one of this folder's; a file of its own that was left by hand stays."""
    if here.resolve() == there.resolve() or (here.is_file() and not here.is_symlink()):
        return
    partial = here.with_name(f".{here.name}.{os.getpid()}.partial")
    try:
        here.parent.mkdir(parents=True, exist_ok=True)
        partial.symlink_to(there.absolute())
        partial.replace(here)
    except OSError as error:
        raise UserError(
            f"{here}: could not be linked to {there}: {error.strerror}; check the folder's rights"
        ) from None


def and_do(advice: str | None) -> str:
    """What a person must do to have a data set, as params.yaml says it."""
    return f". {advice}" if advice else ""
