"""Fuzz: whatever is written in params.yaml, on a command line, in a job's file or in a record, it is either taken or
refused in one line; nothing ends in a traceback.

Few cases, always the same ones, run with the other tests. A campaign of other cases every time:

    make fuzz            # EASEL_FUZZ_CASES=10000 pytest -s tests/faults/test_fuzz.py

EASEL_FUZZ_CASES is how many cases all tests of this file have together, about; what became of them is printed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench import made_up
from pipeline import cli, snakefile
from pipeline.core.errors import UserError
from pipeline.datasets import description
from pipeline.stages import prepare
from pipeline.workflow import layout, params, staleness
from pipeline.workflow.plan import Plan
from tests import hostile
from tests.conftest import plan_of
from tests.malformed import malformed

CAMPAIGN = int(os.environ.get("EASEL_FUZZ_CASES", "0"))
SHARES = {"file": 40, "line": 40, "target": 30, "spec": 20, "record": 12, "data": 40}
"""Cases of each kind in the short form; a campaign has as many times more of each."""

SEEN: dict[str, Counter[str]] = {kind: Counter() for kind in SHARES}


def cases(kind: str) -> settings:
    """How many cases a test has: the same ones every time unless it is a campaign."""
    share = SHARES[kind] / sum(SHARES.values())
    return settings(
        max_examples=round(CAMPAIGN * share) or SHARES[kind],
        derandomize=not CAMPAIGN,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # the first case found is small enough to read; shrinking takes minutes
        suppress_health_check=list(HealthCheck),
    )


def is_one_line(text: str) -> None:
    assert text and len(text.splitlines()) == 1, text
    assert text.isprintable(), ascii(text)
    assert len(text) < 2500, len(text)


def judged(kind: str, what: Callable[[], object]) -> None:
    """It goes through, or is refused in one line; anything else fails the test by itself."""
    try:
        what()
    except UserError as error:
        is_one_line(str(error))
        SEEN[kind]["refused"] += 1
    else:
        SEEN[kind]["taken"] += 1


def plan_everything(resolved: params.Params) -> None:
    """The hash of every job of every data set."""
    plan = Plan(resolved)
    for dataset in resolved.datasets:
        jobs = staleness.jobs_of(plan, dataset).values()
        assert len(jobs) > 6
        assert all(re.fullmatch("[0-9a-f]{16}", job.hash) for job in jobs)


# --- params.yaml ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the cases of this file work: with params.yaml, without results."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "params.yaml").write_text(hostile.TEXT)
    with contextlib.chdir(folder):
        yield folder


@cases("file")
@given(hostile.files())
def test_any_params_file_plans_or_is_refused(folder: Path, content: bytes) -> None:
    (folder / "odd.yaml").write_bytes(content)
    judged("file", lambda: plan_everything(params.load(file=Path("odd.yaml"))))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("folder", "loop", "absent"):
        with pytest.raises(UserError, match=name) as caught:
            params.load(file=tmp_path / name)
        is_one_line(str(caught.value))


# --- command lines ----------------------------------------------------------------------------------------------

argument = st.text(st.characters(exclude_characters="\0"), max_size=8) | st.sampled_from(
    [text for text in hostile.ODD_TEXTS if "\0" not in text] + ["0", "1", "params.yaml", ".", "/dev/null", "x.json"]
)
flag = argument | st.sampled_from(["--dataset", "--model", "--seed", "--job", "--spec", "--device", "--log", "--to"])
setting = hostile.assignments().map(lambda text: ["--set", text.replace("\0", "")])
options = st.lists(st.tuples(flag, argument).map(list) | flag.map(lambda word: [word]) | setting, max_size=4)
begins = [["status"], ["status", "--all"], ["prune", "--dry-run"], ["views"], ["compare"], ["no such command"]]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Words after `python -m pipeline`; whatever they say, nothing is made, deleted or sent."""
    stage = st.sampled_from(sorted(cli.stages())).map(lambda name: [name, "--print-spec"])
    return sum(draw(options), draw(stage | st.sampled_from(begins)))


def called(words: list[str]) -> tuple[int, str]:
    """Exit code and complaint of a command line."""
    complaint, code = io.StringIO(), 0
    with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.main(words)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, complaint.getvalue()


def judged_line(kind: str, words: list[str]) -> None:
    code, complaint = called(words)
    assert code != 70, complaint  # 70: its own last resort, a traceback in a log
    assert "Traceback" not in complaint
    if code:
        *progress, last = complaint.splitlines()
        assert last.startswith("easel: "), complaint
        assert all(line.startswith("easel: reading ") for line in progress), complaint
        is_one_line(last)
    SEEN[kind]["refused" if code else "taken"] += 1


@cases("line")
@given(command_lines())
def test_any_command_line_is_done_or_refused(folder: Path, words: list[str]) -> None:
    judged_line("line", words)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of("budget=tiny")


TARGET_PARTS = [
    *hostile.ODD_TEXTS, "data", "raw", "prepared", "results", "tables", "metrics", "models", "mnist.csv", "0",
    "references.json", "0.json", "mnist_seeds.csv", "mnits.csv", "drwa",
]  # fmt: skip


@cases("target")
@given(st.lists(st.sampled_from(TARGET_PARTS) | st.text(max_size=5), max_size=6), st.booleans())
def test_any_target_is_taken_or_refused(plan: Plan, parts: list[str], known: bool) -> None:
    prefix = ["results", "tables"] if known else []
    judged("target", lambda: snakefile.check_target(plan, "/".join([*prefix, *parts])))


# --- files that a person hands over, or that lie about ------------------------------------------------------------


@pytest.fixture(scope="module")
def spec(folder: Path, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(plan.job("prepare", "mnist").spec))
    return found


@cases("spec")
@given(st.data())
def test_any_jobs_file_is_refused_or_its_job(folder: Path, spec: dict[str, Any], data: st.DataObject) -> None:
    content = data.draw(hostile.jsons(spec) | st.just(json.dumps(spec).encode()))
    planned = layout.path(layout.PLANNED, hash=spec["hash"])
    planned.parent.mkdir(parents=True, exist_ok=True)
    for path in (planned, Path("spec.json")):
        path.write_bytes(content)
    job = data.draw(st.sampled_from([["--spec", "spec.json"], ["--job", spec["hash"]]]))
    judged_line("spec", ["prepare", *job, *data.draw(st.sampled_from([[], ["--print-spec"]]))])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> Path:
    """A folder in which everything seems to be made: small files with sound records."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "params.yaml").write_text(hostile.TEXT)
    with contextlib.chdir(folder):
        made_up.make(plan)
    return folder


@cases("record")
@given(st.data())
def test_any_record_is_believed_or_its_job_is_to_do(made: Path, plan: Plan, data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(sorted(made.rglob(layout.RECORD))))
    before = chosen.read_bytes()
    try:
        chosen.write_bytes(data.draw(hostile.jsons(json.loads(before))))
        with contextlib.chdir(made):
            found = staleness.look(plan, "mnist")
            SEEN["record"]["taken" if all(item.done for item in found.values()) else "refused"] += 1
            looks = [["status", "--set", "budget=tiny"], ["prune", "--dry-run"], ["compare", ".", "."]]
            words = data.draw(st.sampled_from(looks))
            code, complaint = called(words)
            assert code in ((0, 1) if words[0] == "compare" else (0,)), complaint
    finally:
        chosen.write_bytes(before)


# --- data sets ----------------------------------------------------------------------------------------------------


@cases("data")
@given(st.data())
def test_any_small_data_set_is_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        for folder in (Path("raw"), Path("it")):
            folder.mkdir()
        reader, place, block = data.draw(malformed(Path("it")))
        readers = [reader, *(["images", "arrays", "parquet", "webdataset", "lsun"] if data.draw(st.booleans()) else [])]
        block["reader"] = data.draw(st.sampled_from(readers))
        judged("data", lambda: described(block, place))
        assert not list(Path("raw").iterdir()), "nothing is left behind"


def described(block: dict[str, Any], place: Path) -> None:
    """Read a data set and describe it, as the stage `prepare` does before it writes."""
    loaded, parts = prepare.read(Path("raw"), place, block)
    found = description.description(loaded, parts)
    assert len(description.lines(found)) == 5
    json.dumps(found, allow_nan=False).encode()
    assert all(line.isprintable() for line in description.lines(found)), description.lines(found)
    list(description.too_few(parts, {"vae": 100}))
    for split, (images, labels, chosen) in parts.items():
        assert images.shape[1:] == tuple(block["shape"]), split
        assert labels is None or set(np.unique(labels[chosen])) <= set(range(len(loaded.class_names)))


def test_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """What became of the cases; both ends were met in each kind, or the fuzz would show nothing."""
    told = {kind: ", ".join(f"{count:,} {what}" for what, count in sorted(seen.items())) for kind, seen in SEEN.items()}
    with capsys.disabled() if CAMPAIGN else contextlib.nullcontext():
        print(f"\nfuzz: {sum(seen.total() for seen in SEEN.values()):,} cases")
        print("\n".join(f"  {kind:<10} {line}" for kind, line in told.items()))
    if all(seen.total() for seen in SEEN.values()):  # else some were not asked for
        assert all(seen["taken"] and seen["refused"] for seen in SEEN.values()), told
