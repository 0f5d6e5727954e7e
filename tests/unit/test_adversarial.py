"""What adversarial models share: k updates of the discriminator, the rule of wrong images, the logit of a class."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.adversarial import AdversarialPair, non_saturating_loss, pick_logit
from pipeline.models.dcgan import DCGAN
from pipeline.models.gan import GAN
from pipeline.models.gan_conv import ConvolutionalGAN
from pipeline.models.gran import GRAN
from pipeline.models.kinds import Shape

SHAPE: Shape = (1, 28, 28)
CLASSES = 4
SMALL: dict[type[AdversarialPair], dict[str, Any]] = {
    DCGAN: {"width": 8},
    GAN: {},
    ConvolutionalGAN: {"width": 4, "hidden": 16},
    GRAN: {"kernels": (8, 4), "latent": 6, "time_steps": 2},
}

every_pair = pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)


def made(kind: type[AdversarialPair], **options: Any) -> AdversarialPair:
    torch.manual_seed(0)
    return kind(SHAPE, CLASSES if options.get("conditional") else 0, **SMALL[kind], **options)


# -- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "shape", "options", "said"),
    [
        *((DCGAN, (1, *sides), {}, f"{sides[0]}x{sides[1]}") for sides in ((30, 30), (28, 32), (7, 7), (96, 96))),
        (DCGAN, SHAPE, {"width": 9}, "from 9 channels"),
        *((ConvolutionalGAN, (1, *sides), {}, f"{sides[0]}x{sides[1]}.*at least 12.*divisible by 4")
          for sides in ((30, 28), (28, 30), (8, 8))),
        (GRAN, (1, 30, 30), {"kernels": (8, 4)}, r"30x30 images with kernels \[8, 4\]"),
        (GRAN, (1, 28, 32), {"kernels": (8, 4)}, r"28x32 images with kernels \[8, 4\]"),
        (GRAN, (3, 32, 32), {"kernels": (8, 6, 4, 4, 4, 4)}, r"32x32 images with kernels \[8, 6, 4, 4, 4, 4\]"),
        (GRAN, SHAPE, {"kernels": ()}, r"28x28 images with kernels \[\]"),
        (GRAN, SHAPE, {"kernels": (8, 0)}, r"28x28 images with kernels \[8, 0\]"),
    ],
)  # fmt: skip
def test_a_size_that_cannot_work_says_what_was_found(
    kind: type[AdversarialPair], shape: Shape, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        kind(shape, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [DCGAN, GAN, ConvolutionalGAN])
def test_the_discriminator_sees_images_from_minus_one_to_one(kind: type[AdversarialPair]) -> None:
    model, seen = made(kind).eval(), []
    model.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.discriminate(torch.stack([torch.zeros(SHAPE), torch.ones(SHAPE)]))
    assert torch.equal(seen[0], torch.stack([-torch.ones(SHAPE), torch.ones(SHAPE)]))


class Perceptron(AdversarialPair):
    """The smallest pair: one linear layer each, whose gradients can be written down."""

    def __init__(self, **options: Any) -> None:
        super().__init__((1, 2, 2))
        self.latent_shape = (3,)
        self.generator, self.discriminator = nn.Linear(3, 4), nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
        self.generator_optimiser = torch.optim.SGD(self.generator.parameters(), lr=0.5)
        self.discriminator_optimiser = torch.optim.SGD(self.discriminator.parameters(), lr=0.5)
        for name, value in options.items():
            setattr(self, name, value)

    def training_samples(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        return self.generator(torch.randn(n, 3, device=device)).view(n, 1, 2, 2)


def perceptron(**options: Any) -> Perceptron:
    torch.manual_seed(0)
    return Perceptron(**options)


# -- k updates -----------------------------------------------------------------------------------------------------


@every_pair
@pytest.mark.parametrize("k", [1, 3])
def test_the_discriminator_moves_k_times_and_the_generator_once(kind: type[AdversarialPair], k: int) -> None:
    model, moved = made(kind, discriminator_steps=k), []
    for name in ("discriminator", "generator"):
        optimiser = getattr(model, f"{name}_optimiser")
        optimiser.register_step_post_hook(lambda *_, name=name: moved.append(name))
    model.fit_batch(torch.rand(12, *SHAPE))
    assert moved == ["discriminator"] * k + ["generator"]


def test_each_update_sees_its_own_part_of_the_batch_once() -> None:
    model, seen = perceptron(discriminator_steps=3), []
    model.discriminator_loss = lambda real, fake: seen.append((real, fake)) or (real - fake).mean()
    real = torch.rand(7, 1, 2, 2)
    first = model.discriminate(real)[:3].detach()
    scalars = model.fit_batch(real)
    assert [len(logits) for logits, _ in seen] == [3, 2, 2]
    assert [len(logits) for _, logits in seen] == [3, 2, 2]
    torch.testing.assert_close(seen[0][0].detach(), first)
    losses = torch.stack([(real - fake).mean() for real, fake in seen])
    torch.testing.assert_close(scalars["d_loss"], losses.mean().detach())
    on_real = torch.cat([real for real, _ in seen])
    torch.testing.assert_close(scalars["d_accuracy_real"], (on_real > 0).float().mean())


def test_too_many_updates_for_the_batch_are_one_clear_line() -> None:
    model = perceptron(discriminator_steps=4)
    with pytest.raises(ValueError, match=r"discriminator_steps: found 4 for a batch of 7; expected at most half"):
        model.fit_batch(torch.rand(7, 1, 2, 2))
    model.fit_batch(torch.rand(8, 1, 2, 2))


# -- the update rule of Im et al. 2016 -------------------------------------------------------------------------------


def test_the_discriminator_learns_from_the_images_that_it_judges_wrongly_alone() -> None:
    model = perceptron(update_when_wrong=True)
    torch.manual_seed(1)
    real, fake = torch.randn(2, 9, 1, 2, 2)
    real_logits, fake_logits = model.tell_apart(real=real, fake=fake)
    layer = model.discriminator[1]
    found, found_bias = torch.autograd.grad(model.discriminator_loss(real_logits, fake_logits), [*layer.parameters()])
    wrong_real, wrong_fake = real_logits <= 0, fake_logits > 0
    assert 0 < wrong_real.sum() < 9
    assert 0 < wrong_fake.sum() < 9
    # d softplus(-l)/dl = sigma(l) - 1 and d softplus(l)/dl = sigma(l), l linear in the image
    slopes = torch.cat([(real_logits.sigmoid() - 1)[wrong_real], fake_logits.sigmoid()[wrong_fake]]) / 9
    images = torch.cat([real[wrong_real], fake[wrong_fake]]).flatten(1)
    torch.testing.assert_close(found, (slopes[:, None] * images).sum(0, keepdim=True))
    torch.testing.assert_close(found_bias, slopes.sum().view(1))


def test_the_generator_learns_from_the_fakes_that_are_judged_rightly_alone() -> None:
    logits = torch.tensor([-2.0, 3.0, -0.5, 0.1], requires_grad=True)
    torch.testing.assert_close(non_saturating_loss(logits), -logits.sigmoid().log().mean())
    loss = non_saturating_loss(logits, where=logits <= 0)
    (gradient,) = torch.autograd.grad(loss, logits)
    expected = (logits.sigmoid() - 1) / 4
    torch.testing.assert_close(gradient, torch.where(logits <= 0, expected, 0.0))


@pytest.mark.parametrize(("bias", "still"), [(-100.0, None), (100.0, "generator")])
def test_a_generator_that_fools_everywhere_stays_where_it_is(bias: float, still: str | None) -> None:
    model = perceptron(update_when_wrong=True)
    nn.init.constant_(model.discriminator[1].bias, bias)
    before = model.generator.weight.detach().clone()
    model.fit_batch(torch.rand(8, 1, 2, 2))
    assert torch.equal(before, model.generator.weight) == (still == "generator")


@every_pair
def test_the_rule_changes_what_is_learnt(kind: type[AdversarialPair]) -> None:
    weights = []
    for rule in (False, True):
        model = made(kind, update_when_wrong=rule)
        for _ in range(3):
            scalars = model.fit_batch(torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(2)))
        assert all(value.isfinite() for value in scalars.values())
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.discriminator.parameters()]))
    assert not torch.equal(*weights)


# -- classes ---------------------------------------------------------------------------------------------------------


@every_pair
def test_the_logit_of_a_class_is_the_shared_output_and_its_own(kind: type[AdversarialPair]) -> None:
    model = made(kind, conditional=True).eval()
    x, labels = torch.rand(6, *SHAPE), torch.tensor([0, 1, 2, 3, 3, 0])
    outputs: list[Tensor] = []
    model.discriminator.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    found = model.discriminate(x, labels)
    assert outputs[0].shape == (6, 1 + CLASSES)
    expected = torch.stack([row[0] + row[1 + label] for row, label in zip(outputs[0], labels, strict=True)])
    torch.testing.assert_close(found, expected)


@every_pair
def test_without_labels_the_odds_are_averaged_over_the_shares_of_the_classes(kind: type[AdversarialPair]) -> None:
    model = made(kind, conditional=True).eval()
    model.class_counts.copy_(torch.tensor([5.0, 0.0, 2.0, 1.0]))
    x = torch.rand(6, *SHAPE)
    each = torch.stack([model.discriminate(x, torch.full((6,), label)) for label in range(CLASSES)], dim=1)
    expected = (each.double().exp() * torch.tensor([5.0, 0.0, 2.0, 1.0]).double() / 8).sum(1).log()
    torch.testing.assert_close(model.discriminate(x).double(), expected, rtol=1e-4, atol=1e-5)


def test_an_absent_class_passes_no_gradient_that_is_not_finite() -> None:
    model = made(GAN, conditional=True)
    model.class_counts.copy_(torch.tensor([5.0, 0.0, 2.0, 1.0]))
    outputs = torch.randn(3, 1 + CLASSES, requires_grad=True)
    (gradient,) = torch.autograd.grad(pick_logit(model, outputs, None).sum(), outputs)
    assert gradient.isfinite().all()
    assert not gradient[:, 2].any()
    torch.testing.assert_close(gradient[:, 1:].sum(1), torch.ones(3))


@every_pair
@pytest.mark.parametrize("k", [1, 2])
def test_fakes_are_judged_as_the_classes_of_the_real_images(kind: type[AdversarialPair], k: int) -> None:
    model = made(kind, conditional=True, discriminator_steps=k)
    labels, asked = torch.tensor([0, 3, 1, 1, 2, 0, 3, 2]), []
    judge = model.discriminate
    model.discriminate = lambda x, labels=None: asked.append(labels.tolist()) or judge(x, labels)
    model.fit_batch(torch.rand(8, *SHAPE), labels)
    *on_parts, on_all = asked
    assert on_all == labels.tolist()
    expected = []
    for part in labels.tensor_split(k):
        half = len(part) // 2
        joint, apart = part[half:].tolist(), part[:half].tolist()
        expected += [joint + joint, apart, apart]
    assert on_parts == expected


def test_a_conditional_discriminator_learns_what_a_class_looks_like() -> None:
    """Class 0 is dark and class 1 bright; after training a dark image is more real as 0 than a bright one is."""
    model = made(GAN, conditional=True)
    torch.manual_seed(3)
    for _ in range(60):
        labels = torch.randint(2, (16,))
        model.fit_batch(0.8 * labels.view(-1, 1, 1, 1) + 0.2 * torch.rand(16, *SHAPE), labels)
    model.eval()
    of_class = [0.8 * label + 0.2 * torch.rand(8, *SHAPE) for label in (0, 1)]
    logits = [[model.discriminate(x, torch.full((8,), label)).mean() for label in (0, 1)] for x in of_class]
    assert logits[0][0] + logits[1][1] > logits[0][1] + logits[1][0]
