"""What every column of the tables means that is no metric's; the metrics describe theirs in their own files.

Same form as a metric's: `label`, `meaning`, `better` (lower, higher, near_real or None), `unit`, `scale`. Tables,
report and documentation all read `describe`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Description = Mapping[str, Any]

WITHOUT_CONTENT = ("noise", "mean_image")
"""References that a model has to beat; the others are real images with a known fault, which may beat every model."""
BEFORE_METRICS = ("model", "seeds", "n_real", "n_fake")
AFTER_METRICS = ("rating", "interval_kind", "parameters", "status")
PAPER_METRICS = ("paper_mmd", "paper_fid", "paper_knn", "paper_bayes")
COST_COLUMNS = (
    "model", "seed", "images_seen", "train_seconds", "train_cpu_seconds", "cores_busy", "train_images_per_second",
    "sample_images_per_second", "peak_memory_mb", "threads", "device",
)  # fmt: skip
NETWORK_COLUMNS = (
    "model", "parameters_generator", "parameters_encoder", "parameters_discriminator", "parameters", "seeds",
    "images_seen", "train_cpu_seconds", "train_images_per_second", "sample_images_per_second", "peak_memory_mb",
)  # fmt: skip
FRECHET, KID = "fd_classifier", "kid_classifier"
HEADLINE_METRICS = (FRECHET, "precision", "coverage", "copying", "elbo")
"""Fidelity, diversity, copying and likelihood; the battles' rating and the cost follow."""
HEADLINE_COST = "train_cpu_seconds"
RANKED_METRICS = (FRECHET, KID, *HEADLINE_METRICS[1:])
"""What models are ranked by: the headline metrics, and KID where it takes the place of the Frechet distance."""
SHORT_LABELS = {
    "mmd_rbf": "MMD",
    "fd_classifier": "FD(clf)",
    "fd_pixels": "FD(pix)",
    "kid_classifier": "KID(clf)",
    "knn_error": "K-NN",
    "naive_bayes_error": "Bayes",
    "precision": "prec",
    "recall": "recall",
    "coverage": "cover",
    "copying": "copying",
    "elbo": "ELBO",
    "iwae_bound": "IWAE",
    "log_likelihood": "log p",
    "coverage_tail": "cover, tail",
    "class_accuracy_tail": "class acc., tail",
    "class_accuracy_tail_chance": "chance",
    "tail_accuracy_gain": "gain, tail",
    "middle_accuracy_gain": "gain, middle",
    "head_accuracy_gain": "gain, head",
    "kid_tail": "KID, tail",
    "sharpness_tail": "sharp, tail",
    "parameters": "params",
    HEADLINE_COST: "CPU s",
}
"""Heads for where there is no room for a label."""
GROUPS = {
    "Distances": ("mmd_", "fd_", "kid_", "fld"),
    "Two-sample tests": ("knn_", "c2st_", "naive_bayes_"),
    "Coverage and copying": (
        "precision", "recall", "density", "coverage", "classes_covered", "copying", "authenticity", "diversity",
    ),
    "Likelihood": ("elbo", "iwae_", "log_likelihood"),
    "Ranks": ("rank_",),
    "Classes": ("class_", "confident_", "tail_"),
    "Appearance": ("sharpness", "brightness"),
    "Other metrics": (),
    "Battles": ("rating",),
    "Cost": ("parameters", "images_seen", "train_", "sample_images_", "peak_memory_"),
    "Printed in papers": ("paper_",),
    "Runs": ("seeds", "n_real", "n_fake", "interval_kind"),
}  # fmt: skip
"""Group of columns -> beginnings of their names, in the order in which the report shows them."""


def _described(label: str, meaning: str, unit: str = "", better: str | None = None) -> dict[str, Any]:
    return {"label": label, "meaning": meaning, "better": better, "unit": unit, "scale": "linear"}


def _paper(name: str, what: str) -> dict[str, Any]:
    meaning = f"{what} as Renkila et al. print it, who state no feature space and no kernel: compare it with no other."
    return _described(f"{name} (paper)", meaning)


RUN_COLUMNS = {
    "model": _described("Model", "Key under models: in params.yaml, or a reference row: real, noise and others."),
    "seed": _described("Seed", "The run's seed."),
    "seeds": _described("Seeds", "How many runs the row's means are over."),
    "n_real": _described("Real images", "Held-out real images compared with.", "images"),
    "n_fake": _described("Generated images", "Generated images per run.", "images"),
    "interval_kind": _described("Intervals", "How the 95 % intervals were made, in the order of the columns."),
    "parameters": _described("Parameters", "Trained numbers of all the model's networks together."),
    "parameters_generator": _described("Generator", "Trained numbers of the networks that make images."),
    "parameters_encoder": _described("Encoder", "Trained numbers of the networks that images are encoded by."),
    "parameters_discriminator": _described("Discriminator", "Trained numbers of the networks that tell real images."),
    "status": _described(
        "Status",
        "The worst of: diverged (a loss was not finite), collapsed (classes covered under 0.8 of real's, or diversity "
        "under half of it), unconditional in effect (a conditional model that hardly follows the class: "
        "class_accuracy), poor (coverage under a quarter of real's), ok.",
    ),
    "paper_mmd": _paper("MMD", "MMD"),
    "paper_fid": _paper("FID", "FID"),
    "paper_knn": _paper("K-NN", "K-NN error"),
    "paper_bayes": _paper("Bayes", "Naive Bayes error"),
}

COSTS = {
    "images_seen": _described(
        "Images seen", "Training images that the model was shown, repetitions counted: steps times batch.", "images"
    ),
    "train_seconds": _described("Training", "Wall seconds of training.", "s", "lower"),
    "train_cpu_seconds": _described("Training, CPU seconds", "CPU seconds of training.", "s", "lower"),
    "cores_busy": _described("Cores busy", "CPU seconds over wall seconds of training."),
    "train_images_per_second": _described("Training speed", "Training images per wall second.", "images/s", "higher"),
    "sample_images_per_second": _described("Sampling speed", "Generated images per second.", "images/s", "higher"),
    "peak_memory_mb": _described("Peak memory", "Largest resident memory of training, or the device's.", "MB", "lower"),
    "threads": _described("Threads", "CPU threads of the stage."),
    "device": _described("Device", "Where it was measured."),
}  # fmt: skip

BATTLES = {
    "model_1": _described("Model 1", "The first model of the battle."),
    "model_2": _described("Model 2", "The second model of the battle."),
    "verdict": _described(
        "Verdict", "Who passes third-party judges (of neither model) more often: a model, tie or unresolved."
    ),
    "advantage": _described(
        "Advantage", "Model 1's log odds of passing third-party judges minus model 2's; above 0, model 1 is ahead."
    ),
    "advantage_p": _described("p", "Two-sided p of no advantage, over judge models and seeds, uncorrected."),
    "third_party_judges": _described(
        "Judges", "Models of neither side whose discriminators judge both; fewer than three decide nothing."
    ),
    "auc_1_on_2": _described(
        "AUC 1 on 2", "Probability that judge 1 ranks a held-out image above one of model 2's; 0.5 is chance."
    ),
    "auc_2_on_1": _described(
        "AUC 2 on 1", "Probability that judge 2 ranks a held-out image above one of model 1's; 0.5 is chance."
    ),
    "r_test": _described(
        "r_test", "Error rate of judge 1 over judge 2's on held-out images; far from 1, one is overfitted."
    ),
    "r_sample": _described(
        "r_sample", "Error rate of judge 1 on model 2's images over judge 2's on model 1's; below 1, model 1 is ahead."
    ),
    "r_sample_matched": _described(
        "r_sample, matched", "r_sample with each judge set to 10 % error on real validation images: its bias drops out."
    ),
    "errors_1_test": _described("Errors 1, test", "Held-out images that judge 1 calls generated.", "images"),
    "total_1_test": _described("Images 1, test", "Held-out images times judge 1's seeds.", "images"),
    "errors_2_test": _described("Errors 2, test", "Held-out images that judge 2 calls generated.", "images"),
    "total_2_test": _described("Images 2, test", "Held-out images times judge 2's seeds.", "images"),
    "errors_1_on_2": _described("Errors 1 on 2", "Images of model 2 that judge 1 calls real.", "images"),
    "total_1_on_2": _described("Images 1 on 2", "Images of model 2 before judge 1, over all pairs of seeds.", "images"),
    "errors_2_on_1": _described("Errors 2 on 1", "Images of model 1 that judge 2 calls real.", "images"),
    "total_2_on_1": _described("Images 2 on 1", "Images of model 1 before judge 2, over all pairs of seeds.", "images"),
    "gap_1": _described("Gap 1", "Judge 1's error rate on held-out minus on training images: overfitting."),
    "gap_2": _described("Gap 2", "Judge 2's error rate on held-out minus on training images: overfitting."),
    "winner": _described("Winner", "The paper's rule (Im et al. 2016 eq. 11), r_test within 1.3; empty: no verdict."),
    "paper_r_test": _described("r_test (paper)", "Printed in Im et al. 2016 Table 2, of their own networks."),
    "paper_r_sample": _described("r_sample (paper)", "Printed in Im et al. 2016 Table 2, of their own networks."),
    "paper_winner": _described("Winner (paper's table)", "Whom Im et al. 2016 Table 2 names."),
    "paper_error": _described("Error rate (paper)", "Printed in Im et al. 2016 Table 3, of their own networks."),
    "winner_tested": _described(
        "Winner, tested", "A tie unless r_test's 90 % interval is in the tolerance and r_sample's 95 % one without 1."
    ),
    "r_sample_even": _described(
        "r_sample, even",
        "r_sample with log 2 added to the logit of judges that were trained on two generated images for each real one "
        "(DRAW-GAN, VAE-GAN); empty for pairs without one.",
    ),
    "winner_even": _described("Winner, even", "The paper's rule by r_sample and r_test with log 2 added in this way."),
    "note": _described("Note", "What has to be known to read the row."),
    "judge": _described("Judge", "Model whose discriminator judges."),
    "contestant": _described("Contestant", "Whose images are judged; real_test and real_train are real ones."),
    "errors": _described("Errors", "Real images called generated, or generated ones called real.", "images"),
    "total": _described("Images", "Images judged, over all pairs of seeds.", "images"),
    "error": _described("Error rate", "Errors over images; on generated images the judge is fooled.", "share"),
    "rating": _described(
        "Rating", "By third-party judges' verdicts (Davidson 1970), mean 1500; 400 more: 10 to 1.", "points", "higher"
    ),
    "rating_without": _described(
        "Rating, some left out", "The rating among the models that `left_out` does not name.", "points", "higher"
    ),
    "rating_half_1": _described("Rating, half 1", "The rating by every second judge model alone.", "points", "higher"),
    "rating_half_2": _described("Rating, half 2", "The rating by the other judge models alone.", "points", "higher"),
    "left_out": _described("Left out", "Why rating_without leaves the model out."),
    "judged": _described("Judged by", "Judge models that have a verdict on the model, its own left out."),
}  # fmt: skip


def describe(metrics: Mapping[str, Description] | None = None) -> dict[str, Description]:
    """Every column by its name, `metrics` (the metrics' own descriptions) among them, with the bounds of intervals."""
    known: dict[str, Description] = {**RUN_COLUMNS, **(metrics or {}), **COSTS, **BATTLES}
    known |= {f"{name}_each": _each(known[name]) for name in known if f"{name}_min" in known}
    known |= {f"rank_{name}": _rank(known[name]) for name in RANKED_METRICS if name in known}
    return known | {f"{name}_{side}": _bound(known[name], side) for name in known for side in ("low", "high")}


def _each(description: Description) -> dict[str, Any]:
    label = description["label"]
    return _described(f"{label}, each", f"{label} by each reference classifier, parted by spaces.")


def _rank(description: Description) -> dict[str, Any]:
    label = description["label"]
    meaning = (
        f"Place among the models by: {label}. Its interval has the places that tests of all pairs leave open: with "
        "one seed over images, else over seeds."
    )
    return _described(f"Rank, {label}", meaning, better="lower")


def _bound(description: Description, side: str) -> dict[str, Any]:
    end = "Lower" if side == "low" else "Upper"
    words = f"{end} end of the 95 % interval of: {description['label']}."
    return {**description, "label": f"{description['label']}, {side}", "meaning": words, "better": None}


def main_columns(metrics: Iterable[str]) -> tuple[str, ...]:
    """Columns of the main table in their order, each metric and rank followed by its interval."""
    names = (*metrics,)
    measured = [f"{name}{end}" for name in (*names, *rank_columns(names)) for end in ("", "_low", "_high")]
    return (*BEFORE_METRICS, *measured, *AFTER_METRICS, *PAPER_METRICS)


def rank_columns(metrics: Iterable[str]) -> tuple[str, ...]:
    """The columns of ranks: one for each metric that models are ranked by and that there is."""
    there = set(metrics)
    return tuple(f"rank_{name}" for name in RANKED_METRICS if name in there)


def seeds_columns(metrics: Iterable[str]) -> tuple[str, ...]:
    """Columns of the table of single runs; at the end the values by each reference classifier."""
    names = tuple(metrics)
    return ("model", "seed", *names, *(f"{name}_each" for name in names if f"{name}_min" in names))


def headline_columns(metrics: Iterable[str], rows: Sequence[Mapping[str, Any]] = ()) -> tuple[str, ...]:
    """The eight columns, at most, beside the model's name, of a table that is read by eye; the report has all others.

    If none of `rows` has a Frechet distance (too few held-out images), the unbiased KID takes its place. The cost is
    there if `rows` have it: it differs from run to run, so the files of scores, CSV and Markdown, do not.
    """
    there = set(metrics)
    measured = not rows or any(row.get(FRECHET) is not None for row in rows)
    names = [name if measured or name != FRECHET else KID for name in HEADLINE_METRICS]
    cost = [HEADLINE_COST] if any(row.get(HEADLINE_COST) is not None for row in rows) else []
    return ("model", "status", *(name for name in names if name in there), "rating", *cost)


def group_of(column: str) -> str:
    """The group that the report shows a column in; no group for the columns that name a row."""
    if column in ("model", "status"):
        return ""
    return next((group for group, names in GROUPS.items() if names and column.startswith(names)), "Other metrics")


def in_groups(columns: Iterable[str]) -> list[str]:
    """Columns group by group, each group's in the order given; first those without a group."""
    order = ["", *GROUPS]
    return sorted(columns, key=lambda name: order.index(group_of(name)))
