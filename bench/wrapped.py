"""`python -m bench.wrapped REPORT COMMAND ...`: a command's seconds, peak memory and exit code, as JSON in a file.

The kernel counts what a process held before it became another program to its peak: a child of a process as large as
the benchmark's would look as large. This one is small.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    report, *command = sys.argv[1:]
    began = time.perf_counter()
    code = subprocess.run(command, check=False).returncode
    seconds = time.perf_counter() - began
    highest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    Path(report).write_text(json.dumps({"seconds": seconds, "memory_mb": highest, "code": code}), encoding="utf-8")
