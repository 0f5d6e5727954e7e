"""The table of the study of rare classes: every arm's accuracy, and its gain over the best arm without more images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import artifacts
from pipeline.metrics.estimates import NORMAL_QUANTILE, Estimate, around, t_quantile
from pipeline.tables.text import to_csv

TESTS = {"test": "held-out instances", "fonts": "other families"}
COLUMNS = ("test", "arm", "trainings", "classes", "images", "accuracy", "accuracy_low", "accuracy_high",
           "over", "gain", "gain_low", "gain_high", "head", "middle", "settings")  # fmt: skip

Cell = Mapping[str, Any]
Row = dict[str, Any]


def shares(cell: Cell, test: str) -> NDArray[np.float64]:
    """Accuracy on each rare class of a set, (classes,)."""
    return np.array(cell["right"][test], dtype=np.float64) / cell["images"][test]


def accuracy(cell: Cell, test: str) -> float:
    """Of one classifier on the rare classes of a set."""
    return float(shares(cell, test).mean())


def told(recipe: Mapping[str, Any]) -> str:
    """The settings of a recipe in words."""
    return " ".join(f"{name}={value}" for name, value in recipe.items() if value != "")


def two_way(values: NDArray[np.float64]) -> Estimate:
    """Mean of values (trainings, classes) with a 95 % interval over both.

    The half-width is the root of the sum of the squares of two: Student's t over the trainings' means, and the
    normal one over the classes' means. Both contain what is left over, so that the interval is rather too wide.
    """
    trainings, classes = values.shape
    over_trainings = t_quantile(trainings - 1) * values.mean(1).std(ddof=1) / math.sqrt(trainings)
    over_classes = NORMAL_QUANTILE * values.mean(0).std(ddof=1) / math.sqrt(classes)
    mean = float(values.mean())
    return around(mean, mean, math.hypot(over_trainings, over_classes), "linear", "over trainings and classes")


def rows(cells: Sequence[Cell], baseline: str) -> list[Row]:
    """A row for each test set and arm."""
    arms = {arm: [cell for cell in cells if cell["arm"] == arm] for arm in dict.fromkeys(c["arm"] for c in cells)}
    found = []
    for test in (name for name in TESTS if name in cells[0]["right"]):
        values = {arm: np.stack([shares(cell, test) for cell in own]) for arm, own in arms.items()}
        for arm, own in arms.items():
            plainer = arm.split(" + ")[0]  # "plain + generated" is compared with "plain"
            over = plainer if plainer in values and plainer != arm else baseline
            level, gain = two_way(values[arm]), two_way(values[arm] - values[over])
            row: Row = {"test": TESTS[test], "arm": arm, "trainings": len(own), "classes": values[arm].shape[1],
                        "images": values[arm].shape[1] * own[0]["images"][test]}  # fmt: skip
            row |= {"accuracy": level.value, "accuracy_low": level.low, "accuracy_high": level.high}
            if arm != over:
                row |= {"over": over, "gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
            row |= {band: float(np.mean([cell[band] for cell in own])) for band in ("head", "middle")}
            row["settings"] = told(own[0]["recipe"])
            found.append(row)
    return found


def percent(row: Row, column: str, sign: str) -> str:
    """A value with its interval, in percent."""
    low, high = (100 * row[f"{column}_{end}"] for end in ("low", "high"))
    return f"{100 * row[column]:{sign}.1f} [{low:.1f}, {high:.1f}]"


def page(found: Sequence[Row]) -> str:
    """The same as Markdown, in percent."""
    lines = ["| Test | Arm | Accuracy, rare classes | Gain, points | Middle | Head |", "|---|---|---|---|---|---|"]
    for row in found:
        gain = f"{percent(row, 'gain', '+')} over {row['over']}" if "gain" in row else "baseline"
        cells = [row["test"], row["arm"], percent(row, "accuracy", ""), gain]
        lines.append(f"| {' | '.join(cells)} | {100 * row['middle']:.1f} | {100 * row['head']:.1f} |")
    return "\n".join(lines) + "\n"


def write(folder: Path, cells: Sequence[Cell], baseline: str) -> None:
    """rare_classes.csv, rare_classes.md, and one row for each training."""
    found = rows(cells, baseline)
    artifacts.write_text(folder / "rare_classes.csv", to_csv(found, COLUMNS))
    artifacts.write_text(folder / "rare_classes.md", page(found))
    each: list[Row] = [
        {"arm": cell["arm"], "seed": cell["seed"], "seconds": cell["seconds"], "head": cell["head"],
         "middle": cell["middle"], **{test: accuracy(cell, test) for test in cell["right"]}}
        for cell in cells
    ]  # fmt: skip
    columns = ("arm", "seed", *cells[0]["right"], "middle", "head", "seconds")
    artifacts.write_text(folder / "rare_classes_seeds.csv", to_csv(each, columns))
    print(page(found), flush=True)
