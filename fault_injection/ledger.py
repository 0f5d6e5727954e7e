"""What the campaigns found: faults injected, runs equal to the undisturbed one, artifacts lost or wrong."""

from __future__ import annotations

import csv
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.runtime.progress import duration

COLUMNS = ("fault", "injected", "runs", "equal", "lost_or_wrong")


@dataclass
class Row:
    """One kind of fault."""

    fault: str
    injected: int = 0
    runs: int = 0
    """Runs that were taken to their end after it, and compared."""
    equal: int = 0
    wrong: list[str] = field(default_factory=list)
    """Artifacts lost or wrong, and whatever else should not have been, in words."""

    def compared(self, differences: list[str]) -> None:
        """Count a run that came to its end."""
        self.runs += 1
        self.equal += not differences
        self.found(differences)

    def found(self, wrong: list[str]) -> None:
        """Note what is wrong, and say it at once."""
        for text in wrong:
            self.wrong.append(text)
            say(f"WRONG: {self.fault}: {text}")

    @property
    def cells(self) -> tuple[str, int, int, int, int]:
        """In the order of COLUMNS."""
        return self.fault, self.injected, self.runs, self.equal, len(self.wrong)


def table(rows: list[Row]) -> str:
    """For the terminal."""
    lines = [COLUMNS, *(tuple(map(str, row.cells)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def write(path: Path, rows: list[Row]) -> None:
    """As CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(row.cells for row in rows)


BEGAN = time.monotonic()


def say(message: str) -> None:
    """A line of progress, headed by the time that passed."""
    print(f"{duration(time.monotonic() - BEGAN):>8}  {message}", file=sys.stderr, flush=True)
