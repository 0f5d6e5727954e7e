"""`python -m pipeline tune`: what is searched, that trials are fair and exact, and that the test split stays shut."""

from __future__ import annotations

import copy
import math
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from pipeline import cli as cli
from pipeline.core import artifacts
from pipeline.features.classifier import DomainClassifier, extract
from pipeline.metrics.frechet import frechet_distance
from pipeline.workflow import garbage, layout, overrides, params, search, snapshots
from pipeline.workflow.plan import Plan
from pipeline.workflow.search import Choice, Search, Span
from tests import made_up_mnist
from tests.conftest import ROOT, plan_of
from tests.fork_server import At, ForkServer
from tests.small_models import ONE_OF_EACH_CLASS

CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
MODEL, TRIALS, STEPS = "vae", 3, 12
WORDS = ["tune", "--model", MODEL, "--steps", str(STEPS), "--device", "cpu", "--set", "budget=tiny"]


def asked(model: str, *over: str, budget: str = "laptop", steps: int | None = None) -> Search:
    return Search.of(plan_of(f"budget={budget}"), "mnist", model, steps, over)


# --- what may vary --------------------------------------------------------------------------------------------------


def test_the_space_follows_from_the_kinds_of_the_arguments() -> None:
    space = asked("draw_gan").space
    assert set(space) == {"gamma", "warmup", "lead", "dropout", "learning_rate", "discriminator_rate", "clip_norm"}
    rate, dropout, warmup = (space[key] for key in ("learning_rate", "dropout", "warmup"))
    assert isinstance(rate, Span) and isinstance(dropout, Span) and isinstance(warmup, Span)
    assert (rate.low, rate.high, rate.scale) == (0.002 / 4, 0.002 * 4, "log")
    assert [end / (1 - end) for end in (dropout.low, dropout.high)] == pytest.approx([0.25 / 4, 0.25 * 4])
    assert (warmup.low, warmup.high) == (2500 / 4, 4000), "no longer than the training"
    kinds = {"clip": "Weight", "beta": "Fraction", "hidden": "Count", "bias": "Number", "deep": "bool"}
    arguments = {"clip": 0.0, "beta": 1.0, "hidden": 40, "bias": -2.0, "deep": True}
    assert search.space_of(kinds, arguments, 100) == {}, "what is switched off, and what a model is, stays"


@pytest.mark.parametrize("model", ONE_OF_EACH_CLASS)
def test_every_model_can_be_searched(model: str) -> None:
    """Each has a rate at least; every drawn value lies in its span, and its kind takes it."""
    found = asked(model)
    assert any("rate" in key for key in found.space)
    for trial in found.trials(4, seed=1):
        for key, value in trial.values.items():
            span = found.space[key]
            assert isinstance(span, Span) and span.low * 0.995 <= value <= span.high * 1.005
        assert trial.jobs[0].config["training"]["steps"] == found.steps


@pytest.mark.parametrize(("scale", "low", "high"), [("log", 1e-4, 1e-2), ("odds", 0.05, 0.999), ("linear", -3.0, 1.0)])
def test_a_span_is_even_on_its_scale(scale: search.Scale, low: float, high: float) -> None:
    forward = {"log": np.log, "odds": lambda x: np.log(x / (1 - x)), "linear": lambda x: x}[scale]
    span = Span(low, high, scale)
    values = np.array([span.at(share) for share in np.linspace(0, 1, 41)])
    steps = np.diff(forward(values))
    assert values[0] == pytest.approx(low) and values[-1] == pytest.approx(high)
    assert steps == pytest.approx(np.full(40, steps.mean()), rel=0.25), "three digits"
    whole = Span(16, 256, "log", whole=True)
    assert [whole.at(share) for share in (0.0, 0.5, 1.0)] == [16, 64, 256]
    assert type(whole.at(0.3)) is int


def test_the_same_seed_gives_the_same_trials_and_more_trials_begin_with_the_same() -> None:
    found = asked("dcgan")
    few, many, others = found.trials(3, seed=5), found.trials(6, seed=5), found.trials(3, seed=6)
    assert few == many[:3]
    assert [trial.values for trial in few[1:]] != [trial.values for trial in others[1:]]
    assert len({trial.jobs[0].folder for trial in many}) == 6


def test_draws_fill_the_space_evenly() -> None:
    drawn = search.draws({"a": Span(1.0, 100.0, "log"), "b": Choice((1, 2))}, {"a": 1.0, "b": 1}, 401, seed=0)[1:]
    logs = np.log([values["a"] for values in drawn]) / math.log(100)
    distance = np.abs(np.sort(logs) - (np.arange(400) + 0.5) / 400).max()
    assert distance < 1.63 / 400**0.5, "Kolmogorov-Smirnov at 1 %"
    assert abs(np.mean([values["b"] == 1 for values in drawn]) - 0.5) < 2.6 * 0.5 / 400**0.5


def test_no_setting_is_tried_twice_and_a_small_space_ends() -> None:
    found = asked("vae", "learning_rate=0.001,0.002", "likelihood=bernoulli,gaussian")
    values = [tuple(trial.values.values()) for trial in found.trials(12, seed=0)]
    assert sorted(values) == [(r, kind) for r in (0.001, 0.002) for kind in ("bernoulli", "gaussian")]
    assert values[0] == (0.001, "bernoulli")


def test_a_key_that_is_asked_for_is_searched_alone_and_means_what_params_yaml_means() -> None:
    space = asked("vae", "hidden=100,[400],[512,256]", "latent=5..40", "batch=50,100", "lr_decay_fraction=0..0.5").space
    assert space["hidden"] == Choice(([100], [400], [512, 256]))
    assert space["latent"] == Span(5, 40, "log", whole=True)
    assert space["batch"] == Choice((50, 100))
    assert space["lr_decay_fraction"] == Span(0.0, 0.5, "linear")
    assert list(space) == ["hidden", "latent", "batch", "lr_decay_fraction"]


# --- trials ---------------------------------------------------------------------------------------------------------


def test_the_first_trial_is_the_block_as_it_stands_but_short() -> None:
    found, whole = asked("draw_gan"), plan_of("budget=laptop").job("train", "mnist", "draw_gan", 0).config
    first = found.trials(1, seed=0)[0]
    block = first.jobs[0].config
    assert not first.changed
    assert found.steps == 400 and block["training"] == whole["training"] | {"steps": 400}
    assert block["arguments"] == whole["arguments"] | {"warmup": 250}, "a schedule is shortened with the training"
    assert [block[key] == whole[key] for key in ("dataset", "model", "seed", "class")] == [True] * 4


@pytest.mark.parametrize("model", ["vae", "draw_gan", "gran3"])
def test_no_job_of_a_trial_reads_the_test_split(model: str) -> None:
    for trial in asked(model).trials(2, seed=0):
        reads = {Path(path).name for job in trial.jobs for path in job.reads}
        assert "test.arrow" not in reads and "valid.arrow" in reads
        assert trial.jobs[2].hash != plan_of("budget=laptop").job("evaluate", "mnist", model, 0).hash


@pytest.mark.parametrize("budget", ["laptop", "paper"])
@pytest.mark.parametrize("model", ONE_OF_EACH_CLASS)
def test_the_block_it_ends_with_says_what_the_trial_had(model: str, budget: str) -> None:
    """Pasted into params.yaml as it is printed, it resolves to the trial's values at the trial's budget."""
    from pipeline.commands.tune import as_yaml

    found = asked(model, budget=budget)
    trial = found.trials(2, seed=3)[1]
    assert trial.changed
    pasted = yaml.safe_load(as_yaml(found.block_with(trial.changed)))["models"]
    assert list(pasted) == [model]
    config = copy.deepcopy(CONFIG) | {"budget": budget}
    block = config["models"][model]
    for key, value in pasted[model].items():
        block[key] = {**block.get(key, {}), **value} if isinstance(value, dict) else value
    resolved = params.check(config).resolved_models[model]
    assert {**resolved["arguments"], **resolved["training"]} == found.present | dict(trial.changed)


def test_the_block_goes_where_nothing_overrides_it() -> None:
    """A data set's own settings override `models:`; a share of the trainings counts once."""
    own = "datasets.mnist.settings.vae.learning_rate=0.001"
    found = Search.of(plan_of("budget=laptop", own, "training_share=0.5"), "mnist", "vae", 20)
    trial = found.trials(2, seed=3)[1]
    assert trial.jobs[0].config["training"]["steps"] == 20 and "learning_rate" in trial.changed
    config = params.merged([own, "budget=laptop"], ROOT / "params.yaml")
    params.merge_into(config, found.block_with(trial.changed))
    block = params.check(config).model_for("mnist", "vae")
    assert {key: (block["training"] | block["arguments"])[key] for key in trial.changed} == trial.changed


# --- a search, for real ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shut(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tree without its test split; what the classifier kept of it is not a number."""
    folder = tmp_path_factory.mktemp("shut") / "tree"
    subprocess.run(["cp", "-a", str(tiny), str(folder)], check=True)
    (path,) = (folder / "data/prepared/mnist").glob("*/test.arrow")
    path.unlink()
    forget(path.parent, path.name)
    (features,) = (folder / "results/store/mnist/classifier").glob("*/features.safetensors")
    tensors = artifacts.read_tensors(features)
    artifacts.write_tensors(features, tensors | {"test": torch.full_like(tensors["test"], torch.nan)})
    forget(features.parent, features.name, features)
    return folder


def forget(folder: Path, name: str, now: Path | None = None) -> None:
    """Make a record speak of a file as it is now, or not at all."""
    record = artifacts.read_json(folder / layout.RECORD)
    del record["files"][name]
    if now is not None:
        record["files"][name] = {"bytes": now.stat().st_size, "sha256": artifacts.sha256(now)}
    artifacts.write_json(folder / layout.RECORD, record)


def planned_tiny() -> Plan:
    """Of the small MNIST's params.yaml, as in the shared tree."""
    config = yaml.safe_load(made_up_mnist.params_of((ROOT / "params.yaml").read_text()))
    return Plan(params.check(config | {"budget": "tiny"}))


def copy_of(folder: Path, to: Path) -> Path:
    subprocess.run(["cp", "-a", str(folder), str(to)], check=True)
    return to


def said(folder: Path) -> str:
    text = (folder / "stderr").read_text()
    assert "Traceback" not in text
    return text


@pytest.fixture(scope="module")
def searched(shut: Path, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which one search was done, and nobody disturbed it."""
    folder = copy_of(shut, tmp_path_factory.mktemp("searched") / "tree")
    assert fork_server.run(folder, *WORDS, "--trials", str(TRIALS)) == 0, said(folder)
    return folder


def trials() -> list[search.Trial]:
    return Search.of(planned_tiny(), "mnist", MODEL, STEPS, ()).trials(TRIALS, seed=0)


def made(folder: Path) -> dict[str, bytes]:
    """Weights, samples and estimates of every trial."""
    names = (("weights", "history"), ("images",), ("metrics",))
    paths = [job.outputs[name] for trial in trials() for job, of in zip(trial.jobs, names, strict=True) for name in of]
    return {path: (folder / path).read_bytes() for path in paths}


def test_a_search_says_what_it_tries_and_ends_with_the_best_block(searched: Path) -> None:
    text = said(searched)
    assert f"vae on mnist: {TRIALS} trials of {STEPS} steps (40 at this budget)" in text
    assert "to do: about " in text and "trial 1 of 3: the current settings: fd_classifier " in text
    rows = (searched / layout.TUNING.format(dataset="mnist", model=MODEL) / "trials.csv").read_text().splitlines()
    cells = [dict(zip(rows[0].split(","), row.split(","), strict=True)) for row in rows[1:]]
    assert [row["trial"] for row in cells] == ["1", "2", "3"]
    assert {row["status"] for row in cells} <= {"ok", "collapsed"}
    best = min(cells, key=lambda row: float(row["fd_classifier"]))
    block = yaml.safe_load((searched / layout.TUNING.format(dataset="mnist", model=MODEL) / "best.yaml").read_text())
    values = {"learning_rate": float(best["learning_rate"])}
    changed = {} if best["trial"] == "1" else {MODEL: {"tiny": values}}
    assert block["models"] == changed
    assert f"best of 3: trial {best['trial']}, fd_classifier" in text


def test_the_score_is_the_distance_to_the_validation_split(searched: Path) -> None:
    """Worked out again from the trial's samples and the split's images; the test split was not there."""
    valid, _ = artifacts.read_images(searched / planned_tiny().job("prepare", "mnist").outputs["valid"])
    weights = searched / planned_tiny().job("classifier", "mnist").outputs["classifier"]
    classes, *shape = map(int, artifacts.read_metadata(weights)["classes_and_shape"].split())
    classifier = DomainClassifier((shape[0], shape[1], shape[2]), classes)
    classifier.load_state_dict(artifacts.read_tensors(weights))
    chosen = torch.randperm(len(valid), generator=torch.Generator().manual_seed(2026))[:200].sort().values
    real, _ = extract(classifier, torch.from_numpy(valid.copy())[chosen])
    for trial in trials():
        images, _ = artifacts.read_images(searched / trial.jobs[1].outputs["images"])
        fake, _ = extract(classifier, torch.from_numpy(images.copy()))
        estimates = artifacts.read_json(searched / trial.jobs[2].outputs["metrics"])["estimates"]
        assert estimates["fd_classifier"]["value"] == pytest.approx(frechet_distance(real=real, fake=fake), rel=1e-4)
        assert estimates["elbo"]["value"] < 0


def test_a_search_leaves_the_workflows_own_results_alone(searched: Path, shut: Path) -> None:
    def results(folder: Path) -> dict[str, bytes]:
        paths = (path for top in ("data", "results") for path in (folder / top).rglob("*") if path.is_file())
        named = {path.relative_to(folder).as_posix(): path for path in paths}
        return {name: path.read_bytes() for name, path in named.items()}

    before, after = results(shut), results(searched)
    assert before.items() <= after.items()
    own = {str(job.folder) for trial in trials() for job in trial.jobs}
    tuning = layout.TUNING.format(dataset="mnist", model=MODEL)
    added = {name for name in after.keys() - before.keys() if "/.locks/" not in name and "/live/" not in name}
    assert {str(Path(name).parent) for name in added} == own | {tuning}
    records = snapshots.read(str(searched), "mnist").records
    assert records and records == snapshots.read(str(shut), "mnist").records, "`compare` sees no trial"


@pytest.mark.parametrize(
    ("at", "code", "word"),
    [
        (At(step=7, signal=signal.SIGTERM), 128 + signal.SIGTERM, "resumed at step 7 of 12"),
        (At(call="pipeline.stages.sample:run"), -signal.SIGKILL, ""),
    ],
    ids=["asked to end in a training", "killed outright after a sampling"],
)
def test_a_search_that_is_stopped_goes_on_where_it_was(
    at: At, code: int, word: str, searched: Path, shut: Path, fork_server: ForkServer, tmp_path: Path
) -> None:
    folder = copy_of(shut, tmp_path / "tree")
    assert fork_server.run(folder, *WORDS, "--trials", "1") == 0, said(folder)
    first = folder / trials()[0].jobs[0].outputs["weights"]
    before = first.stat()
    more = [*WORDS, "--trials", str(TRIALS)]
    assert fork_server.run(folder, *more, at=at) == code
    assert "the current settings" in said(folder) and "from an earlier search" in said(folder)
    assert code < 0 or "easel: tune: stopped at step 7 of 12; run the same command to go on" in said(folder)
    assert fork_server.run(folder, *more) == 0, said(folder)
    assert word in said(folder)
    assert made(folder) == made(searched), "bit for bit"
    assert (first.stat().st_mtime_ns, first.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_diverged_and_refused_settings_are_trials_too(shut: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    folder = copy_of(shut, tmp_path / "tree")
    words = ["--trials", "2", "--over", "learning_rate=0.001,1.0e+30"]
    assert fork_server.run(folder, *WORDS, *words) == 0, said(folder)
    assert "trial 2 of 2: learning_rate 1e+30: fd_classifier" in said(folder) and "(diverged)" in said(folder)
    assert "best of 2: trial 1" in said(folder) and "nothing to change" in said(folder)
    draw = ["tune", "--model", "draw", "--set", "budget=tiny", "--set", "models.draw.hidden=8", "--device", "cpu"]
    assert fork_server.run(folder, *draw, "--trials", "2", "--over", "read_size=1,5") == 0, said(folder)
    assert "trial 2 of 2: read_size 1: a window needs at least 2 x 2 filters" in said(folder)
    assert "(refused)" in said(folder)


def test_prune_keeps_the_latest_trials(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_of(searched, tmp_path / "tree")
    monkeypatch.chdir(folder)

    def found() -> set[Path]:
        return {item.path for item in garbage.find(overrides.plan(["budget=tiny"])) if item.kind == "earlier results"}

    own = {job.folder for trial in trials() for job in trial.jobs}
    assert not found() & own
    (folder / layout.TUNING.format(dataset="mnist", model=MODEL) / "trials.json").unlink()
    assert own <= found()
