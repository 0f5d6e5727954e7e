"""A report of published tables with made-up pictures: what the tests of the page open, without running the workflow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.report import captions, page
from pipeline.stages import report
from pipeline.tables import CAVEAT, from_csv
from tests.conftest import ROOT

PUBLISHED = ROOT / "results" / "published"
NAMES = {"table": "", **{name: f"_{name}" for name in ("seeds", "cost", "networks", "battles", "judges", "standings")}}
RECORD: dict[str, Any] = {
    "hash": "0123456789abcdef",
    "config": {"class": "made_up", "training": {"steps": 100}, "arguments": {"hidden": 400}},
    "files": {"weights.safetensors": {"sha256": "0" * 64}},
    "made": "2026-11-30T12:00:00Z",
    "seconds": 90.0,
    "commit": "0123456789abcdef",
    "machine": "made up",
    "device": "cpu",
    "python": "3.11",
}


class Source:
    """The files of one published data set; pictures are dots and waves."""

    def __init__(
        self, folder: str, dataset: str, bands: dict[str, Any] | None, pictures: dict[tuple[str, Any], np.ndarray]
    ) -> None:
        self.dataset, self.bands, self.pictures = dataset, bands, pictures
        self.folder = PUBLISHED / folder
        self.inputs = {"drawn": []}

    def rows(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / f"{self.dataset}{NAMES.get(name, f'_{name}')}.csv"
        return from_csv(path.read_text(encoding="utf-8")) if path.exists() else []

    def json(self, name: str, key: Any = None) -> Any:
        splits = {part: {"count": 10_000, "imbalance_ratio": 30.0 if self.bands else None} for part in PARTS}
        summary = {
            "shape": [1, 28, 28],
            "classes": ["a", "b"],
            **splits,
            **({"bands": self.bands} if self.bands else {}),
        }
        return {
            "summary": summary,
            "classifier": {"accuracy": {"test": 0.99}},
            "tracked": {"runs": {}, "store": ""},
            "training": {"status": "ok"},
        }[name]

    def record(self, name: str, key: Any = None) -> dict[str, Any]:
        return RECORD

    def images(self, name: str, key: Any = None) -> np.ndarray:
        if (name, key) in self.pictures:
            return self.pictures[name, key]
        steps, side = (8, 28) if name == "canvases" else (1, 28)
        wave = np.sin(np.arange(side)[:, None] / 3 + np.arange(side)[None] / 5 * (1 + len(str(key)) % 5))
        images = np.stack([np.roll(wave, shift, axis=1) for shift in range(100)])
        shown = (127 * (1 + images)).astype(np.uint8)[:, None]
        return shown if name != "canvases" else np.stack([shown[:8] // (steps - k) for k in range(steps)], axis=1)


PARTS = ("train", "valid", "test")
BANDS: dict[str, Any] = {
    **{name: {"classes": 100, "train": 1000, "test": 200} for name in ("head", "middle", "tail")},
    "rare_under_three": 5,
    "tail_known_to": 0.056,
}


def context(
    folder: str,
    dataset: str,
    *,
    bands: dict[str, Any] | None = None,
    pictures: dict[tuple[str, Any], np.ndarray] | None = None,
) -> dict[str, Any]:
    """What the page shows of a published data set."""
    source = Source(folder, dataset, bands, pictures or {})
    models = [row["model"] for row in source.rows("table") if row["status"] is not None]
    about = {
        "models": models,
        "runs": [(row["model"], row["seed"]) for row in source.rows("cost")],
        "trained": {model: model.split("_at")[0] for model in models},
        "sequential": [model for model in models if model in ("draw", "draw_gan", "gran3")],
    }
    known = captions.read(ROOT / "report")
    return report.dataset(source, about, known)  # type: ignore[arg-type]


def drawing(name: str, known: dict[str, captions.Caption]) -> dict[str, Any]:
    """A figure of lines, as a drawing."""
    points = " ".join(f"{x},{50 + 40 * math.sin(x / 20):.1f}" for x in range(0, 300, 5))
    wave = f"<polyline points='{points}' fill='none' stroke='black'/>"
    ground = "<rect width='300' height='100' fill='white'/>"
    size = "width='640' height='200' viewBox='0 0 300 100'"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{ground}{wave}</svg>"
    picture = {"src": report.pictures.address(svg.encode(), "image/svg+xml"), "lines": True, "kind": "svg", "whose": ""}
    return {"name": name, "caption": captions.of(known, name), "pictures": [{**picture, "alt": f"{name}: a wave"}]}


def write(path: Path, *datasets: dict[str, Any]) -> Path:
    """The page of some data sets as a file."""
    known = captions.read(ROOT / "report")
    for item in datasets:
        item["figures"] = item["figures"] or [drawing(name, known) for name in ("scores", "losses")]
    path.write_text(page.render(datasets, captions=known, budget="laptop", caveat=CAVEAT), encoding="utf-8")
    return path
