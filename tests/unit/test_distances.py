"""Distances of 8-bit pixels are exact, also where the CPU's own int8 products are not."""

from __future__ import annotations

import sys

import pytest
import torch

from pipeline.metrics import distances
from tests.conftest import ROOT, run

EXTREMES = """
import torch
from pipeline.metrics import distances
torch.set_num_threads(1)
chance = torch.Generator().manual_seed(1)
for n, m, d in ((7, 9, 784), (100, 4096, 784), (64, 64, 3072), (3, 2, 16)):
    a, b = (torch.randint(0, 2, (rows, d), generator=chance).float() for rows in (n, m))
    whole = (distances.squared_distances(*distances.prepare(a, b)).double() / 255**2).round()
    assert torch.equal(whole, torch.cdist(a.double(), b.double(), p=1).round()), (n, m, d)
print(distances.adds_exactly("cpu"))
"""


@pytest.mark.parametrize(
    "instructions", [None, *(pytest.param(name, marks=pytest.mark.workflow) for name in ("AVX2", "SSE41"))]
)
def test_squared_distances_of_black_and_white_images_count_their_differing_pixels(instructions: str | None) -> None:
    """A CPU without VNNI adds pairs of products in 16 bits, where white times white saturates."""
    if instructions is None:  # this CPU's own
        exec(EXTREMES, {})
        return
    done = run([sys.executable, "-c", EXTREMES], ROOT, PYTHONPATH=str(ROOT), ONEDNN_MAX_CPU_ISA=instructions)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("True", "False")


def test_both_ways_to_multiply_whole_numbers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = torch.Generator().manual_seed(2)
    a, b = (torch.randint(-128, 128, (n, 200), generator=chance).to(torch.int8) for n in (30, 50))
    exact = (a.double() @ b.double().T).to(torch.int32)
    assert torch.equal(distances.whole_products(a, b), exact)
    monkeypatch.setattr(distances, "adds_exactly", lambda device: False)
    assert torch.equal(distances.whole_products(a, b), exact)
