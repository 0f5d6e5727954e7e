"""What every metric is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from pipeline.metrics.estimates import Estimate as Estimate

Once = Callable[[Callable[[], Tensor]], Tensor]
"""What calls a function, or knows what it would return."""


def now(compute: Callable[[], Tensor]) -> Tensor:
    """The `Once` that knows nothing."""
    return compute()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Generated images against held-out real ones, as points of several feature spaces.

    `real`, `fake` and `train` map a space's name to points (n, d) float32: 'pixels' are flattened images in [0, 1]
    after quantisation to uint8 (projected beyond 1,024 dimensions), 'classifier' the reference classifier's penultimate
    features. A metric whose space or tensor is missing leaves its columns out.

    Raises:
        ValueError: the sets of one space differ in dimension.
    """

    real: Mapping[str, Tensor]
    fake: Mapping[str, Tensor]
    train: Mapping[str, Tensor] = field(default_factory=dict)

    memory: Tensor | None = None
    """(n_train, d): all training images in the space 'pixels'; `train` holds no more of them than of held-out ones."""

    memory_features: Tensor | None = None
    """(n_train, d): all training images in the space 'classifier'."""

    probabilities: Tensor | None = None
    """(n_fake, classes): the reference classifier on the generated images."""

    real_class_histogram: Tensor | None = None
    """(classes,): counts or shares of the held-out real images' classes."""

    elbo: Tensor | None = None
    """(n,) nats per held-out real image."""

    iwae_bound: Tensor | None = None
    """(n,) the same with several importance-weighted draws of the latents."""

    log_likelihood: Tensor | None = None
    """(n,) nats per held-out real image, exact."""

    real_images: Tensor | None = None
    """(n_real, C, H, W) uint8: the held-out images themselves."""

    fake_images: Tensor | None = None
    """(n_fake, C, H, W) uint8."""

    real_labels: Tensor | None = None
    """(n_real,): the held-out images' classes."""

    bands: Tensor | None = None
    """(classes,): the band of each class, where the data is imbalanced (pipeline/metrics/bands.py)."""

    asked: Tensor | None = None
    """(n_fake,): the class that each generated image was asked to be of; of real images their labels."""

    correct_by_band: Mapping[str, tuple[Tensor, Tensor]] | None = None
    """Band -> whether two classifiers know its held-out images, each (n_band,) bool: the reference classifier, and one
    that was trained on generated images too."""

    seed: int = 0
    """Of the draws that metrics make: halves, groups, subsets."""

    groups: int = 20
    """Of the delete-a-group jackknife."""

    frechet_images: int = 0
    """Real images below which there is no Frechet distance."""

    kept: dict[str, Tensor] = field(default_factory=dict)
    """What `once` computed: comparisons that differ in their generated images alone may share it."""

    def __post_init__(self) -> None:
        for space in self.fake:
            sizes = {side[space].shape[1] for side in (self.real, self.fake, self.train) if space in side}
            if len(sizes) > 1:
                raise ValueError(f"space '{space}' has points of {sorted(sizes)} dimensions")

    @property
    def classifier_spaces(self) -> list[str]:
        """The features of the reference classifiers: 'classifier', and 'classifier.1' on of further ones."""
        return [space for space in self.fake if space.split(".")[0] == "classifier" and space in self.real]

    def has(self, space: str, *, train: bool = False) -> bool:
        """Whether both sets (and the training split) are given in that space."""
        return space in self.real and space in self.fake and (space in self.train or not train)

    def once(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """What depends on real images and the seed alone, computed once for all comparisons that share `kept`."""
        key = f"{name}, {self._parts} groups"
        if key not in self.kept:
            self.kept[key] = compute()
        return self.kept[key]

    @property
    def real_bands(self) -> Tensor | None:
        """(n_real,): the band of each held-out image, where the data has bands."""
        return None if self.bands is None or self.real_labels is None else self.bands[self.real_labels]

    @property
    def fake_bands(self) -> Tensor | None:
        """(n_fake,): the band of each generated image's class, as the reference classifier sees it."""
        return None if self.bands is None or self.probabilities is None else self.bands[self.probabilities.argmax(1)]

    @cached_property
    def real_groups(self) -> list[Tensor]:
        """Indices of the held-out images in random parts of nearly equal size: as many parts as `fake_groups`."""
        return random_parts(_size(self.real), self._parts, seed=2 * self.seed)

    @cached_property
    def fake_groups(self) -> list[Tensor]:
        """The same for the generated images, drawn independently."""
        return random_parts(_size(self.fake), self._parts, seed=2 * self.seed + 1)

    @property
    def _parts(self) -> int:
        """Fewer groups where a part would hold under two images, which have no covariance."""
        return max(2, min(self.groups, _size(self.real) // 2, _size(self.fake) // 2))

    def real_parts(self, space: str) -> list[Tensor]:
        """The held-out images' points in one space, by group."""
        return [self.real[space][part] for part in self.real_groups]

    def fake_parts(self, space: str) -> list[Tensor]:
        """The generated images' points in one space, by group."""
        return [self.fake[space][part] for part in self.fake_groups]


def _size(side: Mapping[str, Tensor]) -> int:
    return len(next(iter(side.values())))


def random_parts(n: int, parts: int, *, seed: int) -> list[Tensor]:
    """`parts` disjoint random sets of indices, of nearly equal size, that together hold every index below n."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return list(order.tensor_split(parts))
