"""make verify: what is printed of the same, of edited and of foreign tables; those in docs/verify are read.

tests/workflow/test_verify.py makes tables from scratch.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands import verify
from pipeline.core.errors import UserError
from pipeline.runtime import machine
from pipeline.tables import from_csv, to_csv, tolerance
from pipeline.tables.aliases import with_current_columns
from pipeline.tables.text import csv_value
from pipeline.workflow import layout, snapshots
from pipeline.workflow.snapshots import Snapshot
from tests.conftest import ROOT

MODELS = {"vae", "draw_gan", "gran3", "real", "noise", "mean_image"}


@pytest.fixture(scope="module")
def made() -> Snapshot:
    """Some models' rows of the tables in docs/verify, as if they were made here."""
    recorded = snapshots.read(str(ROOT / "docs/verify"), "mnist")
    keys = ("model", "model_1", "model_2", "judge", "contestant")

    def some(text: str) -> str:
        rows = list(csv.DictReader(io.StringIO(with_current_columns(text))))
        kept = [row for row in rows if {row[key] for key in keys if key in row} <= MODELS]
        return to_csv(kept, list(rows[0]))

    return with_tables(recorded, {name: some(text) for name, text in recorded.tables.items()})


def with_tables(made: Snapshot, tables: Mapping[str, str]) -> Snapshot:
    """The same jobs with other tables, and records that say so."""
    files: dict[str, dict[str, Any]] = {}
    for name, text in tables.items():
        stage, output = layout.VIEWS["tables"][snapshots.TABLES[name]]
        about = {"bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest()}
        files.setdefault(stage, {})[layout.FILES[stage][output]] = about
    return with_jobs(dataclasses.replace(made, tables=tables), lambda job: {"files": files.get(job["stage"], {})})


def with_jobs(made: Snapshot, changes: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Snapshot:
    return dataclasses.replace(made, records=[{**record, **changes(record)} for record in made.records])


@pytest.fixture
def record(made: Snapshot, tmp_path: Path) -> Path:
    """A folder with the record of the real run."""
    verify.write_record(made, None, words(tmp_path / "record"), "1 s")
    return tmp_path / "record"


def words(record: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verify.arguments(parser)
    return parser.parse_args(["--budget", "tiny", "--against", str(record), *more])


def run(record: Path, made: Snapshot, temporary: Path, *more: str) -> int:
    """The command with tables that are made already; its temporary folders go into `temporary`."""
    with pytest.MonkeyPatch.context() as patch:
        temporary.mkdir(exist_ok=True)
        patch.setattr(verify.tempfile, "tempdir", str(temporary))
        patch.setattr(verify, "recompute", lambda *_: made)
        return verify.run(words(record, *more))


def edited(made: Snapshot, table: str, row: int, **cells: Any) -> Snapshot:
    """The tables with some cells of one row changed, all others to the letter."""
    rows = list(csv.DictReader(io.StringIO(made.tables[table])))
    rows[row] |= {column: csv_value(value) for column, value in cells.items()}
    return with_tables(made, {**made.tables, table: to_csv(rows, list(rows[0]))})


def elsewhere(made: Snapshot) -> Snapshot:
    return with_jobs(made, lambda _: {"machine": "Another CPU (family 6)"})


def test_the_same_tables_are_bit_equal_to_their_record(
    made: Snapshot, record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (record / "mnist.csv").read_text() == made.tables["main"]
    assert verify.read_record(words(record)).records == made.records
    assert run(record, made, tmp_path / "temporary") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"bit-equal on {verify.where(made)}: ") and "5 tables" in line
    assert not list((tmp_path / "temporary").iterdir())


# --- the same CPU -----------------------------------------------------------------------------------------------


def test_one_other_digit_is_found_named_and_kept(
    made: Snapshot, record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = from_csv(made.tables["main"])[1]["fd_classifier"]
    assert isinstance(value, float)
    other = value * 1.00002  # in the last of the six digits that are written
    assert run(record, edited(made, "main", 1, fd_classifier=other), tmp_path / "temporary") == 1
    said = capsys.readouterr().out
    assert said.startswith("not bit-equal on ") and "draw_gan  fd_classifier" in said and "vae  " not in said
    assert f"{value:g}" in said and f"{other:g}" in said, "shown with the digit that differs"
    (kept,) = (tmp_path / "temporary").iterdir()
    assert f"kept: {kept}" in said


def test_a_tampered_record_is_noticed_before_anything_is_made(record: Path, tmp_path: Path) -> None:
    table = record / "mnist.csv"
    table.write_text(table.read_text().replace("ok", "no", 1).replace("collapsed", "ok", 1))
    with pytest.raises(UserError, match=r"mnist\.csv: damaged or edited \(its SHA-256 is not its record's\)"):
        verify.run(words(record))


def test_other_code_and_params_are_told_first_and_the_tables_compared_all_the_same(
    made: Snapshot, record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    def other(job: Mapping[str, Any]) -> dict[str, Any]:
        if (job["stage"], job["wildcards"].get("model")) != ("train", "vae"):
            return {}
        config = job["config"] | {"arguments": job["config"]["arguments"] | {"hidden": [399]}}
        return {"config": config, "modules": job["modules"] | {"pipeline.models.vae": "0" * 16}}

    assert run(record, with_jobs(made, other), tmp_path / "temporary") == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("recorded with other code: pipeline/models/vae.py (train)")
    assert second.startswith("recorded with other params: vae: arguments.hidden [400] -> [399] (train)")
    assert third.startswith("bit-equal on ")


# --- another CPU ------------------------------------------------------------------------------------------------


def test_on_another_cpu_or_library_tolerances_are_named_and_take_the_place_of_bits(
    made: Snapshot, record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = from_csv(made.tables["main"])[0]
    value, high = row["fd_pixels"], row["fd_pixels_high"]
    assert isinstance(value, float) and isinstance(high, float)
    near = edited(elsewhere(made), "main", 0, fd_pixels=value + 0.25 * (high - value))
    assert run(record, near, tmp_path / "temporary") == 0
    said = capsys.readouterr().out
    assert "compared with tolerances, not byte by byte" in said and f"recorded on {verify.where(made)}" in said
    assert "half-widths" in said and "within the tolerances" in said and "vae fd_pixels" in said
    assert "bit-equal" not in said
    far = edited(elsewhere(made), "main", 0, fd_pixels=value + 3 * (high - value))
    assert run(record, far, tmp_path / "temporary") == 1
    said = capsys.readouterr().out
    assert "outside the tolerances: 1, of" in said and "times what is allowed" in said
    other = with_jobs(made, lambda job: {"versions": job["versions"] | {"torch": "9.9.9"}})
    assert run(record, other, tmp_path / "temporary") == 0
    assert "torch 9.9.9: compared with tolerances" in capsys.readouterr().out


def tables(made: Snapshot) -> dict[str, Any]:
    return {name: from_csv(text) for name, text in made.tables.items()}


def test_what_no_rounding_explains_is_outside_any_tolerance(made: Snapshot) -> None:
    before = tables(made)
    assert not tolerance.judge(before, before).failed
    for cells in ({"status": "diverged"}, {"parameters": 1}, {"elbo": None}):
        outside = tolerance.judge(before, tables(edited(made, "main", 0, **cells))).outside
        assert [row["verdict"] for row in outside] == ["not allowed"], cells
    judged = tolerance.judge(before, {**before, "main": before["main"][1:]})
    assert [(row["row"], row["verdict"]) for row in judged.outside] == [("vae", "only in A")]


def battle(r_sample: float, winner: str) -> dict[str, Any]:
    bounds = {"r_sample_low": r_sample / 1.1, "r_sample_high": r_sample * 1.1, "r_test_low": 0.99, "r_test_high": 1.01}
    return {"model_1": "a", "model_2": "b", "r_test": 1.0, "r_sample": r_sample, **bounds, "winner": winner}


def test_a_winner_may_differ_only_where_its_ratios_may_cross_what_decides_it() -> None:
    close, clear = battle(0.95, "a"), battle(0.2, "a")
    assert not tolerance.judge({"battles": [close]}, {"battles": [close | {"winner": "b"}]}).failed
    (outside,) = tolerance.judge({"battles": [clear]}, {"battles": [clear | {"winner": "b"}]}).outside
    assert (outside["column"], outside["verdict"]) == ("winner", "not allowed")


def test_reference_rows_are_held_closer_than_trained_ones() -> None:
    def row(model: str, value: float) -> dict[str, Any]:
        return {"model": model, "copying": value, "copying_low": 0.4, "copying_high": 0.6}

    found = {
        model: tolerance.judge({"main": [row(model, 0.5)]}, {"main": [row(model, 0.53)]}).failed
        for model in ("real", "vae")
    }
    assert found == {"real": True, "vae": False}


# --- mistakes, and recording again ------------------------------------------------------------------------------


def test_no_record_or_one_of_another_budget_is_one_line(made: Snapshot, record: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"provenance\.json: not found; .*verify --record"):
        verify.run(words(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="recorded at budget tiny, expected smoke; give --budget tiny"):
        verify.run(words(record, "--budget", "smoke"))
    (record / "provenance.json").write_text("{}")
    with pytest.raises(UserError, match="not a readable record"):
        verify.run(words(record))


def test_recording_again_says_what_changed(
    made: Snapshot, record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = edited(made, "main", 0, n_fake=7)
    assert run(record, after, tmp_path / "temporary", "--record") == 0
    said = capsys.readouterr().out
    assert "tiny tables recorded on" in said and "vae" in said and "n_fake" in said
    assert verify.read_record(words(record)).records == after.records


def test_a_run_that_fails_leaves_no_folder(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Snapshot:
        raise UserError("the tables could not be made")

    monkeypatch.setattr(verify, "recompute", fails)
    monkeypatch.setattr(verify.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(UserError, match="could not be made"):
        verify.run(words(record))
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("model name\t: AMD EPYC\ncpu family\t: 26\nmodel\t\t: 2\nflags\t\t: fpu avx2 fma avx\n\nmodel name\t: X\n",
         "AMD EPYC (family 26, model 2; avx avx2 fma; "),
        ("CPU part\t: 0xd40\nFeatures\t: asimd sve\n", "0xd40 (asimd sve; "),
    ],
)  # fmt: skip
def test_a_cpu_is_named_by_what_decides_its_bits(tmp_path: Path, cpuinfo: str, expected: str) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    assert machine.cpu_model(file).startswith(expected)
    assert machine.cpu_model(tmp_path / "none"), "elsewhere than on Linux it has a name too"


def test_raw_files_fetched_here_serve_as_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    environment: Callable[[str], dict[str, str]] = verify._environment
    assert "DATA_MIRROR" not in environment("mnist")
    (tmp_path / "data/raw/mnist").mkdir(parents=True)
    (tmp_path / "data/raw/mnist/fetched.json").write_text("{}")
    assert environment("mnist")["DATA_MIRROR"] == str(tmp_path / "data/raw")
