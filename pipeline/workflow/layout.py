"""Where everything lies: path patterns that the Snakefile declares and the stages fill in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUNTIME_ONLY = True

RAW = "data/raw/{dataset}"
FETCHED = "data/raw/{dataset}/fetched.json"
TRAIN = "data/prepared/{dataset}/train.arrow"
VALID = "data/prepared/{dataset}/valid.arrow"
TEST = "data/prepared/{dataset}/test.arrow"
SUMMARY = "data/prepared/{dataset}/summary.json"

CLASSIFIER = "results/classifier/{dataset}/weights.safetensors"
FEATURES = "results/classifier/{dataset}/features.safetensors"
CLASSIFIER_REPORT = "results/classifier/{dataset}/report.json"

WEIGHTS = "results/models/{dataset}/{model}/{seed}/weights.safetensors"
HISTORY = "results/models/{dataset}/{model}/{seed}/history.csv"
TRAINING = "results/models/{dataset}/{model}/{seed}/training.json"
TRAINING_COST = "results/models/{dataset}/{model}/{seed}/cost.json"
SNAPSHOTS = "results/models/{dataset}/{model}/{seed}/snapshots.arrow"
CHECKPOINT = "results/checkpoints/{dataset}/{model}/{seed}/{identity}.safetensors"
LIVE = "results/live/{dataset}/{model}/{seed}/{identity}.json"

SAMPLES = "results/samples/{dataset}/{model}/{seed}/images.arrow"
CANVASES = "results/samples/{dataset}/{model}/{seed}/canvases.arrow"
SAMPLING_COST = "results/samples/{dataset}/{model}/{seed}/cost.json"

METRICS = "results/metrics/{dataset}/{model}/{seed}.json"
AUGMENTED = "results/metrics/{dataset}/{model}/{seed}_augmented.json"
REFERENCE_METRICS = "results/metrics/{dataset}/references.json"
SCORES = "results/battles/{dataset}/{model}.safetensors"
JUDGE = "results/battles/{dataset}/{model}.json"

TABLE = "results/tables/{dataset}.csv"
TABLE_MARKDOWN = "results/tables/{dataset}.md"
TABLE_LATEX = "results/tables/{dataset}.tex"
SEEDS = "results/tables/{dataset}_seeds.csv"
COST = "results/tables/{dataset}_cost.csv"
CLAIMS = "results/tables/{dataset}_claims.csv"
NETWORKS = "results/tables/{dataset}_networks.csv"
BATTLES = "results/tables/{dataset}_battles.csv"
JUDGES = "results/tables/{dataset}_judges.csv"
JUDGES_SEEDS = "results/tables/{dataset}_judges_seeds.csv"
STANDINGS = "results/tables/{dataset}_standings.csv"

FIGURE = "results/figures/{dataset}/{figure}"
FIGURE_FOLDER = re.compile(r"^results/figures/[^/]+/")
CANVAS_SHEET = "results/figures/{dataset}/canvases_{model}_{seed}"
TRACKED = "results/tracking/{dataset}.json"
SUMMARY_TEXT = "results/summary/{dataset}.txt"
REPORT = "results/report.html"
VIEWS = "results/views/{dataset}"
TUNING = "results/tuning/{dataset}/{model}"
TRIAL = "results/tuning/{dataset}/{model}/{identity}"
LOG = "logs/{stage}/{name}.log"

REFERENCES = ("real", "noise", "mean_image")
"""Rows that no model made: what a perfect model would get, what noise gets, what a blur gets."""

FIGURES = (
    "samples", "scores", "losses", "score_against_cost", "training_cost", "classes", "classes_sheet", "class_sizes",
    "judges", "standings",
)  # fmt: skip
"""The figures of a data set's comparison; each is written as PNG and as SVG."""

FIGURE_PATHS = tuple(FIGURE.replace("{figure}", name) for name in FIGURES)
"""Their paths without the kind."""

GALLERY = ("blends", "walks", "planes", "neighbours", "noise", "steps", "epochs", "adversaries")
"""What the papers show of trained models; a table has those that its models can show, by its job's block."""

GALLERY_FACTS = "results/gallery/{dataset}.json"
"""The numbers that stand in the gallery's figures."""

SAMPLES_FIGURE = FIGURE.replace("{figure}", "samples.png")

OUTPUTS: dict[str, tuple[str, ...]] = {
    "fetch": (FETCHED,),
    "prepare": (TRAIN, VALID, TEST, SUMMARY),
    "classifier": (CLASSIFIER, FEATURES, CLASSIFIER_REPORT),
    "train": (WEIGHTS, HISTORY, TRAINING, TRAINING_COST, SNAPSHOTS),
    "sample": (SAMPLES, CANVASES, SAMPLING_COST),
    "references": (REFERENCE_METRICS,),
    "augment": (AUGMENTED,),
    "evaluate": (METRICS,),
    "battle": (SCORES, JUDGE),
    "standings": (BATTLES, JUDGES, JUDGES_SEEDS, STANDINGS),
    "tables": (TABLE, TABLE_MARKDOWN, TABLE_LATEX, SEEDS, COST, NETWORKS, CLAIMS),
    "figures": tuple(f"{path}.{kind}" for path in FIGURE_PATHS for kind in ("png", "svg")),
    "gallery": (
        *(FIGURE.replace("{figure}", f"{name}.{kind}") for name in GALLERY for kind in ("png", "svg")),
        GALLERY_FACTS,
    ),
    "canvases": (f"{CANVAS_SHEET}.png", f"{CANVAS_SHEET}.svg"),
    "track": (TRACKED,),
    "summary": (SUMMARY_TEXT,),
    "report": (REPORT,),
}
"""What each stage leaves behind, all of it stamped; of the gallery's figures only those of the job's block."""

KEPT = "results/.kept/{identity}"
"""Finished results by the identity of the job that made them, as hard links."""

NOT_KEPT = ("fetch", "track")
"""Stages that leave more behind than their files (raw files, runs in MLflow): the files alone are no earlier result."""


def wildcards(stage: str) -> tuple[str, ...]:
    """Which of dataset, model and seed a stage has a job for each of; the report is one page of all."""
    return tuple(name for name in ("dataset", "model", "seed") if f"{{{name}}}" in OUTPUTS[stage][0])


def figure_name(pattern: str) -> str:
    """What a figure's pattern is called, its kind and its model and seed left out: the name of its caption."""
    name = FIGURE_FOLDER.sub("", pattern).rsplit(".", 1)[0]
    return re.sub(r"[_/]?\{\w+\}[_/]?", "", name).strip("_/")


def outputs(stage: str, block: Mapping[str, Any]) -> tuple[str, ...]:
    """Patterns of the files that a stage's job leaves behind: all of the stage's, or the figures that it is asked for.

    Raises KeyError for a stage that there is not.
    """
    if stage != "gallery":
        return OUTPUTS[stage]
    asked = block["figures"]
    return tuple(pattern for pattern in OUTPUTS[stage] if pattern == GALLERY_FACTS or Path(pattern).stem in asked)


def path(pattern: str, **wildcards: object) -> Path:
    """The pattern with its wildcards filled in."""
    return Path(pattern.format(**wildcards))
