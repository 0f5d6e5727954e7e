"""The comparison of two recipes: the bound is Welch's, and each criterion of the verdict decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench import quality
from pipeline.core.folders import replace


def table(path: Path, rows: Mapping[str, Sequence[tuple[float | str, ...]]], cpu: float) -> Path:
    """A folder with the table by seed and the cost table; a row holds distance, coverage and ELBO."""
    seeds, cost = ["model,seed,fd_classifier,coverage,elbo"], ["model,seed,train_cpu_seconds"]
    for model, values in rows.items():
        for seed, cells in enumerate(values):
            seeds.append(",".join(map(str, (model, seed, *cells))))
            cost.append(f"{model},{seed},{cpu}")
    files = {"mnist.csv": "model,seeds", "mnist_seeds.csv": "\n".join(seeds), "mnist_cost.csv": "\n".join(cost)}
    replace(path, {name: f"{text}\n".encode() for name, text in files.items()})
    return path


def test_the_upper_bound_is_that_of_welch() -> None:
    full, shorter = np.log([2.0, 2.2, 2.1, 1.9]), np.log([2.4, 2.0, 2.2])
    parts = [values.var(ddof=1) / len(values) for values in (full, shorter)]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (full, shorter), strict=True))
    from scipy.stats import t

    expected = shorter.mean() - full.mean() + t.ppf(0.95, freedom) * math.sqrt(sum(parts))
    assert quality.upper_ratio(full, shorter) == pytest.approx(math.exp(expected))
    assert quality.upper_ratio(full, shorter[:1]) is None


@pytest.mark.parametrize(
    ("shorter", "verdict"),
    [
        ([(1.0, 0.90, -90.0), (1.01, 0.90, -90.0)], "as good"),
        ([(1.2, 0.90, -90.0), (1.21, 0.90, -90.0)], "distance: bound above 1.10"),
        ([(1.0, 0.87, -90.0), (1.01, 0.87, -90.0)], "coverage: lower by more than 0.02"),
        ([(1.0, 0.90, -90.6), (1.01, 0.90, -90.6)], "elbo: lower by more than 0.5"),
        ([(1.0, 0.90, "")], "distance open: expected two seeds or more"),
    ],
)
def test_each_criterion_decides(tmp_path: Path, shorter: list[tuple[float | str, ...]], verdict: str) -> None:
    before = table(tmp_path / "full", {"vae": [(1.0, 0.90, -90.0), (1.01, 0.90, -90.0)], "gan": []}, cpu=100)
    after = table(tmp_path / "half", {"vae": shorter, "draw": shorter}, cpu=50)
    to = tmp_path / "quality.csv"
    assert quality.main([str(before), str(after), "--to", str(to)]) == int(verdict != "as good")
    head, row = to.read_text().splitlines()
    assert head.split(",")[:4] == ["model", "seeds", "cpu_seconds_full", "cpu_seconds"]
    assert row.startswith(f"vae,{len(shorter)},100,50,") and row.endswith(verdict)


def test_tables_without_a_common_model_are_refused_in_one_line(tmp_path: Path) -> None:
    row = [(1.0, 0.9, -90.0)] * 2
    before, after = table(tmp_path / "full", {"vae": row}, cpu=1), table(tmp_path / "half", {"draw": row}, cpu=1)
    with pytest.raises(SystemExit, match=r"^bench: .*half: no model of .*full is in its table"):
        quality.main([str(before), str(after)])
