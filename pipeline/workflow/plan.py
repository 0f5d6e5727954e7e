"""Every job's block, inputs and identity, worked out from params.yaml without running or importing a model.

The Snakefile asks here for each job's identity, and a stage asks here again for its whole job: called by a person or by
Snakemake, it does the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import UserError, near
from pipeline.workflow import job_hash, layout, locate_raw, report_inputs
from pipeline.workflow.params import Form, Params, files_in, published_file

RUNTIME_ONLY = True

BATTLES_OF_001 = ("gran_table2_battles", "gran_table3_non_adversarial", "gran_table4_more_steps")
"""Published tables that stand beside the battles."""


@dataclass(frozen=True)
class Job:
    """What one stage does for one data set (and model, and seed): all that its result depends on."""

    stage: str
    block: dict[str, Any]
    modules: tuple[str, ...]
    inputs: tuple[Job, ...]
    reads: tuple[str, ...]
    """Paths of the stamped files that it reads, one for each input."""
    runtime_only: dict[str, Any]
    """What it needs but its result does not depend on, or only as its inputs' identities say already."""

    @property
    def wildcards(self) -> dict[str, Any]:
        """The data set, the model and the seed, as far as the stage has them."""
        names = ("dataset", "model", "seed") if "model" in self.block else ("dataset",)  # the others' seeds are params
        return {name: self.block[name] for name in names if name in self.block}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Paths of all files that it leaves behind."""
        return tuple(pattern.format(**self.wildcards) for pattern in layout.outputs(self.stage, self.block))

    @functools.cached_property
    def identity(self) -> str:
        """Digest of the block, the code, the library versions and the inputs' identities."""
        return job_hash.job_identity(self.stage, self.block, self.modules, [job.identity for job in self.inputs])

    @property
    def spec(self) -> dict[str, Any]:
        """What a stage is told: enough to do the job without params.yaml."""
        return {
            "identity": self.identity,
            "block": self.block,
            "modules": self.modules,
            "reads": self.reads,
            "runtime_only": self.runtime_only,
        }


class Plan:
    """The jobs of one resolved params.yaml."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.cached = functools.cache(self._job)
        self._forms: dict[str, Form] = {}

    # -- what there is ---------------------------------------------------------------------------------------

    def models(self, dataset: str) -> list[str]:
        """Models in the data set's table, in the order of params.yaml's list."""
        self.require(dataset)
        return self.params.models_of(dataset)

    def runs(self, dataset: str) -> list[tuple[str, int]]:
        """(model, seed) of every training in the data set's table."""
        return [(model, seed) for model in self.models(dataset) for seed in self.params.seeds_used()]

    def judges(self, dataset: str) -> list[str]:
        """Models of the data set's table whose trainings have a discriminator of their own."""
        return [
            model
            for model in self.models(dataset)
            if self.declares(model, "discriminate") and self.trained(model) == model
        ]

    def judged_by(self, dataset: str) -> dict[str, str]:
        """Other samples of a training, with the model whose judge is theirs."""
        return {model: self.trained(model) for model in self.models(dataset) if self.trained(model) != model}

    def sequential(self, dataset: str) -> list[str]:
        """Models that draw step by step."""
        return [model for model in self.models(dataset) if self.declares(model, "canvases")]

    def shown(self, dataset: str) -> dict[str, Any]:
        """Which models a figure of the gallery shows, for the figures that cannot show every model."""
        models = self.models(dataset)
        return {
            "blends": [model for model in models if self.declares(model, "encode")],
            "planes": self.planar(dataset),
            "noise": self.noise_pairs(dataset),
            "steps": self.sampled_again(dataset),
            "adversaries": [model for model in models if self.declares(model, "discriminate")],
        }

    def gallery(self, dataset: str) -> list[str]:
        """The figures of the gallery that a data set's models have anything to show in."""
        shown = self.shown(dataset)
        return [name for name in layout.GALLERY if shown.get(name, True)]

    def planar(self, dataset: str) -> list[str]:
        """Models whose images are made of two numbers, so that all of them lie on a plane."""
        at_once = [model for model in self.models(dataset) if not self.declares(model, "canvases")]
        return [
            model for model in at_once if 2 in (self._argument(model, dataset, name) for name in ("latent", "features"))
        ]

    def noise_pairs(self, dataset: str) -> list[tuple[str, str]]:
        """Models that share their noise between steps, each with the one that differs in fresh noise alone."""
        models = self.models(dataset)
        fresh = [model for model in models if self._argument(model, dataset, "fresh_noise") is True]
        return [
            (shared, other)
            for other in fresh
            for shared in models
            if self.module(shared) == self.module(other)
            and self._arguments(shared, dataset) == self._arguments(other, dataset) | {"fresh_noise": False}
        ]

    def sampled_again(self, dataset: str) -> dict[str, list[str]]:
        """Trainings of which the table has several rows, with the rows."""
        models = self.models(dataset)
        rows = {
            trained: [row for row in models if self.trained(row) == trained] for trained in map(self.trained, models)
        }
        return {trained: found for trained, found in rows.items() if len(found) > 1}

    def _argument(self, model: str, dataset: str, name: str) -> Any:
        return self._arguments(model, dataset).get(name)

    def _arguments(self, model: str, dataset: str) -> dict[str, Any]:
        arguments: dict[str, Any] = self.model(model, dataset)["arguments"]
        return arguments

    def declares(self, model: str, method: str) -> bool:
        """Whether a model's class has a method, read from its syntax tree."""
        return method in job_hash.methods_of(self.module(model))

    def has_elbo(self, model: str, dataset: str) -> bool:
        """Whether a model's bound is a likelihood of binary images."""
        return self.declares(model, "elbo") and self.model(model, dataset)["training"]["data"] == "binarised"

    def model(self, model: str, dataset: str | None = None) -> dict[str, Any]:
        """Resolved block of a model, as a data set's table has it."""
        self.require(dataset, model)
        return self.params.resolved_models[model] if dataset is None else self.params.model_for(dataset, model)

    def form(self, dataset: str) -> Form:
        """The form of the data set that is used: the first that is at hand."""
        self.require(dataset)
        if dataset not in self._forms:
            self._forms[dataset] = locate_raw.choose(dataset, self.params.datasets[dataset].forms)
        return self._forms[dataset]

    def trained(self, model: str) -> str:
        """The model whose training gives the weights: itself, or the one of which it is other samples."""
        return str(self.model(model).get("reuse_training_of", model))

    def is_conditional(self, model: str, dataset: str) -> bool:
        """Whether a model can be asked for a class."""
        return bool(self.model(model, dataset)["arguments"].get("conditional"))

    def is_imbalanced(self, dataset: str) -> bool:
        """Whether generated images are tried as an aid to a classifier of the data set's rare classes."""
        self.require(dataset)
        return self.params.datasets[dataset].imbalanced

    def require_trained(self, model: str) -> None:
        """Raise `UserError` for a model that has no training of its own."""
        if self.trained(model) != model:
            raise UserError(
                f"{model} is {self.trained(model)}'s training sampled otherwise; train {self.trained(model)}"
            )

    def require_judge(self, dataset: str, model: str) -> None:
        """Raise `UserError` for a model that judges nobody in the data set's table."""
        judges = self.judges(dataset)
        if model not in judges:
            raise UserError(
                f"{model} judges nobody on {dataset}: expected a model of its table with a discriminator of its own "
                f"({', '.join(judges) or 'there is none'})"
            )

    def _trainings(self, dataset: str, pattern: str) -> list[Any]:
        """A file of the training behind every row of the table, as jobs' inputs."""
        return [(("train", dataset, self.trained(model), seed), pattern) for model, seed in self.runs(dataset)]

    def module(self, model: str) -> str:
        """The module that holds the model's class."""
        return f"pipeline.models.{self.model(model)['class']}"

    def require(self, dataset: str | None, model: str | None = None) -> None:
        """Raise `UserError` for a data set or model that params.yaml does not have."""
        if dataset is not None and dataset not in self.params.datasets:
            raise UserError(
                f"unknown data set {dataset!r}{near(dataset, self.params.datasets)} (params.yaml: datasets)"
            )
        if model is not None and model not in self.params.models:
            raise UserError(f"unknown model {model!r}{near(model, self.params.models)} (params.yaml: models)")

    # -- jobs ------------------------------------------------------------------------------------------------

    def job(self, stage: str, dataset: str | None = None, model: str | None = None, seed: int | None = None) -> Job:
        """The job of a stage for some wildcards."""
        self.require(dataset, model)
        return self.cached(stage, dataset, model, seed)

    def _job(self, stage: str, dataset: str | None, model: str | None, seed: int | None) -> Job:
        given = {"dataset": dataset, "model": model, "seed": seed}
        wildcards = {key: value for key, value in given.items() if value is not None}
        block, inputs, more = getattr(self, f"_{stage}")(**wildcards)
        modules = (f"pipeline.stages.{stage}", *more)
        jobs = tuple(self.job(*key) for key, _ in inputs)
        reads = tuple(str(layout.path(pattern, **_wildcards(key))) for key, pattern in inputs)
        return Job(stage, {**wildcards, **block}, modules, jobs, reads, self._runtime_only(stage, str(dataset)))

    def _runtime_only(self, stage: str, dataset: str) -> dict[str, Any]:
        if stage == "gallery":
            return self.shown(dataset) | {
                "models": {model: self._network(model, dataset) for model in self.models(dataset)},
                "trained": {model: self.trained(model) for model in self.models(dataset)},
            }
        return self._places(dataset) if stage in ("fetch", "prepare") else {}

    def _places(self, dataset: str) -> dict[str, Any]:
        """Where the raw data lie or come from: a result depends on what they hold."""
        form = self.form(dataset)
        path = None if form.path is None else str(locate_raw.located(dataset, form))
        return {"sources": form.sources, "path": path, "manual_download": self.params.datasets[dataset].manual_download}

    def _fetch(self, dataset: str) -> Any:
        return locate_raw.contents(dataset, self.form(dataset)), [], []

    def _prepare(self, dataset: str) -> Any:
        block, form = self.params.datasets[dataset], self.form(dataset)
        how = form.model_dump(exclude={"files", "sources", "path"}) | {"files": sorted(form.files or {})}
        settings = block.model_dump(include={"shape", "split_seed", "classes"}) | how
        return settings, [(("fetch", dataset), layout.FETCHED)], [f"pipeline.datasets.{form.reader}"]

    def _splits(self, dataset: str, *patterns: str) -> list[Any]:
        return [(("prepare", dataset), pattern) for pattern in patterns]

    def _classifier(self, dataset: str) -> Any:
        return self._classifier_settings(), self._splits(dataset, layout.TRAIN, layout.VALID, layout.TEST), []

    def _classifier_settings(self) -> dict[str, Any]:
        block = self.params.classifier
        return block.model_dump() | {"steps": self.params.at_budget(block.steps)}

    def _train(self, dataset: str, model: str, seed: int) -> Any:
        self.require_trained(model)
        block = self.model(model, dataset) | self._classes(model, dataset)
        return block, self._splits(dataset, layout.TRAIN), [self.module(model)]

    def _sample(self, dataset: str, model: str, seed: int) -> Any:
        protocol = self.params.protocol
        block = {
            **self._network(model, dataset),
            "n": self._n(),
            "canvases": protocol.canvases,
            "protocol_seed": protocol.seed,
        }
        return block, [self._weights(dataset, model, seed)], [self.module(model)]

    def _weights(self, dataset: str, model: str, seed: int) -> Any:
        return ("train", dataset, self.trained(model), seed), layout.WEIGHTS

    def _network(self, model: str, dataset: str) -> dict[str, Any]:
        """What rebuilds a trained model: its class, its arguments and the images' shape."""
        block = self.model(model, dataset)
        network = {"shape": self.params.datasets[dataset].shape} | {key: block[key] for key in ("class", "arguments")}
        return network | self._classes(model, dataset)

    def _classes(self, model: str, dataset: str) -> dict[str, Any]:
        """How many classes a conditional model can be asked for."""
        return {"classes": self.params.classes_of(dataset, model)} if self.is_conditional(model, dataset) else {}

    def _n(self) -> int:
        return self.params.at_budget(self.params.protocol.samples)

    def _references(self, dataset: str) -> Any:
        splits = self._splits(dataset, layout.VALID, layout.TRAIN, layout.TEST)
        return self._comparison(), [*splits, *self._features(dataset)], metric_modules()

    def _features(self, dataset: str) -> list[Any]:
        return [(("classifier", dataset), layout.CLASSIFIER), (("classifier", dataset), layout.FEATURES)]

    def _comparison(self) -> dict[str, Any]:
        protocol = self.params.protocol
        return {"n": self._n(), "protocol_seed": protocol.seed, "groups": protocol.jackknife_groups}

    def _evaluate(self, dataset: str, model: str, seed: int) -> Any:
        block = self._comparison()
        inputs = [
            (("sample", dataset, model, seed), layout.SAMPLES),
            *self._splits(dataset, layout.TRAIN, layout.TEST),
            *self._features(dataset),
        ]
        modules = metric_modules()
        if self.has_elbo(model, dataset):
            draws = self.params.at_budget(self.params.protocol.importance_samples)
            block |= self._network(model, dataset) | {"importance_samples": draws}
            inputs.append(self._weights(dataset, model, seed))
            modules = [*modules, self.module(model)]
        if self.is_imbalanced(dataset):
            block |= {"augmented": True}
            inputs.append((("augment", dataset, model, seed), layout.AUGMENTED))
        return block, inputs, modules

    def _augment(self, dataset: str, model: str, seed: int) -> Any:
        if not self.is_imbalanced(dataset):
            raise UserError(
                f"datasets.{dataset} is not imbalanced: nothing to augment; say `imbalanced: true` there if it is"
            )
        inputs = [
            (("sample", dataset, model, seed), layout.SAMPLES),
            *self._splits(dataset, layout.TRAIN, layout.TEST),
            (("classifier", dataset), layout.CLASSIFIER),
        ]
        settings = {"classifier": self._classifier_settings(), "protocol_seed": self.params.protocol.seed}
        if not self.is_conditional(model, dataset):
            return settings, inputs, []
        # a model that can be asked for a class is asked: its weights are needed
        inputs.append(self._weights(dataset, model, seed))
        return settings | self._network(model, dataset), inputs, [self.module(model)]

    def _battle(self, dataset: str, model: str) -> Any:
        """One job for a model's judges of all seeds: each of them by itself would have to read every contestant."""
        self.require_judge(dataset, model)
        seeds = self.params.seeds_used()
        block = {
            **self._network(model, dataset),
            "judged_training_images": self.params.protocol.judged_training_images,
            "n": self._n(),
            "seeds": seeds,
            "contestants": self.runs(dataset),
        }
        inputs = [
            *(self._weights(dataset, model, seed) for seed in seeds),
            *self._splits(dataset, layout.TRAIN, layout.VALID, layout.TEST),
            *((("sample", dataset, *run), layout.SAMPLES) for run in self.runs(dataset)),
        ]
        return block, inputs, [self.module(model)]

    def _tables(self, dataset: str) -> Any:
        name = self.params.datasets[dataset].published
        block = {
            "runs": self.runs(dataset),
            "published": name,
            "published_digest": None if name is None else _published_digest(name),
            "claims_digest": _published_digest("claims"),
            "judged_by": self.judged_by(dataset),
            "tolerance": self.params.protocol.battle_tolerance,
        }
        inputs = [
            *((("evaluate", dataset, *run), layout.METRICS) for run in self.runs(dataset)),
            *self._trainings(dataset, layout.TRAINING),
            *self._trainings(dataset, layout.TRAINING_COST),
            *((("sample", dataset, *run), layout.SAMPLING_COST) for run in self.runs(dataset)),
            (("references", dataset), layout.REFERENCE_METRICS),
            (("standings", dataset), layout.BATTLES),
            (("standings", dataset), layout.JUDGES),
            (("standings", dataset), layout.JUDGES_SEEDS),
        ]
        return block, inputs, []

    def _standings(self, dataset: str) -> Any:
        protocol = self.params.protocol
        block = {
            "judges": self.judges(dataset),
            "judged_by": self.judged_by(dataset),
            "published_digests": [_published_digest(name) for name in BATTLES_OF_001],
            "runs": self.runs(dataset),
            "tolerance": protocol.battle_tolerance,
            "ratio": protocol.battle_ratio,
            "seed": protocol.seed,
        }
        return block, [(("battle", dataset, model), layout.SCORES) for model in self.judges(dataset)], []

    def _canvases(self, dataset: str, model: str, seed: int) -> Any:
        return {}, [(("sample", dataset, model, seed), layout.CANVASES)], []

    def _figures(self, dataset: str) -> Any:
        runs = self.runs(dataset)
        inputs = [
            *self._splits(dataset, layout.TRAIN, layout.TEST, layout.SUMMARY),
            *((("sample", dataset, *run), layout.SAMPLES) for run in runs),
            *self._trainings(dataset, layout.HISTORY),
            *((("evaluate", dataset, *run), layout.METRICS) for run in runs),
            (("tables", dataset), layout.TABLE),
            (("tables", dataset), layout.COST),
            (("standings", dataset), layout.JUDGES),
            (("standings", dataset), layout.STANDINGS),
        ]
        return {"runs": runs}, inputs, []

    def _gallery(self, dataset: str) -> Any:
        models = self.models(dataset)
        block = {
            "runs": [(model, 0) for model in models],
            "figures": self.gallery(dataset),
            "protocol_seed": self.params.protocol.seed,
        }
        first = [(("sample", dataset, model, 0), self._training(dataset, model)) for model in models]
        inputs = [
            *self._splits(dataset, layout.TEST, layout.TRAIN),
            *self._features(dataset),
            *((trained, layout.WEIGHTS) for _, trained in first),
            *((sampled, pattern) for pattern in (layout.SAMPLES, layout.CANVASES) for sampled, _ in first),
            *(
                (trained, pattern)
                for pattern in (layout.HISTORY, layout.TRAINING, layout.SNAPSHOTS)
                for _, trained in first
            ),
        ]
        return block, inputs, []  # the models' own code is in the identities of their weights and samples

    def _training(self, dataset: str, model: str) -> Any:
        return "train", dataset, self.trained(model), 0

    def _track(self, dataset: str) -> Any:
        runs, sequential = self.runs(dataset), self.sequential(dataset)
        block = {
            "runs": runs,
            "sequential": sequential,
            "budget": self.params.budget,
            "shape": self.params.datasets[dataset].shape,
            "models": {
                model: self.model(model, dataset) | self._classes(model, dataset) for model in self.models(dataset)
            },
        }
        inputs = [
            *self._trainings(dataset, layout.HISTORY),
            *self._trainings(dataset, layout.TRAINING),
            *self._trainings(dataset, layout.TRAINING_COST),
            *self._trainings(dataset, layout.WEIGHTS),
            *((("evaluate", dataset, *run), layout.METRICS) for run in runs),
            *((("canvases", dataset, model, 0), f"{layout.CANVAS_SHEET}.png") for model in sequential),
            *self._splits(dataset, layout.SUMMARY),
            (("figures", dataset), layout.SAMPLES_FIGURE),
        ]
        return block, inputs, []

    def _summary(self, dataset: str) -> Any:
        inputs = [
            (("tables", dataset), layout.TABLE),
            (("tables", dataset), layout.COST),
            (("standings", dataset), layout.BATTLES),
            (("standings", dataset), layout.STANDINGS),
            (("tables", dataset), layout.CLAIMS),
            (("gallery", dataset), layout.GALLERY_FACTS),
            (("figures", dataset), layout.SAMPLES_FIGURE),
            (("track", dataset), layout.TRACKED),
            *((("canvases", dataset, model, 0), f"{layout.CANVAS_SHEET}.png") for model in self.sequential(dataset)),
        ]
        return {}, inputs, []

    def _report(self) -> Any:
        names = report_inputs.datasets(self)
        inputs = [found for name in names for found in report_inputs.inputs(self, name)]
        keys = [((job.stage, *job.wildcards.values()), path) for job, path in inputs]
        return report_inputs.block(self, names), keys, []


def _published_digest(name: str) -> str:
    return job_hash.digest(published_file(name).read_text())


def _wildcards(key: tuple[Any, ...]) -> dict[str, Any]:
    """(stage, data set[, model, seed]) as wildcards."""
    return dict(zip(("dataset", "model", "seed"), key[1:], strict=False))


@functools.cache
def metric_modules() -> list[str]:
    """The modules of all metrics: every one is measured in the one evaluation of a model and seed."""
    return [f"pipeline.metrics.{name}" for name in files_in("metrics")]
