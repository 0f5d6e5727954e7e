"""params.yaml and command-line overrides, checked before any job starts.

Closed keys: an unknown one stops with a single line that suggests the near name. A model's own arguments are checked
against its constructor's signature (pipeline/workflow/model_arguments.py).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator

from pipeline.core.errors import UserError, near
from pipeline.core.references import REFERENCES
from pipeline.training import length
from pipeline.workflow import job_hash, layout, yaml_loader
from pipeline.workflow.model_arguments import NO_BOOL, constructor, expecting

Budget = Literal["tiny", "smoke", "laptop", "paper"]
BUDGETS: tuple[str, ...] = get_args(Budget)

PARAMS_FILE = Path("params.yaml")
OWN_FILE = "own.yaml"
"""Beside params.yaml: data sets of one's own, and whatever else differs."""


RENAMED_KEYS = {
    "versioned": "dvc_tracked",
    "judged_training_images": "judged_images",
    "otherwise": "alternatives",
    "by_hand": "manual_download",
    "decay": "lr_decay_fraction",
    "samples_of": "reuse_training_of",
}
"""Key of an earlier version, in whatever block -> its new name."""

WORDS = {"true": True, "false": False, "null": None, "none": None}


def _plain_name(value: Any) -> Any:
    """Lower-case letters, digits and _, a letter first."""
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,63}", value, re.ASCII):
        return value
    close = re.sub(r"[^a-z0-9]+", "_", str(value)[:64].lower()).strip("_")
    hint = f"; use {close}" if re.match("[a-z]", close) else ""
    raise ValueError(f"found {value!r}, expected lower-case letters, digits and _ (64 at most), a letter first{hint}")


Name = Annotated[str, BeforeValidator(_plain_name)]
"""Part of paths and of the rules' shell commands."""


def _list_or(word: str, of: str) -> BeforeValidator:
    """One word may stand in the list's place."""
    return expecting(
        lambda value: value == word or bool(isinstance(value, list) and value), f"a list of {of}, or {word}"
    )


Names = Annotated[Literal["all"] | list[Name], _list_or("all", "models")]
"""Models of a table; `all` that params.yaml has."""

CURRENT: Literal["current"] = "current"


Reported = Annotated[Literal["current"] | list[Name], _list_or(CURRENT, "data sets")]
"""Data sets of the report; `current`: those whose results are stored or are made in the same run."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=128)]
"""A plain name: nothing is fetched to anywhere but the data set's own folder."""

Positive = Annotated[int, Field(ge=1), NO_BOOL]
NotNegative = Annotated[int, Field(ge=0), NO_BOOL]
Rate = Annotated[float, Field(gt=0), NO_BOOL]


class _Block(BaseModel):
    """A block of closed keys; numbers may arrive as text, as they do from the command line."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, block: Any) -> Any:
        unknown = next((key for key in block if key not in cls.model_fields), None) if isinstance(block, dict) else None
        if unknown is not None:
            raise ValueError(f"{unknown}: unknown key{near(str(unknown), cls.model_fields)}")
        return block


Seeds = Annotated[int, Field(ge=1, le=100), NO_BOOL]
"""Trainings of one model: every one judges the samples of all."""

FEWEST_COMPARED = 8
"""Images of a set that metrics are computed on: a fifth neighbour needs six, a covariance of each half four."""

Compared = Annotated[int, Field(ge=FEWEST_COMPARED), NO_BOOL]


class Protocol(_Block):
    """How models are compared."""

    samples: Compared
    importance_samples: Positive
    canvases: Positive
    seed: NotNegative
    jackknife_groups: Annotated[int, Field(ge=2), NO_BOOL]
    frechet_images: Positive
    judged_images: Positive
    more_references: bool
    battle_tolerance: Rate
    battle_ratio: Literal["error", "accuracy"]


class Classifier(_Block):
    """The reference classifiers' training."""

    count: Positive
    steps: Positive
    batch: Positive
    learning_rate: Rate
    seed: NotNegative


Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|any)$")]
"""SHA-256 of a file's contents; `any` where it differs from person to person: then it is part of the job hash."""


def _count_or_share(value: Any) -> Any:
    """How many images, or what share of them."""
    number = 0.0
    with contextlib.suppress(TypeError, ValueError):
        number = 0.0 if isinstance(value, bool) else float(value)
    if not (0 < number < 1 or (number >= 1 and number % 1 == 0)):
        raise ValueError(f"found {value!r}, expected a whole number of images, at least 1, or a share of them below 1")
    return number if number < 1 else int(number)


Part = Annotated[int | float, BeforeValidator(_count_or_share)]


def _square_or_sides(value: Any) -> Any:
    """One number is a square's side."""
    if value in (None, "square"):
        return value
    sides = value if isinstance(value, list | tuple) else [value, value]
    if len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
        raise ValueError(f"found {value!r}, expected square, a side, or [height, width]")
    return tuple(sides)


Crop = Annotated[Literal["square"] | tuple[int, int] | None, BeforeValidator(_square_or_sides)]
"""The part around the middle that is kept: the largest square, or so many pixels."""


def _is_range(value: Any) -> bool:
    """Whether it is two finite numbers, the lower one first, or nothing."""
    pair = isinstance(value, list | tuple) and len(value) == 2
    numbers = pair and all(type(end) in (int, float) and abs(end) < 1e30 for end in value)
    return value is None or bool(numbers and value[0] < value[1])


RANGE = "two numbers, those of black and of white, the lower one first, for instance [0, 255]"
ValueRange = Annotated[tuple[float, float] | None, expecting(_is_range, RANGE)]
"""What pixels range over where the values do not tell."""


class Form(_Block):
    """What a data set comes as: files of one format or a place of the user's own, and how images are taken from it."""

    reader: Name
    files: dict[FileName, Digest] | None = None
    sources: list[dict[str, Any]] = []
    path: str | None = None
    options: dict[str, Any] = {}
    crop: Crop = None
    resize: bool = False
    value_range: ValueRange = None
    limit: Positive | None = None
    pool: bool = False
    """Whether the source's own splits become one, from which `valid` and `test` are drawn."""
    valid: Part = 0.1
    test: Part = 0.1


ModelBlock = Annotated[dict[str, Any], expecting(lambda value: isinstance(value, dict), "a block of keys")]
"""Its keys are checked against the constructor of the model's class."""

OF_A_FORM_ALONE = ("reader", "files", "sources", "path", "options")
"""What another form of a data set does not take over from the first."""


def _channels_first(value: Any) -> Any:
    """One grey or three colour channels, then height and width."""
    sizes = value if isinstance(value, list | tuple) else ()
    if len(sizes) == 3 and all(type(size) is int for size in sizes) and sizes[0] not in (1, 3):
        swapped = f"; did you mean [{sizes[2]}, {sizes[0]}, {sizes[1]}]?" if sizes[2] in (1, 3) else ""
        raise ValueError(
            f"found {list(sizes)}, expected channels first, 1 or 3 of them, then height and width{swapped}"
        )
    return value


class Dataset(Form):
    """Where a data set comes from, how it is split and what is trained on it."""

    shape: Annotated[tuple[Positive, Positive, Positive], BeforeValidator(_channels_first)]
    split_seed: NotNegative = 0
    models: Names
    classes: NotNegative | None = None
    imbalanced: bool = False
    dependent: bool = False
    """Whether its images are not independent of each other, as the frames of one film are not."""
    binarised: bool = False
    """Whether its grey levels are probabilities of white to models of black and white images; else images decide."""
    published: Name | None = None
    settings: dict[Name, ModelBlock] = {}
    alternatives: list[Form] = []
    """What else it can be had as; each takes over what it does not say, but for OF_A_FORM_ALONE."""
    manual_download: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _complete_alternatives(cls, block: Any) -> Any:
        if not isinstance(block, dict) or not isinstance(block.get("alternatives"), list):
            return block
        shared = {key: block[key] for key in Form.model_fields if key in block and key not in OF_A_FORM_ALONE}
        others = [shared | other if isinstance(other, dict) else other for other in block["alternatives"]]
        return block | {"alternatives": others}

    @functools.cached_property
    def forms(self) -> list[Form]:
        """The forms that it can be had in, the preferred one first."""
        return [Form(**{key: getattr(self, key) for key in Form.model_fields}), *self.alternatives]


class Training(_Block):
    """What the training loop takes from a model's block."""

    batch: Positive
    data: Literal["binarised", "grey", "auto"]
    precision: Literal["float32", "bfloat16"] = "float32"
    lr_decay_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    sampler: Literal["natural", "balanced", "tempered"] = "natural"
    sampler_power: Annotated[float, Field(ge=0.0, le=1.0), NO_BOOL] = 0.5
    average: bool = False
    steps: Positive | None = None
    epochs: Rate | None = None
    """In place of `steps`: passes over the training split, whose size is known when the training starts."""

    @model_validator(mode="after")
    def _one_length(self) -> Training:
        if self.epochs is not None:
            self.steps = None
        elif self.steps is None:
            raise ValueError("steps: missing; expected a number of steps, or epochs")
        return self


class Params(_Block):
    """The whole of params.yaml, resolved for one budget."""

    budget: Budget
    seeds: Seeds
    device: Literal["auto", "cpu", "cuda"]
    protocol: Protocol
    classifier: Classifier
    datasets: dict[Name, Dataset]
    models: dict[Name, ModelBlock]
    report: Reported = CURRENT
    dvc_tracked: list[Name] = []
    training_share: Annotated[Rate, Field(le=1)] = 1.0
    """Which part of its steps each model is trained for; see docs/verdicts.md."""

    def models_of(self, dataset: str) -> list[str]:
        """The models in a data set's table."""
        chosen = self.datasets[dataset].models
        return list(self.models if chosen == "all" else chosen)

    def seeds_used(self) -> list[int]:
        """0, 1, ... up to the number of independent trainings."""
        return list(range(self.seeds))

    @functools.cached_property
    def adapted(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Every model's block in full, as `models` has it (at '') and for each data set with settings of its own."""
        own = {name: block.settings for name, block in self.datasets.items() if block.settings}
        plain = {name: resolve_model(name, block, self.models) for name, block in self.models.items()}
        return {"": plain} | {name: plain | adapted_models(self.models, name, of) for name, of in own.items()}

    @property
    def resolved_models(self) -> dict[str, dict[str, Any]]:
        """Every model's block: {class, training: {...}, arguments: {...}}, defaults filled in."""
        return self.adapted[""]

    @functools.cached_property
    def judged_by(self) -> dict[str, str]:
        """Other samples of a training -> the model whose training and judge are theirs."""
        blocks = self.resolved_models.items()
        return {name: block["reuse_training_of"] for name, block in blocks if "reuse_training_of" in block}

    def model_for(self, dataset: str, model: str) -> dict[str, Any]:
        """A model's resolved block as a data set's table has it: without labels no classes, and no choice by class.

        Of a person's own images (`path`) a model trains on grey levels if the images hold them, unless `settings` say.
        """
        block = self.adapted.get(dataset, self.resolved_models)[model]
        if self._goes_by_images(dataset, model, block):
            block = block | {"training": block["training"] | {"data": "auto"}}
        if self.datasets[dataset].classes != 0:
            return block
        arguments = block["arguments"]
        plain = {"conditional": False} if "conditional" in arguments else {}
        return block | {"arguments": arguments | plain, "training": block["training"] | {"sampler": "natural"}}

    def _goes_by_images(self, dataset: str, model: str, block: Mapping[str, Any]) -> bool:
        own = self.datasets[dataset]
        settings = own.settings.get(block.get("reuse_training_of", model), {})
        if own.binarised or "data" in settings or block["training"]["data"] != "binarised":
            return False
        return "elbo" in job_hash.methods_of(f"pipeline.models.{block['class']}")

    def classes_of(self, dataset: str, model: str) -> int | None:
        """How many classes a data set has; raises `UserError` where it names none and the model needs labels."""
        block, classes = self.model_for(dataset, model), self.datasets[dataset].classes
        conditional, sampler = block["arguments"].get("conditional"), block["training"]["sampler"]
        if classes is None and (conditional or sampler != "natural"):
            setting, other = (
                ("conditional: found true", "false") if conditional else (f"sampler: found {sampler}", "natural")
            )
            raise UserError(
                f"params.yaml: models.{model}.{setting}, but datasets.{dataset} has no `classes`; "
                f"give their number there if its images are labelled, or say {other}"
            )
        return classes


# --- loading ----------------------------------------------------------------------------------------------------


def load(overrides: Sequence[str] = (), file: Path = PARAMS_FILE, more: Sequence[Path] = ()) -> Params:
    """Params from params.yaml, own.yaml beside it, more files and overrides of the form `key.subkey=value`.

    Each is put over what stands before it, block by block; the values of overrides are YAML.
    """
    named = [*own_files(file), *more]
    try:
        return check(merged(overrides, file, more))
    except UserError as error:
        files = f"params.yaml with {', '.join(map(str, named))}:" if named else "params.yaml:"
        raise UserError(str(error).replace("params.yaml:", files, 1)) from None


def merged(overrides: Sequence[str] = (), file: Path = PARAMS_FILE, more: Sequence[Path] = ()) -> dict[str, Any]:
    """The same before it is checked."""
    config = yaml_loader.block_of(file)
    for other in (*own_files(file), *more):
        if not other.exists():
            raise UserError(f"--configfile {other}: not found; name a file of YAML")
        merge_into(config, yaml_loader.block_of(other))
    merge_into(config, nested(overrides))
    return config


def nested(overrides: Sequence[str]) -> dict[str, Any]:
    """Overrides of the form `key.subkey=value` as blocks in blocks."""
    config: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--set {override}: expected KEY=VALUE, for instance --set budget=smoke")
        try:
            block = yaml_loader.value_of(value)
        except ValueError as error:
            raise UserError(f"--set {override}: the value is not YAML ({error}); put it in quotes") from None
        for name in reversed(key.split(".")):
            block = {name: block}
        merge_into(config, block)
    return config


def snakemake_flags(files: Sequence[Path], overrides: Sequence[str]) -> str:
    """Files and overrides as Snakemake takes them, without dots: ' --configfile own.yaml --config models=...'."""
    values = {key: x if isinstance(x, str) else json.dumps(x) for key, x in nested(overrides).items()}
    words = ["--configfile", *map(str, files)] if files else []
    words += ["--config", *(f"{key}={value}" for key, value in values.items())] if values else []
    return "".join(f" {shlex.quote(word)}" for word in words)


def own_files(file: Path) -> list[Path]:
    """A person's own configuration beside params.yaml, which is always read, if it is there."""
    own = file.with_name(OWN_FILE)
    return [own] if own.is_file() else []


def merge_into(config: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Put nested blocks over those of `config`, in place: blocks are merged, other values replaced."""
    for key, value in other.items():
        below = config.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            merge_into(below, value)
        else:
            config[key] = value


def check(config: Mapping[str, Any]) -> Params:
    """Validate a whole configuration.

    Raises `UserError` with one line: the key, what was found, what was expected, and a suggestion.
    """
    config = _normalised(config)
    params = _at_budget(config, config.get("budget"))
    for budget in BUDGETS:  # a mistake in another budget's values is found before it is used
        try:
            params if budget == params.budget else _at_budget(config, budget)
        except UserError as error:
            raise UserError(f"{error} (at budget {budget})") from None
    _check_places(params)
    _check_warmups(params)
    return params


def _at_budget(config: Mapping[str, Any], budget: Any) -> Params:
    """The configuration at a budget, with every model's block and every listed name checked."""
    params = _validated("", Params, at_budget({**config, "budget": budget}, str(budget)))
    if not params.datasets:
        raise UserError("params.yaml: datasets: found an empty block, expected at least one data set")
    params.adapted  # noqa: B018
    _check_names(params)
    return params


def at_budget(block: dict[str, Any], budget: str, where: str = "") -> Any:
    """A block of params.yaml at one budget.

    Of a value for each budget, `{tiny: 1, smoke: 2, ...}`, it is the budget's; of a block with keys named after budgets
    it has what those of the budget put over the others.
    """
    levels = {key: block[key] for key in BUDGETS if key in block}
    others = {key: value for key, value in block.items() if key not in levels}
    if levels and where in ("datasets.", "models."):
        raise UserError(f"params.yaml: {where}{min(levels)}: the name of a budget; choose another name")
    if len(levels) > len(others) and not all(isinstance(level, dict) for level in levels.values()):
        wrong = next((str(key) for key in (*others, *BUDGETS) if key not in levels), None)
        if wrong is not None:
            problem = "missing" if wrong in BUDGETS else f"unknown key{near(wrong, BUDGETS)}"
            raise UserError(f"params.yaml: {where}{wrong}: {problem}")
        return levels.get(budget)
    for level, changes in levels.items():
        if not isinstance(changes, dict):
            raise UserError(f"params.yaml: {where}{level}: found {changes!r}, expected a block of keys for this budget")
    merged = with_changes(others, levels.get(budget, {}))
    inner = ((key, value, f"{where}{key}.") for key, value in merged.items())
    return {key: at_budget(value, budget, path) if isinstance(value, dict) else value for key, value, path in inner}


def _normalised(value: Any, *where: str) -> Any:
    """A copy in which words that Snakemake's command line brings as text are read as YAML would read them.

    Raises `UserError` for a key of an earlier version.
    """
    if isinstance(value, Mapping):
        for key in value:
            if key in RENAMED_KEYS:
                raise UserError(f"params.yaml: {'.'.join([*where, key])}: renamed; use {RENAMED_KEYS[key]}")
        return {key: _normalised(item, *where, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalised(item, *where) for item in value]
    return WORDS.get(value.lower(), value) if isinstance(value, str) else value


def _check_places(params: Params) -> None:
    """No two data sets may write one file, and no model may take a reference's row."""
    owners: dict[str, str] = {}
    patterns = [pattern for of in layout.VIEWS.values() for pattern in of if "{dataset}" in pattern]
    for dataset, pattern in itertools.product(params.datasets, patterns):
        path = pattern.format(dataset=dataset)
        if owners.setdefault(path, dataset) != dataset:
            raise UserError(f"params.yaml: datasets.{dataset}: {path} is {owners[path]}'s; choose another name")
    for model in params.models:
        if model in REFERENCES:
            raise UserError(f"params.yaml: models.{model}: the name of a row that no model makes; choose another name")


def _check_names(params: Params) -> None:
    """Data sets and models that are listed, and the files of models and readers, must exist."""
    for key, names in (("report", params.report), ("dvc_tracked", params.dvc_tracked)):
        _require_all(f"{key}: unknown data set", [] if names == CURRENT else names, params.datasets)
    for dataset, block in params.datasets.items():
        where, models = f"datasets.{dataset}", params.models_of(dataset)
        _require_all(f"{where}.models: unknown model", models, params.models)
        if len(set(models)) != len(models):
            raise UserError(f"params.yaml: {where}.models: a model is listed twice: {', '.join(models)}")
        _require_all(f"{where}.settings: unknown model", block.settings, params.models)
        if block.imbalanced and not block.classes:
            raise UserError(
                f"params.yaml: {where}.imbalanced: found true, but it has no `classes`; "
                "give their number there if its images are labelled, or say false"
            )
        for name in models:
            params.classes_of(dataset, name)
        if block.published is not None:
            problem = f"{where}.published: no file pipeline/tables/published/{block.published}.csv"
            _require(problem, block.published, [file.stem for file in published_file("").parent.glob("*.csv")])
        for number, form in enumerate(block.forms):
            _check_form(where + (f".alternatives.{number - 1}" if number else ""), form)


def _require(problem: str, name: str, known: Iterable[str]) -> None:
    """Raise `UserError` with the nearest name, unless a name is known."""
    if name not in (known := list(known)):
        raise UserError(f"params.yaml: {problem}{near(name, known)}")


def _require_all(problem: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        _require(f"{problem} {name!r}", name, known)


def _check_warmups(params: Params) -> None:
    """A training may not be warm-up alone; one of a length in epochs is checked when its number of images is known."""
    for dataset, name in ((dataset, name) for dataset, blocks in params.adapted.items() for name in blocks):
        block = params.adapted[dataset][name]
        try:
            length.check_warmup(block["training"].get("steps", math.inf), block["arguments"].get("warmup", 0))
        except ValueError as error:
            raise UserError(f"params.yaml: models.{name}.{error}{_with_settings(dataset)}") from None


NAMES = list[str | int]
OPTION_TYPES: dict[str, Any] = {
    **dict.fromkeys(
        ("image", "label", "labels", "prefix", "links", "broken", "splits", "pixels", "channels", "file"), str
    ),
    **dict.fromkeys(("train_images", "train_labels", "test_images", "test_labels"), str),
    **dict.fromkeys(("face", "transpose", "extra"), Annotated[bool, Field(strict=True)]),
    **dict.fromkeys(("every", "first_label", "label_bytes"), Annotated[int, Field(strict=True, ge=0, lt=1_000_000)]),
    **dict.fromkeys(("train_files", "valid_files", "test_files", "metadata"), str | NAMES),
    "class_names": NAMES,
}
"""What the options of readers are; those of `telugu_print` are checked where it renders."""


def _check_form(where: str, form: Form) -> None:
    """There must be a reader, with the options that it has, and something to read."""
    _require(f"{where}.reader: no file pipeline/datasets/{form.reader}.py", form.reader, _readers())
    if (form.files is None) == (form.path is None):
        problem = "missing" if form.files is None else "found beside `path`; say `files: null` to read the path"
        raise UserError(
            f"params.yaml: {where}.files: {problem}; expected file names with their SHA-256 (or any), or a `path`"
        )
    _validated(f"{where}.options", _options_of(form.reader), form.options)
    from pipeline.workflow.sources import check_source  # archives and HTTP are needed only here

    for number, source in enumerate(form.sources):
        try:
            check_source(source)
        except UserError as error:
            raise UserError(f"params.yaml: {where}.sources[{number}]: {error}") from None


@functools.cache
def _readers() -> list[str]:
    """Names of the files that read a data format."""
    return [
        name for name in files_in("datasets") if job_hash.literal(f"pipeline.datasets.{name}", "OPTIONS") is not None
    ]


@functools.cache
def _options_of(reader: str) -> type[BaseModel]:
    """Schema of a reader's options."""
    names = job_hash.literal(f"pipeline.datasets.{reader}", "OPTIONS")
    fields: dict[str, Any] = {name: (OPTION_TYPES.get(name, Any) | None, None) for name in names}
    return create_model("Options", __base__=_Block, **fields)


def published_file(name: str) -> Path:
    """Where a paper's own table is kept."""
    return job_hash.ROOT / "pipeline" / "tables" / "published" / f"{name}.csv"


@functools.cache
def files_in(folder: str) -> list[str]:
    """Names of the modules in a folder of the pipeline."""
    return sorted(file.stem for file in (job_hash.ROOT / "pipeline" / folder).glob("*.py") if file.stem != "__init__")


def adapted_models(
    models: Mapping[str, Mapping[str, Any]], dataset: str, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The blocks in full that a data set's own settings change, put over those of `models`."""
    for name, block in settings.items():
        owned = sorted({"class", "reuse_training_of"} & set(block))
        if owned:
            where = f"params.yaml: datasets.{dataset}.settings.{name}.{owned[0]}"
            raise UserError(f"{where}: what a model is does not depend on the data set; give it a block of its own")
    merged = {name: with_changes(block, settings.get(name, {})) for name, block in models.items()}
    changed = {name for name, block in merged.items() if settings.keys() & {name, block.get("reuse_training_of")}}
    try:
        return {name: resolve_model(name, block, merged) for name, block in merged.items() if name in changed}
    except UserError as error:
        raise UserError(f"{error}{_with_settings(dataset)}") from None


def _with_settings(dataset: str) -> str:
    return f" (with datasets.{dataset}.settings)" if dataset else ""


def with_changes(block: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A block with changes; a length in `epochs` replaces one in `steps`, and the reverse."""
    replaced = {"steps": "epochs", "epochs": "steps"}
    dropped = {replaced[key] for key in changes if key in replaced} - set(changes)
    return {key: value for key, value in block.items() if key not in dropped} | dict(changes)


# --- a model's block against its class's constructor ---------------------------------------------------------------


def resolve_model(name: str, block: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A model's block in full: the class's file, the loop's settings, and the constructor's arguments.

    A block with `reuse_training_of: other` is the other's with the arguments that it changes: one training, sampled
    twice.
    """
    if "reuse_training_of" in block:
        return _other_samples(name, block, others)
    source = str(block.get("class", name))
    shared = ("adversarial", "base", "blocks", "kinds", "philox")
    known = [item for item in files_in("models") if item not in shared]
    _require(f"models.{name}: no file pipeline/models/{source}.py", source, known)
    schema = _model_schema(f"pipeline.models.{source}")
    values = _validated(f"models.{name}", schema, {key: value for key, value in block.items() if key != "class"})
    arguments = values.model_dump(mode="json")  # as a job on file has it
    training = {key: arguments.pop(key) for key in Training.model_fields}
    training = {key: value for key, value in training.items() if key not in ("steps", "epochs") or value is not None}
    return {"class": source, "training": training, "arguments": arguments}


def _other_samples(name: str, block: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Another model's block in full, with the arguments that its samples are to be made with."""
    where, source = f"params.yaml: models.{name}", block["reuse_training_of"]
    trained = {key: other for key, other in others.items() if "reuse_training_of" not in other}
    if not isinstance(source, str) or source not in trained:
        raise UserError(
            f"{where}.reuse_training_of: found {source!r}, expected a model with a training{near(str(source), trained)}"
        )
    changed = {key: value for key, value in block.items() if key != "reuse_training_of"}
    owned = sorted({"class", *Training.model_fields} & set(changed))
    if owned:
        raise UserError(
            f"{where}.{owned[0]}: its training is {source}'s; set it there, or give {name} its own training"
        )
    return resolve_model(name, {"class": source, **others[source], **changed}, {}) | {"reuse_training_of": source}


@functools.cache
def _model_schema(module: str) -> type[BaseModel]:
    """Schema of a model's block: the loop's keys and its constructor's keyword-only arguments."""
    fields: dict[str, Any] = {argument: (kind, default) for argument, kind, default in constructor(module)}
    clash = set(fields) & set(Training.model_fields)
    if clash:
        raise UserError(f"{module}: argument {min(clash)!r} is a key of the training loop; give it another name")
    return create_model("Block", __base__=Training, **fields)


# --- one line for a person --------------------------------------------------------------------------------------

OF_UNIONS = re.compile(r"(function-|constrained-|list\[).*|int|str|\[key\]")
"""Parts of a place that name a kind of value and no key."""

Schema = TypeVar("Schema", bound=BaseModel)


def _validated(where: str, schema: type[Schema], block: Any) -> Schema:
    """A block as its schema has it; `UserError` with the first complaint as one line."""
    try:
        return schema.model_validate(block)
    except ValidationError as error:
        first = error.errors()[0]
    place = [str(part) for part in first["loc"] if not OF_UNIONS.fullmatch(str(part))]
    problem = str(first["ctx"]["error"]) if first["type"] == "value_error" else _problem(first)
    key = ".".join([*([where] if where else []), *place])
    sign = ": " if problem.startswith(("found", "missing")) else "."
    raise UserError(f"params.yaml: {key}{sign if key else ''}{problem}")


def _problem(complaint: Any) -> str:
    """What pydantic found and expected, without what it says about itself."""
    if complaint["type"] == "missing":
        return "missing"
    expected = re.sub("^Input should be |, unable to parse.*|, got a number.*", "", complaint["msg"])
    return f"found {complaint['input']!r}, expected {expected}"
