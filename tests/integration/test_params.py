"""params.yaml: closed keys, values of the right kind, one line for a person, and never a torch import."""

from __future__ import annotations

import copy
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.errors import UserError
from pipeline.workflow import job_hash, params
from pipeline.workflow.model_arguments import constructor
from pipeline.workflow.params import BUDGETS, check, load
from pipeline.workflow.plan import Plan
from tests.conftest import ROOT, plan_of

FILE = ROOT / "params.yaml"
CONFIG: dict[str, Any] = yaml.safe_load(FILE.read_text())


MISSING = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """params.yaml with one key set, or without it."""
    config = copy.deepcopy(CONFIG)
    *blocks, key = path.split(".")
    block = config
    for name in blocks:
        block = block[name]
    block[key] = value
    if value is MISSING:
        del block[key]
    return config


def refusal(config: Any) -> str:
    """The one line that a configuration is refused with."""
    with pytest.raises(UserError) as caught:
        check(config)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("params.yaml: ")
    return message


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_file_itself_is_valid_at_every_budget(budget: str) -> None:
    resolved = load([f"budget={budget}"], FILE)
    assert resolved.budget == budget
    assert resolved.protocol.samples == CONFIG["protocol"]["samples"][budget]
    for name, block in resolved.resolved_models.items():
        owner = CONFIG["models"][block.get("reuse_training_of", name)]
        length = {key: block["training"][key] for key in ("steps", "epochs") if key in block["training"]}
        epochs = owner.get(budget, {}).get("epochs")
        assert length == ({"steps": owner["steps"][budget]} if epochs is None else {"epochs": epochs})


# --- what is refused, and in which words ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("budgett", "budget"),
        ("protocol.sample", "samples"),
        ("protocol.samples.lptop", "laptop"),
        ("classifier.learning_rat", "learning_rate"),
        ("datasets.mnist.reeder", "reader"),
        ("datasets.mnist.models.papr", "paper"),
        ("models.draw.glimpse", "glimpses"),
        ("models.draw.paper.glimpse", "glimpses"),
        ("models.draw.bacth", "batch"),
        ("models.gran3.time_step", "time_steps"),
    ],
)
def test_an_unknown_key_is_refused_and_the_near_one_suggested(path: str, suggestion: str) -> None:
    message = refusal(changed(path, 1))
    assert f"{path.rsplit('.', 1)[-1]}: unknown key; did you mean '{suggestion}'?" in message


OLD_KEYS = {
    "versioned": "dvc_tracked",
    "protocol.judged_training_images": "judged_images",
    "datasets.mnist.otherwise": "alternatives",
    "datasets.mnist.by_hand": "manual_download",
    "datasets.mnist.settings.vae.decay": "lr_decay_fraction",
    "datasets.mnist.settings.vae.paper.decay": "lr_decay_fraction",
    "models.vae.decay": "lr_decay_fraction",
    "models.vae.tiny.decay": "lr_decay_fraction",
    "models.vae.samples_of": "reuse_training_of",
}


def test_every_renamed_key_has_an_example() -> None:
    assert {path.rpartition(".")[2]: new for path, new in OLD_KEYS.items()} == params.RENAMED_KEYS


@pytest.mark.parametrize(("path", "new"), OLD_KEYS.items())
def test_a_renamed_key_is_refused_with_its_new_name(path: str, new: str) -> None:
    with pytest.raises(UserError) as caught:
        load([f"{path}=0.5"], FILE)
    assert str(caught.value) == f"params.yaml: {path}: renamed; use {new}"


@pytest.mark.parametrize("written", ["0133-10-25", "2026-11-27 10:00:00", "!!binary aGk=", "!!set {a, b}"])
def test_what_yaml_knows_and_json_does_not_is_refused_with_its_place(tmp_path: Path, written: str) -> None:
    """An identity is a digest of JSON, where `options` may hold anything."""
    file = tmp_path / "params.yaml"
    text = (job_hash.ROOT / "params.yaml").read_text()
    file.write_text(text.replace("options: {class_names: [t-shirt,", f"options: {{class_names: [{written},", 1))
    with pytest.raises(UserError, match=r"datasets\.fashion_mnist\.options\.class_names\.0: found .*needs quotes"):
        params.load(file=file)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("budget", "big", "budget: found 'big', expected 'tiny', 'smoke', 'laptop' or 'paper'"),
        ("seeds", 0, "seeds: found 0, expected greater than or equal to 1"),
        ("seeds", "three", "seeds: found 'three', expected a valid integer"),
        ("seeds.paper", -1, "seeds: found -1, expected greater than or equal to 1 (at budget paper)"),
        ("seeds", 1.5, "seeds: found 1.5, expected a valid integer"),
        ("device", "gpu", "device: found 'gpu', expected 'auto', 'cpu' or 'cuda'"),
        ("protocol", 3, "protocol: found 3, expected"),
        ("protocol.battle_tolerance", 0, "protocol.battle_tolerance: found 0, expected greater than 0"),
        ("protocol.samples", 7, "protocol.samples: found 7, expected greater than or equal to 8"),
        ("protocol.samples.tiny", 7, "protocol.samples: found 7, expected greater than or equal to 8 (at budget tiny)"),
        ("datasets", {"tiny": {}}, "datasets.tiny: the name of a budget; choose another name"),
        ("protocol.canvases", {"tiny": 1, "smoke": 2}, "protocol.canvases.laptop: missing"),
        (
            "protocol.canvases",
            {"tiny": 1, "smoke": 2, "lptop": 3},
            "protocol.canvases.lptop: unknown key; did you mean",
        ),
        ("protocol.jackknife_groups", 1, "protocol.jackknife_groups: found 1, expected greater than or equal to 2"),
        ("protocol.battle_ratio", "errors", "protocol.battle_ratio: found 'errors', expected 'error' or 'accuracy'"),
        ("classifier.learning_rate", float("nan"), "classifier.learning_rate: found nan, expected"),
        ("classifier.learning_rate", float("inf"), "classifier.learning_rate: found inf, expected"),
        ("datasets.mnist.shape", [1, 28], "datasets.mnist.shape"),
        ("datasets.mnist.shape", [1, 28, 0], "datasets.mnist.shape.2: found 0, expected greater than or equal to 1"),
        ("datasets.mnist.files", {"a": "12"}, "datasets.mnist.files.a: found '12', expected"),
        ("models", None, "models: found None, expected"),
        ("models.draw", 3, "models.draw: found 3, expected a block of keys"),
        ("models.draw.paper", 3, "models.draw.paper: found 3, expected a block of keys"),
        ("models.draw.data", "gray", "models.draw.data: found 'gray', expected 'binarised', 'grey' or 'auto'"),
        ("models.draw.batch", True, "models.draw.batch: found True, expected a number"),
        ("training_share", True, "training_share: found True, expected a number"),
        ("training_share", 2, "training_share: found 2, expected less than or equal to 1"),
        ("models.draw.glimpses", 0, "models.draw.glimpses: found 0, expected greater than or equal to 1"),
        ("models.draw.glimpses", True, "models.draw.glimpses: found True, expected a number"),
        ("models.draw.glimpses", 2.5, "models.draw.glimpses: found 2.5, expected a valid integer"),
        ("models.draw.attention", "perhaps", "models.draw.attention: found 'perhaps', expected a valid boolean"),
        ("models.draw.learning_rate", 0.0, "models.draw.learning_rate: found 0.0, expected greater than 0"),
        ("models.draw.learning_rate", float("inf"), "models.draw.learning_rate: found inf, expected"),
        ("models.dcgan.beta1", 1.5, "models.dcgan.beta1: found 1.5, expected less than or equal to 1"),
        ("models.draw_gan.objective", "maximin", "models.draw_gan.objective: found 'maximin', expected"),
        ("models.draw.glimpses", "many", "models.draw.glimpses: found 'many'"),
        ("models.draw.paper", {"glimpses": 0}, "models.draw.glimpses: found 0"),
        ("protocol.zzz", 1, "protocol.zzz: unknown key; there are: battle_ratio, battle_tolerance,"),
        *((path, MISSING, f"{path}: missing") for path in ("protocol.seed", "classifier.batch", "models.vae.steps")),
        ("datasets.mnist.files", MISSING, "datasets.mnist.files: missing"),
        # names of what must exist
        *(
            ("models.draw.class", name, "models.draw: no file pipeline/models/")
            for name in ("drow", "base", "../x", "", 3)
        ),
        ("datasets.mnist.reader", "idxx", "no file pipeline/datasets/idxx.py; did you mean 'idx'?"),
        ("datasets.mnist.reader", "splits", "no file pipeline/datasets/splits.py"),
        ("dvc_tracked", ["mnits"], "dvc_tracked: unknown data set 'mnits'; did you mean 'mnist'?"),
        ("report", ["mnits"], "report: unknown data set 'mnits'; did you mean 'mnist'?"),
        ("datasets.mnist.published", "draw_gan_table1_mnits", "/draw_gan_table1_mnits.csv; did you mean"),
        ("datasets.mnist.published", "../../../params", "datasets.mnist.published"),
        (
            "datasets.mnist.models",
            ["vae", "drw"],
            "params.yaml: datasets.mnist.models: unknown model 'drw'; did you mean 'draw'?",
        ),
        ("datasets.mnist.models.paper", ["vaee"], "unknown model 'vaee'; did you mean 'vae'? (at budget paper)"),
        ("datasets.mnist.models", ["vae", "vae"], "datasets.mnist.models: a model is listed twice"),
        ("datasets.mnist.models.tiny", [], "found [], expected a list of models, or all (at budget tiny)"),
        *(
            ("datasets.mnist.models.laptop", value, f"yaml: datasets.mnist.models: found {value!r}, expected a list of")
            for value in ("al", 5, {"laptop": "all", "tiny": "all"})
        ),
        # other samples of a training
        ("models.odd", {"reuse_training_of": "gran33"}, "found 'gran33', expected a model with a training; did you"),
        ("models.odd", {"reuse_training_of": "odd"}, "found 'odd', expected a model with a training"),
        ("models.odd", {"reuse_training_of": ["gran3"]}, "models.odd.reuse_training_of: found ['gran3']"),
        ("models.odd", {"reuse_training_of": "gran3", "steps": 5}, "models.odd.steps: its training is gran3's"),
        ("models.odd", {"reuse_training_of": "gran3", "class": "vae"}, "models.odd.class: its training is gran3's"),
        ("models.odd", {"reuse_training_of": "gran3", "sample_step": 5}, "unknown key; did you mean 'sample_steps'?"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found_and_expected(path: str, value: Any, expected: str) -> None:
    assert expected in refusal(changed(path, value))


@pytest.mark.parametrize("content", [[], 3, "text", None])
def test_a_file_that_is_no_block_is_refused(content: Any, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="expected a block of keys"):
        load(file=file)


def test_a_file_that_is_not_there_or_not_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params\.yaml: No such file"):
        load(file=tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1,\nb: {")
    with pytest.raises(UserError, match=r"params\.yaml: not YAML") as caught:
        load(file=tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "htp", "address": "https://example.org/"}, "did you mean 'http'?"),
        ({"address": "https://example.org/"}, "unknown kind ''"),
        ({"kind": "http", "address": "https://example.org/", "sufix": ".gz"}, "sufix"),
        ({"kind": "http"}, "address"),
        ({"kind": "http", "address": "a", "room": 1}, "room"),
    ],
)
def test_a_source_has_a_kind_and_its_keys(source: dict[str, Any], expected: str) -> None:
    message = refusal(changed("datasets.mnist.sources", [source]))
    assert message.startswith("params.yaml: datasets.mnist.sources[0]: ") and expected in message


# --- overrides --------------------------------------------------------------------------------------------------


def test_nested_overrides_arrive_as_text() -> None:
    config = copy.deepcopy(CONFIG)
    config["seeds"] = "3"
    config["models"]["draw"] |= {"glimpses": "20", "attention": "false", "learning_rate": "5e-4"}
    config["models"]["gran3"] |= {"kernels": ["40", "20"]}
    resolved = check(config)
    draw, gran = (resolved.resolved_models[name]["arguments"] for name in ("draw", "gran3"))
    assert resolved.seeds_used() == [0, 1, 2]
    assert (draw["glimpses"], draw["attention"], draw["learning_rate"]) == (20, False, 5e-4)
    assert gran["kernels"] == [40, 20]


def test_what_an_alias_shares_is_set_for_the_one_that_is_named() -> None:
    """By `--set`, and by Snakemake's `--config`: cifar10 and celeba have their settings from one text."""
    merged = params.merged(file=FILE)
    params.merge_into(merged, {"datasets": {"celeba": {"settings": {"draw_gan": {"batch": 3}}}}})
    told = load(["datasets.celeba.settings.draw_gan.batch=3"], FILE)
    for found in (check(merged), told):
        assert found.datasets["celeba"].settings["draw_gan"]["batch"] == 3
        assert found.datasets["cifar10"].settings == check(CONFIG).datasets["cifar10"].settings


def test_set_overrides_one_key_and_is_checked_after() -> None:
    resolved = load(["models.draw.glimpses=7", "budget=smoke", "seeds=2"], FILE)
    assert resolved.resolved_models["draw"]["arguments"]["glimpses"] == 7
    assert resolved.seeds_used() == [0, 1]
    for override, expected in (
        ("seeds", "expected KEY=VALUE"),
        ("budget.deep=1", "budget: found {'deep': 1}, expected 'tiny'"),
        ("seeds=[1", "the value is not YAML"),
        ("modles.draw.batch=3", "did you mean 'models'"),
        ("seeds=0", "found 0"),
    ):
        with pytest.raises(UserError, match=re.escape(expected)) as caught:
            load([override], FILE)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_models_block_may_differ_by_budget(budget: str) -> None:
    resolved = load([f"budget={budget}"], FILE).resolved_models["draw"]
    plain, paper = CONFIG["models"]["draw"], CONFIG["models"]["draw"]["paper"]
    expected = paper["batch"] if budget == "paper" else plain["batch"]
    assert resolved["training"]["batch"] == expected
    assert (resolved["arguments"]["glimpses"] == paper["glimpses"]) == (budget == "paper")


@pytest.mark.parametrize("budget", BUDGETS)
def test_any_value_may_differ_by_budget(budget: str) -> None:
    config = changed("protocol.canvases", {name: 10 + place for place, name in enumerate(BUDGETS)})
    config["datasets"]["mnist"]["settings"] = {"vae": {"latent": 7, budget: {"latent": 8}}}
    found = check(config | {"budget": budget})
    assert found.protocol.canvases == 10 + BUDGETS.index(budget)
    assert found.model_for("mnist", "vae")["arguments"]["latent"] == 8


# --- which models a table has ------------------------------------------------------------------------------------


def test_lists_may_be_all_or_empty() -> None:
    assert check(changed("dvc_tracked", ["cifar10", "mnist"])).dvc_tracked == ["cifar10", "mnist"]
    assert check(changed("datasets.mnist.published", None)).datasets["mnist"].published is None
    for config in (changed("datasets.mnist.models", "all"), changed("datasets.mnist.models.laptop", "all")):
        assert check(config).models_of("mnist") == list(CONFIG["models"])


# --- one training, sampled in two ways ---------------------------------------------------------------------------


def test_other_samples_of_a_training_have_its_block_and_weights_and_no_judge_of_their_own() -> None:
    config = changed("models.longer", {"reuse_training_of": "gran3", "sample_steps": 5})
    config["datasets"]["mnist"]["models"] = ["gran3", "longer"]
    plan = Plan(check(config))
    other, own = plan.model("longer"), plan.model("gran3")
    assert other["arguments"] == own["arguments"] | {"sample_steps": 5}
    assert (other["class"], other["training"]) == (own["class"], own["training"])
    assert plan.job("sample", "mnist", "longer", 0).parents == (plan.job("train", "mnist", "gran3", 0),)
    with pytest.raises(UserError, match="longer is gran3's training sampled otherwise; train gran3"):
        plan.job("train", "mnist", "longer", 0)
    assert plan.runs("mnist") == [("gran3", 0), ("longer", 0)]
    assert plan.judges("mnist") == ["gran3"]
    reads = plan.job("tables", "mnist").reads
    assert len([path for path in reads if "mnist/train/gran3" in path]) == 4, "the report and the cost, for both rows"
    assert not [path for path in reads if "mnist/train/longer" in path]


def test_a_conditional_model_needs_a_data_set_with_classes() -> None:
    config = changed("models.draw.conditional", True)
    plan = Plan(check(config))
    assert plan.job("train", "mnist", "draw", 0).config["classes"] == 10
    assert plan.job("sample", "mnist", "draw", 0).config["classes"] == 10
    assert "classes" not in plan.job("train", "mnist", "vae", 0).config
    del config["datasets"]["mnist"]["classes"]
    assert "models.draw.conditional: found true, but datasets.mnist has no `classes`" in refusal(config)


# --- a model's block and its class ------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", BUDGETS)
def test_every_block_binds_to_its_class_and_says_every_argument(budget: str) -> None:
    for name, block in plan_of(f"budget={budget}").params.resolved_models.items():
        module = importlib.import_module(f"pipeline.models.{block['class']}")
        signature = inspect.signature(getattr(module, module.__all__[0]))
        bound = signature.bind((1, 28, 28), **block["arguments"])
        assert set(bound.arguments) == set(signature.parameters) - {"classes"}, name


def model_files() -> list[str]:
    """Every file of the folder that holds a model, listed in params.yaml or not."""
    shared = ("adversarial", "base", "blocks", "kinds", "philox")
    return [name for name in params.files_in("models") if name not in shared]


@pytest.mark.parametrize("source", model_files())
def test_the_signature_that_is_read_is_the_real_one(source: str) -> None:
    name = f"pipeline.models.{source}"
    module = importlib.import_module(name)
    real = {
        parameter.name: parameter.default
        for parameter in inspect.signature(getattr(module, module.__all__[0])).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    real = {key: ... if default is inspect.Parameter.empty else default for key, default in real.items()}
    assert {argument: default for argument, _, default in constructor(name)} == real


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class Odd:\n    def __init__(self, shape, *, a: Count = 1): ...", "no __all__"),
        ('__all__ = ["Even"]\nclass Odd: ...', "no __all__"),
        ('__all__ = ["Odd"]\nclass Odd:\n    def __init__(self, shape, *, a: Size = 1): ...', "the annotation Size"),
        ('__all__ = ["Odd"]\nclass Odd:\n    def __init__(self, shape, *, a=1): ...', "the annotation None"),
        ('__all__ = ["Odd"]\nclass Odd:\n    def __init__(self, shape, *, a: Count = N): ...', "the default N"),
        ('__all__ = ["Odd"]\nclass Odd:\n    def __init__(self, shape, *, batch: Count = 1): ...', "another name"),
        ('__all__ = ["Odd"]\nclass Odd:\n    def __init__(self, shape, *, a: Count = 0): ...', "odd.a: found 0"),
        ("class Odd(:", "odd.py:1: "),
    ],
)
def test_a_new_models_file_that_does_not_fit_is_named(
    text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pipeline" / "models"
    folder.mkdir(parents=True)
    (folder / "odd.py").write_text(text + "\n")
    monkeypatch.setattr(job_hash, "ROOT", tmp_path)
    cached = [job_hash.syntax_tree, job_hash.class_chain, job_hash.is_model, params.files_in]
    cached += [constructor, params._model_schema]
    for function in cached:
        function.cache_clear()
    block = {"batch": 1, "data": "grey", "steps": 1}
    with pytest.raises(UserError, match=expected) as caught:
        params.resolve_model("odd", block, {})
    assert "odd" in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    for function in cached:
        function.cache_clear()
