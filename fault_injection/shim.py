"""The C library's calls with faults in them and a clock to turn, built where there is a compiler."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")


def build(folder: Path) -> Path | None:
    """The shared library, in a folder; None where there is no C compiler, which callers say loudly."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    library = folder / "faults.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(words, check=True)
    return library


def arm(at: int, error: int, *, lasting: bool, reads: bool) -> None:
    """Let calls of this process fail from now on; it was started with the library loaded before all others."""
    ctypes.CDLL(None).chaos_arm(ctypes.c_long(at), error, int(lasting), int(reads))


def calls() -> int:
    """How many calls were concerned since."""
    count = ctypes.CDLL(None).chaos_calls
    count.restype = ctypes.c_long
    return int(count())


@dataclass(frozen=True)
class Clock:
    """The clock of all processes that are started with its environment, and of the files that they write."""

    library: Path
    file: Path

    def turn(self, seconds: int) -> None:
        """Let it be wrong by so many seconds from now on."""
        with self.file.open("r+b" if self.file.exists() else "wb") as handle:
            handle.write(struct.pack("q", seconds))

    @property
    def environment(self) -> dict[str, str]:
        """What a process that is to see it inherits."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_MACHINE_CLOCK": str(self.file)}
