"""DRAW: a recurrent variational autoencoder that reads and writes an image through Gaussian attention.

Gregor et al., 'DRAW: A Recurrent Neural Network For Image Generation', arXiv:1502.04623; Renkila et al. section II-B,
equations 9-14 and 17-19. Stated choices: hidden and cell states start at zero, the canvas at a learnt image c_0; the
forget gate's bias starts at 1; filters are normalised by a softmax, which is exp(-(a - mu)^2 / (2 s2)) over its row sum
even where every term underflows. With `attention=False` the whole image is read, and written by a layer linear in
h_dec. A requested class stands beside z_t in the decoder's input at every step; the encoder learns of it from
h_dec. The defaults are for a small budget: 5x5 and 10x10 windows that start nearly as wide as the image (`log_stride`)
learn several times faster than the paper's 2x2 and 5x5, which want log_stride near -1.5 lest they read blank corners.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pipeline.models.base import ImageGenerator
from pipeline.models.blocks import gaussian_kl
from pipeline.models.kinds import Count, Number, Rate, Shape, Weight

__all__ = ["DRAW"]


class GradientOverSteps(torch.autograd.Function):
    """The bias of a linear layer for each of its steps, (steps, batch, outputs).

    The layer itself multiplies by detached weights; their gradient arrives here, where the gradients of all steps
    meet, as one product over steps x batch rows in place of one small product and one addition per step.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, steps: int, batch: int, inputs: list[Tensor]) -> Tensor:
        ctx.inputs = inputs
        return bias.detach().expand(steps, batch, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows = gradients[0].flatten(0, 1)
        first, *later = ctx.inputs
        if later:
            first = pad(first, (0, later[0].shape[1] - first.shape[1]))
        return rows.t() @ torch.cat([first, *later]), rows.sum(0), None, None, None


class UnrolledLinear:
    """bias + x weight^T, called once per step; the first x may hold fewer columns, those left out being zero."""

    def __init__(self, weight: Tensor, bias: Tensor, steps: int, batch: int) -> None:
        self.inputs: list[Tensor] = []
        self.transposed = weight.detach().t()
        self.biases = iter(GradientOverSteps.apply(weight, bias, steps, batch, self.inputs).unbind(0))

    def __call__(self, x: Tensor) -> Tensor:
        self.inputs.append(x.detach())
        return torch.addmm(next(self.biases), x, self.transposed[: x.shape[1]])


class LSTMState(torch.autograd.Function):
    """Cell and hidden state (N, h) after gates (N, 4h) in the order input, forget, output, candidate."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        hidden = cell.shape[1]
        squashed = gates[:, : 3 * hidden].sigmoid()
        i, f, o = squashed.chunk(3, 1)
        candidate = tanh(gates[:, 3 * hidden :])
        cell_after = torch.addcmul(f * cell, i, candidate)
        bounded = tanh(cell_after)
        ctx.save_for_backward(squashed, candidate, cell, bounded)
        return cell_after, o * bounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        d_cell, d_hidden = gradients
        squashed, candidate, cell, bounded = ctx.saved_tensors
        i, f, o = squashed.chunk(3, 1)
        d_cell = d_cell + torch.ops.aten.tanh_backward(d_hidden * o, bounded)
        d_gates = torch.cat([d_cell * candidate, d_cell * cell, d_hidden * bounded, d_cell * i], 1)
        d_squashed, d_candidate = d_gates.tensor_split([squashed.shape[1]], 1)
        torch.ops.aten.sigmoid_backward(d_squashed, squashed, grad_input=d_squashed)
        torch.ops.aten.tanh_backward(d_candidate, candidate, grad_input=d_candidate)
        return d_gates, d_cell * f


def tanh(x: Tensor) -> Tensor:
    """2 sigma(2x) - 1, on a CPU a third of `torch.tanh`'s time."""
    return (2 * x).sigmoid_().mul_(2).sub_(1)


class BernoulliNLL(torch.autograd.Function):
    """-log p(x) in nats per pixel, where sigma(logits) is the probability of 1: relu(l) - x l - log sigma(|l|).

    It is `binary_cross_entropy_with_logits` in a tenth of its time on a CPU, where log1p is not vectorised.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        return logits.relu().sub_(x * logits).sub_(logits.abs().sigmoid_().log_())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits, x = ctx.saved_tensors
        return gradients[0] * (logits.sigmoid() - x), None


class LSTM(nn.Module):
    """Weights of an LSTM cell whose input is [inputs, recurrent]; uniform within 1/sqrt(hidden), forget bias 1."""

    def __init__(self, inputs: int, recurrent: int, hidden: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden)
        self.weight = nn.Parameter(torch.empty(4 * hidden, inputs + recurrent).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        with torch.no_grad():
            self.bias[hidden : 2 * hidden] = 1.0


class Recurrence:
    """An LSTM in one pass; its hidden state is (N, h), and (N, 0) in place of the zeros before the first step."""

    def __init__(self, lstm: LSTM, steps: int, batch: int) -> None:
        self.gates = UnrolledLinear(lstm.weight, lstm.bias, steps, batch)
        self.cell = lstm.bias.new_zeros(batch, len(lstm.bias) // 4)
        self.hidden = lstm.bias.new_zeros(batch, 0)

    def step(self, x: Tensor) -> Tensor:
        """The hidden state after x, the inputs and the hidden states before side by side."""
        self.cell, self.hidden = LSTMState.apply(self.gates(x), self.cell)
        return self.hidden


class Windows(nn.Module):
    """The read and the write window: grids of Gaussian filters over B x A pixels (Gregor et al., eqs 21-26).

    Both windows that one h_dec asks for are computed at once, a row (filter) being of either the one or the other.
    """

    window: Tensor
    offsets: Tensor
    halves: Tensor
    exponent_signs: Tensor
    pixels: Tensor
    outside: Tensor

    def __init__(self, read_size: int, write_size: int, height: int, width: int) -> None:
        super().__init__()
        if min(read_size, write_size) < 2:
            raise ValueError(f"a window needs at least 2 x 2 filters: read_size {read_size}, write_size {write_size}")
        self.read_size, self.height, self.width = read_size, height, width
        longest = max(height, width)
        sizes = torch.tensor([read_size] * read_size + [write_size] * write_size)
        i = torch.cat([torch.arange(1, read_size + 1), torch.arange(1, write_size + 1)])
        a = torch.arange(1, longest + 1)
        buffers = {
            "window": torch.tensor([0] * read_size + [1] * write_size),
            "offsets": ((i - sizes / 2 - 0.5) * (longest - 1) / (sizes - 1))[:, None],
            "halves": torch.tensor([(width + 1) / 2, (height + 1) / 2]),
            # Reading scales by gamma, writing by 1/gamma.
            "exponent_signs": torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]]),
            "pixels": a.float(),
            # Filters over the shorter side end before the longest one's: no weight there.
            "outside": torch.stack([a > width, a > height]).float().mul(-1e30),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """F_X (N, R, A) and gamma^{+-1} F_Y (N, R, B), the rows of reading before those of writing.

        p (N, 10) holds (g~x, g~y, log s2, log d~, log gamma) of the read window, then of the write window.
        """
        p = p.view(-1, 2, 5)
        g = (p[..., :2] + 1) * self.halves
        scales = (p[..., 2:] * self.exponent_signs).exp()
        rows = torch.cat([g, scales], 2).index_select(1, self.window)
        variance, stride, gamma = rows[..., 2:].chunk(3, 2)
        mu = torch.addcmul(rows[..., :2], stride, self.offsets)
        exponents = (self.pixels - mu[..., None]).square() / (-2 * variance[..., None])
        if self.height != self.width:
            exponents = exponents + self.outside
        f_x, f_y = exponents.softmax(-1).unbind(2)
        return f_x[..., : self.width], f_y[..., : self.height] * gamma


class Pass(NamedTuple):
    """One pass of the recurrence: logits of the last canvas (M, H, C*W); the posterior of the encoded (T, N, z)."""

    logits: Tensor
    mean: Tensor
    log_std: Tensor


class Decoding:
    """The decoder in one pass: its recurrence, what h_dec asks for, and the canvas of logits (M, H, C*W)."""

    def __init__(self, model: DRAW, steps: int, batch: int) -> None:
        self.model = model
        self.recurrence = Recurrence(model.decoder, steps, batch)
        self.linear = UnrolledLinear(*model.heads(), steps=steps + 1, batch=batch)
        self.canvas = model.first_canvas.expand(batch, -1, -1)
        self.ask()

    def ask(self) -> None:
        """One product gives what h_dec asks of this step's write and of the next step's read."""
        self.heads = self.linear(self.recurrence.hidden)
        self.filters = self.model.windows(self.heads[:, :10]) if self.model.windows else None

    def step(self, z: Tensor) -> None:
        """Equations 13 and 14 (18 and 19 in generation)."""
        self.recurrence.step(torch.cat([z, self.recurrence.hidden], 1))
        self.ask()
        self.canvas = self.model.write(self.canvas, self.heads, self.filters)


class DRAW(ImageGenerator):
    """Encoder and decoder LSTMs that exchange T glimpses of an image; Bernoulli likelihood, loss in nats per image."""

    def __init__(
        self,
        shape: Shape,
        classes: int = 0,
        *,
        glimpses: Count = 10,
        hidden: Count = 256,
        latent: Count = 10,
        read_size: Count = 5,
        write_size: Count = 10,
        attention: bool = True,
        conditional: bool = False,
        log_stride: Number = -0.2,
        log_variance: Number = 0.5,
        learning_rate: Rate = 2e-3,
        clip_norm: Weight = 5.0,
    ) -> None:
        super().__init__(shape, classes if conditional else 0)
        channels, height, width = shape
        self.latent_shape = (glimpses, latent)
        self.clip_norm = clip_norm
        self.windows = Windows(read_size, write_size, height, width) if attention else None
        read = channels * read_size**2 if attention else math.prod(shape)
        self.encoder = LSTM(2 * read, 2 * hidden, hidden)
        self.posterior = nn.Linear(hidden, 2 * latent)
        self.decoder = LSTM(latent + self.classes, hidden, hidden)
        self.read_head = nn.Linear(hidden, 5) if attention else None
        self.write_head = nn.Linear(hidden, 5 + channels * write_size**2 if attention else math.prod(shape))
        self.first_canvas = nn.Parameter(torch.zeros(height, channels * width))
        if self.read_head is not None:
            with torch.no_grad():
                for head in (self.read_head, self.write_head):
                    head.bias[:5] = torch.tensor([0.0, 0.0, log_variance, log_stride, 0.0])
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate, betas=(0.5, 0.999), fused=True)

    def networks(self) -> dict[str, list[nn.Module]]:
        reading = [] if self.read_head is None else [self.read_head]
        return {"generator": [self.decoder, self.write_head], "encoder": [self.encoder, self.posterior, *reading]}

    # -- reading and writing ----------------------------------------------------------------------------------

    def heads(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the layer that asks, from h_dec, for both windows (5 + 5 rows) and the patch."""
        if self.read_head is None:
            return self.write_head.weight, self.write_head.bias
        pair = (self.read_head, self.write_head)
        return torch.cat([head.weight for head in pair]), torch.cat([head.bias for head in pair])

    def read(self, x: Tensor, canvas: Tensor, filters: tuple[Tensor, Tensor] | None) -> Tensor:
        """gamma [F_Y x F_X^T, F_Y x^ F_X^T] with x^ = x - sigma(canvas), (N, 2 C n n), of x (N, H, C*W)."""
        drawn = canvas.sigmoid()
        if self.windows is None or filters is None:
            return torch.cat([x.flatten(1), (x - drawn).flatten(1)], 1)
        f_x, f_y = (f[: len(x), : self.windows.read_size] for f in filters)
        rows = torch.cat([f_y.bmm(x), f_y.bmm(drawn)], 1).view(len(x), -1, self.shape[2])
        of_x, of_drawn = rows.bmm(f_x.transpose(1, 2)).flatten(1).chunk(2, 1)
        # Reading is linear: x^ is not formed, its glimpse is the difference of two.
        return torch.cat([of_x, of_x - of_drawn], 1)

    def write(self, canvas: Tensor, heads: Tensor, filters: tuple[Tensor, Tensor] | None) -> Tensor:
        """canvas + (1/gamma) F_Y^T W F_X, all (N, H, C*W)."""
        if self.windows is None or filters is None:
            return canvas + heads.view_as(canvas)
        f_x, f_y = (f[:, self.windows.read_size :] for f in filters)
        patch = heads[:, 10:].reshape(len(heads), -1, f_x.shape[1])
        return torch.baddbmm(canvas, f_y.transpose(1, 2), patch.bmm(f_x).view(len(heads), f_y.shape[1], -1))

    def by_rows(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, H, C*W), the layout of the recurrence: its products need no transposition."""
        return x.transpose(1, 2).flatten(2)

    def images(self, canvas: Tensor) -> Tensor:
        """sigma of canvases (N, H, C*W), as images (N, C, H, W)."""
        channels, height, width = self.shape
        return canvas.sigmoid().view(-1, height, channels, width).transpose(1, 2)

    # -- the recurrence ---------------------------------------------------------------------------------------

    def unroll(self, x: Tensor, noise: Tensor, labels: Tensor | None = None, *, prior: Tensor | None = None) -> Pass:
        """Equations 9-14 for x (N, C, H, W) of classes `labels` (N,), the posterior's samples made of noise (T, N, z).

        Latents `prior` (T, K, z), their class included, are decoded in the same pass, as images N to N + K - 1: one
        recurrence for both.
        """
        steps, batch, _ = noise.shape
        asked = self.with_class(x.new_zeros(batch, 0), labels)
        x = self.by_rows(x)
        encoder = Recurrence(self.encoder, steps, batch)
        posterior = UnrolledLinear(self.posterior.weight, self.posterior.bias, steps, batch)
        decoding = Decoding(self, steps, batch if prior is None else batch + prior.shape[1])
        laws = []
        for t in range(steps):
            glimpse = self.read(x, decoding.canvas[:batch], decoding.filters)
            h_dec = decoding.recurrence.hidden[:batch]
            laws.append(posterior(encoder.step(torch.cat([glimpse, h_dec, encoder.hidden], 1))))
            mean, log_std = laws[-1].chunk(2, 1)
            z = torch.addcmul(mean, log_std.exp(), noise[t])
            if self.classes:
                z = torch.cat([z, asked], 1)
            decoding.step(z if prior is None else torch.cat([z, prior[t]]))
        mean, log_std = torch.stack(laws).chunk(2, 2)
        return Pass(decoding.canvas, mean, log_std)

    def noise(self, batch: int) -> Tensor:
        """N(0, I) for every step's latent, (T, batch, z)."""
        steps, latent = self.latent_shape
        return torch.randn(steps, batch, latent, device=self.device)

    def terms(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood of x under sigma(c_T) and sum_t KL(q(z_t) || N(0, I)), both (N,) in nats."""
        done = self.unroll(x, self.noise(len(x)), labels)
        nll = BernoulliNLL.apply(done.logits, self.by_rows(x)).sum((1, 2))
        return nll, gaussian_kl(done.mean, done.log_std).sum(0)

    # -- the model contract -----------------------------------------------------------------------------------

    def fit_batch(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        nll, kl = self.terms(real, labels)
        loss = (nll + kl).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip_norm > 0:
            nn.utils.clip_grad_norm_(self.parameters(), self.clip_norm)
        self.optimiser.step()
        return {"loss": loss.detach(), "reconstruction": nll.detach().mean(), "kl": kl.detach().mean()}

    def elbo(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Evidence lower bound of binary images, in nats, (N,); one sample of the latents each."""
        nll, kl = self.terms(x, labels)
        return -(nll + kl)

    def log_weights(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x, z) - log q(z | x) in nats for one draw of z_1 to z_T each, (N,): weights of importance sampling.

        Burda, Grosse & Salakhutdinov, arXiv:1509.00519, equation 8.
        """
        noise = self.noise(len(x))
        done = self.unroll(x, noise, labels)
        z = torch.addcmul(done.mean, done.log_std.exp(), noise)
        # The constants of q and p, log 2 pi / 2 per element, cancel.
        log_ratio = (0.5 * noise.square() + done.log_std - 0.5 * z.square()).sum((0, 2))
        return log_ratio - BernoulliNLL.apply(done.logits, self.by_rows(x)).sum((1, 2))

    def encode(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The posterior's means of every step as latents (N, T, z), class included."""
        done = self.unroll(x, torch.zeros_like(self.noise(len(x))), labels)
        return self.with_class(done.mean.transpose(0, 1), labels)

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) decoded from the posterior's means."""
        return self.images(self.unroll(x, torch.zeros_like(self.noise(len(x))), labels).logits)

    def decode(self, z: Tensor) -> Tensor:
        return self.images(self.written(z)[-1])

    def canvases(self, z: Tensor) -> Tensor:
        return torch.stack([self.images(canvas) for canvas in self.written(z)], 1)

    def written(self, z: Tensor) -> list[Tensor]:
        """The canvases of logits (N, H, C*W) after every step, equations 17-19."""
        decoding = Decoding(self, z.shape[1], len(z))
        canvases = []
        for z_t in z.unbind(1):
            decoding.step(z_t)
            canvases.append(decoding.canvas)
        return canvases
