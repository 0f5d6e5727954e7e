"""The measured side of `bench.apart`: `python -m bench.child MODULE FUNCTION`, one JSON object per line each way.

`{"prepare": {...}}` calls the function with keywords; it gives back the work to be timed. `{"go": true}` does that work
once: seconds, its values, and the peak of memory above what was held before. Whatever is printed goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], dict[str, float]]

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peak:
    """Memory in MB at its highest above what was held at the start."""

    def __init__(self) -> None:
        try:
            CLEAR.write_text("5", encoding="utf-8")  # forget the highest so far
            self.before: float | None = _status("VmRSS")
        except OSError:
            self.before = None
            self.highest_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def above(self) -> float:
        """Since the start. Where the kernel cannot forget, only what goes beyond the highest of before is seen."""
        if self.before is not None:
            return _status("VmHWM") - self.before
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - self.highest_before


def _status(name: str) -> float:
    """A size of /proc/self/status in MB."""
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def timed(work: Work) -> dict[str, Any]:
    """One run."""
    peak = Peak()
    began, spent = time.perf_counter(), time.process_time()
    values = work()
    seconds = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - spent}
    return {**seconds, "memory_mb": peak.above(), "values": values}


def main() -> None:
    """Answer until the other side closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    module, name = sys.argv[1:]
    work: Work | None = None
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    try:
        function = getattr(importlib.import_module(module), name)
        for line in sys.stdin:
            asked = json.loads(line)
            if "prepare" in asked:
                work = function(**asked["prepare"])
                answer: dict[str, Any] = {}
            else:
                assert work is not None
                answer = timed(work)
            print(json.dumps(answer), file=answers)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers)


if __name__ == "__main__":
    main()
