"""pythae's own training of the VAE and of the InfoVAE, with networks and settings of ours.

`BaseTrainer.train_step` is one epoch of it; the epoch is of few images, so that turns are short. Its progress bar is
taken off.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import tempfile
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from bench.settings import Model
from bench.timing import Contestant

BATCHES = 10
"""Of one epoch."""

FORMS = {"vae": ("VAE", "VAEConfig"), "info_vae": ("INFOVAE_MMD", "INFOVAE_MMD_Config")}
"""Our model's file -> theirs; there is no DCGAN, no GRAN and no DRAW."""


def has(model: Model) -> bool:
    """Whether pythae trains such a model."""
    return model.source in FORMS and model.shape[0] == 1 and len(model.arguments["hidden"]) == 1


def version() -> str:
    """Its name and version."""
    return f"pythae {importlib.metadata.version('pythae')}"


def contestant(model: Model) -> tuple[Contestant, int]:
    """Who takes n epochs, and how many images an epoch has.

    Raises ImportError where pythae is not installed.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        models, trainers = import_module("pythae.models"), import_module("pythae.trainers")
        logging.getLogger("pythae").setLevel(logging.ERROR)
        logging.disable(logging.INFO)
        with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder:
            trainer = _trainer(models, trainers, model, folder)
            trainer.prepare_training()
    trainer.callback_handler.callbacks = [
        item for item in trainer.callback_handler.callbacks if type(item).__name__ != "ProgressBarCallback"
    ]

    def epochs(n: int) -> None:
        for epoch in range(n):
            trainer.train_step(epoch + 1)

    return epochs, BATCHES * model.batch


def _trainer(models: Any, trainers: Any, model: Model, folder: str) -> Any:
    kind, config = FORMS[model.source]
    latent, (hidden,) = model.arguments["latent"], model.arguments["hidden"]
    # theirs is half the summed squared error, as ours is
    loss = "mse" if model.arguments.get("likelihood") == "gaussian" else "bce"
    options: dict[str, Any] = {"input_dim": model.shape, "latent_dim": latent, "reconstruction_loss": loss}
    if model.source == "info_vae":  # one kernel, as ours has
        options |= {"kernel_choice": "imq", "scales": [1.0], "alpha": 0.0, "lbd": model.arguments["mmd_weight"]}
    encoder, decoder = _networks(model.shape, hidden, latent)
    theirs = getattr(models, kind)(getattr(models, config)(**options), encoder=encoder, decoder=decoder)
    settings = trainers.BaseTrainerConfig(
        output_dir=folder,
        per_device_train_batch_size=model.batch,
        learning_rate=model.arguments["learning_rate"],
        no_cuda=True,
    )
    data = import_module("pythae.data.datasets")
    images = model.images(BATCHES * model.batch).float() / 255
    if model.training["data"] == "binarised":  # once for all, where ours draws anew for each batch
        images = torch.bernoulli(images)
    return trainers.BaseTrainer(
        theirs, data.BaseDataset(images, images[:, 0, 0, 0]), training_config=settings, callbacks=None
    )


def _networks(shape: tuple[int, int, int], hidden: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """784-400-20 and back, as ours."""
    nets = import_module("pythae.models.nn")
    output = import_module("pythae.models.base.base_utils").ModelOutput
    pixels = shape[0] * shape[1] * shape[2]

    class Encoder(nets.BaseEncoder):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            nets.BaseEncoder.__init__(self)
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU())
            self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

        def forward(self, x: Tensor) -> Any:
            h = self.body(x)
            return output(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(nets.BaseDecoder):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            nets.BaseDecoder.__init__(self)
            self.body = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels), nn.Sigmoid())

        def forward(self, z: Tensor) -> Any:
            return output(reconstruction=self.body(z).view(-1, *shape))

    return Encoder(), Decoder()
