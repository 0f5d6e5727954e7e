"""One of the machine's GPUs for each job, and no more jobs to a GPU than it is to take.

Every run of one user on a machine shares a folder of slots, EASEL_JOBS_PER_GPU of them (1 unless set) for each GPU. A
slot is a file under a lock that the kernel frees when its holder ends, however that ends. Within a Slurm job the slots
are that job's own: Slurm has given it its GPUs already.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.core import locks
from pipeline.core.errors import UserError

JOBS_PER_GPU = "EASEL_JOBS_PER_GPU"
FOLDER = "EASEL_LEASES"
VISIBLE = "CUDA_VISIBLE_DEVICES"

ASK_EVERY = 0.2
"""Seconds between two looks at the slots."""

_held: list[int] = []
"""Open files of the slots that this process holds: never closed, a GPU is in use until the process has ended."""


def hold_gpu(say: Callable[[str], None]) -> None:
    """Wait for a slot of a GPU, hold it until this process ends, and let CUDA see that GPU alone.

    To be called before CUDA is first used. Where there is no GPU it does nothing. Raises `UserError` if the folder of
    slots cannot be written or is somebody else's, or if EASEL_JOBS_PER_GPU is no number of jobs.
    """
    devices = visible_gpus()
    if _held or not devices:
        return
    each = os.environ.get(JOBS_PER_GPU, "1")
    if not each.isdecimal() or int(each) < 1:
        raise UserError(f"{JOBS_PER_GPU}: found {each!r}, expected a whole number from 1 on")
    folder, has_said = slots_folder(), False
    slots = [(device, f"gpu-{device}.{number}") for number in range(int(each)) for device in devices]
    while True:
        for device, slot in slots:  # emptiest GPU first
            handle = locks.take(folder / slot.replace("/", "_"), patience=0.0)
            if handle is not None:
                _held.append(handle)
                os.environ[VISIBLE] = device
                return
        if not has_said:
            has_said = True
            say(f"waits for a GPU: {len(slots)} at most may work at once here")
        time.sleep(ASK_EVERY)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; all that nvidia-smi lists if not set."""
    given = os.environ.get(VISIBLE)
    if given is None:
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # nvidia-smi's order
        return _listed()
    devices = [name.strip() for name in given.split(",")]
    return list(itertools.takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), devices))


def _listed() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=60)
        return done.stdout.split() if done.returncode == 0 else []
    return []


def slots_folder() -> Path:
    """This user's folder of slots on this machine (not on a shared file system), or a Slurm job's own one.

    Raises `UserError` if it cannot be made or belongs to somebody else.
    """
    given = os.environ.get(FOLDER)
    # Not $XDG_RUNTIME_DIR or $TMPDIR: not every process of a user has the same.
    shared = Path(given) if given else Path(f"/tmp/easel-{os.getuid()}")  # noqa: S108 - its owner is looked at below
    job = os.environ.get("SLURM_JOB_ID")
    folder = shared / (f"slurm-{job}" if job else "machine")
    try:
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = shared.lstat().st_uid
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; give another folder as {FOLDER}") from error
    if owner != os.getuid():
        raise UserError(f"{shared}: belongs to user {owner}, not to you; give another folder as {FOLDER}")
    return folder
