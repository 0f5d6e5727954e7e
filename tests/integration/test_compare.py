"""Comparing two sets of results: rows and verdicts, params and code, folders and real Git and DVC revisions."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench import made_up
from pipeline import cli
from pipeline.battles.matrix import MATRIX_COLUMNS
from pipeline.battles.standings import STANDINGS_COLUMNS
from pipeline.battles.verdicts import BATTLE_COLUMNS
from pipeline.core import artifacts, folders
from pipeline.core.errors import UserError
from pipeline.tables import main_columns, seeds_columns, to_csv
from pipeline.tables.comparison import INTERVAL_ALONE, NO_INTERVAL, OUTSIDE, WITHIN, changed_rows
from pipeline.workflow import layout, provenance, snapshots
from tests.conftest import BIN, Run, plan_of, run

METRICS = ("fd_classifier", "copying")
Rows = dict[str, list[dict[str, Any]]]


def tables() -> Rows:
    """Tables in the columns of the real ones: two models and what real images get."""
    standing = dict.fromkeys(STANDINGS_COLUMNS) | {"model": "dcgan", "rating": 1600.0, "judged": 1}
    return {
        "main": [model_row("draw", 12.0), model_row("dcgan", 9.0), model_row("real", 1.0) | {"status": None}],
        "seeds": [{"model": "draw", "seed": 0, "fd_classifier": 12.0}],
        "battles": [{"model_1": "dcgan", "model_2": "gran3", "r_sample": 0.5, "winner": "dcgan"}],
        "judges": [{"judge": "dcgan", "contestant": "draw", "error": 0.25}],
        "standings": [standing, standing | {"model": "draw", "rating": 1400.0}],
    }


def model_row(model: str, fd: float) -> dict[str, Any]:
    bounds = {"fd_classifier_low": fd - 1, "fd_classifier_high": fd + 1}
    return {"model": model, "seeds": 1, "fd_classifier": fd, **bounds, "copying": 0.5, "status": "ok"}


def columns(table: str) -> tuple[str, ...]:
    known = {"battles": BATTLE_COLUMNS, "judges": MATRIX_COLUMNS, "standings": STANDINGS_COLUMNS}
    return known[table] if table in known else {"main": main_columns, "seeds": seeds_columns}[table](METRICS)


def write(folder: Path, rows: Rows, *, recorded: bool = True, **of_draw: Any) -> Path:
    """A results folder with these tables, and with the records of their job and of a trained DRAW."""
    for table, pattern in snapshots.TABLES.items():
        artifacts.write_text(folder / pattern.format(dataset="mnist"), to_csv(rows[table], columns(table)))
    if recorded:
        training = "results/store/mnist/train/draw/0/2222222222222222"
        artifacts.write_json(folder / training / layout.RECORD, made("train", **of_draw) | {"hash": "2" * 16})
        inputs = {f"{training}/training.json": "2" * 16}
        main = folder / snapshots.TABLES["main"].format(dataset="mnist")
        files = {"table.csv": {"bytes": main.stat().st_size, "sha256": artifacts.sha256(main)}}
        record = made("tables") | {"inputs": inputs, "files": files}
        artifacts.write_json(folder / snapshots.RECORD.format(dataset="mnist"), record)
    return folder


def made(stage: str, glimpses: int = 10, code: str = "aaaa", torch: str = "2.15.0") -> dict[str, Any]:
    """A record."""
    model = {"model": "draw", "seed": 0, "arguments": {"glimpses": glimpses, "hidden": 256}} if stage == "train" else {}
    return {
        "hash": "1" * 16,
        "stage": stage,
        "wildcards": {"dataset": "mnist", **({"model": "draw", "seed": 0} if model else {})},
        "config": {"dataset": "mnist", **model},
        "modules": {f"pipeline.stages.{stage}": "cccc", **({"pipeline.models.draw": code} if model else {})},
        "versions": {"torch": torch},
        "inputs": {},
        "files": {},
        "device": "cpu",
    }


def compare(folder: Path, *words: object) -> Run:
    """`python -m pipeline compare ...` in a folder, by this process."""
    told, complaint, code = io.StringIO(), io.StringIO(), 0
    with contextlib.chdir(folder), contextlib.redirect_stdout(told), contextlib.redirect_stderr(complaint):
        try:
            cli.main(["compare", *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
    return Run([], code, told.getvalue(), complaint.getvalue())


def said(folder: Path, *words: object) -> str:
    done = compare(folder, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(folder: Path, *words: object) -> str:
    """The one line of a mistake."""
    done = compare(folder, *words)
    assert done.returncode == 1 and "Traceback" not in done.stderr and not done.stdout
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("easel: reading")]
    return line


# --- rows ---------------------------------------------------------------------------------------------------------


DRAW = model_row("draw", 12.0)


@pytest.mark.parametrize(
    ("after", "verdicts"),
    [
        *[(model_row("draw", fd), {"fd_classifier": WITHIN}) for fd in (11.0, 12.5, 13.0)],
        *[(model_row("draw", fd), {"fd_classifier": OUTSIDE}) for fd in (10.5, 13.5)],
        (DRAW | {"fd_classifier": 20.0, "fd_classifier_low": 5.0}, {"fd_classifier": WITHIN}),
        (DRAW | {"fd_classifier_low": 10.0}, {"fd_classifier": INTERVAL_ALONE}),
        (DRAW | {"copying": 0.75, "status": "collapsed"}, {"copying": NO_INTERVAL, "status": "changed"}),
        (DRAW | {"copying": None}, {"copying": "changed"}),
    ],
)
def test_a_change_is_outside_where_each_value_lies_outside_the_others_interval(
    after: dict[str, Any], verdicts: dict[str, str]
) -> None:
    changes = changed_rows("main", [DRAW], [after])
    assert {change["column"]: change["verdict"] for change in changes} == verdicts
    for change in changes:
        column = str(change["column"])
        assert (change["row"], change["a"], change["b"]) == ("draw", DRAW[column], after[column])
        both = [side[column] for side in (DRAW, after) if isinstance(side[column], float)]
        assert change.get("difference") == (both[1] - both[0] if len(both) == 2 else None), "no cell is taken for 0"
        assert change["b_low"] == after.get(f"{column}_low")


def test_rows_and_columns_that_one_side_has_alone() -> None:
    a, b = [model_row("draw", 1.0), model_row("vae", 2.0)], [model_row("draw", 1.0) | {"kid": 1.0, "kid_low": 0.5}]
    found = [(change["row"], change["column"], change["verdict"]) for change in changed_rows("main", a, b)]
    assert found == [("vae", "(row)", "only in A"), ("(column)", "kid", "only in B")]


# --- folders ------------------------------------------------------------------------------------------------------


SAME = "params, code and versions are the same (by the records of the results)"


@pytest.mark.parametrize(
    ("code", "made_by"), [("aaaa", [SAME]), ("bbbb", ["code:", "  pipeline/models/draw.py (train)"])]
)
def test_equal_tables_are_said_to_be_and_whether_the_same_code_made_them(
    tmp_path: Path, code: str, made_by: list[str]
) -> None:
    write(tmp_path / "a", tables())
    b = write(tmp_path / "b", tables(), code=code)
    lines = said(tmp_path, "a", b / "results").splitlines()
    assert lines[2].startswith("byte-equal: 5 tables") and lines[3:] == ["", *made_by]


def test_what_changed_and_what_made_it_change(tmp_path: Path) -> None:
    after = tables()
    after["main"][0] = model_row("draw", 15.0)
    after["battles"][0] |= {"winner": "gran3", "r_sample": 2.0}
    after["standings"].reverse()
    write(tmp_path / "a", tables())
    write(tmp_path / "b", after, glimpses=20, torch="2.16.0")
    text = said(tmp_path, "a", "b")
    squeezed = " ".join(text.split())
    assert "draw fd_classifier 12 [11, 13] 15 [14, 16] +3 outside the intervals" in squeezed
    assert "main table: 1 of 11 cells differ, 1 outside the intervals" in squeezed
    assert "intervals show the variation between images, not between trainings" in squeezed
    assert "dcgan gran3 winner dcgan gran3 changed" in squeezed
    assert "dcgan place 1 2 +1" in squeezed
    assert "draw: arguments.glimpses 10 -> 20 (train)" in text and "hidden" not in text
    assert "versions:\n  torch 2.15.0 -> 2.16.0 (train)\n" in text, "the tables' own record stayed"
    assert "code:" not in text


def test_every_table_and_column_is_printed_when_asked_for(tmp_path: Path) -> None:
    after = tables()
    after["battles"][0]["gap_1"] = 0.25
    after["seeds"][0]["fd_classifier"] = 15.0
    write(tmp_path / "a", tables())
    write(tmp_path / "b", after)
    text, everything = (said(tmp_path, "a", "b", *words) for words in ((), ("--all",)))
    assert "  and 1 changes in other columns: --all prints them" in text and "gap_1" not in text
    assert "gap_1" in everything and "seeds: 1 of 1 cells differ" in everything and "--all" not in everything


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    table = write(tmp_path / "a", tables()) / "results/tables/mnist.csv"
    (tmp_path / "empty").mkdir()
    assert "no mnist.csv in it" in refused(tmp_path, "a", "empty")
    table.write_text("model\nvae\n")
    assert "damaged or edited" in refused(tmp_path, "a", "a")
    table.with_suffix(".json").unlink()
    table.write_text("name,value\nx,1\n")
    assert "its main table has no column model" in refused(tmp_path, "a", "a")


def test_another_budget_or_number_of_seeds_or_images_is_the_first_line(tmp_path: Path) -> None:
    after = tables()
    after["main"][0] |= {"seeds": 5, "n_fake": 200}
    write(tmp_path / "a", tables(), glimpses=10)
    write(tmp_path / "b", after)
    first, *_ = said(tmp_path, "a", "b").splitlines()
    assert first == "NOT COMPARABLE: seeds 1 against 1 and 5; n_fake none against 200"
    for name, steps in (("c", 60), ("d", 6000)):
        (record,) = write(tmp_path / name, tables()).glob("results/store/mnist/train/draw/0/*/job.json")
        content = artifacts.read_json(record)
        content["config"]["training"] = {"steps": steps}
        artifacts.write_json(record, content)
    first, *_ = said(tmp_path, "c", "d").splitlines()
    assert first == "NOT COMPARABLE: training.steps 60 against 6,000 (draw)"


def test_the_same_is_said_only_of_what_both_sides_prove(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", tables()), write(tmp_path / "b", tables())
    shutil.rmtree(b / "results/store")
    (a / "results/tables/mnist_battles.csv").unlink()
    (b / "results/tables/mnist_battles.csv").unlink()
    text = said(tmp_path, "a", "b")
    assert "b lacks the records of 1 jobs" in text
    shutil.copy(a / "results/tables/mnist.json", b / "results/tables/mnist.json")
    (b / "results/tables/mnist_standings.csv").unlink()
    text = said(tmp_path, "a", "b")
    assert "standings: not compared, it is missing in b" in text
    assert "battles: not compared, it is missing in a and b" in text


def test_the_folder_of_the_tables_is_read_with_its_records(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", tables())
    whole, part = (snapshots.read(str(of), "mnist") for of in (folder, folder / "results/tables"))
    assert part.records == whole.records != []
    with (folder / "results/tables/mnist.csv").open("a") as stream:
        stream.write("x\n")
    with pytest.raises(UserError, match="damaged or edited"):
        snapshots.read(str(folder / "results/tables"), "mnist")


def test_another_data_set_is_named(tmp_path: Path) -> None:
    place = write(tmp_path / "a", tables(), recorded=False) / "results/tables"
    for path in list(place.iterdir()):
        path.rename(path.with_name(path.name.replace("mnist", "cifar10")))
    assert "byte-equal: 5 tables" in said(tmp_path, "a", "a", "--dataset", "cifar10")
    assert "no mnist.csv in it" in refused(tmp_path, "a", "a")


# --- provenance ---------------------------------------------------------------------------------------------------


def test_what_the_tables_were_not_made_from_does_not_count(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", tables())
    other = folder / "results/store/mnist/train/draw/0/3333333333333333" / layout.RECORD
    artifacts.write_json(other, made("train", glimpses=99))
    shot = snapshots.read(str(folder), "mnist")
    glimpses = [job["config"]["arguments"]["glimpses"] for job in shot.records if job["stage"] == "train"]
    assert glimpses == [10]


def test_what_publish_writes_is_read_by_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records of a plan's jobs, as `publish` puts them beside tables, by the two commands' own code."""
    from pipeline.commands import publish as command

    monkeypatch.chdir(tmp_path)
    plan = plan_of("budget=tiny")
    made_up.make(plan)
    records = command.current(plan, "mnist")
    files = dict(command.small(plan, "mnist"))
    assert {"mnist.csv", "mnist.md", "mnist_battles.csv"} <= set(files) and "mnist.json" not in files
    assert files["mnist.csv"].read_bytes() == Path(plan.job("tables", "mnist").outputs["table"]).read_bytes()
    assert all(path.suffix == ".png" for name, path in files.items() if name.startswith("figures/"))
    published = tmp_path / "published"
    folders.replace(published, {name: path.read_bytes() for name, path in files.items()})
    artifacts.write_json(published / "provenance.json", command.provenance(plan, "mnist", records))
    assert snapshots.read(str(published), "mnist").records == list(records.values())
    (published / "mnist_judges.csv").write_text("edited")
    with pytest.raises(UserError, match=r"mnist_judges\.csv: damaged or edited"):
        snapshots.read(str(published), "mnist")


def test_a_change_that_models_share_is_one_and_what_one_side_lacks_has_a_sign() -> None:
    a = [made("train") | {"wildcards": {"model": model}} for model in ("draw", "vae")]
    b = [made("train", glimpses=20) | {"wildcards": {"model": model}} for model in ("draw", "vae", "dcgan")]
    b[1]["modules"] = {"pipeline.models.vae": "dddd"}
    changes = provenance.between(a, b)
    assert {str(change): [job["wildcards"]["model"] for job in jobs] for change, jobs in changes.items()} == {
        "arguments.glimpses 10 -> 20": ["draw", "vae"],
        "- pipeline/models/draw.py": ["vae"],
        "+ pipeline/models/vae.py": ["vae"],
        "- pipeline/stages/train.py": ["vae"],
    }


# --- revisions ----------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    own = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, each with its published tables."""
    folder = tmp_path / "repository"
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    after = tables()
    after["main"][0] = model_row("draw", 15.0)
    for rows in (tables(), after):
        publish(folder, rows)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "results")
    return folder


def publish(folder: Path, rows: Rows) -> None:
    """Tables where `make publish` puts them."""
    place = folder / "results/published/mnist"
    place.mkdir(parents=True, exist_ok=True)
    for table, pattern in snapshots.TABLES.items():
        (place / Path(pattern.format(dataset="mnist")).name).write_text(to_csv(rows[table], columns(table)))


def test_two_revisions_through_their_published_tables(repository: Path) -> None:
    text = said(repository, "HEAD~1", "main")
    squeezed = " ".join(text.split())
    assert "results/published/mnist at" in text
    assert "draw fd_classifier 12 [11, 13] 15 [14, 16] +3 outside the intervals" in squeezed
    assert "params and code not compared: no records in results/published/mnist at" in text
    assert "byte-equal" in said(repository, "HEAD", "main")


def test_published_provenance_says_what_made_the_tables(repository: Path) -> None:
    for torch in ("2.15.0", "2.16.0"):
        document = {"jobs": [made("train", torch=torch)]}
        (repository / "results/published/mnist/provenance.json").write_text(json.dumps(document))
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", torch)
    text = said(repository, "HEAD~1", "HEAD")
    assert "byte-equal" in text and "versions:\n  torch 2.15.0 -> 2.16.0 (train)\n" in text
    assert "not compared" not in text


def test_tables_that_were_published_before_version_0_2_0_are_found(repository: Path) -> None:
    git(repository, "mv", "results/published", "docs")
    (repository / "docs").rename(repository / "older")
    (repository / "docs").mkdir()
    (repository / "older").rename(repository / "docs/results")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "as it was")
    shot = read_head(repository)
    assert shot.origin.startswith("docs/results/mnist at") and set(shot.tables) == set(snapshots.TABLES)


def test_a_folder_against_a_revision(repository: Path) -> None:
    write(repository, tables())
    text = said(repository, "HEAD", ".")
    assert "draw" in text and "-3" in text
    assert "no records in results/published/mnist at" in text


def test_a_revision_without_results_or_that_is_none_says_what_was_looked_for(repository: Path) -> None:
    git(repository, "rm", "-rq", "results")
    git(repository, "commit", "-q", "-m", "nothing published")
    line = refused(repository, "HEAD", "HEAD~1")
    assert "results/tables/mnist.csv" in line and "results/published/mnist/mnist.csv" in line
    assert "in Git and, by its dvc.lock, in DVC's cache and remote" in line and "`make publish`" in line
    assert "neither a folder nor a Git revision" in refused(repository, "HEAD~1", "no-such-branch")
    assert "neither a folder nor a Git revision" in refused(repository, "--", "HEAD~1", "--help")


@pytest.mark.workflow
def test_a_revision_through_dvc(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and records come from DVC's cache, before what is published; a cache that lost them falls back."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    dvc(repository, "init", "-q")
    rows = tables()
    rows["main"][1] = model_row("dcgan", 99.0)
    write(repository, rows, glimpses=30)
    outs = [f"results/tables/{path.name}" for path in (repository / "results/tables").iterdir()]
    words = [word for out in [*outs, "results/store/mnist"] for word in ("-o", out)]
    dvc(repository, "stage", "add", "-q", "-n", "compare", *words, "true")
    dvc(repository, "commit", "-q", "-f")
    (repository / ".gitignore").write_text("results/\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "versioned")
    shutil.rmtree(repository / "results")
    shot = read_head(repository)
    assert shot.origin.startswith("results/tables at")
    assert "dcgan,1,,,99" in shot.tables["main"] and set(shot.tables) == set(snapshots.TABLES)
    assert [job["config"]["arguments"]["glimpses"] for job in shot.records if job["stage"] == "train"] == [30]
    shutil.rmtree(repository / ".dvc/cache")
    shot = read_head(repository)
    assert shot.origin.startswith("results/published/mnist at") and "99" not in shot.tables["main"]


def dvc(folder: Path, *words: str) -> None:
    done = run([str(BIN / "dvc"), *words], folder, DVC_NO_ANALYTICS="1")
    assert done.returncode == 0, done.stderr


def read_head(folder: Path) -> snapshots.Snapshot:
    with contextlib.chdir(folder):
        return snapshots.read("HEAD", "mnist")
