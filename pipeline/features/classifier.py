"""The reference classifier: a small convolutional network whose penultimate layer is the `classifier` feature space.

The pipeline trains it on the data set's own training split, because Inception features say little about digits or
glyphs. Recipe: AdamW under one cycle of the learning rate (Smith & Topin 2017, arXiv:1708.07120), cross-entropy; on
MNIST 1,000 steps of 128 images at 3e-3 are enough for 99 %. A data set without labels is trained on telling
quarter turns apart (Gidaris et al. 2018, arXiv:1803.07728).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

PROGRESS_EVERY = 50
"""Steps between two calls of `progress`: each one waits for the device."""

EXTRACT_BATCH = 100
"""Images per forward pass of `extract`: 500 take 2.3 times as long on a CPU, because their maps leave its caches."""

UNIT_IMAGES = 2000
"""Training images that set the unit of the features."""

FULL_RESOLUTION = 32
"""The first layer of larger images halves them at once: at 64x64 that is a quarter of the time."""

SMALLEST_MAP = 7
"""Feature maps are halved until their shorter side is at most this."""


class DomainClassifier(nn.Module):
    """Strided convolutions, a penultimate layer of `feature_size` rectified features and a linear layer.

    Args:
        shape: (channels, height, width) of one image.
        classes: number of labels (4 for quarter turns).
        width: channels of the first layer; they double with every halving, up to four times this.
        feature_size: d of the feature space.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, *, width: int = 32, feature_size: int = 128) -> None:
        super().__init__()
        self.shape, self.classes, self.feature_size = shape, classes, feature_size
        channels, side = width, min(shape[1:])
        first = 2 if side > FULL_RESOLUTION else 1
        layers = _convolution(shape[0], width, stride=first)
        side = (side + first - 1) // first
        while side > SMALLEST_MAP:
            layers += _convolution(channels, min(2 * channels, 4 * width), stride=2)
            channels, side = min(2 * channels, 4 * width), (side + 1) // 2
        self.convolutions = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(min(3, side)))
        self.penultimate = nn.Sequential(nn.Flatten(), nn.Linear(channels * min(3, side) ** 2, feature_size), nn.ReLU())
        self.last = nn.Linear(feature_size, classes)

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, feature_size) of images (N, C, H, W) in [0, 1]."""
        x = (x - 0.5).contiguous(memory_format=torch.channels_last)
        found: Tensor = self.penultimate(self.convolutions(x).contiguous())
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        logits: Tensor = self.last(self.features(x))
        return logits


def _convolution(inward: int, outward: int, *, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inward, outward, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outward), nn.ReLU(inplace=True)]


def train_classifier(
    images_u8: Tensor,
    labels: Tensor,
    *,
    classes: int,
    steps: int = 1000,
    batch: int = 128,
    learning_rate: float = 3e-3,
    seed: int = 0,
    order: Tensor | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> DomainClassifier:
    """Train on images (N, C, H, W) uint8 and labels (N,) int64; returns the network in evaluation mode.

    `order` (steps * batch,) are the indices of the images to show, in turn; without it every epoch shows each once.
    The same arguments give the same weights, whatever state torch's global generator is in (it is left as found).
    `progress` is called as progress(step, loss) every 50 steps and after the last one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        channels, height, width = images_u8.shape[1:]
        model = DomainClassifier((channels, height, width), classes).to(images_u8.device)
        model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=max(steps, 2), pct_start=0.2)
    shown = (_epochs(len(images_u8), steps * batch, seed) if order is None else order).view(steps, batch)
    for step, rows in enumerate(shown, start=1):
        rows = rows.to(images_u8.device)
        loss = fit_step(model, optimiser, images_u8[rows], labels[rows])
        schedule.step()
        if progress is not None and (step % PROGRESS_EVERY == 0 or step == steps):
            progress(step, loss.item())
    _set_unit(model, images_u8[shown.flatten()[:UNIT_IMAGES].to(images_u8.device)])
    return model.eval()


@torch.no_grad()
def _set_unit(model: DomainClassifier, images_u8: Tensor) -> None:
    """Scale the features to a mean square of 1, so that distances mean the same from one data set to the next.

    A rectifier passes a positive factor through, so it is put into the penultimate layer's weights and taken off
    the last layer's: the logits stay as they are.
    """
    size = extract(model, images_u8)[0].square().mean().sqrt().item()
    linear = model.penultimate[1]
    for parameter in linear.parameters():
        parameter.div_(size)
    model.last.weight.mul_(size)


def fit_step(model: DomainClassifier, optimiser: torch.optim.Optimizer, images_u8: Tensor, labels: Tensor) -> Tensor:
    """One optimiser update on a batch; returns the detached mean cross-entropy in nats."""
    model.train()
    loss = cross_entropy(model(images_u8.float() / 255), labels)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.detach()


def _epochs(n: int, wanted: int, seed: int) -> Tensor:
    """Indices (wanted,) that go through all n examples in a fresh random order in every epoch."""
    generator = torch.Generator().manual_seed(seed)
    rounds = -(-wanted // n)
    return torch.cat([torch.randperm(n, generator=generator) for _ in range(rounds)])[:wanted]


def quarter_turns(images_u8: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The task for data without labels: images (N, C, H, W) each turned by a random quarter, and the turns (N,).

    Raises:
        ValueError: images that are not square change shape when they are turned.
    """
    if images_u8.shape[2] != images_u8.shape[3]:
        raise ValueError(f"quarter turns need square images, got {tuple(images_u8.shape[2:])}")
    turns = torch.randint(4, (len(images_u8),), generator=torch.Generator().manual_seed(seed)).to(images_u8.device)
    turned = images_u8.clone()
    for quarter in (1, 2, 3):
        turned[turns == quarter] = images_u8[turns == quarter].rot90(quarter, dims=(2, 3))
    return turned, turns


@torch.no_grad()
def extract(model: DomainClassifier, images_u8: Tensor, batch: int = EXTRACT_BATCH) -> tuple[Tensor, Tensor]:
    """Features (N, d) float32 and class probabilities (N, classes) of uint8 images, in evaluation mode, on the CPU."""
    model.eval()
    features, probabilities = [], []
    for part in torch.split(images_u8, batch):
        found = model.features(part.float() / 255)
        features.append(found.cpu())
        probabilities.append(model.last(found).softmax(dim=1).cpu())
    return torch.cat(features), torch.cat(probabilities)


def correct(model: DomainClassifier, images_u8: Tensor, labels: Tensor) -> Tensor:
    """Whether the likeliest class of each uint8 image is its label, (N,) bool."""
    return is_likeliest(extract(model, images_u8)[1], labels)


def is_likeliest(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Whether the likeliest of the class probabilities (N, classes) is the label, (N,) bool."""
    return probabilities.argmax(dim=1) == labels.cpu()


def accuracy(model: DomainClassifier, images_u8: Tensor, labels: Tensor) -> float:
    """Share of uint8 images whose likeliest class is their label."""
    return correct(model, images_u8, labels).double().mean().item()
