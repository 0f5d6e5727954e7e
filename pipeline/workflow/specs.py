"""Every stage, stated once: its inputs by name, and the configuration and the code that its result depends on.

STAGES is the only place where the DAG is written. Rules, planner and stages all read it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.core.errors import UserError
from pipeline.workflow import job_hash, report_inputs
from pipeline.workflow.catalogue import Catalogue
from pipeline.workflow.params import files_in, published_file
from pipeline.workflow.raw_files import contents, located

BATTLES_OF_GRAN = ("gran_table2_battles", "gran_table3_non_adversarial", "gran_table4_more_steps")
"""Published tables of Im et al. 2016 that the reports show next to our battles."""


class Source(NamedTuple):
    """One file that a job reads: the output of a job, which is (stage, data set[, model[, seed]])."""

    job: tuple[Any, ...]
    output: str


@dataclass(frozen=True)
class Request:
    """What one job of a stage needs."""

    config: Mapping[str, Any] = field(default_factory=dict)
    """The resolved configuration that the stage uses."""
    inputs: Mapping[str, Source | Sequence[Source]] = field(default_factory=dict)
    """Input name -> the file, or the files in a documented order."""
    modules: Sequence[str] = ()
    """Science modules that the stage loads by name, besides those it imports."""
    runtime_only: Mapping[str, Any] = field(default_factory=dict)
    """What the job needs but its result does not depend on, or only as its inputs' hashes say already."""


Stage = Callable[..., Request]
STAGES: dict[str, Stage] = {}


def stage(function: Stage) -> Stage:
    """Register a function of (plan, wildcards) as the specification of the stage of its name."""
    STAGES[function.__name__] = function
    return function


# --- inputs that several stages share -------------------------------------------------------------------------------


def splits(dataset: str, *names: str) -> dict[str, Source]:
    """Prepared splits by name: train, valid, test."""
    return {name: Source(("prepare", dataset), name) for name in names}


def reference_classifier(dataset: str) -> dict[str, Source]:
    """The reference classifier and the features of the real images."""
    return {name: Source(("classifier", dataset), name) for name in ("classifier", "features")}


def every_classifier(dataset: str) -> dict[str, Source]:
    """The same with the classifiers after the first."""
    return reference_classifier(dataset) | {"more_classifiers": Source(("classifier", dataset), "more_classifiers")}


def training(plan: Catalogue, dataset: str, model: str, seed: int, output: str) -> Source:
    """A file of the training that gives a model its weights."""
    return Source(("train", dataset, plan.trained(model), seed), output)


def trainings(
    plan: Catalogue, dataset: str, output: str, runs: Iterable[tuple[str, int]] | None = None
) -> list[Source]:
    """A file of the training behind every run, in the order of `plan.runs`; rows may share a training."""
    runs = plan.runs(dataset) if runs is None else runs
    return [training(plan, dataset, model, seed, output) for model, seed in runs]


def of_runs(
    plan: Catalogue, stage_name: str, dataset: str, output: str, runs: Iterable[tuple[str, int]] | None = None
) -> list[Source]:
    """A file of a stage for every run, in the order of `plan.runs`."""
    runs = plan.runs(dataset) if runs is None else runs
    return [Source((stage_name, dataset, *run), output) for run in runs]


def comparison(plan: Catalogue, dataset: str) -> dict[str, Any]:
    """The protocol by which sets of images are compared."""
    protocol = plan.params.protocol
    return {
        "n": plan.n_samples(),
        "protocol_seed": protocol.seed,
        "groups": protocol.jackknife_groups,
        "frechet_images": protocol.frechet_images,
        "pooled": plan.splits_differ(dataset),
    }


def published_digest(name: str) -> str:
    """Digest of a published table."""
    return job_hash.digest(published_file(name).read_text(encoding="utf-8"))


@functools.cache
def metric_modules() -> list[str]:
    """The modules of all metrics and feature spaces: one evaluation measures them all."""
    return [f"pipeline.{folder}.{name}" for folder in ("features", "metrics") for name in files_in(folder)]


# --- data -------------------------------------------------------------------------------------------------------------


@stage
def fetch(plan: Catalogue, dataset: str) -> Request:
    """Raw files; their place and addresses change no result, their contents do."""
    return Request(contents(dataset, plan.form(dataset)), runtime_only=places(plan, dataset))


@stage
def prepare(plan: Catalogue, dataset: str) -> Request:
    """Splits of one shape."""
    block, form = plan.params.datasets[dataset], plan.form(dataset)
    options = form.model_dump(exclude={"files", "sources", "path"}) | {"files": sorted(form.files or {})}
    return Request(
        block.model_dump(include={"shape", "split_seed", "classes"}) | options,
        {"fetched": Source(("fetch", dataset), "fetched")},
        [f"pipeline.datasets.{form.reader}"],
        places(plan, dataset) | {"batches": batches(plan, dataset)},
    )


def batches(plan: Catalogue, dataset: str) -> dict[str, int]:
    """The batch of each model that is trained on a data set, of which it needs one at least."""
    models = {plan.trained(model) for model in plan.models(dataset)}
    return {model: plan.params.model_for(dataset, model)["training"]["batch"] for model in sorted(models)}


def places(plan: Catalogue, dataset: str) -> dict[str, Any]:
    """Where the raw data lie or come from."""
    form = plan.form(dataset)
    path = None if form.path is None else str(located(dataset, form))
    return {"sources": form.sources, "path": path, "manual_download": plan.params.datasets[dataset].manual_download}


@stage
def classifier(plan: Catalogue, dataset: str) -> Request:
    """The reference classifiers."""
    config = plan.classifier_settings() | {"count": plan.params.classifier.count}
    return Request(config, splits(dataset, "train", "valid", "test"))


# --- models -----------------------------------------------------------------------------------------------------------


@stage
def train(plan: Catalogue, dataset: str, model: str, seed: int) -> Request:
    """One training."""
    plan.require_trained(model)
    config = plan.model(model, dataset) | plan.class_count(model, dataset)
    return Request(config, splits(dataset, "train"), [plan.module(model)])


@stage
def sample(plan: Catalogue, dataset: str, model: str, seed: int) -> Request:
    """Generated images of one run."""
    protocol = plan.params.protocol
    config = {"n": plan.n_samples(), "canvases": protocol.canvases, "protocol_seed": protocol.seed}
    inputs = {"weights": training(plan, dataset, model, seed, "weights")}
    return Request(plan.network(model, dataset) | config, inputs, [plan.module(model)])


# --- comparison -------------------------------------------------------------------------------------------------------


@stage
def references(plan: Catalogue, dataset: str) -> Request:
    """Rows that no model made."""
    inputs = splits(dataset, "valid", "train", "test") | every_classifier(dataset)
    return Request(comparison(plan, dataset) | {"rows": plan.references(dataset)}, inputs, metric_modules())


@stage
def evaluate(plan: Catalogue, dataset: str, model: str, seed: int) -> Request:
    """All metrics of one run; a likelihood model's bound needs its weights.

    `baselines` is what metrics compute of the real images alone: once for the data set, not again for each run.
    """
    config, modules = comparison(plan, dataset), metric_modules()
    inputs = {"samples": Source(("sample", dataset, model, seed), "images")}
    inputs |= splits(dataset, "train", "valid", "test") | every_classifier(dataset)
    inputs["baselines"] = Source(("references", dataset), "baselines")
    if plan.has_elbo(model, dataset):
        config |= plan.network(model, dataset) | {"importance_samples": plan.params.protocol.importance_samples}
        inputs["weights"] = training(plan, dataset, model, seed, "weights")
        modules = [*modules, plan.module(model)]
        if plan.model(model, dataset)["training"]["data"] == "auto":
            config["data"] = "auto"
    if plan.is_imbalanced(dataset):
        config["augmented"] = True
        inputs["augmented"] = Source(("augment", dataset, model, seed), "augmented")
    return Request(config, inputs, modules)


@stage
def augment(plan: Catalogue, dataset: str, model: str, seed: int) -> Request:
    """A classifier of rare classes trained with generated images; a conditional model draws images of each class."""
    if not plan.is_imbalanced(dataset):
        raise UserError(
            f"datasets.{dataset} is not imbalanced: nothing to augment; say `imbalanced: true` there if it is"
        )
    inputs = {"samples": Source(("sample", dataset, model, seed), "images"), **splits(dataset, "train", "test")}
    inputs["classifier"] = reference_classifier(dataset)["classifier"]
    config = {"classifier": plan.classifier_settings(), "protocol_seed": plan.params.protocol.seed}
    if not plan.is_conditional(model, dataset):
        return Request(config, inputs)
    inputs["weights"] = training(plan, dataset, model, seed, "weights")
    return Request(config | plan.network(model, dataset), inputs, [plan.module(model)])


@stage
def battle(plan: Catalogue, dataset: str, model: str) -> Request:
    """A model's judges of all seeds in one job: a job for each seed would read every contestant again.

    `weights` are in the order of `seeds`, `samples` in the order of `contestants`.
    """
    plan.require_judge(dataset, model)
    config = {
        **plan.network(model, dataset),
        "n": min(plan.n_samples(), plan.params.protocol.judged_images),
        "seeds": plan.params.seeds_used(),
        "contestants": plan.runs(dataset),
    }
    inputs: dict[str, Source | Sequence[Source]] = {
        "weights": trainings(plan, dataset, "weights", [(model, seed) for seed in plan.params.seeds_used()]),
        **splits(dataset, "train", "valid", "test"),
        "samples": of_runs(plan, "sample", dataset, "images"),
    }
    return Request(config, inputs, [plan.module(model)])


@stage
def standings(plan: Catalogue, dataset: str) -> Request:
    """Battles, the matrix of judges and the ratings; `scores` are in the order of `judges`, `metrics` of `runs`."""
    protocol = plan.params.protocol
    config = {
        "judges": plan.judges(dataset),
        "judged_by": plan.judged_by(dataset),
        "published_digests": [published_digest(name) for name in BATTLES_OF_GRAN],
        "runs": plan.runs(dataset),
        "tolerance": protocol.battle_tolerance,
        "ratio": protocol.battle_ratio,
        "doubled": plan.doubled(dataset),
        "seed": protocol.seed,
        "beyond_training": plan.beyond_training(dataset),
    }
    inputs: dict[str, Source | Sequence[Source]] = {
        "scores": [Source(("battle", dataset, name), "scores") for name in plan.judges(dataset)],
        "metrics": of_runs(plan, "evaluate", dataset, "metrics"),
        "references": Source(("references", dataset), "metrics"),
    }
    return Request(config, inputs)


@stage
def tables(plan: Catalogue, dataset: str) -> Request:
    """The main table and its companions; `metrics` to `sampling_costs` are in the order of `runs`."""
    name = plan.params.datasets[dataset].published
    config = {
        "runs": plan.runs(dataset),
        "published": name,
        "published_digest": None if name is None else published_digest(name),
        "claims_digest": published_digest("claims"),
        "judged_by": plan.judged_by(dataset),
        "tolerance": plan.params.protocol.battle_tolerance,
        "dependent": plan.params.datasets[dataset].dependent,
    }
    inputs: dict[str, Source | Sequence[Source]] = {
        "metrics": of_runs(plan, "evaluate", dataset, "metrics"),
        "trainings": trainings(plan, dataset, "training"),
        "training_costs": trainings(plan, dataset, "cost"),
        "sampling_costs": of_runs(plan, "sample", dataset, "cost"),
        "references": Source(("references", dataset), "metrics"),
        **{key: Source(("standings", dataset), key) for key in ("battles", "judges", "judges_seeds", "standings")},
        **splits(dataset, "summary"),
    }
    return Request(config, inputs)


# --- what people see --------------------------------------------------------------------------------------------------


@stage
def canvases(plan: Catalogue, dataset: str, model: str, seed: int) -> Request:
    """How one run draws."""
    return Request(inputs={"canvases": Source(("sample", dataset, model, seed), "canvases")})


@stage
def figures(plan: Catalogue, dataset: str) -> Request:
    """Figures of the comparison; `samples`, `histories` and `metrics` are in the order of `runs`."""
    inputs: dict[str, Source | Sequence[Source]] = {
        **splits(dataset, "train", "test", "summary"),
        "samples": of_runs(plan, "sample", dataset, "images"),
        "histories": trainings(plan, dataset, "history"),
        "metrics": of_runs(plan, "evaluate", dataset, "metrics"),
        **{key: Source(("tables", dataset), key) for key in ("table", "cost")},
        **{key: Source(("standings", dataset), key) for key in ("judges", "battles", "standings")},
    }
    return Request({"runs": plan.runs(dataset)}, inputs, runtime_only={"warmups": plan.warmups(dataset)})


@stage
def gallery(plan: Catalogue, dataset: str) -> Request:
    """Figures of trained models; lists are in the order of `runs`, which has the first seed of every model.

    The models' own code is in the hashes of their weights and samples.
    """
    models = plan.models(dataset)
    runs = [(model, 0) for model in models]
    config = {"runs": runs, "figures": plan.gallery(dataset), "protocol_seed": plan.params.protocol.seed}
    inputs: dict[str, Source | Sequence[Source]] = {
        **splits(dataset, "test", "train", "summary"),
        **reference_classifier(dataset),
    }
    inputs |= {name: trainings(plan, dataset, name, runs) for name in ("weights", "history", "training", "snapshots")}
    inputs |= {name: of_runs(plan, "sample", dataset, name, runs) for name in ("images", "canvases")}
    runtime_only = plan.shown(dataset) | {
        "models": {model: plan.network(model, dataset) for model in models},
        "trained": {model: plan.trained(model) for model in models},
        "warmups": plan.warmups(dataset),
    }
    return Request(config, inputs, runtime_only=runtime_only)


@stage
def track(plan: Catalogue, dataset: str) -> Request:
    """Runs in MLflow; lists are in the order of `runs`, `canvases` and `drawn` in the order of `sequential`."""
    sequential = plan.sequential(dataset)
    config = {
        "runs": plan.runs(dataset),
        "sequential": sequential,
        "budget": plan.params.budget,
        "shape": plan.params.datasets[dataset].shape,
        "models": {
            model: plan.model(model, dataset) | plan.class_count(model, dataset) for model in plan.models(dataset)
        },
    }
    inputs: dict[str, Source | Sequence[Source]] = {
        name: trainings(plan, dataset, name) for name in ("history", "training", "cost", "weights", "snapshots")
    }
    inputs["metrics"] = of_runs(plan, "evaluate", dataset, "metrics")
    inputs["canvases"] = [Source(("canvases", dataset, model, 0), "png") for model in sequential]
    inputs["drawn"] = [Source(("sample", dataset, model, 0), "canvases") for model in sequential]
    inputs["references"] = Source(("references", dataset), "metrics")
    inputs |= splits(dataset, "summary") | {"samples_figure": Source(("figures", dataset), "samples_png")}
    return Request(config, inputs)


@stage
def summary(plan: Catalogue, dataset: str) -> Request:
    """The page that is printed at the end; it waits for the figures and for MLflow."""
    inputs: dict[str, Source | Sequence[Source]] = {
        **{key: Source(("tables", dataset), key) for key in ("table", "cost", "claims")},
        **{key: Source(("standings", dataset), key) for key in ("battles", "standings")},
        **splits(dataset, "summary"),
        "gallery": Source(("gallery", dataset), "facts"),
        "samples_figure": Source(("figures", dataset), "samples_png"),
        "tracked": Source(("track", dataset), "tracked"),
        "canvases": [Source(("canvases", dataset, model, 0), "png") for model in plan.sequential(dataset)],
    }
    return Request(inputs=inputs)


@stage
def report(plan: Catalogue) -> Request:
    """One page of every data set whose results are current; input names begin with the data set's name."""
    names = report_inputs.datasets(plan)
    inputs: dict[str, Source | Sequence[Source]] = {}
    for dataset in names:
        inputs |= {f"{dataset}_{name}": source for name, source in report_sources(plan, dataset).items()}
    return Request(report_inputs.config(plan, names), inputs)


def report_sources(plan: Catalogue, dataset: str) -> dict[str, Source | Sequence[Source]]:
    """All that the report reads of one data set.

    `training`, `weights` and `metrics` are in the order of the runs, `samples` of the models, `canvases` of the
    sequential models.
    """
    first, sequential = ([(name, 0) for name in names] for names in (plan.models(dataset), plan.sequential(dataset)))
    return {
        **splits(dataset, "summary", "test"),
        "classifier": Source(("classifier", dataset), "report"),
        **{key: Source(("tables", dataset), key) for key in ("table", "seeds", "cost", "claims", "networks")},
        **{key: Source(("standings", dataset), key) for key in ("battles", "judges", "standings")},
        "tracked": Source(("track", dataset), "tracked"),
        "training": trainings(plan, dataset, "training"),
        "weights": trainings(plan, dataset, "weights"),
        "metrics": of_runs(plan, "evaluate", dataset, "metrics"),
        "samples": of_runs(plan, "sample", dataset, "images", first),
        "canvases": of_runs(plan, "sample", dataset, "canvases", sequential),
        "drawn": drawn(plan, dataset),
    }


def drawn(plan: Catalogue, dataset: str) -> list[Source]:
    """Records of the jobs that draw a data set's figures."""
    sheets = [("canvases", dataset, model, 0) for model in plan.sequential(dataset)]
    return [Source(job, "job") for job in (("figures", dataset), ("gallery", dataset), *sheets)]
