"""Feature extractors: the reference classifier and pixels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.features import classifier, pixels


def _striped(n: int, seed: int, *, side: int = 12, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Noisy images of one bright band: horizontal (label 0) or vertical (label 1)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (n, channels, side, side), generator=generator)
    labels = torch.randint(0, 2, (n,), generator=generator)
    at = torch.randint(1, side - 2, (n,), generator=generator)
    for image, label, first in zip(images, labels, at, strict=True):
        band = image[:, first : first + 2] if label == 0 else image[:, :, first : first + 2]
        band.fill_(220)
    return images.to(torch.uint8), labels


@pytest.fixture(scope="module")
def trained() -> classifier.DomainClassifier:
    return classifier.train_classifier(*_striped(400, 0), classes=2, steps=40, batch=32, learning_rate=3e-3, seed=1)


def test_classifier_learns(trained) -> None:
    assert classifier.accuracy(trained, *_striped(300, 9)) > 0.97


def test_same_seed_same_weights_and_the_global_generator_untouched() -> None:
    images, labels = _striped(64, 0)
    before = torch.get_rng_state()
    steps: list[tuple[int, float]] = []
    settings = {"classes": 2, "steps": 4, "batch": 16, "learning_rate": 1e-3}
    one = classifier.train_classifier(images, labels, **settings, seed=3, progress=lambda s, v: steps.append((s, v)))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    two = classifier.train_classifier(images, labels, **settings, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    other = classifier.train_classifier(images, labels, **settings, seed=4)
    assert not torch.equal(one.last.weight, other.last.weight)
    assert [step for step, _ in steps] == [4]


def test_features_have_a_unit_lead_to_the_probabilities_and_do_not_depend_on_the_batch(trained) -> None:
    images, _ = _striped(400, 0)
    features, probabilities = classifier.extract(trained, images)
    assert features.shape == (400, trained.feature_size)
    assert features.square().mean().item() == pytest.approx(1, rel=0.05)
    with torch.no_grad():
        logits = trained(images.float() / 255)
        torch.testing.assert_close(trained.last(features).softmax(1), probabilities, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits.softmax(1), probabilities, rtol=1e-4, atol=1e-5)
    for one, other in zip((features, probabilities), classifier.extract(trained, images, batch=7), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 64, 64), (3, 64, 48)])
def test_classifier_takes_every_shape_and_halves_large_images_first(shape: tuple[int, int, int]) -> None:
    model = classifier.DomainClassifier(shape, 5, width=8, feature_size=16)
    assert model(torch.rand(2, *shape)).shape == (2, 5)
    assert model.convolutions[0].stride == ((2, 2) if shape[1] == 64 else (1, 1))


def test_quarter_turns() -> None:
    images, _ = _striped(200, 3)
    turned, turns = classifier.quarter_turns(images, seed=1)
    assert set(turns.tolist()) == {0, 1, 2, 3}
    for image, found, quarter in zip(images, turned, turns.tolist(), strict=True):
        assert torch.equal(found.rot90(-quarter, dims=(1, 2)), image)
    with pytest.raises(ValueError, match="square"):
        classifier.quarter_turns(torch.zeros(1, 1, 4, 5, dtype=torch.uint8))


def test_pixels_are_in_0_1() -> None:
    images = torch.tensor([[[[0, 255], [51, 102]]]], dtype=torch.uint8)
    assert pixels.flatten(images).tolist() == [pytest.approx([0, 1, 0.2, 0.4])]


def test_principal_components_find_the_directions_of_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (300, 1, 4, 4), generator=generator, dtype=torch.uint8)
    images[:, :, 2:] //= 8
    components = pixels.PrincipalComponents.fit(images, components=8, chunk=77)
    gram = components.directions.T @ components.directions
    torch.testing.assert_close(gram, torch.eye(8), rtol=0, atol=1e-5)
    projected = components.project(images, chunk=50)
    centred = pixels.flatten(images) - pixels.flatten(images).mean(0)
    variances = torch.linalg.svdvals(centred.double()).square()[:8] / 300
    torch.testing.assert_close(projected[:, :8].double().var(0, correction=0), variances, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(projected.norm(dim=1), centred.norm(dim=1), msg="nothing of an image's length is lost")
    assert (components.directions.gather(0, components.directions.abs().argmax(0, keepdim=True)) > 0).all()


def test_what_the_components_do_not_see_is_not_the_mean_image() -> None:
    generator = torch.Generator().manual_seed(0)
    faces = torch.randint(64, 192, (200, 1, 1, 1), generator=generator).expand(-1, 1, 40, 40).to(torch.uint8)
    faces = faces + torch.randint(0, 20, faces.shape, generator=generator, dtype=torch.uint8)
    noise = torch.randint(0, 256, faces.shape, generator=generator, dtype=torch.uint8)
    components = pixels.PrincipalComponents.fit(faces[:100], components=4)
    seen, held_out, far = (components.project(part) for part in (faces[:100], faces[100:], noise))
    assert torch.cdist(far, seen).amin(1).min() > torch.cdist(held_out, seen).amin(1).max()
    inside = [torch.cdist(a, seen) for a in (held_out, far)]
    whole = [torch.cdist(pixels.flatten(a), pixels.flatten(faces[:100])) for a in (faces[100:], noise)]
    assert all((a <= b + 1e-3).all() for a, b in zip(inside, whole, strict=True)), "never farther than in pixels"


def test_components_of_large_images_come_from_their_inner_products(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images *= (torch.arange(8) < 4).to(torch.uint8)  # half of the pixels are always 0
    wanted = pixels.PrincipalComponents.fit(images, components=6)
    monkeypatch.setattr(pixels, "LARGEST_COVARIANCE", 63)
    found = pixels.PrincipalComponents.fit(images, components=6)
    torch.testing.assert_close(found.directions, wanted.directions, rtol=1e-3, atol=1e-4)
    few = pixels.PrincipalComponents.fit(images[:5], components=6)
    assert few.directions.shape == (64, 4), "five images lie in four dimensions"
    far, near = torch.pdist(few.project(images[:5])), torch.pdist(pixels.flatten(images[:5]))
    torch.testing.assert_close(far, near, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(pixels, "SAMPLED", 20)
    assert torch.equal(*(pixels.PrincipalComponents.fit(images, components=6).directions for _ in range(2)))
