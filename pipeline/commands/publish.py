"""Publish a data set's results: record them in DVC, push them, copy small tables and figures to results/published.

Refuses results that are not current. A second call changes nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core import artifacts, folders
from pipeline.core.errors import UserError
from pipeline.workflow import layout, overrides, run_lock, specs, staleness, store
from pipeline.workflow.plan import Plan

LARGEST = 1_000_000
"""Bytes of the largest file that is given to Git."""

PUBLISHED, LOCK = Path("results/published"), Path("envs/requirements.txt")

Records = dict[Path, dict[str, Any]]
"""Folder of a stored job -> its record."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, and where to."""
    parser.add_argument("--dataset", default="mnist", help="a data set of params.yaml (default: mnist)")
    parser.add_argument("--to", type=Path, default=PUBLISHED, help=f"folder for Git (default: {PUBLISHED})")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Check, record, push, copy, and say what is left to do."""
    plan, dataset = overrides.of(arguments), arguments.dataset
    run_lock.hold()
    remote = default_remote()
    say(f"checking the results of {dataset}")
    records = current(plan, dataset)
    given = stages(plan, dataset)
    record(dataset, given)
    push(given, remote)
    folder = arguments.to / dataset
    files = {name: path.read_bytes() for name, path in small(plan, dataset)}
    origin = provenance(plan, dataset, records)
    files["provenance.json"] = (json.dumps(origin, indent=1) + "\n").encode()
    files["README.md"] = readme(origin).encode()
    say(f"{folder}: {len(files)} files" + ("" if folders.replace(folder, files) else ", unchanged"))
    say("now commit them:")
    say(f"    git add dvc.lock {folder}")
    say(f'    git commit -m "Results of {dataset}, budget {plan.params.budget}"')


def say(line: str) -> None:
    """A line for the person."""
    print(f"publish: {line}", flush=True)


# --- are they current? --------------------------------------------------------------------------------------------


def current(plan: Plan, dataset: str) -> Records:
    """The records of all jobs of a comparison but for the fetched raw files.

    Raises:
        UserError: something is missing, damaged, or not what params.yaml and the code ask for now.
    """
    states = staleness.look(plan, dataset)
    jobs = [state.job for state in states.values() if state.job.stage != "fetch"]
    to_do = [job for job in jobs if not store.is_complete(job.folder)]
    if to_do:
        causes = [str(cause) for state in states.values() for cause in state.causes]
        # by name too what nothing that is to do reads: Snakemake makes no missing file that nobody needs
        targets = [layout.SUMMARY_TEXT.format(dataset=dataset), *(job.outputs["job"] for job in to_do[:3])]
        raise UserError(
            f"the results do not match params.yaml and the code: {', '.join(causes[:3]) or to_do[0].name}; "
            f"{len(to_do)} of {len(states)} jobs are to do (--config of an earlier run is not used); `make status` "
            f"says why; run `{overrides.snakemake(' '.join(targets), plan.flags)}` first"
        )
    return {job.folder: sound(job.folder) for job in jobs}


def sound(folder: Path) -> dict[str, Any]:
    """The record of a stored job; `UserError` for a file whose bytes are not the recorded ones, before DVC has it."""
    record = store.checked(folder / layout.RECORD)
    for name in record["files"]:
        store.checked(folder / name)
    return record


# --- DVC ----------------------------------------------------------------------------------------------------------


def default_remote() -> str | None:
    """DVC's default remote, to which results are pushed; None where there is none."""
    settings = dict(line.split("=", 1) for line in command("dvc", "config", "--list").splitlines() if "=" in line)
    return settings.get("core.remote")


def record(dataset: str, stages: list[str]) -> None:
    """Give what Snakemake made to DVC, as its own stages would have recorded it."""
    command("pipeline", "views", "--dataset", dataset)
    command("dvc", "commit", "--force", *stages)
    say("recorded in dvc.lock")


def stages(plan: Plan, dataset: str) -> list[str]:
    """The stages of dvc.yaml that hold a data set's results, and the report's where it is current.

    Raises `UserError` for a data set that DVC does not keep.
    """
    if dataset not in plan.params.dvc_tracked:
        raise UserError(
            f"params.yaml: dvc_tracked: {dataset} is not listed, so DVC has no stage for it; add it, then publish again"
        )
    names = [f"{stage}@{dataset}" for stage in ("prepare", "compare")]
    if store.is_complete(plan.job("report").folder):
        return [*names, "report"]
    make_report = overrides.snakemake(layout.REPORT, plan.flags)
    say(f"{layout.REPORT}: left out, because it is not current; make it with `{make_report}`")
    return names


def push(stages: list[str], remote: str | None) -> None:
    """Push to the remote; where there is none, say so loudly."""
    if remote is None:
        say("NOT PUSHED: DVC has no default remote, so nobody else can pull these results; add one with")
        say("    .venv/bin/dvc remote add --default NAME PLACE")
        return
    say(f"pushing to {remote}")
    command("dvc", "push", "--remote", remote, *stages, show_output=True)


def command(module: str, *words: str, show_output: bool = False) -> str:
    """What one of Python's programs prints; `show_output` shows its progress. `UserError` where it fails."""
    pipe = None if show_output else subprocess.PIPE
    done = subprocess.run(
        [sys.executable, "-m", module, *words], stdout=pipe, stderr=pipe, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        errors = [line for line in (done.stderr or "").splitlines() if line.strip()]
        cause = errors[-1] if errors else "see above"
        raise UserError(f"`{module} {' '.join(words)}` failed: {cause}; correct this, then publish again")
    return done.stdout or ""


# --- Git ----------------------------------------------------------------------------------------------------------


def small(plan: Plan, dataset: str) -> Iterator[tuple[str, Path]]:
    """The tables, and the figures as PNG, that are small enough for Git: name where they are published, file."""
    files = {
        Path(Path(view.format(dataset=dataset)).name): Path(plan.job(stage, dataset).outputs[output])
        for view, (stage, output) in layout.VIEWS["tables"].items()
        if output != "job"
    }
    for source in specs.drawn(plan, dataset):
        figures = store.copies(Path("figures"), Path(plan.job(*source.job).outputs[source.output]))
        files |= {name: path for name, path in figures.items() if name.suffix == ".png"}
    for name, path in files.items():
        if path.stat().st_size > LARGEST:
            say(f"{path}: left out, {path.stat().st_size:,} bytes are more than {LARGEST:,}")
        else:
            yield name.as_posix(), path


def provenance(plan: Plan, dataset: str, stored: Records) -> dict[str, Any]:
    """Where the results come from, from their records alone: no clock, so it is the same again."""
    records = list(stored.values())

    def all_of(key: str) -> list[str]:
        return sorted({str(record[key]) for record in records if record.get(key) is not None})

    devices = [device for device in all_of("device") if device != "auto"]  # 'auto': the stage uses none
    return {
        "dataset": dataset,
        "budget": plan.params.budget,
        "models": plan.models(dataset),
        "seeds": len(plan.params.seeds_used()),
        "commits": all_of("commit"),
        "made": {"first": min(all_of("made")), "last": max(all_of("made"))},
        "made_on": {"machines": all_of("machine"), "devices": devices, "python": all_of("python")},
        "versions": dict(sorted((name, version) for record in records for name, version in record["versions"].items())),
        "jobs": records,
    }


def readme(origin: Mapping[str, Any]) -> str:
    """The page of a published set: the command, commit, lock and machine that made it."""
    dataset, seeds, first, last = origin["dataset"], origin["seeds"], origin["made"]["first"], origin["made"]["last"]
    chosen = json.dumps({dataset: {"models": origin["models"]}})
    settings = f"budget={origin['budget']} seeds={seeds} 'datasets={chosen}'"
    lock = artifacts.sha256(LOCK) if LOCK.is_file() else "not found"
    lines = [
        f"# {dataset}, {origin['budget']} budget, {seeds} {'seed' if seeds == 1 else 'seeds'} per model",
        "",
        f"Written by `make publish`. [{dataset}.md]({dataset}.md) is the table; `figures/` has the figures.",
        "",
        "| | |",
        "|---|---|",
        f"| Command | `snakemake --cores 8 {layout.SUMMARY_TEXT.format(dataset=dataset)} --config {settings}` |",
        f"| Commit | {', '.join(f'`{commit}`' for commit in origin['commits']) or 'not recorded'} |",
        f"| Lock | `{LOCK}`, SHA-256 `{lock}` |",
        f"| Made | {first} to {last} |",
        f"| Machine | {'; '.join(origin['made_on']['machines'])}; device {', '.join(origin['made_on']['devices'])} |",
        "| Provenance | [provenance.json](provenance.json): library versions, job hashes and SHA-256 of the tables |",
        "",
    ]
    return "\n".join(lines)
