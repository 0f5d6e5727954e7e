"""`python -m pipeline prune`: what goes, what never does, and that a person is asked."""

from __future__ import annotations

import functools
import io
import os
import time
from pathlib import Path

import pytest

from bench import made_up
from pipeline import cli as cli
from pipeline.core import artifacts
from pipeline.runtime import job_context
from pipeline.workflow import garbage, layout, run_lock, store
from pipeline.workflow.staleness import jobs_of, look
from tests.conftest import plan_of, told
from tests.conftest import stage as command
from tests.integration.conftest import Lines

TINY = "budget=tiny"


@pytest.fixture
def prune(lines: Lines) -> Lines:
    """The lines that the command prints at the tiny budget."""
    return functools.partial(lines, "prune")


def plan(*words: str) -> made_up.Plan:
    return plan_of(TINY, *words)


def files() -> set[str]:
    """All files of results/ and data/, locks left out."""
    found = (path for top in ("results", "data") for path in Path(top).rglob("*") if path.is_file())
    return {path.as_posix() for path in found if ".locks" not in path.parts}


def state(job: made_up.Job, step: int) -> Path:
    path = layout.path(layout.CHECKPOINT, **job.wildcards, hash=f"{job.hash}-{step}")
    artifacts.write_text(path, "state")
    artifacts.write_json(path.with_suffix(".json"), {})
    return path


def folders(*words: str) -> set[str]:
    """The folders of all jobs of MNIST's comparison."""
    return {str(job.folder) for job in jobs_of(plan(*words), "mnist").values()}


def stored() -> set[str]:
    return {str(folder) for folder, _ in store.records()}


# --- what goes --------------------------------------------------------------------------------------------------


def test_nothing_to_prune_is_said(prune: Lines) -> None:
    made_up.make(plan())
    before = files()
    (line,) = prune("--yes")
    assert line == "nothing to prune: params.yaml at the tiny budget with seeds=1 needs every stored result"
    assert files() == before


def test_earlier_results_of_other_settings_go_and_present_ones_stay(prune: Lines) -> None:
    made_up.make(plan("models.vae.hidden=9"))
    made_up.make(plan())
    present = {path for path in folders() if not path.startswith("data/raw")}
    others = {path for path in folders("models.vae.hidden=9") if not path.startswith("data/raw")} - present
    assert others and stored() >= present | others
    lines = prune("--yes")
    assert stored() & others == set() and stored() >= present
    assert not any(state.needed for state in look(plan(), "mnist").values())
    assert "  earlier results: " in lines[1]


def test_saved_states_and_histories_of_other_settings_go_and_states_of_what_is_done(prune: Lines) -> None:
    mine, other = (jobs_of(made, "mnist")["train mnist vae 0"] for made in (plan(), plan("models.vae.hidden=9")))
    kept, gone = ({state(job, step), state(job, step).with_suffix(".json")} for job, step in ((mine, 30), (other, 20)))
    for job, paths in ((mine, kept), (other, gone)):
        paths.add(live := layout.path(layout.LIVE, **job.wildcards, hash=job.hash))
        artifacts.write_json(live, {})
    made_up.write(done := plan().job("train", "mnist", "gran3", 0))
    gone.add(state(done, 40))  # it was killed between writing its record and removing its state
    text = "\n".join(prune("--yes"))
    assert "vae 0 at step 20" in text and "gran3 0 at step 40" in text
    assert all(path.exists() for path in kept) and not any(path.exists() for path in gone)


def test_results_of_unknown_models_seeds_and_data_sets_are_kept_unless_asked(prune: Lines, folder: Path) -> None:
    made_up.make(plan("seeds=2"))
    made_up.make(plan("models.old={class: vae, batch: 10, data: grey, steps: 5}", "datasets.mnist.models=[vae, old]"))
    made_up.make(plan())
    block = "{reader: idx, shape: [1, 28, 28], valid: 10, split_seed: 0, models: [vae], sources: [], files: {a: %s}}"
    made_up.make(plan("datasets={letters: " + block % ("a" * 64) + "}", "dvc_tracked=[]"), dataset="letters")
    text = "\n".join(prune("--dry-run"))
    assert "(model old)" in text and "(seed 1)" in text and "(dataset letters)" in text
    assert "\nkept: " in text and "--unknown deletes them too" in text
    assert command(folder, "prune", "--yes", "--set", TINY).returncode == 0
    unknown = {path for path in stored() if "/letters/" in path or "/old/" in path or "/1/" in path}
    assert {"letters", "old", "1"} <= {part for path in unknown for part in Path(path).parts}
    prune("--yes", "--unknown")
    assert not unknown & stored()
    assert not any(state.needed for state in look(plan(), "mnist").values())
    assert not Path("results/store/mnist/train/old").exists(), "nor are empty folders left"


def test_a_model_of_params_that_is_in_no_table_keeps_its_results(prune: Lines) -> None:
    draw = plan().job("train", "mnist", "draw", 0)
    assert "draw" not in plan().models("mnist")
    made_up.write(draw)
    assert "nothing to prune" in prune("--yes")[0]
    assert Path(next(iter(draw.outputs.values()))).exists()


def test_unfinished_files_of_dead_processes_go_and_of_live_ones_stay(prune: Lines) -> None:
    places = ("data/prepared/mnist", "data/raw/mnist", "results/store/mnist/sample/vae/0/abc")
    left, live = ".images.arrow.1.partial", ".images.arrow.2.partial"
    for folder in places:
        artifacts.write_text(Path(folder, left), "half")
        artifacts.write_text(Path(folder, live), "half")
        os.utime(Path(folder, left), (time.time() - 7200,) * 2)
    prune("--yes")
    raw = f"data/raw/mnist/{left}"
    assert {path.as_posix() for path in Path().rglob(".*.partial")} == {raw, *(f"{place}/{live}" for place in places)}


def test_what_nobody_of_the_workflow_made_stays(prune: Lines) -> None:
    for name in ("results/mlflow.db", "results/notes.txt", "data/raw/old/a.gz", "results/tables/mnist.xlsx"):
        artifacts.write_text(Path(name), "mine")
    before = files()
    assert "nothing to prune" in prune("--yes")[0]
    assert files() == before


# --- sizes ------------------------------------------------------------------------------------------------------


def test_no_file_counts_twice(folder: Path) -> None:
    Path("a/b").mkdir(parents=True)
    Path("a/one").write_bytes(b"x" * 100)
    Path("a/b/two").write_bytes(b"x" * 30)
    os.link("a/one", "a/b/also_one")
    a, two = garbage.Garbage("", Path("a"), ""), garbage.Garbage("", Path("a/b/two"), "")
    assert garbage.freed([a, two]) == garbage.freed([a]) == 130


# --- being asked ------------------------------------------------------------------------------------------------


@pytest.fixture
def leftover(folder: Path) -> Path:
    """One thing to prune."""
    return state(jobs_of(plan("models.vae.hidden=9"), "mnist")["train mnist vae 0"], 20)


def test_a_dry_run_names_every_path_and_without_a_terminal_nothing_is_deleted(
    prune: Lines, leftover: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert any(str(leftover) in line for line in prune("--dry-run"))
    assert told(capsys, "prune", "--set", TINY) == (
        "easel: prune: nothing was deleted: no terminal for the question; use --yes to delete, --dry-run to list"
    )
    assert leftover.exists()


@pytest.mark.parametrize(("answer", "kept"), [("\n", True), ("n\n", True), ("y\n", False)])
def test_a_person_is_asked_and_whoever_does_not_say_yes_keeps_it(
    prune: Lines, leftover: Path, answer: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    assert any("delete? [y/N]" in line for line in prune())
    assert leftover.exists() == kept


# --- what is in use ---------------------------------------------------------------------------------------------


def test_a_live_run_is_left_alone_with_one_line(folder: Path, leftover: Path) -> None:
    run_lock.hold()
    done = command(folder, "prune", "--yes", "--set", TINY)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "easel: prune: another run is at work in " in done.stderr
    assert leftover.exists()


def test_what_a_stage_is_writing_stays(prune: Lines, leftover: Path) -> None:
    job = jobs_of(plan("models.vae.hidden=9"), "mnist")["train mnist vae 0"]
    with job_context.sole_writer(f"{job.name} {job.hash}"):
        assert "nothing to prune" in prune("--yes")[0]
    assert leftover.exists()
    prune("--yes")
    assert not leftover.exists()


def test_no_run_begins_while_files_go(prune: Lines, leftover: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("pipeline.commands.prune.delete", lambda found: seen.append(run_lock.is_live()))
    prune("--yes")
    assert seen == [True]


def test_a_file_that_cannot_be_deleted_is_named(
    prune: Lines, leftover: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    complaint = told(capsys, "prune", "--yes", "--set", TINY)
    assert (
        f"{leftover.with_suffix('.json')}: could not be deleted: Permission denied; correct its permissions"
        in complaint
    )
