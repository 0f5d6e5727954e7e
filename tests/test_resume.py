"""A training that is killed outright goes on and writes the bytes of one that nobody disturbed.

Real processes run the real stage on a job of the plan's (its network made small) and get a real SIGKILL: after any
step, and around any change that they make to the file system.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.infra import artifacts, identity, layout
from pipeline.models.base import optimisers
from pipeline.planning import params
from pipeline.planning.plan import Job, Plan
from tests.conftest import ROOT, stage
from tests.nursery import At, Nursery
from tests.small_models import NAMES, images, small, small_arguments

STEPS = 23
EVERY = 5
"""Steps between two checkpoints: most kills fall between two, so that steps are taken again."""

BATCH, IMAGES = 12, 40
"""Three batches to an epoch, four images left over."""

KILLS = 8
WRITTEN = (layout.WEIGHTS, layout.HISTORY, layout.TRAINING)
"""What a training leaves that does not speak of clocks."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """A process that forks trainings."""
    started = Nursery()
    yield started
    started.close()


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


def job(model: str) -> Job:
    """The plan's job, its network small, its steps few."""
    planned = plan().job("train", "mnist", model, 0)
    training = planned.block["training"] | {"steps": STEPS, "batch": BATCH, "decay": 0.5}
    small_block = {"training": training, "arguments": small_arguments(model, (1, 28, 28))}
    return dataclasses.replace(planned, block=planned.block | small_block)


def begun(folder: Path, model: str) -> Training:
    """A folder with a training's job and its stamped training split."""
    planned, split = job(model), folder / layout.path(layout.TRAIN, dataset="mnist")
    artifacts.write_images(split, images(IMAGES).numpy(), np.zeros(IMAGES, dtype=np.int64))
    artifacts.write_stamp(split, planned.inputs[0].identity)
    artifacts.write_json(folder / "spec.json", planned.spec)
    return Training(folder, model)


@pytest.fixture(scope="module")
def undisturbed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The training of a model, done once and not disturbed."""

    @functools.cache
    def of(model: str) -> Training:
        training = begun(tmp_path_factory.mktemp(model), model)
        assert nursery.run(training.folder, *training.words) == 0, training.said
        return training

    return of


def finish(nursery: Nursery, training: Training) -> dict[str, bytes]:
    """Train to the end; what was written."""
    assert nursery.run(training.folder, *training.words) == 0, training.said
    return training.written()


# --- after any step -----------------------------------------------------------------------------------------------


def killed_at(nursery: Nursery, training: Training, kills: list[int]) -> None:
    """Train in as many processes as there are kills; each begins where the one before had saved its last state."""
    before = 0
    for kill in kills:
        assert nursery.run(training.folder, *training.words, at=At(step=kill)) == -signal.SIGKILL
        assert training.resumed_at == before
        assert not training.path(layout.WEIGHTS).exists()
        before = max(before, (kill - 1) // EVERY * EVERY)  # step `kill` itself was taken, and not yet saved
        assert bool(training.states()) == bool(before)
        if before:
            assert_whole(training.states()[-1], training.model)


def assert_whole(state: Path, model: str) -> None:
    """The saved state holds each optimiser's state, and it is not empty."""
    tensors = artifacts.read_tensors(state)
    for name in optimisers(small(model)):
        moments = [value for key, value in tensors.items() if re.match(rf"optimiser/{name}/\d+/exp_avg", key)]
        assert moments and any(value.count_nonzero() for value in moments)


@pytest.mark.parametrize("model", NAMES)
def test_killed_after_any_step_it_writes_what_it_would_have_written(
    model: str, nursery: Nursery, undisturbed: Any, tmp_path: Path
) -> None:
    wanted = undisturbed(model).written()
    points = random.Random(f"{model} 0").sample(range(1, STEPS + 1), KILLS)
    for part in (points[:1], points[1:4], points[4:]):  # one process more than kills
        training = begun(tmp_path / str(part[0]), model)
        killed_at(nursery, training, sorted(part))
        assert finish(nursery, training) == wanted


def test_the_trainings_go_through_all_that_a_state_must_hold() -> None:
    """Or the test above would show less than it seems to: shuffles, warm-up, falling rates, batch norms, noise."""
    settings = [job(model).block for model in NAMES]
    assert STEPS > 2 * (IMAGES // BATCH)
    assert any(0 < block["arguments"].get("warmup", 0) < STEPS // 2 for block in settings)
    assert all(block["training"]["decay"] * STEPS > EVERY for block in settings)
    assert {block["training"]["data"] for block in settings} == {"binarised", "grey"}
    norms = torch.nn.modules.batchnorm._BatchNorm
    assert any(isinstance(module, norms) for model in NAMES for module in small(model).modules())


def test_a_process_that_nobody_forked_writes_the_same(undisturbed: Any, tmp_path: Path) -> None:
    """The nursery's children are what the command is: another interpreter, another hash seed, the same bytes."""
    training = begun(tmp_path, "vae")
    command = "from tests.nursery import At, arm; from pipeline.__main__ import main; arm(At()); main()"
    (tmp_path / "begin.py").write_text(command)
    from tests.conftest import run

    import sys

    done = run([sys.executable, "begin.py", *training.words], tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert training.written() == undisturbed("vae").written()


# --- around any change to the file system ---------------------------------------------------------------------------


def test_killed_around_any_change_it_makes_it_writes_what_it_would_have_written(
    nursery: Nursery, undisturbed: Any, tmp_path: Path
) -> None:
    model = "vae"
    wanted = undisturbed(model).written()
    changes = (undisturbed(model).folder / "changes").read_text().splitlines()
    assert sum("replace" in change for change in changes) >= 2 * 2 * (STEPS // EVERY + len(layout.OUTPUTS["train"]))
    assert any("unlink" in change for change in changes)
    for number, change in enumerate(changes):
        training = begun(tmp_path / str(number), model)
        assert nursery.run(training.folder, *training.words, at=At(change=number)) == -signal.SIGKILL, change
        assert finish(nursery, training) == wanted, change
