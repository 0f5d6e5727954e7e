"""DVC over Snakemake, in real Git repositories: one recorder at a time, what travels, is shown and is published."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from pipeline.core import folders
from pipeline.workflow import layout, params, store
from pipeline.workflow.plan import Plan
from pipeline.workflow.staleness import jobs_of
from tests.conftest import BIN, PREPARED, ROOT, Run, run

pytestmark = pytest.mark.workflow

TARGETS = ("results/tables/mnist.csv", "results/figures/mnist", "results/summary/mnist.txt")
ROWS = {"vae", "draw_gan", "gran3", "real", "noise", "mean_image"}
VAE_JOBS = {"train": 1, "sample": 1, "evaluate": 1, "battle": 2, "standings": 1, "tables": 1, "figures": 1, "track": 1}
VAE_JOBS |= {"gallery": 1, "summary": 1}
VIEWS = {"view_tables": 1, "view_figures": 1, "view_summary": 1}
"""What a changed VAE makes again: both judges see its samples."""


class Project(NamedTuple):
    """A Git repository with a finished run at the tiny budget in it, and what its commands are given."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *words: str, **more: str) -> Run:
        return run([str(BIN / words[0]), *words[1:]], self.folder, **self.environment, **more)

    def git(self, *words: str) -> str:
        done = run(["git", *words], self.folder, **self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def easel(self, *words: str) -> Run:
        return self("python", "-m", "pipeline", *words)

    def jobs(self) -> Counter[str]:
        """How many jobs of each rule Snakemake would run."""
        done = self("snakemake", "-n", "--cores", "2", "--", *TARGETS)
        assert done.returncode == 0, done.stderr + done.stdout
        found = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
        assert found or "Nothing to be done" in done.stdout + done.stderr
        return Counter({name: int(count) for name, count in found if name != "total"})

    def copy(self, folder: Path) -> Project:
        """The same in another place, DVC's cache and Snakemake's records included."""
        subprocess.run(["cp", "-a", "--reflink=auto", str(self.folder), str(folder)], check=True)
        return self._replace(folder=folder)

    def edit(self, old: str, new: str) -> None:
        """Change one place of params.yaml."""
        file = self.folder / "params.yaml"
        assert file.read_text().count(old) == 1
        file.write_text(file.read_text().replace(old, new))

    def plan(self) -> Plan:
        return Plan(params.load(file=self.folder / "params.yaml"))

    def results(self) -> dict[str, bytes]:
        """Every file of data/prepared/ and results/ that is neither this machine's own nor in Git."""
        found = {**folders.content(self.folder / "data"), **folders.content(self.folder / "results")}
        own = re.compile(r"raw/|published/|README|\.locks/|live/|checkpoints/|mlflow")
        return {name: data for name, data in found.items() if not own.match(name)}


def vae(project: Project, hidden: int = 399) -> None:
    """Change one parameter of the VAE."""
    project.edit("  vae:\n", f"  vae:\n    hidden: {hidden}\n")


def environment(mirror: Path, site: Path) -> dict[str, str]:
    """What a project's commands are given: who commits, the raw files, and a folder for DVC's own."""
    person = {f"GIT_{role}_{key}": "easel@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    own = {"DVC_SITE_CACHE_DIR": str(site), "DVC_GLOBAL_CONFIG_DIR": str(site), "GIT_CONFIG_GLOBAL": os.devnull}
    return {"DATA_MIRROR": str(mirror), **person, **own}


@pytest.fixture(scope="module")
def made(tiny: Path, mnist_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What `make mnist` leaves at the tiny budget, in a repository that DVC has not seen yet."""
    folder, site = tmp_path_factory.mktemp("dvc") / "project", tmp_path_factory.mktemp("site")
    subprocess.run(["cp", "-a", str(tiny), str(folder)], check=True)
    project = Project(folder, environment(mnist_mirror, site))
    (folder / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(folder / "results/published/mnist", ignore_errors=True)  # what this project itself has published
    (folder / ".venv").symlink_to(BIN.parent)
    project.edit("budget: laptop ", "budget: tiny ")
    project.git("init", "--quiet", "--initial-branch", "main")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "the project")
    assert ".venv" not in project.git("ls-files").split()
    assert project.jobs() == Counter()
    return project


class Recorded(NamedTuple):
    """A project that DVC has recorded and pushed, and what the two `dvc repro` said."""

    project: Project
    first: Run
    second: Run


@pytest.fixture(scope="module")
def recorded(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """`dvc repro` right after Snakemake, again, and `dvc push` to a folder."""
    project = made.copy(tmp_path_factory.mktemp("recorded") / "project")
    first, second = project("dvc", "repro"), project("dvc", "repro")
    store = tmp_path_factory.mktemp("store")
    assert project("dvc", "remote", "add", "--default", "store", str(store)).returncode == 0
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "recorded")
    pushed = project("dvc", "push")
    assert pushed.returncode == 0, pushed.stderr
    return Recorded(project, first, second)


@pytest.fixture(scope="module")
def pulled(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh clone into which DVC pulled."""
    folder = tmp_path_factory.mktemp("pulled") / "clone"
    recorded.project.git("clone", "--quiet", str(recorded.project.folder), str(folder))
    (folder / ".venv").symlink_to(BIN.parent)
    project = recorded.project._replace(folder=folder)
    done = project("dvc", "pull")
    assert done.returncode == 0, done.stderr
    return project


# --- one recorder after the other -----------------------------------------------------------------------------------


def test_repro_right_after_snakemake_runs_no_job_and_a_second_one_nothing(recorded: Recorded) -> None:
    first, second = recorded.first, recorded.second
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert (first.stdout + first.stderr).count("Nothing to be done") == 3
    assert "jobs to run" not in first.stdout + first.stderr
    assert "Data and pipelines are up to date" in second.stdout + second.stderr
    assert "snakemake" not in second.stdout + second.stderr
    assert recorded.project.jobs() == Counter(), "Snakemake after DVC has nothing to do"
    for option in ("core.analytics", "core.check_update"):
        assert recorded.project("dvc", "config", option).stdout.strip() == "false"


def test_repro_beside_a_live_run_is_one_line_and_changes_nothing(made: Project, tmp_path: Path) -> None:
    project = made.copy(tmp_path / "project")
    before = project.results()
    hold = "from pipeline.workflow import run_lock; run_lock.hold(); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], cwd=project.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as live:
        assert live.stdout is not None and live.stdout.readline() == "held\n"
        done, published = project("dvc", "repro"), project.easel("publish")
        live.communicate("\n")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("easel:")]
    assert len(lines) == 1 and "another run is at work" in lines[0]
    assert published.returncode == 1 and "another run is at work" in published.stderr
    assert "Traceback" not in done.stderr + published.stderr
    assert project.results() == before and not (project.folder / "dvc.lock").exists()


# --- what travels ---------------------------------------------------------------------------------------------------


def planned(project: Project) -> Iterator[str]:
    """Every file of the workflow but the raw ones' list, as `Project.results` names it."""
    plan = project.plan()
    for job in [*jobs_of(plan, "mnist").values(), plan.job("report")]:
        if job.stage != "fetch":
            files = store.read(project.folder / job.folder)["files"]
            yield from (f"{job.folder}/{name}".split("/", 1)[1] for name in (*files, layout.RECORD))


def test_every_result_travels_and_nothing_else(recorded: Recorded, pulled: Project) -> None:
    travelled = pulled.results()
    assert travelled == recorded.project.results()
    views = {name for name in travelled if re.match(r"views/|tables/|figures/|summary/|report\.html$", name)}
    stored = set(planned(pulled))
    assert len(stored) > 50 and {f"tables/mnist.{kind}" for kind in ("csv", "md", "tex", "json")} < views
    assert set(travelled) - views - {"prepared/mnist/summary.json"} == stored
    assert not (pulled.folder / "data/raw").exists() and not (pulled.folder / "results/mlflow.db").exists()


def test_every_out_persists_and_holds_what_a_stage_of_the_workflow_leaves() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    kinds = ("outs", "metrics", "plots")
    outs = [out for stage in stages.values() for kind in kinds for out in stage.get("do", stage).get(kind, [])]
    options = {path.replace("${item}", "{dataset}"): option for out in outs for path, option in out.items()}
    assert all(option["persist"] is True for option in options.values())
    patterns = [layout.folder(stage) for stage in layout.FILES if stage not in ("fetch", "report")]
    views = [path for kind, of in layout.VIEWS.items() for path in of if kind != "classifier"]
    for path in [*patterns, *views, layout.FIGURE_FOLDER]:
        assert [out for out in options if path == out or path.startswith(f"{out}/")], f"{path} does not travel"


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile but for those that build the environment."""
    listed = run(["make", "-n", target], ROOT)
    assert listed.returncode == 0, listed.stderr
    return [line for line in listed.stdout.splitlines() if "dvc" in line]


def test_a_pull_without_a_lock_or_a_remote_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(BIN.parent)
    *checks, pull = recipe("pull")
    assert pull.endswith("dvc pull")
    for missing, command in zip(("dvc.lock: not found", ".dvc/config: no default remote"), checks, strict=True):
        done = run(["sh", "-c", command], tmp_path)
        (line,) = done.stdout.splitlines()
        assert done.returncode == 1 and line.startswith(f"easel: {missing}"), done.stdout + done.stderr


def test_a_clone_that_pulled_has_nothing_to_do(pulled: Project) -> None:
    assert pulled.jobs() == Counter()
    done = pulled("dvc", "status")
    assert "Data and pipelines are up to date" in done.stdout, done.stdout + done.stderr


def test_a_pulled_clone_reruns_exactly_what_an_edit_asks_for(pulled: Project, tmp_path: Path) -> None:
    project = pulled.copy(tmp_path / "clone")
    clocks = random.Random(3)
    for path in [*(project.folder / "data").rglob("*"), *(project.folder / "results").rglob("*")]:
        moment = clocks.randrange(10**9, 16 * 10**8)
        os.utime(path, (moment, moment))
    assert project.jobs() == Counter()
    vae(project)
    assert project.jobs() == Counter(VAE_JOBS | VIEWS)


def test_a_pulled_clone_fetches_by_itself_when_it_must_prepare_again(pulled: Project, tmp_path: Path) -> None:
    project = pulled.copy(tmp_path / "clone")
    project.edit("split_seed: 0", "split_seed: 1")
    jobs = project.jobs()
    assert (jobs["fetch"], jobs["prepare"], jobs["classifier"], jobs["train"]) == (1, 1, 1, 3)


# --- what DVC shows -------------------------------------------------------------------------------------------------


def test_metrics_are_one_row_a_model_with_the_headline(recorded: Recorded) -> None:
    done = recorded.project("dvc", "metrics", "show", "--json")
    assert done.returncode == 0, done.stderr
    (shown,) = json.loads(done.stdout).values()
    rows = {Path(path).stem: row["data"] for path, row in shown["data"].items()}
    assert set(rows) == ROWS
    assert {"fd_classifier", "precision", "coverage", "copying", "elbo", "rating", "status"} <= set(rows["vae"])
    assert "elbo" not in rows["gran3"]
    assert rows["real"]["fd_classifier"] < rows["mean_image"]["fd_classifier"]
    table = recorded.project("dvc", "metrics", "show").stdout
    assert len(table.strip().splitlines()) == 1 + len(ROWS)


def test_plots_are_the_figures_in_a_page_that_opens_offline(recorded: Recorded, tmp_path: Path) -> None:
    project = recorded.project
    done = project("dvc", "plots", "show", "--out", str(tmp_path / "plots"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "plots/index.html").read_text()
    assert "http" not in page and "<script" not in page, "it opens offline"
    images = [tmp_path / "plots" / source for source in re.findall(r'<img src="([^"]+)"', page)]
    gallery = recorded.project.plan().job("gallery", "mnist").config["figures"]
    assert len(images) == len(layout.FIGURES) - 1 + len(gallery) + 2
    assert all(image.read_bytes().startswith(b"\x89PNG") for image in images)
    assert "DVC_METRIC" not in page


def test_an_experiment_runs_its_jobs_and_dvc_tells_what_changed(recorded: Recorded, tmp_path: Path) -> None:
    project = recorded.project.copy(tmp_path / "project")
    done = project("dvc", "exp", "run", "--name", "wider", "--set-param", "+models.vae.hidden=401")
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.search(r"easel: \d+ jobs to run: (.*)", done.stdout + done.stderr)
    assert said is not None
    found = {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", said[1])}
    assert found == VAE_JOBS
    changed = json.loads(project("dvc", "params", "diff", "--json").stdout)
    assert changed == {"params.yaml": {"models.vae.hidden": {"old": None, "new": 401}}}
    metrics = json.loads(project("dvc", "metrics", "diff", "--json").stdout)
    assert {Path(path).stem for path in metrics if set(metrics[path]) != {"rating"}} == {"vae"}, "ratings are relative"
    assert metrics["results/views/mnist/metrics/vae.json"]["fd_classifier"]["diff"] != 0
    (shown,) = recipe("experiments")
    listed = run(["sh", "-c", shown.replace("--no-pager", "--csv")], project.folder, **project.environment)
    columns = set(listed.stdout.splitlines()[0].split(",")) - {"rev", "typ", "parent"}
    assert "results/views/mnist/metrics/vae.json:fd_classifier" in columns and len(columns) <= 12, columns
    assert project.jobs() == Counter(), "Snakemake after DVC's own run"
    again = project("dvc", "repro")
    assert "Data and pipelines are up to date" in again.stdout + again.stderr
    assert "wider" in project("dvc", "exp", "list").stdout
    project.git("checkout", "--", "params.yaml", "dvc.lock")
    assert project("dvc", "checkout").returncode == 0
    assert project.jobs() == Counter(), "the branch's own results are back"
    assert project.results() == recorded.project.results()


def test_an_experiment_in_a_folder_of_its_own_and_without_the_environment_on_the_path(
    clone: Callable[[str], Path], mnist_mirror: Path, tmp_path: Path
) -> None:
    project = Project(clone("temp"), environment(mnist_mirror, tmp_path))
    (project.folder / "dvc.lock").unlink(missing_ok=True)
    (project.folder / ".venv").symlink_to(BIN.parent)
    project.git("init", "--quiet", "--initial-branch", "main")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "the project")
    done = project("dvc", "exp", "run", "--temp", "--name", "apart", "prepare@mnist", PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "apart" in project("dvc", "exp", "list").stdout
    assert not (project.folder / PREPARED).exists()


# --- publish --------------------------------------------------------------------------------------------------------


def test_publish_refuses_what_is_not_current(recorded: Recorded, tmp_path: Path) -> None:
    project = recorded.project.copy(tmp_path / "project")
    lock = (project.folder / "dvc.lock").read_bytes()
    vae(project)
    done = project.easel("publish")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "arguments.hidden" in line and "[400] -> [399]" in line
    assert "snakemake --cores all results/summary/mnist.txt" in line
    project.git("checkout", "--", "params.yaml")
    (damaged,) = (project.folder / "results/store/mnist/figures").glob("*/samples.png")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    done = project.easel("publish")
    assert done.returncode == 1 and "samples.png: damaged" in done.stderr
    assert (project.folder / "dvc.lock").read_bytes() == lock
    assert not (project.folder / "results/published/mnist").exists()


def test_publish_records_pushes_and_copies_and_a_second_one_changes_nothing(made: Project, tmp_path: Path) -> None:
    project = made.copy(tmp_path / "project")
    done = project.easel("publish")
    assert done.returncode == 0, done.stderr
    assert "NOT PUSHED" in done.stdout and "git add dvc.lock results/published/mnist" in done.stdout
    repro = project("dvc", "repro")
    assert "Data and pipelines are up to date" in repro.stdout + repro.stderr, "it recorded what DVC itself would"
    store = tmp_path / "store"
    project("dvc", "remote", "add", "--default", "store", str(store))
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "published")
    published = project.folder / "results/published/mnist"
    before = folders.content(published), (project.folder / "dvc.lock").read_bytes(), published.stat().st_ino
    done = project.easel("publish")
    assert done.returncode == 0, done.stderr
    assert "pushing to store" in done.stdout and "files, unchanged" in done.stdout
    assert (folders.content(published), (project.folder / "dvc.lock").read_bytes(), published.stat().st_ino) == before
    assert "up to date" in project("dvc", "push", "--remote", "store").stdout
    files = before[0]
    assert files["mnist.csv"] == (project.folder / TARGETS[0]).read_bytes()
    assert {"mnist.md", "mnist.tex", "mnist_battles.csv", "figures/samples.png", "provenance.json"} <= set(files)
    assert not [name for name in files if name.endswith(".svg")]
    told = json.loads(files["provenance.json"])
    assert json.loads((project.folder / "results/tables/mnist.json").read_text()) in told["jobs"]
    assert told["made_on"]["devices"] == ["cpu"] and told["budget"] == "tiny"


# --- folders as one -------------------------------------------------------------------------------------------------


def test_a_folder_is_replaced_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    assert folders.replace(folder, {"a/one": b"1", "two": b"2"})
    assert not folders.replace(folder, {"two": b"2", "a/one": b"1"}), "nothing differs"
    assert folders.replace(folder, {"two": b"2"})
    assert folders.content(folder) == {"two": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["shown"]


def test_a_stop_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    folder, before = tmp_path / "shown", tmp_path / ".shown.before.partial"
    folders.replace(folder, {"two": b"2"})
    shutil.move(folder, before)
    assert not folders.replace(folder, {"two": b"2"}), "what was there is back"
    assert not before.exists()
