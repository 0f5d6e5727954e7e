"""The records that Snakemake keeps, made from stamps; the lock of a folder; earlier results that come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import kept, layout, reconcile, run_lock
from tests.conftest import ROOT

METRICS = layout.path(layout.METRICS, dataset="mnist", model="vae", seed=0)
SAMPLES = layout.path(layout.SAMPLES, dataset="mnist", model="vae", seed=0)


def made(
    folder: Path,
    path: Path,
    identity: str,
    content: str,
    inputs: dict[str, str] | None = None,
    stage: str = "evaluate",
) -> None:
    """A finished file of mnist's vae with its stamp."""
    block = {"dataset": "mnist", "model": "vae", "seed": 0}
    artifacts.write_text(folder / path, content)
    artifacts.write_stamp(folder / path, identity, stage=stage, block=block, inputs=inputs or {})


def record(folder: Path, path: Path) -> dict[str, object]:
    """What Snakemake would read about a file."""
    from snakemake.persistence.file import FilePersistence

    files = FilePersistence(nolock=True, path=folder / ".snakemake")
    return dict(files._io_read(files._metadata_path, path.as_posix()))


# --- records ------------------------------------------------------------------------------------------------------


def test_a_record_says_what_the_stamp_says_and_is_written_once(tmp_path: Path) -> None:
    made(tmp_path, SAMPLES, "a" * 16, "samples", stage="sample")
    made(tmp_path, METRICS, "b" * 16, "{}", {SAMPLES.as_posix(): "a" * 16})
    assert reconcile.reconcile(tmp_path) == 1 + len(layout.OUTPUTS["sample"])
    found = record(tmp_path, METRICS)
    assert found["params"] == [repr("b" * 16)] and found["rule"] == "evaluate"
    assert found["input_checksums"] == {SAMPLES.as_posix(): f"sha256:{artifacts.sha256(tmp_path / SAMPLES)}"}
    assert reconcile.reconcile(tmp_path) == 0


def test_an_input_that_is_another_now_is_not_called_the_same(tmp_path: Path) -> None:
    made(tmp_path, SAMPLES, "c" * 16, "other samples")
    made(tmp_path, METRICS, "b" * 16, "{}", {SAMPLES.as_posix(): "a" * 16})
    reconcile.reconcile(tmp_path)
    assert record(tmp_path, METRICS)["input_checksums"] == {}


@pytest.mark.parametrize(
    "stamp", [None, "", "[]", "{}", '{"identity": "aa", "sha256": "bb", "bytes": 7}', '{"bytes": 1']
)
def test_a_file_without_a_sound_stamp_is_stale(tmp_path: Path, stamp: str | None) -> None:
    artifacts.write_text(tmp_path / METRICS, "x")
    if stamp is not None:
        artifacts.stamp_path(tmp_path / METRICS).write_text(stamp)
    assert reconcile.reconcile(tmp_path) == 1
    assert record(tmp_path, METRICS)["params"] == [repr(reconcile.UNSOUND)]


def test_files_that_are_not_what_their_stamps_say_are_named(tmp_path: Path) -> None:
    made(tmp_path, SAMPLES, "a" * 16, "content", stage="sample")
    made(tmp_path, METRICS, "b" * 16, "{}")
    artifacts.stamp_path(tmp_path / METRICS).unlink()
    said: list[str] = []
    reconcile.reconcile(tmp_path, said.append)
    assert said == [], "what has no stamp was not finished: nobody need know"
    (tmp_path / SAMPLES).write_text("contend")
    reconcile.reconcile(tmp_path, said.append)
    (line,) = said
    assert line.startswith(f"{SAMPLES}: not what its stamp says") and line.endswith("not used")


def test_what_snakemake_recorded_itself_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path, METRICS, "b" * 16, "{}")
    reconcile.reconcile(tmp_path)
    (file,) = (tmp_path / ".snakemake" / "metadata").iterdir()
    own = json.loads(file.read_text()) | {"shellcmd": "as it was run", "starttime": 1.0}
    file.write_text(json.dumps(own))
    assert reconcile.reconcile(tmp_path) == 0
    assert json.loads(file.read_text()) == own


def test_bytes_changed_by_hand_are_seen_where_the_length_is_the_same(tmp_path: Path) -> None:
    made(tmp_path, METRICS, "b" * 16, "measured")
    (tmp_path / METRICS).write_text("imagined")
    assert reconcile.reconcile(tmp_path) == 1
    assert record(tmp_path, METRICS)["params"] == [repr(reconcile.UNSOUND)]


def test_a_job_of_which_one_file_is_gone_is_still_judged_by_the_others(tmp_path: Path) -> None:
    """Without a record of the one, Snakemake would not compare the params of any."""
    weights, history = (
        layout.path(pattern, dataset="mnist", model="vae", seed=0) for pattern in (layout.WEIGHTS, layout.HISTORY)
    )
    made(tmp_path, weights, "a" * 16, "weights", stage="train")
    assert reconcile.reconcile(tmp_path) == len(layout.OUTPUTS["train"])
    assert record(tmp_path, history)["params"] == record(tmp_path, weights)["params"] == [repr("a" * 16)]


def test_bytes_are_read_again_only_where_a_file_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, METRICS, "b" * 16, "measured")
    reconcile.reconcile(tmp_path)
    read: list[str] = []
    real = artifacts.sha256
    monkeypatch.setattr(artifacts, "sha256", lambda path: (read.append(path.name), real(path))[1])
    assert reconcile.reconcile(tmp_path) == 0 and read == []
    os.utime(tmp_path / METRICS, (1, 1))
    assert reconcile.reconcile(tmp_path) == 0 and read == [METRICS.name]
    (tmp_path / ".snakemake" / "easel-sums.json").write_text('{"results": 1, "x": [1')
    assert reconcile.reconcile(tmp_path) == 0 and read == [METRICS.name] * 2


# --- one run at a time --------------------------------------------------------------------------------------------

HOLD = "import sys, time\nfrom pipeline.workflow import run_lock\nprint(run_lock.hold(), flush=True)\ntime.sleep(60)\n"


def holding(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder's lock."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", HOLD], cwd=folder, env=environment, stdout=-1, text=True)
    assert process.stdout and process.stdout.readline() == "None\n"
    return process


def test_a_live_run_is_named_and_a_dead_ones_lock_is_released(tmp_path: Path) -> None:
    process = holding(tmp_path)
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir()
    (locks / "0.output.lock").write_text("results/tables/mnist.csv\n")
    with pytest.raises(UserError, match=rf"another run is at work .*process {process.pid} "):
        run_lock.hold(tmp_path)
    assert run_lock.is_live(tmp_path) and (locks / "0.output.lock").exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not run_lock.is_live(tmp_path)
    released = run_lock.hold(tmp_path)
    assert released and str(process.pid) in released and not locks.exists()


def test_a_lock_that_another_host_left_is_not_ours_to_release(tmp_path: Path) -> None:
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("x\n")
    (tmp_path / run_lock.LOCK).write_text(json.dumps({"process": 1, "host": "another-node", "since": "yesterday"}))
    assert run_lock.hold(tmp_path) is None
    assert (locks / "0.output.lock").exists()


def test_a_folder_in_which_nothing_ran_has_no_live_run(tmp_path: Path) -> None:
    assert not run_lock.is_live(tmp_path)
    assert not list(tmp_path.iterdir())


# --- earlier results ----------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stages work with paths relative to the folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_earlier_result_comes_back_with_its_stamp(here: Path) -> None:
    made(Path(), METRICS, "a" * 16, "first")
    kept.keep("a" * 16, [METRICS])
    made(Path(), METRICS, "b" * 16, "second")
    kept.keep("b" * 16, [METRICS])
    assert sorted(kept.identities()) == ["a" * 16, "b" * 16]
    assert kept.restore("a" * 16, [METRICS])
    assert METRICS.read_text() == "first" and artifacts.checked_stamp(METRICS)["identity"] == "a" * 16
    assert kept.restore("b" * 16, [METRICS])
    assert METRICS.read_text() == "second"


def test_what_is_not_kept_or_not_sound_or_not_whole_does_not_come_back(here: Path) -> None:
    made(Path(), METRICS, "a" * 16, "first")
    assert not kept.restore("a" * 16, [METRICS])
    kept.keep("a" * 16, [METRICS])
    assert not kept.restore("a" * 16, [METRICS, SAMPLES])
    (kept.folder_of("a" * 16) / METRICS).write_text("sixth")  # the same length, and the same inode as the file
    assert not kept.restore("a" * 16, [METRICS])


def test_what_is_kept_takes_no_room_of_its_own(here: Path) -> None:
    made(Path(), METRICS, "a" * 16, "x")
    kept.keep("a" * 16, [METRICS])
    kept.keep("a" * 16, [METRICS])
    assert METRICS.stat().st_nlink == 2
    assert not list(Path("results/.kept").glob(".*")), "nothing half-kept is left behind"
