"""The workflow on a real Slurm: jobs killed, preempted and held up on the way, and the same table at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import local_slurm
from tests.conftest import BIN, TABLE, run

HERE = "--slurm-no-account --slurm-status-command squeue --slurm-init-seconds-before-status-checks 2"
"""What a Slurm without accounting needs, for a test that cannot wait long, beside the project's own profile."""

TRAINED = ("vae", "draw_gan", "gran3")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_slurm.Cluster]:
    """A Slurm of this test's own; where there can be none, a loud skip, or a failure if one is required."""
    reason = local_slurm.missing()
    if reason and os.environ.get("EASEL_REQUIRE_SLURM") == "1":
        pytest.fail(f"EASEL_REQUIRE_SLURM=1: {reason}")
    if reason:
        pytest.skip(reason)
    with local_slurm.running(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@contextlib.contextmanager
def workflow(folder: Path, mirror: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake at work with the project's profile for Slurm; what it says is in terminal.txt."""
    command = [str(BIN / "snakemake"), "--profile", "profiles/slurm", *HERE.split(), "--seconds-between-status-checks"]
    environment = os.environ | {"DATA_MIRROR": str(mirror), "PYTHONDONTWRITEBYTECODE": "1"}
    with (folder / "terminal.txt").open("wb") as said:
        started = subprocess.Popen(
            [*command, "2", "--config", "budget=tiny", "--", TABLE],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=said,
        )
        try:
            yield started
        finally:
            started.terminate()
            started.wait()


def stage_process(folder: Path, *words: str) -> int | None:
    """The process of a stage that is at work in a folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().decode().split("\0")
            if arguments[1:3] == ["-m", "pipeline"] and set(words) <= set(arguments) and here(entry, folder):
                return int(entry.name)
    return None


def here(entry: Path, folder: Path) -> bool:
    """Whether a process of /proc works in a folder."""
    return (entry / "cwd").resolve() == folder.resolve()


def halt_in_training(process: int, log: Path) -> None:
    """Stop a training (SIGSTOP) in its first steps: it runs in slices of 20 ms until its log says that it has begun."""
    while "training begins" not in (log.read_text() if log.exists() else ""):
        os.kill(process, signal.SIGCONT)
        time.sleep(0.02)
        os.kill(process, signal.SIGSTOP)


def waiter(snakemake: subprocess.Popen[bytes], terminal: Path) -> Callable[[Callable[[], object], str], None]:
    """Wait for something as long as the workflow is at work."""

    def wait(true: Callable[[], object], what: str) -> None:
        def over() -> bool:
            assert snakemake.poll() is None, f"ended before {what}:\n{terminal.read_text()}"
            return bool(true())

        local_slurm.until(over, what, seconds=300)

    return wait


def test_killed_preempted_and_drained_it_makes_the_same_table(
    cluster: local_slurm.Cluster, clone: Callable[[str], Path], mnist_mirror: Path, tiny: Path
) -> None:
    folder = clone("cluster")
    with workflow(folder, mnist_mirror) as snakemake:
        wait = waiter(snakemake, folder / "terminal.txt")

        # The node is drained while its first job runs: that one ends well, the next wait.
        wait(lambda: "rule_prepare_wildcards_mnist" in cluster.jobs("RUNNING").values(), "the first job")
        cluster.drain()
        wait(lambda: len(cluster.jobs("PENDING")) == len(TRAINED) + 1, "trainings and classifier in the queue")
        assert cluster.ask("sinfo", "--noheader", "--format=%T").strip() == "drained"
        assert not cluster.jobs("RUNNING")
        cluster.resume()

        # One training is preempted in its first steps, another is killed outright.
        wait(lambda: stage_process(folder, "train", "draw_gan"), "a training")
        preempted = stage_process(folder, "train", "draw_gan")
        assert preempted is not None
        log = folder / "logs/train/mnist-draw_gan-0.log"
        halt_in_training(preempted, log)
        assert "ok:" not in log.read_text()
        (number,) = [job for job, name in cluster.jobs("RUNNING").items() if name.endswith("_draw_gan_0")]
        cluster.ask("scontrol", "requeue", number)
        os.kill(preempted, signal.SIGCONT)
        wait(lambda: stage_process(folder, "train", "vae"), "another training")
        killed = stage_process(folder, "train", "vae")
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        ended = snakemake.wait(400)

    assert ended == 0, (folder / "terminal.txt").read_text()
    assert (folder / TABLE).read_bytes() == (tiny / TABLE).read_bytes()
    assert cluster.show(number)["Restarts"] == "1"
    assert "resumed at step" in log.read_text()
    states = [cluster.show(job)["JobState"] for job, name in cluster.jobs().items() if name.endswith("_vae_0")]
    print(states, cluster.ask("squeue", "--states=all", "--format=%i %T %k %M %b %m"))
