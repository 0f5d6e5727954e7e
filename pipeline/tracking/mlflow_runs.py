"""Runs in MLflow: a side effect that never decides anything and never makes a stage fail.

A stage writes its own history; this module logs it, while it grows (`pass_on`) and at the end (`record_run`).
Experiment = data set, run = one training, found by its tags and never by the clock. Everything here may be repeated:
a point's time stamp is the run's start plus its step, so a point that is logged twice is the same point, which the
store keeps once. The store is a SQLite file unless MLFLOW_TRACKING_URI names a server; it is created under a lock,
since writers that open an empty one together race for its migration.
MLflow is imported inside the functions: it takes four seconds, and a node that trains need not have it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import math
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipeline.core import locks
from pipeline.core.errors import Interrupted

__all__ = [
    "create_store",
    "experiments",
    "forget_unrecorded",
    "mark_best_safely",
    "network_disk",
    "open_store_safely",
    "pass_on",
    "record_run",
    "record_run_safely",
    "recorded_runs",
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

RECORDINGS = "recordings"
"""The tag that counts how often a run was recorded."""

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""The tag by which MLflow's pages open an experiment as one of model training, not of GenAI applications."""

BEST = "best"
"""Alias of a data set's best model: `models:/<data set>@best`."""

Curves = Iterable[tuple[int, Mapping[str, float]]]
Rows = Sequence[tuple[int, Mapping[str, float]]]
Files = Mapping[str, Sequence[Path]]
Images = Iterable[tuple[str, int, Any]]
"""(key, step, pixels (H, W, 3) uint8): MLflow's pages show the images of a key with a slider over the steps."""

Period = tuple[float, float]
"""Start and end of a training in seconds since 1970."""


def tracking_uri(results: Path) -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def run_params(block: Mapping[str, Any]) -> dict[str, Any]:
    """What a run shows of a model's resolved block: its class, the loop's settings, its own arguments."""
    return {"class": block["class"], **block["training"], **block["arguments"]}


def create_store(uri: str) -> None:
    """Create a SQLite store, if it is not there, and migrate it; of a server, see whether it answers.

    Raises MLflow's or SQLAlchemy's error where it cannot be used.
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
    images: Callable[[], Images] | None = None,
    dataset: Mapping[str, str] | None = None,
    period: Period | None = None,
) -> str:
    """Record one training and return its run id, the same for the same tags.

    Args:
        uri: the store.
        experiment: name of the experiment.
        tags: at least dataset, model, seed, budget and hash.
        params: what a run shows of the model's block.
        curves: rows (step, named scalars).
        metrics: final values; those that are None are left out. Changed ones become the
            latest, those that are no longer measured become NaN.
        files: artifacts by folder ('' for none).
        model: writes a folder in MLflow's form, which becomes the logged model of the tag `model`. It and the images
            are logged once for the tag `weights`.
        images: makes the images of the training, by step.
        dataset: the training data: `name`, `digest`, and what else MLflow's `Dataset` takes.
        period: of the training; without it the run starts and ends now.

    Raises:
        ValueError: tags are missing.
        FileNotFoundError: a file is missing.
        Exception: whatever MLflow raises.
    """
    rows = _legal_rows(curves)
    final = {_legal(name): value for name, value in metrics.items() if value is not None}
    files = files or {}
    content = _digest(tags, params, rows, final, files)
    client = _client(uri)
    started, ended = period or (None, None)
    run = _open_run(client, uri, experiment, tags, started)
    if run.data.tags.get(RECORDED) == content:
        return str(run.info.run_id)
    if _has_other_points(client, run, rows):  # of another training of this hash, on a GPU say
        client.delete_run(run.info.run_id)
        run = _open_run(client, uri, experiment, tags, started)
    _log_metrics(client, run, _points(run, rows))
    _log_params(client, run, params)
    if dataset:
        _log_dataset(client, run, dataset)
    _log_files(client, run, files)
    if run.data.tags.get("weights") != str(tags.get("weights", "")):
        _log_images(client, run, images() if images else ())
        _log_model(client, run, str(tags["model"]), params, model)
    _log_final(client, run, rows, final, dataset or {})
    _close_run(client, run, {**tags, RECORDED: content}, ended)
    return str(run.info.run_id)


def pass_on(
    *,
    uri: str,
    experiment: str,
    tags: Mapping[str, object],
    params: Mapping[str, object],
    curves: Curves,
    started: float | None = None,
) -> None:
    """Add some rows of a training that goes on to its run, which is made if it is not there.

    A run that is recorded already is left as it is. Raises what `record_run` raises.
    """
    client = _client(uri)
    run = _open_run(client, uri, experiment, tags, started)
    if RECORDED not in run.data.tags:
        _log_metrics(client, run, _points(run, _legal_rows(curves)))
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


def recorded_runs(uri: str, experiment: str) -> set[str]:
    """'model/seed' of the complete, current runs that a store holds of an experiment."""
    client = _client(uri)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=10_000) if found else []
    current = (run.data.tags for run in runs if RECORDED in run.data.tags)
    return {f"{tags['model']}/{tags['seed']}" for tags in current if tags.get("superseded") == "false"}


def experiments(uri: str) -> dict[str, str]:
    """Name -> id of the experiments of model training in a store."""
    tagged = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in KIND.items())
    return {found.name: found.experiment_id for found in _client(uri).search_experiments(filter_string=tagged)}


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
        if path:
            _follow_folder(path)
    return client


LOCATIONS = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)  # fmt: skip
"""Tables and columns of MLflow's database that hold absolute addresses of files."""


def _follow_folder(database: Path) -> None:
    """Make the addresses of files those of the folder that the database is in: its project was moved or copied."""
    here = f"{(database.parent / ARTIFACTS).resolve().as_uri()}/"
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        marks = (str(row[0]).partition(f"/{ARTIFACTS}/") for row in rows)
        before = {f"{folder}{mark}" for folder, mark, _ in marks if mark and folder.startswith("file:")} - {here}
        for table, column in LOCATIONS if before else ():
            for old in before:
                # names of our own tables and columns; the values are bound
                change = f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                connection.execute(f"{change} WHERE substr({column}, 1, ?) = ?", (here, len(old) + 1, len(old), old))


ARTIFACTS = "mlflow-artifacts"
"""The folder of the runs' files beside the database."""


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


NETWORK = {
    "nfs",
    "nfs4",
    "lustre",
    "beegfs",
    "gpfs",
    "cifs",
    "smb3",
    "ceph",
    "afs",
    "9p",
    "fuse.sshfs",
    "fuse.glusterfs",
}
"""File systems of which several machines see the same files."""


def network_disk(uri: str, mounts: Path = Path("/proc/mounts")) -> str | None:
    """One line of warning where a SQLite store is on a network disk, whose locks SQLite cannot rely on."""
    database = _sqlite_file(uri)
    if database is None or not mounts.is_file():
        return None
    lines = (line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines())
    place = str(database.resolve())
    above = [(len(point), kind) for point, kind in lines if place.startswith(f"{point.rstrip('/')}/")]
    kind = max(above, default=(0, ""))[1]
    if kind not in NETWORK:
        return None
    return (
        f"{database.name}: found on a network disk ({kind}), expected a local one: SQLite's locks may fail there; "
        "set MLFLOW_TRACKING_URI to a server or to sqlite:////local/disk/mlflow.db"
    )


@contextlib.contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Among the processes of this workflow, hold the store alone; the kernel frees it when its holder dies.

    Raises TimeoutError after a minute.
    """
    database = _sqlite_file(uri)
    path = database.with_name(f"{database.name}.lock") if database else Path("results/.locks/mlflow.lock")
    handle = locks.take(path, LOCK_SECONDS)
    if handle is None:
        raise TimeoutError(f"{path}: held by another process for a minute")
    try:
        yield
    finally:
        os.close(handle)


def _open_run(client: Any, uri: str, experiment: str, tags: Mapping[str, object], started: float | None = None) -> Any:
    """The run of these tags, made if it is not there, by one process at a time."""
    if absent := [tag for tag in (*SAME_RUN, "hash") if tag not in tags]:
        raise ValueError(f"a run needs the tags {', '.join(absent)}")
    with _alone(uri):
        experiment_id = _experiment(client, uri, experiment)
        run = _find_run(client, experiment_id, tags)
        if run is None:
            same = {key: str(tags[key]) for key in (*SAME_RUN, "hash")} | {"superseded": "false"}
            name = str(tags["model"]) if tags.get("status") == "reference" else f"{tags['model']} seed {tags['seed']}"
            start = None if started is None else int(1000 * started)
            run = client.create_run(experiment_id, start_time=start, run_name=name, tags=same)
        return run


def _experiment(client: Any, uri: str, name: str) -> str:
    """Id of the experiment of this name."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        database = _sqlite_file(uri)
        artifacts = (database.parent / ARTIFACTS / name).resolve().as_uri() if database else None
        return str(client.create_experiment(name, artifact_location=artifacts, tags=KIND))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    for tag, value in KIND.items():  # a store of an earlier version
        if tag not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, tag, value)
    return str(experiment.experiment_id)


def _find_run(client: Any, experiment_id: str, tags: Mapping[str, object]) -> Any | None:
    """The run of these tags or None; its other versions get the tag superseded=true."""
    same = " and ".join(f"tags.{tag} = '{tags[tag]}'" for tag in SAME_RUN)
    versions = client.search_runs([experiment_id], filter_string=same, max_results=1000)
    run = next((version for version in versions if version.data.tags.get("hash") == str(tags["hash"])), None)
    for version in versions:
        superseded = "false" if version is run else "true"
        if version.data.tags.get("superseded") != superseded:
            client.set_tag(version.info.run_id, "superseded", superseded)
    return run


# --- what is logged -------------------------------------------------------------------------------------------


def _points(run: Any, rows: Iterable[tuple[int, Mapping[str, float]]]) -> list[Any]:
    """The points of some rows; time stamps are the run's start plus the step, in ms."""
    from mlflow.entities import Metric

    return [
        Metric(name, _finite_or_nan(value), run.info.start_time + step, step)
        for step, scalars in rows
        for name, value in scalars.items()
    ]


def _has_other_points(client: Any, run: Any, rows: Rows) -> bool:
    """Whether the curves of a run hold points that are not in the history."""
    wanted = {_key(point) for point in _points(run, rows)}
    names = {name for name, _, _ in wanted} & set(run.data.metrics)
    points = chain.from_iterable(client.get_metric_history(run.info.run_id, name) for name in names)
    curves = (point for point in points if point.timestamp == run.info.start_time + point.step)  # finals are later
    return any(_key(point) not in wanted for point in curves)


def _key(point: Any) -> tuple[str, int, float | None]:
    return point.key, point.step, None if math.isnan(point.value) else point.value


def _log_final(client: Any, run: Any, rows: Rows, metrics: Mapping[str, float], dataset: Mapping[str, str]) -> None:
    """Log final metrics of the run and of its logged model: at step 0, which MLflow draws as bars that compare runs.

    Those that a curve has too are logged at the last step. MLflow's latest value is the one of the latest step and
    time stamp: each recording comes 1 ms after the one before.
    """
    from mlflow.entities import Metric

    recordings = int(run.data.tags.get(RECORDINGS, 0)) + 1
    client.set_tag(run.info.run_id, RECORDINGS, recordings)
    curves = {name for _, scalars in rows for name in scalars}
    gone = {name: math.nan for name in run.data.metrics if name not in metrics and name not in curves}
    step = max((step for step, _ in rows), default=0)
    moment = run.info.start_time + step + recordings
    models = _logged_models(client, run)
    of = {"dataset_name": dataset.get("name"), "dataset_digest": dataset.get("digest")}
    of["model_id"] = models[0].model_id if models else None
    points = [
        Metric(name, _finite_or_nan(value), moment, step if name in curves else 0, **of)
        for name, value in {**metrics, **gone}.items()
    ]
    _log_metrics(client, run, points)


def _log_metrics(client: Any, run: Any, points: Iterable[Any]) -> None:
    for batch in _chunks(points, METRICS_A_CALL):
        client.log_batch(run.info.run_id, metrics=batch)


def _log_params(client: Any, run: Any, params: Mapping[str, object]) -> None:
    from mlflow.entities import Param

    settings = (Param(_legal(key), _cut(value, PARAM_LENGTH)) for key, value in params.items())
    for batch in _chunks(settings, PARAMS_A_CALL):
        client.log_batch(run.info.run_id, params=batch)


def _log_files(client: Any, run: Any, files: Files) -> None:
    for folder, paths in files.items():
        for file in paths:
            client.log_artifact(run.info.run_id, str(file), folder or None)


def _log_dataset(client: Any, run: Any, dataset: Mapping[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    context = [InputTag("mlflow.data.context", "training")]
    client.log_inputs(run.info.run_id, [DatasetInput(Dataset(**dataset), context)])


def _log_images(client: Any, run: Any, images: Images) -> None:
    for key, step, pixels in images:
        client.log_image(run.info.run_id, pixels, key=key, step=step, timestamp=run.info.start_time + step)


def _log_model(
    client: Any, run: Any, name: str, params: Mapping[str, object], write: Callable[[Path], object] | None
) -> None:
    """Log the trained model, in the place of one that another recording of this run logged."""
    from mlflow.entities import LoggedModelOutput

    for earlier in _logged_models(client, run):
        client.delete_logged_model(earlier.model_id)
    if write is None:
        return
    with tempfile.TemporaryDirectory(prefix="easel-") as folder:
        write(Path(folder) / "model")
        settings = {_legal(key): _cut(value, PARAM_LENGTH) for key, value in params.items()}
        experiment, run_id = run.info.experiment_id, run.info.run_id
        logged = client.create_logged_model(experiment, name, run_id, params=settings, model_type="image generator")
        client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _logged_models(client: Any, run: Any) -> list[Any]:
    """The logged models of a run; at most one of them is complete."""
    found = client.search_logged_models(
        experiment_ids=[run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
    )
    return list(found)


def mark_best_safely(uri: str, dataset: str, run_id: str) -> None:
    """Register the model of a run as a version of the data set's model, and give it the alias `best`.

    A store that cannot do so loses the alias, nothing else.
    """

    def mark() -> None:
        client = _client(uri)
        import mlflow

        mlflow.set_tracking_uri(uri)  # MLflow's registry looks for the logged model there, not where its client does
        (logged,) = _logged_models(client, client.get_run(run_id))
        versions = [v for v in client.search_model_versions(f"name = '{dataset}'") if v.run_id == run_id]
        if not client.search_registered_models(f"name = '{dataset}'"):
            client.create_registered_model(dataset, description=f"Trained models of {dataset}.")
        version = next((v for v in versions if v.source.endswith(logged.model_id)), None)
        if version is None:
            source = f"models:/{logged.model_id}"
            version = client.create_model_version(dataset, source, run_id=run_id, model_id=logged.model_id)
        client.set_registered_model_alias(dataset, BEST, version.version)

    _safely(mark, uri, 0.0)


def _close_run(client: Any, run: Any, tags: Mapping[str, object], ended: float | None) -> None:
    """Set all tags, among them the one that says that the run is complete; nothing comes after them."""
    from mlflow.entities import RunTag

    client.set_terminated(run.info.run_id, end_time=None if ended is None else int(1000 * ended))
    client.log_batch(run.info.run_id, tags=[RunTag(key, _cut(value, TAG_LENGTH)) for key, value in tags.items()])


def _digest(tags: Any, params: Any, rows: Any, metrics: Any, files: Files) -> str:
    """Digest of all that is to be recorded; the bytes of the files are part of it."""
    contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in chain.from_iterable(files.values())]
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


def _legal_rows(curves: Curves) -> Rows:
    return [(step, {_legal(name): value for name, value in scalars.items()}) for step, scalars in curves]


def _legal(name: str) -> str:
    """The name with what MLflow refuses (anything but letters, digits, _ - . : / and space) replaced by _."""
    parts = [part for part in re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII).split("/") if part.strip(".")]
    return "/".join(parts)[:250] or "_"
