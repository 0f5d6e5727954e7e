"""Runs in MLflow: a side effect that never decides anything and never makes a stage fail.

A stage writes its own history; this module passes it on, then or later. Experiment = data set, run = model and
seed, found by its tags and never by the clock: recording the same identity twice adds nothing, and a run that was
cut short is completed. The store is a SQLite file unless MLFLOW_TRACKING_URI names a server. Writers of a SQLite
store that is not there yet race for its migration, so one job calls `create_store` first.
MLflow is imported inside the functions: it takes four seconds, and a node that trains need not have it.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipeline.infra.errors import Interrupted

__all__ = ["create_store", "record_run", "record_run_safely", "tracking_uri"]

RESULT_NEUTRAL = True

ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before MLflow is imported, where the user has not: a dead server costs seconds (MLflow's own: minutes)."""

METRICS_A_CALL, PARAMS_A_CALL = 1000, 100
"""MLflow's limits of one `log_batch`."""
PARAM_LENGTH, TAG_LENGTH = 6000, 5000
"""MLflow's limits of one value, in characters."""
CUT = " ... (cut)"

SAME_RUN = ("dataset", "model", "seed", "budget")
"""Tags that say which run this is; `identity` says which version of it."""


def tracking_uri(results: Path) -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def create_store(uri: str) -> None:
    """Create a SQLite store, if it is not there, and migrate it; a server is asked whether it answers.

    Raises MLflow's or SQLAlchemy's error where it is not to be had.
    """
    if path := _sqlite_file(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
    _client(uri).search_experiments(max_results=1)


def record_run(
    *,
    uri: str,
    experiment: str,
    tags: Mapping[str, object],
    params: Mapping[str, object],
    curves: Iterable[tuple[int, Mapping[str, float]]],
    metrics: Mapping[str, float | None],
    files: Sequence[Path] = (),
) -> str:
    """Record one training run and return its run id, the same for the same tags.

    `tags` hold at least dataset, model, seed, budget and identity. `curves` are rows (step, named scalars);
    `metrics` are logged at the last step, those that are None left out; `files` become artifacts. A run of the
    same tags that is complete is left as it is. One whose identity differs gets the tag superseded=true.
    Raises ValueError for missing tags or two metrics of one legal name, FileNotFoundError, and MLflow's errors.
    """
    if absent := [tag for tag in (*SAME_RUN, "identity") if tag not in tags]:
        raise ValueError(f"a run needs the tags {', '.join(absent)}")
    client = _client(uri)
    experiment_id = _experiment(client, uri, experiment)
    versions = _versions(client, experiment_id, tags)
    run = next((run for run in versions if run.data.tags.get("identity") == str(tags["identity"])), None)
    if run is None:
        texts = {key: _cut(value, TAG_LENGTH) for key, value in tags.items()}
        name = f"{tags['model']} seed {tags['seed']}"
        run = client.create_run(experiment_id, run_name=name, tags=texts | {"superseded": "false"})
    if run.data.tags.get("complete") != "true":
        _log(client, run, params, curves, metrics, files)
    for version in [*versions, run]:
        superseded = "false" if version.info.run_id == run.info.run_id else "true"
        if version.data.tags.get("superseded") != superseded:
            client.set_tag(version.info.run_id, "superseded", superseded)
    return str(run.info.run_id)


def record_run_safely(**run: Any) -> tuple[str | None, str]:
    """As `record_run`, with its arguments, but without its errors: the run id or None, and one line to print.

    Only a SIGTERM (`Interrupted`) passes.
    """
    try:
        run_id = record_run(**run)
    except Interrupted:
        raise
    except Exception as error:  # whatever MLflow and its store raise: tracking decides nothing
        text = (str(error) or type(error).__name__).split("\n")[0].strip()[:160]
        return None, f"not tracked ({type(error).__name__}: {text}); nothing is lost, it can be recorded later"
    return run_id, f"tracked as run {run_id}"


# --- the store ------------------------------------------------------------------------------------------------


def _client(uri: str) -> Any:
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient

    for talkative in ("mlflow", "alembic"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


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
    return str(found.experiment_id)


def _versions(client: Any, experiment_id: str, tags: Mapping[str, object]) -> list[Any]:
    """All runs of these data set, model, seed and budget, whatever their identity."""
    for tag in SAME_RUN:
        if "'" in str(tags[tag]):
            raise ValueError(f"tag {tag} may not hold a quotation mark: {tags[tag]}")
    same = " and ".join(f"tags.{tag} = '{tags[tag]}'" for tag in SAME_RUN)
    return list(client.search_runs([experiment_id], filter_string=same, max_results=1000))


# --- what is logged -------------------------------------------------------------------------------------------


def _log(
    client: Any,
    run: Any,
    params: Mapping[str, object],
    curves: Iterable[tuple[int, Mapping[str, float]]],
    metrics: Mapping[str, float | None],
    files: Sequence[Path],
) -> None:
    """Log everything; the tag complete=true comes last.

    Time stamps are the run's start plus the step, in ms, so that repeating an interrupted recording repeats the
    same points, which the store keeps once.
    """
    from mlflow.entities import Metric, Param

    rows = [(step, dict(scalars)) for step, scalars in curves]
    last = max((step for step, _ in rows), default=0)
    rows.append((last, {name: value for name, value in metrics.items() if value is not None}))
    legal = _legal_names(chain.from_iterable(scalars for _, scalars in rows))
    points = (
        Metric(legal[name], _finite_or_nan(value), run.info.start_time + step, step)
        for step, scalars in rows
        for name, value in scalars.items()
    )
    run_id = run.info.run_id
    for batch in _chunks(points, METRICS_A_CALL):
        client.log_batch(run_id, metrics=batch)
    settings = (Param(_legal(key), _cut(value, PARAM_LENGTH)) for key, value in params.items())
    for batch in _chunks(settings, PARAMS_A_CALL):
        client.log_batch(run_id, params=batch)
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file}: not found")
        client.log_artifact(run_id, str(file))
    client.set_terminated(run_id)
    client.set_tag(run_id, "complete", "true")


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
