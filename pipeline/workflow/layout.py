"""Paths of all files, as patterns that rules declare and stages fill in.

Results are stored by the hash of the job that made them. What people open (tables, figures, the report) are views:
copies of stored files at fixed paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.references import REFERENCES

RAW = "data/raw/{dataset}"
CHECKPOINT = "results/checkpoints/{dataset}/{model}/{seed}/{hash}.safetensors"
LIVE = "results/live/{dataset}/{model}/{seed}/{hash}.json"
DVC_VIEWS = "results/views/{dataset}"
TUNING = "results/tuning/{dataset}/{model}"
LOG = "logs/{stage}/{name}.log"
PLANNED = ".snakemake/easel/{hash}.json"
"""The specification of a job that the running workflow submitted."""

DAMAGED = "results/damaged"
"""Where folders of damaged results are moved."""

RECORD = "job.json"
"""What made a folder of the store: written last, so a folder that has it is complete."""

FEW_REFERENCES = REFERENCES[:3]
"""Those of a budget without `protocol.more_references`."""

FIGURES = (
    "samples", "scores", "losses", "score_against_cost", "training_cost", "classes", "classes_sheet", "class_sizes",
    "judges", "verdicts", "standings",
)  # fmt: skip
"""The figures of a data set's comparison; each is written as PNG and as SVG."""

OF_SOME = ("classes", "classes_sheet", "class_sizes", "judges", "verdicts", "standings")
"""Those that need labels, imbalanced classes or judges, which is known when they are drawn: no rule declares them."""

GALLERY = (
    "reconstructions", "blends", "walks", "planes", "neighbours", "noise", "steps", "epochs", "adversaries", "asked",
)  # fmt: skip
"""What the papers show of trained models; a table has those that its models can show."""


def drawings(names: Iterable[str]) -> dict[str, str]:
    """Output names and file names of some figures, each as PNG and SVG."""
    return {f"{name}_{kind}": f"{name}.{kind}" for name in names for kind in ("png", "svg")}


def csv_files(*names: str) -> dict[str, str]:
    """Output names and file names of some tables."""
    return {name: f"{name}.csv" for name in names}


DATASET, MODEL, RUN = ("dataset",), ("dataset", "model"), ("dataset", "model", "seed")

WILDCARDS: dict[str, tuple[str, ...]] = {
    "fetch": DATASET, "prepare": DATASET, "classifier": DATASET, "train": RUN, "sample": RUN, "references": DATASET,
    "augment": RUN, "evaluate": RUN, "battle": MODEL, "standings": DATASET, "tables": DATASET, "figures": DATASET,
    "gallery": DATASET, "canvases": RUN, "track": DATASET, "summary": DATASET, "report": (),
}  # fmt: skip
"""What a stage has a job for each of, in the order in which the stages follow each other."""

FILES: dict[str, dict[str, str]] = {
    "fetch": {"fetched": "fetched.json"},
    "prepare": {"train": "train.arrow", "valid": "valid.arrow", "test": "test.arrow", "summary": "summary.json"},
    "classifier": {
        "classifier": "weights.safetensors",
        "more_classifiers": "more.safetensors",
        "features": "features.safetensors",
        "report": "report.json",
    },
    "train": {
        "weights": "weights.safetensors",
        "history": "history.csv",
        "training": "training.json",
        "cost": "cost.json",
        "snapshots": "snapshots.arrow",
    },
    "sample": {"images": "images.arrow", "canvases": "canvases.arrow", "cost": "cost.json"},
    "references": {"metrics": "metrics.json", "baselines": "baselines.safetensors"},
    "augment": {"augmented": "augmented.json"},
    "evaluate": {"metrics": "metrics.json"},
    "battle": {"scores": "scores.safetensors", "judge": "judge.json"},
    "standings": csv_files("battles", "judges", "judges_seeds", "standings"),
    "tables": csv_files("table", "seeds", "cost", "networks", "claims")
    | {"markdown": "table.md", "latex": "table.tex"},
    "figures": drawings(name for name in FIGURES if name not in OF_SOME),
    "gallery": {"facts": "gallery.json"},
    "canvases": {"png": "canvases.png", "svg": "canvases.svg"},
    "track": {"tracked": "tracked.json"},
    "summary": {"text": "summary.txt"},
    "report": {"page": "report.html"},
}
"""Stage -> output name -> file name. The gallery's figures differ from table to table: its record lists them."""


def folder(stage: str) -> str:
    """The pattern of the folder of a stage's job.

    Raises KeyError for a stage that there is not.
    """
    places = {"fetch": "data/raw/{dataset}/.fetched", "prepare": "data/prepared/{dataset}"}
    parts = [f"{{{name}}}" for name in WILDCARDS[stage]]
    store = "/".join(["results/store", *parts[:1], stage, *parts[1:]])
    return f"{places.get(stage, store)}/{{hash}}"


def job_name(stage: str, wildcards: Mapping[str, Any]) -> str:
    """A job's name for a person, 'train mnist vae 0', and the one that its lock has."""
    return " ".join([stage, *(str(value) for value in wildcards.values())])


def job_folder(stage: str, wildcards: Mapping[str, Any], hash_: str) -> Path:
    """Where a job's results are stored."""
    return path(folder(stage), **wildcards, hash=hash_)


def outputs(stage: str) -> dict[str, str]:
    """Output name -> path pattern; `job` is the record."""
    return {name: f"{folder(stage)}/{file}" for name, file in (FILES[stage] | {"job": RECORD}).items()}


OUTPUTS = {stage: outputs(stage) for stage in FILES}

LOCAL = ("fetch", "standings", "tables", "figures", "canvases", "track", "summary", "report")
"""Stages that run where Snakemake runs, not in a cluster's queue."""


def log(stage: str) -> str:
    """The pattern of the log of a stage's job."""
    return f"logs/{stage}/{_run_of(stage)}/{{hash}}.log"


def benchmark(stage: str) -> str:
    """The pattern of Snakemake's file of a job's time and memory."""
    return f"benchmarks/{stage}/{_run_of(stage)}/{{hash}}.tsv"


def _run_of(stage: str) -> str:
    return "-".join(f"{{{name}}}" for name in WILDCARDS[stage]) or "all"


TABLE = "results/tables/{dataset}.csv"
SUMMARY_TEXT = "results/summary/{dataset}.txt"
FIGURE_FOLDER = "results/figures/{dataset}"
REPORT = "results/report.html"

VIEWS: dict[str, dict[str, tuple[str, str]]] = {
    "tables": {
        TABLE: ("tables", "table"),
        "results/tables/{dataset}.md": ("tables", "markdown"),
        "results/tables/{dataset}.tex": ("tables", "latex"),
        "results/tables/{dataset}.json": ("tables", "job"),
        **{
            f"results/tables/{{dataset}}_{name}.csv": (stage, name)
            for stage, names in (
                ("tables", ("seeds", "cost", "claims", "networks")),
                ("standings", ("battles", "judges", "judges_seeds", "standings")),
            )
            for name in names
        },
    },
    "prepared": {"data/prepared/{dataset}/summary.json": ("prepare", "summary")},
    "classifier": {"results/classifier/{dataset}.json": ("classifier", "report")},
    "summary": {SUMMARY_TEXT: ("summary", "text")},
    "report": {REPORT: ("report", "page")},
}
"""View -> path -> (stage, output) that it copies. The view `figures` is a folder: see `store.copies`."""


def log_of_view(kind: str) -> str:
    """The pattern of the log of a copy."""
    return f"logs/view_{kind}/{'all' if kind == 'report' else '{dataset}'}.log"


def view(kind: str, name: str, **wildcards: object) -> Path:
    """The path of a view by the output that it copies: view("tables", "battles", dataset="mnist")."""
    pattern = next(pattern for pattern, (_, output) in VIEWS[kind].items() if output == name)
    return Path(pattern.format(**wildcards))


def path(pattern: str, **wildcards: object) -> Path:
    """The pattern with its wildcards filled in."""
    return Path(pattern.format(**wildcards))


HASH = re.compile(r"[0-9a-f]{16}")
