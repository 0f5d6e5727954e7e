"""A training that is killed outright goes on and writes the bytes of one that nobody disturbed.

Real processes run the real stage on a job of the plan's (its network made small) and get a real SIGKILL: after any
step, and around any change that they make to the file system.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core import artifacts
from pipeline.models.base import optimisers
from pipeline.stages.train import seal
from tests.conftest import ROOT, run
from tests.fork_server import At, ForkServer
from tests.small_models import ONE_OF_EACH_CLASS, small
from tests.small_trainings import BATCH, EVERY, IMAGES, STEPS, WRITTEN, Training, begun, copied, finish, job

KILLS = int(os.environ.get("EASEL_RESUME_KILLS", "2"))
"""Of each model's training; `make chaos` has 20, and kills around every change to the file system."""


# --- after any step -----------------------------------------------------------------------------------------------


def killed_at(fork_server: ForkServer, training: Training, kills: list[int]) -> None:
    """Train in as many processes as there are kills; each begins where the one before had saved its last state."""
    before = 0
    for kill in kills:
        assert fork_server.run(training.folder, *training.words, at=At(step=kill)) == -signal.SIGKILL
        assert training.resumed_at == before
        assert not training.path("weights").exists()
        before = max(before, (kill - 1) // EVERY * EVERY)  # step `kill` itself was taken, and not yet saved
        assert bool(training.states()) == bool(before)
        if before:
            assert_whole(training.states()[-1], training.model)


def assert_whole(state: Path, model: str) -> None:
    """The saved state holds each optimiser's state, and it is not empty."""
    tensors = artifacts.read_tensors(state)
    for name in optimisers(small(model)):
        moments = [
            value for key, value in tensors.items() if re.match(rf"optimiser/{name}/\d+/(exp_avg|momentum_buffer)", key)
        ]
        assert moments and any(value.count_nonzero() for value in moments)


IN_QUICK = ("gan_small", "vae_mixture")
"""Classes whose kills `make quick` tries too; test_training.py resumes every class in its own process."""


@pytest.mark.parametrize(
    "model",
    [pytest.param(name, marks=() if name in IN_QUICK else pytest.mark.workflow) for name in ONE_OF_EACH_CLASS],
)
def test_killed_after_any_step_it_writes_the_same_bytes(
    model: str, fork_server: ForkServer, undisturbed: Any, tmp_path: Path
) -> None:
    wanted = undisturbed(model).written()
    points = random.Random(f"{model} 0").sample(range(1, STEPS + 1), KILLS)
    for part in (points[:2], *(points[first : first + 6] for first in range(2, KILLS, 6))):  # with one process more
        training = begun(tmp_path / str(part[0]), model)
        killed_at(fork_server, training, sorted(part))
        assert finish(fork_server, training) == wanted


def test_the_trainings_go_through_all_that_a_state_must_hold() -> None:
    """Or the test above would show less than it seems to: shuffles, warm-up, falling rates, batch norms, noise."""
    settings = [job(model).config for model in ONE_OF_EACH_CLASS]
    assert STEPS > 2 * (IMAGES // BATCH)
    assert any(0 < block["arguments"].get("warmup", 0) < STEPS // 2 for block in settings)
    assert all(block["training"]["lr_decay_fraction"] * STEPS > EVERY for block in settings)
    assert {block["training"]["data"] for block in settings} == {"binarised", "grey"}
    norms = torch.nn.modules.batchnorm._BatchNorm
    assert any(isinstance(module, norms) for model in ONE_OF_EACH_CLASS for module in small(model).modules())


def test_a_process_that_nobody_forked_writes_the_same(undisturbed: Any, tmp_path: Path) -> None:
    """The fork_server's children are what the command is: another interpreter, another hash seed, the same bytes."""
    training = begun(tmp_path, "vae")
    (tmp_path / "begin.py").write_text(
        "from pipeline.__main__ import main\nfrom tests.fork_server import At, arm\narm(At())\nmain()\n"
    )
    done = run([sys.executable, "begin.py", *training.words], tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert training.written() == undisturbed("vae").written()


# --- around any change to the file system -------------------------------------------------------------------------


def changes(training: Training) -> dict[int, str]:
    """The changes that the last process made; between the end of one and the beginning of the next nothing happens."""
    made = (training.folder / "changes").read_text().splitlines()
    return {number: change for number, change in enumerate(made) if change.startswith("before") or change == made[-1]}


def test_killed_around_any_change_it_writes_the_same_bytes(fork_server: ForkServer, tmp_path: Path) -> None:
    """In the middle of a file, between a file and its seal, while the state before gives way, at the very end."""
    first = begun(tmp_path / "undisturbed", "vae", steps=12)
    wanted, made = finish(fork_server, first), changes(first)
    for part in (
        f"{first.hash}/weights.safetensors",
        f"{first.hash}/job.json",
        "-10.safetensors",
        "-10.json",
    ):
        assert any("replace" in change and change.endswith(part) for change in made.values()), part
    for part in ("-5.safetensors", "-5.json", "-10.safetensors"):
        assert any("unlink" in change and change.endswith(part) for change in made.values()), part
    saved = next(number for number, change in made.items() if change.endswith("-5.json"))
    for number, change in list(made.items())[:: 1 if KILLS > 2 else 3]:
        training = begun(tmp_path / str(number), "vae", steps=12)
        assert fork_server.run(training.folder, *training.words, at=At(change=number)) == -signal.SIGKILL, change
        assert number <= saved or training.states() or training.is_complete, f"{change}: nothing to go on from"
        assert finish(fork_server, training) == wanted, change


# --- states that are not to be used ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def killed(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training killed at step 12, with a state of step 10."""
    training = begun(tmp_path_factory.mktemp("killed"), "vae")
    killed_at(fork_server, training, [12])
    return training


@pytest.fixture(scope="module")
def two_states(fork_server: ForkServer, killed: Training, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A killed training with a state of step 15 and, as if it had been killed a moment earlier, one of step 10."""
    training = copied(killed, tmp_path_factory.mktemp("two_states"))
    assert fork_server.run(training.folder, *training.words, at=At(step=17)) == -signal.SIGKILL
    training = copied(killed, training.folder)
    assert [path.stem.split("-")[1] for path in training.states()] == ["10", "15"]
    return training


@pytest.mark.parametrize("damaged", [("15",), ("10",), ("10", "15")], ids=" and ".join)
def test_a_damaged_state_is_named_and_not_used(
    damaged: tuple[str, ...], fork_server: ForkServer, two_states: Training, undisturbed: Any, tmp_path: Path
) -> None:
    training = copied(two_states, tmp_path)
    for state in training.states():
        if state.stem.split("-")[1] in damaged:
            content = bytearray(state.read_bytes())
            content[len(content) // 3] ^= 1 << 4
            state.write_bytes(content)
    assert finish(fork_server, training) == undisturbed("vae").written()
    assert training.resumed_at == {("15",): 10, ("10",): 15, ("10", "15"): 0}[damaged]
    named = re.findall(r"(\d+)\.safetensors: damaged, .* not used$", training.said, re.MULTILINE)
    assert named == [step for step in ("15", "10") if step in damaged and int(step) > training.resumed_at]


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", '{"job": 1}'], ids=["deep", "a list", "half of one"])
def test_a_state_without_a_seal_is_not_used(
    content: str, fork_server: ForkServer, killed: Training, undisturbed: Any, tmp_path: Path
) -> None:
    training = copied(killed, tmp_path)
    (state,) = training.states()
    seal(state).write_text(content)
    assert finish(fork_server, training) == undisturbed("vae").written()
    assert training.resumed_at == 0 and f"{state.name}: damaged, half-written or of another job" in training.said


def test_a_state_of_another_job_is_never_used(fork_server: ForkServer, undisturbed: Any, tmp_path: Path) -> None:
    """Not when it lies beside this job's own, and not when somebody gave it this job's name."""
    other = begun(tmp_path, "vae", steps=STEPS + 1)
    assert fork_server.run(tmp_path, *other.words, at=At(step=12)) == -signal.SIGKILL
    (state,) = other.states()
    theirs = other.hash
    mine = begun(tmp_path, "vae")
    assert mine.hash != theirs
    renamed = state.with_name(state.name.replace(theirs, mine.hash))
    for path, name in ((state, renamed), (seal(state), seal(renamed))):
        name.write_bytes(path.read_bytes())
    assert fork_server.run(tmp_path, *mine.words) == 0
    assert mine.resumed_at == 0 and f"{renamed.name}: damaged, half-written or of another job" in mine.said
    assert mine.states() == [state], "the other job may want it yet"
    assert {name: mine.path(name).read_bytes() for name in WRITTEN} == undisturbed("vae").written()
