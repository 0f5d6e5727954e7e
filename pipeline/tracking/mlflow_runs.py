"""Runs in MLflow: a side effect that never decides anything and never makes a stage fail.

A stage writes its own history; this module passes it on, while it grows (`pass_on`) and at the end (`record_run`).
Experiment = data set, run = one training, found by its tags and never by the clock. Everything here may be repeated:
a point's time stamp is the run's start plus its step, so a point that is logged twice is the same point, which the
store keeps once; a run that was cut short is completed; a request that a stalled server carried out twice leaves
two runs, of which the second is deleted. The store is a SQLite file unless MLFLOW_TRACKING_URI names a server; it is
created under a lock, since writers that open an empty one together race for its migration.
MLflow is imported inside the functions: it takes four seconds, and a node that trains need not have it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipeline.core.errors import Interrupted

__all__ = [
    "create_store",
    "forget_unrecorded",
    "open_store_safely",
    "pass_on",
    "record_run",
    "record_run_safely",
    "run_params",
    "tracking_uri",
]

ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before MLflow is imported, where the user has not: a dead server costs seconds (MLflow's own: minutes)."""

PATIENCE = {"file": 90.0, "server": 10.0}
"""Seconds for which a store that is locked, slow or gone is tried again. Another program may hold a SQLite file for a
while and will let go; a server that is gone may stay so, and what it missed is replayed by a later run.
"""

LOCK_SECONDS = 60.0
METRICS_A_CALL, PARAMS_A_CALL = 1000, 100
"""MLflow's limits of one `log_batch`."""
PARAM_LENGTH, TAG_LENGTH = 6000, 5000
"""MLflow's limits of one value, in characters."""
CUT = " ... (cut)"

SAME_RUN = ("dataset", "model", "seed", "budget")
"""Tags that say which run this is; `hash`, the training's, says which version of it."""

RECORDED = "recorded"
"""The tag that says that a run is complete: the digest of all that was recorded."""

Curves = Iterable[tuple[int, Mapping[str, float]]]
Files = Mapping[str, Sequence[Path]]


class OtherPoints(Exception):
    """A run holds points that are not in the history: of another training of this hash (a GPU's, say)."""


def tracking_uri(results: Path) -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def run_params(block: Mapping[str, Any]) -> dict[str, Any]:
    """What a run shows of a model's resolved block: its class, the loop's settings, its own arguments."""
    return {"class": block["class"], **block["training"], **block["arguments"]}


def create_store(uri: str) -> None:
    """Create a SQLite store, if it is not there, and migrate it; a server is asked whether it answers.

    Raises MLflow's or SQLAlchemy's error where it is not to be had.
    """
    _client(uri).search_experiments(max_results=1)


def record_run(
    *,
    uri: str,
    experiment: str,
    tags: Mapping[str, object],
    params: Mapping[str, object],
    curves: Curves,
    metrics: Mapping[str, float | None],
    files: Files | None = None,
    model: Callable[[Path], object] | None = None,
) -> str:
    """Record one training and return its run id, the same for the same tags.

    `tags` hold at least dataset, model, seed, budget and hash. `curves` are rows (step, named scalars);
    `metrics` are logged at the last step, those that are None left out; `files` become artifacts, by
    folder ('' for none). `model` writes a
    folder in MLflow's form, which becomes the artifact `model` unless the tag `weights` says that it is there.
    What is there already is left as it is, changed metrics become the latest. Other versions of the run get
    the tag superseded=true.
    Raises ValueError for missing tags or two metrics of one legal name, FileNotFoundError, and MLflow's errors.
    """
    rows = [(step, dict(scalars)) for step, scalars in curves]
    final = {name: value for name, value in metrics.items() if value is not None}
    legal = _legal_names(chain(final, *(scalars for _, scalars in rows)))
    rows = [(step, {legal[name]: value for name, value in scalars.items()}) for step, scalars in rows]
    files = files or {}
    content = _digest(tags, params, rows, final, files)
    client = _client(uri)
    run = _open_run(client, uri, experiment, tags)
    if run.data.tags.get(RECORDED) == content:
        return str(run.info.run_id)
    try:
        _log_curves(client, run, rows)
    except OtherPoints:
        client.delete_run(run.info.run_id)
        run = _open_run(client, uri, experiment, tags)
        _log_curves(client, run, rows)
    _log_params(client, run, params)
    last = max((step for step, _ in rows), default=0)
    _log_final(
        client, run, last, {legal[name]: value for name, value in final.items()}, {n for _, r in rows for n in r}
    )
    _log_files(client, run, files, model if run.data.tags.get("weights") != tags.get("weights", "") else None)
    _close_run(client, run, {**tags, RECORDED: content})
    _find_run(client, run.info.experiment_id, tags)
    return str(run.info.run_id)


def pass_on(
    *, uri: str, experiment: str, tags: Mapping[str, object], params: Mapping[str, object], curves: Curves
) -> None:
    """Add some rows of a training that goes on to its run, which is made if it is not there.

    A run that is recorded already is left as it is. Raises what `record_run` raises.
    """
    rows = [(step, dict(scalars)) for step, scalars in curves]
    legal = _legal_names(chain.from_iterable(scalars for _, scalars in rows))
    client = _client(uri)
    run = _open_run(client, uri, experiment, tags)
    if RECORDED not in run.data.tags:
        points = _points(run, [(step, {legal[name]: v for name, v in scalars.items()}) for step, scalars in rows])
        _log_metrics(client, run, points)
        if not run.data.params:
            _log_params(client, run, params)


# --- what never fails -----------------------------------------------------------------------------------------


def open_store_safely(uri: str, patience: float | None = None) -> str | None:
    """None if the store is there and answers within `patience` seconds, else one line that says what is wrong."""
    _, message = _safely(lambda: create_store(uri), uri, patience)
    return message


def record_run_safely(*, patience: float | None = None, **run: Any) -> tuple[str | None, str]:
    """As `record_run`, with its arguments, but patient and without its errors: the run id or None, and one line.

    Only a SIGTERM (`Interrupted`) passes.
    """

    def record() -> str:
        run["curves"] = list(run["curves"])  # for a second attempt
        return record_run(**run)

    run_id, message = _safely(record, run["uri"], patience)
    return run_id, message or f"tracked as run {run_id}"


def _safely(action: Callable[[], Any], uri: str, patience: float | None) -> tuple[Any, str | None]:
    """What an action returns, or None and what became of it in one line."""
    try:
        return _patiently(
            action, PATIENCE["file" if _sqlite_file(uri) else "server"] if patience is None else patience
        ), None
    except Interrupted:
        raise
    except Exception as error:  # whatever MLflow and its store raise: tracking decides nothing
        text = (str(error) or type(error).__name__).split("\n")[0].strip()[:160]
        return None, f"not tracked ({type(error).__name__}: {text}); nothing is lost, a later run records it"


def _patiently(action: Callable[[], Any], seconds: float) -> Any:
    """What an action returns, tried again for some seconds: every action here may be repeated."""
    until, wait = time.monotonic() + seconds, 0.25
    while True:
        try:
            return action()
        except (Interrupted, ValueError, FileNotFoundError, ImportError):
            raise
        except Exception:
            if time.monotonic() + wait > until:
                raise
        time.sleep(wait)
        wait = min(2 * wait, 4.0)


def forget_unrecorded(results: Path = Path("results")) -> list[Path]:
    """Remove every result of a `track` job that could not record some run, so that the job runs again.

    Returns what was removed. To be called before jobs are planned and while none is running.
    """
    removed = []
    for path in sorted(results.glob("store/*/track/*/tracked.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            if all(json.loads(path.read_text(encoding="utf-8"))["runs"].values()):
                continue
            shutil.rmtree(path.parent)
            removed.append(path.parent)
    return removed


# --- the store ------------------------------------------------------------------------------------------------


@functools.cache
def _client(uri: str) -> Any:
    """A client of the store, a SQLite one created and migrated by one process at a time."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient

    for talkative in ("mlflow", "alembic"):
        logging.getLogger(talkative).setLevel(logging.CRITICAL)  # what fails is raised too, and told in one line
    if path := _sqlite_file(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(uri):
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    return client


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextlib.contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Among the processes of this workflow, hold the store alone; the kernel frees it when its holder dies.

    Raises TimeoutError after a minute.
    """
    database = _sqlite_file(uri)
    path = database.with_name(f"{database.name}.lock") if database else Path("results/.locks/mlflow.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + LOCK_SECONDS
    with path.open("a", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError(f"{path}: held by another process for a minute") from None
                time.sleep(0.05)
        yield


def _open_run(client: Any, uri: str, experiment: str, tags: Mapping[str, object]) -> Any:
    """The run of these tags, made if it is not there, by one process at a time."""
    if absent := [tag for tag in (*SAME_RUN, "hash") if tag not in tags]:
        raise ValueError(f"a run needs the tags {', '.join(absent)}")
    with _alone(uri):
        experiment_id = _experiment(client, uri, experiment)
        run = _find_run(client, experiment_id, tags)
        if run is None:
            own = {key: str(tags[key]) for key in (*SAME_RUN, "hash")} | {"superseded": "false"}
            run = client.create_run(experiment_id, run_name=f"{tags['model']} seed {tags['seed']}", tags=own)
            run = _find_run(client, experiment_id, tags) or run
        return run


def _experiment(client: Any, uri: str, name: str) -> str:
    """Id of the experiment of this name, which another process may be creating at this moment."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        database = _sqlite_file(uri)
        artifacts = (database.parent / "mlflow-artifacts" / name).resolve().as_uri() if database else None
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _find_run(client: Any, experiment_id: str, tags: Mapping[str, object]) -> Any | None:
    """The run of these tags or None; twins of it are deleted, other versions of it are tagged superseded=true."""
    for tag in SAME_RUN:
        if "'" in str(tags[tag]):
            raise ValueError(f"tag {tag} may not hold a quotation mark: {tags[tag]}")
    same = " and ".join(f"tags.{tag} = '{tags[tag]}'" for tag in SAME_RUN)
    found = client.search_runs([experiment_id], filter_string=same, max_results=1000)
    found = sorted(found, key=lambda run: (RECORDED not in run.data.tags, run.info.start_time, run.info.run_id))
    runs = [run for run in found if run.data.tags.get("hash") == str(tags["hash"])]
    for twin in runs[1:]:  # a stalled server carried out a request that had been given up and repeated
        client.delete_run(twin.info.run_id)
    for version in (run for run in found if run not in runs[1:]):
        superseded = "false" if version in runs else "true"
        if version.data.tags.get("superseded") != superseded:
            client.set_tag(version.info.run_id, "superseded", superseded)
    return runs[0] if runs else None


# --- what is logged -------------------------------------------------------------------------------------------


def _points(run: Any, rows: Iterable[tuple[int, Mapping[str, float]]]) -> list[Any]:
    """The points of some rows; time stamps are the run's start plus the step, in ms."""
    from mlflow.entities import Metric

    return [
        Metric(name, _finite_or_nan(value), run.info.start_time + step, step)
        for step, scalars in rows
        for name, value in scalars.items()
    ]


def _log_curves(client: Any, run: Any, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    """Log the points that are not there; raises `OtherPoints` if some are there that should not be."""
    points = _points(run, rows)
    wanted = {_key(point) for point in points}
    there = set()
    for name in sorted({point.key for point in points} & set(run.data.metrics)):
        for point in client.get_metric_history(run.info.run_id, name):
            if point.timestamp == run.info.start_time + point.step:  # final metrics have later time stamps
                there.add(_key(point))
    if there - wanted:
        raise OtherPoints
    _log_metrics(client, run, [point for point in points if _key(point) not in there])


def _key(point: Any) -> tuple[str, int, float | None]:
    return point.key, point.step, None if math.isnan(point.value) else point.value


def _log_final(client: Any, run: Any, step: int, metrics: Mapping[str, float], curves: set[str]) -> None:
    """Log the metrics whose latest value is another; one that is no longer measured becomes NaN.

    MLflow's latest is the one of the latest step and time stamp, so each value comes 1 ms after the one before.
    """
    from mlflow.entities import Metric

    current = client.get_run(run.info.run_id).data.metrics
    gone = {name: math.nan for name in current if name not in metrics and name not in curves}
    points = []
    for name, value in {**metrics, **gone}.items():
        before, own = current.get(name), name not in curves
        if before is not None and own and _same(before, value):
            continue
        latest = _latest_final(client, run, name) if before is not None else None
        if latest is None or not _same(latest.value, value):
            moment = latest.timestamp if latest else run.info.start_time + step
            points.append(Metric(name, _finite_or_nan(value), moment + 1, step))
    _log_metrics(client, run, points)


def _latest_final(client: Any, run: Any, name: str) -> Any | None:
    """The last point of a final metric: its time stamp is later than those of a curve."""
    points = client.get_metric_history(run.info.run_id, name)
    final = [point for point in points if point.timestamp > run.info.start_time + point.step]
    return max(final, key=lambda point: point.timestamp, default=None)


def _same(one: float, other: float) -> bool:
    """Whether two values are one in the store, which has NaN for all that is not finite."""
    return one == other or not (math.isfinite(one) or math.isfinite(other))


def _log_metrics(client: Any, run: Any, points: Iterable[Any]) -> None:
    for batch in _chunks(points, METRICS_A_CALL):
        client.log_batch(run.info.run_id, metrics=batch)


def _log_params(client: Any, run: Any, params: Mapping[str, object]) -> None:
    from mlflow.entities import Param

    settings = (Param(_legal(key), _cut(value, PARAM_LENGTH)) for key, value in params.items())
    for batch in _chunks(settings, PARAMS_A_CALL):
        client.log_batch(run.info.run_id, params=batch)


def _log_files(client: Any, run: Any, files: Files, model: Callable[[Path], object] | None) -> None:
    for folder, paths in files.items():
        for file in paths:
            if not file.is_file():
                raise FileNotFoundError(f"{file}: not found")
            client.log_artifact(run.info.run_id, str(file), folder or None)
    if model is not None:
        with tempfile.TemporaryDirectory(prefix="easel-") as folder:
            model(Path(folder) / "model")
            client.log_artifacts(run.info.run_id, str(Path(folder) / "model"), "model")


def _close_run(client: Any, run: Any, tags: Mapping[str, object]) -> None:
    """Set all tags, among them the one that says that the run is complete; nothing comes after them."""
    from mlflow.entities import RunTag

    client.set_terminated(run.info.run_id)
    client.log_batch(run.info.run_id, tags=[RunTag(key, _cut(value, TAG_LENGTH)) for key, value in tags.items()])


def _digest(tags: Any, params: Any, rows: Any, metrics: Any, files: Files) -> str:
    """Digest of all that is to be recorded; the bytes of the files are part of it."""
    contents = [
        hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
        for file in chain.from_iterable(files.values())
    ]
    text = json.dumps([dict(tags), dict(params), rows, metrics, contents], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _chunks(entries: Iterable[Any], size: int) -> Iterator[list[Any]]:
    remaining = iter(entries)
    return iter(lambda: list(islice(remaining, size)), [])


def _finite_or_nan(value: float) -> float:
    """A store would clamp an infinite loss to 1.8e308, which stretches every axis; NaN it keeps as it is."""
    return float(value) if math.isfinite(value) else math.nan


def _cut(value: object, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def _legal_names(names: Iterable[str]) -> dict[str, str]:
    """A legal name for each metric; raises ValueError where two would become one."""
    owners: dict[str, str] = {}
    for name in names:
        owner = owners.setdefault(_legal(name), name)
        if owner != name:
            raise ValueError(f"metrics '{owner}' and '{name}' have the same name in MLflow: {_legal(name)}")
    return {name: legal for legal, name in owners.items()}


def _legal(name: str) -> str:
    """The name with what MLflow refuses (anything but letters, digits, _ - . : / and space) replaced by _."""
    parts = [part for part in re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII).split("/") if part.strip(".")]
    return "/".join(parts)[:250] or "_"
