"""Blend two picture files by a percentage: a model encodes, mixes and decodes them (Vijayvargiya et al. section 2)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from pipeline.tracking import pictures
from pipeline.workflow import overrides

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.workflow.plan import Plan

    Picture = NDArray[np.uint8]

SHOWN_SIDE = 84
"""Screen pixels that an image's side is brought near to."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("first", type=Path, metavar="A", help="a picture file")
    parser.add_argument("second", type=Path, metavar="B", help="another picture file")
    parser.add_argument("--model", default="autoencoder", help="a trained model with an encoder (default: autoencoder)")
    parser.add_argument("--dataset", default="mnist", help="the data set that it was trained on (default: mnist)")
    parser.add_argument("--percent", type=float, nargs="+", default=[50.0], metavar="P",
                        help="share of B, 0 to 100 (default: 50); several make a strip from A to B")  # fmt: skip
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="picture to write: .png or .jpg")
    parser.add_argument("--invert", action="store_true", help="invert the pictures first (MNIST is white on black)")
    parser.add_argument("--training", type=int, default=0, help="seed of the training (default: 0)")
    overrides.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Read, encode, mix, decode, write."""
    import numpy as np

    from pipeline.figures.mosaic import magnification, mosaic
    from pipeline.workflow import staleness

    pictures.check_ending(arguments.to, pictures.STILL)
    check_percentages(arguments.percent)
    plan = overrides.of(arguments)
    plan.require(arguments.dataset, arguments.model)
    check_encoder(plan, arguments.model)
    weights, block = staleness.trained(plan, arguments.dataset, arguments.model, arguments.training)
    files = (arguments.first, arguments.second)
    pair = np.stack([pictures.read(path, block["shape"], invert=arguments.invert) for path in files])
    blended = blends(pair, arguments.percent, weights, block)
    images = np.concatenate([pair[:1], blended, pair[1:]]) if len(blended) > 1 else blended
    dots = magnification(max(images.shape[2:]), SHOWN_SIDE)
    pictures.write(arguments.to, mosaic(images, len(images)).repeat(dots, axis=0).repeat(dots, axis=1))
    shares = ", ".join(f"{percent:g}" for percent in arguments.percent)
    print(f"{arguments.to}: {files[0]} with {shares} % of {files[1]}, by {arguments.model}")


def check_percentages(percentages: list[float]) -> None:
    """Numbers from 0 to 100."""
    for percent in percentages:
        if not 0 <= percent <= 100:
            raise UserError(f"--percent: found {percent:g}, expected 0 to 100")


def check_encoder(plan: Plan, model: str) -> None:
    """A model that cannot encode an image cannot blend two."""
    if not plan.declares(model, "encode"):
        others = [name for name in plan.params.models if plan.declares(name, "encode")]
        raise UserError(f"--model: {model} has no encoder; expected one of {', '.join(others)}")


def blends(pair: Picture, percentages: list[float], weights: Path, block: dict[str, Any]) -> Picture:
    """The pair's codes, mixed and decoded, uint8 (len(percentages), C, H, W)."""
    from pipeline.core import artifacts
    from pipeline.runtime import job_context

    job_context.one_thread()
    import torch

    from pipeline.training import latents
    from pipeline.training.device import pick_device
    from pipeline.training.sampling import quantise
    from pipeline.training.trained import rebuilt

    model = rebuilt(block, artifacts.read_tensors(weights), pick_device("cpu"))
    images = torch.from_numpy(pair).float() / 255
    return quantise(latents.blends(model, images[None], [percent / 100 for percent in percentages])[0]).numpy()
