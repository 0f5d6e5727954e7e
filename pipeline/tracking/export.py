"""Images of chosen classes as files, each with what the classifier sees in it and its nearest training image."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import artifacts, folders
from pipeline.core.errors import UserError
from pipeline.runtime import signals
from pipeline.runtime.progress import Progress
from pipeline.tracking import class_choice, export_folder
from pipeline.workflow import overrides, store

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.features.classifier import DomainClassifier
    from pipeline.metrics.distances import Points
    from pipeline.models.base import ImageGenerator
    from pipeline.workflow.plan import Job, Plan

MOST_DRAWS = 20
"""Draws for each image that is wanted, where `--until-enough` says no other limit."""

REFERENCE_IMAGES = 1000
"""Held-out images whose distances to the training images say what a copy is."""

COPY_QUANTILE = 0.01
"""A generated image is a copy if it is as near to a training image as this share of the held-out images."""

AUTO = True
"""`--no-copies` without a distance: one is found by COPY_QUANTILE."""

NEAR_CHANCE = 2.0
"""Times the share of chance below which a model is said to ignore the class."""


@dataclass
class Tally:
    """How many images of a class were drawn, and how many of them are kept; label None: no class was asked for."""

    label: int | None
    n: int
    """Images that are wanted."""
    drawn: int = 0
    kept: int = 0
    recognised: int = 0
    """Images of this class as the classifier sees them, of all drawn."""


@dataclass(frozen=True)
class Batch:
    """Images (k, C, H, W) uint8 with the class (None: any) and the sample number of each, and the latents' seed."""

    images: Tensor
    labels: list[int | None]
    numbers: list[int]
    seed: int


# --- which samples to draw ------------------------------------------------------------------------------------------


def requests(tallies: Iterable[Tally], limit: int) -> Iterator[tuple[Tally, range]]:
    """Sample numbers of the next round: of each class, as many as will do if as many pass as did so far."""
    for tally in tallies:
        lacking = tally.n - tally.kept
        if lacking > 0 and tally.drawn < limit:
            likely = math.ceil(lacking * (tally.drawn + 1) / (tally.kept + 1))
            yield tally, range(tally.drawn, min(limit, tally.drawn + likely))


def batches(model: ImageGenerator, seed: int, wanted: Iterable[tuple[Tally, range]]) -> Iterator[Batch]:
    """The samples of some classes, many classes in one batch."""
    from pipeline.training.sampling import BATCH

    parts: list[tuple[int | None, range]] = []
    room = BATCH
    for tally, numbers in wanted:
        while numbers:
            parts.append((tally.label, numbers[:room]))
            numbers, room = numbers[room:], room - len(numbers[:room])
            if not room:
                yield drawn_batch(model, seed, parts)
                parts, room = [], BATCH
    if parts:
        yield drawn_batch(model, seed, parts)


def drawn_batch(model: ImageGenerator, seed: int, parts: Sequence[tuple[int | None, range]]) -> Batch:
    """Sample k of a class is `model.draw_latents(1, seed, first=k, label=class)`, decoded.

    The batch is filled up, as the workflow's are.
    """
    import torch

    from pipeline.training.sampling import BATCH, quantise

    z = torch.cat([model.draw_latents(len(ks), seed, first=ks.start, label=label) for label, ks in parts])
    filled = torch.cat([z, z[:1].expand(BATCH - len(z), *z.shape[1:])])
    with torch.inference_mode():
        images = quantise(model.decode(filled.to(model.device))).cpu()[: len(z)]
    return Batch(images, [label for label, ks in parts for _ in ks], [k for _, ks in parts for k in ks], seed)


# --- what is said of each image ---------------------------------------------------------------------------------------


class Judge:
    """The reference classifier, where the data has labels, and the training images."""

    def __init__(self, splits: Mapping[str, Path], classifier: Path | None) -> None:
        from pipeline.features.fitting import load_classifier

        self.classifier: DomainClassifier | None = load_classifier(classifier) if classifier else None
        self.base = points(artifacts.read_images(splits["train"])[0])
        self.held_out = splits["test"]

    def rows(self, batch: Batch, names: Sequence[str]) -> dict[str, list[Any]]:
        """The manifest's columns of a batch that say what was found in its images."""
        distance, nearest = self.nearest(batch.images.numpy())
        empty: list[Any] = [None] * len(batch.labels)
        found: dict[str, list[Any]] = {"probability": empty, "recognised": empty}
        if self.classifier is not None:
            from pipeline.features.classifier import extract

            probabilities = extract(self.classifier, batch.images)[1]
            best = probabilities.argmax(1).tolist()
            asked = [own if label is None else label for label, own in zip(batch.labels, best, strict=True)]
            known = probabilities.shape[1]
            found["probability"] = [
                row[label].item() if label < known else 0.0 for row, label in zip(probabilities, asked, strict=True)
            ]
            found["recognised"] = [names[label] for label in best]
        return {**found, "distance": distance.tolist(), "nearest_training_image": nearest.tolist()}

    def nearest(self, images: Any) -> tuple[Tensor, Tensor]:
        """Euclidean distance (k,) to the nearest training image, pixels in [0, 1], and its row in the split."""
        from pipeline.metrics.distances import nearest

        squares, indices = nearest(points(images), self.base, 1)
        return (squares[:, 0].double() * self.base.unit).sqrt(), indices[:, 0]

    def copy_distance(self) -> float:
        """The distance at which an image counts as a copy, from held-out images, which are none."""
        from pipeline.datasets.prepared import subset

        images = artifacts.read_images(self.held_out)[0]
        chosen = images[subset(len(images), REFERENCE_IMAGES, 0).numpy()]
        return float(self.nearest(chosen)[0].quantile(COPY_QUANTILE, interpolation="lower"))


def points(images: Any) -> Points:
    """Pixels (n, C, H, W) uint8 ready for distances, never as floating-point numbers: training sets are large."""
    import torch

    from pipeline.metrics.distances import LARGEST_WHOLE, Points

    flat = torch.from_numpy(images.copy()).flatten(1)
    if flat.shape[1] > LARGEST_WHOLE:
        found = flat.float() / 255
        return Points(found, found.square().sum(1), 1.0)
    rows = flat.bitwise_xor_(torch.tensor(128, dtype=torch.uint8)).view(torch.int8)  # pixel - 128
    norms = torch.cat([part.int().square().sum(1, dtype=torch.int32) for part in rows.split(2000)])
    return Points(rows, norms, 1 / 255**2)


# --- the command ------------------------------------------------------------------------------------------------------


def check(arguments: argparse.Namespace) -> None:
    """Refuse flags that say nothing, before a model is loaded."""
    confidence, copies = arguments.min_confidence, arguments.no_copies
    if confidence is not None and not 0 <= confidence <= 1:
        raise UserError(f"--min-confidence: found {confidence:g}, expected 0 to 1")
    if copies is not None and copies is not AUTO and not copies >= 0:
        raise UserError(f"--no-copies: found {copies:g}, expected a distance of 0 or more")
    if arguments.limit is not None and not arguments.until_enough:
        raise UserError("--limit: found without --until-enough; add that, or leave --limit out")
    if arguments.limit is not None and arguments.limit < arguments.n:
        raise UserError(f"--limit: found {arguments.limit}, expected at least --n, {arguments.n}")
    for flag in ("classes", "label", "until_enough") if arguments.augment else ():
        if getattr(arguments, flag) not in (None, False):
            raise UserError(f"--augment: found with --{flag.replace('_', '-')}; leave one of the two out")
    export_folder.check_free(arguments.to)


def run(model: ImageGenerator, plan: Plan, arguments: argparse.Namespace) -> None:
    """Draw, measure, filter and write."""
    signals.end_in_one_line("generate")
    splits, classifier, names, counts = prepared(plan, arguments.dataset)
    judge = Judge(splits, classifier)
    if arguments.min_confidence is not None and judge.classifier is None:
        raise UserError(f"--min-confidence: {arguments.dataset} has no labels, so no classifier knows its classes")
    progress = Progress("generate")
    least = judge.copy_distance() if arguments.no_copies is AUTO else arguments.no_copies
    if arguments.no_copies is AUTO:
        progress.say(f"copies: within {least:.3f} of a training image, as {COPY_QUANTILE:.0%} of held-out images are")
    source: Iterable[Batch]
    if arguments.augment:
        source, tallies = of_augmentation(model, plan, arguments, judge, counts)
    else:
        tallies = [Tally(label, arguments.n) for label in asked_classes(model, arguments, names, counts)]
        source = drawn(model, arguments, tallies)
    outcomes: Counter[str] = Counter()
    wanted = sum(tally.n for tally in tallies)
    with folders.replacing(arguments.to) as folder:
        writer = export_folder.Writer(folder, arguments.form, model.shape, names)
        for batch in source:
            rows = judge.rows(batch, names) | {"class_number": batch.labels, "number": batch.numbers}
            rows["seed"] = [batch.seed] * len(batch.labels)
            kept = kept_of(rows, tallies, names, outcomes, arguments.min_confidence, least)
            writer.add(batch.images[kept].numpy(), {name: [values[k] for k in kept] for name, values in rows.items()})
            progress.step(outcomes.total(), max(wanted, outcomes.total()), unit="images")
        writer.close()
    say(outcomes, tallies, len(writer), arguments, judge)


def prepared(plan: Plan, dataset: str) -> tuple[dict[str, Path], Path | None, list[str], list[int]]:
    """Prepared splits, the reference classifier where there are labels, names and training images of the classes."""
    splits = {name: stored(plan, plan.job("prepare", dataset), name) for name in ("train", "test", "summary")}
    summary = artifacts.read_json(splits["summary"])
    names, histogram = summary["classes"], summary["train"]["class_histogram"]
    if histogram is None:
        return splits, None, [], []
    classifier = stored(plan, plan.job("classifier", dataset), "classifier")
    return splits, classifier, names, [histogram[name] for name in names]


def stored(plan: Plan, job: Job, output: str) -> Path:
    """An output of a finished job; `UserError` with the command that makes it."""
    path = Path(job.outputs[output])
    if not store.is_complete(job.folder):
        raise UserError(f"{path}: not there yet; make it with `{overrides.snakemake(path, plan.flags)}`")
    store.checked(path)
    return path


def asked_classes(
    model: ImageGenerator, arguments: argparse.Namespace, names: Sequence[str], counts: Sequence[int]
) -> list[int] | list[None]:
    """The classes to draw; [None] for a model that cannot draw one."""
    if not model.classes:
        return [None]
    if arguments.label is not None:
        return [arguments.label]
    return class_choice.chosen(arguments.classes or class_choice.ALL, names, counts)


def drawn(model: ImageGenerator, arguments: argparse.Namespace, tallies: Sequence[Tally]) -> Iterator[Batch]:
    """Batches, until every class has its images or reached the limit of draws."""
    limit = (arguments.limit or MOST_DRAWS * arguments.n) if arguments.until_enough else arguments.n
    while wanted := list(requests(tallies, limit)):
        yield from batches(model, arguments.seed, wanted)
        for tally, numbers in wanted:
            tally.drawn = numbers.stop


def of_augmentation(
    model: ImageGenerator, plan: Plan, arguments: argparse.Namespace, judge: Judge, counts: Sequence[int]
) -> tuple[list[Batch], list[Tally]]:
    """The images that the stage `augment` adds for a training of a model, and how many of each class."""
    import torch

    from pipeline.datasets.prepared import load_split
    from pipeline.features.rare_classes import recognised, wanted_images
    from pipeline.metrics.bands import bands_of
    from pipeline.training.requested import SEED_STEP, requested, seed_of
    from pipeline.training.sampling import BATCH

    job = plan.job("augment", arguments.dataset, arguments.model, arguments.training)
    sizes = torch.tensor(counts)
    bands = bands_of(sizes)
    if bands is None or judge.classifier is None:
        raise UserError(f"--augment: {arguments.dataset} has no rare classes; name some with --classes")
    wanted, protocol_seed = wanted_images(sizes, bands), job.config["protocol_seed"]
    if model.classes:
        labels = torch.arange(len(wanted)).repeat_interleave(wanted)
        numbers, seed = torch.arange(len(labels)), seed_of(protocol_seed, arguments.training)
        images = requested(model, labels, seed)
    else:
        source = job.inputs["samples"]
        samples = load_split(stored(plan, source.job, source.output))[0]  # type: ignore[union-attr]
        numbers, labels = recognised(judge.classifier, samples, wanted)
        images, seed = samples[numbers], protocol_seed + SEED_STEP * arguments.training
    parts = zip(*(part.split(BATCH) for part in (images, labels, numbers)), strict=True)
    tallies = [Tally(label, n) for label, n in enumerate(torch.bincount(labels).tolist()) if n]
    return [Batch(some, marks.tolist(), ks.tolist(), seed) for some, marks, ks in parts], tallies


def kept_of(
    rows: Mapping[str, Sequence[Any]],
    tallies: Sequence[Tally],
    names: Sequence[str],
    outcomes: Counter[str],
    least_probability: float | None,
    least_distance: float | None,
) -> list[int]:
    """Numbers of the rows of a batch that pass and are still wanted; every row is counted."""
    of_class = {tally.label: tally for tally in tallies}
    kept = []
    for row, label in enumerate(rows["class_number"]):
        tally = of_class[label]
        tally.recognised += label is not None and rows["recognised"][row] == names[label]
        if least_probability is not None and rows["probability"][row] < least_probability:
            outcomes["unsure"] += 1
        elif least_distance is not None and rows["distance"][row] <= least_distance:
            outcomes["copy"] += 1
        elif tally.kept < tally.n:
            outcomes["kept"] += 1
            tally.kept += 1
            kept.append(row)
        else:
            outcomes["more than wanted"] += 1
    return kept


def say(
    outcomes: Counter[str], tallies: Sequence[Tally], written: int, arguments: argparse.Namespace, judge: Judge
) -> None:
    """What was written, what was left out, which classes fell short, and whether the model minds the class."""
    drawn, unsure, copies = outcomes.total(), outcomes["unsure"], outcomes["copy"]
    classes = [tally for tally in tallies if tally.label is not None]
    of = f" of {len(classes)} classes" if classes else ""
    print(f"{arguments.to}: {written:,} images{of} by {arguments.model}, manifest.csv and manifest.parquet")
    if unsure or copies:
        print(f"left out of {drawn:,} drawn: {unsure:,} below --min-confidence, {copies:,} copies")
    short = sum(tally.kept < tally.n for tally in tallies)
    if short:
        print(f"warning: {short} of {len(tallies)} classes have fewer images than wanted; "
              "lower --min-confidence or --no-copies, or "
              f"{'raise --limit' if arguments.until_enough else 'add --until-enough'}")  # fmt: skip
    if classes and judge.classifier is not None and drawn:
        share, chance = sum(tally.recognised for tally in classes) / drawn, 1 / judge.classifier.classes
        print(f"the classifier sees the asked class in {share:.1%} of all drawn (chance: {chance:.1%})")
        if share < NEAR_CHANCE * chance:
            print("warning: near chance: the model hardly follows the class; train it longer or choose another model")
