"""Where the raw files of a data set lie, in which of its forms, and what identifies their contents.

The same data set is spread in several formats. What was fetched already comes first, then what a mirror holds, then
the first form that has an address. Of files without a SHA-256 in params.yaml, and of a person's own folder, the
contents are part of the job hash: what is changed there makes stale what came from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.workflow import content_hash, layout
from pipeline.workflow.params import Form


def folders(dataset: str) -> Iterator[Path]:
    """Where raw files may lie, in the order in which they are looked for."""
    yield layout.path(layout.RAW, dataset=dataset)
    for variable in ("DATA_RAW", "DATA_MIRROR"):
        if os.environ.get(variable):
            yield Path(os.environ[variable]) / dataset


def choose(dataset: str, forms: Sequence[Form]) -> Form:
    """The first form whose files one of the folders holds in full; else the first with an address, else the first."""
    if len(forms) == 1:
        return forms[0]
    for folder in folders(dataset):
        for form in forms:
            if form.files and all(_lies_in(folder, file) for file in form.files):
                return form
    at_place = [form for form in forms if form.path is not None and located(dataset, form).exists()]
    return next(iter([*at_place, *(form for form in forms if form.sources), *forms]))


def _lies_in(folder: Path, file: str) -> bool:
    return (folder / file).is_file() or (folder / f"{file}.gz").is_file()


def located(dataset: str, form: Form) -> Path:
    """Where a form's path leads; where nothing is there, the mirror's folder of this data set, if it has one."""
    path, mirror = content_hash.located(form.path or ""), os.environ.get("DATA_MIRROR")
    return path if path.exists() or not mirror or not (Path(mirror) / dataset).exists() else Path(mirror) / dataset


def contents(dataset: str, form: Form) -> dict[str, Any]:
    """What a fetch is to bring: files with their SHA-256, or the digest of what a person's own path holds."""
    raw = layout.path(layout.RAW, dataset=dataset)
    if form.path is not None:
        return {"content": content_hash.digest(located(dataset, form), raw)}
    digests = (form.files or {}).items()
    return {"files": {file: _known(dataset, file, raw) if digest == "any" else digest for file, digest in digests}}


def _known(dataset: str, file: str, raw: Path) -> str:
    """SHA-256 of a file that everyone has another of, from the first folder that holds it."""
    digests = (content_hash.digest(folder / file, raw) for folder in folders(dataset) if (folder / file).is_file())
    return next(digests, content_hash.ABSENT)
