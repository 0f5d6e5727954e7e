"""What the children of `bench.metrics` and `bench.cost` do: our metrics and the public tools', on the same points.

Each tool is imported before its memory is measured. Functions `ours_*` and `by_*` take real and generated points
(n, d) float32 and give back work that computes the same quantities under the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from bench import pictures

Values = dict[str, float]
Work = Callable[[], Values]

LATENT = 64
"""Dimensions that made-up features are mixed from: theirs are correlated, as a network's are."""
CLASSES = 10


def features(n: int, d: int, seed: int) -> Tensor:
    """Rectified, correlated points (n, d) float32; another seed is another draw, slightly shifted."""
    mixing = torch.randn(LATENT, d, generator=torch.Generator().manual_seed(0)) / LATENT**0.5
    generator = torch.Generator().manual_seed(1000 + seed)
    points = torch.randn(n, LATENT, generator=generator) @ mixing
    points.add_(torch.randn(n, d, generator=generator), alpha=0.3)
    return points.add_(0.02 * seed).relu_()


def pixels(n: int, d: int, seed: int) -> Tensor:
    """Images of 28x28 as points (n, 784) in [0, 1] of 8 bits."""
    assert d == 784
    return pictures.made_up(n, (1, 28, 28), seed).flatten(1).float() / 255


SPACES: dict[str, Callable[[int, int, int], Tensor]] = {"features": features, "pixels": pixels}


def prepared(by: str, space: str, n: int, d: int) -> Work:
    """The work of one function of this module on n real and n generated points."""
    function: Callable[..., Work] = globals()[by]
    return function(SPACES[space](n, d, 0), SPACES[space](n, d, 1))


# --- Frechet distance -------------------------------------------------------------------------------------------------


def ours_frechet(real: Tensor, fake: Tensor) -> Work:
    from pipeline.metrics.frechet import frechet_distance

    return lambda: {"frechet": frechet_distance(real=real, fake=fake)}


def by_torch_fidelity_frechet(real: Tensor, fake: Tensor) -> Work:
    tool = import_module("torch_fidelity.metric_fid")

    def work() -> Values:
        stats = [tool.fid_features_to_statistics(x) for x in (fake, real)]
        found = tool.fid_statistics_to_metric(*stats, verbose=False)
        return {"frechet": float(found["frechet_inception_distance"])}

    return work


class Identity(nn.Module):
    """Takes points for features, as torchmetrics wants a network."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.num_features = d

    def forward(self, x: Tensor) -> Tensor:
        return x


def by_torchmetrics_frechet(real: Tensor, fake: Tensor) -> Work:
    tool = import_module("torchmetrics.image.fid")
    return partial(_torchmetrics, tool.FrechetInceptionDistance, {}, real, fake, "frechet")


def _torchmetrics(kind: Any, options: dict[str, Any], real: Tensor, fake: Tensor, name: str) -> Values:
    metric = kind(feature=Identity(real.shape[1]), **options)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    found = metric.compute()
    return {name: float(found[0] if isinstance(found, tuple) else found)}


# --- kernels ----------------------------------------------------------------------------------------------------------


def ours_kid(real: Tensor, fake: Tensor) -> Work:
    from pipeline.metrics.kid import kid

    return lambda: {"kid": kid(real=real, fake=fake)}


def by_torch_fidelity_kid(real: Tensor, fake: Tensor) -> Work:
    tool = import_module("torch_fidelity.metric_kid")
    options = {
        "kid_subsets": 100, "kid_subset_size": min(1000, len(real)), "verbose": False, "rng_seed": 0,
        "kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1,
    }  # fmt: skip
    return lambda: {"kid": float(tool.kid_features_to_metric(fake, real, **options)["kernel_inception_distance_mean"])}


def by_torchmetrics_kid(real: Tensor, fake: Tensor) -> Work:
    tool = import_module("torchmetrics.image.kid")
    options = {"subsets": 100, "subset_size": min(1000, len(real))}
    return partial(_torchmetrics, tool.KernelInceptionDistance, options, real, fake, "kid")


def ours_mmd(real: Tensor, fake: Tensor) -> Work:
    from pipeline.metrics.mmd import mmd_rbf

    return lambda: {"mmd": mmd_rbf(real=real, fake=fake)}


def by_scikit_learn_mmd(real: Tensor, fake: Tensor) -> Work:
    """The same mixture of five kernels; the median distance is a given, which ours computes each time."""
    import numpy as np

    from pipeline.metrics.mmd import KERNELS, LARGEST_MULTIPLE, median_distance

    tool = import_module("sklearn.metrics.pairwise")
    rate = 1 / (2 * (LARGEST_MULTIPLE * median_distance(real=real)) ** 2)
    x, y = real.numpy(), fake.numpy()

    def total(a: Any, b: Any) -> float:
        squares = tool.euclidean_distances(a, b, squared=True)
        kernels = (float(np.exp(squares * (-rate * 2**j)).sum(dtype=np.float64)) for j in range(KERNELS))
        return sum(kernels) / KERNELS

    def work() -> Values:
        n, m = len(x), len(y)
        within = (total(x, x) - n) / (n * (n - 1)) + (total(y, y) - m) / (m * (m - 1))
        return {"mmd": within - 2 * total(x, y) / (n * m)}

    return work


# --- neighbours -------------------------------------------------------------------------------------------------------


def ours_prdc(real: Tensor, fake: Tensor) -> Work:
    from pipeline.metrics.prdc import prdc

    return lambda: prdc(real=real, fake=fake)


def by_prdc_prdc(real: Tensor, fake: Tensor) -> Work:
    tool = import_module("prdc")
    x, y = real.numpy(), fake.numpy()

    def work() -> Values:
        found = tool.compute_prdc(real_features=x, fake_features=y, nearest_k=5)
        return {name: float(value) for name, value in found.items()}

    return work


def ours_nn1(real: Tensor, fake: Tensor) -> Work:
    from pipeline.metrics.neighbours import c2st_1nn_error

    return lambda: {"error": c2st_1nn_error(real=real, fake=fake)}


def _points(real: Tensor, fake: Tensor) -> tuple[Any, Any]:
    """All points, and which are generated, as arrays."""
    points = torch.cat([real, fake])
    return points.numpy(), (torch.arange(len(points)) >= len(real)).numpy()


def by_scikit_learn_nn1(real: Tensor, fake: Tensor) -> Work:
    tool = import_module("sklearn.neighbors")
    points, generated = _points(real, fake)

    def work() -> Values:
        found = tool.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points).kneighbors(return_distance=False)
        return {"error": float((generated[found[:, 0]] != generated).mean())}

    return work


def by_faiss_nn1(real: Tensor, fake: Tensor) -> Work:
    import numpy as np

    tool = import_module("faiss")
    tool.omp_set_num_threads(torch.get_num_threads())
    points, generated = _points(real, fake)
    itself = np.arange(len(points))

    def work() -> Values:
        index = tool.IndexFlatL2(points.shape[1])
        index.add(points)
        _, found = index.search(points, 2)
        other = np.where(found[:, 0] == itself, found[:, 1], found[:, 0])
        return {"error": float((generated[other] != generated).mean())}

    return work


def _halves(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points to learn from, which of them are generated, and the same to be judged."""
    from pipeline.metrics.two_sample import draw_halves

    halves = draw_halves(real=real, fake=fake, seed=0)
    return halves.train_points, halves.train_generated, halves.test_points, halves.test_generated


def ours_knn(real: Tensor, fake: Tensor) -> Work:
    from pipeline.metrics.neighbours import knn_verdict

    train, generated, test, truth = _halves(real, fake)
    return lambda: {"error": float((knn_verdict(train, generated, test) != truth).double().mean())}


def by_scikit_learn_knn(real: Tensor, fake: Tensor) -> Work:
    tool = import_module("sklearn.neighbors")
    train, generated, test, truth = (x.numpy() for x in _halves(real, fake))

    def work() -> Values:
        judge = tool.KNeighborsClassifier(5, algorithm="brute").fit(train, generated)
        return {"error": float((judge.predict(test) != truth).mean())}

    return work


# --- every metric of ours, on more and more images --------------------------------------------------------------------


def comparison(n: int) -> Any:
    """All that a metric may be given, of n held-out, n generated and n training images of 28x28."""
    from pipeline.metrics.bands import bands_of
    from pipeline.metrics.comparison import Comparison

    real, fake, train = (pictures.made_up(n, (1, 28, 28), seed) for seed in range(3))
    points = {name: x.flatten(1).float() / 255 for name, x in (("real", real), ("fake", fake), ("train", train))}
    spaces = {name: {"pixels": x, "classifier": features(n, 128, k)} for k, (name, x) in enumerate(points.items())}
    generator = torch.Generator().manual_seed(0)
    histogram = (1000 * 0.75 ** torch.arange(CLASSES)).long()
    labels = torch.multinomial(histogram.double(), n, replacement=True, generator=generator)
    bounds = torch.randn(2, n, generator=generator) - 100
    return Comparison(
        real=spaces["real"],
        fake=spaces["fake"],
        train=spaces["train"],
        memory=points["train"],
        memory_features=spaces["train"]["classifier"],
        probabilities=(4 * torch.randn(n, CLASSES, generator=generator)).softmax(1),
        real_class_histogram=torch.bincount(labels, minlength=CLASSES),
        elbo=bounds[0],
        iwae_bound=bounds[1],
        real_images=real,
        fake_images=fake,
        real_labels=labels,
        bands=bands_of(histogram),
        asked=labels,
        correct_by_band={"tail": (labels[: n // 10] % 2 == 0, labels[: n // 10] % 3 == 0)},
        seed=0,
    )


def measured(metric: str, n: int) -> Work:
    """A metric as the stage `evaluate` calls it, its intervals included; how many columns it gave."""
    from pipeline import metrics

    module, given = metrics.load(metric), comparison(n)
    return lambda: {"columns": float(len(module.measure(given)))}
