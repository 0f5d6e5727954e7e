"""The docs are taken at their word: every command is run or at least planned, every path and link is there, the pages
that are made from the code are what the code says now.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline import cli
from pipeline.core import artifacts
from pipeline.tables import from_csv
from pipeline.tables.text import with_interval
from pipeline.workflow import params, staleness
from pipeline.workflow.plan import Plan
from tests.conftest import BIN, ROOT, Run, run

pytestmark = pytest.mark.workflow

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PUBLISHED = sorted((ROOT / "results/published").glob("*/README.md"))
OF_PAPERS = sorted((ROOT / "docs/papers").glob("*.md"))
FOLDERS = [ROOT / f"{name}/README.md" for name in ("data", "results", "results/published")]
LINKED = [*PAGES, *OF_PAPERS, *FOLDERS, *PUBLISHED]
ADDING = (ROOT / "docs" / "add-a-metric-data-set-or-feature-space.md").read_text()


# --- links and paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    examples = {"pipeline/models/gmmn.py"}
    named = set(re.findall(r"`((?:pipeline|rules|envs|tests|docs|profiles)/[\w./-]+)`", page.read_text()))
    assert not [name for name in named - examples if not (ROOT / name).exists()]


def test_every_published_set_says_what_made_it_or_that_it_cannot_be_reproduced() -> None:
    folders = sorted(path for path in (ROOT / "results/published").iterdir() if path.is_dir())
    assert folders and [page.parent for page in PUBLISHED] == folders
    for page in PUBLISHED:
        rows = dict(re.findall(r"^\| (\w+) \| (.+) \|$", page.read_text(), re.MULTILINE))
        assert {"Command", "Commit", "Lock", "Machine", "Provenance"} <= set(rows), page
        has_records = (page.parent / "provenance.json").is_file() or "SHA-256" in rows["Lock"]
        assert has_records or "**Not reproducible" in page.read_text(), page


def test_the_number_that_is_traced_to_its_code_is_the_published_one() -> None:
    published = from_csv((ROOT / "results/published/mnist-nine/mnist.csv").read_text())
    row = next(row for row in published if row["model"] == "draw_gan")
    rounded = {name: float(f"{row[name]:.3g}") for name in ("fd_classifier", "fd_classifier_low", "fd_classifier_high")}
    value = with_interval(rounded, "fd_classifier")
    page, readme = ((ROOT / name).read_text() for name in ("docs/reproduce-and-cite.md", "README.md"))
    assert f"the Frechet distance of `draw_gan` in the README, {value}." in page
    assert re.search(rf"^\| `draw_gan` .*{re.escape(value)}", readme, re.MULTILINE)


def test_git_tracks_the_two_readmes_and_what_is_published_but_no_results() -> None:
    tracked = ["data/README.md", "results/README.md", "results/published/mnist/mnist.csv"]
    done = run(["git", "check-ignore", "--no-index", *tracked, "data/raw/x", "results/report.html"], ROOT)
    if done.returncode > 1:
        pytest.skip("not a Git checkout")
    assert done.stdout.split() == ["data/raw/x", "results/report.html"]


# --- commands ---------------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every line that a person is to type: in a block of sh, or indented in the README's manner."""
    for page in PAGES:
        text = re.sub(r" \\\n +", " ", page.read_text())  # one command on several lines
        blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"^    ((?:make|\.venv/bin/\w+) .*)$", text, re.MULTILINE)
        for line in lines:
            yield page.name, line.split("  #")[0].split("   #")[0].strip()


COMMANDS = sorted(set(commands()))
assert len(COMMANDS) > 20 and ("README.md", "make mnist") in COMMANDS


def made(folder: Path, command: str) -> list[str]:
    """What make would run for a command, as make itself says."""
    done = run(["make", "-n", *shlex.split(command)[1:]], ROOT, HOME=str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("command", sorted({line for _, line in COMMANDS if line.startswith("make ")}))
def test_make_knows_what_is_to_be_made(command: str, tmp_path: Path) -> None:
    assert made(tmp_path, command)


def planned(words: list[str], folder: Path) -> Run:
    """A command of Snakemake in a folder of its own, as a dry run; profiles of clusters are planned here."""
    kept, skip = [], False
    for word in words:
        if skip or word in ("--profile", "--directory", "--report"):
            skip = not skip and word in ("--profile", "--directory", "--report")
            continue
        kept.append(word)
    own = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--dry-run", "--quiet", "all"]
    return run([str(BIN / "snakemake"), *own, *kept], ROOT)


SNAKEMAKE = sorted({line for page, line in COMMANDS if line.startswith(".venv/bin/snakemake") and "gmmn" not in line})


@pytest.mark.parametrize(
    "command", [line for line in SNAKEMAKE if not re.search("stripes|glyphs", line) and "..." not in line]
)
def test_snakemake_plans_what_the_docs_have_it_do(command: str, tmp_path: Path) -> None:
    done = planned(shlex.split(command)[1:], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", sorted({line for _, line in COMMANDS if " -m pipeline " in line}))
def test_the_projects_own_commands_take_the_flags_that_the_docs_give_them(command: str) -> None:
    words = shlex.split(command.split(">")[0])
    name, *flags = words[words.index("pipeline") + 1 :]
    assert name in {**cli.commands(), **cli.stages()}
    module = "pipeline.runtime.stage_cli" if name in cli.stages() else f"pipeline.commands.{name}"
    parser = cli.Parser()
    importlib.import_module(module).arguments(parser)
    parser.parse_args(flags)  # exits where a flag is unknown


@pytest.mark.parametrize("command", sorted({line for _, line in COMMANDS if line.startswith(".venv/bin/dvc ")}))
def test_dvc_has_the_commands_that_the_docs_name(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if re.fullmatch(r"[a-z]+", word)][:2]
    done = run([str(BIN / "dvc"), *words, "--help"], ROOT)
    assert done.returncode == 0, done.stderr


def test_every_target_of_the_makefile_has_a_line_of_help(tmp_path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    printed = run(["make", "help"], ROOT, HOME=str(tmp_path)).stdout
    assert re.findall(r"^  ([a-z-]+) +\S", printed, re.MULTILINE) == targets
    assert set(targets) == set(re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split())


def test_make_clean_keeps_raw_files_and_what_git_tracks(tmp_path: Path) -> None:
    shutil.copy2(ROOT / "Makefile", tmp_path)
    kept = ["data/README.md", "data/raw/a", "results/README.md", "results/published/mnist/mnist.csv"]
    for name in [*kept, "data/prepared/a", "results/tables/a.csv", "results/.locks/a", "runs/a", "logs/a"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert run(["make", "clean"], tmp_path).returncode == 0
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == sorted([*kept, "Makefile"])


# --- pages that the code writes ---------------------------------------------------------------------------------------


def test_the_columns_are_described_as_the_code_describes_them(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["columns"])
    page = (ROOT / "docs" / "reading-the-table.md").read_text()
    assert page.split("## Every column\n\n")[1].rstrip() == capsys.readouterr().out.rstrip(), (
        "write what `python -m pipeline columns` prints under 'Every column' of docs/reading-the-table.md"
    )


def test_the_citation_and_the_catalogues_file_are_what_readers_of_them_expect() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "title", "message", "authors", "version", "license"} <= set(citation)
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text()
    catalogue = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert catalogue["report"] is True and set(catalogue["software-stack-deployment"]) >= {"conda", "apptainer"}
    flags = shlex.split(catalogue["mandatory-flags"]["flags"])
    assert {"results/tables/mnist.csv", "results/report.html"} <= set(flags)


# --- the picture of the workflow --------------------------------------------------------------------------------------

Arrow = tuple[str, str]


def implied(arrows: set[Arrow]) -> set[Arrow]:
    """Those that a way over other stages implies."""

    @functools.cache
    def beyond(stage: str) -> frozenset[str]:
        following = {there for here, there in arrows if here == stage}
        return frozenset(following).union(*(beyond(there) for there in following))

    return {
        (here, there)
        for here, there in arrows
        if any(there in beyond(other) for start, other in arrows if start == here and other != there)
    }


def test_the_picture_of_the_workflow_has_every_stage_and_arrow() -> None:
    page = (ROOT / "docs" / "workflow.md").read_text()
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", page, re.MULTILINE))
    plan = Plan(params.load(["budget=smoke"], ROOT / "params.yaml"))
    jobs = [*staleness.jobs_of(plan, "mnist").values(), plan.job("report")]
    arrows = {(item.stage, job.stage) for job in jobs for item in job.parents}
    needed = sorted(arrows - implied(arrows))
    text = "\n".join(f"    {here} --> {there}" for here, there in needed)
    assert drawn == set(needed), f"the arrows of docs/workflow.md are to be\n{text}"
    for stage in {name for arrow in arrows for name in arrow}:
        assert f"| `{stage}`" in page or f", `{stage}` |" in page, f"docs/workflow.md: {stage} is not in the table"


# --- what docs/add-a-metric-data-set-or-feature-space.md adds ---------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", ADDING, re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what computes, with the page's metric, reader and data set in it."""
    for name in ("pipeline", "report"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    metric, reader, space = blocks("python")
    (tmp_path / "pipeline/features/small.py").write_text(space)
    (tmp_path / "pipeline/metrics/ink.py").write_text(metric)
    (tmp_path / "pipeline/datasets/npy.py").write_text(reader)
    return tmp_path


def test_the_pages_code_has_the_projects_style(project: Path) -> None:
    for words in (["check"], ["format", "--check"]):
        files = ["pipeline/metrics/ink.py", "pipeline/datasets/npy.py", "pipeline/features/small.py"]
        done = run([str(BIN / "ruff"), *words, "--no-cache", *files], project)
        assert done.returncode == 0, done.stdout


def test_the_metric_and_the_feature_space_on_the_page_are_one_file_each_and_measure(project: Path) -> None:
    code = """
import json, torch
from pipeline import features, metrics
from pipeline.metrics.comparison import Comparison
from pipeline.workflow import specs
ink, a, b = metrics.load("ink"), torch.full((50, 9), 0.25), torch.rand(50, 9)
found = ink.measure(Comparison(real={"pixels": b}, fake={"pixels": a}))["ink"].value
images = torch.full((5, 1, 28, 28), 255, dtype=torch.uint8)
points = {name: space(images)(images) for name, space in features.spaces().items()}
shapes = {name: list(of.shape) for name, of in points.items()}
of_space = [shapes, points["small"].mean().item(), "pipeline.features.small" in specs.metric_modules()]
print(json.dumps(["ink" in metrics.columns(), found, ink.measure(Comparison(real={}, fake={})), *of_space]))
"""
    done = run([sys.executable, "-c", code], project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        True, pytest.approx(0.25), {}, {"pixels": [5, 784], "small": [5, 49]}, 1.0, True,
    ]  # fmt: skip
    shutil.copytree(ROOT / "tests", project / "tests", ignore=shutil.ignore_patterns("__pycache__", "workflow"))
    shutil.copytree(ROOT / "results/published/mnist", project / "results/published/mnist")
    tests = ["tests/unit/test_metrics.py", "-k", "ink or columns_are", "-p", "no:cacheprovider"]
    done = run([sys.executable, "-m", "pytest", *tests], project)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout


def test_the_data_set_on_the_page_is_one_file_and_one_block_and_is_prepared(project: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror" / "stripes"
    mirror.mkdir(parents=True)
    chance = np.random.default_rng(0)
    for split, count in (("train", 100), ("test", 40)):
        np.save(mirror / f"{split}_images.npy", chance.integers(0, 256, (count, 12, 12), dtype=np.uint8))
        np.save(mirror / f"{split}_labels.npy", chance.integers(0, 2, count))
    (block,) = blocks("yaml")
    block = re.sub(r"\{(\w+)\}", lambda name: artifacts.sha256(mirror / f"{name[1]}.npy"), block)
    text = (ROOT / "params.yaml").read_text()
    assert text.count("\nmodels:") == 1
    (project / "params.yaml").write_text(text.replace("\nmodels:", f"{block}\nmodels:"))
    for stage in ("fetch", "prepare"):
        words = [sys.executable, "-m", "pipeline", stage, "--dataset", "stripes", "--set", "budget=tiny"]
        done = run(words, project, DATA_MIRROR=str(mirror.parent))
        assert done.returncode == 0, done.stderr
    (path,) = project.glob("data/prepared/stripes/*/summary.json")
    summary = artifacts.read_json(path)
    assert [summary[split]["count"] for split in ("train", "valid", "test")] == [80, 20, 40]


def test_nothing_that_is_committed_names_a_machine() -> None:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True)
    if listed.returncode:
        pytest.skip("not a Git checkout")
    for name in listed.stdout.decode().splitlines():
        if name.endswith((".md", ".cff", ".yml", ".rst", ".j2")):
            text = (ROOT / name).read_text()
            assert not re.search(r"(?<![\w.])/(work|home|root|Users)/", text), name
