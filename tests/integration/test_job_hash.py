"""Job hashes: what changes a result changes them, nothing else does."""

from __future__ import annotations

import ast
import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.workflow import job_hash, model_arguments, params, plan
from pipeline.workflow.plan import Plan
from tests.conftest import ROOT

MODELS = ["vae", "info_vae", "draw", "draw_gan", "dcgan", "gran3"]
PER_RUN = ("train", "sample", "evaluate")
SHARED = ("fetch", "prepare", "classifier", "references")
PER_TABLE = ("tables", "standings", "figures", "gallery", "track", "summary")
JUDGES = ["draw_gan", "dcgan", "gran3"]

Key = tuple[str, ...]
Hashes = dict[Key, str]


def clear() -> None:
    """Forget what was computed from files; what is asked of params.yaml depends on signatures, which no test edits."""
    for function in (*vars(job_hash).values(), *vars(plan).values()):
        if callable(function) and hasattr(function, "cache_clear"):
            function.cache_clear()


class Tree:
    """A copy of the project whose files can be edited; all are the same before that."""

    unedited: Hashes = {}

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "params.yaml", root)
        Tree.unedited = Tree.unedited or self.hashes()
        self.before = Tree.unedited

    def edit(self, file: str, change: Callable[[str], str]) -> None:
        path = self.root / file
        text = path.read_text()
        path.write_text(change(text))
        assert path.read_text() != text, "an edit that edits nothing proves nothing"

    def hashes(self, *overrides: str) -> Hashes:
        """(stage[, model]) -> hash of every job of the data set, seed 0."""
        clear()
        jobs = Plan(params.load(overrides, self.root / "params.yaml"))
        keys = [(stage,) for stage in (*SHARED, *PER_TABLE)]
        keys += [(stage, model) for stage in PER_RUN for model in MODELS]
        keys += [("battle", model) for model in JUDGES] + [("canvases", "draw")]
        seeds = {"battle": ()}
        return {
            key: jobs.job(key[0], "mnist", *key[1:], *(seeds.get(key[0], (0,)) if len(key) > 1 else ())).hash
            for key in keys
        }

    def changed(self, *overrides: str) -> set[Key]:
        """Jobs whose hash is not what it was."""
        after = self.hashes(*overrides)
        return {key for key in after if after[key] != self.before[key]}


def by_text(function: Any) -> Callable[[str], Any]:
    """A function of a module's name that is computed once for each text that the module has had: files are many."""
    known: dict[tuple[str, str], Any] = {}

    @functools.cache
    def of(name: str) -> Any:
        file = job_hash.module_file(name)
        key = (name, file.read_text() if file else "")
        if key not in known:
            known[key] = function.__wrapped__(name)
        return known[key]

    return of


BY_TEXT = {name: by_text(getattr(job_hash, name)) for name in ("syntax_tree", "imports", "module_digest")}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    for name, function in BY_TEXT.items():
        monkeypatch.setattr(job_hash, name, function)
    monkeypatch.setattr(job_hash, "ROOT", tmp_path)
    yield Tree(tmp_path)
    monkeypatch.undo()
    clear()


def of(stage: str, *models: str) -> set[Key]:
    """Keys of a stage's jobs of some models."""
    return {(stage, model) for model in models}


def follow(*models: str) -> set[Key]:
    """What is made from these models' trainings: their samples and metrics, and every comparison."""
    made = {key for stage in PER_RUN for key in of(stage, *models)}
    canvases = of("canvases", "draw") & of("canvases", *models)
    return made | of("battle", *JUDGES) | canvases | {(stage,) for stage in PER_TABLE}


def new_line(text: str) -> str:
    """A statement of code at the end of a file."""
    return f"{text}\nEDITED = 1\n"


EVERY_MODULE = sorted(str(file.relative_to(ROOT)) for file in (ROOT / "pipeline").rglob("*.py"))

# --- what changes nothing ---------------------------------------------------------------------------------------


def rewritten(text: str) -> str:
    """The same code with other docstrings, comments and line breaks."""
    parsed = ast.parse(text)
    for node in ast.walk(parsed):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = "Reworded."
    return f"# edited\n{ast.unparse(parsed)}\n# end\n"


def test_layout_comments_and_docstrings_do_not_count(tree: Tree) -> None:
    for file in EVERY_MODULE:
        if file.split("/")[1] in ("models", "metrics", "training", "stages"):
            tree.edit(file, rewritten)
    assert tree.changed() == set()


def test_what_cannot_change_a_result_is_left_out(tree: Tree) -> None:
    outside = [file for file in EVERY_MODULE if job_hash.changes_no_result(file.removesuffix(".py").replace("/", "."))]
    for name in ("tracking/mlflow_runs", "runtime/progress", "snakefile", "commands/status", "core/errors"):
        assert f"pipeline/{name}.py" in outside
    for file in outside:
        tree.edit(file, new_line)
    assert tree.changed() == set()


def test_addresses_and_the_device_are_no_part_of_a_result(tree: Tree) -> None:
    assert tree.changed("datasets.mnist.sources=[]", "device=cpu") == set()


# --- what changes what ------------------------------------------------------------------------------------------


AFTER_STANDINGS = {("tables",), ("figures",), ("track",), ("summary",)}
MEASURED = of("evaluate", *MODELS) | {("references",)}
JUDGED = {("standings",)} | AFTER_STANDINGS
PUBLISHED = "pipeline/tables/published/"
EDITS = {
    "pipeline/models/draw.py": follow("draw", "draw_gan"),
    "pipeline/models/draw_gan.py": follow("draw_gan"),
    "pipeline/models/blocks.py": follow("vae", "info_vae", "draw", "draw_gan", "dcgan"),
    "pipeline/metrics/frechet.py": MEASURED | JUDGED,
    "pipeline/training/loop.py": follow(*MODELS),
    "pipeline/stages/standings.py": JUDGED,
    f"{PUBLISHED}draw_gan_table1_mnist.csv": AFTER_STANDINGS,
    f"{PUBLISHED}claims.csv": AFTER_STANDINGS,
    f"{PUBLISHED}gran_table2_battles.csv": JUDGED,
    f"{PUBLISHED}gran_table3_non_adversarial.csv": JUDGED,
    f"{PUBLISHED}gran_table4_more_steps.csv": JUDGED,
}
"""An edited file -> the jobs whose hash is another."""


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_changes_the_jobs_that_use_the_file(tree: Tree, file: str) -> None:
    tree.edit(file, new_line if file.endswith(".py") else lambda text: text.replace(".", ".1", 1))
    assert tree.changed() == EDITS[file]


def test_a_readers_code_changes_all_that_comes_from_its_data(tree: Tree) -> None:
    tree.edit("pipeline/datasets/idx.py", new_line)
    assert tree.changed() == set(tree.before) - {("fetch",)}


def test_every_metric_is_part_of_every_evaluation(tree: Tree) -> None:
    metrics = {path.stem for path in (ROOT / "pipeline/metrics").glob("*.py") if "\nCOLUMNS" in path.read_text()}
    assert "frechet" in metrics
    jobs = Plan(params.load(file=tree.root / "params.yaml"))
    for job in (jobs.job("evaluate", "mnist", "gran3", 0), jobs.job("references", "mnist")):
        assert {f"pipeline.metrics.{name}" for name in metrics} <= set(job_hash.code_closure(job.modules))


NESTED = """
if a:
    import p1
elif b:
    with c:
        import p2
else:
    for _ in d:
        class E:
            def f(self): import p3
try: pass
except X: import p4
else: import p5
finally: import p6
match g:
    case 1: import p7
"""


def test_an_import_is_seen_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_hash, "syntax_tree", lambda name: ast.parse(NESTED))
    assert job_hash.imports.__wrapped__("it") == {f"p{number}" for number in range(1, 8)}


CODE = """
NAME = 'a'
def f(x: int, flag=True):
    'Doc.'
    return x.exp() + 1.5
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("1.5", "1.25", True), ("True", "False", True), ("+", "-", True), ("exp", "expm1", True), ("'a'", "'b'", True),
        ("'Doc.'", "'Other.'", False), ("return", "# why\n    return", False), ("flag=", "flag = ", False),
    ],
)  # fmt: skip
def test_every_kind_of_edit_counts_but_for_docstrings_comments_and_layout(old: str, new: str, counts: bool) -> None:
    before, after = (job_hash.digest(job_hash._normalised(ast.parse(text))) for text in (CODE, CODE.replace(old, new)))
    assert (before != after) == counts


# --- params -----------------------------------------------------------------------------------------------------


def test_a_models_argument_changes_its_jobs_and_no_other_training(tree: Tree) -> None:
    assert tree.changed("models.draw.glimpses=11") == follow("draw")


def test_defaults_written_out_are_the_same_jobs(tree: Tree) -> None:
    blocks = yaml.safe_load((tree.root / "params.yaml").read_text())["models"]
    overrides = [
        f"models.{model}.{argument}={json.dumps(default)}"
        for model, block in blocks.items()
        if "reuse_training_of" not in block  # its arguments are those of the training that it samples
        for argument, _, default in model_arguments.constructor(f"pipeline.models.{block.get('class', model)}")
        if argument not in block
    ]
    assert len(overrides) > len(MODELS)
    assert tree.changed(*overrides) == set()


def test_a_value_set_back_gives_the_earlier_hash(tree: Tree) -> None:
    steps = params.load(file=tree.root / "params.yaml").resolved_models["draw"]["training"]["steps"]
    assert tree.changed(f"models.draw.steps={steps + 1}") == follow("draw")
    assert tree.changed(f"models.draw.steps={steps}") == set()


def test_the_comparisons_settings_change_no_training(tree: Tree) -> None:
    for override, stages in (
        ("protocol.jackknife_groups=21", {"evaluate"}),
        ("protocol.frechet_images=9", {"evaluate"}),
        ("protocol.samples=123", {"sample", "evaluate", "battle"}),
        ("protocol.battle_ratio=accuracy", {"standings"}),
    ):
        found = tree.changed(override)
        assert stages <= {key[0] for key in found}
        assert "train" not in {key[0] for key in found}
        assert ("classifier",) not in found


def test_a_budgets_name_is_no_part_of_a_training(tree: Tree) -> None:
    laptop = {"seeds": 1, "protocol.samples": 77, "protocol.importance_samples": 3, "classifier.steps": 9}
    laptop["models.vae.steps"] = 5
    overrides = [f"{key}={value}" for key, value in laptop.items()]
    one, other = (tree.hashes(f"budget={budget}", *overrides) for budget in ("laptop", "smoke"))
    for key in (("train", "vae"), ("sample", "vae"), ("evaluate", "vae"), ("classifier",), ("references",)):
        assert one[key] == other[key]
    assert one["train", "dcgan"] != other["train", "dcgan"], "its steps differ"


def test_a_second_seed_leaves_the_first_ones_jobs_alone(tree: Tree) -> None:
    found = tree.changed("seeds=2")
    assert {key for key in found if key[0] in PER_RUN} == set()
    assert ("tables",) in found


def test_seeds_and_models_are_different_jobs(tree: Tree) -> None:
    assert len(set(tree.before.values())) == len(tree.before)
    jobs = Plan(params.load(file=tree.root / "params.yaml"))
    assert jobs.job("train", "mnist", "vae", 0).hash != jobs.job("train", "mnist", "vae", 1).hash


# --- libraries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["torch", "numpy", "pyarrow"])
def test_a_librarys_version_changes_the_jobs_that_import_it(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    installed = job_hash.version

    def version(distribution: str) -> str:
        return "99.0" if distribution == library else installed(distribution)

    monkeypatch.setattr(job_hash, "version", version)
    found = tree.changed()
    assert ("fetch",) not in found, "it fetches bytes"
    if library == "torch":
        assert found == set(tree.before) - {("fetch",), ("prepare",)}, "those compute with numpy"
    else:
        assert ("train", "vae") in found


def test_a_missing_library_has_a_version_too() -> None:
    assert job_hash.version("no-such-distribution-anywhere") == "none"


# --- the digest itself ------------------------------------------------------------------------------------------


def test_a_hash_depends_on_each_of_its_parts_and_on_their_order() -> None:
    def of_parts(stage: str = "train", block: Any = None, inputs: tuple[str, ...] = ("a", "b")) -> str:
        return job_hash.compute(stage, block or {"x": 1, "y": 2}, ["pipeline.models.kinds"], inputs)

    same = of_parts()
    assert same == of_parts(block={"y": 2, "x": 1}), "the order of keys is no content"
    others = [
        of_parts("sample"),
        of_parts(block={"x": 1}),
        of_parts(block={"x": 1, "y": 2.5}),
        of_parts(inputs=("b", "a")),
        of_parts(inputs=("a",)),
    ]
    assert len({same, *others}) == len(others) + 1


def test_the_digest_of_some_code_is_the_same_on_every_python() -> None:
    """Pinned: an interpreter whose syntax trees have new empty fields must not make everything stale."""
    tree = ast.parse('def f(x: int, /, *, y=1.5) -> int:\n    """Doc."""\n    return f"{x!r:>3}" if x else ~y\n')
    assert job_hash.digest(job_hash._normalised(tree)) == "60dcc4426b66612f"
