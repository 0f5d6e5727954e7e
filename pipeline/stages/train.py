"""Train one model with one seed; resumes exactly where a killed training stood."""

from __future__ import annotations

import csv
import io
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline.core import artifacts, untrusted
from pipeline.core.errors import Interrupted, UserError
from pipeline.models.base import ImageGenerator
from pipeline.runtime import signals
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.tracking.live import LiveHistory
from pipeline.training.device import build
from pipeline.training.length import check_warmup, total_steps
from pipeline.training.levels import levels
from pipeline.training.loop import Diverged, Settings, Trainer
from pipeline.training.sampling import diversity, sample
from pipeline.workflow import layout

CHECKPOINT_EVERY = 30.0
"""Seconds between two checkpoints; bits do not depend on when they are taken."""

WATCHED_WINDOWS = 20
"""How often samples are looked at during a training."""

WATCHED_SAMPLES = 128
KEPT_SAMPLES = 16
"""How many of them are kept, to show how samples came to be what they are (Stiff et al. figures 11 and 12)."""

COLLAPSED_BELOW = 0.1
"""A model whose samples differ by less than this share of what real images do has collapsed (Renkila et al., Stiff et
al. section 5.2).
"""


class Clock:
    """Wall and CPU seconds of a training, over all the processes that it took."""

    def __init__(self, wall: float = 0.0, cpu: float = 0.0) -> None:
        self.wall_before, self.cpu_before = wall, cpu
        self.wall_began, self.cpu_began = time.monotonic(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds on the wall."""
        return self.wall_before + time.monotonic() - self.wall_began

    @property
    def cpu(self) -> float:
        """Seconds of CPU."""
        return self.cpu_before + time.process_time() - self.cpu_began


def run(job: JobContext) -> None:
    """Train to the last step, or to the first loss that is not finite; write weights, history, status and cost."""
    device = use_device(job)
    images, labels = artifacts.read_images(job.inputs["train"])
    block = job.config
    data = levels(block["training"]["data"], images)
    if block["training"]["data"] == "auto":
        job.progress.say(f"data: {data}, by what the images hold; `data` in the data set's settings says otherwise")
    of_data = {"shape": images.shape[1:], "classes": block.get("classes", 0)}
    try:
        settings = settings_of(block, len(images), data)
        model = build(block["class"], block["arguments"], **of_data, seed=settings.seed, device=device)
        named = None if labels is None else torch.from_numpy(labels.copy())
        trainer = Trainer(model, torch.from_numpy(images.copy()).to(device), settings, named)
    except ValueError as error:
        raise UserError(f"params.yaml: models.{job.config['model']}: {error}") from error
    checkpoint = job.at(layout.CHECKPOINT)
    for partial in checkpoint.parent.glob(f".{job.hash}*.partial"):
        partial.unlink(missing_ok=True)
    clock = resume(trainer, checkpoint, job)
    diverged = train(trainer, job, checkpoint, clock)
    write(trainer, job, clock, diverged)


def settings_of(block: Mapping[str, Any], images: int, data: str | None = None) -> Settings:
    """The loop's settings for a training split of `images` images; ValueError if all of it would be warm-up.

    `data` is what the block's `data: auto` turned out to be.
    """
    steps = total_steps(block["training"], images)
    check_warmup(steps, block["arguments"].get("warmup", 0))
    own = {key: value for key, value in block["training"].items() if key != "epochs"}
    return Settings(**own | {"steps": steps, "data": data or own["data"]}, seed=block["seed"])


def train(trainer: Trainer, job: JobContext, checkpoint: Path, clock: Clock) -> Diverged | None:
    """All the steps, with progress, checkpoints and a watch on the samples; the divergence that ended them, or None."""
    stop: list[int] = []
    signals.answer(lambda number, frame: stop.append(number))
    real = diversity(trainer.images[:WATCHED_SAMPLES].cpu())
    since, saved, settings = trainer.step, time.monotonic(), trainer.settings
    live = LiveHistory(job)
    job.progress.restart()
    job.progress.note(f"training begins at step {since:,} of {settings.steps:,}")
    while not trainer.finished:
        try:
            closed = trainer.advance()
        except Diverged as error:
            job.progress.say(f"diverged: {error}; the last good weights are kept")
            return error
        if closed:
            watch(trainer, real)
            live.write(trainer.rows, finished=trainer.finished)
            job.progress.step(
                trainer.step, settings.steps, unit="steps", per_unit=settings.batch, since=since, of="images"
            )
        due = time.monotonic() - saved > CHECKPOINT_EVERY
        if job.checkpoint_steps:
            due = trainer.step % job.checkpoint_steps == 0
        if stop or (due and not trainer.finished):
            save(trainer, checkpoint, clock)
            saved = time.monotonic()
        if stop:
            where = f"step {trainer.step:,} of {settings.steps:,}"
            raise Interrupted(f"stopped at {where}; run the same command to go on", stop[0])
    return None


def watch(trainer: Trainer, real: float) -> None:
    """Keep samples, and add their diversity, as a share of the real images', to a few rows of the history."""
    settings, row = trainer.settings, len(trainer.rows)
    windows = -(-settings.steps // settings.window)
    if row % max(1, windows // WATCHED_WINDOWS) == 0 or trainer.finished:
        with trainer.averaged() as model:
            samples = sample(model, WATCHED_SAMPLES, settings.seed, WATCHED_SAMPLES)
        trainer.snapshots.append(samples[:KEPT_SAMPLES])
        if real > 0:
            trainer.rows[-1]["diversity"] = diversity(samples) / real
        trainer.model.train()


def save(trainer: Trainer, checkpoint: Path, clock: Clock) -> None:
    """Keep everything that the rest of the training depends on; the older state goes once this one is complete."""
    tensors, header = trainer.state()
    path = checkpoint.with_stem(f"{checkpoint.stem}-{trainer.step}")
    artifacts.write_tensors(path, tensors, header | {"wall": repr(clock.wall), "cpu": repr(clock.cpu)})
    artifacts.write_json(seal(path), {"job": checkpoint.stem, "sha256": artifacts.sha256(path)})
    for older in saved_states(checkpoint):
        if older != path:
            older.unlink()
            seal(older).unlink(missing_ok=True)


def seal(path: Path) -> Path:
    """The file with the SHA-256 of a saved state and the hash of its job."""
    return path.with_suffix(".json")


def saved_states(checkpoint: Path) -> list[Path]:
    """The saved states of this job, the furthest step first: two for the moment in which one replaces the other."""
    found = checkpoint.parent.glob(f"{checkpoint.stem}-*{checkpoint.suffix}")
    steps = {path: path.stem.rpartition("-")[2] for path in found}
    return sorted((path for path in steps if steps[path].isdigit()), key=lambda path: int(steps[path]), reverse=True)


def is_sound(path: Path, job_hash: str) -> bool:
    """Whether a saved state is complete and this job's own, whatever its name says."""
    try:
        return bool(untrusted.read_json(seal(path)) == {"job": job_hash, "sha256": artifacts.sha256(path)})
    except (OSError, ValueError):
        return False


def resume(trainer: Trainer, checkpoint: Path, job: JobContext) -> Clock:
    """Go on from the furthest sound state that this job saved, where there is one."""
    for path in saved_states(checkpoint):
        if not is_sound(path, job.hash):
            job.progress.say(f"{path}: damaged, half-written or of another job; not used")
            continue
        header = artifacts.read_metadata(path)
        trainer.restore(artifacts.read_tensors(path), header)
        job.progress.say(f"resumed at step {trainer.step:,} of {trainer.settings.steps:,}")
        return Clock(float(header["wall"]), float(header["cpu"]))
    return Clock()


def write(trainer: Trainer, job: JobContext, clock: Clock, diverged: Diverged | None) -> None:
    """Weights, history, what became of the training, and what it cost."""
    rows, settings = trainer.rows, trainer.settings
    last = next((row["diversity"] for row in reversed(rows) if "diversity" in row), None)
    status = "diverged" if diverged else "collapsed" if last is not None and last < COLLAPSED_BELOW else "ok"
    if status == "collapsed":
        job.progress.say(f"collapsed: samples differ by {last:.2f} of what real images do")
    seconds, taken = clock.wall, trainer.step * settings.batch
    with trainer.averaged() as model:
        if not diverged:
            trainer.fit_prior()
        job.write_tensors(job.outputs["weights"], model.state_dict())
    job.write_text(job.outputs["history"], history_csv(rows))
    shape = trainer.images.shape[1:]
    snapshots = torch.stack(trainer.snapshots, 1) if trainer.snapshots else torch.empty(0, 1, *shape, dtype=torch.uint8)
    job.write_images(job.outputs["snapshots"], snapshots.numpy())
    report = {"status": status, "steps": trainer.step, "parameters": trainer.model.parameter_counts()}
    if diverged:
        report |= {"diverged_at": diverged.step, "diverged_term": diverged.term}
    job.write_json(job.outputs["training"], report)
    job.write_json(job.outputs["cost"], cost(trainer.model, clock, taken, job.device))
    rate = taken / max(seconds, 1e-9)
    job.progress.say(f"{status}: {trainer.step:,} steps in {seconds:.0f} s, {rate:,.0f} images/s")


def cost(model: ImageGenerator, clock: Clock, images: int, device: str) -> dict[str, Any]:
    """What a training took, measured where it ran."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    wall, cpu = max(clock.wall, 1e-9), clock.cpu
    return {
        "train_seconds": round(wall, 3),
        "train_cpu_seconds": round(cpu, 3),
        "cores_busy": round(cpu / wall, 3),
        "train_images_per_second": round(images / wall, 1),
        "peak_memory_mb": round(peak, 1),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }


def history_csv(rows: list[dict[str, float]]) -> str:
    """The history as CSV; columns in order of first appearance, missing values empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["step", "kimg"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
