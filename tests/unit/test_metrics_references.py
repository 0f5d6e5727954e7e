"""Agreement with the public tools on the same features: to 1e-5 relative, the classifiers exactly."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch

from pipeline.metrics import distances, frechet, kid, naive_bayes, neighbours, prdc

pytestmark = pytest.mark.usefixtures("whole_torch")

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def features() -> tuple[torch.Tensor, torch.Tensor]:
    """Rectified and correlated like a penultimate layer's: real (900, 32) and fake (900, 32)."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(32, 32, generator=generator) / 5
    real, fake = (torch.randn(900, 32, generator=generator) for _ in range(2))
    return (real @ mixing).relu(), (fake @ mixing * 0.9 + 0.05).relu()


def test_frechet_is_torch_fidelitys(features) -> None:
    reference = pytest.importorskip("torch_fidelity.metric_fid")
    real, fake = features
    stats = [reference.fid_features_to_statistics(x.double()) for x in (fake, real)]
    truth = reference.fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert frechet.frechet_distance(real=real, fake=fake) == pytest.approx(truth, rel=RELATIVE)


def test_kid_is_torch_fidelitys_with_one_full_subset(features) -> None:
    reference = pytest.importorskip("torch_fidelity.metric_kid")
    real, fake = (x.double() for x in features)
    found = reference.kid_features_to_metric(
        fake, real, kid_subsets=1, kid_subset_size=900, verbose=False, rng_seed=0, kid_kernel="poly",
        kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1,
    )  # fmt: skip
    truth = found["kernel_inception_distance_mean"]
    assert kid.kid(real=real, fake=fake) == pytest.approx(truth, rel=RELATIVE)


@pytest.mark.parametrize("k", [1, 5])
def test_prdc_is_that_of_prdc(features, k: int) -> None:
    reference = pytest.importorskip("prdc")
    real, fake = (x.double() for x in features)
    real = real[:700]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = reference.compute_prdc(real_features=real.numpy(), fake_features=fake.numpy(), nearest_k=k)
    assert prdc.prdc(real=real, fake=fake, k=k) == pytest.approx(truth, rel=RELATIVE)


def judged(features, constant_pixels: bool = False) -> tuple[torch.Tensor, ...]:
    """Half of the points of both kinds, whether each is generated, and the other half."""
    points = torch.cat(features).double()
    if constant_pixels:
        points[:, :4] = 0
        points[:900, 4] = 0
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(1))
    points, generated = points[order], order >= 900
    return points[:900], generated[:900], points[900:]


def test_knn_is_scikit_learns(features) -> None:
    sklearn = pytest.importorskip("sklearn.neighbors")
    train, generated, test = judged(features)
    judge = sklearn.KNeighborsClassifier(5, algorithm="brute").fit(train.float().numpy(), generated.numpy())
    verdict = neighbours.knn_verdict(train.float(), generated, test.float())
    assert np.array_equal(verdict.numpy(), judge.predict(test.float().numpy()))


def test_nearest_pixels_are_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.neighbors")
    generator = torch.Generator().manual_seed(2)
    x, y = (torch.randint(0, 256, (n, 784), generator=generator) for n in (300, 200))
    lengths, truth = sklearn.NearestNeighbors(n_neighbors=5, algorithm="brute").fit(x.numpy()).kneighbors(y.numpy())
    base, queries = distances.prepare(x.float() / 255, y.float() / 255)
    squares, indices = distances.nearest(queries, base, 5)
    assert np.array_equal(indices.numpy(), truth)
    assert np.allclose(squares.double().sqrt().numpy(), lengths, rtol=1e-12)


@pytest.mark.parametrize("constant_pixels", [False, True])
def test_bayes_is_scikit_learns(features, constant_pixels: bool) -> None:
    sklearn = pytest.importorskip("sklearn.naive_bayes")
    train, generated, test = judged(features, constant_pixels)
    judge = sklearn.GaussianNB().fit(train.numpy(), generated.numpy())
    verdict = naive_bayes.naive_bayes_verdicts(train, generated, test, torch.ones(1, 900, dtype=torch.bool))[0]
    assert np.array_equal(verdict.numpy(), judge.predict(test.numpy()))
