"""The workflow on a real Slurm: jobs killed, preempted and held up on the way, and the same table at the end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests import local_slurm
from tests.conftest import BIN, ROOT, TABLE, snakemake, until

HERE = "--slurm-init-seconds-before-status-checks 2"
"""For a test that cannot wait long; that there is no accounting the project's own profile finds out."""

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


@dataclass
class Running:
    """Snakemake at work in a folder, with one of the project's profiles; what it says is in terminal.txt."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """All that it has said so far."""
        return (self.folder / "terminal.txt").read_text()

    def wait(self, true: Callable[[], object], what: str) -> None:
        """Wait for something as long as it is at work."""

        def over() -> bool:
            found = bool(true())
            assert found or self.process.poll() is None, f"ended before {what}:\n{self.said}"
            return found

        until(over, what, seconds=300)

    def stage(self, *words: str) -> int:
        """The process of a stage, once there is one in this folder."""
        found: list[int] = []
        self.wait(lambda: found.extend(stage_processes(self.folder, set(words))) or found, " ".join(words))
        return found[0]


@contextlib.contextmanager
def workflow(profile: str, folder: Path, mirror: Path, target: str) -> Iterator[Running]:
    """Snakemake in a folder until the end of the block."""
    words = ["--profile", f"profiles/{profile}", *HERE.split(), "--seconds-between-status-checks", "2"]
    environment = os.environ | {"DATA_MIRROR": str(mirror), "PYTHONDONTWRITEBYTECODE": "1"}
    with (folder / "terminal.txt").open("wb") as said:
        command = [str(BIN / "snakemake"), *words, "--config", "budget=tiny", "--", target]
        started = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        try:
            yield Running(folder, started)
        finally:
            started.terminate()
            started.wait()


def stage_processes(folder: Path, words: set[str]) -> Iterator[int]:
    """Processes of stages at work in a folder; `words` stand on the command line, the model in the log file's path."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().decode().split("\0")
            known = set(re.split(r"[\s/-]+", " ".join(arguments)))
            if arguments[1:3] == ["-m", "pipeline"] and words <= known and (entry / "cwd").samefile(folder):
                yield int(entry.name)


def environment_of(process: int) -> dict[str, str]:
    """The environment that a process was started with."""
    lines = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def halt_in_training(process: int, log: Path) -> None:
    """Stop a training (SIGSTOP) in its first steps: it runs in slices of 20 ms until its log says that it has begun."""
    while "training begins" not in (log.read_text() if log.exists() else ""):
        os.kill(process, signal.SIGCONT)
        time.sleep(0.02)
        os.kill(process, signal.SIGSTOP)


def job_of(cluster: local_slurm.Cluster, name: str) -> str:
    """The number of the running job of a rule and its wildcards."""
    (number,) = [number for number, comment in cluster.jobs("RUNNING").items() if comment.startswith(name)]
    return number


def test_killed_preempted_and_drained_it_makes_the_same_table(
    cluster: local_slurm.Cluster, clone: Callable[[str], Path], mnist_mirror: Path, tiny: Path
) -> None:
    folder = clone("cluster")
    with workflow("slurm", folder, mnist_mirror, TABLE) as at_work:
        # The node is drained while its first job runs: that one ends well, the next ones wait.
        at_work.wait(
            lambda: any(name.startswith("rule_prepare_wildcards_mnist") for name in cluster.jobs("RUNNING").values()),
            "the first job",
        )
        cluster.drain()
        at_work.wait(lambda: len(cluster.jobs("PENDING")) == len(TRAINED) + 1, "trainings and classifier in the queue")
        assert cluster.state() == "drained"
        assert not cluster.jobs("RUNNING")
        assert not list(folder.glob("results/store/mnist/train/*/0/*/weights.safetensors"))

        # params.yaml is edited while jobs are queued: they do what they were planned to do.
        params = folder / "params.yaml"
        edited = re.sub(r"samples: {tiny: \d+", "samples: {tiny: 100", params.read_text())
        assert edited != params.read_text()
        params.write_text(edited)
        cluster.resume()

        # One training is preempted in its first steps, another is killed outright.
        preempted = at_work.stage("train", "draw_gan")
        logs = folder / "logs/train/mnist-draw_gan-0"
        at_work.wait(lambda: list(logs.glob("*.log")), "its log")
        (log,) = logs.glob("*.log")
        halt_in_training(preempted, log)
        assert "ok:" not in log.read_text()
        requeued = job_of(cluster, "rule_train_wildcards_mnist_draw_gan_0")
        cluster.ask("scontrol", "requeue", requeued)
        os.kill(preempted, signal.SIGCONT)
        killed = at_work.stage("train", "vae")
        assert "EASEL_AFRESH" not in environment_of(killed)
        os.kill(killed, signal.SIGKILL)
        assert at_work.process.wait(600) == 0, at_work.said

    assert (folder / TABLE).read_bytes() == (tiny / TABLE).read_bytes()
    assert cluster.show(requeued)["Restarts"] == "1"
    assert "resumed at step" in log.read_text()
    assert at_work.said.count("squeue follows the jobs") == 1
    jobs = [cluster.show(number) for number in cluster.jobs()]
    attempts = [job for job in jobs if job["Comment"].startswith("rule_train_wildcards_mnist_vae_0")]
    assert sorted((job["JobState"], job["MinMemoryNode"]) for job in attempts) == [
        ("COMPLETED", "8000M"),
        ("FAILED", "4000M"),
    ]
    on_gpu = {job["Comment"].split("_")[1] for job in jobs if "gpu:1" in job.get("TresPerJob", "")}
    assert on_gpu == {"train", "classifier", "sample", "references", "evaluate", "battle"}


def test_by_gres_a_job_gets_one_gpu(cluster: local_slurm.Cluster, copied: Path, mnist_mirror: Path) -> None:
    (images,) = (copied / "results/store/mnist/sample/vae/0").glob("*/images.arrow")
    shutil.rmtree(images.parent)
    with workflow("slurm-gres", copied, mnist_mirror, str(images.relative_to(copied))) as at_work:
        sampling = at_work.stage("sample", "vae")
        seen = environment_of(sampling)
        asked = cluster.show(job_of(cluster, "rule_sample_wildcards_mnist_vae_0"))
        assert at_work.process.wait(600) == 0, at_work.said
    assert asked["TresPerNode"] == "gres:gpu:1"
    assert seen["CUDA_VISIBLE_DEVICES"] in {str(number) for number in range(local_slurm.GPUS)}
    assert images.is_file()


def profile(name: str) -> dict[str, dict[str, dict[str, object]]]:
    """A profile of the project as it is written."""
    read: dict[str, dict[str, dict[str, object]]] = yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())
    return read


def test_profiles_differ_in_how_a_gpu_is_asked_for_and_leave_reruns_to_the_default_one() -> None:
    by_gpu, by_gres = profile("slurm"), profile("slurm-gres")
    assert by_gpu["default-resources"].pop("gpu") == 1
    assert by_gres["default-resources"].pop("gres") == "gpu:1"
    assert by_gpu["set-resources"]["prepare"].pop("gpu") == 0
    assert by_gres["set-resources"]["prepare"].pop("gres") == ""
    assert by_gpu == by_gres
    assert {"rerun-triggers", "ignore-incomplete", "keep-going"} <= set(profile("default")), "they decide reruns"
    assert not [name for name in ("slurm", "slurm-gres", "gpu") if set(profile(name)) & set(profile("default"))]


@pytest.mark.parametrize("name", ["slurm", "slurm-gres", "gpu"])
def test_a_profile_plans_nothing_where_all_is_done(tiny: Path, mnist_mirror: Path, name: str) -> None:
    planned = snakemake(tiny, mnist_mirror, TABLE, options=("--profile", f"profiles/{name}", "-n"))
    assert "Nothing to be done" in planned.stdout + planned.stderr
