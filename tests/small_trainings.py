"""Small trainings of every model, each in a folder of its own and in as many processes as it takes."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import artifacts
from pipeline.workflow import layout, params
from pipeline.workflow.plan import Job, Plan
from tests.conftest import ROOT
from tests.fork_server import ForkServer
from tests.small_models import images, small_arguments

STEPS = 23
EVERY = 5
"""Steps between two checkpoints: most kills fall between two, so that steps are taken again."""

BATCH, IMAGES = 12, 40
"""Three batches to an epoch, four images left over."""

WRITTEN = (layout.WEIGHTS, layout.HISTORY, layout.TRAINING, layout.SNAPSHOTS)
"""What a training leaves that does not speak of clocks."""


@functools.cache
def plan() -> Plan:
    """The plan of the tiny budget."""
    return Plan(params.load(["budget=tiny"], file=ROOT / "params.yaml"))


@dataclasses.dataclass(frozen=True)
class Training:
    """A folder with the job of one model, to be trained in as many processes as it takes."""

    folder: Path
    model: str

    @property
    def wildcards(self) -> dict[str, Any]:
        return {"dataset": "mnist", "model": self.model, "seed": 0}

    @property
    def words(self) -> list[str]:
        options = ["--spec", "spec.json", "--device", "cpu", "--checkpoint-steps", str(EVERY)]
        return ["train", "--model", self.model, "--seed", "0", *options]

    def path(self, pattern: str, **more: Any) -> Path:
        return self.folder / layout.path(pattern, **self.wildcards, **more)

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads((self.folder / "spec.json").read_text())
        return spec

    @property
    def said(self) -> str:
        """What the last process said."""
        text = (self.folder / "stderr").read_text()
        assert "Traceback" not in text
        return text

    @property
    def resumed_at(self) -> int:
        """The step that the last process began with."""
        found = re.search(r"resumed at step (\d+) of", self.said)
        return int(found[1]) if found else 0

    @property
    def is_stamped(self) -> bool:
        """Whether it came to its end."""
        return all(artifacts.stamp_path(self.path(pattern)).exists() for pattern in layout.OUTPUTS["train"])

    def states(self) -> list[Path]:
        """The states that are saved whole, the furthest last."""
        found = self.path(layout.CHECKPOINT, identity="*").parent.glob("*.safetensors.stamp.json")
        paths = [path.with_name(path.name.removesuffix(".stamp.json")) for path in found]
        return sorted((path for path in paths if path.exists()), key=lambda path: int(path.stem.split("-")[1]))

    def written(self) -> dict[str, bytes]:
        """What it left behind, all of it stamped, and nothing else."""
        for pattern in layout.OUTPUTS["train"]:
            assert artifacts.checked_stamp(self.path(pattern))["identity"] == self.spec["identity"]
        assert not list(self.folder.rglob("*.partial"))
        assert not self.states()
        return {pattern: self.path(pattern).read_bytes() for pattern in WRITTEN}


def job(model: str, steps: int = STEPS) -> Job:
    """The plan's job, its network small, its steps few."""
    planned = plan().job("train", "mnist", model, 0)
    training = planned.block["training"] | {"steps": steps, "batch": BATCH, "lr_decay_fraction": 0.5}
    small_block = {"training": training, "arguments": small_arguments(model)}
    return dataclasses.replace(planned, block=planned.block | small_block)


def begun(folder: Path, model: str, steps: int = STEPS) -> Training:
    """A folder with a training's job and its stamped training split."""
    planned, split = job(model, steps), folder / layout.path(layout.TRAIN, dataset="mnist")
    artifacts.write_images(split, images(IMAGES).numpy(), np.zeros(IMAGES, dtype=np.int64))
    artifacts.write_stamp(split, planned.inputs[0].identity)
    artifacts.write_json(folder / "spec.json", planned.spec)
    return Training(folder, model)


def finish(fork_server: ForkServer, training: Training) -> dict[str, bytes]:
    """Train to the end; what was written."""
    assert fork_server.run(training.folder, *training.words) == 0, training.said
    return training.written()
