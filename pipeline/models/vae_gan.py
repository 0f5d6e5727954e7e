"""VAE-GAN: a variational autoencoder whose decoder is the generator of a GAN.

Vijayvargiya et al. section 4.1 proposes it; Larsen et al., 'Autoencoding beyond pixels using a learned similarity
metric', arXiv:1512.09300, equations 7 to 10 and Algorithm 1. What is lost in reconstruction is measured in the
discriminator's features: L_like = |f(x) - f(x_rec)|^2 / 2, those of x detached. With x_rec = Dec(z), z ~ q(z | x), and
x_p = Dec(z_p),
z_p ~ N(0, I), every network has a loss of its own, and no other's gradient:
- the encoder descends L_prior + L_like, and hears nothing of how real its reconstructions look;
- the decoder descends gamma L_like - log D(x_rec) - log D(x_p) (the non-saturating form of their -L_GAN);
- the discriminator descends the cross entropy -L_GAN = -log D(x) - log(1 - D(x_rec)) - log(1 - D(x_p)) alone.
Changed: 4x4 kernels where a layer halves, as many halvings as the image allows, no batch norm in the discriminator
(three kinds of images share its batch, which would give them away), Adam in place of RMSProp.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pipeline.models.adversarial import non_saturating_loss, pick_logit
from pipeline.models.base import ImageGenerator
from pipeline.models.blocks import UpsampledConv, gaussian_kl
from pipeline.models.kinds import Count, Fraction, Rate, Shape, Weight

__all__ = ["VAEGAN"]

SLOPE = 0.2
"""Of the discriminator's LeakyReLU below 0."""


class VAEGAN(ImageGenerator):
    """Three convolutional networks; `width` counts the channels of the largest maps, doubled where a side is halved.

    A class to draw (`conditional`) is a one-hot beside z, and beside what the encoder's last layer sees.
    """

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        conditional: bool = False,
        latent: Count = 32,
        width: Count = 32,
        gamma: Weight = 1.0,
        dropout: Fraction = 0.2,
        learning_rate: Rate = 1e-3,
        discriminator_rate: Rate = 5e-4,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        side, channels = _smallest_map(shape, width)
        size = channels[-1] * side[0] * side[1]
        self.latent_shape = (latent,)
        self.gamma = gamma
        self.encoder = _halvings(channels, batch_norm=True)
        self.posterior_head = nn.Linear(size + self.classes, 2 * latent)
        self.decoder = _generator(latent + self.classes, side, channels)
        self.discriminator = Discriminator(channels, size, dropout, self.classes)
        adam = partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True)
        encoding = [*self.encoder.parameters(), *self.posterior_head.parameters()]
        self.encoder_optimiser = adam(encoding, lr=learning_rate)
        self.decoder_optimiser = adam(self.decoder.parameters(), lr=learning_rate)
        self.discriminator_optimiser = adam(self.discriminator.parameters(), lr=discriminator_rate)

    def networks(self) -> dict[str, list[nn.Module]]:
        return {
            "generator": [self.decoder],
            "encoder": [self.encoder, self.posterior_head],
            "discriminator": [self.discriminator],
        }

    # -- training ---------------------------------------------------------------------------------------------

    def posterior(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z | x), each (N, z)."""
        seen = self.encoder(2 * x - 1)
        mean, log_std = self.posterior_head(self.with_class(seen, labels)).chunk(2, dim=1)
        return mean, log_std

    def losses(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Every term of the three losses, means over the batch, and the discriminator's accuracies."""
        n = len(real)
        mean, log_std = self.posterior(real, labels)
        z = mean + log_std.exp() * torch.randn_like(mean)
        of_class = [None if labels is None else labels.repeat(copies) for copies in (2, 3)]
        drawn = self.decode(self.with_class(torch.cat([z, torch.randn_like(z)]), of_class[0]))
        outputs, features = self.discriminator(torch.cat([real, drawn]))
        on_real, on_drawn = pick_logit(self, outputs, of_class[1]).split([n, 2 * n])
        of_real, of_rec, _ = features.chunk(3)
        return {
            "kl": gaussian_kl(mean, log_std).mean(),
            "like": 0.5 * (of_rec - of_real.detach()).square().sum(1).mean(),
            # x_rec and x_p come in halves of equal size: twice the mean is the sum of their two means.
            "g_loss": 2 * non_saturating_loss(on_drawn),
            "d_loss": softplus(-on_real).mean() + 2 * softplus(on_drawn).mean(),
            "d_accuracy_real": (on_real > 0).float().mean(),
            "d_accuracy_fake": (on_drawn <= 0).float().mean(),
        }

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        terms = self.losses(real, labels)
        descents = (
            (self.encoder_optimiser, terms["kl"] + terms["like"]),
            (self.decoder_optimiser, self.gamma * terms["like"] + terms["g_loss"]),
            (self.discriminator_optimiser, terms["d_loss"]),
        )
        # All gradients before the first update: they belong to one and the same pass.
        for optimiser, loss in descents:
            _assign_gradients(optimiser, loss)
        for optimiser, _ in descents:
            optimiser.step()
        return {name: value.detach() for name, value in terms.items()}

    # -- the model contract -----------------------------------------------------------------------------------

    def decode(self, z: Tensor) -> Tensor:
        y: Tensor = self.decoder(z)
        return (y + 1) / 2

    def encode(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The posterior's means as latents, class included."""
        return self.with_class(self.posterior(x, labels)[0], labels)

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) decoded from the posterior's mean."""
        return self.decode(self.encode(x, labels))

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of images in [0, 1], of `labels` or of any class; larger is more real, the threshold is 0."""
        return pick_logit(self, self.discriminator(x)[0], labels)


class Discriminator(nn.Module):
    """Convolutions that halve, whose last activations are the features f, then one layer to 1 + classes outputs."""

    def __init__(self, channels: list[int], size: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.features = _halvings(channels, batch_norm=False)
        self.verdict = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, 1 + classes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, 1 + classes), larger is more real, and features (N, F) of images in [0, 1]."""
        features = self.features(2 * x - 1)
        return self.verdict(features), features


def _halvings(channels: list[int], *, batch_norm: bool) -> nn.Sequential:
    """Images to their smallest maps, flattened."""
    modules: list[nn.Module] = []
    for outer, inner in pairwise(channels):
        modules.append(nn.Conv2d(outer, inner, 4, stride=2, padding=1, bias=not batch_norm))
        modules += [nn.BatchNorm2d(inner), nn.ReLU()] if batch_norm else [nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*modules, nn.Flatten())


def _generator(latent: int, side: tuple[int, int], channels: list[int]) -> nn.Sequential:
    """Latents with their class to images in [-1, 1]."""
    smallest = channels[-1]
    modules: list[nn.Module] = [
        nn.Linear(latent, smallest * side[0] * side[1], bias=False),
        nn.Unflatten(1, (smallest, *side)),
    ]
    for level in range(len(channels) - 1, 0, -1):
        inner, outer = channels[level], channels[level - 1]
        # The batch norm that follows takes a bias away again; none follows the image.
        modules += [nn.BatchNorm2d(inner), nn.ReLU(), UpsampledConv(inner, outer, bias=level == 1)]
    return nn.Sequential(*modules, nn.Tanh())


def _smallest_map(shape: Shape, width: int) -> tuple[tuple[int, int], list[int]]:
    """Sides of the smallest map, 8 or a little less where the image allows it, and the channels from image to map."""
    image_channels, height, width_of_image = shape
    side, channels = (height, width_of_image), [image_channels]
    while min(side) > 8 and not side[0] % 2 and not side[1] % 2:
        side = (side[0] // 2, side[1] // 2)
        channels.append(width << (len(channels) - 1))
    if len(channels) == 1:
        raise ValueError(
            f"vae_gan cannot draw {height}x{width_of_image} images: expected even sides of at least 10 pixels"
        )
    return side, channels


def _assign_gradients(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """Give the parameters of one network the gradient of its loss, and no other network any."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters, retain_graph=True), strict=True):
        parameter.grad = gradient
