"""Blocks that several models share."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, pixel_shuffle


def gaussian_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, exp(log_std)^2) || N(0, I)) in nats, summed over the last dimension."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 2 * log_std - 1).sum(-1)


class UpsampledConv(nn.Conv2d):
    """Nearest-neighbour upsampling x2, then a 5x5 convolution with zero padding: (N, in, H, W) to (N, out, 2H, 2W).

    Computed without the upsampled map: every output pixel sees only 3x3 different inputs, so one 3x3 convolution
    gives the four pixels of each 2x2 block, with 36 products where the plain way takes 100.
    """

    def __init__(self, channels_in: int, channels_out: int, *, bias: bool) -> None:
        super().__init__(channels_in, channels_out, 5, padding=2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        # Each input pixel serves a 2x2 block of the upsampled map, so neighbouring elements of the 5x5 kernel add up:
        # tap t (of 3) of output parity a is element 2 t + 1 - a of the 6x6 kernel of pairwise sums.
        sums = avg_pool2d(self.weight, 2, stride=1, padding=1, divisor_override=1)
        parities = sums.reshape(*self.weight.shape[:2], 3, 2, 3, 2).flip(3, 5)
        kernel = parities.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return pixel_shuffle(conv2d(x, kernel, bias, padding=1), 2)


def dense(*sizes: int) -> nn.Sequential:
    """Linear layers from size to size with a ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.ReLU(), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers[1:])
