"""docs/add-a-model.md is taken at its word: its file, its block and its command, in a copy of the project."""

from __future__ import annotations

import csv
import math
import re
import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.conftest import BIN, ROOT, TABLE, Run, run

pytestmark = pytest.mark.workflow

PAGE = (ROOT / "docs" / "add-a-model.md").read_text()
MODEL = "gmmn"
FILE = f"pipeline/models/{MODEL}.py"

CHECKS = ["unit/test_model_contract.py", "integration/test_layers.py", "faults/test_resume.py"]
"""Tests that a newcomer enters by existing."""


def on_the_page(language: str) -> str:
    """The one code block of a language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


def command(*targets: str) -> list[str]:
    """What the page says to type, for other targets: in the folder itself and at the tiny budget."""
    words = shlex.split(on_the_page("sh"))
    at = words.index("--directory")
    assert words[0] == ".venv/bin/snakemake" and "budget=smoke" in words and TABLE in words
    kept = words[1:at] + words[at + 2 : words.index("--")]
    return [str(BIN / "snakemake"), *(word.replace("budget=smoke", "budget=tiny") for word in kept), "--", *targets]


def add_the_model(folder: Path) -> None:
    """Do what the page says."""
    (folder / FILE).write_text(on_the_page("python"))
    params = folder / "params.yaml"
    assert list(yaml.safe_load(params.read_text()))[-1] == "models", "the block goes to the end of the file"
    params.write_text(params.read_text() + on_the_page("yaml"))


def sources(folder: Path) -> dict[str, bytes]:
    """Every file that a person may have written, by its path."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    made = ("data", "results", "logs", "benchmarks", ".snakemake", "terminal.txt")
    named = {path.relative_to(folder): path for path in paths}
    return {name.as_posix(): path.read_bytes() for name, path in named.items() if name.parts[0] not in made}


def ran(done: Run) -> Counter[str]:
    """How many jobs of each stage a run did."""
    assert done.returncode == 0, done.stdout + done.stderr
    listed = re.search(r"^easel: \d+ jobs to run: (.*)$", done.stderr, re.MULTILINE)
    assert listed, done.stderr
    return Counter({name: int(count) for count, name in re.findall(r"(\d+) (\w+)", listed[1])})


def test_the_model_on_the_page_is_one_file_and_one_block(copied: Path, tiny: Path, mnist_mirror: Path) -> None:
    add_the_model(copied)
    before, after = sources(tiny), sources(copied)
    assert {name for name in after if after[name] != before.get(name)} == {FILE, "params.yaml"}
    blocks, were = (yaml.safe_load(tree["params.yaml"])["models"] for tree in (after, before))
    assert set(blocks) - set(were) == {MODEL} and {name: blocks[name] for name in were} == were

    done = run(command(TABLE), copied, DATA_MIRROR=str(mnist_mirror))
    assert ran(done) == Counter(train=1, sample=1, evaluate=1, standings=1, tables=1), (
        "no other model's job became stale"
    )
    with (copied / TABLE).open(newline="") as handle:
        rows = {row["model"]: row for row in csv.DictReader(handle)}
    assert list(rows) == ["vae", MODEL, "real", "noise", "mean_image"]
    assert rows[MODEL]["status"] in ("ok", "poor", "collapsed") and not rows[MODEL]["elbo"]  # after four steps
    asked = ("class_accuracy", "class_accuracy_chance")  # of conditional models, and of real images
    measured = [
        column
        for column in rows["real"]
        if column not in asked and f"{column}_low" in rows["real"] and rows["real"][column]
    ]
    assert len(measured) > 10
    for column in measured:
        assert math.isfinite(float(rows[MODEL][column])), column


def test_the_model_on_the_page_keeps_the_contract_of_every_model(tmp_path: Path) -> None:
    """As `make test` would find it: shapes, gradients, seeds, the house's rules, a kill at any step; and its style."""
    for name in ("pipeline", "tests", "docs", "rules"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "pyproject.toml", "Snakefile"):
        shutil.copy2(ROOT / name, tmp_path)
    add_the_model(tmp_path)
    for words in (["check"], ["format", "--check"]):
        styled = run([str(BIN / "ruff"), *words, "--no-cache", FILE], tmp_path)
        assert styled.returncode == 0, styled.stdout + styled.stderr
    files = [f"tests/{name}" for name in CHECKS]
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-k", MODEL, *files]
    done = run([sys.executable, *words], tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) >= 20, done.stdout
