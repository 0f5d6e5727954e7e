"""Small trainings of every model, each in a folder of its own and in as many processes as it takes."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import artifacts
from pipeline.stages.train import seal
from pipeline.workflow import layout, store
from pipeline.workflow.plan import Job
from tests.conftest import plan_of
from tests.fork_server import ForkServer
from tests.small_models import images, small_arguments
from tests.stored import stored

STEPS = 23
EVERY = 5
"""Steps between two checkpoints: most kills fall between two, so that steps are taken again."""

BATCH, IMAGES = 12, 40
"""Three batches to an epoch, four images left over."""

WRITTEN = ("weights", "history", "training", "snapshots")
"""The outputs of a training that hold no times."""


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

    @property
    def hash(self) -> str:
        found: str = self.spec["hash"]
        return found

    def path(self, name: str, stage: str = "train") -> Path:
        """An output of the training, or of the other job of this folder."""
        hash_ = self.hash if stage == "train" else artifacts.read_json(self.folder / f"{stage}.json")["hash"]
        return self.folder / layout.path(layout.OUTPUTS[stage][name], **self.wildcards, hash=hash_)

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
    def is_complete(self) -> bool:
        """Whether it came to its end."""
        return store.is_complete(self.path("job").parent)

    def states(self) -> list[Path]:
        """The states that are saved whole, the furthest last."""
        pattern = layout.path(layout.CHECKPOINT, **self.wildcards, hash="*-*")
        paths = [path for path in self.folder.glob(str(pattern)) if seal(path).exists()]
        return sorted(paths, key=lambda path: int(path.stem.split("-")[1]))

    def written(self) -> dict[str, bytes]:
        """What it left behind, all of it recorded, and nothing else."""
        for name in layout.OUTPUTS["train"]:
            assert store.checked(self.path(name))["hash"] == self.hash
        assert not list(self.folder.rglob("*.partial"))
        assert not self.states()
        return {name: self.path(name).read_bytes() for name in WRITTEN}


def job(model: str, steps: int = STEPS, **arguments: Any) -> Job:
    """The plan's job, its network small but for some arguments, its steps few."""
    planned = plan_of("budget=tiny").job("train", "mnist", model, 0)
    training = planned.config["training"] | {"steps": steps, "batch": BATCH, "lr_decay_fraction": 0.5}
    small_block = {"training": training, "arguments": small_arguments(model) | arguments}
    return dataclasses.replace(planned, config=planned.config | small_block)


def begun(folder: Path, model: str, steps: int = STEPS, **arguments: Any) -> Training:
    """A folder with a training's job and its stored training split."""
    planned = job(model, steps, **arguments)
    artifacts.write_images(folder / planned.paths()["train"], images(IMAGES).numpy(), np.zeros(IMAGES, dtype=np.int64))
    stored(planned.parents[0], root=folder)
    artifacts.write_json(folder / "spec.json", planned.spec)
    return Training(folder, model)


def copied(training: Training, folder: Path) -> Training:
    """Another folder with all that a training has."""
    shutil.copytree(training.folder, folder, dirs_exist_ok=True)
    return Training(folder, training.model)


def finish(fork_server: ForkServer, training: Training) -> dict[str, bytes]:
    """Train to the end; what was written."""
    assert fork_server.run(training.folder, *training.words) == 0, training.said
    return training.written()
