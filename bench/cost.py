"""What every metric of ours costs as the sets grow: CPU seconds, memory, and the exponent fitted to the seconds."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from bench import figure
from bench.apart import child
from bench.asked import Asked, Task
from bench.rows import Row
from bench.timing import say
from pipeline import metrics
from pipeline.core import artifacts

SIZES = (1000, 2000, 5000, 10_000, 20_000, 50_000)
QUICK_SIZES = (200, 400)
WARM_UP = 100
"""Images of a first run that does not count."""
FITTED_FROM = 5000
"""Images from which on the exponent is fitted: below, what does not depend on them hides it."""

COLUMNS = ("metric", "n", "seconds", "memory_mb", "exponent")


@dataclass
class Costs:
    """Measured so far: metric -> [(n, seconds, MB)]; the file and the plot grow with it."""

    asked: Asked
    points: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)

    def measure(self, metric: str) -> list[Row]:
        """One metric at every size; nothing where it measures nothing of such images."""
        sizes = QUICK_SIZES if self.asked.quick else [size for size in SIZES if size <= self.asked.images]
        found: list[tuple[int, float, float]] = []
        with child("bench.metric_work", "measured", self.asked.threads) as process:
            process.prepare(metric=metric, n=WARM_UP)
            process.go()
            for n in sizes:
                process.prepare(metric=metric, n=n)
                run = process.go()
                say(f"{metric}, {n:,} images: {run.cpu_seconds:.2f} s, {run.memory_mb:.0f} MB")
                if not run.values["columns"]:
                    return [Row("cost", metric, "", "s", note="measures nothing of such images")]
                found.append((n, run.cpu_seconds, run.memory_mb))
        self.points[metric] = found
        self.write()
        n, seconds, memory = found[-1]
        row = Row("cost", metric, f"{n:,} against {n:,} of 784 pixels", "CPU s", seconds, memory_mb=memory, rounds=1)
        row.note = f"grows as n^{exponent(found):.2f}; its intervals included"
        return [row]

    def write(self) -> None:
        """The table and the plot of what there is."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for metric, found in self.points.items():
            slope = f"{exponent(found):.3f}"
            writer.writerows((metric, n, f"{s:.6g}", f"{memory:.6g}", slope) for n, s, memory in found)
        self.asked.to.mkdir(parents=True, exist_ok=True)
        artifacts.write_text(self.asked.to / "bench_cost.csv", text.getvalue())
        figure.write(
            self.asked.to / "bench_cost", figure.cost(self.points, {m: exponent(f) for m, f in self.points.items()})
        )


def exponent(points: Sequence[tuple[int, float, float]]) -> float:
    """Slope of log seconds in log n by least squares, over the sizes from `FITTED_FROM` on if there are three such."""
    chosen = [point for point in points if point[0] >= FITTED_FROM]
    chosen = chosen if len(chosen) >= 3 else list(points)
    x, y = [math.log(n) for n, *_ in chosen], [math.log(max(seconds, 1e-9)) for _, seconds, _ in chosen]
    middle = sum(x) / len(x)
    spread = sum((value - middle) ** 2 for value in x)
    return sum((a - middle) * b for a, b in zip(x, y, strict=True)) / spread


def tasks(asked: Asked) -> list[Task]:
    """One per metric."""
    costs = Costs(asked)
    names = metrics.names()[:1] if asked.quick else metrics.names()
    return [Task(f"cost: {name}", partial(costs.measure, name)) for name in names]
