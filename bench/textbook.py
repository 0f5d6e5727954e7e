"""The loops that people write from a paper or a tutorial: what ours is measured against where nothing is published.

Data set and data loader, one image at a time converted to floats; plain modules and plain Adam; weight gradients of a
recurrence step by step; each loss looked at after each step. The models have exactly the sizes of ours, and the same
losses: with the same weights and noise they give the same numbers (tests/integration/test_bench.py). Grey images
throughout, but for DCGAN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

Shape = tuple[int, int, int]


class Pictures(Dataset[Tensor]):
    """Images (N, C, H, W) uint8; one at a time as floats in [0, 1], which is what torchvision's `ToTensor` gives."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.images[index]).float().div(255)


class Textbook(nn.Module):
    """A model with its optimisers."""

    def fit(self, x: Tensor) -> dict[str, float]:
        """One training step on x (N, C, H, W); its losses."""
        raise NotImplementedError

    def generate(self, n: int) -> Tensor:
        """Images (n, C, H, W) in [0, 1]."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.parameters()).device


class Loop:
    """The training loop; epochs follow one another."""

    def __init__(self, model: Textbook, images: NDArray[np.uint8], batch: int, *, binarised: bool) -> None:
        self.model, self.binarised = model, binarised
        self.loader = DataLoader(Pictures(images), batch_size=batch, shuffle=True, drop_last=True)
        self.batches: Iterator[Tensor] = iter(())
        self.losses: dict[str, float] = {}
        model.train()

    def steps(self, n: int) -> None:
        """Take n training steps."""
        for _ in range(n):
            x = self.next_batch().to(self.model.device)
            if self.binarised:
                x = torch.bernoulli(x)
            self.losses = self.model.fit(x)

    def next_batch(self) -> Tensor:
        """Of this epoch, or the first of the next."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        return batch


# --- VAE ------------------------------------------------------------------------------------------------------------


class VAE(Textbook):
    """One hidden layer on each side, as in pytorch/examples."""

    def __init__(self, shape: Shape, *, hidden: int, latent: int, learning_rate: float) -> None:
        super().__init__()
        self.shape, self.latent = shape, latent
        pixels = int(np.prod(shape))
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, pixels)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def fit(self, x: Tensor) -> dict[str, float]:
        x = x.flatten(1)
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        std = torch.exp(0.5 * logvar)
        recon = self.decode(mu + std * torch.randn_like(std))
        bce = F.binary_cross_entropy(recon, x, reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        loss = (bce + kld) / len(x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.item()}

    def generate(self, n: int) -> Tensor:
        return self.decode(torch.randn(n, self.latent, device=self.device)).view(n, *self.shape)


# --- DRAW -----------------------------------------------------------------------------------------------------------


def filterbank(p: Tensor, size: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """F_X (N, size, A), F_Y (N, size, B) and gamma (N, 1, 1) of p (N, 5): 1502.04623, equations 21 to 26."""
    gx, gy, log_variance, log_stride, log_gamma = p.split(1, 1)
    gx, gy = (width + 1) / 2 * (gx + 1), (height + 1) / 2 * (gy + 1)
    delta = (max(height, width) - 1) / (size - 1) * torch.exp(log_stride)
    variance = torch.exp(log_variance).unsqueeze(2)
    i = torch.arange(1, size + 1, device=p.device).float()
    banks = []
    for g, pixels in ((gx, width), (gy, height)):
        mu = (g + (i - size / 2 - 0.5) * delta).unsqueeze(2)
        a = torch.arange(1, pixels + 1, device=p.device).float()
        weights = torch.exp(-((a - mu) ** 2) / (2 * variance))
        banks.append(weights / (weights.sum(2, keepdim=True) + 1e-8))
    return banks[0], banks[1], torch.exp(log_gamma).unsqueeze(2)


class DRAW(Textbook):
    """Encoder and decoder are LSTM cells, each step a read, a latent and a write."""

    def __init__(self, shape: Shape, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        _, self.height, self.width = shape
        self.steps, self.hidden, self.latent = (arguments[key] for key in ("glimpses", "hidden", "latent"))
        self.read_size, self.write_size = arguments["read_size"], arguments["write_size"]
        self.clip_norm = arguments["clip_norm"]
        self.encoder = nn.LSTMCell(2 * self.read_size**2 + self.hidden, self.hidden)
        self.decoder = nn.LSTMCell(self.latent, self.hidden)
        self.mean, self.log_std = nn.Linear(self.hidden, self.latent), nn.Linear(self.hidden, self.latent)
        self.read_window, self.write_window = nn.Linear(self.hidden, 5), nn.Linear(self.hidden, 5)
        self.patch = nn.Linear(self.hidden, self.write_size**2)
        self.first_canvas = nn.Parameter(torch.zeros(self.height, self.width))
        start = torch.tensor([0.0, 0.0, arguments["log_variance"], arguments["log_stride"], 0.0])
        for window in (self.read_window, self.write_window):
            window.bias.data.copy_(start)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=arguments["learning_rate"], betas=(0.5, 0.999))

    def start(self, n: int) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(n, self.hidden, device=self.device)
        return zeros, zeros

    def read(self, x: Tensor, error: Tensor, h_dec: Tensor) -> Tensor:
        fx, fy, gamma = filterbank(self.read_window(h_dec), self.read_size, self.height, self.width)
        glimpse = gamma * (fy @ x @ fx.transpose(1, 2))
        glimpse_of_error = gamma * (fy @ error @ fx.transpose(1, 2))
        return torch.cat([glimpse.flatten(1), glimpse_of_error.flatten(1)], 1)

    def write(self, h_dec: Tensor) -> Tensor:
        fx, fy, gamma = filterbank(self.write_window(h_dec), self.write_size, self.height, self.width)
        patch = self.patch(h_dec).view(-1, self.write_size, self.write_size)
        return (fy.transpose(1, 2) @ patch @ fx) / gamma

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last canvas in [0, 1], (N, H, W), and the KL terms' sum, (N,), of images (N, H, W)."""
        n = len(x)
        enc, dec, canvas = self.start(n), self.start(n), self.first_canvas.expand(n, -1, -1)
        kl = torch.zeros(n, device=x.device)
        for _ in range(self.steps):
            error = x - torch.sigmoid(canvas)
            r = self.read(x, error, dec[0])
            enc = self.encoder(torch.cat([r, dec[0]], 1), enc)
            mean, log_std = self.mean(enc[0]), self.log_std(enc[0])
            z = mean + torch.exp(log_std) * torch.randn_like(mean)
            kl = kl + 0.5 * (mean**2 + torch.exp(2 * log_std) - 2 * log_std - 1).sum(1)
            dec = self.decoder(z, dec)
            canvas = canvas + self.write(dec[0])
        return torch.sigmoid(canvas), kl

    def fit(self, x: Tensor) -> dict[str, float]:
        x = x.squeeze(1)
        drawn, kl = self(x)
        loss = (F.binary_cross_entropy(drawn, x, reduction="sum") + kl.sum()) / len(x)
        self.descend(loss)
        return {"loss": loss.item()}

    def descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), self.clip_norm)
        self.optimizer.step()

    def draw(self, n: int) -> Tensor:
        """Images (n, H, W) of the prior's latents."""
        dec, canvas = self.start(n), self.first_canvas.expand(n, -1, -1)
        for _ in range(self.steps):
            dec = self.decoder(torch.randn(n, self.latent, device=self.device), dec)
            canvas = canvas + self.write(dec[0])
        return torch.sigmoid(canvas)

    def generate(self, n: int) -> Tensor:
        return self.draw(n).unsqueeze(1)


class DRAWGAN(Textbook):
    """DRAW and a discriminator, which is asked of real images, of reconstructions and of samples in turn."""

    def __init__(self, shape: Shape, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.gamma, self.lead = arguments["gamma"], arguments["lead"]
        self.drawer = DRAW(shape, arguments)
        k, (_, height, width) = arguments["kernels"], shape
        self.features = nn.Sequential(
            nn.Conv2d(1, k, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(k, 2 * k, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.verdict = nn.Sequential(
            nn.Dropout(arguments["dropout"]),
            nn.Linear(2 * k * (height // 4) * (width // 4), 8 * k),
            nn.LeakyReLU(0.2),
            nn.Dropout(arguments["dropout"]),
            nn.Linear(8 * k, 1),
        )
        judging = [*self.features.parameters(), *self.verdict.parameters()]
        self.d_optimizer = torch.optim.Adam(judging, lr=arguments["discriminator_rate"], betas=(0.5, 0.999))
        self.bce = nn.BCEWithLogitsLoss()

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 1) and features of images (N, H, W)."""
        features = self.features(2 * x.unsqueeze(1) - 1)
        return self.verdict(features), features

    def fit(self, x: Tensor) -> dict[str, float]:
        x = x.squeeze(1)
        reconstruction, kl = self.drawer(x)
        sample = self.drawer.draw(len(x))
        real, of_real = self.judge(x)
        fakes = [self.judge(fake.detach())[0] for fake in (reconstruction, sample)]
        d_loss = self.bce(real, torch.ones_like(real)) + sum(self.bce(fake, torch.zeros_like(fake)) for fake in fakes)
        lead = torch.sigmoid(real).mean() - torch.sigmoid(torch.cat(fakes)).mean()
        rec, of_rec = self.judge(reconstruction)
        made, _ = self.judge(sample)
        like = 0.5 * ((of_rec - of_real.detach()) ** 2).sum(1).mean()
        g_loss = self.bce(rec, torch.ones_like(rec)) + self.bce(made, torch.ones_like(made))
        loss = kl.mean() + self.gamma * like + g_loss
        self.drawer.descend(loss)
        self.d_optimizer.zero_grad()
        if lead.item() <= self.lead:
            d_loss.backward()
            self.d_optimizer.step()
        return {"loss": loss.item(), "d_loss": d_loss.item(), "g_loss": g_loss.item(), "like": like.item()}

    def generate(self, n: int) -> Tensor:
        return self.drawer.generate(n)


# --- adversarial pairs ----------------------------------------------------------------------------------------------


class Pair(Textbook):
    """A generator against a discriminator, both with Adam."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, rates: tuple[float, float], beta1: float
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.g_optimizer = torch.optim.Adam(generator.parameters(), lr=rates[0], betas=(beta1, 0.999))
        self.d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=rates[1], betas=(beta1, 0.999))
        self.bce = nn.BCEWithLogitsLoss()

    def latents(self, n: int) -> Tensor:
        raise NotImplementedError

    def fit(self, x: Tensor) -> dict[str, float]:
        """Half of each kind is normalised apart and half together: the same loss as ours."""
        fake, half = self.generator(self.latents(len(x))), len(x) // 2
        kept = fake.detach()
        joint_real, joint_fake = self.discriminator(torch.cat([x[half:], kept[half:]])).chunk(2)
        real = torch.cat([self.discriminator(x[:half]), joint_real])
        made = torch.cat([self.discriminator(kept[:half]), joint_fake])
        d_loss = self.bce(real, torch.ones_like(real)) + self.bce(made, torch.zeros_like(made))
        self.d_optimizer.zero_grad()
        d_loss.backward()
        self.d_optimizer.step()
        judged = self.discriminator(fake)
        g_loss = self.bce(judged, torch.ones_like(judged))
        self.g_optimizer.zero_grad()
        g_loss.backward()
        self.g_optimizer.step()
        return {"d_loss": d_loss.item(), "g_loss": g_loss.item()}

    def generate(self, n: int) -> Tensor:
        images: Tensor = self.generator(self.latents(n))
        return images


class GRANGenerator(nn.Module):
    """f and g of 1602.05110; `channels` from the smallest map's to the image's."""

    def __init__(self, channels: list[int], side: int, latent: int, steps: int) -> None:
        super().__init__()
        self.steps, self.first_map = steps, (channels[0], side, side)
        self.noise = nn.Linear(latent, latent)
        self.fc = nn.Linear(2 * latent, channels[0] * side * side, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels[:-1])
        last = len(channels) - 2
        self.deconvs = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 5, stride=2, padding=2, output_padding=1, bias=k == last)
            for k, (a, b) in enumerate(pairwise(channels))
        )
        if steps > 1:
            self.g = GRANEncoder(channels, side, latent, nn.ReLU())
            self.g_norm = nn.BatchNorm1d(latent)

    def forward(self, z: Tensor) -> Tensor:
        h_z = torch.tanh(self.noise(z))
        increments = [self.f(h_z, torch.zeros_like(h_z))]
        for _ in range(1, self.steps):
            h_c = torch.tanh(self.g_norm(self.g(increments[-1])))
            increments.append(self.f(h_z, h_c))
        return torch.sigmoid(torch.stack(increments).sum(0))

    def f(self, h_z: Tensor, h_c: Tensor) -> Tensor:
        x = self.fc(torch.cat([h_z, h_c], 1)).view(-1, *self.first_map)
        for norm, deconv in zip(self.norms, self.deconvs, strict=True):
            x = deconv(F.relu(norm(x)))
        return x


class GRANEncoder(nn.Module):
    """f's mirror image: g, and the discriminator."""

    def __init__(self, channels: list[int], side: int, features: int, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        pairs = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 5, stride=2, padding=2, bias=False) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b in pairs)
        self.fc = nn.Linear(channels[0] * side * side, features)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.activation(norm(conv(x)))
        features: Tensor = self.fc(x.flatten(1))
        return features


class GRAN(Pair):
    """z ~ N(0, I), one for all steps."""

    def __init__(self, shape: Shape, arguments: Mapping[str, Any]) -> None:
        channels = [*arguments["kernels"], shape[0]]
        side, self.latent = shape[1] >> (len(channels) - 1), arguments["latent"]
        super().__init__(
            GRANGenerator(channels, side, self.latent, arguments["time_steps"]),
            GRANEncoder(channels, side, 1, nn.LeakyReLU(0.2)),
            (arguments["learning_rate_generator"], arguments["learning_rate_discriminator"]),
            arguments["beta1"],
        )

    def latents(self, n: int) -> Tensor:
        return torch.randn(n, self.latent, device=self.device)


class DCGAN(Pair):
    """Upsampling and 5x5 convolutions against strided ones; images in [-1, 1] between the two."""

    def __init__(self, shape: Shape, arguments: Mapping[str, Any]) -> None:
        side = 7 if shape[1] % 7 == 0 else 8
        halvings = (shape[1] // side).bit_length() - 1
        channels = [shape[0], *(arguments["width"] >> (halvings - 1 - level) for level in range(halvings))]
        self.latent = arguments["latent"]
        rate = arguments["learning_rate"]
        super().__init__(
            self._generator(self.latent, side, channels), self._discriminator(side, channels), (rate, rate),
            arguments["beta1"],
        )  # fmt: skip

    @staticmethod
    def _generator(latent: int, side: int, channels: list[int]) -> nn.Sequential:
        first = nn.Linear(latent, channels[-1] * side * side, bias=False)
        layers: list[nn.Module] = [first, nn.Unflatten(1, (channels[-1], side, side))]
        for inner, outer in zip(channels[:0:-1], channels[-2::-1], strict=True):
            layers += [nn.BatchNorm2d(inner), nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2)]
            layers.append(nn.Conv2d(inner, outer, 5, padding=2, bias=outer == channels[0]))
        return nn.Sequential(*layers, nn.Tanh())

    @staticmethod
    def _discriminator(side: int, channels: list[int]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for level, (outer, inner) in enumerate(pairwise(channels)):
            layers.append(nn.Conv2d(outer, inner, 5, stride=2, padding=2, bias=level == 0))
            layers += [nn.BatchNorm2d(inner)] if level else []
            layers.append(nn.LeakyReLU(0.2))
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * side * side, 1))

    def latents(self, n: int) -> Tensor:
        return 2 * torch.rand(n, self.latent, device=self.device) - 1

    def fit(self, x: Tensor) -> dict[str, float]:
        return super().fit(2 * x - 1)

    def generate(self, n: int) -> Tensor:
        return (super().generate(n) + 1) / 2


# --- which there are ------------------------------------------------------------------------------------------------


def made(source: str, arguments: Mapping[str, Any], shape: Shape) -> Textbook | None:
    """The textbook form of a model of ours with these arguments, None where none is written."""
    if source == "dcgan":
        return DCGAN(shape, arguments) if _holds(arguments, layers_per_size=1, batch_norm=True) else None
    if shape[0] != 1:
        return None
    if source == "vae" and _holds(arguments, likelihood="bernoulli") and len(arguments["hidden"]) == 1:
        (hidden,) = arguments["hidden"]
        return VAE(shape, hidden=hidden, latent=arguments["latent"], learning_rate=arguments["learning_rate"])
    if source == "draw" and _holds(arguments, attention=True):
        return DRAW(shape, arguments)
    if source == "draw_gan" and _holds(
        arguments, attention=True, warmup=0, reconstruction="features", objective="non_saturating"
    ):
        return DRAWGAN(shape, arguments)
    if source == "gran" and _holds(arguments, fresh_noise=False, tie_weights=False):
        return GRAN(shape, arguments)
    return None


def _holds(arguments: Mapping[str, Any], **expected: Any) -> bool:
    """Whether a model is as expected, and is plain in what all may be: unconditional, one update of each network."""
    plain = {"conditional": False, "discriminator_steps": 1, "update_when_wrong": False} | expected
    return all(arguments.get(key, value) == value for key, value in plain.items())
