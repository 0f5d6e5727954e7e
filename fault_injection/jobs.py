"""The jobs of the tiny budget, as a person calls their stages by hand; what each leaves and how to undo it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fault_injection.project import DATASET, MEASURED_TIME, ROOT, Project, Undisturbed
from pipeline.workflow import layout, params, staleness
from pipeline.workflow.plan import Job, Plan


def planned() -> dict[str, Job]:
    """Every job of the comparison by name, and the report's, each after those that it reads from."""
    plan = Plan(params.load(["budget=tiny", f"report=[{DATASET}]"], ROOT / "params.yaml"))
    report = plan.job("report")
    return {**staleness.jobs_of(plan, DATASET), staleness.name(report): report}


def one_of_each_stage() -> dict[str, Job]:
    """The first job of every stage."""
    chosen: dict[str, Job] = {}
    for job in planned().values():
        chosen.setdefault(job.stage, job)
    return chosen


def words(job: Job) -> list[str]:
    """Of the command that does it; a training saves its state often, so that this is disturbed too."""
    named = [word for key, value in job.wildcards.items() for word in (f"--{key}", str(value))]
    often = ["--checkpoint-steps", "2"] if job.stage == "train" else []
    return [job.stage, *named, "--set", "budget=tiny", "--set", f"report=[{DATASET}]", *often]


def undo(project: Project, job: Job) -> None:
    """Remove what a job left, so that it has to be done again."""
    more = [f"{layout.RAW.format(**job.wildcards)}/*"] if job.stage == "fetch" else []
    outputs = [name for path in job.outputs.values() for name in (path, f"{path}.stamp.json")]
    project.clear(*outputs, *more, layout.KEPT.format(identity=job.identity))


@dataclass(frozen=True)
class State:
    """Inode, time and size of every file that is not this job's: nobody else's may change."""

    files: dict[str, tuple[int, int, int]]

    @classmethod
    def of(cls, project: Project, job: Job) -> State:
        """As it is now."""
        own = (
            *job.outputs.values(),
            layout.KEPT.format(identity=job.identity),
            "results/.locks",
            "results/mlflow",
            "results/live",
        )
        folders = [project.folder / "data", project.folder / "results"]
        paths = {
            path.relative_to(project.folder).as_posix(): path.stat()
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
        }
        return cls(
            {
                name: (found.st_ino, found.st_mtime_ns, found.st_size)
                for name, found in paths.items()
                if not name.startswith(own)
            }
        )

    def changes(self, later: State) -> list[str]:
        """What was lost or touched; files that came in addition are told apart by their stamps."""
        return [f"{name}: touched by another job" for name in self.files if self.files[name] != later.files.get(name)]


def differences(project: Project, undisturbed: Undisturbed, job: Job) -> list[str]:
    """How a job's files differ from the undisturbed ones."""
    stamps = project.stamped()
    found = []
    for path in job.outputs.values():
        if any(part in path for part in MEASURED_TIME):
            found += [] if path in stamps else [f"{path}: missing"]
        elif stamps.get(path, {}).get("sha256") != undisturbed.stamps[path]["sha256"]:
            found.append(f"{path}: not the undisturbed one")
    return [*found, *(f"{path}: damaged" for path in project.damaged())]


def half_written(project: Project) -> list[str]:
    """Files with a temporary name."""
    folders: list[Path] = [project.folder / "data", project.folder / "results"]
    return [f"{path}: half-written" for folder in folders for path in folder.rglob(".*partial*")]
