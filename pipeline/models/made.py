"""MADE: masked weights let each pixel be predicted from those before it, so the likelihood is exact.

Germain, Gregor, Murray & Larochelle 2015, 'MADE: masked autoencoder for distribution estimation', arXiv:1502.03509; one
mask, pixels in raster order. What differs: the hidden units' degrees (eq. 12) are spread evenly, not drawn, and Adam
takes the place of Adadelta. The paper trains on MNIST binarised once; here the training images are binarised again in
every step and the held-out ones once (protocol.seed of params.yaml), so its numbers are not to be compared with ours.

Images of samples are the pixels' probabilities given the binary pixels drawn before them: other likelihood models here
also show the means of their pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from pipeline.models.base import ImageGenerator
from pipeline.models.kinds import Count, Rate, Shape

__all__ = ["MADE"]


class MADE(ImageGenerator):
    """One hidden layer; its units are in the order of their degree, the number of pixels that a unit may see."""

    latent_law = "uniform"

    def __init__(self, shape: Shape, *, hidden: Count = 1000, learning_rate: Rate = 2e-3) -> None:
        super().__init__(shape)
        pixels = math.prod(shape)
        self.latent_shape = (pixels,)
        self.degrees = torch.linspace(1, max(1, pixels - 1), hidden).round().long()
        seen = self.degrees[:, None] > torch.arange(pixels)  # unit of degree m: pixels 0 to m - 1 (eqs. 8 and 9)
        self.input, self.output = MaskedLinear(seen), MaskedLinear(~seen.t())
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)

    def logits(self, pixels: Tensor) -> Tensor:
        """log p / (1 - p) of every pixel given those before it, (N, pixels)."""
        predicted: Tensor = self.output(self.input(pixels).relu())
        return predicted

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x) of binary images (N, C, H, W), exact, in nats, (N,)."""
        pixels = x.flatten(1)
        return -binary_cross_entropy_with_logits(self.logits(pixels), pixels, reduction="none").sum(1)

    def fit_batch(self, real: Tensor) -> dict[str, Tensor]:
        loss = -self.log_likelihood(real).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"loss": loss.detach()}

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities of the pixels, drawn one after the other: pixel i is 1 where U(-1, 1) is below 2 p - 1.

        A hidden unit is computed once, when the last pixel that it sees is drawn.
        """
        n, count = z.shape
        ends = torch.bincount(self.degrees, minlength=count).cumsum(0).tolist()
        into, out = (layer.masked().detach() for layer in (self.input, self.output))
        drawn, means, hidden = torch.zeros_like(z), torch.zeros_like(z), z.new_zeros(n, len(into))
        for i in range(count):
            first, last = ends[i - 1] if i else 0, ends[i]
            if last > first:
                new = linear(drawn[:, :i], into[first:last, :i], self.input.bias[first:last])
                hidden[:, first:last] = new.relu()
            means[:, i] = (hidden[:, :last] @ out[i, :last] + self.output.bias[i]).sigmoid()
            drawn[:, i] = (z[:, i] < 2 * means[:, i] - 1).to(z.dtype)
        return means.view(-1, *self.shape)


class MaskedLinear(nn.Linear):
    """A linear layer with the weights where `mask` (outputs, inputs) is true; the others are held at zero."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.to(torch.float32), persistent=False)

    def masked(self) -> Tensor:
        """The weights, (outputs, inputs)."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.masked(), self.bias)
