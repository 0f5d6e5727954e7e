"""The house's rules, read from the syntax trees: who may import whom, what no file may contain, and that the
Snakefile declares what the stages read.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import snakefile
from pipeline.workflow import job_hash, layout, params, specs
from pipeline.workflow.plan import Plan
from tests.conftest import BIN, ROOT, plan_of, run

FILES = sorted((ROOT / "pipeline").rglob("*.py"))
DOMAIN = {"models", "metrics", "datasets", "features", "battles", "training", "tables", "figures", "report"}
LOWER = {"core", "workflow", "runtime"}
MAY_IMPORT = {
    **{name: set() for name in ("core", *DOMAIN)},
    **{name: {"core"} for name in ("datasets", "tables", "figures")},
    "metrics": {"datasets.class_bands"},
    "training": {"models.base"},
    "features": {"core", "datasets", "metrics", "training.sampler"},
    "workflow": {"core", "models.kinds", "training.length"},  # the bounds that params.yaml is checked against; no torch
    "runtime": {"core", "workflow", *DOMAIN},
    "tracking": {*LOWER, *DOMAIN},
    "stages": {*LOWER, "tracking", *DOMAIN},
    "commands": {*LOWER, "tracking", *DOMAIN},
    "": {*LOWER, "tracking", *DOMAIN},
}
"""What a folder may import besides itself: folders, or single modules; cli and snakefile are in none. A stage reads by
name, calls the science and writes: nobody imports one, nor a command.
"""


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in FILES}


def imported(name: str) -> set[str]:
    """The project's modules that a module imports anywhere in its text."""
    found = {found for found in job_hash.imports(name) if found in MODULES and found != name}
    # `from pipeline.models import kinds` names both; the package itself counts only where something else is taken.
    return {item for item in found if not any(other.startswith(f"{item}.") for other in found)}


def folder(name: str) -> str:
    """models, core, ... of a module's dotted name; '' for pipeline, __main__ and cli."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / "pipeline" / parts[1]).is_dir() else ""


def in_folders(*folders: str) -> list[str]:
    return [name for name in MODULES if folder(name) in folders]


def stage_names() -> set[str]:
    return {name for name in params.files_in("stages") if not name.startswith("_")}


# --- who imports whom -------------------------------------------------------------------------------------------


def test_a_folder_imports_what_it_may() -> None:
    folders = {path.name for path in (ROOT / "pipeline").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == MAY_IMPORT.keys() - {""}
    wrong = {}
    for name in MODULES:
        own, allowed = folder(name), MAY_IMPORT[folder(name)]
        itself = own not in ("stages", "commands")
        foreign = {item.removeprefix("pipeline.") for item in imported(name) if not (itself and folder(item) == own)}
        if over := {item for item in foreign if item not in allowed and item.split(".")[0] not in allowed}:
            wrong[name] = over
    assert wrong == {}


def test_a_model_is_one_class_made_from_torch_numpy_the_shared_modules_and_at_most_one_other_model() -> None:
    shared = {f"pipeline.models.{item}" for item in ("base", "kinds", "blocks", "adversarial", "philox")}
    for name in (f"pipeline.models.{source}" for source in params.files_in("models")):
        tops = {found.split(".")[0] for found in job_hash.imports(name)}
        assert tops - set(sys.stdlib_module_names) <= {"torch", "numpy", "pipeline"}, name
        others = imported(name) - shared
        assert len(others) <= (0 if name in shared else 1), f"{name}: at most one other model, which it is made from"
        assert all(imported(base) <= shared for base in others), f"{name}: made from one that is made from another"
        assert name in shared or (job_hash.is_model(name) and job_hash.class_chain(name)[0].name), name


# --- what cannot change a result --------------------------------------------------------------------------------


def reached(start: Any, following: Callable[[Any], Iterable[Any]]) -> list[Any]:
    """What is reached from a start, itself included."""
    found = [start]
    for item in found:
        found += [other for other in following(item) if other not in found]
    return found


def test_the_science_reaches_nothing_that_changes_no_result() -> None:
    """Models, metrics, features, battles, the loop, tables and figures see it not even through others."""
    allowed = {f"pipeline.core.{name}" for name in ("errors", "locks", "untrusted")}
    outside = {name for name in MODULES if job_hash.changes_no_result(name)} - allowed
    assert {folder(name) for name in outside} == {"workflow", "runtime", "tracking", "commands", ""}
    for name in in_folders(*DOMAIN):
        assert not outside.intersection(reached(name, imported)), name


def test_trackings_users_feed_no_table() -> None:
    """The relay, the stage that records, the command that shows, and the workflow, which has the stage run again."""
    users = {name for name in MODULES if "pipeline.tracking.mlflow_runs" in imported(name)}
    assert users == {"pipeline.stages.track", "pipeline.tracking.relay", "pipeline.commands.ui", "pipeline.snakefile"}
    for stage in ("tables", "standings", "figures"):
        job = plan_of().job(stage, "mnist")
        assert "track" not in {parent.stage for parent in reached(job, lambda item: item.parents)}


# --- what no file contains --------------------------------------------------------------------------------------


TOOLS = {"snakemake", "dvc", "mlflow"}


def tool_users() -> list[str]:
    return [name for name in MODULES if TOOLS & {item.split(".")[0] for item in job_hash.imports(name)}]


def test_of_snakemake_dvc_and_mlflow_only_public_names_are_used_and_nothing_is_assigned() -> None:
    """In modules that handle their objects, `_name` is read of `self` alone, and attributes of `self` alone are set."""
    assert "pipeline.snakefile" in tool_users(), "else nothing was looked at"
    for file in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        text = file.read_text()
        assert not re.search(r"\._[a-z]|^\s*(workflow|config|rules)(\.\w+)+\s*=[^=]", text, re.MULTILINE), file
    for file in map(MODULES.__getitem__, tool_users()):
        for node in ast.walk(ast.parse(file.read_text())):
            where = f"{file}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Attribute):
                ours = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                private = re.match("_(?!_)", node.attr) and ast.unparse(node) != "os._exit"
                assert ours or not (private or isinstance(node.ctx, ast.Store | ast.Del)), (
                    f"{where} {ast.unparse(node)}"
                )
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in TOOLS:
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                assert not any(word.startswith("_") for word in names), where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("setattr", "delattr", "vars"), where


def test_functions_have_at_most_sixty_lines_and_mostly_ten() -> None:
    lengths = {
        f"{file}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for file in [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > 60} == {}
    assert statistics.median(lengths.values()) <= 10


@pytest.mark.workflow
def test_every_stage_is_a_rule_a_specification_and_a_file() -> None:
    listed = run([str(BIN / "snakemake"), "--list-rules"], ROOT)
    rules = {line.split()[0] for line in listed.stdout.splitlines()}
    views = {f"view_{kind}" for kind in (*layout.VIEWS, "figures")}
    assert rules - {"mnist"} - views == stage_names() == set(specs.STAGES) == set(layout.FILES) == set(layout.WILDCARDS)
    assert views <= rules


# --- the Snakefile ----------------------------------------------------------------------------------------------


def test_the_snakefile_imports_nothing_heavy() -> None:
    heavy = ["torch", "mlflow", "pandas", "sklearn", "matplotlib", "scipy", "pyarrow"]
    code = (
        "import sys, json\nfrom pipeline import snakefile as workflow\nimport yaml\n"
        "plan = workflow.Plan(workflow.params.check(yaml.safe_load(open('params.yaml'))))\n"
        f"plan.job('summary', 'mnist').hash\nprint([name for name in {heavy} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_an_input_of_a_stage_is_stated_in_one_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The planner, the rules' inputs and the stage's specification take it from pipeline/workflow/specs.py."""
    canvases = specs.STAGES["canvases"]

    def with_summary(*plan: Plan, **wildcards: object) -> specs.Request:
        request = canvases(*plan, **wildcards)
        return dataclasses.replace(request, inputs={**request.inputs, **specs.splits("mnist", "summary")})

    monkeypatch.setitem(specs.STAGES, "canvases", with_summary)
    monkeypatch.chdir(tmp_path)
    plan = plan_of("budget=tiny")
    job, summary = plan.job("canvases", "mnist", "draw", 0), plan.job("prepare", "mnist").outputs["summary"]
    wildcards = {"dataset": "mnist", "model": "draw", "seed": "0", "hash": job.hash}
    assert snakefile.Workflow(plan).inputs("canvases")(wildcards)["summary"] == summary
    assert job.spec["inputs"]["summary"] == summary


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What Snakemake would do for everything, in a folder where nothing is done yet; the data is taken as imbalanced,
    for only then is there something to augment.
    """
    command = [str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--dry-run"]
    command += ["--nocolor", "--workflow-profile", "none", "--config", "budget=smoke", "seeds=2"]
    command += ['datasets={"mnist": {"imbalanced": true}}', "--", "mnist"]
    done = run(command, tmp_path_factory.mktemp("dry"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned_jobs(text: str) -> Iterator[tuple[str, set[str], set[str], dict[str, str]]]:
    """(rule, inputs, outputs, wildcards) of every job of a dry run's listing."""
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", text)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        fields = dict(re.findall(r"^    (input|output|wildcards): (.+)$", block, re.MULTILINE))
        assert rule
        wildcards = dict(item.split("=") for item in fields.get("wildcards", "").split(", ") if item)
        inputs, outputs = (set(filter(None, fields.get(name, "").split(", "))) for name in ("input", "output"))
        yield rule[1], inputs, outputs, wildcards


def test_every_rule_declares_what_its_stage_reads_and_leaves_behind(dry_run: str) -> None:
    plan = plan_of("budget=smoke", "seeds=2", "datasets.mnist.imbalanced=true")
    counts: dict[str, int] = {}
    for rule, inputs, outputs, wildcards in planned_jobs(dry_run):
        counts[rule] = counts.get(rule, 0) + 1
        if rule == "mnist" or rule.startswith("view_"):
            continue
        wildcards.pop("hash")
        named = {key: int(value) if key == "seed" else value for key, value in wildcards.items()}
        job = plan.job(rule, **named)
        assert inputs == set(job.reads), f"{rule} {wildcards}"
        assert outputs == set(job.outputs.values()), f"{rule} {wildcards}"
    runs, judges = len(plan.runs("mnist")), len(plan.judges("mnist"))
    trainings = len({(plan.trained(model), seed) for model, seed in plan.runs("mnist")})
    per_run = {"train": trainings, "sample": runs, "augment": runs, "evaluate": runs, "battle": judges}
    assert {rule: counts[rule] for rule in per_run} == per_run
    assert {rule for rule, count in counts.items() if count == 1} >= {"fetch", "prepare", "tables", "summary"}
    assert {rule for rule in counts if not rule.startswith("view_")} - {"mnist"} == stage_names(), (
        "every stage has a job"
    )
