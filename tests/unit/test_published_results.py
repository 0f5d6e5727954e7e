"""The published table of MNIST against the one of commit fed246a: the code was rewritten, the arithmetic was not.

`tests/data/mnist_seeds_fed246a.csv` is docs/results/mnist/mnist_seeds.csv of that commit, which an older
version computed on another CPU model.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from pipeline.tables.aliases import with_current_columns

ROOT = Path(__file__).parents[2]
OF_SEVERAL_CLASSIFIERS = ("fd_classifier", "kid_classifier", "coverage")
"""Since then means over three reference classifiers; `<name>_each` has the value by the first of them."""


def rows(file: Path) -> dict[str, dict[str, str]]:
    """Cells as they are written, under today's names of columns, by model."""
    table = csv.DictReader(io.StringIO(with_current_columns(file.read_text(encoding="utf-8"))))
    return {row["model"]: row for row in table}


BEFORE = rows(ROOT / "tests/data/mnist_seeds_fed246a.csv")


@pytest.mark.parametrize("model", BEFORE)
def test_the_six_rows_of_mnist_are_those_of_fed246a_to_the_last_digit(model: str) -> None:
    now, before = rows(ROOT / "results/published/mnist/mnist_seeds.csv")[model], BEFORE[model]
    cells = {column: cell for column, cell in before.items() if cell}
    assert len(cells) > 25
    for column in OF_SEVERAL_CLASSIFIERS:
        assert now[f"{column}_each"].split()[0] == cells.pop(column), column
    assert {column: now[column] for column in cells} == cells
