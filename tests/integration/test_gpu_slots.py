"""GPUs shared by the jobs of one machine: real processes, made-up devices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.runtime import gpu_slots
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import Progress
from tests.conftest import ROOT, until

HOLDER = """
import os, sys, time
from pathlib import Path
from pipeline.runtime import gpu_slots

journal, told = Path(sys.argv[1]), Path(sys.argv[2])

def write(event):
    with journal.open("a") as lines:
        lines.write(f"{event} {os.environ.get('CUDA_VISIBLE_DEVICES', 'unset') or 'empty'} {os.getpid()}\\n")

def say(line):
    write("waits")
    print(line, flush=True)

gpu_slots.hold_gpu(say)
write("holds")
while not told.exists():
    time.sleep(0.01)
write("ends")
"""


class Machine:
    """Jobs on a machine with made-up GPUs, and what they wrote down in turn."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.journal = folder, folder / "journal"
        self.jobs: list[subprocess.Popen[str]] = []

    def job(self, end: str = "end", **environment: str) -> subprocess.Popen[str]:
        """A job that holds its GPU until the file `end` is there."""
        own = {"PYTHONPATH": str(ROOT), "EASEL_LEASES": str(self.folder / "leases"), "PATH": str(self.folder)}
        command = [sys.executable, "-c", HOLDER, str(self.journal), str(self.folder / end)]
        started = subprocess.Popen(command, env=own | environment, stdout=subprocess.PIPE, text=True)
        self.jobs.append(started)
        return started

    def events(self, event: str) -> list[tuple[str, int]]:
        """Device and process of every event of a kind, in order."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [(device, int(process)) for kind, device, process in map(str.split, lines) if kind == event]

    def wait(self, event: str, count: int) -> list[tuple[str, int]]:
        """Wait until there were so many events of a kind."""
        until(lambda: len(self.events(event)) >= count)
        return self.events(event)

    def end(self, name: str = "end") -> None:
        """Tell jobs to end."""
        (self.folder / name).touch()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    for job in made.jobs:
        job.kill()
        job.wait()
        if job.stdout:
            job.stdout.close()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that names no GPU; a folder that is first on the search path."""
    for name in (gpu_slots.VISIBLE, gpu_slots.JOBS_PER_GPU, "SLURM_JOB_ID", "CUDA_DEVICE_ORDER"):
        monkeypatch.setenv(name, "as it was")
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(gpu_slots.FOLDER, str(tmp_path / "leases"))
    return tmp_path


def test_a_gpu_never_has_more_jobs_than_it_may(machine: Machine) -> None:
    for _ in range(7):
        machine.job(CUDA_VISIBLE_DEVICES="0,1", EASEL_JOBS_PER_GPU="2")
    machine.wait("holds", 4)  # they hold it until all are told to end: four at once, or this waits in vain
    machine.wait("waits", 3)
    assert Counter(device for device, _ in machine.events("holds")) == {"0": 2, "1": 2}
    machine.end()
    assert [job.wait(60) for job in machine.jobs] == [0] * 7
    busy: Counter[str] = Counter()
    for line in machine.journal.read_text().splitlines():
        event, device, _ = line.split()
        busy[device] += {"holds": 1, "ends": -1, "waits": 0}[event]
        assert max(busy["0"], busy["1"]) <= 2
    assert {process for _, process in machine.events("ends")} == {job.pid for job in machine.jobs}


def test_an_idle_gpu_comes_before_a_second_job_on_a_busy_one(machine: Machine) -> None:
    for count in (1, 2):
        machine.job(CUDA_VISIBLE_DEVICES="0,GPU-5f1e", EASEL_JOBS_PER_GPU="4")
        machine.wait("holds", count)
    assert [device for device, _ in machine.events("holds")] == ["0", "GPU-5f1e"]


def test_a_killed_holder_frees_its_gpu_for_every_job_that_waits(machine: Machine) -> None:
    holder = machine.job(CUDA_VISIBLE_DEVICES="0")
    machine.wait("holds", 1)
    waiting = [machine.job(CUDA_VISIBLE_DEVICES="0") for _ in range(4)]
    machine.wait("waits", 4)
    waiting[1].kill()  # a dead one holds nobody up
    waiting[1].wait()
    holder.kill()
    machine.end()
    assert [job.wait(60) for job in waiting] == [0, -signal.SIGKILL, 0, 0]
    assert {process for _, process in machine.events("ends")} == {waiting[k].pid for k in (0, 2, 3)}
    lines, _ = waiting[3].communicate()
    assert lines == "waits for a GPU: 1 at most may work at once here\n"


def test_slurm_jobs_have_their_own_gpus_and_share_them_among_themselves(machine: Machine) -> None:
    machine.job(CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="7")
    machine.job(CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="8")  # another GPU, that Slurm calls 0 as well
    machine.wait("holds", 2)
    machine.job(CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="7")
    machine.wait("waits", 1)
    assert len(machine.events("holds")) == 2


def test_without_a_gpu_nothing_happens(machine: Machine) -> None:
    for hidden in ({}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "-1"}):
        machine.job(**hidden)
    assert sorted(device for device, _ in machine.wait("holds", 3)) == ["-1", "empty", "unset"]
    machine.end()
    assert [job.wait(60) for job in machine.jobs] == [0, 0, 0]
    assert not machine.events("waits")
    assert not (machine.folder / "leases").exists()


def test_gpus_are_those_that_cuda_shows_or_that_nvidia_smi_lists(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_slots.visible_gpus() == []
    listing = bare / "nvidia-smi"
    listing.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    listing.chmod(0o755)
    assert gpu_slots.visible_gpus() == ["0", "1"]
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    listing.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert gpu_slots.visible_gpus() == []
    monkeypatch.setenv(gpu_slots.VISIBLE, "2, GPU-5f1e,-1,3")  # CUDA reads no further than the first that is none
    assert gpu_slots.visible_gpus() == ["2", "GPU-5f1e"]


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", ""])
def test_a_number_of_jobs_that_is_none_is_one_line(bare: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv(gpu_slots.VISIBLE, "0")
    monkeypatch.setenv(gpu_slots.JOBS_PER_GPU, wrong)
    with pytest.raises(UserError, match=f"EASEL_JOBS_PER_GPU: found '{wrong}', expected a whole number from 1 on"):
        gpu_slots.hold_gpu(print)


def test_a_folder_of_somebody_else_or_one_that_cannot_be_made_is_one_line(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpu_slots.slots_folder() == bare / "leases" / "machine"
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"leases: belongs to user .* as EASEL_LEASES"):
        patch.setattr(os, "getuid", lambda: 4242)
        gpu_slots.slots_folder()
    monkeypatch.setenv(gpu_slots.FOLDER, str(bare / "a file"))
    (bare / "a file").touch()
    with pytest.raises(UserError, match=r"a file.*: .* give another folder as EASEL_LEASES"):
        gpu_slots.slots_folder()


@pytest.mark.parametrize(("device", "waits"), [("cpu", 0), ("auto", 1)])
def test_a_stage_takes_a_slot_unless_it_is_to_run_on_the_cpu(
    bare: Path, monkeypatch: pytest.MonkeyPatch, device: str, waits: int
) -> None:
    taken: list[object] = []
    monkeypatch.setattr("pipeline.runtime.device.hold_gpu", taken.append)
    work = JobContext("train", {}, {}, (), "0" * 16, [], Progress("train"), device=device)
    assert use_device(work) == work.device
    assert taken == [work.progress.say] * waits
