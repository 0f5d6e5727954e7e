"""A model's settings searched at random (Bergstra & Bengio 2012, JMLR 13): what may vary, the trials, their jobs.

A trial is the model's block with some values drawn at random, trained for a few steps, sampled, and measured against
the validation split by the workflow's own stages. Nothing of it reads the test split.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.errors import UserError, near
from pipeline.workflow import model_arguments, params, yaml_loader
from pipeline.workflow.catalogue import IN_STEPS
from pipeline.workflow.plan import Job, Plan

FACTOR = 4.0
"""A rate, a weight, or the odds of a fraction are searched from a quarter of the present value to four times it."""

SHARE_OF_STEPS = 0.1
"""Of the budget's steps: the length of a trial's training."""

SAMPLES = 2000
"""Images of a trial that are compared with as many of the validation split, at most."""

STAGES = ("train", "sample", "evaluate")
"""What a trial goes through."""

SEED = 0
"""Of every trial's training: what differs between two trials is their settings."""

REDRAWS = 100
"""Draws for one trial, so that none stands twice, before the space is taken to hold no more."""

SAME_FOR_ALL = ("steps", "epochs")
"""What is not searched."""

Scale = Literal["log", "odds", "linear"]
FORWARD_AND_BACK: dict[Scale, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "linear": (float, float),
    "log": (math.log, math.exp),
    "odds": (lambda share: math.log(share / (1 - share)), lambda log_odds: 1 / (1 + math.exp(-log_odds))),
}


# --- what a key may be --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """Numbers from low to high, evenly spread on a scale: log x, log x / (1 - x), or x itself."""

    low: float
    high: float
    scale: Scale
    whole: bool = False

    def at(self, share: float) -> float | int:
        """The number at a share, 0 to 1, of the way, rounded to three digits (of 1 - x too, where x is a fraction)."""
        forward, back = FORWARD_AND_BACK[self.scale]
        low, high = forward(self.low), forward(self.high)
        value = back(low + share * (high - low))
        if self.whole:
            return round(value)
        return round(1 - _three_digits(1 - value), 12) if self.scale == "odds" and value > 0.5 else _three_digits(value)

    def ends(self) -> tuple[Any, ...]:
        """What has to be valid for all of it to be."""
        return (self.at(0.0), self.at(1.0))

    def __str__(self) -> str:
        return f"{self.at(0.0)} to {self.at(1.0)}"


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value at a share, from 0 to below 1, of the way."""
        return self.values[int(share * len(self.values))]

    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    def __str__(self) -> str:
        return " or ".join(map(str, self.values))


def _three_digits(value: float) -> float:
    return float(f"{value:.3g}")


def space_of(kinds: Mapping[str, str], present: Mapping[str, Any], steps: int) -> dict[str, Span | Choice]:
    """What a model offers without being asked, from the kinds of its arguments and their present values.

    Rates and weights but for those of 0, which are switched off, and fractions but for 0 and 1. Counts stay: sizes are
    what the model is, and decide what a step costs. So do initial values and alternatives.
    """
    space: dict[str, Span | Choice] = {}
    for key, kind in kinds.items():
        value = present[key]
        if kind in ("Rate", "Weight") and value > 0:
            highest = steps if key in IN_STEPS else math.inf
            space[key] = Span(value / FACTOR, min(value * FACTOR, highest), "log")
        elif kind == "Fraction" and 0 < value < 1:
            odds = value / (1 - value)
            low, high = odds / FACTOR, odds * FACTOR
            space[key] = Span(low / (1 + low), high / (1 + high), "odds")
    return space


def parsed_range(given: str, present: Mapping[str, Any]) -> tuple[str, Span | Choice]:
    """`KEY=LOW..HIGH` or `KEY=A,B,C` as a key and what it may be; `UserError` for anything else.

    A range of positive numbers is even in their logarithms, another one in the numbers themselves.
    """
    key, _, text = given.partition("=")
    if key not in present or key in SAME_FOR_ALL:
        raise UserError(f"--over {given}: unknown key {key!r}{near(key, {*present} - {*SAME_FOR_ALL})}")
    low, is_span, high = text.partition("..")
    try:
        if values := () if is_span else tuple(yaml_loader.value_of(f"[{text}]")):
            return key, Choice(values)
        ends = float(low), float(high)
    except ValueError:
        ends = math.nan, math.nan
    if type(present[key]) not in (int, float) or not -math.inf < ends[0] < ends[1] < math.inf:
        raise UserError(
            f"--over {given}: found {text!r}, expected {key}=LOW..HIGH, two numbers, the lower one first, or "
            f"{key}=A,B,C; put texts in quotes"
        )
    return key, Span(*ends, "log" if ends[0] > 0 else "linear", whole=isinstance(present[key], int))


def draws(
    space: Mapping[str, Span | Choice], present: Mapping[str, Any], trials: int, seed: int
) -> list[dict[str, Any]]:
    """Values of each trial, no two alike: first the present ones, then at random.

    Trial k's come from a counter-based generator keyed by (seed, k): more trials begin with the same ones. Fewer come
    back where the space does not hold as many.
    """
    import numpy as np  # a plan is made without it

    trials_drawn = [{key: present[key] for key in space}]
    for number in range(1, trials):
        generator = np.random.Generator(np.random.Philox(key=[seed, number]))
        fresh = ({key: of.at(generator.random()) for key, of in space.items()} for _ in range(REDRAWS))
        values = next((values for values in fresh if values not in trials_drawn), None)
        if values is None:
            break
        trials_drawn.append(values)
    return trials_drawn


# --- trials and their jobs ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """One setting of a model."""

    number: int
    """1, 2, ...; the first is the block as it stands."""
    values: Mapping[str, Any]
    """Of every key that is searched, as a block at the budget's full steps would have them."""
    changed: Mapping[str, Any]
    """Those that the present block does not have."""
    jobs: tuple[Job, ...]
    """Of STAGES, in this order."""


@dataclass(frozen=True)
class Search:
    """The trials of one model on one data set: all of the same steps."""

    plan: Plan
    dataset: str
    model: str
    steps: int
    space: Mapping[str, Span | Choice]

    @classmethod
    def of(cls, plan: Plan, dataset: str, model: str, steps: int | None, over: Sequence[str] = ()) -> Search:
        """The search of a command line; with `over` it is over those keys alone.

        Raises `UserError` for keys, values or steps that cannot be.
        """
        plan.require(dataset, model)
        plan.require_trained(model)
        full = plan.steps(model, dataset)
        steps = max(1, round(full * SHARE_OF_STEPS)) if steps is None else steps
        if not 1 <= steps <= full:
            raise UserError(f"--steps: found {steps}, expected 1 to {full:,}, which a whole training has")
        search = cls(plan, dataset, model, steps, {})
        asked = (parsed_range(given, search.present) for given in over)
        space = {key: search.allowed(key, of) for key, of in asked}
        if not over:
            space = space_of(model_arguments.kinds_of(plan.module(model)), search.present, full)
        if not space:
            raise UserError(f"{model} has no rate, weight or fraction to search; name keys with --over KEY=A,B,C")
        return dataclasses.replace(search, space=space)

    @property
    def present(self) -> dict[str, Any]:
        """The model's values as params.yaml has them."""
        return self._values(self.plan)

    def _values(self, plan: Plan) -> dict[str, Any]:
        block = plan.model(self.model, self.dataset)
        return {**block["arguments"], **block["training"]}

    def allowed(self, key: str, of: Span | Choice) -> Span | Choice:
        """The same, its values as params.yaml means them; raises `UserError` unless it may have every one."""
        try:
            values = [self._values(self.plan_with({key: value}))[key] for value in of.ends()]
        except UserError as error:
            raise UserError(f"--over {str(error).removeprefix(f'params.yaml: models.{self.model}.')}") from None
        return of if isinstance(of, Span) or key in IN_STEPS else Choice(tuple(values))

    def trials(self, count: int, seed: int) -> list[Trial]:
        """As many trials, if the space holds them; the first is the block as it stands."""
        drawn = draws(self.space, self.present, count, seed)
        return [self._trial(number, values) for number, values in enumerate(drawn, start=1)]

    def _trial(self, number: int, values: Mapping[str, Any]) -> Trial:
        changed = {key: value for key, value in values.items() if value != self.present[key]}
        plan = self.plan_with(changed)
        train, sample, evaluate = (plan.job(stage, self.dataset, self.model, SEED) for stage in STAGES)
        return Trial(number, values, changed, (train, sample, self._on_valid(evaluate)))

    def plan_with(self, changed: Mapping[str, Any]) -> Plan:
        """The plan of a params.yaml with other values for the model, its training short and its comparison small."""
        config = copy.deepcopy(self.plan.params.model_dump())
        full = self.plan.steps(self.model, self.dataset)
        wanted = {**self.present, **changed}
        counted = {key: wanted[key] * self.steps / full for key in IN_STEPS if key in wanted}
        settings = config["datasets"][self.dataset]["settings"]
        block = settings.get(self.model, {})
        settings[self.model] = params.with_changes(block, {**changed, **counted, "steps": self.steps})
        n = min(SAMPLES, self.plan.n_samples())
        # trials are ranked on the same images, so a bias is the same for all
        config["protocol"] |= {"samples": n, "importance_samples": 1, "frechet_images": 1}
        config["training_share"] = 1.0  # `steps` has it already
        config["datasets"][self.dataset]["imbalanced"] = False  # a classifier for each trial would cost more than it
        return Plan(params.check(config))

    def _on_valid(self, job: Job) -> Job:
        """An evaluation with the validation split in the test split's place."""
        (test,) = (source for source in job.sources if source.output == "test")
        inputs = {**job.inputs, "test": dataclasses.replace(test, output="valid")}
        del inputs["baselines"]  # they are of the test split
        return dataclasses.replace(job, config={**job.config, "held_out": "valid"}, inputs=inputs)

    def block_with(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """What to put into params.yaml for values that were found at this budget; a data set's settings come last."""
        block = {self.model: {self.plan.params.budget: dict(changed)}}
        in_settings = self.model in self.plan.params.datasets[self.dataset].settings
        return {"datasets": {self.dataset: {"settings": block}}} if in_settings else {"models": block}
