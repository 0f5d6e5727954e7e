"""Live rows: a real training, a real MLflow server that is killed, restarted and stalled: no point lost or doubled."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.commands import ui
from pipeline.core import artifacts
from pipeline.runtime import job_context
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import Progress
from pipeline.stages import track
from pipeline.tables import from_csv
from pipeline.tracking import live, mlflow_runs
from pipeline.tracking.live import LiveHistory
from pipeline.tracking.relay import Relay
from pipeline.workflow import params, store
from pipeline.workflow.plan import Plan
from tests import made_up_mnist
from tests.conftest import BIN, ROOT, stage

pytestmark = pytest.mark.skipif(not find_spec("mlflow"), reason="NOT TESTED: MLflow is not installed")

CONFIG = ("budget=tiny", "models.vae.steps=800", "models.vae.batch=256")
"""A training of some ten seconds, in 200 rows."""


def wait_for(what: Callable[[], Any], words: str, seconds: float = 180.0) -> Any:
    """What a function returns once that is true; a failure that says what never came."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, f"never came: {words}"
        time.sleep(0.1)
    return found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Server:
    """What `make ui` starts, on a free port and over a store of its own."""

    def __init__(self, folder: Path) -> None:
        listed = subprocess.run(["make", "-n", "ui"], cwd=ROOT, capture_output=True, text=True, check=True)
        told = next(line for line in listed.stdout.splitlines() if line.endswith(" ui"))
        self.folder, self.port = folder, free_port()
        self.words = [*shlex.split(told.replace(".venv/bin/", f"{BIN}/")), "--port", str(self.port)]
        self.store = folder / "results" / "mlflow.db"
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.words, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self.answers, f"the server ({self.folder}/server.log)")

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def send(self, number: signal.Signals) -> None:
        """A signal to the server and its workers."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait()

    def points(self) -> list[tuple[str, int, float]]:
        """Every point of every run that is not deleted, read from the file: also while the server is away."""
        query = "select key, step, value from metrics join runs using (run_uuid) where lifecycle_stage = 'active'"
        connection = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=20.0)
        try:
            return list(connection.execute(query))
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mnist_mirror: Path) -> Path:
    """A folder with prepared data."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "params.yaml").write_text(made_up_mnist.params_of((ROOT / "params.yaml").read_text()))
    for name in ("fetch", "prepare"):
        done = stage(folder, name, "--dataset", "mnist", DATA_MIRROR=str(mnist_mirror))
        assert done.returncode == 0, done.stderr
    return folder


def start(folder: Path, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    """`python -m ...` that goes on while the test does."""
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen([sys.executable, "-m", *words], cwd=folder, env=own)


def plan_training(folder: Path) -> None:
    """Write the training's specification, as Snakemake does for the jobs that it plans."""
    with contextlib.chdir(folder):
        job = Plan(params.load(list(CONFIG))).job("train", "mnist", "vae", 0)
        store.write_specification({**job.spec, "budget": "tiny"})


def live_rows(folder: Path) -> int:
    """How many rows the training has told of so far."""
    return max((len(training["rows"]) for training in live.read_all(folder / "results").values()), default=0)


OF_TRAINING = ("history", "training", "cost", "weights", "snapshots")


def track_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> JobContext:
    """The `track` stage's job for the one training, its metrics and figure stood in for."""
    monkeypatch.chdir(folder)
    plan = Plan(params.load(list(CONFIG), folder / "params.yaml"))
    training = plan.job("train", "mnist", "vae", 0)
    metrics, figure = Path("results/metrics/measured/metrics.json"), Path("results/figures/samples.png")
    artifacts.write_json(metrics, {"estimates": {"fd_pixels": {"value": 3.5, "low": 3.0, "high": 4.0}}})
    references = Path("results/references/rrrr/metrics.json")
    artifacts.write_json(references, {"real": {"estimates": {"fd_pixels": {"value": 0.5, "low": None, "high": None}}}})
    artifacts.write_bytes(figure, b"not looked at")
    return JobContext(
        stage="track",
        wildcards={"dataset": "mnist"},
        config={
            "runs": [["vae", 0]],
            "sequential": [],
            "budget": "tiny",
            "shape": [1, 28, 28],
            "models": {"vae": plan.model("vae")},
        },
        modules=(),
        hash="tttt",
        inputs={
            **{name: [Path(training.outputs[name])] for name in OF_TRAINING},
            "metrics": [metrics],
            "canvases": [],
            "drawn": [],
            "references": references,
            "summary": Path(plan.job("prepare", "mnist").outputs["summary"]),
            "samples_figure": figure,
        },
        progress=Progress("track mnist"),
    )


def expected_points(folder: Path) -> dict[tuple[str, int], float]:
    """Every scalar of every row of the history."""
    (history,) = folder.glob("results/store/mnist/train/vae/0/*/history.csv")
    rows = from_csv(history.read_text())
    return {
        (name, int(row["step"] or 0)): float(value)
        for row in rows
        for name, value in row.items()
        if name != "step" and isinstance(value, int | float)
    }


@pytest.fixture(scope="module")
def trained(server: Server, folder: Path) -> Iterator[dict[str, int]]:
    """A training during which the server was killed, restarted and stalled; points in the store at each turn."""
    settings = [word for item in CONFIG for word in ("--set", item)]
    where = {"MLFLOW_TRACKING_URI": server.uri}
    plan_training(folder)
    relay = start(folder, "pipeline.tracking.relay", str(os.getpid()), "1", **where)
    training = start(folder, "pipeline", "train", "--model", "vae", "--seed", "0", "--device", "cpu", *settings)
    try:
        yield trouble(server, folder, training)
    finally:
        for process in (training, relay):
            process.kill()
            process.wait()


def trouble(server: Server, folder: Path, training: subprocess.Popen[bytes]) -> dict[str, int]:
    """Kill, restart and stall the server. The training is held while we wait for others: it must not end before."""

    def go_on_until(what: Callable[[], bool], words: str) -> None:
        training.send_signal(signal.SIGCONT)
        wait_for(lambda: what() or training.poll() is not None, words)
        assert training.poll() is None, f"the training ended before {words}"
        training.send_signal(signal.SIGSTOP)

    def more_rows() -> None:
        told = live_rows(folder)
        go_on_until(lambda: live_rows(folder) > told, "more rows of the training")

    seen = {}
    more_rows()
    wait_for(lambda: len(server.points()) > 0, "the first points")
    server.kill()
    seen["killed"] = len(server.points())
    more_rows()
    server.start()
    wait_for(lambda: len(server.points()) > seen["killed"], "points after the restart")
    server.send(signal.SIGSTOP)
    seen["stalled"] = len(server.points())
    more_rows()
    training.send_signal(signal.SIGCONT)
    seen["exit"] = training.wait()
    time.sleep(3.0)  # longer than a client waits for an answer: requests are given up and repeated
    server.send(signal.SIGCONT)
    wait_for(lambda: len(server.points()) > seen["stalled"], "points after the stall")
    return seen


def test_no_point_is_lost_or_doubled_by_a_server_that_is_killed_restarted_and_stalled(
    trained: dict[str, int], server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained["exit"] == 0 and 0 < trained["killed"] < trained["stalled"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    job = track_job(folder, monkeypatch)
    recorded = []
    for _ in range(2):
        track.run(job)
        recorded.append(artifacts.read_json(job.outputs["tracked"])["runs"]["vae/0"])
    assert recorded[0] and recorded[0] == recorded[1], "the second time adds no run"
    expected = expected_points(folder)
    curves = [point for point in server.points() if point[0] in {name for name, _ in expected}]
    assert len(curves) == len(expected) > trained["stalled"]
    assert {(name, step): value for name, step, value in curves} == expected
    assert not list(folder.glob("results/live/**/*.json")), "what was live is in the store now"


def test_the_run_holds_what_the_training_left_and_its_model_is_the_best(
    trained: dict[str, int], server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.artifacts import list_artifacts

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    job, client = track_job(folder, monkeypatch), MlflowClient(tracking_uri=server.uri)
    track.run(job)
    experiment = client.get_experiment_by_name("mnist")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    runs = client.search_runs([experiment.experiment_id])
    run, reference = sorted(runs, key=lambda run: run.data.tags["model"], reverse=True)
    training = job.inputs["history"][0].parent
    expected = {"model": "vae", "seed": "0", "budget": "tiny", "hash": training.name, "measured": "measured"}
    assert {**expected, "status": "ok"}.items() <= run.data.tags.items()
    assert len(run.data.tags["data_digest"]) >= 8 and run.info.status == "FINISHED"
    metrics = {"fd_pixels": 3.5, "fd_pixels_low": 3.0, "fd_pixels_high": 4.0}
    assert metrics.items() <= run.data.metrics.items() and run.data.metrics["train_seconds"] > 0
    assert run.data.params["batch"] == "256" and run.data.params["class"] == "vae"
    record = store.read(training)
    assert record and run.info.end_time / 1000 == datetime.fromisoformat(record["made"]).timestamp()
    assert run.info.start_time < run.info.end_time and record["seconds"] > 1
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("mnist", run.data.tags["data_digest"][:8])
    folders = (None, "metrics", "figures", "images")
    names = {item.path for place in folders for item in client.list_artifacts(run.info.run_id, place)}
    assert {"history.csv", "metrics/metrics.json", "figures/samples.png"} <= names
    steps = {int(name.split("+step+")[1].split("+")[0]) for name in names if name.startswith("images/samples+")}
    history = from_csv(job.inputs["history"][0].read_text())
    assert steps <= {row["step"] for row in history} and max(steps) == history[-1]["step"]
    assert reference.data.tags["model"] == "real" and reference.data.metrics["fd_pixels"] == 0.5
    best = client.get_model_version_by_alias("mnist", "best")
    (model,) = client.search_logged_models([experiment.experiment_id])
    assert (best.run_id, best.version, best.source) == (run.info.run_id, "1", f"models:/{model.model_id}")
    assert model.name == "vae" and str(model.status) == "READY" and model.params["class"] == "vae"
    assert {metric.key: metric.value for metric in model.metrics}["fd_pixels"] == 3.5
    found = {item.path for item in list_artifacts(f"models:/{model.model_id}", tracking_uri=server.uri)}
    assert {"MLmodel", "code"} <= found


def test_runs_that_a_store_lacks_are_recorded_again_before_it_is_shown(
    trained: dict[str, int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone after `dvc pull`: the results are there, the store is not."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    job, uri = track_job(folder, monkeypatch), f"sqlite:///{folder}/elsewhere/mlflow.db"
    asked: list[list[str]] = []

    def stage(words: list[str], **options: Any) -> None:
        asked.append(words)
        job.write_json(job.outputs["tracked"], {"runs": track.record_all(job, uri)})

    monkeypatch.setattr(ui.subprocess, "run", stage)
    job.write_json(job.outputs["tracked"], {"runs": {"vae/0": "a run of another store"}})
    plan = SimpleNamespace(job=lambda stage, dataset: job)
    for _ in range(2):
        ui.complete(plan, "mnist", uri, ["--set", "budget=tiny"])  # type: ignore[arg-type]
    assert [words[2:] for words in asked] == [["pipeline", "track", "--dataset", "mnist", "--set", "budget=tiny"]]
    recorded = artifacts.read_json(job.outputs["tracked"])["runs"]
    assert recorded.keys() == {"vae/0", "real/0"} and set(recorded.values()) == mlflow_runs.run_ids(uri, "mnist")


def test_a_server_that_is_dead_from_the_start_is_one_line_and_the_next_run_records_all(
    trained: dict[str, int],
    server: Server,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    job = track_job(folder, monkeypatch)
    record = job.outputs["tracked"]
    track.run(job)
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert said.out == "" and "2 of 2 not tracked" in line and "a later run records it" in line
    assert artifacts.read_json(record)["runs"] == {"vae/0": None, "real/0": None}
    assert mlflow_runs.forget_unrecorded() == [record.parent] and not record.exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    track.run(job)
    assert artifacts.read_json(record)["runs"]["vae/0"]
    assert mlflow_runs.forget_unrecorded() == []


# --- who listens ------------------------------------------------------------------------------------------------


def test_make_ui_listens_on_this_machine_alone(server: Server) -> None:
    listening = [
        fields[1].rpartition(":")[0]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for fields in (line.split() for line in Path(table).read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == server.port
    ]
    assert listening and set(listening) == {"0100007F"}, "127.0.0.1 in the kernel's spelling"


# --- the file and the process that reads it ---------------------------------------------------------------------


def job_in(folder: Path) -> JobContext:
    return JobContext(
        stage="train",
        wildcards={"dataset": "mnist", "model": "vae", "seed": 0},
        config={"class": "vae"},
        modules=(),
        hash="a" * 16,
        inputs={},
        progress=Progress("train"),
    )


def test_the_file_is_written_now_and_then_and_once_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clock = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    history, rows = LiveHistory(job_in(tmp_path)), [{"step": 1.0, "loss": float("nan")}]
    history.write(rows, finished=True)
    assert not history.path.exists(), "a training shorter than two seconds writes none"
    clock[0] += 2.0
    history.write(rows)
    rows.append({"step": 2.0, "loss": 1.0})
    history.write(rows)
    seen = json.loads(history.path.read_text())
    assert len(seen["rows"]) == 1 and seen["seconds"] == 2.0
    history.write(rows, finished=True)
    seen = json.loads(history.path.read_text())
    assert seen["rows"][1] == {"step": 2.0, "loss": 1.0}
    assert [path.name for path in history.path.parent.iterdir()] == ["aaaaaaaaaaaaaaaa.json"]


def test_a_file_that_cannot_be_written_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "WRITE_EVERY", 0.0)
    history = LiveHistory(job_in(tmp_path))
    (tmp_path / "results").write_text("a file where a folder should be")
    for step in range(3):
        history.write([{"step": float(k)} for k in range(step + 1)])
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not be written" in line


def test_the_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    code = "import os; from pipeline.tracking import live; live.start(os.getpid())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0

    def relays() -> list[str]:
        folders = (path.parent for path in Path("/proc").glob("[0-9]*/cwd") if os.access(path, os.R_OK))
        return [f.name for f in folders if (f / "cwd").resolve() == tmp_path.resolve()]

    wait_for(lambda: not relays(), "the end of the relay")
    assert (tmp_path / "logs" / "live.log").read_text() == ""


def test_only_new_rows_are_sent_and_all_arrive_after_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "WRITE_EVERY", 0.0)
    arrived: list[int] = []
    fails = [False]

    def add_rows(*, curves: list[tuple[int, dict[str, float]]], **run: Any) -> None:
        if fails[0]:
            raise ConnectionError("nobody there")
        arrived.extend(step for step, _ in curves)

    monkeypatch.setattr(mlflow_runs, "add_rows", add_rows)
    job = job_in(tmp_path)
    config = {"class": "vae", "training": {}, "arguments": {}}
    store.write_specification({"hash": job.hash, "wildcards": job.wildcards, "config": config, "budget": "tiny"})
    history, rows = LiveHistory(job), [{"step": 1.0, "loss": 3.0}]
    history.write(rows)
    (history.path.parent / "damaged.json").write_text("{")
    relay = Relay(Path("results"), shown_after=0.0)
    assert relay.send_new() and arrived == [], "what lay there before belongs to a training that ended"
    fails[0] = True
    for step in (2.0, 3.0):
        rows.append({"step": step, "loss": 2.0})
        history.write(rows)
        assert not relay.send_new()
    assert arrived == [] and capsys.readouterr().err.count("nobody there") == 1
    fails[0] = False
    assert relay.send_new() and relay.send_new()
    assert arrived == [1, 2, 3], "an earlier run may not have sent the first"
    rows.append({"step": 4.0, "loss": 1.0})
    history.write(rows)
    ended: list[bool] = []
    monkeypatch.setattr(mlflow_runs, "end_run", lambda *, is_finished, **run: ended.append(is_finished))
    with job_context.sole_writer(f"{job.name} {job.hash}"):
        relay.end()
    assert arrived == [1, 2, 3, 4] and not ended, "its workflow has ended, the training goes on"
    relay.end()
    history.path.unlink()
    relay.end()
    assert ended == [False], "and once it is recorded its run has ended already"
