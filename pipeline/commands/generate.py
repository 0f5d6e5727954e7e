"""Generate images with a trained model: a folder of labelled images, one picture, or one film.

A folder has one file per image in class folders (or all images in one file) and a manifest. A picture (.png, .jpg) is a
grid of samples. A film (.gif, .webp, .apng) shows the steps of a model that draws step by step. For other models it
shows a walk through the latents that returns to its start.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from pipeline.tracking import class_choice, export, export_folder, pictures
from pipeline.workflow import overrides

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from pipeline.models.base import ImageGenerator

    Picture = NDArray[np.uint8]

MOST_PIXELS = 100_000_000
"""Of all frames of a picture or a film together."""

SHOWN_SIDE = 84
"""Screen pixels that an image's side is brought near to."""

WALK_FRAMES, WALK_MILLISECONDS = 48, 80
DRAWING_MILLISECONDS, REST_MILLISECONDS = 2400, 1500
"""All steps of a drawing together, and how long its last canvas then stays."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--model", required=True, help="a trained model of params.yaml")
    parser.add_argument("--dataset", default="mnist", help="the data set that it was trained on (default: mnist)")
    parser.add_argument("--to", type=Path, required=True, metavar="PATH",
                        help="a new folder: single images and a manifest; .png or .jpg: a grid; .gif, .webp, .apng: "
                        "a film")  # fmt: skip
    parser.add_argument("--n", type=overrides.whole(1), default=64,
                        help="samples; in a folder, samples of each class (default: 64)")  # fmt: skip
    parser.add_argument("--seed", type=overrides.whole(0), default=0, help="seed of the latents (default: 0)")
    parser.add_argument("--label", type=int, help="the class to draw, for a model trained with `conditional: true`")
    parser.add_argument("--training", type=int, default=0, help="seed of the training (default: 0)")
    parser.add_argument("--scale", type=overrides.whole(1),
                        help="screen pixels for each image pixel (default: about 84 for a side)")  # fmt: skip
    folder_arguments(parser.add_argument_group("flags for a folder"))
    overrides.add(parser)


def folder_arguments(group: argparse._ArgumentGroup) -> None:
    """The flags that a grid or a film does not have; see FOLDER_ONLY."""
    group.add_argument("--classes", metavar="WHICH", help=f"classes to draw: {class_choice.EXPECTED} (default: all)")
    group.add_argument("--augment", action="store_true",
                       help="the images that the stage augment adds to rare classes, instead of new ones")  # fmt: skip
    group.add_argument("--form", choices=export_folder.FORMS,
                       help="png: class folders of images (default); npz, arrow: all images in one file")  # fmt: skip
    group.add_argument("--min-confidence", type=float, metavar="P",
                       help="leave out images if the classifier's probability of their class is below P")  # fmt: skip
    group.add_argument("--no-copies", type=float, nargs="?", const=export.AUTO, metavar="DISTANCE",
                       help="leave out images within DISTANCE of a training image (default: the distance within which "
                       "1 %% of the held-out images are)")  # fmt: skip
    group.add_argument("--until-enough", action="store_true", help="draw until --n images of each class are kept")
    group.add_argument("--limit", type=int, metavar="DRAWS",
                       help="with --until-enough: most draws per class (default: "
                       f"{export.MOST_DRAWS} times --n)")  # fmt: skip
    group.add_argument("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="where to draw (default: cpu)")


FOLDER_ONLY = ("classes", "augment", "form", "min_confidence", "no_copies", "until_enough", "limit")


def run(arguments: argparse.Namespace) -> None:
    """Load the weights, sample, write."""
    if is_folder(arguments):
        arguments.form = arguments.form or "png"
        export.check(arguments)
        export.run(trained(arguments), overrides.of(arguments), arguments)
        return
    ending = pictures.check_ending(arguments.to, pictures.STILL, pictures.MOVING)
    model = trained(arguments)
    if ending in pictures.MOVING:
        film(model, arguments)
        return
    check_room(model, arguments, frames=1)
    images = samples(model, arguments, model.decode)
    pictures.write(arguments.to, grid(model, images, arguments))
    print(f"{arguments.to}: {arguments.n} samples of {arguments.model}")


def is_folder(arguments: argparse.Namespace) -> bool:
    """Whether `--to` names a folder; `UserError` where a flag of a folder stands beside a picture's name."""
    folder = not arguments.to.suffix or arguments.to.is_dir()
    given = [name for name in FOLDER_ONLY if getattr(arguments, name) not in (None, False)]
    if given and not folder:
        flag = f"--{given[0].replace('_', '-')}"
        raise UserError(f"{flag}: found with --to {arguments.to}, a single picture; name a folder, or omit the flag")
    return folder


def trained(arguments: argparse.Namespace) -> ImageGenerator:
    """The model with its stored weights."""
    from pipeline.core import artifacts
    from pipeline.runtime import job_context
    from pipeline.workflow import staleness

    plan = overrides.of(arguments)
    path, block = staleness.trained(plan, arguments.dataset, arguments.model, arguments.training)
    check_label(block, arguments)
    job_context.one_thread()  # for the bits that the workflow's own samples of a seed have
    from pipeline.training.device import pick_device
    from pipeline.training.trained import rebuilt

    try:
        device = pick_device(arguments.device)
    except ValueError as error:
        raise UserError(f"--{error}") from None
    return rebuilt(block, artifacts.read_tensors(path), device)


def check_label(block: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """A class can be asked of a conditional model alone, and only one that it knows."""
    classes, option = block.get("classes", 0), f"models.{arguments.model}.conditional"
    flags = [f"--{name}" for name in ("label", "classes") if getattr(arguments, name) is not None]
    if len(flags) == 2:
        raise UserError("--label: found with --classes; omit one of the two")
    if flags and not classes:
        can = f"set {option} to true and train it again" if "conditional" in block["arguments"] else f"omit {flags[0]}"
        raise UserError(f"{flags[0]}: {arguments.model} cannot draw a requested class as it was trained; {can}")
    if arguments.label is not None and not 0 <= arguments.label < classes:
        raise UserError(f"--label: found {arguments.label}, expected 0 to {classes - 1}")


def check_room(model: ImageGenerator, arguments: argparse.Namespace, frames: int) -> None:
    """Refuse what would take all memory."""
    _, height, width = model.shape
    pixels = arguments.n * height * width * scale(model, arguments) ** 2 * frames
    if pixels > MOST_PIXELS:
        raise UserError(
            f"--n: {arguments.n:,} samples make {pixels:,} pixels, expected at most {MOST_PIXELS:,}; use a "
            "smaller --n or --scale"
        )


def scale(model: ImageGenerator, arguments: argparse.Namespace) -> int:
    """Screen pixels for each pixel of an image, a whole number: no image is blurred."""
    from pipeline.figures.mosaic import magnification

    return arguments.scale or magnification(max(model.shape[1:]), SHOWN_SIDE)


def samples(
    model: ImageGenerator, arguments: argparse.Namespace, decode: Callable[[Tensor], Tensor], batch: int | None = None
) -> Picture:
    """What `decode` makes of the latents of `--seed`, uint8 (n, ...), their class replaced by `--label`."""
    import torch

    from pipeline.training.sampling import BATCH, in_batches

    def labelled(z: Tensor) -> Tensor:
        if arguments.label is None:
            return decode(z)
        noise = z[..., : model.latent_shape[-1]]
        return decode(model.with_class(noise, torch.full((len(z),), arguments.label)))

    return in_batches(model, arguments.n, arguments.seed, labelled, batch or BATCH).numpy()


def grid(model: ImageGenerator, images: Picture, arguments: argparse.Namespace) -> Picture:
    """Images (n, C, H, W) as one picture (H, W, 3), nearly square."""
    from pipeline.figures.mosaic import mosaic

    dots = scale(model, arguments)
    picture = mosaic(images, math.ceil(math.sqrt(len(images))))
    return picture.repeat(dots, axis=0).repeat(dots, axis=1)


# --- films --------------------------------------------------------------------------------------------------------


def film(model: ImageGenerator, arguments: argparse.Namespace) -> None:
    """Every canvas of a model that draws step by step; a walk through the latents of any other."""
    import torch

    from pipeline.training import latents

    with torch.inference_mode():
        steps = model.canvases(model.draw_latents(1, arguments.seed)).shape[1]
    frames = steps if steps > 1 else WALK_FRAMES
    check_room(model, arguments, frames)
    if steps > 1:
        moving = samples(model, arguments, model.canvases, arguments.n)
        times = [max(20, DRAWING_MILLISECONDS // steps)] * (steps - 1) + [REST_MILLISECONDS]
        shows = f"drawn in {steps} steps"
    else:
        others = model.draw_latents(arguments.n, arguments.seed + 1)
        moving = samples(model, arguments, lambda z: latents.circle(model, z, others, frames), arguments.n)
        times = [WALK_MILLISECONDS] * frames
        shows = "on a walk through the latents and back, because the model draws in one step"
    pictures.write_moving(arguments.to, [grid(model, moving[:, k], arguments) for k in range(frames)], times)
    print(f"{arguments.to}: {arguments.n} samples of {arguments.model}, {shows}")
