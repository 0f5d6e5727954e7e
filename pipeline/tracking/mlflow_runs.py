"""Runs in MLflow: a side effect that never decides anything and never makes a stage fail.

A stage writes its own history; this module logs it, while it grows (`add_rows`) and at the end (`record_run`).
Experiment = data set, run = one training, found by its tags and never by the clock. Everything here may be repeated:
a point's time stamp is the run's start plus its step, so a point that is logged twice is the same point, which the
store keeps once. The store is a SQLite file unless MLFLOW_TRACKING_URI names a server.
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
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core import locks

ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before MLflow is imported, where the user has not: a dead server costs seconds (MLflow's default: minutes)."""

LOCK_SECONDS = 60.0
METRICS_PER_CALL = 1000
"""MLflow's limit of one `log_batch`."""

ARTIFACTS = "mlflow-artifacts"
"""The folder of the runs' files next to the database."""

SAME_RUN = ("dataset", "model", "seed", "budget")
"""Tags that say which run this is; `hash`, the training's, and RECORDED say which version of it."""

RECORDED = "recorded"
"""The tag that says that a run is complete: a digest of what it says."""

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""The tag by which MLflow's pages open an experiment as one of model training, not of GenAI applications."""

BEST = "best"
"""Alias of a data set's best model: `models:/<data set>@best`."""

Curves = Iterable[tuple[int, Mapping[str, float]]]
Images = Iterable[tuple[str, int, Any]]
"""(key, step, pixels (H, W, 3) uint8): MLflow's pages show the images of a key with a slider over the steps."""

Result = TypeVar("Result")


def tracking_uri(results: Path) -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def run_params(block: Mapping[str, Any]) -> dict[str, Any]:
    """What a run shows of a model's resolved block: its class, the loop's settings, its own arguments."""
    return {"class": block["class"], **block["training"], **block["arguments"]}


def attempt(action: Callable[..., Result], *args: Any, **kwargs: Any) -> tuple[Result | None, str | None]:
    """(What an action returns, None), or (None, one line that says what went wrong)."""
    try:
        return action(*args, **kwargs), None
    except Exception as error:  # whatever MLflow and its store raise: tracking decides nothing
        text = (str(error) or type(error).__name__).split("\n")[0].strip()[:160]
        return None, f"not tracked ({type(error).__name__}: {text}); nothing is lost, a later run records it"


# --- runs ---------------------------------------------------------------------------------------------------------


def record_run(
    *,
    uri: str,
    tags: Mapping[str, object],
    params: Mapping[str, object],
    curves: Curves,
    metrics: Mapping[str, float | None],
    files: Mapping[str, Sequence[Path]] | None = None,
    model: Callable[[Path], object] | None = None,
    images: Callable[[], Images] | None = None,
    dataset: Mapping[str, str] | None = None,
    period: tuple[float, float] | None = None,
) -> str:
    """Record one training and return its run id, the same for the same tags, params and metrics.

    A run of another training, or of the same one with other metrics, is deleted in MLflow's sense, which can be undone.

    Args:
        uri: the store.
        tags: at least dataset, which names the experiment, model, seed, budget and hash.
        params: what a run shows of the model's block.
        curves: rows (step, named scalars).
        metrics: final values; those that are None are left out.
        files: artifacts by folder ('' for none).
        model: writes a folder in MLflow's form, which becomes the logged model of the tag `model`.
        images: makes the images of the training, by step.
        dataset: the training data: `name`, `digest`, and what else MLflow's `Dataset` takes.
        period: start and end of the training in seconds since 1970; without it the run starts and ends now.

    Raises:
        FileNotFoundError: a file is missing.
        Exception: whatever MLflow raises.
    """
    rows = list(curves)
    content = _digest(tags, params, metrics)
    started, ended = period or (None, None)
    client = _client(uri)
    run = _open_run(client, uri, tags, started, content)
    if RECORDED in run.data.tags:
        return str(run.info.run_id)
    if _has_other_points(client, run, rows):
        client.delete_run(run.info.run_id)
        run = _open_run(client, uri, tags, started, content)
    _log_rows(client, run, rows, params)
    if dataset:
        _log_dataset(client, run, dataset)
    _log_files(client, run, files or {}, images() if images else ())
    model_id = _log_model(client, run, str(tags["model"]), params, model) if model else None
    _log_final(client, run, rows, metrics, dataset or {}, model_id)
    client.set_terminated(run.info.run_id, end_time=None if ended is None else int(1000 * ended))
    _log_tags(client, run, {**tags, RECORDED: content})  # nothing comes after it
    return str(run.info.run_id)


def add_rows(
    *,
    uri: str,
    tags: Mapping[str, object],
    params: Mapping[str, object],
    curves: Curves,
    started: float | None = None,
) -> None:
    """Add some rows of a training that goes on to its run, which is made if it is not there.

    A run that is recorded already is left as it is. Raises what `record_run` raises.
    """
    client = _client(uri)
    run = _open_run(client, uri, tags, started)
    if RECORDED in run.data.tags:
        return
    if run.info.status != "RUNNING":  # it was stopped, and goes on now
        client.update_run(run.info.run_id, status="RUNNING")
    _log_rows(client, run, curves, params)


def end_run(*, uri: str, tags: Mapping[str, object], is_finished: bool) -> None:
    """End the run of a training that ended, FINISHED or KILLED, unless it is recorded already."""
    client = _client(uri)
    run = _open_run(client, uri, tags, None)
    if RECORDED not in run.data.tags:
        client.set_terminated(run.info.run_id, status="FINISHED" if is_finished else "KILLED")


def run_ids(uri: str, experiment: str) -> set[str]:
    """The ids of an experiment's runs."""
    client = _client(uri)
    with _alone(uri):
        experiment_id = _experiment(client, uri, experiment)
    return {run.info.run_id for run in client.search_runs([experiment_id], max_results=10_000)}


def mark_best(uri: str, dataset: str, run_id: str) -> None:
    """Register the model of a run as a version of the data set's model, and give it the alias `best`."""
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


# --- the store ----------------------------------------------------------------------------------------------------


def create_store(uri: str) -> None:
    """Create a SQLite store, if it is not there, and migrate it; of a server, see whether it answers.

    Raises MLflow's or SQLAlchemy's error where it cannot be used.
    """
    _client(uri).search_experiments(max_results=1)


@functools.cache
def _client(uri: str) -> Any:
    """A client of the store."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what fails is raised too, and told in one line
    database = _database(uri)
    if database:
        database.parent.mkdir(parents=True, exist_ok=True)
    with _alone(uri):  # two processes that open an empty SQLite file together would race for its migration
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextlib.contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Among the processes of this workflow, hold the store alone; the kernel frees it when its holder dies.

    Raises TimeoutError after a minute.
    """
    database = _database(uri)
    path = database.with_name(f"{database.name}.lock") if database else Path("results/.locks/mlflow.lock")
    handle = locks.take(path, LOCK_SECONDS)
    if handle is None:
        raise TimeoutError(f"{path}: held by another process for a minute")
    try:
        yield
    finally:
        os.close(handle)


def _open_run(
    client: Any, uri: str, tags: Mapping[str, object], started: float | None, content: str | None = None
) -> Any:
    """The run of these tags, made if it is not there."""
    with _alone(uri):  # two processes that look for a run together would both make it
        experiment_id = _experiment(client, uri, str(tags["dataset"]))
        same = " and ".join(f"tags.{tag} = '{tags[tag]}'" for tag in SAME_RUN)
        runs = client.search_runs([experiment_id], same, max_results=1000)
        run = next((run for run in runs if _is_current(run, str(tags["hash"]), content)), None)
        for superseded in (other for other in runs if other is not run):
            _delete(client, superseded)
        if run is None:
            named = {key: str(tags[key]) for key in (*SAME_RUN, "hash")}
            name = str(tags["model"]) if tags.get("status") == "reference" else f"{tags['model']} seed {tags['seed']}"
            start = None if started is None else int(1000 * started)
            run = client.create_run(experiment_id, start_time=start, run_name=name, tags=named)
    return run


def _is_current(run: Any, job_hash: str, content: str | None) -> bool:
    """Whether a run is of this training, and unfinished or of this content (None: any)."""
    tags = run.data.tags
    return tags.get("hash") == job_hash and (content is None or tags.get(RECORDED, content) == content)


def _delete(client: Any, run: Any) -> None:
    for model in _logged_models(client, run):
        client.delete_logged_model(model.model_id)
    client.delete_run(run.info.run_id)


def _experiment(client: Any, uri: str, name: str) -> str:
    """Id of the experiment of this name.

    MLflow stores absolute paths of files. After the database was moved or copied they name the earlier place, so the
    experiment there is deleted and its runs are recorded again.
    """
    database = _database(uri)
    location = (database.parent / ARTIFACTS / name).resolve().as_uri() if database else None
    experiment = client.get_experiment_by_name(name)
    if experiment and experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    if experiment and location in (None, experiment.artifact_location):
        return str(experiment.experiment_id)
    if experiment:
        client.rename_experiment(experiment.experiment_id, f"{name} {experiment.experiment_id}")  # frees the name
        client.delete_experiment(experiment.experiment_id)
    return str(client.create_experiment(name, artifact_location=location, tags=KIND))


# --- what is logged -----------------------------------------------------------------------------------------------


def _points(run: Any, rows: Curves, later: int = 0, **more: Any) -> list[Any]:
    """The points of some rows; time stamps are the run's start plus the step, in ms."""
    from mlflow.entities import Metric

    return [
        Metric(_legal(name), _finite_or_nan(value), run.info.start_time + step + later, step, **more)
        for step, scalars in rows
        for name, value in scalars.items()
    ]


def _has_other_points(client: Any, run: Any, rows: Curves) -> bool:
    """Whether a run that was begun holds points that are not in the history: of another training of this hash.

    On a GPU that is not deterministic a repeated training has other numbers.
    """
    logged = (point for name in run.data.metrics for point in client.get_metric_history(run.info.run_id, name))
    wanted = {_key(point) for point in _points(run, rows)}
    return any(_key(point) not in wanted for point in logged)


def _key(point: Any) -> tuple[str, int, str]:
    return point.key, point.step, str(point.value)


def _log_rows(client: Any, run: Any, rows: Curves, params: Mapping[str, object]) -> None:
    """Log points and, of a run that has none yet, the params; MLflow cuts values that are too long for it."""
    from mlflow.entities import Param

    points = _points(run, rows)
    for first in range(0, len(points), METRICS_PER_CALL):
        client.log_batch(run.info.run_id, metrics=points[first : first + METRICS_PER_CALL])
    if not run.data.params:
        client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in params.items()])


def _log_final(
    client: Any, run: Any, rows: Curves, metrics: Mapping[str, float | None], dataset: Mapping[str, str],
    model_id: str | None,
) -> None:  # fmt: skip
    """Log final metrics of the run and of its logged model: at step 0, which MLflow draws as bars that compare runs.

    Those that a curve has too are logged at the last step, 1 ms later than the curve's last point.
    """
    curves = {name for _, scalars in rows for name in scalars}
    last = max((step for step, _ in rows), default=0)
    source = {"dataset_name": dataset.get("name"), "dataset_digest": dataset.get("digest"), "model_id": model_id}
    points = [
        point
        for name, value in metrics.items()
        if value is not None
        for point in _points(run, [(last if name in curves else 0, {name: value})], later=1, **source)
    ]
    client.log_batch(run.info.run_id, metrics=points)


def _log_tags(client: Any, run: Any, tags: Mapping[str, object]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run.info.run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])


def _log_files(client: Any, run: Any, files: Mapping[str, Sequence[Path]], images: Images) -> None:
    for folder, paths in files.items():
        for file in paths:
            client.log_artifact(run.info.run_id, str(file), folder or None)
    for key, step, pixels in images:
        client.log_image(run.info.run_id, pixels, key=key, step=step, timestamp=run.info.start_time + step)


def _log_dataset(client: Any, run: Any, dataset: Mapping[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    context = [InputTag("mlflow.data.context", "training")]
    client.log_inputs(run.info.run_id, [DatasetInput(Dataset(**dataset), context)])


def _log_model(
    client: Any, run: Any, name: str, params: Mapping[str, object], write: Callable[[Path], object]
) -> str:  # fmt: skip
    """Log the trained model, in the place of one that a recording that was cut short logged; its id."""
    from mlflow.entities import LoggedModelOutput

    for earlier in _logged_models(client, run):
        client.delete_logged_model(earlier.model_id)
    with tempfile.TemporaryDirectory(prefix="easel-") as folder:
        write(Path(folder) / "model")
        settings = {key: str(value) for key, value in params.items()}
        experiment, run_id = run.info.experiment_id, run.info.run_id
        logged = client.create_logged_model(experiment, name, run_id, params=settings, model_type="image generator")
        client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _logged_models(client: Any, run: Any) -> list[Any]:
    """The logged models of a run; at most one of them is complete."""
    source = f"source_run_id = '{run.info.run_id}'"
    return list(client.search_logged_models(experiment_ids=[run.info.experiment_id], filter_string=source))


def _digest(*content: Mapping[str, object]) -> str:
    text = json.dumps([dict(part) for part in content], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _finite_or_nan(value: float) -> float:
    """A store would clamp an infinite loss to 1.8e308, which stretches every axis; NaN it keeps as it is."""
    return float(value) if math.isfinite(value) else math.nan


def _legal(name: str) -> str:
    """A scalar's name with what MLflow refuses in it replaced by _: models choose the names of their losses."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)
