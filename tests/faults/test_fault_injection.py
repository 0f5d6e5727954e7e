"""The fault campaigns in short: the same faults, a few of each, against the shared finished run."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fault_injection import damage, errors, jobs, kills, ledger, shim, whole
from fault_injection.forks import Forks
from fault_injection.ledger import Row
from fault_injection.project import Project, Undisturbed
from pipeline import snakefile
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import layout
from pipeline.workflow.plan import Job
from tests.conftest import run

pytestmark = pytest.mark.workflow

AGAIN = ("references", "evaluate", "standings", "tables", "figures", "track", "summary")
LAST = ("results/tables", "results/summary", "results/store/report", *(f"results/store/mnist/{name}" for name in AGAIN))
"""What goes where a few stages are to be done again: with a stage all that read from it, which would run again too."""


@pytest.fixture(scope="module", autouse=True)
def planned_there(tiny: Path) -> Iterator[None]:
    """The jobs are those of the shared run's params.yaml."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "ROOT", tiny)
        yield


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, mnist_mirror: Path) -> Undisturbed:
    found = Undisturbed.of(Project(tiny, mnist_mirror))
    assert len(found.tables) == 5 and all(found.tables.values())
    return found


@pytest.fixture(scope="module")
def project(tiny: Path, mnist_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished copy; every campaign leaves it finished."""
    return Project(tiny, mnist_mirror).copied(tmp_path_factory.mktemp("fault_injection") / "project")


@pytest.fixture(scope="module")
def forks(project: Project) -> Iterator[Forks]:
    with closing(Forks(library_in(project.folder.parent), project.environ())) as started:
        yield started


def sampling() -> Job:
    """The job that samples the first model."""
    return jobs.one_of_each_stage()["sample"]


def library_in(folder: Path) -> Path:
    """The C library's calls with faults in them."""
    library = shim.build(folder)
    if library is None:
        pytest.skip("faults of the file system and of the clock need a C compiler (cc)")
    return library


def all_well(*rows: Row) -> None:
    """Something was injected, every run was compared, and nothing was lost or wrong."""
    for row in rows:
        assert row.injected and row.runs and not row.wrong and row.equal == row.runs, row


# --- what would find it -------------------------------------------------------------------------------------------


def test_what_is_wrong_is_found(project: Project, undisturbed: Undisturbed) -> None:
    assert undisturbed.differences(project) == [] and project.damaged() == []
    samples = sampling().outputs["images"]
    file = project.folder / samples
    for harm in (damage.flip, damage.truncate):
        with damage.damaged(file, harm):
            assert project.damaged() == [samples]
    with damage.damaged(file, damage.truncate_record):
        assert project.damaged() == [sampling().outputs["job"]]
    with damage.damaged(file, damage.remove_record):
        assert project.damaged() == [] and f"{samples}: missing" in undisturbed.differences(project)
    table = project.folder / layout.TABLE.format(dataset="mnist")
    with damage.damaged(table, damage.truncate):
        assert undisturbed.differences(project) == ["results/tables/mnist.csv: not the undisturbed table"]
    partial = file.with_name(f".{file.name}.1.partial")
    partial.touch()
    assert [str(sampling().folder) in found for found in project.remnants()] == [True]
    partial.unlink()
    with subprocess.Popen(["sleep", "100"], cwd=project.folder) as left:
        assert project.processes() == [left.pid]
        left.kill()
    assert undisturbed.differences(project) == [] and project.remnants() == []


def test_the_table_counts_what_was_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = Row("a fault", injected=2)
    row.compared([])
    row.compared(["one", "two"])
    ledger.write(tmp_path / "to" / "chaos.csv", [row])
    written = list(csv.DictReader((tmp_path / "to" / "chaos.csv").read_text().splitlines()))
    assert written == [{"fault": "a fault", "injected": "2", "runs": "2", "equal": "1", "lost_or_wrong": "2"}]
    assert "WRONG: a fault: two" in capsys.readouterr().err
    assert ledger.table([row]).splitlines()[1].split() == ["a", "fault", "2", "2", "1", "2"]


def test_no_result_holds_what_is_written_in_an_order_of_chance(tiny: Path) -> None:
    """Several entries of safetensors' metadata are; one is not."""
    files = list(tiny.glob("results/store/**/*.safetensors"))
    assert len(files) >= 3 + 2 + 2  # weights, judges' scores, the classifier and its features
    assert [path for path in files if len(artifacts.read_metadata(path)) > 1] == []


# --- errors of the file system ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["fetch", "sample", "standings", "report"])
def test_a_stage_that_cannot_write_or_read_says_so(
    stage: str, project: Project, undisturbed: Undisturbed, forks: Forks
) -> None:
    campaign = errors.Campaign(project, undisturbed, forks, points=2, chance=random.Random(stage))
    job = jobs.one_of_each_stage()[stage]
    campaign.one_stage(stage, job, errors.WRITES, reads=False)
    campaign.one_stage(stage, job, errors.READS, reads=True)
    all_well(*campaign.rows.values())
    assert sum(row.injected for row in campaign.rows.values()) >= 2 * len(errors.WRITES) + len(errors.READS)
    assert campaign.lines, "none of the errors was met"


def test_a_disk_that_is_full(project: Project, undisturbed: Undisturbed, forks: Forks) -> None:
    job = sampling()
    jobs.undo(project, job)
    place = project.folder / job.folder
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "full", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        assert forks.run(project.folder, jobs.words(job)).code == 0
        pytest.skip("mounting a small file system is not allowed here")
    try:
        ended = forks.run(project.folder, jobs.words(job))
        assert ended.code == 1 and list(place.iterdir()) == []
        (line,) = ended.said.splitlines()
        assert (
            job.outputs["images"] in line
            and "No space left on device; make room" in line
            and "run the same command" in line
        )
        subprocess.run(["mount", "-o", "remount,size=16m", str(place)], check=True)
        assert forks.run(project.folder, jobs.words(job)).code == 0
        assert jobs.differences(project, undisturbed, job) == []
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert forks.run(project.folder, jobs.words(job)).code == 0
    assert jobs.differences(project, undisturbed, job) == []


def test_a_read_only_folder_is_told_before_any_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    snakefile.check_writable()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", "results"], capture_output=True).returncode:
        pytest.skip("mounting a read-only file system is not allowed here")
    try:
        with pytest.raises(UserError, match="results/: cannot be written: found a read-only file system"):
            snakefile.check_writable()
    finally:
        subprocess.run(["umount", "results"], check=True)


# --- damage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["prepare", "sample", "standings"])
def test_damage_is_found_by_its_reader(stage: str, project: Project, undisturbed: Undisturbed, forks: Forks) -> None:
    campaign = damage.Campaign(project, undisturbed, forks, workflows=0, chance=random.Random(0))
    campaign.inputs_of(jobs.one_of_each_stage()[stage])
    campaign.results_of(jobs.one_of_each_stage()[stage])
    all_well(*campaign.rows.values())
    assert len(campaign.rows) == len(damage.DAMAGES) + 1


def test_a_damaged_training_state_is_not_used(project: Project, undisturbed: Undisturbed, forks: Forks) -> None:
    campaign = damage.Campaign(project, undisturbed, forks, workflows=0, chance=random.Random(0))
    campaign.training_state()
    all_well(*campaign.rows.values())


# --- clocks -------------------------------------------------------------------------------------------------------


def test_a_turned_clock_is_what_processes_see_and_files_get(tmp_path: Path) -> None:
    clock = shim.Clock(library_in(tmp_path), tmp_path / "clock")
    look = "import os, time; open('made', 'w').close(); print(time.time(), os.stat('made').st_mtime)"
    for wrong in (0, -whole.DECADE, 3600):
        clock.turn(wrong)
        seen = run([sys.executable, "-c", look], tmp_path, **clock.environment)
        assert [float(word) for word in seen.stdout.split()] == pytest.approx([time.time() + wrong] * 2, abs=60)


def test_a_clock_that_jumps_changes_nothing(project: Project, undisturbed: Undisturbed, tmp_path: Path) -> None:
    clock = shim.Clock(library_in(tmp_path), tmp_path / "clock")
    turned = Project(project.folder, project.mirror)
    all_well(row := whole.turned_clock(turned, undisturbed, clock, seed=0, rounds=1, cleared=LAST))
    assert row.injected > 2


# --- kills --------------------------------------------------------------------------------------------------------


def test_a_run_that_is_killed_again_and_again_completes(project: Project, undisturbed: Undisturbed) -> None:
    project.clear(*LAST)
    row = kills.Campaign(project, undisturbed, kills=4, chance=random.Random(2)).play()
    all_well(row)
    assert row.injected == 4
