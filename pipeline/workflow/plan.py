"""Every job's block, inputs and identity, worked out from params.yaml without running or importing a model.

The Snakefile asks here for each job's identity, and a stage asks here again for its whole job: called by a person or by
Snakemake, it does the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import artifacts
from pipeline.training.length import total_steps
from pipeline.workflow import job_hash, layout, specs, store
from pipeline.workflow.catalogue import Catalogue
from pipeline.workflow.params import Params, snakemake_flags

IMAGES = 50_000
"""Training images that a data set is taken to have before it is prepared."""


@dataclass(frozen=True)
class Input:
    """One file that a job reads: an output of another job."""

    job: Job
    output: str

    @property
    def path(self) -> str:
        """Where it is."""
        return self.job.outputs[self.output]


@dataclass(frozen=True)
class Job:
    """What one stage does for one data set (and model, and seed): all that its result depends on."""

    stage: str
    wildcards: Mapping[str, Any]
    config: dict[str, Any]
    """The resolved configuration, the wildcards among it."""
    modules: tuple[str, ...]
    inputs: Mapping[str, Input | tuple[Input, ...]]
    """By name; where a stage reads one file of many runs, they are in the order that its specification states."""
    runtime_only: dict[str, Any]
    """What it needs but its result does not depend on, or only as its inputs' hashes say already."""

    @functools.cached_property
    def folder(self) -> Path:
        """Where its results are stored."""
        return layout.job_folder(self.stage, self.wildcards, self.hash)

    @functools.cached_property
    def outputs(self) -> dict[str, str]:
        """Paths of the files that it declares, by name; `job` is the record."""
        patterns = layout.OUTPUTS[self.stage]
        return {name: pattern.format(**self.wildcards, hash=self.hash) for name, pattern in patterns.items()}

    @property
    def name(self) -> str:
        """The job's name for a person, and the one that its lock and its log have."""
        return layout.job_name(self.stage, self.wildcards)

    @property
    def sources(self) -> Iterator[Input]:
        """Every input file, in order; a file may be read twice."""
        for item in self.inputs.values():
            yield from (item,) if isinstance(item, Input) else item

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths of all input files, in order."""
        return tuple(source.path for source in self.sources)

    @property
    def parents(self) -> tuple[Job, ...]:
        """The jobs that it reads from, each once."""
        return tuple({id(source.job): source.job for source in self.sources}.values())

    def paths(self) -> dict[str, str | list[str]]:
        """Input name -> path or paths, the form that Snakemake's `unpack` takes."""
        return {
            name: item.path if isinstance(item, Input) else [source.path for source in item]
            for name, item in self.inputs.items()
        }

    @functools.cached_property
    def hash(self) -> str:
        """Digest of the configuration, the code, the library versions and the inputs' hashes."""
        inputs = [source.job.hash for source in self.sources]
        return job_hash.compute(self.stage, self.config, self.modules, inputs)

    @property
    def spec(self) -> dict[str, Any]:
        """What a stage is told: enough to do the job without params.yaml."""
        return {
            "hash": self.hash,
            "stage": self.stage,
            "wildcards": self.wildcards,
            "config": self.config,
            "modules": self.modules,
            "inputs": self.paths(),
            "runtime_only": self.runtime_only,
        }


class Plan(Catalogue):
    """The jobs of one resolved params.yaml."""

    def __init__(self, params: Params, files: Sequence[Path] = (), settings: Sequence[str] = ()) -> None:
        """`files` and `settings` (`key.subkey=value`) are what was put over params.yaml."""
        super().__init__(params)
        self.files, self.settings = files, settings
        self.cached = functools.cache(self._job)

    def with_share(self, share: float) -> Plan:
        """The same plan with each model trained for a part of its steps."""
        shorter = [f"training_share={share:g}"] if share != 1 else []
        params = self.params.model_copy(update={"training_share": share})
        return Plan(params, self.files, [*self.settings, *shorter])

    @property
    def flags(self) -> str:
        """What `snakemake` must be told besides a target for the same plan: ' --configfile own.yaml'."""
        return snakemake_flags(self.files, self.settings)

    def job(self, stage: str, dataset: str | None = None, model: str | None = None, seed: int | None = None) -> Job:
        """The job of a stage for some wildcards."""
        self.require(dataset, model)
        return self.cached(stage, dataset, model, seed)

    def _job(self, stage: str, dataset: str | None, model: str | None, seed: int | None) -> Job:
        given = {"dataset": dataset, "model": model, "seed": seed}
        wildcards = {key: value for key, value in given.items() if value is not None}
        request = specs.STAGES[stage](self, **wildcards)
        inputs: dict[str, Input | tuple[Input, ...]] = {
            name: self._input(source) if isinstance(source, specs.Source) else tuple(map(self._input, source))
            for name, source in request.inputs.items()
        }
        modules = (f"pipeline.stages.{stage}", *request.modules)
        config = {**wildcards, **request.config}
        return Job(stage, wildcards, config, modules, inputs, dict(request.runtime_only))

    def _input(self, source: specs.Source) -> Input:
        return Input(self.job(*source.job), source.output)

    def steps(self, model: str, dataset: str) -> int:
        """Optimiser steps of a training; with `epochs`, of the prepared data set, or of `IMAGES` before it is."""
        training, images = self.model(model, dataset)["training"], IMAGES
        prepared = self.job("prepare", dataset)
        if "epochs" in training and store.is_complete(prepared.folder):
            images = artifacts.read_json(Path(prepared.outputs["summary"]))["train"]["count"]
        return total_steps(training, images)

    def report_folders(self, dataset: str) -> list[Path]:
        """The folders of all jobs that the report reads of a data set, each once."""
        items = specs.report_sources(self, dataset).values()
        sources = (source for item in items for source in ([item] if isinstance(item, specs.Source) else item))
        return list(dict.fromkeys(self.job(*source.job).folder for source in sources))
