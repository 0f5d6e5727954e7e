"""One configuration for Snakemake and every command: own.yaml, `--configfile` and `--set`, put over params.yaml."""

from __future__ import annotations

import argparse
import copy
import importlib
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

from pipeline import cli
from pipeline.core import artifacts
from pipeline.core.errors import UserError
from pipeline.workflow import overrides, params
from pipeline.workflow.staleness import jobs_of
from tests.conftest import BIN, run
from tests.stored import stored

OWN = """
datasets:
  shirts: {reader: images, path: shirts, shape: [1, 8, 8], models: [vae], classes: 2}
models:
  vae: {hidden: [9]}
"""
PLANNING = ("generate", "blend", "status", "prune", "tune", "publish", "verify", "claims", "ui")
"""The commands that read params.yaml."""


@pytest.fixture
def folder(folder: Path) -> Path:
    """params.yaml and, elsewhere, a configuration of one's own with a data set."""
    (folder / "else").mkdir()
    (folder / "else" / "mine.yaml").write_text(OWN)
    (folder / "shirts" / "a").mkdir(parents=True)
    return folder


MINE = Path("else/mine.yaml")


def blocks() -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.integers() | st.lists(st.integers(), max_size=2) | st.none()
    return st.dictionaries(
        st.sampled_from("abc"), st.recursive(leaves, lambda x: st.dictionaries(st.sampled_from("abc"), x, min_size=1))
    )


@given(blocks(), blocks())
def test_files_are_put_over_each_other_as_snakemake_does_it(first: dict[str, Any], second: dict[str, Any]) -> None:
    ours, theirs = copy.deepcopy(first), copy.deepcopy(first)
    params.merge_into(ours, copy.deepcopy(second))
    update_config(theirs, copy.deepcopy(second))
    assert ours == theirs


def test_a_file_and_a_key_are_put_over_params_yaml(folder: Path) -> None:
    plan = overrides.plan(["models.vae={latent: 5}", "datasets.shirts.valid=3"], [MINE])
    arguments = plan.params.resolved_models["vae"]["arguments"]
    assert (arguments["hidden"], arguments["latent"]) == ([9], 5)
    assert plan.params.datasets["shirts"].valid == 3 and "mnist" in plan.params.datasets
    settings = """models='{"vae": {"latent": 5}}' datasets='{"shirts": {"valid": 3}}'"""
    assert shlex.split(plan.flags) == ["--configfile", "else/mine.yaml", "--config", *shlex.split(settings)]


def test_own_yaml_beside_params_yaml_is_always_read(folder: Path) -> None:
    by_flag = overrides.plan([], [MINE]).job("prepare", "mnist").hash, overrides.plan([], [MINE]).params
    shutil.copy(MINE, "own.yaml")
    assert (overrides.plan([]).job("prepare", "mnist").hash, overrides.plan([]).params) == by_flag
    Path("later.yaml").write_text("models: {vae: {hidden: [11]}}")
    assert overrides.plan([], [Path("later.yaml")]).params.resolved_models["vae"]["arguments"]["hidden"] == [11]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datasets: {shirts: {reeder: images}}", "params.yaml with bad.yaml: datasets.shirts.reeder: unknown key"),
        ("- a", "bad.yaml: found ['a'], expected a block of keys"),
        ("a: [", "bad.yaml: not YAML"),
        (None, "--configfile bad.yaml: not found; name a file of YAML"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(folder: Path, text: str | None, said: str) -> None:
    if text is not None:
        Path("bad.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        overrides.plan([], [Path("bad.yaml")])
    assert said in str(caught.value)


@pytest.mark.parametrize("name", PLANNING)
def test_every_command_takes_the_same_flags(name: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"pipeline.commands.{name}").arguments(parser)
    flags = {action.dest for action in parser._actions}
    assert {"configfile", "set"} <= flags


def test_status_and_prune_know_the_data_sets_of_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "budget=tiny", "--configfile", str(MINE)]
    job = jobs_of(overrides.plan(["budget=tiny"], [MINE]), "shirts")["classifier shirts"]
    earlier = jobs_of(overrides.plan(["budget=tiny", "classifier.steps=3"], [MINE]), "shirts")["classifier shirts"]
    for made in (job, earlier):
        artifacts.write_text(Path(made.outputs["report"]), "{}")
        stored(made)
    cli.main(["status", "--cores", "8", *words])
    said = capsys.readouterr().out
    assert "shirts" in said and "snakemake --cores 8 results/summary/shirts.txt --configfile else/mine.yaml" in said
    cli.main(["prune", *words, "--dry-run"])
    said = capsys.readouterr().out
    assert str(earlier.folder) in said and str(job.folder) not in said and "kept:" not in said
    cli.main(["prune", "--set", "budget=tiny", "--yes"])
    said = capsys.readouterr().out
    assert "dataset shirts" in said and "kept: 2 results of data sets" in said and "in total" in said
    assert job.folder.is_dir() and earlier.folder.is_dir()


@pytest.mark.workflow
def test_snakemake_reads_own_yaml_too(clone: Callable[[str], Path], tmp_path: Path) -> None:
    project = clone("own")
    shirts = project / "shirts" / "a"
    shirts.mkdir(parents=True)
    (project / "own.yaml").write_text(yaml.safe_dump({"budget": "tiny", **yaml.safe_load(OWN)}))
    ask = "from pipeline.workflow.overrides import plan; print(plan([]).job('classifier', 'shirts').outputs['report'])"
    path = run([str(BIN / "python"), "-c", ask], project).stdout.strip()
    assert path.startswith("results/store/shirts/classifier/")
    done = run([str(BIN / "snakemake"), "-n", "--cores", "1", "--", path], project)
    assert done.returncode == 0, "a job of another hash is unknown: " + done.stderr
