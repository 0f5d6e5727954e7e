"""What happens to a finished tree, and which jobs that makes stale: content decides, never a clock.

Each row is one event of the tiny budget's finished DAG (vae, draw_gan, gran3) and exactly the jobs that must follow.
DVC's rows (clone and pull, DVC before and after Snakemake) are in test_dvc.py.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BIN, EVERYTHING, FIGURES, TABLE, Run, run, snakemake

pytestmark = pytest.mark.workflow

Event = Callable[[Path], object]
"""Something that is done to a tree."""

VIEWS = Counter(view_tables=1, view_figures=1, view_summary=1)
COMPARED = VIEWS + Counter(standings=1, tables=1, figures=1, gallery=1, track=1, summary=1)
"""What follows wherever a model's samples are others."""
OF_DRAW_GAN = COMPARED + Counter(train=1, sample=1, evaluate=1, battle=2, canvases=1)
OF_GRAN = OF_DRAW_GAN
OF_VAE = COMPARED + Counter(train=1, sample=1, evaluate=1, battle=2)
OF_BATTLES = VIEWS + Counter(standings=1, tables=1, figures=1, track=1, summary=1)
OF_A_METRIC = VIEWS + Counter(evaluate=3, references=1, standings=1, tables=1, figures=1, track=1, summary=1)
WITH_TORCH = COMPARED + Counter(classifier=1, references=1, train=3, sample=3, evaluate=3, battle=2, canvases=2)
OF_THE_SPLITS = WITH_TORCH + Counter(prepare=1)
NOTHING: Counter[str] = Counter()


def scramble(folder: Path) -> None:
    """Every file gets a random time of the last ten years."""
    chance = random.Random(2026)
    for path in folder.rglob("*"):
        if path.is_file():
            seconds = chance.uniform(1.45e9, 1.76e9)
            os.utime(path, (seconds, seconds))


def edited(file: str, pattern: str, new: str) -> Event:
    """The first match of a pattern in a file is replaced."""

    def event(folder: Path) -> None:
        text, count = re.subn(pattern, lambda _: new, (folder / file).read_text(), count=1)
        assert count
        (folder / file).write_text(text)

    return event


def appended(file: str, line: str = "EDITED = 1") -> Event:
    """A line at the end of a file."""
    return edited(file, r"\Z", f"\n{line}\n")


def reformat(folder: Path) -> None:
    """The same code with other line breaks, and other words in the docstrings of what computes."""
    before = (folder / "pipeline/models/draw.py").read_text()
    for file in (folder / "pipeline/models").glob("*.py"):
        file.write_text(re.sub(r'^( +""")(?=\w)', r"\1In other words: ", file.read_text(), flags=re.MULTILINE))
    done = run([str(BIN / "ruff"), "format", "--line-length", "60", "--quiet", "pipeline"], folder)
    assert done.returncode == 0 and (folder / "pipeline/models/draw.py").read_text() != before, done.stderr


def checkout_and_back(folder: Path) -> None:
    """Another branch with another DRAW, looked at, and back."""
    version(folder)
    git(folder, "checkout", "-q", "-b", "other")
    appended("pipeline/models/draw.py")(folder)
    git(folder, "commit", "-qam", "other")
    assert dry(folder) == OF_DRAW_GAN
    git(folder, "checkout", "-q", "-")


def another_torch(folder: Path) -> None:
    """A torch of another version, as the installed distributions tell."""
    note = folder / "site" / "torch-99.0.dist-info" / "METADATA"
    note.parent.mkdir(parents=True)
    note.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")


def copy_of_the_tree(folder: Path) -> None:
    """Copied elsewhere with fresh clocks, the original gone."""
    shutil.copytree(folder, folder.with_name("moved"), copy_function=shutil.copyfile, symlinks=True)
    shutil.rmtree(folder)
    folder.with_name("moved").rename(folder)


def records_lost(folder: Path) -> None:
    """Snakemake's own folder deleted, every clock at random."""
    shutil.rmtree(folder / ".snakemake")
    scramble(folder)


def blessed(folder: Path) -> None:
    """An edit of a model, then `snakemake --touch`, which calls everything up to date."""
    appended("pipeline/models/gran.py")(folder)
    done = snakemake(folder, folder, EVERYTHING, options=("--touch",))
    assert done.returncode == 0, done.stderr


def stored(folder: Path, stage: str, *parts: str) -> Path:
    """The folder of a stage's job."""
    (found,) = (folder / "results/store/mnist" / stage).joinpath(*parts).iterdir()
    return found


def shortened(folder: Path) -> None:
    """A table cut short by something that is not the workflow: a run moves its folder aside, a dry run tells."""
    os.truncate(stored(folder, "tables") / "table.csv", 100)
    words = ["--cores", "1", "--until", "prepare", "--config", "budget=tiny", "--", TABLE]
    done = run([str(BIN / "snakemake"), *words], folder)
    assert done.returncode == 0 and "moved to results/damaged/" in done.stderr, done.stderr


def intermediates_deleted(folder: Path) -> None:
    """Weights, samples and splits that nothing to do reads."""
    shutil.rmtree(folder / "data/prepared")
    for stage in ("train", "sample"):
        shutil.rmtree(folder / "results/store/mnist" / stage)


def nothing(folder: Path) -> None:
    """The tree stays as it is."""


EVENTS: dict[str, tuple[Event, str, Counter[str]]] = {
    "a comment in draw.py": (appended("pipeline/models/draw.py", "# a comment"), "", NOTHING),
    "all code reformatted, other docstrings": (reformat, "", NOTHING),
    "every file's clock at random": (scramble, "", NOTHING),
    "another branch and back": (checkout_and_back, "", NOTHING),
    "code of draw.py": (appended("pipeline/models/draw.py"), "", OF_DRAW_GAN),
    "code of gran.py": (appended("pipeline/models/gran.py"), "", OF_GRAN),
    "code of a model of no table": (appended("pipeline/models/dcgan.py"), "", NOTHING),
    "code of a metric": (appended("pipeline/metrics/mmd.py"), "", OF_A_METRIC),
    "code of tracking": (appended("pipeline/tracking/mlflow_runs.py"), "", NOTHING),
    "code of progress": (appended("pipeline/runtime/progress.py"), "", NOTHING),
    "a model's parameter": (nothing, 'models={"vae": {"hidden": 399}}', OF_VAE),
    "a default said aloud": (nothing, 'models={"vae": {"hidden": 400}}', NOTHING),
    "a parameter of battles": (nothing, 'protocol={"battle_tolerance": 0.2}', OF_BATTLES),
    "a parameter of the splits": (nothing, 'datasets={"mnist": {"split_seed": 1}}', OF_THE_SPLITS),
    "where it computes": (nothing, "device=cpu", NOTHING),
    "another torch": (another_torch, "", WITH_TORCH),
    "a copy of the tree": (copy_of_the_tree, "", NOTHING),
    "records lost, clocks at random, a parameter": (records_lost, 'models={"vae": {"hidden": 399}}', OF_VAE),
    "an edit, then snakemake --touch": (blessed, "", OF_GRAN),
    "a file cut short": (shortened, "", Counter(view_tables=1, tables=1, figures=1, summary=1)),
    "intermediates deleted": (intermediates_deleted, "", NOTHING),
    "a space more in a rule": (edited("rules/stages.smk", "-m pipeline {", "-m  pipeline {"), "", NOTHING),
}


@pytest.mark.parametrize("name", EVENTS)
def test_exactly_what_depends_on_what_changed_is_made_again(copied: Path, name: str) -> None:
    event, config, jobs = EVENTS[name]
    event(copied)
    assert dry(copied, *filter(None, [config])) == jobs


def test_a_parameter_that_goes_back_finds_its_results(copied: Path, mnist_mirror: Path) -> None:
    other, weights = 'models={"vae": {"hidden": 8}}', stored(copied, "train", "vae", "0")
    before = {path: path.read_bytes() for path in sorted((copied / "results/tables").iterdir())}
    done = snakemake(copied, mnist_mirror, TABLE, config=(other,))
    assert done.returncode == 0, done.stderr
    assert len(list(weights.parent.iterdir())) == 2, "both trainings are stored"
    assert (copied / TABLE).read_bytes() != before[copied / TABLE]
    assert dry(copied) == Counter(view_tables=1), "the summary and the figures were not asked for"
    done = snakemake(copied, mnist_mirror, TABLE)
    assert done.returncode == 0 and "to run" not in done.stderr, done.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert dry(copied) == NOTHING


def test_a_job_that_is_forced_is_done_afresh(copied: Path, mnist_mirror: Path) -> None:
    done = snakemake(copied, mnist_mirror, "data/prepared/mnist/summary.json", options=("-R", "prepare"))
    assert done.returncode == 0, done.stderr
    assert "splits: train 1,000 " in done.stderr


def test_a_stage_run_by_hand_is_seen_by_snakemake(copied: Path) -> None:
    shutil.rmtree(copied / ".snakemake")
    shutil.rmtree(stored(copied, "tables"))
    words = [str(BIN / "python"), "-m", "pipeline", "tables", "--dataset", "mnist", "--set", "budget=tiny"]
    done = run(words, copied, PYTHONPATH=str(copied))
    assert done.returncode == 0, done.stderr
    assert dry(copied) in (NOTHING, Counter(view_tables=1)), "costs and clocks in the record may be others"


def test_a_job_runs_as_it_was_planned_whatever_params_yaml_says_later(copied: Path) -> None:
    """What `snakemake --mode remote` reads on a node: the specification under the job's hash."""
    training = stored(copied, "train", "vae", "0")
    job, content = training.name, (training / "weights.safetensors").read_bytes()
    shutil.rmtree(training)
    edited("params.yaml", "  vae:\n", "  vae:\n    hidden: 3\n")(copied)
    words = ["train", "--dataset", "mnist", "--model", "vae", "--seed", "0", "--job"]
    done = run([str(BIN / "python"), "-m", "pipeline", *words, job], copied, PYTHONPATH=str(copied))
    assert done.returncode == 0, done.stderr
    assert (training / "weights.safetensors").read_bytes() == content
    unknown = run([str(BIN / "python"), "-m", "pipeline", *words, "0" * 16], copied, PYTHONPATH=str(copied))
    assert unknown.returncode == 1 and f"job {'0' * 16}: unknown" in unknown.stderr
    appended("pipeline/models/vae.py")(copied)
    shutil.rmtree(training)
    stale = run([str(BIN / "python"), "-m", "pipeline", *words, job], copied, PYTHONPATH=str(copied))
    assert stale.returncode == 1 and f"planned as {job}" in stale.stderr and not training.exists()


# --- what the rows are made of ------------------------------------------------------------------------------------


def dry(folder: Path, *config: str) -> Counter[str]:
    """The jobs that a dry run lists for everything; another installed library is looked for in `site`."""
    words = ["--cores", "8", "--dry-run", "--config", "budget=tiny", *config, "--", TABLE, FIGURES, EVERYTHING]
    done = run([str(BIN / "snakemake"), *words], folder, PYTHONPATH=str(folder / "site"))
    return planned(done)


def planned(done: Run) -> Counter[str]:
    """How many jobs of each rule a dry run lists."""
    assert done.returncode == 0, done.stderr + done.stdout
    text = done.stdout + done.stderr
    found = dict(re.findall(r"^(\w+)\s+(\d+)$", text, re.MULTILINE))
    assert found or "Nothing to be done" in text, text
    return Counter({name: int(count) for name, count in found.items() if name != "total"})


def git(folder: Path, *words: str) -> None:
    """A Git command of a person who has a name."""
    roles, facts = ("AUTHOR", "COMMITTER"), ("NAME", "EMAIL")
    who = {f"GIT_{role}_{fact}": "someone@example.org" for role in roles for fact in facts}
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, env={**os.environ, **who})


def version(folder: Path) -> None:
    """Make the folder a repository with one commit of the project's files."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
