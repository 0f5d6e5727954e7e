"""What every class of models keeps, conditional or not; a new one is tested once params.yaml names it."""

from __future__ import annotations

import copy
import functools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator, optimisers
from pipeline.models.kinds import Shape
from pipeline.training.device import build
from pipeline.training.sampling import quantise, sample, sample_canvases
from tests import small_models
from tests.small_models import CLASSES, CONDITIONAL, ONE_OF_EACH_CLASS, class_of, fed, small, small_arguments

SHAPES: list[Shape] = [(1, 28, 28), (3, 32, 32)]
BATCH = 12
STEPS = 7
"""Past a small model's warm-up, in which a network may stand still."""

EVERY = [*small_models.NAMES, *CONDITIONAL]
PAIRS = [(name, shape) for shape in SHAPES for name in (EVERY if shape == SHAPES[0] else ONE_OF_EACH_CLASS)]

every_model = pytest.mark.parametrize("name", EVERY)
every_class = pytest.mark.parametrize("name", ONE_OF_EACH_CLASS)
every_pair = pytest.mark.parametrize(("name", "shape"), PAIRS, ids=str)


def pairs_with(ability: str) -> pytest.MarkDecorator:
    """The pairs whose class has a method."""
    able = [(name, shape) for name, shape in PAIRS if hasattr(class_of(name), ability)]
    return pytest.mark.parametrize(("name", "shape"), able, ids=str)


def built(name: str, *, classes: int = CLASSES, **arguments: float) -> ImageGenerator:
    """A small model of which some arguments are others."""
    kind, arguments = small_models.block_of(name)["class"], small_arguments(name) | arguments
    return build(kind, arguments, SHAPES[0], seed=0, device="cpu", classes=classes).train()


class Training(NamedTuple):
    """What a few steps on one batch left."""

    model: ImageGenerator
    before: dict[str, Tensor]
    rows: list[dict[str, Tensor]]
    gradients: list[dict[str, Tensor | None]]
    """Of every parameter at every step, as its optimiser sees it; None where no optimiser holds it."""


@functools.cache
def training(name: str, shape: Shape) -> Training:
    model = small(name, shape).train()
    names = {parameter: name for name, parameter in model.named_parameters()}
    done = Training(model, {key: value.detach().clone() for key, value in model.named_parameters()}, [], [])

    def look(optimiser: torch.optim.Optimizer, *_: object) -> None:
        for parameter in (parameter for group in optimiser.param_groups for parameter in group["params"]):
            done.gradients[-1][names[parameter]] = None if parameter.grad is None else parameter.grad.clone()

    hooks = [optimiser.register_step_pre_hook(look) for optimiser in optimisers(model).values()]
    torch.manual_seed(1)
    for _ in range(STEPS):
        done.gradients.append(dict.fromkeys(names.values()))
        done.rows.append(model.fit_batch(*fed(name, BATCH, shape)))
    for hook in hooks:
        hook.remove()
    return done


def trained(name: str, shape: Shape) -> ImageGenerator:
    """A small model after a few steps, in evaluation mode: weights and statistics have left their first values."""
    return copy.deepcopy(training(name, shape).model).eval()


# -- training ------------------------------------------------------------------------------------------------------


@every_pair
def test_fit_batch_returns_finite_detached_scalars_of_the_same_names(name: str, shape: Shape) -> None:
    model, _, rows, _ = training(name, shape)
    for row in rows:
        assert list(row) == list(rows[0])
        for term, value in row.items():
            assert value.shape == () and not value.requires_grad and value.isfinite(), term
    if hasattr(model, "discriminate"):
        assert {"d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake"} <= set(rows[0])
        assert all(0 <= rows[0][f"d_accuracy_{kind}"] <= 1 for kind in ("real", "fake"))


@every_pair
def test_a_finite_gradient_that_is_not_zero_reaches_every_parameter(name: str, shape: Shape) -> None:
    gradients = training(name, shape).gradients
    for step in (1, STEPS):
        for parameter, gradient in gradients[step - 1].items():
            assert gradient is not None, f"no gradient at step {step}: {parameter}"
            assert gradient.isfinite().all(), f"gradient not finite at step {step}: {parameter}"
            assert gradient.any(), f"gradient of zero at step {step}: {parameter}"


@every_pair
def test_every_parameter_of_every_network_moves(name: str, shape: Shape) -> None:
    model, before, *_ = training(name, shape)
    still = [key for key, value in model.named_parameters() if torch.equal(value, before[key])]
    assert not still


@every_model
def test_a_step_depends_on_state_batch_and_the_global_generator_alone(name: str) -> None:
    def after_a_step(noise: int) -> tuple[dict[str, Tensor], bool]:
        model = small(name).train()
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        model.fit_batch(*fed(name, BATCH))
        return model.state_dict(), not torch.equal(before, torch.get_rng_state())

    (weights, drew), (again, _), (other, _) = after_a_step(3), after_a_step(3), after_a_step(4)
    assert all(torch.equal(weights[key], again[key]) for key in weights)
    assert drew == any(not torch.equal(weights[key], other[key]) for key in weights)


@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH_CLASS if not hasattr(class_of(name), "discriminate")])
def test_one_batch_is_overfitted(name: str) -> None:
    """At a high rate the loss falls by a quarter; the losses of adversaries need not fall."""
    model = built(name, learning_rate=1e-2)
    torch.manual_seed(1)
    losses: list[Tensor] = []
    while len(losses) < 60 and not has_fallen(losses):
        row = model.fit_batch(*fed(name, BATCH))
        losses.append(row.get("reconstruction", row.get("loss")))
    assert has_fallen(losses)


def has_fallen(losses: list[Tensor]) -> bool:
    """Whether the last five losses lie clearly below the first five."""
    return len(losses) > 10 and bool(sum(losses[-5:]) < 0.75 * sum(losses[:5]))


@every_class
def test_networks_hold_every_parameter_and_their_counts_add_up(name: str) -> None:
    model = small(name)
    networks, counts = model.networks(), model.parameter_counts()
    assert set(counts) == {*networks, "total"}
    assert counts["total"] == sum(parameter.numel() for parameter in model.parameters())
    own = set(model.parameters())
    parts = {name: {p for module in modules for p in module.parameters()} for name, modules in networks.items()}
    for network, held in parts.items():
        assert held <= own
        assert counts[network] == sum(parameter.numel() for parameter in held) > 0
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())), "networks are apart"
    assert "generator" in networks
    assert ("discriminator" in networks) == hasattr(model, "discriminate")
    groups = [optimiser.param_groups for optimiser in optimisers(model).values()]
    optimised = [{p for group in each for p in group["params"]} for each in groups]
    assert sum(map(len, optimised)) == len(own) and set().union(*optimised) == own, "each parameter has one optimiser"
    assert not hasattr(model, "discriminate") or parts["discriminator"] in optimised


# -- images --------------------------------------------------------------------------------------------------------


@every_pair
def test_images_and_canvases(name: str, shape: Shape) -> None:
    model = trained(name, shape)
    z = model.draw_latents(5, seed=0)
    with torch.inference_mode():
        images, canvases = model.decode(z), model.canvases(z)
        assert torch.equal(images, model.decode(z))
    assert images.shape == (5, *shape) and images.dtype == torch.float32 and images.std() > 0
    assert canvases.shape == (5, canvases.shape[1], *shape)
    assert canvases.min() >= 0 and canvases.max() <= 1
    assert torch.equal(canvases[:, -1], images)


@every_pair
def test_a_sample_depends_neither_on_n_nor_on_its_batch(name: str, shape: Shape) -> None:
    model = trained(name, shape)
    few, many = sample(model, 3, seed=5, batch=4), sample(model, 7, seed=5, batch=4)
    assert few.dtype == torch.uint8 and few.shape == (3, *shape)
    assert torch.equal(few, many[:3])
    # Another batch changes the order of additions, so an image may round the other way: by one of 255 levels.
    other = sample(model, 7, seed=5, batch=3)
    assert (other.int() - many.int()).abs().max() <= 1
    with torch.inference_mode():  # before they are rounded: an untrained model's differ little
        one, another = (model.decode(model.draw_latents(3, seed=seed)) for seed in (5, 6))
    assert not torch.equal(one, another)
    assert (quantise(one).int() - few.int()).abs().max() <= 1
    canvases = sample_canvases(model, 3, seed=5)
    assert (canvases[:, -1].int() - few.int()).abs().max() <= 1


@every_pair
def test_latents_belong_to_one_sample_each(name: str, shape: Shape) -> None:
    model = small(name, shape)
    z = model.draw_latents(9, seed=3)
    assert z.shape == (9, *model.latent_shape[:-1], model.latent_shape[-1] + model.classes)
    assert z.dtype == torch.float32
    assert torch.equal(z, model.draw_latents(9, seed=3))
    assert torch.equal(z[:4], model.draw_latents(4, seed=3))
    assert torch.equal(z[4:], model.draw_latents(5, seed=3, first=4))
    assert not torch.equal(z, model.draw_latents(9, seed=4))
    assert len(z.flatten(1).unique(dim=0)) == 9
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert torch.equal(z, model.draw_latents(9, seed=3))


@every_class
def test_latents_follow_the_law_that_the_model_declares(name: str) -> None:
    model = small(name)
    z = model.draw_latents(2000, seed=0).double()[..., : model.latent_shape[-1]]
    variance, fourth_moment = {"normal": (1.0, 3.0), "uniform": (1 / 3, 1 / 5)}[model.latent_law]
    tolerance = 5 * (fourth_moment - variance**2) ** 0.5 / z.numel() ** 0.5  # five standard errors
    assert z.mean().abs() < 5 * (variance / z.numel()) ** 0.5
    assert (z.square().mean() - variance).abs() < tolerance
    assert model.latent_law == "normal" or z.abs().max() <= 1


@pytest.mark.parametrize("name", CONDITIONAL)
def test_classes_are_drawn_as_often_as_the_training_split_has_them(name: str) -> None:
    model = small(name)
    model.class_counts.copy_(torch.tensor([7.0, 0.0, 1.0, 2.0, *[0.0] * 6]))
    z = model.draw_latents(4000, seed=0)
    one_hot = z[..., model.latent_shape[-1] :].reshape(4000, -1, model.classes)
    assert (one_hot == one_hot[:, :1]).all(), "one class for all steps of a sample"
    shares = one_hot[:, 0].mean(0)
    assert (shares - model.class_counts / 10).abs().max() < 5 * (0.25 / 4000) ** 0.5
    assert (shares[model.class_counts == 0] == 0).all()


# -- judging, bounds, reconstructions --------------------------------------------------------------------------------


@pairs_with("discriminate")
def test_the_discriminator_gives_one_logit_per_image(name: str, shape: Shape) -> None:
    model = trained(name, shape)
    real = small_models.real_batch(name, BATCH, shape)
    with torch.inference_mode():
        logits = model.discriminate(real)
        assert torch.equal(logits, model.discriminate(real))
        alone = torch.cat([model.discriminate(image) for image in real.split(1)])
    assert logits.shape == (BATCH,) and logits.isfinite().all() and logits.std() > 0
    torch.testing.assert_close(alone, logits)
    assert isinstance(model.discriminator, torch.nn.Module)


@pairs_with("elbo")
def test_the_bound_is_one_negative_number_of_nats_per_image(name: str, shape: Shape) -> None:
    model = trained(name, shape)
    with torch.no_grad():
        real, *labels = fed(name, BATCH, shape)
        bound = model.elbo(real.round(), *labels)
    assert bound.shape == (BATCH,) and bound.isfinite().all()
    assert bound.max() < 0  # log-likelihoods of discrete pixels


@pairs_with("reconstruct")
def test_reconstructions_are_images_that_depend_on_the_image(name: str, shape: Shape) -> None:
    model = trained(name, shape)
    with torch.no_grad():
        found = model.reconstruct(*fed(name, BATCH, shape))
    assert found.shape == (BATCH, *shape)
    assert found.min() >= 0 and found.max() <= 1
    assert (found[0] != found[1]).any()


# -- classes that can be asked for -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONDITIONAL)
def test_the_class_that_is_asked_for_changes_the_image_and_not_the_noise(name: str) -> None:
    model = trained(name, SHAPES[0])
    z, of_3, of_4 = (model.draw_latents(6, seed=2, label=label) for label in (None, 3, 4))
    noise, third = model.latent_shape[-1], torch.nn.functional.one_hot(torch.tensor(3), model.classes)
    assert torch.equal(z[..., :noise], of_3[..., :noise]) and torch.equal(z[..., :noise], of_4[..., :noise])
    assert (of_3[..., noise:] == third).all()
    with torch.inference_mode():
        images = model.decode(of_3), model.decode(of_4)
    assert all((one != other).any() for one, other in zip(*images, strict=True))


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_conditional_model_of_no_classes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"conditional: .*classes"):
        built(name, classes=0)


# -- larger images, and the rates of learning ------------------------------------------------------------------------


@every_class
@pytest.mark.parametrize(
    "shape", [(1, 12, 20), (3, 64, 64), pytest.param((3, 128, 128), marks=pytest.mark.workflow)], ids=str
)
def test_images_of_other_sizes_work_or_are_refused_before_training(name: str, shape: Shape) -> None:
    try:
        model = small(name, shape).train()
    except ValueError as refusal:
        assert f"{shape[1]}x{shape[2]}" in str(refusal), f"does not say what was found: {refusal}"
        return
    torch.manual_seed(1)
    assert all(value.isfinite() for value in model.fit_batch(*fed(name, 4, shape)).values())
    with torch.inference_mode():
        z = model.eval().draw_latents(2, seed=0)
        drawn = model.decode(z)
        assert torch.equal(model.canvases(z)[:, -1], drawn)
        assert not hasattr(model, "discriminate") or model.discriminate(drawn).shape == (2,)
    assert drawn.shape == (2, *shape)
    assert drawn.min() >= 0 and drawn.max() <= 1


RATES = [
    (name, argument)
    for name in ONE_OF_EACH_CLASS
    for argument in small_arguments(name)
    if "rate" in argument and isinstance(small_arguments(name)[argument], float)
]


@functools.cache
def moved(name: str, slowed: str = "") -> float:
    """How far the weights move in a few steps, one rate a thousandth of what it is."""
    model = built(name, **({slowed: 1e-3 * small_arguments(name)[slowed]} if slowed else {}))
    before = [value.detach().clone() for value in model.parameters()]
    torch.manual_seed(1)
    for _ in range(STEPS):
        model.fit_batch(*fed(name, 4))
    return sum(float((now.detach() - was).norm()) for now, was in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize(("name", "rate"), RATES)
def test_a_learning_rate_is_how_far_the_weights_move(name: str, rate: str) -> None:
    assert moved(name, rate) < moved(name)
