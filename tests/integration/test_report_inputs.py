"""Which data sets the report shows: content decides, and no other data set is ever computed for its sake."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bench import made_up
from pipeline import snakefile
from pipeline.core.errors import UserError
from pipeline.workflow import layout, params, report_inputs, staleness
from pipeline.workflow.plan import Plan
from tests.conftest import ROOT


def plan(report: object = "current", **changes: object) -> Plan:
    """params.yaml at the tiny budget with a second and a third data set that are MNIST by other names."""
    config = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = config["datasets"]["mnist"]
    config["datasets"] = {"mnist": block, "letters": {**block, "split_seed": 1}, "faces": {**block, "split_seed": 2}}
    config["models"]["vae"].update(changes)
    return Plan(params.check({**config, "budget": "tiny", "report": report}))


def make_all(made: Plan, dataset: str) -> None:
    for job in staleness.jobs_of(made, dataset).values():
        made_up.write(job)
    table = layout.path(layout.TABLE, dataset=dataset)
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("a view")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_where_nothing_is_there_it_is_what_was_asked_for_else_the_first() -> None:
    assert report_inputs.datasets(plan()) == ["mnist"]
    assert report_inputs.datasets(plan(), ["faces"]) == ["faces"]
    assert report_inputs.datasets(plan(), ["faces", "letters"]) == ["letters", "faces"]


def test_current_results_stay_in_the_report_and_stale_ones_leave_it() -> None:
    make_all(plan(), "letters")
    assert report_inputs.datasets(plan()) == ["letters"]
    assert report_inputs.datasets(plan(), ["mnist"]) == ["mnist", "letters"]
    assert report_inputs.datasets(plan(hidden=399), ["mnist"]) == ["mnist"], "its VAE is another now"
    shutil.rmtree(plan().job("references", "letters").folder)
    assert report_inputs.datasets(plan(), ["mnist"]) == ["mnist", "letters"], "nothing reads it any more"


@pytest.mark.parametrize(("stage", "output"), [("tables", "table"), ("track", "tracked"), ("prepare", "test")])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("cut")])
def test_results_of_which_a_file_is_missing_or_cut_are_not_current(
    stage: str, output: str, damage: Callable[[Path], object]
) -> None:
    make_all(plan(), "letters")
    damage(Path(plan().job(stage, "letters").outputs[output]))
    assert report_inputs.datasets(plan(), ["mnist"]) == ["mnist"]


def test_the_report_reads_files_of_its_own_data_sets_alone_and_each_once() -> None:
    for names in (["mnist"], ["mnist", "faces"]):
        job = plan(names).job("report")
        assert {source.job.wildcards["dataset"] for source in job.sources} == set(names)
        assert len(set(job.reads)) == len(job.reads)
        assert all(source.path == source.job.outputs[source.output] for source in job.sources)
        assert set(job.outputs) == {"page", "job"} and job.wildcards == {}


def test_every_job_that_draws_is_read() -> None:
    made = plan()
    jobs = staleness.jobs_of(made, "mnist").values()
    drawing = {job.folder for job in jobs if job.stage in ("figures", "gallery", "canvases")}
    assert len(drawing) > 3 and drawing <= {Path(path).parent for path in made.job("report").reads}


def test_another_data_sets_trouble_is_not_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan()

    def trouble(of: Plan, dataset: str) -> list[tuple[str, int]]:
        if dataset == "letters":
            raise UserError("letters cannot be planned")
        return []

    monkeypatch.setattr(Plan, "runs", trouble)
    assert not report_inputs.is_current(made, "letters")


def test_its_hash_follows_the_page_and_the_captions_and_not_other_data_sets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = plan(["mnist"]).job("report").hash
    assert plan(["mnist"]).job("report").hash == before
    assert plan(["mnist", "faces"]).job("report").hash != before
    captions = tmp_path / "captions"
    captions.mkdir()
    (captions / "samples.rst").write_text("**Samples.** Others.")
    monkeypatch.setattr(report_inputs, "CAPTIONS", captions)
    assert plan(["mnist"]).job("report").hash != before


@pytest.mark.parametrize(
    ("targets", "asked"),
    [
        ([], ["mnist"]),
        (["mnist"], ["mnist"]),
        (["results/report.html"], []),
        (["results/tables/letters.csv", "results/report.html"], ["letters"]),
        (["results/tables/letters_standings.csv"], ["letters"]),
        (["results/figures/faces", "results/summary/mnist.txt"], ["mnist", "faces"]),
        (["results/tables/nowhere.csv"], []),
    ],
)
def test_what_is_asked_for_is_read_from_the_targets(targets: list[str], asked: list[str]) -> None:
    assert snakefile.datasets_of(plan(), targets) == asked


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (["mnits"], ["report: unknown data set 'mnits'", "did you mean 'mnist'?"]),
        ("mnist", ["report: found 'mnist'", "expected a list of data sets, or current"]),
        ([], ["report: found []", "expected a list of data sets"]),
    ],
)
def test_a_mistake_in_params_yaml_is_one_line(report: object, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        plan(report)
    assert all(word in str(error.value) for word in words), error.value


def test_params_yaml_may_name_them_and_then_they_are_it() -> None:
    make_all(plan(), "letters")
    assert report_inputs.datasets(plan(["faces"]), ["mnist"]) == ["faces"]
