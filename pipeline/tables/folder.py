"""The tables of one data set in a folder, wherever they were made, and the papers' claims held against them."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.tables.aliases import current_column
from pipeline.tables.claims import JUDGED_COLUMNS, Evidence, claim_rows, read_claims
from pipeline.tables.columns import Description
from pipeline.tables.published import FOLDER
from pipeline.tables.rows import Row
from pipeline.tables.text import from_csv

KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("model",),
    "seeds": ("model", "seed"),
    "battles": ("model_1", "model_2"),
    "judges": ("judge", "contestant"),
    "judges_seeds": JUDGED_COLUMNS,
    "networks": ("model",),
    "cost": ("model", "seed"),
}
"""Ending of a table's name ('' for the main table) -> columns that it must have."""

LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@dataclass(frozen=True)
class TableFolder:
    """A folder with `<dataset>.csv` and its companions."""

    path: Path
    dataset: str

    def file(self, name: str) -> Path:
        """The file of a table of KEYS."""
        return self.path / f"{'_'.join(filter(None, (self.dataset, name)))}.csv"

    def rows(self, name: str) -> list[Row]:
        """A table's rows; none where there is no such file. Raises ValueError where it is another table."""
        file = self.file(name)
        if not file.is_file():
            return []
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{file}: cannot be read as a table: {error}") from error
        heads = {current_column(head) for head in next(csv.reader([text.partition("\n")[0]]), [])}
        if not heads >= {*KEYS[name]}:
            raise ValueError(f"{file}: expected a table with the columns {', '.join(KEYS[name])}")
        return from_csv(text)

    def claims(self, metrics: Mapping[str, Description], judged_by: Mapping[str, str], tolerance: float) -> list[Row]:
        """The papers' claims about the folder's models, each with its verdict; see `Evidence` for the arguments."""
        real = next((row for row in self.rows("") if row["model"] == "real"), {})
        judged, battles, costs = (self.rows(name) for name in ("judges_seeds", "battles", "cost"))
        evidence = Evidence(self.by_seed(), metrics, real, judged, judged_by, tolerance, battles, self.dataset, costs)
        return claim_rows(read_claims((FOLDER / "claims.csv").read_text(encoding="utf-8")), evidence)

    def by_seed(self) -> list[Row]:
        """The rows by seed; a main table of one seed per model is its own table by seed.

        Raises ValueError where the main table has means over seeds and the table by seed is missing.
        """
        rows = self.rows("")
        if self.file("seeds").is_file() or not rows:
            return self.rows("seeds")
        if any(row.get("seeds") not in (None, 1) for row in rows):
            missing = self.file("seeds").name
            raise ValueError(f"{self.file('')}: a mean over seeds; expected {missing} next to it, a row for each seed")
        return [{**row, "seed": 0} for row in rows if row.get("status") is not None]

    def figure(self, name: str) -> Path | None:
        """The PNG of a figure, here or in `figures/`; None where there is none."""
        places = (self.path / "figures" / f"{name}.png", self.path / f"{name}.png")
        return next((place for place in places if place.is_file()), None)

    def origin(self) -> tuple[str, dict[str, str]]:
        """The budget that the README's first line names, and its table of what made the set, links as words.

        A folder without a README has that of the folder above. Raises ValueError where there is none.
        """
        files = (folder / "README.md" for folder in (self.path, self.path.parent))
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise ValueError(f"{self.path}: no README.md here or above; expected the one that `make publish` writes")
        text = file.read_text(encoding="utf-8")
        budget = re.search(r"(\w+) budget", text.partition("\n")[0])
        table = text.partition("\n\n|")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| (\w+) \| (.+) \|$", table, re.MULTILINE)
        return budget[1] if budget else "", {name: LINK.sub(r"\1", value) for name, value in rows}


def with_most_seeds(paths: Sequence[Path], dataset: str) -> TableFolder | None:
    """Of the folders that have a data set's main table the one with the most seeds, the first of equals."""
    folders = [TableFolder(path, dataset) for path in paths]
    there = [folder for folder in folders if folder.file("").is_file()]
    return max(there, key=lambda folder: max(int(row["seeds"] or 0) for row in folder.rows("")), default=None)
