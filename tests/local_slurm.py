"""A real Slurm on this machine for a test: one node, a few GPUs that are null devices, no accounting, no systemd.

Its processes are started and stopped by their ids; its state lives in one folder. Only the configuration must be at
/etc/slurm (the executor plugin takes SLURM_CONF out of what a job's own srun sees): what was there is put back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import until

ETC = Path("/etc/slurm")
ONE_AT_A_TIME = Path("/tmp/easel-test-slurm.lock")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "sinfo", "scontrol", "setpriv")
MARK = "# written by the project's tests"
GPUS = 4
"""Null devices. So many that all jobs of a stage run at once: Snakemake looks at its jobs ever less often."""

SLURM_CONF = """{mark}
ClusterName=easel
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=300
KillWait=5
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=20000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing() -> str | None:
    """Why a Slurm cannot be started here, or None."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"needs {', '.join(lacking)}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "needs root, to start Slurm's own daemons"
    present = ETC / "slurm.conf"
    if present.exists() and not present.read_text().startswith(MARK) and _answers():
        return "a Slurm is at work on this machine already"
    return None


def _answers() -> bool:
    pinged = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=60)
    return " UP" in pinged.stdout


@dataclass
class Cluster:
    """The daemons, and what a person would ask them."""

    folder: Path
    host: str = field(default_factory=platform.node)
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start munge, the controller and the node, and wait until the node is idle."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        options = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        files = [f"--{option}={self.folder}/munge.{name}" for option, name in options.items()]
        self._daemon("munged", "--foreground", "--force", *files)
        until((self.folder / "munge.socket").exists, "munged", seconds=30)
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D", "-N", self.host)
        until(lambda: self.state() == "idle", "the node", seconds=60)

    def _daemon(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("wb") as said:
            bound = ["setpriv", "--pdeathsig", "TERM", *command]  # were this test killed, it would end as well
            self.daemons.append(subprocess.Popen(bound, stdout=said, stderr=said, cwd=self.folder))

    def stop(self) -> None:
        """End the jobs, then the daemons, the last started first."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.ask("scancel", "--user=root")
            until(lambda: not self.jobs("RUNNING", "COMPLETING"), "the jobs' end", seconds=30)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def ask(self, *command: str) -> str:
        """What a command of Slurm's prints; empty where it fails."""
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def state(self) -> str:
        """What the node does: idle, mixed, draining, drained, ..."""
        return self.ask("sinfo", "--noheader", "--format=%T").strip()

    def jobs(self, *states: str) -> dict[str, str]:
        """Number -> comment (rule and wildcards) of the jobs in some states; of all without any."""
        wanted = f"--states={','.join(states) or 'all'}"
        listed = self.ask("squeue", "--noheader", wanted, "--format=%i %k").splitlines()
        return dict(line.split(maxsplit=1) for line in listed)

    def show(self, job: str) -> dict[str, str]:
        """All that Slurm knows about a job."""
        words = self.ask("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def drain(self) -> None:
        """Let the node take no new jobs."""
        self.ask("scontrol", "update", f"nodename={self.host}", "state=drain", "reason=test")

    def resume(self) -> None:
        """Let it take jobs again."""
        self.ask("scontrol", "update", f"nodename={self.host}", "state=resume")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A Slurm for the length of a block."""
    cluster = Cluster(folder)
    with ONE_AT_A_TIME.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with configured(cluster):
            try:
                cluster.start()
                yield cluster
            finally:
                cluster.stop()


@contextlib.contextmanager
def configured(cluster: Cluster) -> Iterator[None]:
    """Write the configuration where Slurm looks for it; put back what was there."""
    devices = cluster.folder / "gpu"
    devices.mkdir()
    for number in range(GPUS):
        os.mknod(devices / f"gpu{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    controller, daemon = free_ports(2)
    written = {
        "slurm.conf": SLURM_CONF.format(
            mark=MARK, host=cluster.host, folder=cluster.folder, gpus=GPUS, controller=controller, daemon=daemon
        ),
        "gres.conf": f"{MARK}\nNodeName={cluster.host} Name=gpu File={devices}/gpu[0-{GPUS - 1}]\n",
        "cgroup.conf": f"{MARK}\nCgroupPlugin=cgroup/v1\n",
    }
    ETC.mkdir(exist_ok=True)
    before = {name: content(ETC / name) for name in written}
    try:
        for name, text in written.items():
            (ETC / name).write_text(text)
        yield
    finally:
        for name, text in before.items():
            if text is None:
                (ETC / name).unlink()
            else:
                (ETC / name).write_text(text)


def content(path: Path) -> str | None:
    """What a file of the machine's own says; None if there is none, or one that killed tests left."""
    text = path.read_text() if path.exists() else None
    return None if text is None or text.startswith(MARK) else text


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
