"""Tracking, on a real SQLite store: one run for each model and seed, complete, whatever happened on the way."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.infra.errors import Interrupted
from pipeline.infra.tracking import ENVIRONMENT, create_store, record_run, record_run_safely, tracking_uri

mlflow = pytest.importorskip("mlflow", reason="NOT TESTED: MLflow is not installed")

STEPS = 1200
"""Two curves of this length need three calls of log_batch."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder that is not there yet."""
    return tmp_path_factory.mktemp("tracking") / "results"


@pytest.fixture(scope="module")
def uri(results: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        uri = tracking_uri(results)
    create_store(uri)
    create_store(uri)
    yield uri


@pytest.fixture(scope="module")
def client(uri: str) -> Any:
    return mlflow.MlflowClient(tracking_uri=uri)


def run_of(uri: str, dataset: str, model: str = "draw", seed: int = 0, identity: str = "aaaa") -> dict[str, Any]:
    """Arguments of `record_run`; each test has a data set, and so an experiment, of its own."""
    tags = {"dataset": dataset, "model": model, "seed": seed, "budget": "tiny", "identity": identity}
    return {
        "uri": uri,
        "experiment": dataset,
        "tags": tags | {"data_digest": "dddd"},
        "params": {"glimpses": 20, "learning_rate": 1e-3},
        "curves": [(step, {"loss": 1.0 / step, "kl": float(step)}) for step in range(1, 4)],
        "metrics": {"fd": 2.5},
    }


def runs_in(client: Any, dataset: str) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name(dataset).experiment_id]))


def counts(client: Any, run_id: str, names: list[str]) -> dict[str, int]:
    return {name: len(client.get_metric_history(run_id, name)) for name in names}


def test_the_store_lies_in_the_results_folder(uri: str, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert uri == f"sqlite:///{results}/mlflow.db"
    assert (results / "mlflow.db").is_file()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert tracking_uri(results) == "http://somewhere:5000"


def test_a_run_is_recorded_whole(uri: str, client: Any, results: Path, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("step,loss\n")
    curves = [(step, {"loss": 1.0 / step, "kl": step - 600.0}) for step in range(1, STEPS + 1)]
    run = run_of(uri, "whole") | {"curves": iter(curves), "files": {"": [tmp_path / "history.csv"]}}
    run_id = record_run(**run)
    for name in ("loss", "kl"):
        history = sorted((point.step, point.value) for point in client.get_metric_history(run_id, name))
        assert history == [(step, scalars[name]) for step, scalars in curves]
    recorded = client.get_run(run_id)
    assert recorded.data.metrics["fd"] == 2.5
    assert recorded.data.params == {"glimpses": "20", "learning_rate": "0.001"}
    assert recorded.info.status == "FINISHED"
    expected = {"dataset": "whole", "model": "draw", "seed": "0", "identity": "aaaa", "data_digest": "dddd"}
    assert expected.items() <= recorded.data.tags.items()
    assert list((results / "mlflow-artifacts").rglob("history.csv"))


def test_one_run_for_each_model_and_seed_and_none_twice(uri: str, client: Any) -> None:
    wanted = [("draw", 0), ("draw", 1), ("gran", 0)]
    first, second = ([record_run(**run_of(uri, "twice", *which)) for which in wanted] for _ in range(2))
    assert first == second
    assert {run.info.run_id for run in runs_in(client, "twice")} == set(first)
    assert len(set(first)) == 3
    assert counts(client, first[0], ["loss", "kl", "fd"]) == {"loss": 3, "kl": 3, "fd": 1}


def test_a_changed_identity_supersedes_and_an_earlier_one_is_found_again(uri: str, client: Any) -> None:
    def superseded() -> dict[str, str]:
        return {run.data.tags["identity"]: run.data.tags["superseded"] for run in runs_in(client, "changed")}

    early = record_run(**run_of(uri, "changed", identity="early"))
    record_run(**run_of(uri, "changed", identity="late"))
    assert superseded() == {"early": "true", "late": "false"}
    assert record_run(**run_of(uri, "changed", identity="early")) == early
    assert superseded() == {"early": "false", "late": "true"}


def test_a_recording_that_was_cut_short_is_completed(uri: str, client: Any, tmp_path: Path) -> None:
    run = run_of(uri, "cut_short") | {"files": {"": [tmp_path / "history.csv"]}}
    run_id, message = record_run_safely(**run)
    assert run_id is None and "history.csv: not found" in message
    (tmp_path / "history.csv").write_text("step,loss\n")
    completed = record_run(**run)
    assert [run.info.run_id for run in runs_in(client, "cut_short")] == [completed]
    assert counts(client, completed, ["loss", "kl", "fd"]) == {"loss": 3, "kl": 3, "fd": 1}


def test_values_that_mlflow_would_refuse(uri: str, client: Any) -> None:
    run = run_of(uri, "awkward")
    run["params"] = {"prompt (text)": "x" * 7000} | {f"p{k}": k for k in range(150)}
    run["metrics"] = {"fd @ 64, 1/n": 3.0, "absent": None, "//a/../b": 1.0}
    run["curves"] = [(1, {"loss": 1.0}), (2, {"loss": float("inf")}), (3, {"loss": float("nan")})]
    recorded = client.get_run(record_run(**run))
    text = recorded.data.params["prompt _text_"]
    assert len(text) == 6000 and text.startswith("xxx") and text.endswith("(cut)")
    assert len(recorded.data.params) == 151
    assert {name: recorded.data.metrics[name] for name in ("fd _ 64_ 1/n", "a/b")} == {"fd _ 64_ 1/n": 3.0, "a/b": 1.0}
    assert "absent" not in recorded.data.metrics
    values = [point.value for point in client.get_metric_history(recorded.info.run_id, "loss")]
    assert values[0] == 1.0 and all(value != value for value in values[1:])


def test_what_cannot_be_recorded_is_said(uri: str) -> None:
    run = run_of(uri, "refused")
    with pytest.raises(ValueError, match="needs the tags budget, identity"):
        record_run(**(run | {"tags": {"dataset": "refused", "model": "draw", "seed": 0}}))
    with pytest.raises(ValueError, match="same name in MLflow: a_b"):
        record_run(**(run | {"metrics": {"a@b": 1.0, "a#b": 2.0}}))


def test_a_dead_server_is_a_message(uri: str) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        dead = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        run_id, message = record_run_safely(**(run_of(uri, "dead") | {"uri": dead}))
    assert run_id is None
    assert message.startswith("not tracked") and dead in message and "\n" not in message
    assert set(ENVIRONMENT) <= set(os.environ)


def test_a_sigterm_is_not_swallowed(uri: str) -> None:
    def terminated() -> Iterator[tuple[int, dict[str, float]]]:
        raise Interrupted("SIGTERM")
        yield

    with pytest.raises(Interrupted):
        record_run_safely(**(run_of(uri, "terminated") | {"curves": terminated()}))


def record_two(uri: str, writer: int) -> None:
    for seed in range(2):
        record_run(**run_of(uri, "together", model=f"model{writer}", seed=seed))


def test_four_writers_at_once_lose_nothing(uri: str, results: Path, tmp_path: Path) -> None:
    # A copy of the created store: the writers are forked, and must not inherit connections of this process.
    shutil.copy(results / "mlflow.db", tmp_path / "mlflow.db")
    shared = f"sqlite:///{tmp_path / 'mlflow.db'}"
    writers = [multiprocessing.get_context("fork").Process(target=record_two, args=(shared, k)) for k in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    client = mlflow.MlflowClient(tracking_uri=shared)
    runs = runs_in(client, "together")
    assert {(run.data.tags["model"], run.data.tags["seed"]) for run in runs} == {
        (f"model{k}", str(seed)) for k in range(4) for seed in range(2)
    }
    assert len(runs) == 8 and all(run.data.tags["recorded"] for run in runs)
    for run in runs:
        assert counts(client, run.info.run_id, ["loss", "kl", "fd"]) == {"loss": 3, "kl": 3, "fd": 1}
