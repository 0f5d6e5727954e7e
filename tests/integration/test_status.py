"""`python -m pipeline status`: what is stale and why, in words, and the same jobs that Snakemake would run."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import made_up
from pipeline import cli as cli
from pipeline.core import artifacts
from pipeline.runtime import job_context
from pipeline.snakefile import Workflow
from pipeline.workflow import job_hash, layout, overrides
from pipeline.workflow.staleness import jobs_of, look
from tests.conftest import BIN, ROOT, plan_of, run, told
from tests.integration.conftest import Lines

TINY = "budget=tiny"


@pytest.fixture
def status(lines: Lines) -> Lines:
    """The lines that the command prints at the tiny budget."""
    return functools.partial(lines, "status")


@pytest.fixture
def other_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make results as if some modules or libraries were others than they are now."""

    def make(modules: tuple[str, ...] = (), versions: dict[str, str] | None = None) -> None:
        digest, version = job_hash.module_digest, job_hash.version
        with monkeypatch.context() as patch:
            patch.setattr(job_hash, "module_digest", lambda name: "0" * 16 if name in modules else digest(name))
            patch.setattr(job_hash, "version", lambda name: (versions or {}).get(name) or version(name))
            forget()
            made_up.make(overrides.plan([TINY]))
        forget()

    yield make
    forget()


def forget() -> None:
    job_hash.closure_digest.cache_clear()
    job_hash.library_versions.cache_clear()


def plan(*words: str) -> made_up.Plan:
    return plan_of(TINY, *words)


# --- nothing, everything ----------------------------------------------------------------------------------------


def test_nothing_made_yet_is_one_line_and_what_to_type(status: Lines) -> None:
    first, last = status("--cores", "8")
    assert first == "mnist: nothing made yet, 23 jobs to do (tiny budget, 3 models, 1 seed)"
    assert re.fullmatch(
        r"  to do: 23 jobs, about \d+ (s|min) on 8 cores: "
        r"\S*bin/snakemake --cores 8 results/summary/mnist.txt --config budget=tiny",
        last,
    )


def test_with_the_files_own_settings_it_is_a_target_of_make(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["status"])
    assert capsys.readouterr().out.splitlines()[-1].endswith(": make mnist")
    cli.main(["status", "--dataset", "cifar10", "--cores", "3"])
    assert capsys.readouterr().out.splitlines()[-1].endswith(" on 3 cores: make table DATASET=cifar10 CORES=3")


@pytest.mark.parametrize(
    ("words", "minutes", "cores"), [((), 8, 3), (("--cores", "5"), 5, 5), (("--cores", "0"), 0, 0)]
)
def test_time_and_command_are_for_the_cores_of_the_run(
    status: Lines, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], minutes: int, cores: int
) -> None:
    monkeypatch.setenv("EASEL_CORES", "3")
    monkeypatch.setattr("pipeline.workflow.estimate.seconds", lambda *_: 60.0)
    with contextlib.nullcontext() if cores else pytest.raises(SystemExit):
        last = status(*words)[-1]
        words = f"  to do: 23 jobs, about {minutes} min on {cores} cores: "
        assert last.startswith(words) and f"/snakemake --cores {cores} results/" in last, last


def test_all_done_is_one_line(status: Lines) -> None:
    made_up.make(plan())
    assert status("--check") == ["mnist: all 23 jobs are done (tiny budget, 3 models, 1 seed)"]


def test_a_report_that_is_missing_or_of_other_results_is_told_once_the_rest_is_done(status: Lines) -> None:
    made_up.make(plan())
    plan().job("report").folder.joinpath("report.html").unlink()
    about, report = status()
    assert about.startswith("mnist: all 23 jobs are done")
    assert report.startswith("report: results/report.html is not current")
    made_up.write(plan().job("report"))
    assert len(status("--check")) == 1
    plan().job("report").folder.joinpath("job.json").write_text("{}")
    with pytest.raises(SystemExit, match="1"):
        status("--check")


def test_check_ends_with_one_where_something_is_to_do(status: Lines) -> None:
    with pytest.raises(SystemExit, match="1"):
        status("--check")


def test_an_unknown_data_set_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "status", "--dataset", "mnits")
    assert "unknown data set 'mnits'; did you mean 'mnist'?" in line


# --- why --------------------------------------------------------------------------------------------------------


def test_a_parameter_is_told_once_with_its_model_and_both_values(status: Lines) -> None:
    made_up.make(plan("models.draw_gan.glimpses=10"))
    lines = status("--set", "models.draw_gan.glimpses=20")
    assert lines[0].startswith("mnist: 11 of 23 jobs are done")
    assert lines[1:3] == [
        "  changed",
        "    draw_gan: params changed: arguments.glimpses 10 -> 20 (train, sample, battle)",
    ]
    assert lines[3] == "    params changed: models.draw_gan.arguments.glimpses 10 -> 20 (track)"
    follows = "evaluate, battle, standings, tables, gallery, figures, canvases, summary"
    assert lines[4] == f"    and jobs that depend on these, 8 jobs: {follows}"
    assert len(lines) == 6


def test_what_depends_on_fewer_stages_is_told_apart(status: Lines) -> None:
    made_up.make(plan("models.vae.hidden=10", "models.vae.batch=7"))
    lines = status("--set", "models.vae.hidden=10", "--set", "models.vae.batch=8")
    assert lines[2] == "    vae: params changed: training.batch 7 -> 8 (train)"


def test_a_setting_of_the_comparison_is_told_for_every_stage_that_has_it(status: Lines) -> None:
    made_up.make(plan("protocol.samples=100"))
    lines = status("--set", "protocol.samples=2000")
    assert "    params changed: n 100 -> 2,000 (references)" in lines
    assert "    vae: params changed: n 100 -> 2,000 (sample, evaluate)" in lines


def test_a_model_more_is_made_and_what_compares_follows(status: Lines) -> None:
    made_up.make(plan("datasets.mnist.models=[vae, gran3]"))
    lines = status()
    assert any("params changed: runs " in line for line in lines)
    assert lines[lines.index("  not made yet") + 1] == "    train, sample, evaluate, battle, canvases"


def test_an_edited_model_names_its_file_and_its_model(status: Lines, other_code: Callable[..., None]) -> None:
    other_code(modules=("pipeline.models.gran",))
    lines = status("--set", "models.vae.hidden=9")
    changed = "    vae: params changed: arguments.hidden [400] -> [9] (train, sample, evaluate)"
    assert {changed, "    code changed: pipeline/models/gran.py (train, sample, battle)"} <= set(lines)
    needed = sum(item.needed for item in look(plan("models.vae.hidden=9"), "mnist").values())
    assert lines[0].startswith(f"mnist: {23 - needed} of 23 jobs"), "each job counts once"


def test_an_edited_metric_names_its_file_and_the_measurements(status: Lines, other_code: Callable[..., None]) -> None:
    other_code(modules=("pipeline.metrics.mmd", "pipeline.metrics.kid"))
    assert status()[2:4] == [
        f"    code changed: pipeline/metrics/{name}.py (references, 3 evaluate)" for name in ("kid", "mmd")
    ]


def test_another_library_concerns_all(status: Lines, other_code: Callable[..., None]) -> None:
    now = job_hash.version("torch")
    other_code(versions={"torch": "2.1.0"})
    lines = status()
    assert re.fullmatch(rf"    torch 2.1.0 -> {re.escape(now)} \(.*classifier, .*\)", lines[2])


def test_a_cut_off_file_that_is_needed_is_named_with_its_sizes(status: Lines) -> None:
    made_up.make(plan())
    job = plan().job("summary", "mnist")
    path = job.folder / "summary.txt"
    size = path.stat().st_size
    path.write_text("half")
    assert status()[2] == f"    {path}: damaged (size 4, expected {size} bytes) (summary)"


def test_a_damaged_or_missing_intermediate_that_nothing_to_do_reads_is_not_needed(status: Lines) -> None:
    made_up.make(plan())
    (plan().job("sample", "mnist", "vae", 0).folder / "images.arrow").write_text("half")
    shutil.rmtree(plan().job("train", "mnist", "vae", 0).folder)
    assert status("--check")[0].startswith("mnist: all 23 jobs are done")
    shutil.rmtree(plan().job("evaluate", "mnist", "vae", 0).folder)
    assert status("--check")[0].startswith("mnist: all 23 jobs are done"), "the summary is there"
    shutil.rmtree(plan().job("summary", "mnist").folder)
    shutil.rmtree(plan().job("tables", "mnist").folder)
    lines = status()
    assert lines[0].startswith("mnist: 18 of 23 jobs are done"), "what they are made from is needed again"
    assert any("images.arrow: damaged" in line for line in lines)


@pytest.mark.parametrize("record", ["", "{}", "[1]", "null", '{"hash": "x"}'])
def test_a_folder_with_a_damaged_record_is_not_done(status: Lines, record: str) -> None:
    made_up.make(plan())
    (plan().job("summary", "mnist").folder / layout.RECORD).write_text(record)
    lines = status()
    assert lines[0].startswith("mnist: 22 of 23 jobs are done")


def test_a_parameter_that_goes_back_finds_its_results(status: Lines) -> None:
    made_up.make(plan())
    made_up.make(plan("models.vae.hidden=9"))
    assert len(status()) == 1 and status()[0].startswith("mnist: all 23 jobs are done")


def test_all_shows_every_job_with_its_folder(status: Lines) -> None:
    made_up.make(plan(), "fetch mnist", "prepare mnist")
    everything = status("--all")
    folder = plan().job("prepare", "mnist").folder
    assert f"    done   prepare mnist: {folder}" in everything
    assert sum(line.startswith(("    done ", "    to do ")) for line in everything) == 23


def test_only_data_sets_with_results_are_shown(status: Lines) -> None:
    block = "{reader: idx, shape: [1, 28, 28], valid: 10, split_seed: 0, models: [vae], sources: [], files: {a: %s}}"
    words = ("--set", "datasets.letters=" + block % ("a" * 64))
    assert [line.split(":")[0] for line in status(*words) if line[0] != " "] == ["mnist"], "the first, if there is none"
    made_up.make(plan(words[1]), "fetch letters", dataset="letters")
    assert [line.split(":")[0] for line in status(*words) if line[0] != " "] == ["letters"]
    both = status(*words, "--dataset", "letters", "--dataset", "mnist")
    assert [line.split(":")[0] for line in both if line[0] != " "] == ["letters", "mnist"]


# --- what has begun, what comes back ----------------------------------------------------------------------------


def saved(job: made_up.Job, step: int) -> None:
    path = layout.path(layout.CHECKPOINT, **job.wildcards, hash=f"{job.hash}-{step}")
    artifacts.write_text(path, "state")


def test_a_stopped_training_says_where_it_stands(status: Lines) -> None:
    saved(jobs_of(plan("models.vae.hidden=9"), "mnist")["train mnist vae 0"], 20)
    assert "  under way" not in status(), "a state of other settings"
    saved(jobs_of(plan(), "mnist")["train mnist vae 0"], 30)
    assert "    vae 0: stopped at step 30 of 40; continues from there" in status()


def test_steps_that_are_saved_take_no_more_time() -> None:
    from pipeline.workflow import estimate

    one = [("train", {"dataset": "mnist", "model": "draw", "seed": 0})]
    laptop = plan_of()
    whole = estimate.seconds(laptop, *one[0])
    half = estimate.seconds(laptop, *one[0], {"draw 0": 3500})
    assert half - estimate.START == pytest.approx((whole - estimate.START) / 2)


def test_an_estimate_uses_what_this_machine_measured_and_the_cores(folder: Path) -> None:
    from pipeline.workflow import estimate

    laptop, jobs = plan_of(), [("train", {"dataset": "mnist", "model": "draw", "seed": seed}) for seed in (0, 1)]
    block, hash_ = laptop.model("draw", "mnist"), "a" * 16
    steps = laptop.steps("draw", "mnist")
    config = {"class": "draw", "training": {"steps": steps // 2}, "arguments": block["arguments"]}
    spare = {"hash": hash_, "stage": "train", "config": config, "wildcards": {}, "modules": {}, "versions": {}}
    job = layout.path(layout.folder("train"), dataset="mnist", model="draw", seed=0, hash=hash_)
    artifacts.write_json(job / layout.RECORD, {**spare, "inputs": {}, "files": {}, "device": "cpu"})
    artifacts.write_text(Path(f"benchmarks/train/mnist-draw-0/{hash_}.tsv"), "s\tcpu_time\n500\t400\n")
    artifacts.write_text(Path(f"benchmarks/train/mnist-draw-1/{hash_}.tsv"), "damaged")
    for elsewhere in ("a_stage_of_another_version/mnist", "train/mnist"):
        artifacts.write_text(Path(f"benchmarks/{elsewhere}/{hash_}.tsv"), "s\tcpu_time\n500\t400\n")
    for cores, expected in ((1, 1600.0), (2, 800.0), (8, 800.0)):
        total, longest = estimate.wall_seconds(laptop, jobs, cores=cores)
        assert (total, longest) == (pytest.approx(expected), pytest.approx(800.0))


def test_a_job_at_work_is_said_to_be(status: Lines) -> None:
    name = f"train mnist vae 0 {plan().job('train', 'mnist', 'vae', 0).hash}"
    with job_context.sole_writer(name):
        assert "    train mnist vae 0: being written now" in status()
    with job_context.sole_writer(name):  # looking left the lock free
        pass
    assert "  under way" not in status()


# --- the same as Snakemake --------------------------------------------------------------------------------------


def snakemakes(folder: Path, *config: str) -> set[str]:
    """The jobs that a dry run lists for the summary."""
    words = ["--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--dry-run", "--nocolor", "--ignore-incomplete"]
    words += ["--rerun-triggers", "mtime", "--workflow-profile", "none", "--config", TINY, *config]
    done = run([str(BIN / "snakemake"), *words, "--", "results/summary/mnist.txt"], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = set()
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout + done.stderr)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        wildcards = re.search(r"^    wildcards: (.+)$", block, re.MULTILINE)
        assert rule and wildcards
        named = dict(item.split("=") for item in wildcards[1].split(", "))
        named.pop("hash", None)
        found.add(" ".join([rule[1], *named.values()]))
    return {name for name in found if not name.startswith("view_")}


def ours(*config: str) -> set[str]:
    """The jobs that status counts as to do."""
    return {name for name, state in look(plan(*config), "mnist").items() if state.needed}


def with_readers(names: set[str]) -> set[str]:
    """Jobs that are to do and those that read from them."""
    jobs = jobs_of(plan(), "mnist").items()
    return names | {name for name, job in jobs if names & {parent.name for parent in job.parents}}


@pytest.mark.workflow
def test_it_names_the_jobs_that_snakemake_would_run(folder: Path) -> None:
    assert ours() == snakemakes(folder) == set(jobs_of(plan(), "mnist"))
    made_up.make(plan())
    assert ours() == snakemakes(folder) == set()
    shutil.rmtree(plan().job("train", "mnist", "gran3", 0).folder)
    shutil.rmtree(plan().job("sample", "mnist", "vae", 0).folder)
    assert ours() == snakemakes(folder) == set(), "nothing to do reads them"
    shutil.rmtree(plan().job("battle", "mnist", "gran3").folder)
    expected = ours("protocol.battle_tolerance=0.4")
    deleted = {"battle mnist gran3", "sample mnist vae 0", "train mnist gran3 0"}
    assert deleted | {"standings mnist"} <= expected
    assert not {"prepare mnist", "train mnist vae 0", "sample mnist draw_gan 0"} & expected
    assert snakemakes(folder, 'protocol={"battle_tolerance": 0.4}') == with_readers(expected)


def test_the_longest_training_of_those_that_wait_starts_first() -> None:
    """Snakemake takes the greatest priority first; started last, the longest would end long after all others."""
    laptop = plan_of()
    priority = Workflow(laptop).seconds("train")
    names = [name for name in laptop.params.models if laptop.trained(name) == name]
    trained = {name: priority({"dataset": "mnist", "model": name, "seed": 0}) for name in names}
    assert max(trained, key=trained.__getitem__) == "gran5"
    assert trained["gran5"] > trained["gran3"] > trained["gran1"] and trained["draw"] > trained["vae"]
    assert "priority: plan.seconds(stage)" in (ROOT / "rules" / "stages.smk").read_text()
