"""Which data sets the report shows: content decides, and no other data set is ever computed for its sake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import layout, params, report_inputs, snakefile
from pipeline.workflow.plan import Job, Plan
from tests.conftest import ROOT


def plan(report: object = "current", **changes: object) -> Plan:
    """params.yaml at the tiny budget with a second and a third data set that are MNIST by other names."""
    config = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = config["datasets"]["mnist"]
    config["datasets"] = {"mnist": block, "letters": {**block, "split_seed": 1}, "faces": {**block, "split_seed": 2}}
    config["models"]["vae"].update(changes)
    return Plan(params.check({**config, "budget": "tiny", "report": report}))


def make(job: Job) -> None:
    """Put files with a job's stamp where it leaves its own."""
    for path in map(Path, job.outputs.values()):
        artifacts.write_text(path, "made")
        artifacts.write_stamp(path, job.identity)


def make_all(made: Plan, dataset: str) -> None:
    for job in report_inputs.closure(made.job("summary", dataset)):
        make(job)


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
    assert report_inputs.datasets(plan(), ["mnist"]) == ["mnist", "letters"]


@pytest.mark.parametrize("pattern", [layout.TABLE, layout.TRACKED, layout.STANDINGS])
def test_results_of_which_a_file_is_missing_are_not_current(pattern: str) -> None:
    make_all(plan(), "letters")
    layout.path(pattern, dataset="letters").unlink()
    assert report_inputs.datasets(plan(), ["mnist"]) == ["mnist"]


@pytest.mark.parametrize("pattern", [layout.TABLE, layout.TRAIN, layout.CLASSIFIER])
def test_results_of_which_a_file_is_damaged_are_not_current_for_snakemake_would_make_it_again(pattern: str) -> None:
    make_all(plan(), "letters")
    path = layout.path(pattern, dataset="letters")
    before = path.stat()
    path.write_text("mode")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert report_inputs.datasets(plan(), ["mnist"]) == ["mnist"]


def test_a_file_that_nothing_reads_any_more_may_be_gone() -> None:
    make_all(plan(), "letters")
    layout.path(layout.TRAIN, dataset="letters").unlink()
    assert report_inputs.datasets(plan(), ["mnist"]) == ["mnist", "letters"]


def test_the_report_reads_files_of_its_own_data_sets_alone_and_each_once() -> None:
    for names in (["mnist"], ["mnist", "faces"]):
        job = plan(names).job("report")
        assert {Path(path).parts[2].split(".")[0].split("_")[0] for path in job.reads} == set(names)
        assert len(set(job.reads)) == len(job.reads)
        assert all(source.path == source.job.outputs[source.output] for source in job.sources)
        assert job.outputs == {"page": "results/report.html"} and job.wildcards == {}


def test_every_figure_of_a_data_set_is_read() -> None:
    made = plan()
    figures = {
        path
        for job in report_inputs.closure(made.job("summary", "mnist"))
        for path in job.outputs.values()
        if path.startswith("results/figures/")
    }
    assert len(figures) > 15 and figures <= set(made.job("report").reads)


def test_another_data_sets_trouble_is_not_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan()

    def trouble(of: Plan, dataset: str) -> list[tuple[str, int]]:
        if dataset == "letters":
            raise UserError("letters cannot be planned")
        return []

    monkeypatch.setattr(Plan, "runs", trouble)
    assert not report_inputs.is_current(made, "letters")


def test_its_identity_follows_the_page_and_the_captions_and_not_other_data_sets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = plan(["mnist"]).job("report").identity
    assert plan(["mnist"]).job("report").identity == before
    assert plan(["mnist", "faces"]).job("report").identity != before
    captions = tmp_path / "captions"
    captions.mkdir()
    (captions / "samples.rst").write_text("**Samples.** Others.")
    monkeypatch.setattr(report_inputs, "CAPTIONS", captions)
    assert plan(["mnist"]).job("report").identity != before


@pytest.mark.parametrize(
    ("targets", "asked"),
    [
        ([], ["mnist"]),
        (["mnist"], ["mnist"]),
        (["results/report.html"], []),
        (["results/tables/letters.csv", "results/report.html"], ["letters"]),
        (["results/tables/letters_standings.csv"], ["letters"]),
        (["results/metrics/faces/vae/0.json", "results/summary/mnist.txt"], ["mnist", "faces"]),
        (["results/tables/nowhere.csv"], []),
    ],
)
def test_what_is_asked_for_is_read_from_the_targets(targets: list[str], asked: list[str]) -> None:
    assert snakefile.asked_for(plan(), targets) == asked


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
