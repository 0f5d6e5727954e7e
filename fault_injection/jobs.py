"""The jobs of the tiny budget, as a person calls their stages by hand; what each leaves and how to undo it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fault_injection.project import DATASET, ROOT, Project, Undisturbed
from pipeline.workflow import layout, params, staleness
from pipeline.workflow.plan import Job, Plan


def planned() -> dict[str, Job]:
    """Every job of the comparison by name, and the report's, each after those that it reads from."""
    plan = Plan(params.load(["budget=tiny", f"report=[{DATASET}]"], ROOT / "params.yaml"))
    report = plan.job("report")
    return {**staleness.jobs_of(plan, DATASET), report.name: report}


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
    project.clear(str(job.folder), *more)


@dataclass(frozen=True)
class State:
    """Inode, time and size of every file that is not this job's: nobody else's may change."""

    files: dict[str, tuple[int, int, int]]

    @classmethod
    def of(cls, project: Project, job: Job) -> State:
        """As it is now."""
        own = (str(job.folder), "results/.locks", "results/mlflow", "results/live")
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
        """What was lost or touched; files that came in addition are told apart by their records."""
        return [f"{name}: touched by another job" for name in self.files if self.files[name] != later.files.get(name)]


def differences(project: Project, undisturbed: Undisturbed, job: Job) -> list[str]:
    """How a job's files differ from the undisturbed ones."""
    files = project.files()
    own = [path for path in undisturbed.files if path.startswith(f"{job.folder}/")]
    found = [f"{path}: missing" for path in own if path not in files]
    found += [f"{path}: not the undisturbed one" for path in own if path in files and undisturbed.differ(path, files)]
    return [*found, *(f"{path}: damaged" for path in project.damaged())]


def half_written(project: Project) -> list[str]:
    """Files with a temporary name."""
    folders: list[Path] = [project.folder / "data", project.folder / "results"]
    return [f"{path}: half-written" for folder in folders for path in folder.rglob(".*partial*")]
