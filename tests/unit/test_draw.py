"""DRAW against the formulas of Gregor et al. (arXiv:1502.04623), written out step by step and pixel by pixel."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from pipeline.models.draw import DRAW, BernoulliNLL, LSTMState, Windows
from pipeline.models.draw_gan import DRAWGAN

SHAPES = [(1, 12, 12), (3, 9, 14), (2, 13, 8)]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def small(shape: tuple[int, int, int] = (1, 12, 12), classes: int = 0, *, attention: bool = True) -> DRAW:
    arguments = {"glimpses": 3, "hidden": 8, "latent": 3, "read_size": 2, "write_size": 3}
    model = DRAW(shape, classes, conditional=classes > 0, attention=attention, **arguments)
    torch.nn.init.normal_(model.first_canvas)
    return model.double()


def binary(n: int, shape: tuple[int, int, int]) -> Tensor:
    return torch.rand(n, *shape, dtype=torch.float64).round()


def rows(x: Tensor) -> Tensor:
    """(N, C, H, W) to the model's layout (N, H, C*W)."""
    return torch.cat(list(x.unbind(1)), 2)


def images(canvas: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The inverse of `rows`."""
    return torch.stack(canvas.split(shape[2], 2), 1)


# -- the textbook's way: one step after the other, autograd alone --------------------------------------------------


def textbook_filters(p: Tensor, size: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """F_X (n, A), F_Y (n, B) and gamma of one image's (g~x, g~y, log s2, log d~, log gamma), entry by entry."""
    g_x, g_y = (width + 1) / 2 * (p[0] + 1), (height + 1) / 2 * (p[1] + 1)
    variance, gamma = p[2].exp(), p[4].exp()
    stride = (max(width, height) - 1) / (size - 1) * p[3].exp()

    def bank(centre: Tensor, pixels: int) -> Tensor:
        rows = []
        for i in range(1, size + 1):
            mu = centre + (i - size / 2 - 0.5) * stride
            row = torch.stack([torch.exp(-((a - mu) ** 2) / (2 * variance)) for a in range(1, pixels + 1)])
            rows.append(row / row.sum())
        return torch.stack(rows)

    return bank(g_x, width), bank(g_y, height), gamma


def textbook_read(x: Tensor, canvas: Tensor, p: Tensor, size: int) -> Tensor:
    """The glimpse (of x or x^, row, channel, column), flattened, of one image (C, H, W)."""
    f_x, f_y, gamma = textbook_filters(p, size, *x.shape[1:])
    pair = torch.stack([x, x - canvas.sigmoid()])
    return (gamma * (f_y @ pair @ f_x.t())).transpose(1, 2).flatten()


def textbook_write(p: Tensor, patch: Tensor, size: int, shape: tuple[int, int, int]) -> Tensor:
    """The increment (C, H, W) of the canvas; the patch is laid out (row, channel, column)."""
    f_x, f_y, gamma = textbook_filters(p, size, *shape[1:])
    w = patch.view(size, shape[0], size).transpose(0, 1)
    return f_y.t() @ w @ f_x / gamma


def textbook_lstm(weight: Tensor, bias: Tensor, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    i, f, o, candidate = (torch.cat([x, hidden], 1) @ weight.t() + bias).chunk(4, 1)
    cell = f.sigmoid() * cell + i.sigmoid() * candidate.tanh()
    return o.sigmoid() * cell.tanh(), cell


def textbook_increment(model: DRAW, h_dec: Tensor) -> Tensor:
    """write(h_dec), (N, C, H, W)."""
    asked = model.write_head(h_dec)
    if model.read_head is None:
        return images(asked.view(len(asked), model.shape[1], -1), model.shape)
    return torch.stack([textbook_write(row[:5], row[5:], 3, model.shape) for row in asked])


def textbook_terms(
    model: DRAW, x: Tensor, noise: Tensor, labels: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Negative log-likelihood, KL and log p(z) - log q(z | x), each (N,), by equations 9-14.

    Windows of 2 (read) and 3 (write) filters; the class of `labels` stands beside every z_t.
    """
    unit = torch.distributions.Normal(0.0, 1.0)
    asked = x.new_zeros(len(x), 0) if labels is None else one_hot(labels, model.classes).to(x.dtype)
    zeros = x.new_zeros(len(x), model.posterior.in_features)
    h_enc, c_enc, h_dec, c_dec = zeros, zeros, zeros, zeros
    canvas = images(model.first_canvas.expand(len(x), -1, -1), model.shape)
    kl = log_ratio = x.new_zeros(len(x))
    for epsilon in noise:
        if model.read_head is None:
            r = torch.cat([rows(x).flatten(1), rows(x - canvas.sigmoid()).flatten(1)], 1)
        else:
            windows = model.read_head(h_dec)
            r = torch.stack([textbook_read(*one, 2) for one in zip(x, canvas, windows, strict=True)])
        h_enc, c_enc = textbook_lstm(model.encoder.weight, model.encoder.bias, torch.cat([r, h_dec], 1), h_enc, c_enc)
        mean, log_std = model.posterior(h_enc).chunk(2, 1)
        law = torch.distributions.Normal(mean, log_std.exp())
        kl = kl + torch.distributions.kl_divergence(law, unit).sum(1)
        z = mean + log_std.exp() * epsilon
        log_ratio = log_ratio + (unit.log_prob(z) - law.log_prob(z)).sum(1)
        beside = torch.cat([z, asked], 1)
        h_dec, c_dec = textbook_lstm(model.decoder.weight, model.decoder.bias, beside, h_dec, c_dec)
        canvas = canvas + textbook_increment(model, h_dec)
    return binary_cross_entropy_with_logits(canvas, x, reduction="none").sum((1, 2, 3)), kl, log_ratio


# -- attention -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_filters_are_the_formulas_with_pixels_and_filters_from_1(shape: tuple[int, int, int]) -> None:
    _, height, width = shape
    p = 0.4 * torch.randn(3, 10, dtype=torch.float64)
    f_x, f_y = Windows(2, 5, height, width).double()(p)
    for k, row in enumerate(p):
        read_x, read_y, read_gamma = textbook_filters(row[:5], 2, height, width)
        write_x, write_y, write_gamma = textbook_filters(row[5:], 5, height, width)
        torch.testing.assert_close(f_x[k], torch.cat([read_x, write_x]))
        torch.testing.assert_close(f_y[k], torch.cat([read_gamma * read_y, write_y / write_gamma]))


def test_rows_sum_to_one_even_far_outside_of_the_image() -> None:
    p = torch.zeros(1, 10)
    p[0, [0, 1, 2, 5, 6, 7]] = torch.tensor([40.0, -40.0, -4.0, 40.0, -40.0, -4.0])
    f_x, f_y = Windows(2, 5, 28, 28)(p)
    torch.testing.assert_close(f_x.sum(2), torch.ones(1, 7))
    torch.testing.assert_close(f_y.sum(2), torch.ones(1, 7))
    assert f_x[0, :, 27].min() > 0.99 and f_y[0, :, 0].min() > 0.99


def test_the_first_window_is_wide_enough_to_see_the_digit() -> None:
    """The paper's 2 x 2 reader starts in the image's middle half with log_stride -1.5, not on the blank corners."""
    model = DRAW((1, 28, 28), read_size=2, write_size=5, log_stride=-1.5)
    f_x, _ = model.windows(torch.cat([model.read_head.bias, model.write_head.bias[:5]])[None])
    centres = (f_x[0, :2] * torch.arange(1, 29)).sum(1)
    assert centres.min() > 7 and centres.max() < 22
    with pytest.raises(ValueError, match="read_size 1"):
        DRAW((1, 12, 12), read_size=1)


# -- the recurrence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradients_are_the_textbook_loop_s(shape: tuple[int, int, int], attention: bool, classes: int) -> None:
    model, x = small(shape, classes, attention=attention), binary(4, shape)
    labels = torch.tensor([0, 2, 1, 2]) if classes else None
    noise = torch.randn(3, 4, 3, dtype=torch.float64)
    model.noise = lambda batch: noise  # type: ignore[method-assign]
    fast, (*plain, log_ratio) = model.terms(x, labels), textbook_terms(model, x, noise, labels)
    torch.testing.assert_close(fast, tuple(plain))
    torch.testing.assert_close(model.elbo(x, labels), -sum(plain))
    torch.testing.assert_close(model.log_weights(x, labels), log_ratio - plain[0])
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(sum(fast).mean(), parameters), torch.autograd.grad(sum(plain).mean(), parameters)
    )


def test_likelihood_is_binary_cross_entropy_and_gradients_are_the_finite_differences() -> None:
    gates, cell = torch.randn(2, 12, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(LSTMState.apply, (gates.requires_grad_(), cell.requires_grad_()))
    logits, grey = torch.linspace(-120, 120, 97, requires_grad=True), torch.rand(97)
    expected = binary_cross_entropy_with_logits(logits, grey, reduction="none")
    torch.testing.assert_close(BernoulliNLL.apply(logits, grey), expected)
    pair = logits.double(), grey.double()
    assert torch.autograd.gradcheck(lambda given: BernoulliNLL.apply(given, pair[1]), pair[:1])


@pytest.mark.parametrize("kind", [partial(DRAW, attention=False), DRAW, partial(DRAWGAN, kernels=4)])
@pytest.mark.parametrize("labels", [None, torch.tensor([2, 0, 1, 1])], ids=["unasked", "asked"])
def test_decoding_what_was_encoded_is_the_reconstruction(kind: type[DRAW], labels: Tensor | None) -> None:
    model, x = kind((3, 8, 12), 3, conditional=True, glimpses=3, hidden=8, latent=3), torch.rand(4, 3, 8, 12)
    codes = model.encode(x, labels)
    assert codes.shape == (4, 3, 3 + 3)
    torch.testing.assert_close(model.decode(codes), model.reconstruct(x, labels))


def test_prior_images_in_the_same_pass_are_those_of_decode_and_leave_the_others_alone() -> None:
    model, x = small(), binary(4, (1, 12, 12))
    noise, prior = torch.randn(3, 4, 3).double(), torch.randn(3, 6, 3).double()
    both, alone = model.unroll(x, noise, prior=prior), model.unroll(x, noise)
    torch.testing.assert_close(both.logits[:4], alone.logits)
    torch.testing.assert_close(both.mean, alone.mean)
    torch.testing.assert_close(both.logits[4:].sigmoid()[:, None], model.decode(prior.transpose(0, 1)))


# -- classes -------------------------------------------------------------------------------------------------------


def test_the_class_reaches_the_decoder_at_every_step_and_the_encoder_by_h_dec() -> None:
    """At the first step h_dec is zero: what the encoder sees differs from the second step on."""
    model, x = small((1, 12, 12), 3), binary(1, (1, 12, 12))
    noise = torch.zeros(3, 1, 3, dtype=torch.float64)
    one, other = (model.unroll(x, noise, torch.tensor([label])).mean[:, 0] for label in (0, 1))
    assert torch.equal(one[0], other[0])
    assert (one[1:] != other[1:]).any(1).all()
    z = model.with_class(noise.transpose(0, 1), torch.tensor([0]))
    for step in range(3):
        changed = z.clone()
        changed[:, step, 3:] = torch.tensor([0.0, 1.0, 0.0])
        differs = [(a != b).any().item() for a, b in zip(model.written(z), model.written(changed), strict=True)]
        assert differs == [t >= step for t in range(3)]


def test_unlabelled_images_get_the_classes_shares() -> None:
    model, x = small((1, 12, 12), 2), binary(3, (1, 12, 12))
    model.class_counts.copy_(torch.tensor([1.0, 3.0]))
    shares = torch.tensor([0.25, 0.75], dtype=torch.float64).expand(3, 3, 2)
    assert torch.equal(model.encode(x)[..., 3:], shares)


# -- more steps, and training --------------------------------------------------------------------------------------


def test_more_steps_continue_the_same_canvas() -> None:
    model = small()
    z = torch.randn(4, 5, 3, dtype=torch.float64)
    canvases = model.canvases(z)
    torch.testing.assert_close(canvases[:, :3], model.canvases(z[:, :3]))
    increments = canvases.logit().diff(dim=1)
    assert increments.abs().amax((0, 2, 3, 4)).min() > 1e-3


def test_the_gradient_norm_is_clipped() -> None:
    model, x = DRAW((1, 12, 12), glimpses=3, hidden=32, latent=3, clip_norm=0.5), torch.ones(8, 1, 12, 12)
    model.fit_batch(x)
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert norm.item() == pytest.approx(0.5, rel=1e-4)
