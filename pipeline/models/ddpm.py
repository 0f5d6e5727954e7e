"""DDPM: the U-Net of flow matching, trained to tell the noise in a noised image, and sampled by DDIM.

Ho, Jain & Abbeel 2020, 'Denoising diffusion probabilistic models', arXiv:2006.11239, equation 14; the cosine schedule
of Nichol & Dhariwal 2021 (arXiv:2102.09672, eq. 17); deterministic steps of Song, Meng & Ermon 2021 (DDIM,
arXiv:2010.02502, eq. 12 with sigma = 0). As in flow matching, time is continuous, from noise at 0 to the image at 1:
x_t = sqrt(abar) image + sqrt(1 - abar) noise in [-1, 1], where abar = cos^2 of the part of a quarter turn that is left.
The network gives v of Salimans & Ho 2022 (arXiv:2202.00512): noise = sqrt(1 - abar) x_t + sqrt(abar) v. Where x_t is
nearly the noise, it need not copy it, and errors are not divided by what little there is of the image. The loss is the
noise's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from torch import Tensor

from pipeline.models.flow_matching import FlowMatching
from pipeline.models.kinds import Count, Rate, Shape, Weight

__all__ = ["DDPM"]

OFFSET = 0.008
"""s of arXiv:2102.09672: at the image's end some noise is left, less than half a grey level of 8 bits."""


class DDPM(FlowMatching):
    """Flow matching's network; `ddim_steps` steps, the image that each of them predicts is a canvas."""

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        channels: tuple[Count, ...] = (32, 64),
        patch: Count = 2,
        ddim_steps: Count = 50,
        times: Literal["logit_normal", "uniform"] = "uniform",
        clip: Weight = 1.0,
        conditional: bool = False,
        learning_rate: Rate = 3e-3,
    ) -> None:
        super().__init__(
            shape,
            classes,
            channels=channels,
            patch=patch,
            times=times,
            clip=clip,
            conditional=conditional,
            learning_rate=learning_rate,
        )
        self.ddim_steps = ddim_steps

    def noised(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_t (N, C, H, W), its times t (N,), and the noise, which is to be predicted."""
        t = self.draw_times(len(image), image.device)
        signal, sigma = (share.view(-1, 1, 1, 1) for share in shares(t))
        return signal * image + sigma * noise, t, noise

    def predict(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        """The noise (N, C, H, W) in x_t."""
        signal, sigma = (share.view(-1, 1, 1, 1) for share in shares(t))
        return sigma * x + signal * self.network(x, t, classes)

    def path(self, z: Tensor) -> Iterator[Tensor]:
        """The predicted image in [-1, 1] at every step from latents z; the last one is what is drawn."""
        noise, classes = z.split([self.latent_shape[0], self.classes], 1)
        x = noise.view(-1, *self.shape)
        for step in range(self.ddim_steps):
            t, later = (x.new_full((len(x),), (step + ahead) / self.ddim_steps) for ahead in (0, 1))
            signal, sigma = (share.view(-1, 1, 1, 1) for share in shares(t))
            image = (signal * x - sigma * self.network(x, t, classes)).clamp(-1, 1)
            yield image
            signal_later, sigma_later = (share.view(-1, 1, 1, 1) for share in shares(later))
            x = signal_later * image + sigma_later * (x - signal * image) / sigma


def shares(t: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(abar) and sqrt(1 - abar) of times t (N,)."""
    angle = (1 - t + OFFSET) / (1 + OFFSET) * math.pi / 2
    return angle.cos(), angle.sin()
