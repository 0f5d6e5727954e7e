"""Draw what the papers show of trained models, each figure as PNG and SVG, with the numbers in them as JSON.

Reconstructions and blends of two images (Vijayvargiya et al. section 2), walks along one latent element at a time
(Stiff et al. Figs 6 and 9), the plane of two latents (Ponnuru section 5), the training images nearest to samples (Im
et al. 2016 Figs 7-8, 24, 27-28), canvases with shared and fresh noise (Im et al. 2016 Figs 9-12, 29-33), samples
after more steps than were trained (Im et al. 2016 Table 4), samples through a training (Stiff et al. Figs 11 and 12)
and the discriminator's losses and accuracies (Ponnuru Fig 7). Of every training the first seed is shown. Which
figures there are is the plan's to say: what no model of the table can show is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.core import artifacts
from pipeline.datasets.prepared import load_split
from pipeline.features.classifier import extract
from pipeline.features.fitting import load_classifier
from pipeline.features.pixels import flatten
from pipeline.figures.adversaries import ACCURACIES, LOSSES, adversary_sheet, is_adversarial
from pipeline.figures.canvases import chosen_steps
from pipeline.figures.planes import Plane, grid_side, plane_sheet
from pipeline.figures.strips import Strip, strip_sheet
from pipeline.figures.style import finite, listed, number, save, short
from pipeline.metrics.distances import nearest, prepare
from pipeline.models.base import ImageGenerator
from pipeline.runtime.device import use_device
from pipeline.runtime.job_context import JobContext
from pipeline.tables import Row, from_csv
from pipeline.training import latents
from pipeline.training.sampling import quantise
from pipeline.training.trained import rebuilt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Facts = dict[str, Any]
    Images = np.ndarray[Any, np.dtype[np.uint8]]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the second image, in a blend."""

PAIRS = 4
ELEMENTS = 4
"""Latent elements that are walked along: those that change images most."""

TRIED = 4
"""Latents on which that is found out."""

CODES = 3000
"""Held-out images whose codes are shown on the plane."""

MEASURED = 1000
"""Held-out images whose reconstruction error is measured."""

MEAN_IMAGE = "mean_image"
"""What a reconstruction must beat: the mean of the training images for every image."""

SHOWN = 8
"""Held-out images over their reconstructions; samples beside their nearest training images; moments of a training."""

ROWS = 3
"""Samples that are followed through a training, and from canvas to canvas."""

STEPPED = (5, 6)
"""Rows and columns of samples after each number of steps."""

LARGE = 40
"""Pixels from which on an image's walk has fewer stops, so that it fits a page."""

PART = 20_000_000
"""Pixels of training images that are searched at once."""

RAREST, REAL_BESIDE, DRAWN_BESIDE = 8, 3, 5
"""Rare classes whose images are asked for, and real and generated images of each."""

FELL = 0.75
"""Diversity below this share of what it was, and of the real images', has fallen."""


class Trained(NamedTuple):
    """One row of the table: what its first training left, and its samples."""

    weights: dict[str, Tensor]
    samples: Images
    canvases: Images
    history: list[Row]
    report: dict[str, Any]
    snapshots: Images


class Material:
    """What the figures are made of, read from this job's inputs."""

    def __init__(self, job: JobContext, device: str) -> None:
        self.shown, self.device = job.runtime_only, device
        self.seed: int = job.config["protocol_seed"]
        inputs = job.inputs
        self.test, self.labels = load_split(inputs["test"])
        self.train, self.train_labels = load_split(inputs["train"])
        self.class_names: list[str] = artifacts.read_json(inputs["summary"])["classes"]
        self.classifier = load_classifier(inputs["classifier"])
        self.features = artifacts.read_tensors(inputs["features"])
        names = [model for model, _ in job.config["runs"]]
        groups = [inputs[name] for name in ("weights", "images", "canvases", "history", "training", "snapshots")]
        self.files = dict(zip(names, zip(*groups, strict=True), strict=True))
        self.cached: dict[str, Trained] = {}

    def __getitem__(self, name: str) -> Trained:
        if name not in self.cached:
            weights, samples, canvases, history, report, snapshots = self.files[name]
            self.cached[name] = Trained(
                artifacts.read_tensors(weights),
                artifacts.read_images(samples)[0],
                artifacts.read_images(canvases)[0],
                from_csv(history.read_text(encoding="utf-8")),
                artifacts.read_json(report),
                artifacts.read_images(snapshots)[0],
            )
        return self.cached[name]

    @property
    def names(self) -> list[str]:
        """All models of the table."""
        return list(self.files)

    @property
    def trainings(self) -> list[str]:
        """Models with a training of their own; a table may have a model's other samples alone."""
        own = {self.shown["trained"][name]: name for name in reversed(self.names)}
        return [name for name in self.names if own[self.shown["trained"][name]] == name]

    def models(self, names: Sequence[str]) -> Iterator[tuple[str, ImageGenerator]]:
        """The named models with their weights, one after the other."""
        for name in names:
            yield name, rebuilt(self.shown["models"][name], self[name].weights, self.device)

    def spread(self, count: int) -> Tensor:
        """Indices of held-out images from all over the split: its first ones may be of a kind."""
        return torch.arange(0, len(self.test), max(1, len(self.test) // count))[:count]


def run(job: JobContext) -> None:
    """Draw and write the figures that the plan names, then the numbers that stand in them."""
    material = Material(job, use_device(job))
    facts: dict[str, Facts] = {}
    for done, name in enumerate(job.config["figures"], start=1):
        figure, facts[name] = FIGURES[name](material)
        for kind, content in zip(("png", "svg"), save(figure), strict=True):
            job.write_bytes(job.folder / f"{name}.{kind}", content)
        job.progress.note(f"{name} drawn")
        job.progress.step(done, len(job.config["figures"]), unit="figures")
    job.write_json(job.outputs["facts"], facts)
    job.progress.say(f"{len(facts)} figures")


# --- latents ------------------------------------------------------------------------------------------------------


def reconstructions(material: Material) -> tuple[Figure, Facts]:
    """Held-out images over their reconstructions by every model that encodes, with the squared error per value.

    The error is a mean over at most `MEASURED` held-out images; that of the mean training image stands beside it.
    """
    chosen, measured = material.spread(SHOWN), material.spread(MEASURED)
    mean_image = material.train.float().mean(0, keepdim=True) / 255
    errors = {MEAN_IMAGE: squared_error(material.test[measured], mean_image)}
    strips = []
    for name, model in material.models(material.shown["reconstructions"]):
        errors[name] = squared_error(material.test[measured], reconstructed(material, model, measured))
        rows = torch.stack([material.test[chosen], quantise(reconstructed(material, model, chosen))])
        strips.append(Strip(name, rows.numpy(), note=f"squared error {errors[name]:.3g} per value"))
    best = min(errors.keys() - {MEAN_IMAGE}, key=errors.__getitem__)
    title = f"{best} reconstructs best: squared error {errors[best]:.3g}; the mean image {errors[MEAN_IMAGE]:.3g}"
    reading = "First row: held-out images; second: what is decoded from their codes. The error is the mean over "
    reading += f"{len(measured):,} held-out images and all their values in [0, 1]."
    return strip_sheet(strips, title=title, reading=reading), {"squared_error": errors, "images": len(measured)}


def reconstructed(material: Material, model: ImageGenerator, chosen: Tensor) -> Tensor:
    """Images (n, C, H, W) in [0, 1], decoded from the codes of the chosen held-out images."""
    labels = None if material.labels is None else material.labels[chosen]
    return latents.decode(model, latents.encode(model, material.test[chosen].float() / 255, labels))


def squared_error(images: Tensor, others: Tensor) -> float:
    """The mean squared difference of uint8 images (n, C, H, W) from others in [0, 1], (n, C, H, W) or (1, C, H, W)."""
    return float((images.double() / 255 - others.cpu().double()).square().mean())


def blends(material: Material) -> tuple[Figure, Facts]:
    """Pairs of held-out images, mixed by every model that encodes."""
    chosen = pairs(material)
    images = material.test[chosen]
    labels = None if material.labels is None else material.labels[chosen]
    strips = []
    for name, model in material.models(material.shown["blends"]):
        mixed = quantise(latents.blends(model, images.float() / 255, SHARES, labels))
        row = torch.cat([images[:, :1], mixed, images[:, 1:]], 1)
        strips.append(Strip(name, row.numpy(), ["A", *(f"{100 * share:.0f} %" for share in SHARES), "B"]))
    reading = "Each row: two held-out images A and B, and between them what is decoded from their codes mixed, so many "
    reading += "per cent of B's; 0 and 100 % are reconstructions."
    figure = strip_sheet(strips, title="Two images blended by a given percentage", reading=reading)
    return figure, {"test_images": chosen.tolist(), "shares": list(SHARES)}


def pairs(material: Material) -> Tensor:
    """Indices (PAIRS, 2) of held-out images, the two of a pair of different classes where there are labels."""
    found: list[list[int]] = []
    left = material.spread(16 * PAIRS).tolist()
    while left and len(found) < PAIRS:
        first = left.pop(0)
        others = [k for k in left if material.labels is None or material.labels[k] != material.labels[first]]
        if others:
            left.remove(others[0])
            found.append([first, others[0]])
    return torch.tensor(found or [[0, 0]])


def walks(material: Material) -> tuple[Figure, Facts]:
    """One sample of every model, one latent element moved at a time."""
    strips, facts = [], {}
    for name, model in material.models(material.names):
        elements = latents.strongest(model, model.draw_latents(TRIED, material.seed).to(model.device), ELEMENTS)
        places = latents.positions(model, 9 if max(model.shape[1:]) <= LARGE else 5)
        start = torch.cat([model.draw_latents(1, material.seed)] * len(elements)).to(model.device)
        images = quantise(latents.walks(model, start, elements, places)).numpy()
        low, high = float(places[0]), float(places[-1])
        listed = ", ".join(str(element) for element in elements)
        strips.append(Strip(name, images, note=f"elements {listed}, from {low:g} to {high:g}"))
        facts[name] = {"elements": elements, "from": low, "to": high}
    reading = "Each row: one sample as one element of its latents moves and all others stay; the elements that change "
    reading += (
        "images most, the strongest first. Where every step has latents of its own, the element moves in all of them."
    )
    return strip_sheet(strips, title="Walks along one latent element at a time", reading=reading), facts


def planes(material: Material) -> tuple[Figure, Facts]:
    """What models with two latents decode to over the whole plane, and where held-out images lie on it."""
    chosen, shown = material.spread(CODES), []
    for name, model in material.models(material.shown["planes"]):
        side = grid_side(max(model.shape[1:]))
        images = quantise(latents.plane(model, side)).numpy()
        codes = None
        if name in material.shown["blends"]:
            codes = latents.encode(model, material.test[chosen].float() / 255)[:, :2].cpu().double().numpy()
        labels = None if material.labels is None else material.labels[chosen].numpy()
        shown.append(Plane(name, images, codes, labels))
    return plane_sheet(shown), {"models": [plane.name for plane in shown], "codes": len(chosen)}


# --- samples ------------------------------------------------------------------------------------------------------


def neighbours(material: Material) -> tuple[Figure, Facts]:
    """Samples over the training images that are nearest to them in pixels and in the classifier's features."""
    queries = {"real": material.test[material.spread(SHOWN)]}
    queries |= {name: torch.from_numpy(material[name].samples[:SHOWN].copy()) for name in material.names}
    together = torch.cat(list(queries.values()))
    found = {
        "pixels": nearest_in_pixels(together, material.train),
        "classifier": nearest_points(extract(material.classifier, together)[0], material.features["train"]),
    }
    strips, facts, first = [], {}, 0
    medians: dict[str, float] = {}
    for name, images in queries.items():
        rows = slice(first, first + len(images))
        first += len(images)
        own = {space: (distance[rows], index[rows]) for space, (distance, index) in found.items()}
        shown = torch.stack([images, *(material.train[index] for _, index in own.values())])
        middle = {space: float(distance.median()) for space, (distance, _) in own.items()} if len(images) else {}
        medians |= {name: middle["pixels"]} if middle else {}
        note = ", ".join(f"{value:.3g} in {NAMES[space]}" for space, value in middle.items())
        strips.append(Strip("held-out real" if name == "real" else name, shown.numpy(), note=f"median {note}"))
        facts[name] = {
            space: {"train_image": index.tolist(), "distance": [round(value, 4) for value in distance.tolist()]}
            for space, (distance, index) in own.items()
        }
    reading = "First row: samples; second: the training image nearest to each in pixels; third: in the features of the "
    reading += "reference classifier. Distances are Euclidean: a copy is at 0."
    return strip_sheet(strips, title=nearest_told(medians), reading=reading), facts


def nearest_told(medians: Mapping[str, float]) -> str:
    """Whose samples lie nearest to training images, by their median distance in pixels, next to real images'."""
    models = {name: distance for name, distance in medians.items() if name != "real"}
    if not models:
        return "No samples to compare with training images"
    first = min(models, key=models.__getitem__)
    words = f"{first}'s samples lie nearest to training images, median distance {models[first]:.3g} in pixels"
    return words + (f"; held-out real images {medians['real']:.3g}" if "real" in medians else "")


NAMES = {"pixels": "pixels", "classifier": "features"}


def nearest_in_pixels(queries: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distance (n,) and index (n,) of the training image nearest to each query, both uint8; ties: the first.

    The training images are searched in parts, for those of 128 x 128 pixels do not fit in memory as numbers.
    """
    distance, index = torch.full((len(queries),), torch.inf, dtype=torch.float64), torch.zeros(len(queries)).long()
    size, first = max(1, PART // train[0].numel()), 0
    for part in train.split(size):
        near, where = nearest_points(flatten(queries), flatten(part))
        better = near < distance
        distance[better], index[better] = near[better], where[better] + first
        first += len(part)
    return distance, index


def nearest_points(queries: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distance (n,) float64 and index (n,) of the point of base (m, d) nearest to each query (n, d)."""
    asked, searched = prepare(queries, base)
    squared, index = nearest(asked, searched, 1)
    return (squared[:, 0].double() * asked.unit).sqrt(), index[:, 0]


def noise(material: Material) -> tuple[Figure, Facts]:
    """Canvases of models that differ in nothing but a noise of its own for every step."""
    strips, facts = [], {}
    for shared, fresh in material.shown["noise"]:
        for name, words in ((shared, "one noise for all steps"), (fresh, "a noise of its own for every step")):
            canvases = material[name].canvases[:SHOWN]
            steps = chosen_steps(canvases.shape[1], SHOWN)
            heads = [f"step {step}" if step == 1 else str(step) for step in steps]
            strips.append(Strip(name, canvases[:, [step - 1 for step in steps]], heads, note=words))
        facts[f"{shared} and {fresh}"] = {name: brightness(material[name].samples) for name in (shared, fresh)}
    return strip_sheet(
        strips, title="Canvases with shared and with fresh noise", reading="Each row: one sample."
    ), facts


def steps(material: Material) -> tuple[Figure, Facts]:
    """Samples of one training after different numbers of steps, from the same noise, with their brightness."""
    rows, columns = STEPPED
    facts: Facts = {"real": brightness(material.test.numpy())}
    real = material.test[material.spread(rows * columns)].numpy()
    strips = [Strip("held-out real", arranged(real), note=told(facts["real"]))]
    for trained, names in material.shown["steps"].items():
        facts[trained] = {}
        for name in names:
            count = material[name].canvases.shape[1]
            facts[trained][name] = {"steps": count} | brightness(material[name].samples)
            note = f"{count} steps: {told(facts[trained][name])}"
            strips.append(Strip(name, arranged(material[name].samples[: rows * columns]), note=note))
    reading = "Images at the same place come from the same noise. Brightness is the mean pixel, black 0 and white 1, "
    reading += "over all samples, with its standard error."
    return strip_sheet(strips, title="Samples after more steps than were trained", reading=reading), facts


def arranged(images: Images) -> Images:
    """Images (n, ...) as rows of a block, as many as are full."""
    columns = min(STEPPED[1], max(1, len(images)))
    rows = len(images) // columns
    return images[: rows * columns].reshape(rows, columns, *images.shape[1:])


def brightness(images: Images) -> dict[str, float]:
    """Mean intensity of images (n, ...) uint8, black 0 and white 1, and its standard error over images."""
    each = images.reshape(len(images), -1).mean(1, dtype=np.float64) / 255
    error = float(each.std(ddof=1) / len(each) ** 0.5) if len(each) > 1 else 0.0
    return {"brightness": round(float(each.mean()), 5), "brightness_error": round(error, 6), "images": len(images)}


def told(found: dict[str, float]) -> str:
    """A brightness in words."""
    return f"brightness {found['brightness']:.4f} \u00b1 {found['brightness_error']:.4f}"


def asked(material: Material) -> tuple[Figure, Facts]:
    """The rarest classes: real training images, and what every conditional model draws if it is asked for them."""
    labels = material.train_labels
    if labels is None:
        raise ValueError("a conditional model was trained on images without labels")
    counts = torch.bincount(labels, minlength=len(material.class_names))
    shown = rarest(counts)
    names = [material.class_names[label] for label in shown]
    real = torch.stack([spread_over((labels == label).nonzero().squeeze(1), REAL_BESIDE) for label in shown])
    facts: Facts = {"classes": names, "training_images": counts[shown].tolist()}
    strips = []
    for name, model in material.models(material.shown["asked"]):
        with torch.inference_mode():
            drawn = torch.stack([quantise(model.decode(latents_of(model, material.seed, c))).cpu() for c in shown])
        seen = extract(material.classifier, drawn.flatten(0, 1))[1].argmax(1).view(len(shown), -1)
        facts[name] = {"recognised": (seen == torch.tensor(shown)[:, None]).sum(1).tolist()}
        note = f"recognised: {sum(facts[name]['recognised'])} of {seen.numel()} generated images"
        heads = ["real", *[""] * (REAL_BESIDE - 1), "drawn", *[""] * (DRAWN_BESIDE - 1)]
        strips.append(Strip(name, torch.cat([material.train[real], drawn], 1).numpy(), heads, note))
    sizes = ", ".join(f"{name} ({counts[label]})" for name, label in zip(names, shown, strict=True))
    reading = (
        f"Each row: a rare class, {sizes}, in brackets its training images. Real training images first, then what "
    )
    reading += "the model draws if it is asked for that class."
    right = {strip.name: sum(facts[strip.name]["recognised"]) for strip in strips}
    first = max(right, key=right.__getitem__)
    share = f"{right[first]} of {DRAWN_BESIDE * len(shown)}"
    title = f"Rare classes on request: {first}'s images are recognised most often, {share}"
    return strip_sheet(strips, title=title, reading=reading), facts


def rarest(counts: Tensor) -> list[int]:
    """The classes with the fewest training images (classes,), but for those with none, rarest first."""
    order = counts.argsort(stable=True)
    return order[counts[order] > 0][:RAREST].tolist()


def spread_over(rows: Tensor, count: int) -> Tensor:
    """`count` of some rows, the first and the last among them, with repetitions where there are fewer."""
    return rows[torch.linspace(0, len(rows) - 1, count).round().long()]


def latents_of(model: ImageGenerator, seed: int, label: int) -> Tensor:
    """The first latents of a seed, of one class."""
    return model.draw_latents(DRAWN_BESIDE, seed, label=label).to(model.device)


# --- trainings ----------------------------------------------------------------------------------------------------


def epochs(material: Material) -> tuple[Figure, Facts]:
    """The same samples through every training, with a warning where it collapsed."""
    strips, facts = [], {}
    for name in material.trainings:
        history, report, snapshots = material[name].history, material[name].report, material[name].snapshots
        looked_at = [row for row in history if finite(row, "diversity") is not None]
        watched = [(number(row["kimg"]) or 0.0, number(row["diversity"]) or 0.0) for row in looked_at]
        shown = chosen_steps(snapshots.shape[1], SHOWN) if len(snapshots) else []
        images = snapshots[:ROWS, [step - 1 for step in shown]] if shown else np.empty((0, 0, *snapshots.shape[2:]))
        known = len(watched) == snapshots.shape[1]
        heads = [head(1000 * watched[step - 1][0]) for step in shown] if known else []
        diversity = [value for _, value in watched]
        warning = warned(diversity, report)
        trained = material.shown["trained"][name]
        note = f"diversity at last {diversity[-1]:.2f} of the real images'" if diversity else "no samples were kept"
        note = "" if warning and diversity else note
        strips.append(Strip(trained, images.astype(np.uint8), heads, note, warning))
        facts[trained] = {"kimg": [kimg for kimg, _ in watched], "diversity": diversity, "warning": warning}
    reading = "Samples through the training. "
    reading += "Each row: one sample, from the same latents, after so many training images. Diversity is the mean "
    reading += "distance between samples, as a share of the real images'."
    lost = [strip.name for strip in strips if strip.warning]
    title = f"{listed(lost)} lost diversity or ended badly" if lost else "No training lost its samples' diversity"
    return strip_sheet(strips, title=title, reading=reading), facts


def head(images: float) -> str:
    """A number of images in at most four characters: 22k, 134k, 1.1M."""
    text = short(images)
    return text if len(text) <= 4 else short(float(f"{images:.2g}"))


def warned(diversity: Sequence[float], report: dict[str, Any]) -> str:
    """What went wrong in a training, or its samples' diversity; nothing where nothing did."""
    if report["status"] == "diverged":
        return f"diverged at step {report['diverged_at']:,}: these are the last good weights'"
    if report["status"] == "collapsed":
        return f"collapsed: samples differ by {diversity[-1]:.2f} of what real images do"
    highest = max(diversity, default=0.0)
    if diversity and diversity[-1] < FELL * min(1.0, highest):
        return f"diversity fell from {highest:.2f} to {diversity[-1]:.2f}"
    return ""


def adversaries(material: Material) -> tuple[Figure, Facts]:
    """Losses and accuracies of every training that recorded a discriminator's."""
    named = {material.shown["trained"][name]: material[name].history for name in material.trainings}
    judges = set(material.shown["adversaries"])
    shown = {name: rows for name, rows in named.items() if name in judges or is_adversarial(rows)}
    last = {name: rows[-1] if rows else {} for name, rows in shown.items()}
    facts = {name: {curve: finite(row, curve) for curve in (*LOSSES, *ACCURACIES)} for name, row in last.items()}
    return adversary_sheet(shown, warmups=material.shown["warmups"], models=material.names), facts


FIGURES: dict[str, Callable[[Material], tuple[Figure, Facts]]] = {
    "reconstructions": reconstructions,
    "blends": blends,
    "walks": walks,
    "planes": planes,
    "neighbours": neighbours,
    "noise": noise,
    "steps": steps,
    "epochs": epochs,
    "adversaries": adversaries,
    "asked": asked,
}
