"""The machine's limit: how fast it multiplies matrices, and how many operations a training step asks for."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bench import settings
from bench.asked import Asked, Task
from bench.rows import Row, alone, compared
from bench.settings import Model
from bench.timing import seconds_of

SIZES = {"cpu": 2048, "cuda": 8192}
"""Sides of the square matrices."""
QUICK_SIZE = 512
COUNTED_BATCH = 8
DATA_SHEET = {"float32": 67e12, "tf32": 495e12, "bfloat16": 989e12}
"""Operations per second without sparsity of an H100 SXM and of an H200, by NVIDIA's data sheets."""
SHEET_NAMES = ("H100", "H200")


@contextmanager
def _precision(kind: str) -> Iterator[torch.dtype]:
    """The element type in which products of a kind are asked for, TF32 allowed for `tf32` alone."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if kind == "tf32" else "highest")
    try:
        yield torch.bfloat16 if kind == "bfloat16" else torch.float32
    finally:
        torch.set_float32_matmul_precision(before)


@functools.cache
def product_rates(kind: str, device: str, side: int, rounds: int, seconds: float) -> tuple[float, ...]:
    """Operations per second of products of square matrices in each round; a multiply-add is two."""
    with _precision(kind) as dtype:
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        into = a @ b
        once = min(seconds_of(lambda: torch.mm(a, b, out=into)) for _ in range(2))
        times = max(1, round(seconds / once))

        def products() -> None:
            for _ in range(times):
                torch.mm(a, b, out=into)

        return tuple(2 * side**3 * times / seconds_of(products) for _ in range(rounds))


def rates(kind: str, asked: Asked) -> tuple[float, ...]:
    """Measured once in a run."""
    return product_rates(kind, asked.device, side_of(asked), asked.pace.rounds, 0.02 if asked.quick else 0.3)


def side_of(asked: Asked) -> int:
    """Of the matrices."""
    return QUICK_SIZE if asked.quick else SIZES[asked.device]


def rate(kind: str, asked: Asked) -> float:
    """The median of the rates."""
    return statistics.median(rates(kind, asked))


def operations_per_image(model: Model) -> float:
    """Of the matrix products and convolutions of one training step of ours, counted as they are done."""
    from torch.utils.flop_counter import FlopCounterMode

    small = settings.small_batch(model, COUNTED_BATCH)
    trainer = small.trainer("cpu", images=4 * COUNTED_BATCH)
    with FlopCounterMode(display=False) as counter:
        trainer.advance()
    return counter.get_total_flops() / COUNTED_BATCH


def reached(row: Row, model: Model, asked: Asked) -> Row:
    """The row of a training with its operations and how near they come to the limit."""
    operations = operations_per_image(model)
    row.mflop_per_image = operations / 1e6
    done = operations * (row.ours or 0.0)
    row.of_float32 = done / rate("float32", asked)
    if asked.device == "cuda":
        row.of_tf32 = done / rate("tf32", asked)
        if _on_the_sheet():
            shares = ", ".join(f"{done / DATA_SHEET[kind]:.2%} of {kind}" for kind in ("float32", "tf32"))
            row.note = "; ".join(filter(None, [row.note, f"of the data sheet's peak: {shares}"]))
    return row


def _on_the_sheet() -> bool:
    return torch.cuda.is_available() and any(name in torch.cuda.get_device_name() for name in SHEET_NAMES)


def _rows(kind: str, asked: Asked) -> list[Row]:
    side = side_of(asked)
    row = Row("limit", "matrix product", f"{kind}, {side}x{side}", "TFLOP/s")
    measured = [value / 1e12 for value in rates(kind, asked)]
    if _on_the_sheet() and asked.device == "cuda":
        return [compared(row, measured, "data sheet", [DATA_SHEET[kind] / 1e12] * len(measured))]
    return [alone(row, measured)]


def tasks(asked: Asked) -> list[Task]:
    """One per precision."""
    kinds = ("float32", "tf32", "bfloat16") if asked.device == "cuda" else ("float32", "bfloat16")
    return [Task(f"limit: {kind}", functools.partial(_rows, kind, asked)) for kind in kinds]
