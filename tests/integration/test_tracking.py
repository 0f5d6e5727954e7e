"""Tracking, on a real SQLite store: one run for each model and seed, complete, whatever happened on the way."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import artifacts
from pipeline.tracking.mlflow_runs import (
    add_rows,
    attempt,
    create_store,
    end_run,
    forget_unrecorded,
    record_run,
    run_ids,
    tracking_uri,
)

pytestmark = pytest.mark.skipif(not find_spec("mlflow"), reason="NOT TESTED: MLflow is not installed")

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
    import mlflow

    return mlflow.MlflowClient(tracking_uri=uri)


def run_of(uri: str, dataset: str, model: str = "draw", seed: int = 0, hash_: str = "aaaa") -> dict[str, Any]:
    """Arguments of `record_run`; each test has a data set, and so an experiment, of its own."""
    tags = {"dataset": dataset, "model": model, "seed": seed, "budget": "tiny", "hash": hash_}
    return {
        "uri": uri,
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
    expected = {"dataset": "whole", "model": "draw", "seed": "0", "hash": "aaaa", "data_digest": "dddd"}
    assert expected.items() <= recorded.data.tags.items()
    assert list((results / "mlflow-artifacts").rglob("history.csv"))


def test_one_run_for_each_model_and_seed_and_none_twice(uri: str, client: Any) -> None:
    wanted = [("draw", 0), ("draw", 1), ("gran", 0)]
    first, second = ([record_run(**run_of(uri, "twice", *which)) for which in wanted] for _ in range(2))
    assert first == second
    assert {run.info.run_id for run in runs_in(client, "twice")} == set(first)
    assert len(set(first)) == 3
    assert counts(client, first[0], ["loss", "kl", "fd"]) == {"loss": 3, "kl": 3, "fd": 1}


def test_a_run_of_another_hash_or_of_other_metrics_supersedes(uri: str, client: Any) -> None:
    def write(folder: Path) -> None:
        artifacts.write_text(folder / "MLmodel", "flavors: {}\n")

    early = run_of(uri, "changed", hash_="early") | {"model": write, "metrics": {"fd": 2.5, "loss": 9.0, "old": 1.0}}
    late = run_of(uri, "changed", hash_="late") | {"model": write}
    measured = late | {"metrics": {"fd": 1.5, "loss": 8.0}, "tags": late["tags"] | {"measured": "mmmm"}}
    for run in (early, late, measured, early):
        recorded = record_run(**run)
        assert record_run(**run) == recorded
        (shown,) = runs_in(client, "changed")
        (model,) = client.search_logged_models([shown.info.experiment_id])
        assert shown.info.run_id == model.source_run_id == recorded
        assert shown.data.tags["hash"] == run["tags"]["hash"]
        curve_ends = {"loss": 1 / 3, "kl": 3.0}
        assert shown.data.metrics == curve_ends | run["metrics"], "the final value of a curve is its latest"
    add_rows(**{key: early[key] for key in ("uri", "tags", "params", "curves")})
    assert runs_in(client, "changed")[0].data.metrics["fd"] == 2.5, "rows of a recorded training change nothing"


def test_a_recording_that_was_cut_short_is_completed(uri: str, client: Any, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("step,loss\n")
    run = run_of(uri, "cut_short") | {"files": {"": [tmp_path / "history.csv"]}}

    def fails(folder: Path) -> None:
        raise FileNotFoundError("weights: not found")

    run_id, message = attempt(record_run, **run, model=fails)
    assert run_id is None and message and "weights: not found" in message
    completed = record_run(**run)
    assert [run.info.run_id for run in runs_in(client, "cut_short")] == [completed]
    assert counts(client, completed, ["loss", "kl"]) == {"loss": 3, "kl": 3}
    assert client.get_run(completed).data.metrics["fd"] == 2.5


def test_values_that_mlflow_would_refuse(uri: str, client: Any) -> None:
    run = run_of(uri, "awkward")
    run["params"] = {"text": "x" * 7000}
    run["metrics"] = {"fd": 3.0, "absent": None}
    run["curves"] = [(k, {"loss, p(x)": loss}) for k, loss in enumerate((1.0, float("inf"), float("nan")), start=1)]
    recorded = client.get_run(record_run(**run))
    assert recorded.data.params == {"text": "x" * 6000}
    assert set(recorded.data.metrics) == {"fd", "loss_ p_x_"}
    values = [point.value for point in client.get_metric_history(recorded.info.run_id, "loss_ p_x_")]
    assert values[0] == 1.0 and all(value != value for value in values[1:])


# --- what is recorded twice, or otherwise -----------------------------------------------------------------------


def test_rows_that_were_passed_on_live_are_recorded_once(uri: str, client: Any) -> None:
    run = run_of(uri, "live")
    live = {key: run[key] for key in ("uri", "tags", "params")}
    add_rows(**live, curves=run["curves"][:2])
    add_rows(**live, curves=run["curves"][1:2])
    (seen,) = runs_in(client, "live")
    assert seen.info.status == "RUNNING" and seen.data.params["glimpses"] == "20"
    assert counts(client, seen.info.run_id, ["loss", "kl", "fd"]) == {"loss": 2, "kl": 2, "fd": 0}
    assert record_run(**run) == seen.info.run_id
    add_rows(**live, curves=[(9, {"loss": 7.0})])
    assert counts(client, seen.info.run_id, ["loss", "kl", "fd"]) == {"loss": 3, "kl": 3, "fd": 1}, "it was complete"


@pytest.mark.parametrize(("is_finished", "status"), [(True, "FINISHED"), (False, "KILLED")])
def test_a_training_that_ends_unrecorded_is_no_longer_running_until_it_goes_on(
    uri: str, client: Any, is_finished: bool, status: str
) -> None:
    run = run_of(uri, f"ended_{status.lower()}")
    live = {key: run[key] for key in ("uri", "tags", "params")}

    def seen() -> tuple[str, str]:
        (found,) = runs_in(client, run["tags"]["dataset"])
        return found.info.run_id, found.info.status

    add_rows(**live, curves=run["curves"][:1])
    run_id, _ = seen()
    end_run(uri=uri, tags=run["tags"], is_finished=is_finished)
    assert seen() == (run_id, status)
    add_rows(**live, curves=run["curves"][:2])
    assert seen() == (run_id, "RUNNING")
    assert record_run(**run) == run_id and seen() == (run_id, "FINISHED")
    end_run(uri=uri, tags=run["tags"], is_finished=False)
    assert seen() == (run_id, "FINISHED")


def test_a_copied_project_records_beside_its_own_database(uri: str, client: Any, results: Path, tmp_path: Path) -> None:
    run_id = record_run(**run_of(uri, "it"))
    here = f"sqlite:///{shutil.copytree(results, tmp_path / 'second %20')}/mlflow.db"
    assert run_ids(uri, "it") == {run_id} and run_ids(here, "it") == set(), "in the copy it is to be recorded again"
    import mlflow

    again = record_run(**run_of(here, "it"))
    assert run_ids(here, "it") == {again}
    copy = mlflow.MlflowClient(here).get_run(again)
    assert copy.info.artifact_uri.startswith((tmp_path / "second %20" / "mlflow-artifacts" / "it").as_uri())
    assert run_ids(uri, "it") == {run_id}, "the original is left alone"


def test_points_of_another_training_of_the_same_hash_do_not_stay(uri: str, client: Any) -> None:
    """A GPU that is not deterministic: the training was killed and repeated with other numbers."""
    run = run_of(uri, "repeated")
    live = {key: run[key] for key in ("uri", "tags", "params")}
    add_rows(**live, curves=[(1, {"loss": 123.0, "kl": 1.0})])
    run_id = record_run(**run)
    assert [run.info.run_id for run in runs_in(client, "repeated")] == [run_id]
    losses = sorted((point.step, point.value) for point in client.get_metric_history(run_id, "loss"))
    assert losses == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_a_job_with_a_run_missing_is_forgotten_so_that_its_stage_runs_again(tmp_path: Path) -> None:
    for name, runs in {"whole": {"vae/0": "abc"}, "part": {"vae/0": "abc", "draw/0": None}}.items():
        folder = tmp_path / "store/mnist/track" / name
        artifacts.write_json(folder / "tracked.json", {"store": "somewhere", "runs": runs})
        artifacts.write_json(folder / "job.json", {})
    artifacts.write_text(tmp_path / "store/mnist/track/damaged/tracked.json", "{")
    assert forget_unrecorded(tmp_path) == [tmp_path / "store/mnist/track/part"]
    assert sorted(path.name for path in (tmp_path / "store/mnist/track").iterdir()) == ["damaged", "whole"]
    assert forget_unrecorded(tmp_path) == []


# --- many at once -----------------------------------------------------------------------------------------------

WRITERS = 4


def record_one(uri: str, writer: int, start: Any) -> None:
    start.wait()
    run_id, message = attempt(record_run, **run_of(uri, "together", model=f"model{writer}"))
    if run_id is None:
        raise SystemExit(message)


def hold(database: Path, seconds: float, held: threading.Event) -> None:
    """What another program may do: keep the whole file to itself for a while, again and again."""
    connection = sqlite3.connect(database, timeout=30.0, isolation_level=None)
    for _ in range(4):
        connection.execute("BEGIN EXCLUSIVE")
        held.set()
        time.sleep(seconds)
        connection.execute("COMMIT")
        time.sleep(0.05)
    connection.close()


@pytest.mark.workflow
def test_several_writers_at_once_into_an_empty_folder_while_another_program_locks_the_file(tmp_path: Path) -> None:
    import mlflow  # before the writers are forked

    shared = f"sqlite:///{tmp_path / 'results' / 'mlflow.db'}"
    context = multiprocessing.get_context("fork")
    start = context.Barrier(WRITERS + 1)
    writers = [context.Process(target=record_one, args=(shared, k, start)) for k in range(WRITERS)]
    for writer in writers:
        writer.start()
    start.wait()
    while not (tmp_path / "results" / "mlflow.db").exists():
        assert any(writer.is_alive() for writer in writers)
        time.sleep(0.01)
    held = threading.Event()
    locker = threading.Thread(target=hold, args=(tmp_path / "results" / "mlflow.db", 0.5, held))
    locker.start()
    for process in (*writers, locker):
        process.join()
    assert held.is_set() and [writer.exitcode for writer in writers] == [0] * WRITERS
    client = mlflow.MlflowClient(tracking_uri=shared)
    runs = runs_in(client, "together")
    assert sorted(run.data.tags["model"] for run in runs) == [f"model{k}" for k in range(WRITERS)]
    for run in runs:
        assert run.data.tags["recorded"]
        assert counts(client, run.info.run_id, ["loss", "kl", "fd"]) == {"loss": 3, "kl": 3, "fd": 1}
