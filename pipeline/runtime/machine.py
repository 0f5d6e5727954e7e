"""Which CPU this is, as far as it decides the bits of a result."""

from __future__ import annotations

import platform
import re
from pathlib import Path

VECTORS = (
    "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve", "sve2",
)  # fmt: skip
"""Extensions by which the numerical libraries choose their kernels, and with them the order of sums."""


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Model name, family and model number, and the vector extensions that this machine, which may be virtual, has."""
    try:
        fields = dict(
            re.findall(r"^([\w ]+?)\s*: (.+)$", cpuinfo.read_text(encoding="utf-8").split("\n\n")[0], re.MULTILINE)
        )
    except OSError:
        fields = {"model name": platform.processor()}
    name = fields.get("model name") or fields.get("CPU part") or platform.machine()
    keys = (("family", "cpu family"), ("model", "model"))
    numbers = [f"{key} {fields[word]}" for key, word in keys if word in fields]
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    vectors = [word for word in VECTORS if word in flags]
    return f"{name} ({'; '.join(filter(None, [', '.join(numbers), ' '.join(vectors), platform.machine()]))})"
