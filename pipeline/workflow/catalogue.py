"""The data sets and models of params.yaml, and what the stages ask about them."""

from __future__ import annotations

import itertools
from typing import Any

from pipeline.core.errors import UserError, near
from pipeline.core.references import REFERENCES
from pipeline.workflow import job_hash, layout, raw_files
from pipeline.workflow.params import Form, Params

TWICE_AS_MANY_GENERATED = ("draw_gan", "vae_gan")
"""Classes of models whose discriminator sees reconstructions and samples, as many of each as of real images."""


IN_STEPS = ("warmup",)
"""Arguments that count steps of the training: a shorter training shortens them too."""


def shortened(block: dict[str, Any], share: float) -> dict[str, Any]:
    """A model's resolved block with a part of its steps."""
    training, arguments = dict(block["training"]), dict(block["arguments"])
    if "steps" in training:
        training["steps"] = max(1, round(share * training["steps"]))
    else:
        training["epochs"] *= share
    arguments |= {name: share * arguments[name] for name in IN_STEPS if arguments.get(name)}
    return block | {"training": training, "arguments": arguments}


class Catalogue:
    """The data sets and models of one resolved params.yaml."""

    def __init__(self, params: Params) -> None:
        self.params = params
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

    def doubled(self, dataset: str) -> list[str]:
        """Judges of the data set's table that were trained on two generated images for each real one."""
        return [model for model in self.judges(dataset) if self.model(model)["class"] in TWICE_AS_MANY_GENERATED]

    def judged_by(self, dataset: str) -> dict[str, str]:
        """Other samples of a training, with the model whose judge is theirs."""
        return {model: self.trained(model) for model in self.models(dataset) if self.trained(model) != model}

    def sequential(self, dataset: str) -> list[str]:
        """Models that draw step by step."""
        return [model for model in self.models(dataset) if self.declares(model, "canvases")]

    def shown(self, dataset: str) -> dict[str, Any]:
        """Which models a figure of the gallery shows, for the figures that cannot show every model."""
        models = self.models(dataset)
        encoding = [model for model in models if self.declares(model, "encode")]
        return {
            "reconstructions": encoding,
            "blends": encoding,
            "planes": self.planar(dataset),
            "noise": self.noise_pairs(dataset),
            "steps": self.sampled_again(dataset),
            "adversaries": [model for model in models if self.declares(model, "discriminate")],
            "asked": [model for model in models if self.is_conditional(model, dataset)],
        }

    def gallery(self, dataset: str) -> list[str]:
        """The figures of the gallery that a data set's models have anything to show in."""
        shown = self.shown(dataset)
        return [name for name in layout.GALLERY if shown.get(name, True)]

    def planar(self, dataset: str) -> list[str]:
        """Models whose images are made of two numbers, so that all of them lie on a plane."""
        fitted = ("canvases", "fit_prior")  # of a fitted prior, another number chooses the component
        return [
            model
            for model in self.models(dataset)
            if not any(self.declares(model, method) for method in fitted)
            and 2 in (self._arguments(model, dataset).get(name) for name in ("latent", "features"))
        ]

    def noise_pairs(self, dataset: str) -> list[tuple[str, str]]:
        """Models that share their noise between steps, each with the one that differs in fresh noise alone."""
        pairs = itertools.product(self.models(dataset), repeat=2)
        return [
            (shared, other)
            for other, shared in pairs
            if self._arguments(other, dataset).get("fresh_noise") is True
            and self.module(shared) == self.module(other)
            and self._arguments(shared, dataset) == self._arguments(other, dataset) | {"fresh_noise": False}
        ]

    def sampled_again(self, dataset: str) -> dict[str, list[str]]:
        """Trainings of which the table has several rows, with the rows."""
        rows: dict[str, list[str]] = {}
        for model in self.models(dataset):
            rows.setdefault(self.trained(model), []).append(model)
        return {trained: of for trained, of in rows.items() if len(of) > 1}

    def beyond_training(self, dataset: str) -> list[str]:
        """Other samples of a training with a number of steps of their own."""
        return [model for model in self.judged_by(dataset) if self._arguments(model, dataset).get("sample_steps")]

    def warmups(self, dataset: str) -> dict[str, int]:
        """Steps of a model's training that come before its adversary, of the models that have such steps."""
        steps = {model: self._arguments(model, dataset).get("warmup", 0) for model in self.models(dataset)}
        return {model: count for model, count in steps.items() if count}

    def _arguments(self, model: str, dataset: str) -> dict[str, Any]:
        return self.model(model, dataset)["arguments"]

    def declares(self, model: str, method: str) -> bool:
        """Whether a model's class has a method, read from its syntax tree."""
        return method in job_hash.methods_of(self.module(model))

    def has_elbo(self, model: str, dataset: str) -> bool:
        """Whether a model gives the log-likelihood of binary images, or a bound; `auto` may turn out to be grey."""
        given = self.declares(model, "elbo") or self.declares(model, "log_likelihood")
        return given and self.model(model, dataset)["training"]["data"] != "grey"

    def model(self, model: str, dataset: str | None = None) -> dict[str, Any]:
        """Resolved block of a model, as a data set's table has it."""
        self.require(dataset, model)
        block = self.params.resolved_models[model] if dataset is None else self.params.model_for(dataset, model)
        share = self.params.training_share
        return block if share == 1 else shortened(block, share)

    def form(self, dataset: str) -> Form:
        """The form of the data set that is used: the first whose files are available."""
        self.require(dataset)
        if dataset not in self._forms:
            self._forms[dataset] = raw_files.choose(dataset, self.params.datasets[dataset].forms)
        return self._forms[dataset]

    def trained(self, model: str) -> str:
        """The model whose training gives the weights: itself, or the one of which it is other samples."""
        return str(self.model(model).get("reuse_training_of", model))

    def is_conditional(self, model: str, dataset: str) -> bool:
        """Whether a model draws images of a given class."""
        return bool(self.model(model, dataset)["arguments"].get("conditional"))

    def is_imbalanced(self, dataset: str) -> bool:
        """Whether generated images are tried as an aid to a classifier of the data set's rare classes."""
        self.require(dataset)
        return self.params.datasets[dataset].imbalanced

    def splits_differ(self, dataset: str) -> bool:
        """Whether validation and test split are not alike: of fonts of their own, where the data is rendered."""
        return bool(self.form(dataset).options.get("instances_held_out"))

    def references(self, dataset: str) -> list[str]:
        """Rows of a data set's table that no model makes; those that its labels do not allow are left out later."""
        if not self.params.protocol.more_references:
            return list(layout.FEW_REFERENCES)
        return [name for name in REFERENCES if name != "other_fonts" or self.splits_differ(dataset)]

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

    # -- configuration that several stages share -----------------------------------------------------------------

    def classifier_settings(self) -> dict[str, Any]:
        """The settings of a reference classifier's training."""
        return self.params.classifier.model_dump(exclude={"count"})

    def network(self, model: str, dataset: str) -> dict[str, Any]:
        """What rebuilds a trained model: its class, its arguments and the images' shape."""
        block = self.model(model, dataset)
        network = {"shape": self.params.datasets[dataset].shape} | {key: block[key] for key in ("class", "arguments")}
        return network | self.class_count(model, dataset)

    def class_count(self, model: str, dataset: str) -> dict[str, Any]:
        """How many classes a conditional model draws from; nothing for the others."""
        return {"classes": self.params.classes_of(dataset, model)} if self.is_conditional(model, dataset) else {}

    def n_samples(self) -> int:
        """Generated images, and held-out real ones, per comparison."""
        return self.params.protocol.samples
