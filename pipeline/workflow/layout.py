"""Where everything lies: path patterns that the Snakefile declares and the stages fill in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RESULT_NEUTRAL = True

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

GALLERY = ("blends", "walks", "planes", "neighbours", "noise", "steps", "epochs", "adversaries")
"""What the papers show of trained models; a table has those that its models can show, by its job's block."""

GALLERY_FACTS = "results/gallery/{dataset}.json"
"""The numbers that stand in the gallery's figures."""


def _drawings(names: Iterable[str]) -> dict[str, str]:
    """Output names and patterns of some figures, each as PNG and SVG."""
    return {f"{name}_{kind}": FIGURE.replace("{figure}", f"{name}.{kind}") for name in names for kind in ("png", "svg")}


SAMPLES_FIGURE = FIGURE.replace("{figure}", "samples.png")

OUTPUTS: dict[str, dict[str, str]] = {
    "fetch": {"fetched": FETCHED},
    "prepare": {"train": TRAIN, "valid": VALID, "test": TEST, "summary": SUMMARY},
    "classifier": {"classifier": CLASSIFIER, "features": FEATURES, "report": CLASSIFIER_REPORT},
    "train": {
        "weights": WEIGHTS,
        "history": HISTORY,
        "training": TRAINING,
        "cost": TRAINING_COST,
        "snapshots": SNAPSHOTS,
    },
    "sample": {"images": SAMPLES, "canvases": CANVASES, "cost": SAMPLING_COST},
    "references": {"metrics": REFERENCE_METRICS},
    "augment": {"augmented": AUGMENTED},
    "evaluate": {"metrics": METRICS},
    "battle": {"scores": SCORES, "judge": JUDGE},
    "standings": {"battles": BATTLES, "judges": JUDGES, "judges_seeds": JUDGES_SEEDS, "standings": STANDINGS},
    "tables": {
        "table": TABLE,
        "markdown": TABLE_MARKDOWN,
        "latex": TABLE_LATEX,
        "seeds": SEEDS,
        "cost": COST,
        "networks": NETWORKS,
        "claims": CLAIMS,
    },
    "figures": _drawings(FIGURES),
    "gallery": _drawings(GALLERY) | {"facts": GALLERY_FACTS},
    "canvases": {"png": f"{CANVAS_SHEET}.png", "svg": f"{CANVAS_SHEET}.svg"},
    "track": {"tracked": TRACKED},
    "summary": {"text": SUMMARY_TEXT},
    "report": {"page": REPORT},
}
"""Stage -> output name -> path pattern. Every output is stamped; a gallery has those figures that its config names."""

KEPT = "results/.kept/{identity}"
"""Finished results by the identity of the job that made them, as hard links."""

NOT_KEPT = ("fetch", "track")
"""Stages that leave more behind than their files (raw files, runs in MLflow): the files alone are no earlier result."""


def wildcards(stage: str) -> tuple[str, ...]:
    """Which of dataset, model and seed a stage has a job for each of; the report is one page of all."""
    pattern = next(iter(OUTPUTS[stage].values()))
    return tuple(name for name in ("dataset", "model", "seed") if f"{{{name}}}" in pattern)


def figure_name(pattern: str) -> str:
    """What a figure's pattern is called, its kind and its model and seed left out: the name of its caption."""
    name = FIGURE_FOLDER.sub("", pattern).rsplit(".", 1)[0]
    return re.sub(r"[_/]?\{\w+\}[_/]?", "", name).strip("_/")


def outputs(stage: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Patterns of the files that a stage's job leaves behind, by name; of the gallery's figures those of its config.

    Raises KeyError for a stage that there is not.
    """
    if stage != "gallery":
        return OUTPUTS[stage]
    names = {"facts", *_drawings(config["figures"])}
    return {name: pattern for name, pattern in OUTPUTS[stage].items() if name in names}


def path(pattern: str, **wildcards: object) -> Path:
    """The pattern with its wildcards filled in."""
    return Path(pattern.format(**wildcards))
