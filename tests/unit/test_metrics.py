"""The metrics' truth: closed forms, identities, symmetry, the order of real and fake, chunks, facts of the field."""

from __future__ import annotations

import ast
import itertools
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline import features, metrics
from pipeline.metrics import (
    authenticity,
    brightness,
    classes,
    confidence,
    copying,
    distances,
    diversity,
    fld,
    frechet,
    kid,
    likelihood,
    linear_algebra,
    mmd,
    naive_bayes,
    neighbours,
    prdc,
)
from pipeline.metrics.comparison import Comparison
from pipeline.workflow import job_hash
from tests.conftest import ROOT
from tests.made_up_comparison import drawn


def gaussian(n: int, d: int, seed: int, *, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def pixels(n: int, d: int, seed: int) -> Tensor:
    return torch.randint(0, 256, (n, d), generator=torch.Generator().manual_seed(seed)).float() / 255


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Every space that there is, those of new files in pipeline/features among them."""
    given = drawn(0, n=120)
    sides = {"real": (given.real, 14), "fake": (given.fake, 15), "train": (given.train, 16)}
    images = {side: (pixels(120, 784, seed) * 255).byte().view(120, 1, 28, 28) for side, (_, seed) in sides.items()}
    spaces = {name: space(images["train"]) for name, space in features.spaces().items()}
    spaces["pixels"] = lambda of: of.flatten(1)[:, :16] / 255
    points = {
        side: points | {n: space(images[side]) for n, space in spaces.items()} for side, (points, _) in sides.items()
    }
    return replace(given, **points, memory=pixels(240, 16, 5), groups=6)


# -- the folder's contract ------------------------------------------------------------------------------------------


def test_columns_are_described_and_those_of_the_published_table_are_still_there() -> None:
    columns = metrics.columns()
    assert set(columns) == {column for name in metrics.names() for column in metrics.load(name).COLUMNS}
    published = (ROOT / "results/published/mnist/mnist.csv").read_text().splitlines()[0].split(",")
    measured = {name for name in published if f"{name}_low" in published and not name.startswith(("rank_", "rating"))}
    assert len(measured) >= 56 and measured <= set(columns)
    for entry in columns.values():
        assert entry["better"] in {"lower", "higher", "near_real"}
        assert entry["scale"] in {"log", "logit", "linear"}
        assert entry["label"] and entry["unit"] and entry["meaning"].endswith(".")


def test_orders_decide_then_names_and_a_metric_without_an_order_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [getattr(metrics.load(name), "ORDER", metrics.LAST) for name in metrics.names()]
    assert orders == sorted(orders)
    for name, order in {"b": "ORDER = 1", "a": "", "d": "ORDER = 1", "c": "ORDER = 0"}.items():
        (tmp_path / f"{name}.py").write_text(f"{order}\nCOLUMNS = {{'{name}': {{}}}}\n")
    monkeypatch.setattr(metrics, "__file__", str(tmp_path / "__init__.py"))
    assert metrics.names() == ["c", "b", "d", "a"]


def test_listing_metrics_imports_no_torch() -> None:
    code = "import sys; from pipeline import metrics; metrics.columns(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_metric_is_told() -> None:
    with pytest.raises(ValueError, match="no metric 'fidd'"):
        metrics.load("fidd")


@pytest.mark.parametrize("name", metrics.names())
def test_metric_gives_exactly_its_columns_and_leaves_out_what_it_cannot_know(name: str, comparison: Comparison) -> None:
    module = metrics.load(name)
    found = module.measure(comparison)
    assert set(found) == set(module.COLUMNS) and module.measure(comparison) == found
    assert all(estimate.kind and estimate.low <= estimate.value <= estimate.high for estimate in found.values())
    assert module.measure(Comparison(real={}, fake={})) == {}


@pytest.mark.parametrize("name", ["copying", "fld", "kid", "prdc"])
def test_what_is_kept_of_the_real_images_changes_no_value(name: str, comparison: Comparison) -> None:
    measure, kept = metrics.load(name).measure, {}
    other = {space: points.flip(0) * 0.5 for space, points in comparison.fake.items()}
    measure(replace(comparison, kept=kept))
    known, second = set(kept), replace(comparison, fake=other, kept={})
    assert measure(replace(second, kept=kept)) == measure(second)
    assert known == set(kept) != set()


def test_real_and_fake_are_keyword_only() -> None:
    for name in metrics.names():
        for function in job_hash.statements(job_hash.syntax_tree(f"pipeline.metrics.{name}")):
            if isinstance(function, ast.FunctionDef):
                positional = {argument.arg for argument in function.args.args}
                assert not positional & {"real", "fake"}, f"{name}.{function.name}"


def test_differing_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        Comparison(real={"pixels": torch.zeros(3, 4)}, fake={"pixels": torch.zeros(3, 5)})


# -- distances ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pixels, gaussian])
def test_squared_distances_are_those_in_float64(make) -> None:
    x, y = make(40, 30, 1), make(50, 30, 2)
    a, b = distances.prepare(x, y)
    truth = torch.cdist(x.double(), y.double()).square()
    torch.testing.assert_close(distances.squared_distances(a, b).double() * a.unit, truth, rtol=1e-5, atol=1e-5)


def test_pixels_are_compared_without_rounding() -> None:
    x = pixels(30, 784, 1)
    (points,) = distances.prepare(torch.cat([x, x]))
    squares, levels = distances.squared_distances(points, points), (x * 255).round().long()
    assert squares.dtype == torch.int32
    assert torch.equal(squares[:30, 30:].long(), (levels[:, None] - levels[None]).square().sum(2))


def test_ties_go_to_the_lowest_index() -> None:
    (points,) = distances.prepare(torch.zeros(50, 3))
    assert torch.equal(distances.nearest(points, points, 4)[1], torch.arange(4).expand(50, 4))
    assert distances.nearest(points, points, 2, own=torch.arange(50))[1][0].tolist() == [1, 2]


def test_chunks_do_not_show(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [n for n in metrics.names() if n != "frechet"]
    whole = {k: v.value for n in names for k, v in metrics.load(n).measure(comparison).items()}
    monkeypatch.setattr(distances, "CHUNK_ELEMENTS", 700)
    monkeypatch.setattr(distances, "TILE_COLUMNS", 13)
    parts = {k: v.value for n in names for k, v in metrics.load(n).measure(comparison).items()}
    # unbiased estimates near 0 keep only the kernel sums' absolute precision
    assert parts == pytest.approx(whole, rel=1e-6, abs=1e-7)


# -- identity, symmetry, closed forms --------------------------------------------------------------------------------


def test_a_set_is_at_no_distance_from_itself() -> None:
    x = gaussian(300, 8, 1)
    trace = x.var(0).sum().item()
    assert frechet.frechet_distance(real=x, fake=x) < 1e-6 * trace
    assert mmd.mmd_linear(real=x, fake=x) == 0
    # unbiased estimators count k(x, x) across but not within
    assert -2 / 300 < mmd.mmd_rbf(real=x, fake=x) < 0
    assert kid.kid(real=x, fake=x) < 0


@pytest.mark.parametrize("distance", [frechet.frechet_distance, mmd.mmd_linear, kid.kid])
def test_distances_are_symmetric(distance) -> None:
    x, y = gaussian(200, 5, 1), gaussian(150, 5, 2, shift=1, scale=0.5)
    assert distance(real=x, fake=y) == pytest.approx(distance(real=y, fake=x), rel=1e-9)


def test_frechet_of_gaussians_in_closed_form() -> None:
    # diagonal covariances commute: the distance is |mu|^2 + sum (s_1 - s_2)^2
    one = frechet.Moments(torch.zeros(3).double(), torch.diag(torch.tensor([1.0, 4.0, 0.0]).double()))
    two = frechet.Moments(torch.tensor([1.0, 2.0, 2.0]).double(), torch.diag(torch.tensor([4.0, 1.0, 9.0]).double()))
    terms = frechet.frechet_of_moments(real=one, fake=two)
    assert terms.standard == pytest.approx(9 + 1 + 1 + 9, rel=1e-12)
    assert terms.as_written == pytest.approx(3 + 11, rel=1e-12)


def test_frechet_routes_agree_and_so_do_groups() -> None:
    x, y = gaussian(90, 40, 1), gaussian(80, 40, 2, shift=0.3)
    by_moments = frechet.frechet_of_moments(real=frechet.moments(x), fake=frechet.moments(y))
    by_few = frechet.frechet_of_few(real=x, fake=y)
    grouped = frechet.GroupedFrechet(real=list(x.split(9)), fake=list(y.split(8))).terms([0, 1, 2, 4, 5, 6, 7, 8, 9])
    without = frechet.frechet_distance(real=torch.cat([x[:27], x[36:]]), fake=torch.cat([y[:24], y[32:]]))
    assert by_few.standard == pytest.approx(by_moments.standard, rel=1e-9)
    assert grouped.standard == pytest.approx(without, rel=1e-9)


def test_frechet_of_singular_covariances_is_the_nuclear_norms_either_way_round() -> None:
    """MNIST's corners are black in every image: a factor without pivots gave 10.63 where 0.7006 is right."""
    x, y = (pixels(90, 40, seed) for seed in (1, 2))
    x[:, :15], y[:, 5:20], x[:, 30:] = 0, 1, x[:, 20:30]
    truth = frechet.frechet_of_few(real=x, fake=y).standard
    one, two = frechet.moments(x), frechet.moments(y)
    assert frechet.frechet_of_moments(real=one, fake=two).standard == pytest.approx(truth, rel=1e-8)
    assert frechet.frechet_of_moments(real=two, fake=one).standard == pytest.approx(truth, rel=1e-8)
    assert frechet.frechet_of_moments(real=one, fake=one).standard < 1e-7


def test_frechet_with_fewer_points_than_dimensions_is_flagged() -> None:
    x, y = gaussian(30, 64, 1), gaussian(30, 64, 2)
    found = frechet.measure(Comparison(real={"pixels": x}, fake={"pixels": y}, groups=5))
    assert found["fd_pixels"].kind == "delete-d jackknife, n <= d"
    assert found["fd_pixels"].value == pytest.approx(frechet.frechet_distance(real=x, fake=y), rel=1e-9)


@pytest.mark.parametrize(("fewest", "there"), [(30, True), (31, False)])
def test_too_few_held_out_images_have_no_frechet_distance_but_its_reason(fewest: int, there: bool) -> None:
    sides = {"real": {"pixels": gaussian(30, 4, 1)}, "fake": {"pixels": gaussian(50, 4, 2)}}
    found = frechet.measure(Comparison(**sides, groups=5, frechet_images=fewest))
    assert math.isfinite(found["fd_pixels"].value) == there
    assert there or found == dict.fromkeys(frechet.COLUMNS, found["fd_pixels"])
    assert there or "of 30 held-out images, under 31" in found["fd_pixels"].kind


def test_extrapolation_takes_the_bias_off() -> None:
    real, fake = gaussian(1000, 64, 1), gaussian(1000, 64, 2)
    estimate = frechet.frechet_infinite(real=list(real.split(100)), fake=list(fake.split(100)))
    assert abs(estimate.value) < 0.2


def test_rbf_mmd_is_the_plain_double_sum() -> None:
    x, y = gaussian(30, 3, 1), gaussian(25, 3, 2, shift=1)
    median = torch.pdist(x).median().item()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        sigmas = [median * 2 ** (j / 2) for j in (-2, -1, 0, 1, 2)]
        return sum(torch.exp(-torch.cdist(a, b).square() / (2 * s * s)) for s in sigmas) / 5  # type: ignore[return-value]

    within = [(kernel(z, z).sum() - len(z)) / (len(z) * (len(z) - 1)) for z in (x.double(), y.double())]
    truth = (sum(within) - 2 * kernel(x.double(), y.double()).mean()).item()
    assert mmd.mmd_rbf(real=x, fake=y) == pytest.approx(truth, rel=1e-5)


def test_groups_left_out_are_left_out() -> None:
    x, y = (2 * gaussian(60, 4, 1)).round(), (2 * gaussian(50, 4, 2)).round()  # whose kernel float32 has to the bit
    parts = {"real": list(x.split(20)), "fake": list(y.split([20, 20, 10]))}
    without = {"real": torch.cat([x[:20], x[40:]]), "fake": torch.cat([y[:20], y[40:]])}
    assert kid.polynomial_sums(**parts).unbiased(1) == pytest.approx(kid.kid(**without), rel=1e-9)
    nearest = neighbours.LeaveOneOut(**parts)
    assert nearest.error(1) == neighbours.c2st_1nn_error(**without)
    assert nearest.error() == neighbours.c2st_1nn_error(real=x, fake=y)
    left = prdc.membership(**parts).statistics(2, prdc.K)
    assert {name: share.double().mean().item() for name, share in left.items()} == pytest.approx(prdc.prdc(**without))


def crowded(n: int, d: int, seed: int) -> Tensor:
    """Points near to one another and far from the origin, many of them twice: float32 cannot tell them apart."""
    x = 1 + 1e-3 * gaussian(n, d, seed)
    x[n // 2 :: 2] = x[: len(x[n // 2 :: 2])]
    return x


@pytest.mark.parametrize("make", [crowded, gaussian, pixels])
def test_prdc_sought_in_float32_is_that_of_float64(make) -> None:
    x, y = make(240, 30, 1), make(200, 30, 2)
    y[:40] = x[:40]
    found = prdc.membership(real=list(x.split(60)), fake=list(y.split(50)))
    for row in range(5):
        left_x, left_y = x[found.kept_real[row]].double(), y[found.kept_fake[row]].double()
        between = (left_x[:, None] - left_y).square().sum(2)
        reach = [
            (left[:, None] - left).square().sum(2).fill_diagonal_(torch.inf).sort(dim=1).values[:, prdc.K - 1]
            for left in (left_x, left_y)
        ]
        inside = between <= reach[0][:, None]
        assert torch.equal(found.balls[row, found.kept_fake[row]], inside.sum(0))
        assert torch.equal(found.covered[row, found.kept_real[row]], inside.any(1))
        assert torch.equal(found.recalled[row, found.kept_real[row]], (between <= reach[1]).any(1))


# -- which is real and which is fake --------------------------------------------------------------------------------


def test_a_collapsed_generator_is_precise_and_forgets() -> None:
    found = prdc.prdc(real=gaussian(300, 2, 1), fake=gaussian(300, 2, 2, scale=0.05))
    assert found["precision"] == 1 and found["density"] > 0.5
    assert found["recall"] < 0.05 and found["coverage"] < 0.3


def test_error_rates_tell_the_sides_apart() -> None:
    # generated points at the centre of the real cloud: real points there are called generated, never the reverse
    real, fake = gaussian(400, 1, 1), gaussian(400, 1, 2, scale=0.02)
    far = {"real": gaussian(100, 3, 1), "fake": gaussian(100, 3, 2, shift=50)}
    for measure, name in (
        (neighbours.knn_errors, "knn_error"),
        (naive_bayes.naive_bayes_errors, "naive_bayes_error"),
    ):
        errors = {column: estimate.value for column, estimate in measure(real=real, fake=fake).items()}
        both = errors[f"{name}_real"], errors[f"{name}_generated"]
        assert both[1] < both[0] == errors[f"{name}_max"]
        assert errors[name] == pytest.approx(sum(both) / 2)
        assert measure(**far)[name].value == 0
    assert neighbours.c2st_1nn_error(**far) == 0


# -- copying, classes, diversity, likelihood -----------------------------------------------------------------------


def test_training_images_returned_as_samples() -> None:
    train, held_out = pixels(200, 20, 1), pixels(200, 20, 2)
    copies = train[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    assert neighbours.c2st_1nn_error(real=held_out, fake=copies) == pytest.approx(0.5, abs=0.1)
    found = copying.copying(real=held_out, fake=copies, train=train)
    assert found.value == 1 and found.low > 0.99


def test_copying_of_honest_samples_is_a_half() -> None:
    sets = [gaussian(1000, 4, seed) for seed in range(3)]
    assert copying.copying(real=sets[0], fake=sets[1], train=sets[2]).value == pytest.approx(0.5, abs=0.04)


def test_auc_counts_ties_as_a_half() -> None:
    found = copying.auc(smaller=torch.tensor([1.0, 2.0, 3.0]), larger=torch.tensor([2.0, 2.0, 4.0]))
    # pairs a < b: 3 + 1 + 1, a = b: 2
    assert found.value == pytest.approx((5 + 2 / 2) / 9)


def test_classes() -> None:
    real, fake = torch.tensor([10, 10, 0, 20]), torch.tensor([0] * 50 + [1] * 50)
    covered = classes.classes_covered(real=real, fake=fake)
    assert (covered.low, covered.value, covered.high) == (2, 2, 2)
    assert classes.total_variation(real=real, fake=torch.tensor([50, 50, 0, 0])) == pytest.approx(0.5)


def test_diversity_is_a_ratio_of_distances() -> None:
    x = gaussian(100, 3, 1)
    assert diversity.mean_pairwise_distance(x) == pytest.approx(torch.pdist(x.double()).mean().item(), rel=1e-5)
    found = diversity.diversity(real=list(x.split(20)), fake=list((x * 0.25).split(20)))
    assert found.value == pytest.approx(0.25, rel=1e-5)


def test_confidence_and_likelihood_are_means() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.01, 0.99]])
    made = Comparison(real={}, fake={}, probabilities=probabilities, elbo=torch.tensor([-80.0, -90.0]))
    assert confidence.measure(made)["confident_fraction"].value == 0.5
    assert likelihood.measure(made)["elbo"].value == -85


# -- products and eigenvalues ----------------------------------------------------------------------------------------


def test_products_and_eigenvalues_are_those_of_torch() -> None:
    x, y = gaussian(50, 7, 1).double(), gaussian(30, 7, 2).double()
    products = linear_algebra.gram(x)
    assert torch.equal(products, products.T)
    torch.testing.assert_close(products, x.T @ x)
    torch.testing.assert_close(linear_algebra.inner_products(x, y), x @ y.T)
    torch.testing.assert_close(linear_algebra.eigenvalues(products), torch.linalg.eigvalsh(products))


def test_the_root_of_a_singular_covariance_has_its_rank() -> None:
    x = gaussian(50, 3, 1).double() @ gaussian(3, 7, 2).double()
    products = linear_algebra.gram(x)
    root = linear_algebra.square_root(products)
    assert root.shape == (7, 3)
    torch.testing.assert_close(root @ root.T, products)
    assert linear_algebra.square_root(torch.zeros(4, 4).double()).shape == (4, 0)


def test_brightness_is_the_ratio_of_the_mean_pixels() -> None:
    real, fake = torch.full((10, 1, 4, 4), 100, dtype=torch.uint8), torch.full((12, 1, 4, 4), 150, dtype=torch.uint8)
    found = brightness.measure(Comparison(real={}, fake={}, real_images=real, fake_images=fake))
    assert (found["brightness"].value, found["brightness"].low) == pytest.approx((1.5, 1.5))


# -- copies of training images -----------------------------------------------------------------------------------------


def test_authentic_samples_are_further_from_their_original_than_its_nearest_neighbour_is() -> None:
    train, fake = gaussian(90, 5, 1), torch.cat([gaussian(60, 5, 2), gaussian(90, 5, 1)[:10] + 1e-4])
    near = torch.cdist(fake.double(), train.double())
    own = torch.cdist(train.double(), train.double()).fill_diagonal_(torch.inf).amin(1)
    wanted = near.amin(1) > own[near.argmin(1)]
    assert torch.equal(authenticity.authentic(fake=fake, train=train)[0], wanted)
    assert not wanted[60:].any()


def test_an_original_that_is_in_the_data_twice_makes_its_copies_no_more_authentic() -> None:
    train = torch.cat([gaussian(20, 5, 1), gaussian(20, 5, 1)[:3]])
    assert not authenticity.authentic(fake=train[:3], train=train)[0].any()


def fitted_by_autograd(means: Tensor, points: Tensor) -> Tensor:
    """Log variances (m,) by torch's Adam on the likelihood with a broad Gaussian, as the authors' code takes them."""
    (m, d), distances = means.shape, torch.cdist(points, means).square()
    log_variances = ((distances.amin(0) + 1e-3) / d).log().requires_grad_()
    broad = torch.zeros(1, dtype=points.dtype, requires_grad=True)
    optimiser = torch.optim.Adam([log_variances, broad], lr=0.5)
    far = 0.81 * (points - points.mean(0)).square().sum(1, keepdim=True)
    for _ in range(50):
        optimiser.zero_grad()
        logs = [
            -0.5 * (near / log.exp() + d * (log + math.log(2 * math.pi))) - math.log(n)
            for near, log, n in ((distances, log_variances, m), (far, broad, 1))
        ]
        (-torch.cat(logs, 1).logsumexp(1).mean() / d).backward()
        optimiser.step()
    return log_variances.detach()


def of_torchs_mixture(means: Tensor, log_variances: Tensor, points: Tensor) -> Tensor:
    """Log-likelihoods (n,) by torch.distributions."""
    normal = torch.distributions.Normal(means, (log_variances / 2).exp()[:, None].expand_as(means))
    equal = torch.distributions.Categorical(logits=torch.zeros(len(means), dtype=means.dtype))
    mixture = torch.distributions.MixtureSameFamily(equal, torch.distributions.Independent(normal, 1))
    return mixture.log_prob(points)


def test_the_mixture_is_that_of_torch_with_and_without_each_group() -> None:
    means, points = gaussian(7, 3, 1).double(), gaussian(11, 3, 2).double()
    log_variances = gaussian(1, 7, 3)[0].double()
    groups = [torch.tensor([1, 4]), torch.tensor([0, 2, 3]), torch.tensor([5, 6])]
    every = fld.Mixture(means, log_variances).log_likelihoods(points, groups)
    for g, left in enumerate([[], *(group.tolist() for group in groups)]):
        others = [index for index in range(7) if index not in left]
        expected = of_torchs_mixture(means[others], log_variances[others], points)
        assert every[:, g] == pytest.approx(expected, abs=1e-9)


def test_fld_is_that_of_an_independent_implementation() -> None:
    """On equal features, some of them dead, and the same halves: log-likelihoods to 1e-3 nats, FLD to 0.5.

    The figures of the authors' own code are in docs/reading-the-table.md.
    """
    n = 200
    real, fake, train = (torch.cat([gaussian(n, 6, k, shift=0.2).relu(), torch.zeros(n, 1)], 1) for k in (1, 2, 3))
    test, samples, seen = (((x - real.mean(0)) / real.std(0))[:, :6].double() for x in (real, fake, train))
    fitted = fitted_by_autograd(samples, seen)
    assert fld.fit(samples, seen).log_variances == pytest.approx(fitted, abs=1e-4)
    mixture = fld.fit(samples.float(), seen.float())
    held_out, known = (of_torchs_mixture(samples, fitted, x) for x in (test, seen))
    assert mixture.log_likelihoods(test.float())[:, 0] == pytest.approx(held_out, abs=1e-3)
    assert mixture.log_likelihoods(seen.float())[:, 0] == pytest.approx(known, abs=1e-3)
    first, second = seen[torch.randperm(n, generator=torch.Generator().manual_seed(5))].chunk(2)
    start = of_torchs_mixture(first, fitted_by_autograd(first, second), test).mean()
    groups = list(torch.arange(n).split(20))
    found = fld.fld(real=real, fake=fake, train=train, parts=(groups, groups), seed=5)
    assert found["fld"].value == pytest.approx(100 / 6 * (start - held_out.mean()).item(), abs=0.5)
    assert found["fld_gap"].value == pytest.approx(100 / 6 * (held_out.mean() - known.mean()).item(), abs=0.5)


def test_fld_drops_constant_features_and_is_lower_for_better_samples() -> None:
    groups = list(torch.arange(300).split(30))

    def value(*, shift: float = 0.0, constant: int = 2) -> float:
        given = {"real": (1, 0.0), "train": (2, 0.0), "fake": (3, shift)}
        dead = torch.zeros(300, constant)
        sides = {side: torch.cat([gaussian(300, 5, seed, shift=at), dead], 1) for side, (seed, at) in given.items()}
        return float(fld.fld(**sides, parts=(groups, groups))["fld"].value)

    assert abs(value()) < 15 and value() < value(shift=2.0)
    assert value() == pytest.approx(value(constant=0), abs=1e-6)


def test_the_copy_ladder_is_monotone() -> None:
    """0, 10, 25, 50 and 100 % of the samples are training images: every column of copying says more."""
    n, d = 400, 6
    whole = pixels(3 * n, d, 1)
    train, real, fresh = whole[:n], whole[n : 2 * n], whole[2 * n :]
    found: dict[str, list[float]] = {}
    for share in (0.0, 0.1, 0.25, 0.5, 1.0):
        copies = round(share * n)
        fake = torch.cat([train[:copies], fresh[copies:]])
        points = {"pixels": fake, "classifier": fake}
        comparison = Comparison(
            real=dict.fromkeys(points, real), fake=points, train=dict.fromkeys(points, train), memory=train,
            memory_features=train,
        )  # fmt: skip
        for name in ("copying", "authenticity", "fld"):
            for column, estimate in metrics.load(name).measure(comparison).items():
                found.setdefault(column, []).append(estimate.value)
    assert found["copying"] == sorted(found["copying"])
    for column in ("authenticity", "fld_gap"):
        assert found[column] == sorted(found[column], reverse=True)
    assert found["fld"] == sorted(found["fld"])
    assert found["authenticity"][-1] == 0


# -- degenerate images ----------------------------------------------------------------------------------------------


def flat(n: int, value: int) -> Tensor:
    return torch.full((n, 1, 6, 6), value, dtype=torch.uint8)


def noisy(n: int, seed: int) -> Tensor:
    return (pixels(n, 36, seed) * 255).byte().view(n, 1, 6, 6)


def mostly_flat(seed: int) -> Tensor:
    return torch.cat([flat(36, 0), noisy(4, seed)])


def compared(real: Tensor, fake: Tensor) -> Comparison:
    points = [images.flatten(1).float() / 255 for images in (real, fake)]
    of_real, of_fake = ({"pixels": side, "classifier": side[:, :6]} for side in points)
    return Comparison(
        real=of_real, fake=of_fake, train=of_real, memory=of_real["pixels"], memory_features=of_real["classifier"],
        real_images=real, fake_images=fake, groups=4,
    )  # fmt: skip


DEGENERATE = {
    "both constant": (flat(40, 0), flat(40, 0)),
    "real constant": (flat(40, 5), noisy(40, 1)),
    "fake constant": (noisy(40, 1), flat(40, 5)),
    "mostly equal": (mostly_flat(1), mostly_flat(2)),
    "copies": (noisy(40, 1), noisy(40, 1)),
    "as few as there may be": (noisy(8, 1), noisy(8, 2)),
}

RIGHT: dict[str, dict[str, float]] = {
    "both constant": {
        "mmd_linear": 0, "fd_pixels": 0, "fd_pixels_as_written": 0, "fd_classifier": 0, "fd_classifier_infinite": 0,
        "kid_classifier": 0, "knn_error": 0.5, "c2st_1nn_error": 0.5, "naive_bayes_error": 0.5, "precision": 1,
        "recall": 1, "coverage": 1, "density": 40 / 5, "copying": 0.5, "authenticity": 0,
    },
    "fake constant": {"recall": 0, "diversity": 0, "sharpness": 0},
    "real constant": {"precision": 0, "coverage": 0, "density": 0, "knn_error": 0, "copying": 0},
    "mostly equal": {"precision": 1, "recall": 1, "coverage": 1},
    "copies": {
        "mmd_linear": 0, "fd_pixels": 0, "fd_pixels_as_written": 0, "fd_classifier": 0, "c2st_1nn_error": 1,
        "precision": 1, "recall": 1, "coverage": 1, "diversity": 1, "sharpness": 1, "brightness": 1, "copying": 0.5,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", metrics.names())
def test_degenerate_images_have_the_right_value_or_a_reason(name: str) -> None:
    measure = metrics.load(name).measure
    columns = measure(compared(noisy(40, 3), noisy(40, 4))).keys()
    for case, images in DEGENERATE.items():
        found, right = measure(compared(*images)), RIGHT.get(case, {})
        assert found.keys() == columns, f"no column vanishes: {case}"
        for column, estimate in found.items():
            if not math.isfinite(estimate.value):
                assert estimate.kind.startswith("undefined: "), (case, column)
            wanted = pytest.approx(right.get(column, estimate.value), abs=1e-7, nan_ok=True)
            assert estimate.value == wanted, (case, column)
            if right.get(column) == 0 and column.startswith("fd_"):
                assert -10 < estimate.low <= 0 <= estimate.high < 10, "no interval of rounding errors on a logarithm"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("both constant", "all real images are the same"),
        ("mostly equal", "over 10% of the real images are repeated, where a density has no bound"),
    ],
)
def test_density_around_samples_needs_features_that_differ(case: str, reason: str) -> None:
    assert {e.kind for e in fld.measure(compared(*DEGENERATE[case])).values()} == {f"undefined: {reason}"}


@pytest.mark.parametrize("classes", [1, 3])
def test_columns_on_classes_where_all_images_are_of_one(classes: int) -> None:
    one = torch.zeros(40, dtype=torch.long)
    given = Comparison(
        real={"classifier": pixels(40, 3, 1)}, fake={"classifier": pixels(40, 3, 2)}, asked=one, real_labels=one,
        probabilities=torch.nn.functional.one_hot(one, classes).double(),
        real_class_histogram=torch.bincount(one, minlength=classes),
    )  # fmt: skip
    found = metrics.load("classes").measure(given) | metrics.load("class_accuracy").measure(given)
    assert {column: estimate.value for column, estimate in found.items()} == {
        "classes_covered": 1, "class_tv": 0, "class_accuracy": 1, "class_accuracy_chance": 1,
    }  # fmt: skip


def test_few_images_have_no_fifth_neighbour_and_say_so() -> None:
    found = prdc.measure(compared(noisy(5, 1), noisy(5, 2)))
    assert {e.kind for e in found.values()} == {"undefined: 5 real and 5 generated images have no neighbour number 5"}


def test_the_median_of_mostly_equal_points_is_that_of_those_that_differ() -> None:
    points = torch.zeros(40, 3)
    points[0] = torch.tensor([3.0, 4.0, 0.0]) / 255
    assert mmd.median_distance(real=points) == pytest.approx(5 / 255)
    assert mmd.median_distance(real=points[1:]) == 0


def test_an_exact_copy_has_precision_recall_and_coverage_of_1() -> None:
    for images, unit in itertools.product((mostly_flat(1), flat(40, 3), noisy(40, 1)), (255, 7)):  # pixels, features
        points = images.flatten(1).float() / unit
        found = prdc.prdc(real=points, fake=points.clone())
        assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
