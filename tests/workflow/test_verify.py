"""make verify: a real run at the tiny budget; tests/integration/test_verify.py has what is said of its tables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.commands import verify
from pipeline.runtime import machine
from pipeline.tables import from_csv
from pipeline.tables.columns import COST_COLUMNS
from pipeline.workflow import job_hash, snapshots
from pipeline.workflow.snapshots import Snapshot
from tests.conftest import ROOT, copy_project

pytestmark = pytest.mark.workflow

TINY = "vae,draw_gan,gran3,real,noise,mean_image"


@pytest.fixture(scope="module")
def made(mnist_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """The tiny tables, really made from scratch, with a tracking server of the person's in the environment."""
    folder = tmp_path_factory.mktemp("made")
    copy_project(folder / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_MIRROR", str(mnist_mirror))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'persons.db'}")
        patch.setattr(job_hash, "ROOT", folder / "project")
        patch.setenv("PATH", os.pathsep.join([str(ROOT / ".venv/bin"), os.environ["PATH"]]))
        found = verify.recompute("mnist", "tiny", folder / "work", cores=1)
    assert not (folder / "persons.db").exists(), "trainings made to verify are not tracked among a person's own"
    return found


def test_a_real_run_makes_every_table_that_does_not_depend_on_the_clock(made: Snapshot) -> None:
    assert [row["model"] for row in from_csv(made.tables["main"])] == TINY.split(",")
    assert set(made.tables) == {"main", "seeds", "battles", "judges", "standings"}
    assert not any(set(COST_COLUMNS[2:]) & set(text.splitlines()[0].split(",")) for text in made.tables.values())
    assert {record["machine"] for record in made.records} == {machine.cpu_model()} and "torch" in verify.where(made)
    assert {"prepare", "train", "evaluate", "standings", "tables"} <= {record["stage"] for record in made.records}


def test_another_folder_and_one_core_give_the_same_bytes(made: Snapshot, tiny: Path) -> None:
    """The shared finished tree was made in a clone, with eight cores."""
    for name, pattern in snapshots.TABLES.items():
        assert made.tables[name] == (tiny / pattern.format(dataset="mnist")).read_text(), name
