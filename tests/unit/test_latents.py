"""Ways through latents: where they begin and end, that they stay where the prior is, and that nothing else moves."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from pipeline.models.base import ImageGenerator
from pipeline.training import latents
from pipeline.workflow import job_hash
from tests import small_models

ENCODERS = [name for name in small_models.ONE_OF_EACH_CLASS if "encode" in job_hash.methods_of(
    f"pipeline.models.{small_models.block_of(name)['class']}")]  # fmt: skip


class Echo(ImageGenerator):
    """A model whose image is its latent: (1, T, z + classes)."""

    def __init__(self, latent_shape: tuple[int, ...], law: str = "normal", classes: int = 0) -> None:
        super().__init__((1, 1, 1), classes)
        self.latent_shape = latent_shape
        self.latent_law = law  # type: ignore[misc, assignment]
        self.scale = torch.nn.Parameter(torch.ones(()))

    def decode(self, z: Tensor) -> Tensor:
        return self.scale * z.reshape(len(z), 1, -1, z.shape[-1])


@pytest.mark.parametrize("name", ENCODERS)
def test_blends_lead_from_one_images_reconstruction_to_the_others(name: str) -> None:
    model = small_models.small(name).eval()
    pairs = small_models.real_batch(name, 4).view(2, 2, 1, 28, 28)
    blended = latents.blends(model, pairs, [0.0, 0.3, 1.0])
    assert blended.shape == (2, 3, 1, 28, 28)
    with torch.inference_mode():
        first, second = model.encode(pairs[:, 0]), model.encode(pairs[:, 1])  # type: ignore[operator]
        expected = [model.decode((1 - p) * first + p * second) for p in (0.0, 0.3, 1.0)]
        reconstructed = model.reconstruct(pairs[:, 0])  # type: ignore[operator]
    torch.testing.assert_close(blended, torch.stack(expected, 1))
    torch.testing.assert_close(blended[:, 0], reconstructed)


def test_a_conditional_models_blend_begins_with_its_own_class() -> None:
    name = next(name for name in small_models.CONDITIONAL if small_models.block_of(name)["class"] == "vae")
    model = small_models.small(name).eval()
    pairs, labels = small_models.real_batch(name, 4).view(2, 2, 1, 28, 28), torch.tensor([[1, 7], [3, 3]])
    blended = latents.blends(model, pairs, [0.0, 0.5, 1.0], labels)
    with torch.inference_mode():
        ends = [model.reconstruct(pairs[:, k], labels[:, k]) for k in (0, 1)]  # type: ignore[operator]
    torch.testing.assert_close(blended[:, 0], ends[0])
    torch.testing.assert_close(blended[:, 2], ends[1])
    untold = latents.blends(model, pairs, [0.0])
    assert not torch.allclose(untold[:, 0], ends[0]), "the class counts"


def test_a_walk_moves_one_element_and_nothing_else() -> None:
    model = Echo((5,), classes=3)
    z = model.draw_latents(2, seed=0, label=1)
    places = latents.positions(model, 7)
    shown = latents.walks(model, z, [4, 0], places).squeeze(3).squeeze(2)
    assert shown.shape == (2, 7, 8)
    for k, element in enumerate((4, 0)):
        torch.testing.assert_close(shown[k, :, element], places)
        others = [i for i in range(8) if i != element]
        torch.testing.assert_close(shown[k][:, others], z[k, others].expand(7, -1))


def test_a_walk_moves_the_element_of_every_step() -> None:
    model = Echo((4, 2))
    z = model.draw_latents(1, seed=0)
    shown = latents.walks(model, z, [1], torch.tensor([-1.0, 2.0]))[0, :, 0]
    torch.testing.assert_close(shown[..., 0], z[0, :, 0].expand(2, -1))
    torch.testing.assert_close(shown[..., 1], torch.tensor([-1.0, 2.0])[:, None].expand(-1, 4))


@pytest.mark.parametrize(("law", "end"), [("normal", 3.0), ("uniform", 1.0)])
def test_positions_span_what_the_prior_draws(law: str, end: float) -> None:
    places = latents.positions(Echo((2,), law), 11)
    assert places[0] == -end and places[-1] == end and places[5] == 0
    torch.testing.assert_close(places.diff(), torch.full((10,), end / 5))


def weighted(weights: Tensor) -> tuple[Echo, list[Tensor]]:
    """A model whose elements change the image by their weights, and a list of the latents that it is given."""
    model, tried = Echo((len(weights),)), []
    model.decode = lambda z: (tried.append(z), (z * weights)[:, None, None])[1]  # type: ignore[method-assign]
    return model, tried


def test_the_strongest_elements_are_those_that_change_most_of_very_many_of_those_that_are_tried() -> None:
    model, _ = weighted(torch.tensor([0.1, 5.0, 0.0, 2.0]))
    assert latents.strongest(model, model.draw_latents(3, 0), 3) == [1, 3, 0]
    assert latents.strongest(model, model.draw_latents(3, 0), 9) == [1, 3, 0, 2]
    model, tried = weighted(torch.arange(1000.0))
    assert latents.strongest(model, model.draw_latents(2, 0), 3) == [992, 984, 976]
    assert len(tried) == 125 <= latents.TRIED_ELEMENTS


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_a_circle_begins_and_ends_where_it_began(law: str) -> None:
    model = Echo((200,), law, classes=2)
    a, b = model.draw_latents(3, 0, label=1), model.draw_latents(3, 1, label=0)
    shown = latents.circle(model, a, b, 24).flatten(2)
    torch.testing.assert_close(shown[:, 0], a)
    middle = shown[:, 12, :200]
    torch.testing.assert_close(middle, -a[:, :200] if law == "normal" else b[:, :200])
    assert (shown[..., 200:] == a[:, None, 200:]).all(), "the class stays"
    steps = [(x - y).norm(dim=-1).max() for x, y in itertools.pairwise([*shown.unbind(1), shown[:, 0]])]
    assert max(steps) <= 1.7 * 2 * math.pi / 24 * a.norm(dim=-1).max(), "it closes without a leap"
    if law == "normal":  # every point is as probable as a draw: its length is a draw's, not shorter between two
        assert (shown[..., :200].norm(dim=-1) / math.sqrt(200) - 1).abs().max() < 0.25
    else:
        assert shown[..., :200].abs().max() <= 1


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_the_plane_stands_at_equal_shares_of_the_prior(law: str) -> None:
    model = Echo((2,), law)
    grid = latents.plane(model, 4).view(4, 4, 2)
    share = 0.5 + 0.5 * torch.erf(grid / math.sqrt(2)) if law == "normal" else 0.5 + grid / 2
    expected = torch.tensor([0.125, 0.375, 0.625, 0.875])
    torch.testing.assert_close(share[0, :, 0], expected)
    torch.testing.assert_close(share[:, 0, 1], expected.flip(0))
    with pytest.raises(ValueError, match=r"\(2,\), found \(3,\)"):
        latents.plane(Echo((3,)), 4)


def test_many_latents_are_decoded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents, "BATCH", 3)
    model = Echo((2,))
    z = model.draw_latents(8, 0)
    torch.testing.assert_close(latents.decode(model, z).flatten(1), z)
