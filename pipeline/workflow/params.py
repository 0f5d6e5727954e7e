"""params.yaml and command-line overrides, checked before any job starts.

Closed keys: an unknown one stops with a single line that suggests the near name. A model's own arguments are checked
against its constructor's signature, read from the syntax tree, so nothing here imports torch.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo

from pipeline.core.errors import UserError, near
from pipeline.models import kinds
from pipeline.training import length
from pipeline.workflow import job_hash, layout, yaml_loader

Budget = Literal["tiny", "smoke", "laptop", "paper"]
BUDGETS: tuple[str, ...] = get_args(Budget)
MOST_SEEDS = 100
"""Trainings of one model: every one judges the samples of all."""

PLAIN: dict[str, Any] = {"bool": bool, "str": str, "int": int, "float": float}
PARAMS_FILE = Path("params.yaml")
OWN_FILE = "own.yaml"
"""Beside params.yaml: data sets of one's own, and whatever else differs."""


RENAMED_KEYS = {
    "versioned": "dvc_tracked",
    "protocol.judged_training_images": "judged_images",
    "datasets.*.otherwise": "alternatives",
    "datasets.*.by_hand": "manual_download",
    "datasets.*.settings.*.decay": "lr_decay_fraction",
    "datasets.*.settings.*.*.decay": "lr_decay_fraction",
    "models.*.decay": "lr_decay_fraction",
    "models.*.*.decay": "lr_decay_fraction",
    "models.*.samples_of": "reuse_training_of",
}
"""Path of a key of an earlier version, `*` for any name -> the key's new name."""


def _no_bool(value: Any) -> Any:
    """`true` is no number, though Python lets it pass for 1."""
    if isinstance(value, bool):
        raise ValueError(f"found {value}, expected a number")
    return value


def _plain_name(value: Any) -> Any:
    """Lower-case letters, digits and _, a letter first."""
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,63}", value, re.ASCII):
        return value
    close = re.sub(r"[^a-z0-9]+", "_", str(value)[:64].lower()).strip("_")
    hint = f"; use {close}" if re.match("[a-z]", close) else ""
    raise ValueError(f"found {value!r}, expected lower-case letters, digits and _ (64 at most), a letter first{hint}")


Name = Annotated[str, BeforeValidator(_plain_name)]
"""Part of paths and of the rules' shell commands."""


def _list_or_all(value: Any) -> Any:
    """One word may stand in the list's place."""
    if not isinstance(value, list) and value != "all":
        raise ValueError(f"found {value!r}, expected a list of models, or all")
    return value


Names = Annotated[Literal["all"] | list[Name], BeforeValidator(_list_or_all)]
"""Models of a table; `all` that params.yaml has."""

CURRENT: Literal["current"] = "current"


def _list_or_current(value: Any) -> Any:
    """One word may stand in the list's place."""
    if (not isinstance(value, list) or not value) and value != CURRENT:
        raise ValueError(f"found {value!r}, expected a list of data sets, or {CURRENT}")
    return value


Reported = Annotated[Literal["current"] | list[Name], BeforeValidator(_list_or_current)]
"""Data sets of the report; `current`: those whose results are stored or are made in the same run."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=128)]
"""A plain name: nothing is fetched to anywhere but the data set's own folder."""

Positive = Annotated[int, Field(ge=1), BeforeValidator(_no_bool)]
NotNegative = Annotated[int, Field(ge=0), BeforeValidator(_no_bool)]
Rate = Annotated[float, Field(gt=0), BeforeValidator(_no_bool)]


class _Block(BaseModel):
    """A block of closed keys; numbers may arrive as text, as they do from the command line."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=False, allow_inf_nan=False, validate_default=True)


Value = TypeVar("Value")


class PerBudget(_Block, Generic[Value]):
    """A value that differs by budget."""

    tiny: Value
    smoke: Value
    laptop: Value
    paper: Value


CountPerBudget = PerBudget[Positive]

FEWEST_COMPARED = 8
"""Images of a set that metrics are computed on: a fifth neighbour needs six, a covariance of each half four."""

Compared = Annotated[int, Field(ge=FEWEST_COMPARED), BeforeValidator(_no_bool)]


class Protocol(_Block):
    """How models are compared."""

    samples: PerBudget[Compared] | Compared
    importance_samples: CountPerBudget | Positive
    canvases: Positive
    seed: NotNegative
    jackknife_groups: Annotated[int, Field(ge=2), BeforeValidator(_no_bool)]
    judged_images: Positive
    more_references: PerBudget[bool] | bool
    battle_tolerance: Rate
    battle_ratio: Literal["error", "accuracy"]


class Classifier(_Block):
    """The reference classifier's training."""

    steps: CountPerBudget | Positive
    batch: Positive
    learning_rate: Rate
    seed: NotNegative


Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|any)$")]
"""SHA-256 of a file's contents; `any` where it differs from person to person: then it is part of the job hash."""


def _count_or_share(value: Any) -> Any:
    """How many images, or what share of them."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value >= 1 or 0 < value < 1):
        raise ValueError(f"found {value!r}, expected a number of images, at least 1, or a share of them below 1")
    if value > 1 and value != int(value):
        raise ValueError(f"found {value!r}, expected a whole number of images, or a share of them below 1")
    return value if value < 1 else int(value)


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


def _black_and_white(value: Any) -> Any:
    """The values that become black and white."""
    pair = value is None or (isinstance(value, list | tuple) and len(value) == 2)
    if not pair or any(type(end) not in (int, float) or not abs(end) < 1e30 for end in value or ()):
        raise ValueError(f"found {value!r}, expected two numbers, those of black and of white, for instance [0, 255]")
    if value is not None and not value[0] < value[1]:
        raise ValueError(f"found {value!r}, expected a lower number, then a higher one")
    return value


ValueRange = Annotated[tuple[float, float] | None, BeforeValidator(_black_and_white)]
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
    models: PerBudget[Names] | Names
    classes: NotNegative | None = None
    imbalanced: bool = False
    published: Name | None = None
    settings: dict[Name, dict[str, Any]] = {}
    alternatives: list[dict[str, Any]] = []
    manual_download: str | None = None

    @functools.cached_property
    def forms(self) -> list[Form]:
        """The forms that it can be had in, the preferred one first."""
        mine = {key: getattr(self, key) for key in Form.model_fields}
        shared = {key: value for key, value in mine.items() if key not in OF_A_FORM_ALONE}
        return [Form(**mine), *(Form.model_validate(shared | other) for other in self.alternatives)]


class Training(_Block):
    """What the training loop takes from a model's block."""

    batch: Positive
    data: Literal["binarised", "grey", "auto"]
    precision: Literal["float32", "bfloat16"] = "float32"
    lr_decay_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    sampler: Literal["natural", "balanced", "tempered"] = "natural"
    sampler_power: Annotated[float, Field(ge=0.0, le=1.0), BeforeValidator(_no_bool)] = 0.5
    average: bool = False
    steps: CountPerBudget | Positive | None = None
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

    FILE: ClassVar[Path] = PARAMS_FILE

    budget: Budget
    seeds: CountPerBudget | Positive
    device: Literal["auto", "cpu", "cuda"]
    protocol: Protocol
    classifier: Classifier
    datasets: dict[Name, Dataset]
    models: dict[Name, dict[str, Any]]
    report: Reported = CURRENT
    dvc_tracked: list[Name] = []

    @model_validator(mode="before")
    @classmethod
    def _models_are_blocks(cls, values: Any) -> Any:
        models = values.get("models") if isinstance(values, dict) else None
        for name, block in models.items() if isinstance(models, dict) else ():
            if not isinstance(block, dict):
                raise ValueError(f"models.{name}: found {block!r}, expected a block of keys")
        return values

    def at_budget(self, value: PerBudget[Any] | Any) -> Any:
        """A value at this budget."""
        return getattr(value, self.budget) if isinstance(value, PerBudget) else value

    def models_of(self, dataset: str) -> list[str]:
        """The models in a data set's table at this budget."""
        chosen = self.at_budget(self.datasets[dataset].models)
        return list(self.models if chosen == "all" else chosen)

    def seeds_used(self) -> list[int]:
        """0, 1, ... up to the number of independent trainings."""
        return list(range(self.at_budget(self.seeds)))

    @functools.cached_property
    def resolved_models(self) -> dict[str, dict[str, Any]]:
        """Every model's block at this budget: {class, training: {...}, arguments: {...}}, defaults filled in."""
        return {name: resolve_model(name, block, self.budget, self.models) for name, block in self.models.items()}

    @functools.cached_property
    def adapted(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The models that a data set has settings of its own for, resolved with them: {data set: {model: block}}."""
        return {dataset: adapted_models(self, dataset) for dataset, block in self.datasets.items() if block.settings}

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
        said = own.settings.get(block.get("reuse_training_of", model), {})
        silent = "data" not in said and not any("data" in said.get(budget, {}) for budget in BUDGETS)
        binarised = block["training"]["data"] == "binarised"
        if own.path is None or not silent or not binarised:
            return False
        return "elbo" in job_hash.methods_of(f"pipeline.models.{block['class']}")

    def classes_of(self, dataset: str, model: str) -> int:
        """How many classes a conditional model draws from; `UserError` where the data set names none."""
        return self._classes(dataset, f"models.{model}.conditional: found true", "say false")

    def check_labels(self, dataset: str, model: str) -> None:
        """Raise `UserError` for a model that needs labels in the table of a data set that names no classes."""
        block = self.model_for(dataset, model)
        sampler = block["training"]["sampler"]
        if block["arguments"].get("conditional"):
            self.classes_of(dataset, model)
        if sampler != "natural":
            self._classes(dataset, f"models.{model}.sampler: found {sampler}", "say natural")

    def _classes(self, dataset: str, setting: str, alternative: str) -> int:
        classes = self.datasets[dataset].classes
        if classes is None:
            raise UserError(
                f"params.yaml: {setting}, but datasets.{dataset} has no `classes`; "
                f"give their number there if its images are labelled, or {alternative}"
            )
        return classes


# --- loading ----------------------------------------------------------------------------------------------------


def load(overrides: Sequence[str] = (), file: Path = PARAMS_FILE, more: Sequence[Path] = ()) -> Params:
    """Params from params.yaml, own.yaml beside it, more files and overrides of the form `key.subkey=value`.

    Each is put over what stands before it, block by block; the values of overrides are YAML.
    """
    named = [str(other) for other in (*own_files(file), *more)]
    try:
        return check(merged(overrides, file, more))
    except UserError as error:
        if not named:
            raise
        raise UserError(str(error).replace("params.yaml:", f"params.yaml with {', '.join(named)}:", 1)) from None


def merged(overrides: Sequence[str] = (), file: Path = PARAMS_FILE, more: Sequence[Path] = ()) -> dict[str, Any]:
    """The same before it is checked."""
    config = yaml_loader.block_of(file)
    for other in (*own_files(file), *more):
        if not other.exists():
            raise UserError(f"--configfile {other}: not found; name a file of YAML")
        merge_into(config, yaml_loader.block_of(other))
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--set {override}: expected KEY=VALUE, for instance --set budget=smoke")
        try:
            _set(config, key.split("."), yaml_loader.value_of(value))
        except ValueError as error:
            raise UserError(f"--set {override}: the value is not YAML ({error}); put it in quotes") from None
    return config


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


def _set(config: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set a nested key, making blocks on the way; a block is put over the block that is there."""
    for key in keys[:-1]:
        config = config.setdefault(key, {})
        if not isinstance(config, dict):
            raise UserError(f"--set {'.'.join(keys)}: {key} is a value, not a block")
    merge_into(config, {keys[-1]: value})


def check(config: Mapping[str, Any]) -> Params:
    """Validate a whole configuration.

    Raises `UserError` with one line: the key, what was found, what was expected, and a suggestion.
    """
    if not isinstance(config, Mapping):
        raise UserError(f"params.yaml: found {type(config).__name__}, expected a block of keys")
    try:
        config = yaml_loader.plain(dict(config))
    except ValueError as error:
        raise UserError(f"params.yaml: {error}") from None
    _check_renamed(config)
    try:
        params = Params.model_validate(datasets_at_budget(_yaml_numbers(config)))
    except ValidationError as error:
        raise UserError(f"params.yaml: {_one_line(error, Params)}") from None
    _check_counts(params)
    _check_places(params)
    _check_names(params)
    _check_reported(params)
    params.resolved_models  # noqa: B018  every model's block is checked, not only those of this budget
    params.adapted  # noqa: B018
    return params


def datasets_at_budget(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with each data set's block for the budget merged into its other keys; all blocks are checked.

    Raises `UserError` for a malformed block of any budget.
    """
    datasets = config.get("datasets")
    if not isinstance(datasets, dict):
        return config
    resolved = {}
    for name, block in datasets.items():
        shared = (
            {key: value for key, value in block.items() if key not in BUDGETS} if isinstance(block, dict) else block
        )
        resolved[name] = shared
        for level in (key for key in BUDGETS if isinstance(block, dict) and key in block):
            where = f"params.yaml: datasets.{name}.{level}"
            if not isinstance(block[level], dict):
                raise UserError(f"{where}: found {block[level]!r}, expected a block of keys for this budget")
            merged = {**shared, **block[level]}
            try:
                Dataset.model_validate(merged)
            except ValidationError as error:
                raise UserError(f"{where}.{_one_line(error, Dataset)}") from None
            if level == config.get("budget"):
                resolved[name] = merged
    return config | {"datasets": resolved}


def _check_renamed(config: Mapping[str, Any]) -> None:
    """No key may have a name of version 0.1."""
    for pattern, new in RENAMED_KEYS.items():
        for path in _paths_of(config, pattern.split(".")):
            raise UserError(f"params.yaml: {'.'.join(path)}: renamed; use {new}")


def _paths_of(value: Any, pattern: Sequence[str]) -> Iterator[list[str]]:
    """Paths of the keys in nested blocks that match a pattern, in which `*` is any name."""
    if not pattern:
        yield []
        return
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if pattern[0] in ("*", key):
            yield from ([str(key), *path] for path in _paths_of(inner, pattern[1:]))


def _yaml_numbers(value: Any) -> Any:
    """Values of nested overrides arrive as text from the command line; read those as YAML would."""
    if isinstance(value, dict):
        return {key: _yaml_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_yaml_numbers(item) for item in value]
    if isinstance(value, str) and value.lower() in ("true", "false", "null", "none"):
        return {"true": True, "false": False}.get(value.lower())
    return value


def _check_counts(params: Params) -> None:
    """There must be something to do, and no more than can be planned."""
    if not params.datasets:
        raise UserError("params.yaml: datasets: found an empty block, expected at least one data set")
    seeds_of = params.seeds.model_dump() if isinstance(params.seeds, PerBudget) else {"": params.seeds}
    for budget, seeds in seeds_of.items():
        if seeds > MOST_SEEDS:
            where = f"seeds.{budget}" if budget else "seeds"
            raise UserError(f"params.yaml: {where}: found {seeds}, expected at most {MOST_SEEDS}")


def _check_places(params: Params) -> None:
    """No two data sets may write one file, no model may take a reference's row, no raw file the list of them."""
    owners: dict[str, str] = {}
    patterns = [pattern for of in layout.VIEWS.values() for pattern in of if "{dataset}" in pattern]
    for dataset, block in params.datasets.items():
        for path in (pattern.format(dataset=dataset) for pattern in patterns):
            if owners.setdefault(path, dataset) != dataset:
                other = owners[path]
                raise UserError(f"params.yaml: datasets.{dataset}: {path} is {other}'s; choose another name")
        for file in (name for form in forms_of(dataset, block) for name in form.files or {}):
            if file.startswith("."):
                raise UserError(f"params.yaml: datasets.{dataset}.files: found {file!r}, a hidden file; rename it")
    for model in params.models:
        if model in layout.REFERENCES:
            raise UserError(f"params.yaml: models.{model}: the name of a row that no model makes; choose another name")


def _check_names(params: Params) -> None:
    """Models that a data set lists, and the files of models and readers, must exist."""
    for dataset, block in params.datasets.items():
        by_budget = block.models.model_dump() if isinstance(block.models, PerBudget) else {"": block.models}
        for budget, names in by_budget.items():
            where = f"params.yaml: datasets.{dataset}.models{'.' + budget if budget else ''}"
            if names == "all":
                continue
            for name in names:
                if name not in params.models:
                    raise UserError(f"{where}: unknown model {name!r}{near(name, params.models)}")
            if len(set(names)) != len(names):
                raise UserError(f"{where}: a model is listed twice: {', '.join(names)}")
            if not names:
                raise UserError(f"{where}: found an empty list, expected at least one model")
        for name in block.settings:
            if name not in params.models:
                where = f"params.yaml: datasets.{dataset}.settings"
                raise UserError(f"{where}: unknown model {name!r}{near(name, params.models)}")
        if block.imbalanced and not block.classes:
            raise UserError(
                f"params.yaml: datasets.{dataset}.imbalanced: found true, but it has no `classes`; "
                "give their number there if its images are labelled, or say false"
            )
        for name in params.models_of(dataset):
            params.check_labels(dataset, name)
        _check_published(dataset, block.published)
        for number, form in enumerate(block.forms):
            _check_form(f"datasets.{dataset}" + (f".alternatives[{number - 1}]" if number else ""), form)


def forms_of(dataset: str, block: Dataset) -> list[Form]:
    """The forms of a data set; `UserError` in one line where one of them is malformed."""
    try:
        return block.forms
    except ValidationError as error:
        raise UserError(f"params.yaml: datasets.{dataset}.alternatives: {_one_line(error, Form)}") from None


KINDS: dict[str, Callable[[Any], bool]] = {
    "a text": lambda value: isinstance(value, str),
    "true or false": lambda value: isinstance(value, bool),
    "a whole number from 0": lambda value: type(value) is int and 0 <= value < 1_000_000,
    "a list of names": lambda value: isinstance(value, list) and all(isinstance(name, str | int) for name in value),
    "a name, or a list of names": lambda value: isinstance(value, str) or KINDS["a list of names"](value),
}
OPTION_KINDS = {
    **dict.fromkeys(("image", "label", "labels", "prefix", "links", "broken", "splits"), "a text"),
    **dict.fromkeys(("train_images", "train_labels", "test_images", "test_labels"), "a text"),
    **dict.fromkeys(("face", "transpose", "extra"), "true or false"),
    **dict.fromkeys(("every", "first_label", "label_bytes", "ink"), "a whole number from 0"),
    **dict.fromkeys(("train_files", "valid_files", "test_files"), "a name, or a list of names"),
    "class_names": "a list of names",
}
"""What the options of readers are; those of `telugu_print` are checked where it renders."""


def is_reader(name: str) -> bool:
    """Whether a module of the data sets' folder reads a format: such a module says which options it has."""
    module = f"pipeline.datasets.{name}"
    return job_hash.module_file(module) is not None and job_hash.literal(module, "OPTIONS") is not None


def _check_form(where: str, form: Form) -> None:
    """There must be a reader, with the options that it has, and something to read."""
    if not is_reader(form.reader):
        known = [name for name in files_in("datasets") if is_reader(name)]
        raise UserError(
            f"params.yaml: {where}.reader: no file pipeline/datasets/{form.reader}.py{near(form.reader, known)}"
        )
    if (form.files is None) == (form.path is None):
        problem = "missing" if form.files is None else "found beside `path`; say `files: null` to read the path"
        raise UserError(
            f"params.yaml: {where}.files: {problem}; expected file names with their SHA-256 (or any), or a `path`"
        )
    options = job_hash.literal(f"pipeline.datasets.{form.reader}", "OPTIONS", ())
    for option, value in form.options.items():
        if option not in options:
            hint = near(option, options) if options else f"; the reader {form.reader} has none"
            raise UserError(f"params.yaml: {where}.options.{option}: unknown key{hint}")
        kind = OPTION_KINDS.get(option, "")
        if value is not None and not KINDS.get(kind, lambda _: True)(value):
            raise UserError(f"params.yaml: {where}.options.{option}: found {value!r}, expected {kind}")
    _check_sources(where, form.sources)


def _check_reported(params: Params) -> None:
    """The report's data sets, and those that DVC keeps, must exist."""
    reported = params.report if params.report != CURRENT else ()
    for key, names in (("report", reported), ("dvc_tracked", params.dvc_tracked)):
        for name in names:
            if name not in params.datasets:
                raise UserError(f"params.yaml: {key}: unknown data set {name!r}{near(name, params.datasets)}")


def _check_published(dataset: str, name: str | None) -> None:
    """A paper's own table must be among those that are kept here."""
    if name is not None and not published_file(name).is_file():
        known = [file.stem for file in published_file(name).parent.glob("*.csv")]
        raise UserError(
            f"params.yaml: datasets.{dataset}.published: no file pipeline/tables/published/{name}.csv"
            f"{near(name, known)}"
        )


def published_file(name: str) -> Path:
    """Where a paper's own table is kept."""
    return job_hash.ROOT / "pipeline" / "tables" / "published" / f"{name}.csv"


def _check_sources(where: str, sources: Sequence[Mapping[str, Any]]) -> None:
    """Every source must be of a known kind and have that kind's keys."""
    from pipeline.workflow.sources import check_source  # archives and HTTP are needed only here

    for number, source in enumerate(sources):
        try:
            check_source(source)
        except UserError as error:
            raise UserError(f"params.yaml: {where}.sources[{number}]: {error}") from None


def files_in(folder: str) -> list[str]:
    """Names of the modules in a folder of the pipeline."""
    return sorted(file.stem for file in (job_hash.ROOT / "pipeline" / folder).glob("*.py") if file.stem != "__init__")


def adapted_models(params: Params, dataset: str) -> dict[str, dict[str, Any]]:
    """Every model's block at the budget, with the data set's own settings put over those of `models`."""
    settings = params.datasets[dataset].settings
    merged = {name: merged_block(block, settings.get(name, {})) for name, block in params.models.items()}
    for name, block in settings.items():
        owned = sorted({"class", "reuse_training_of"} & set(block))
        if owned:
            where = f"params.yaml: datasets.{dataset}.settings.{name}.{owned[0]}"
            raise UserError(f"{where}: what a model is does not depend on the data set; give it a block of its own")
    try:
        return {name: resolve_model(name, block, params.budget, merged) for name, block in merged.items()}
    except UserError as error:
        raise UserError(f"{error} (with datasets.{dataset}.settings)") from None


def merged_block(block: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A model's block with settings put over it; those of one budget are put over those of that budget."""
    levels = [key for key in BUDGETS if isinstance(block.get(key), dict) and isinstance(settings.get(key), dict)]
    both = {key: with_changes(block[key], settings[key]) for key in levels}
    return {**with_changes(block, settings), **both}


def with_changes(block: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A block with changes; a length in `epochs` replaces one in `steps`, and the reverse."""
    replaced = {"steps": "epochs", "epochs": "steps"}
    dropped = {replaced[key] for key in changes if key in replaced} - set(changes)
    return {key: value for key, value in block.items() if key not in dropped} | dict(changes)


# --- a model's block against its class's constructor ---------------------------------------------------------------


def resolve_model(
    name: str, block: Mapping[str, Any], budget: str, others: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A model's block at a budget: the class's file, the loop's settings, and the constructor's arguments in full.

    A block with `reuse_training_of: other` is the other's with the arguments that it changes: one training, sampled
    twice.
    """
    where = f"params.yaml: models.{name}"
    if "reuse_training_of" in block:
        return _other_samples(name, block, budget, others)
    flat = {key: value for key, value in block.items() if key not in ("class", *BUDGETS)}
    for level in BUDGETS:
        if not isinstance(block.get(level, {}), dict):
            raise UserError(f"{where}.{level}: found {block[level]!r}, expected a block of keys for this budget")
    source = str(block.get("class", name))
    module = f"pipeline.models.{source}"
    shared = ("adversarial", "base", "blocks", "kinds", "philox")
    known = [item for item in files_in("models") if item not in shared]
    if source not in known:
        raise UserError(f"{where}: no file pipeline/models/{source}.py{near(source, known)}")
    resolved: dict[str, Any] = {}
    for level in BUDGETS:
        values = _validated(where, module, with_changes(flat, block.get(level, {})))
        if level == budget:
            resolved = values
    training = {key: resolved.pop(key) for key in Training.model_fields}
    steps = training["steps"]
    training["steps"] = steps[budget] if isinstance(steps, dict) else steps
    training = {key: value for key, value in training.items() if key not in ("steps", "epochs") or value is not None}
    if "steps" in training:  # a length in epochs is checked when the size of the training split is known
        try:
            length.check_warmup(training["steps"], resolved.get("warmup", 0))
        except ValueError as error:
            raise UserError(f"{where}.{error}") from None
    return {"class": source, "training": training, "arguments": resolved}


def _other_samples(
    name: str, block: Mapping[str, Any], budget: str, others: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Another model's resolved block with the arguments that its samples are to be made with."""
    where, source = f"params.yaml: models.{name}", block["reuse_training_of"]
    trained = {key: other for key, other in others.items() if "reuse_training_of" not in other}
    if not isinstance(source, str) or source not in trained:
        raise UserError(
            f"{where}.reuse_training_of: found {source!r}, expected a model with a training{near(str(source), trained)}"
        )
    changed = {key: value for key, value in block.items() if key != "reuse_training_of"}
    owned = sorted({"class", *Training.model_fields, *BUDGETS} & set(changed))
    if owned:
        raise UserError(
            f"{where}.{owned[0]}: its training is {source}'s; set it there, or give {name} its own training"
        )
    return {
        **resolve_model(name, {"class": source, **others[source], **changed}, budget, {}),
        "reuse_training_of": source,
    }


def _validated(where: str, module: str, values: Mapping[str, Any]) -> dict[str, Any]:
    schema = _model_schema(module)
    try:
        return schema.model_validate(_yaml_numbers(dict(values))).model_dump(mode="json")  # as a job on file has it
    except ValidationError as error:
        raise UserError(f"{where}.{_one_line(error, schema)}") from None


@functools.cache
def _model_schema(module: str) -> type[BaseModel]:
    """Schema of a model's block: the loop's keys and its constructor's keyword-only arguments."""
    fields: dict[str, Any] = {argument: (kind, default) for argument, kind, default in constructor(module)}
    clash = set(fields) & set(Training.model_fields)
    if clash:
        raise UserError(f"{module}: argument {min(clash)!r} is a key of the training loop; give it another name")
    return create_model("Block", __base__=Training, **fields)


@functools.cache
def constructor(module: str) -> tuple[tuple[str, Any, Any], ...]:
    """(name, type, default) of the keyword-only arguments of a model's constructor, read from its syntax tree."""
    function = _constructor(module)
    return () if function is None else tuple(_arguments(function, module))


def kinds_of(module: str) -> dict[str, str]:
    """What annotates each of those arguments, as it is written: Rate, Count, bool, Literal['a', 'b'], ..."""
    function = _constructor(module)
    return {} if function is None else {item.arg: _text(item.annotation) for item in function.args.kwonlyargs}


def _text(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)


def _constructor(module: str) -> ast.FunctionDef | None:
    """The nearest `__init__` of a model's class and what it derives from."""
    statements = (item for owner in job_hash.class_chain(module) for item in owner.body)
    return next((item for item in statements if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)


def _arguments(function: ast.FunctionDef, module: str) -> Iterable[tuple[str, Any, Any]]:
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        where = f"{job_hash.module_file(module)}: argument {argument.arg!r}"
        value = ... if default is None else _plain_value(default, where)
        yield argument.arg, _kind(argument.annotation, where), value


def _one_alone(value: Any) -> Any:
    """`hidden: 400` is `hidden: [400]`."""
    return value if isinstance(value, list | tuple | dict) else [value]


def _plain_value(default: ast.expr, where: str) -> Any:
    """The value of a default that is written out."""
    try:
        return ast.literal_eval(default)
    except ValueError:
        raise UserError(f"{where}: found the default {ast.unparse(default)}, expected a plain value") from None


def _kind(annotation: ast.expr | None, where: str) -> Any:
    """The type that an annotation names: one of `pipeline.models.kinds`, bool, str, a Literal, or a tuple of them."""
    if isinstance(annotation, ast.Name) and hasattr(kinds, annotation.id):
        kind = getattr(kinds, annotation.id)
        bounds = getattr(kind, "__metadata__", None)
        return Annotated[kind.__origin__, Field(**bounds[0]), BeforeValidator(_no_bool)] if bounds else kind
    if isinstance(annotation, ast.Name) and annotation.id in PLAIN:
        return PLAIN[annotation.id]
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name):
        if annotation.value.id == "Literal":
            return Literal[ast.literal_eval(annotation.slice)]
        if annotation.value.id == "tuple" and isinstance(annotation.slice, ast.Tuple):
            return Annotated[tuple[_kind(annotation.slice.elts[0], where), ...], BeforeValidator(_one_alone)]  # type: ignore[misc]
    raise UserError(
        f"{where}: found the annotation {ast.unparse(annotation) if annotation else None}, "
        "expected one of pipeline.models.kinds, bool, str, Literal[...] or tuple[kind, ...]"
    )


# --- one line for a person --------------------------------------------------------------------------------------


def _one_line(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first of a validation's complaints as one line."""
    # Of a union's complaints the one about the plain value says more than 'not a block'.
    rank = {"extra_forbidden": 0, "model_type": 2, "dict_type": 2}
    first = min(error.errors(), key=lambda item: rank.get(item["type"], 1))
    path = [part for part in first["loc"] if not str(part).startswith(("function-", "constrained-"))]
    path = [part for part in path if part not in ("int", "list[constrained-str]", "[key]")]
    path = [part for part in path if not str(part).startswith("PerBudget")]
    where = ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key{near(str(path[-1]), _keys_at(schema, path[:-1]))}"
    if first["type"] == "missing":
        return f"{where}: missing; expected {_expected(first)}"
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        return f"{where}: {message}" if message.startswith("found") else message
    return f"{where}: found {first['input']!r}, expected {_expected(first)}"


def _expected(first: Any) -> str:
    message = first["msg"].removeprefix("Input should be ").removeprefix("Field required")
    message = message.split(", unable to parse")[0].split(", got a number")[0]
    return message or "a value"


def _keys_at(schema: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Which keys a block may have."""
    kind: Any = schema
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field: FieldInfo | None = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            kind = (get_args(kind) or (None, None))[-1]
    for candidate in (kind, *get_args(kind)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return list(candidate.model_fields)
    return []
