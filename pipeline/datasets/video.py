"""A video file: its frames, one after the other, without labels; every n-th with `every: n`.

Neighbouring frames are all but the same image, and so are those of two splits that are drawn at random, as
Vijayvargiya et al. draw them: a model that copies its training frames passes for one that does not. The film is read
without its sound.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.datasets.loaded import Loaded
from pipeline.datasets.spooled import Example, place, spooled

__all__ = ["load"]

OPTIONS = ("every",)
"""What a block of params.yaml may say under `options`."""

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv"
"""What may be opened: no playlist, which would send the reader to other files and addresses."""


def load(raw_folder: Path, options: Mapping[str, Any]) -> Loaded:
    """All frames, or every n-th; ValueError for what is no video, a damaged one, or one without frames."""
    found = place(raw_folder, options)
    path = found / next(iter(options["files"])) if options.get("files") else found
    if not path.is_file():
        raise ValueError(f"{path}: found a folder, expected one video; give the file's path, or `reader: images`")
    every = int(options.get("every", 1))
    if every < 1:
        raise ValueError(f"options.every: found {every}, expected at least 1")
    return spooled({"train": itertools.islice(frames(path), 0, None, every)}, raw_folder, options)


def frames(path: Path) -> Iterator[Example]:
    """The frames in the order in which they are shown."""
    try:
        import av
    except ModuleNotFoundError:
        raise ValueError("the package av is missing; run `make build`, or pip install av") from None

    number = 0
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file,pipe"}
    try:
        with path.open("rb") as file, av.open(file, mode="r", options=options) as container:
            if not container.streams.video:
                raise ValueError(f"{path.name}: no video in it")
            for frame in container.decode(container.streams.video[0]):
                yield f"{path.name}[{number}]", frame.to_ndarray(format="rgb24").astype("uint8", copy=False), None
                number += 1
    except av.FFmpegError as error:
        raise ValueError(f"{path.name}: no video, or damaged after {number} frames ({error.strerror})") from None
    if number == 0:
        raise ValueError(f"{path.name}: no frame in it")
