"""The 15 checks of Räisä et al. 2025: what is drawn, along which sweep, and what a good metric would show.

Their code names a desideratum for each: purpose (the values move as they should), bounds (best and worst values are
reached), data and hyperparameters (the numbers of images do not matter), invariance (neither does a feature's scale).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Sets = tuple[Points, Points, Points]
"""Real, generated and training points."""
Draw = Callable[[float, np.random.Generator], Sets]
"""(x, rng) -> what is compared."""
Shape = Callable[[Sequence[float], Sequence[float]], bool]
"""(xs, scores along them) -> whether they have the shape."""
Targets = Sequence[tuple[float, float]]
"""(x, score that is to be had there)."""

FIDELITY, DIVERSITY, OVERALL, COPYING = "fidelity", "diversity", "both together", "copying"
KINDS = {
    "precision": FIDELITY, "density": FIDELITY,
    "recall": DIVERSITY, "coverage": DIVERSITY, "diversity": DIVERSITY,
    "mmd_rbf": OVERALL, "fd_classifier": OVERALL, "fd_classifier_infinite": OVERALL, "kid_classifier": OVERALL,
    "fld": OVERALL, "c2st_1nn_error": OVERALL, "knn_error": OVERALL, "naive_bayes_error": OVERALL,
    "copying": COPYING, "knn_train_error": COPYING, "authenticity": COPYING, "fld_gap": COPYING,
}  # fmt: skip
"""Column -> what it is read for."""

N = 1000
SAME_AS_REAL, NOTHING = 1.0, 0.0
FAR, NEAR, EXACT = 0.2, 0.1, 0.05
"""The paper's tolerances: what has to differ, what may, and how near a bound is."""


# --- shapes -----------------------------------------------------------------------------------------------------------


def bell(xs: Sequence[float], ys: Sequence[float], *, middle: float) -> bool:
    """High in the middle, low at both ends."""
    top, ends = ys[xs.index(middle)], (ys[0], ys[-1])
    return top - max(ends) >= FAR and max(ys) - top <= NEAR and min(ends) - min(ys) <= NEAR


def falls(xs: Sequence[float], ys: Sequence[float], *, by: float | None = None) -> bool:
    """High at the left end, low at the right one; `by` an x it has begun to fall."""
    begun = by is None or ys[0] - ys[xs.index(by)] >= NEAR
    return begun and ys[0] - ys[-1] >= FAR and max(ys) - ys[0] <= NEAR and ys[-1] - min(ys) <= NEAR


def rises(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Low at the left end, high at the right one."""
    return falls(xs, ys[::-1])


def flat(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """The same everywhere."""
    return max(ys) - min(ys) <= EXACT


def settles(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """The same from the middle of the sweep on."""
    return flat(xs, ys[len(ys) // 2 :])


@dataclass(frozen=True)
class Check:
    """One check: a sweep of several variants, and what each kind of column should show."""

    title: str
    xs: tuple[float, ...]
    draws: Mapping[str, Draw]
    shapes: Mapping[str, tuple[Shape, ...]]
    """Kind -> shapes of which one has to be had in all variants."""
    targets: Mapping[str, tuple[Targets, ...]]
    """Kind -> values of which one set has to be had in all variants."""
    lesson: str
    """What a failure means for the reader of a table."""
    shape_is: str = "purpose"
    values_are: str = "bounds"

    def targets_of(self, kind: str) -> list[list[tuple[float, float]]]:
        """The sets of targets of a kind."""
        return [list(option) for option in self.targets.get(kind, ())]

    def holds(self, targets: Targets, ys: Sequence[float]) -> bool:
        """Whether the scores reach a set of targets."""
        return all(abs(ys[self.xs.index(x)] - target) <= EXACT for x, target in targets)


def alike(option: Any, kinds: Sequence[str] = (FIDELITY, DIVERSITY, OVERALL)) -> dict[str, tuple[Any, ...]]:
    """The same shape, or set of targets, for several kinds of columns."""
    return dict.fromkeys(kinds, (option,))


# --- what is drawn ----------------------------------------------------------------------------------------------------


def gaussian(n: int, d: int, rng: np.random.Generator, mean: float = 0.0, deviation: float = 1.0) -> Points:
    """(n, d)."""
    return rng.normal(mean, deviation, (n, d))


def shifted(x: float, rng: np.random.Generator, *, d: int, reach: float, outlier: str = "") -> Sets:
    """Another mean; perhaps with one outlier at the far end, among the real or among the generated points."""
    real, fake, train = gaussian(N, d, rng), gaussian(N, d, rng, reach * x), gaussian(N, d, rng)
    far = np.full((1, d), reach)
    if outlier == "real":
        real = np.concatenate([real, far])
    elif outlier:
        fake = np.concatenate([fake, far])
    return real, fake, train


def scaled(x: float, rng: np.random.Generator, *, d: int, reach: float) -> Sets:
    """Another standard deviation: 10 ** (reach * x)."""
    return gaussian(N, d, rng), gaussian(N, d, rng, deviation=10 ** (reach * x)), gaussian(N, d, rng)


def modes(rng: np.random.Generator, shares: Sequence[float], means: Points, deviation: float) -> Points:
    """(N, d) of a mixture of Gaussians with means (k, d)."""
    weights = np.array(shares) / sum(shares)
    return rng.normal(means[rng.choice(len(means), N, p=weights)], deviation)


def dropping(x: float, rng: np.random.Generator, *, d: int, deviation: float, one_by_one: bool) -> Sets:
    """Ten modes, of which x are dropped, or all but the first to a share of x."""
    means = np.repeat(np.linspace(0, 10, 10)[:, None], d, axis=1)
    kept = [float(mode < 10 - x) if one_by_one else 1 - x * (mode > 0) for mode in range(10)]
    real, train = (modes(rng, [1.0] * 10, means, deviation) for _ in range(2))
    return real, modes(rng, kept, means, deviation), train


CENTRES = np.array([[5.5, -4], [5, -13.5], [-16.5, 9], [-2, 12.5], [11.5, -5], [-24.5, 14], [17, -3], [-5.5, -7],
                    [9.5, 1], [-5.5, -17.5]])  # fmt: skip
"""Ten places, far apart at a standard deviation of 0.25."""


def inventing(x: float, rng: np.random.Generator) -> Sets:
    """Five real modes, x generated ones: fewer, the same, then invented ones."""
    real, train = (modes(rng, [1.0] * 5, CENTRES[:5], 0.25) for _ in range(2))
    return real, modes(rng, [1.0] * int(x), CENTRES[: int(x)], 0.25), train


def merged(x: float, rng: np.random.Generator, *, d: int) -> Sets:
    """Two real modes a distance x apart in every dimension, and one generated mode that holds both."""
    means = np.array([[-x / 2] * d, [x / 2] * d])
    real, train = (modes(rng, [0.5, 0.5], means, 1.0) for _ in range(2))
    return real, gaussian(N, d, rng, deviation=float(np.sqrt(1 + x**2))), train


def shell(n: int, d: int, rng: np.random.Generator, radius: float = 1.0) -> Points:
    """(n, d) on a sphere's surface."""
    points = gaussian(n, d, rng)
    return points / np.linalg.norm(points, axis=1, keepdims=True) * radius


def shells(x: float, rng: np.random.Generator, *, d: int) -> Sets:
    """Surfaces of spheres of radii 1 and x."""
    return shell(N, d, rng), shell(N, d, rng, x), shell(N, d, rng)


def cubes(x: float, rng: np.random.Generator, *, d: int, real_too: bool) -> Sets:
    """Uniform on two cubes that share a fifth of their volume; x generated points, perhaps as many real ones."""
    n, start = int(x) if real_too else N, 1 - 0.2 ** (1 / d)
    return rng.random((n, d)), start + rng.random((int(x), d)), rng.random((n, d))


def ball(n: int, rng: np.random.Generator) -> Points:
    """(n, 3), uniform in a ball of radius 0.8."""
    return shell(n, 3, rng) * 0.8 * rng.random((n, 1)) ** (1 / 3)


def torus(n: int, rng: np.random.Generator) -> Points:
    """(n, 3), in a ring of radius 1 and thickness 0.1, which the ball fits through."""
    disc = shell(n, 2, rng) * 0.1 * rng.random((n, 1)) ** 0.5
    angle, out = 2 * np.pi * rng.random(n), 1 + disc[:, 0]
    return np.stack([out * np.cos(angle), out * np.sin(angle), disc[:, 1]], axis=1)


def ring(x: float, rng: np.random.Generator, *, real_ball: bool) -> Sets:
    """A ball and a torus that do not touch; x generated points."""
    real, fake = (ball, torus) if real_ball else (torus, ball)
    return real(N, rng), fake(int(x), rng), real(N, rng)


def one_scaled(x: float, rng: np.random.Generator) -> Sets:
    """Two dimensions: disjoint in the first, alike in the second, which is in units of 10 ** x."""
    real, fake, train = (gaussian(N, 2, rng) * [1, 10**x] for _ in range(3))
    return real, fake + np.array([6, 0]), train


def heavy(x: float, rng: np.random.Generator) -> Sets:
    """Another mean in the first dimension; the second has the same heavy tail in all sets."""
    real, fake, train = (np.stack([rng.normal(size=N), 1 + rng.pareto(1.01, N)], axis=1) for _ in range(3))
    return real, fake + np.array([x, 0]), train


def one_disjoint(x: float, rng: np.random.Generator) -> Sets:
    """Disjoint in one dimension, alike in x others."""
    real, fake, train = (gaussian(N, 1 + int(x), rng) for _ in range(3))
    fake[:, 0] += 6
    return real, fake, train


def rounded(x: float, rng: np.random.Generator, *, real_too: bool) -> Sets:
    """Whole numbers against all numbers, of a standard deviation of 10 ** x."""
    sets = [gaussian(N, 1, rng, deviation=10**x) for _ in range(3)]
    discrete = (0, 2) if real_too else (1,)
    real, fake, train = (points.round() if which in discrete else points for which, points in enumerate(sets))
    return real, fake, train


# --- the checks -------------------------------------------------------------------------------------------------------

REACH = {1: 6.0, 8: 3.0, 64: 1.0}
SPREAD = {1: 3.0, 8: 1.0, 64: 0.5}
WIDTH = {1: 1 / 6, 8: 1 / 3, 64: 1.0}
BOTH_WAYS = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
SIZES = (100.0, 300.0, 1000.0, 2000.0, 4000.0)
APART = [(-1.0, NOTHING), (0.0, SAME_AS_REAL), (1.0, NOTHING)]
OVERLAP = 0.2


def by_dimension(draw: Callable[..., Sets], sizes: Mapping[int, float], name: str) -> dict[str, Draw]:
    """A variant for each number of dimensions."""
    return {f"{d} dimensions": partial(draw, d=d, **{name: value}) for d, value in sizes.items()}


def in_dimensions(draw: Callable[..., Sets], *sizes: int) -> dict[str, Draw]:
    """The same where nothing else depends on it."""
    return {f"{d} dimensions": partial(draw, d=d) for d in sizes}


DROPPED = {OVERALL: ([(0.0, SAME_AS_REAL)],), DIVERSITY: ([(0.0, SAME_AS_REAL)],)}

CHECKS = (
    Check(
        "Mean difference", BOTH_WAYS, by_dimension(shifted, REACH, "reach"),
        alike(partial(bell, middle=0.0)), alike(APART),
        "does not distinguish shifted samples from real images, or has no fixed best and worst value",
    ),
    Check(
        "Mean difference, one outlier", BOTH_WAYS,
        {f"{name}, {side} outlier": partial(draw, outlier=side)  # type: ignore[call-arg]
         for name, draw in by_dimension(shifted, REACH, "reach").items() for side in ("real", "generated")},
        alike(partial(bell, middle=0.0)), alike(APART),
        "a single outlier changes the value",
    ),
    Check(
        "Standard deviation difference", BOTH_WAYS, by_dimension(scaled, SPREAD, "reach"),
        {FIDELITY: (falls,), DIVERSITY: (partial(bell, middle=0.0), rises), OVERALL: (partial(bell, middle=0.0),)},
        {FIDELITY: ([(-1.0, 1.0), (0.0, 1.0), (1.0, 0.0)],),
         DIVERSITY: ([(-1.0, 0.0), (0.0, 1.0), (1.0, 0.0)], [(-1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]),
         OVERALL: (APART,)},
        "samples that vary too little (averages) or too much are not detected",
    ),
    Check(
        "Modes dropped together", (0.0, 0.25, 0.5, 0.75, 0.95, 1.0),
        {f"{d} dimensions": partial(dropping, d=d, deviation=width, one_by_one=False) for d, width in WIDTH.items()},
        {FIDELITY: (flat,), DIVERSITY: (partial(falls, by=0.95),), OVERALL: (falls,)},
        DROPPED | {FIDELITY: ([(0.0, SAME_AS_REAL), (1.0, SAME_AS_REAL)],)},
        "classes that become rare have no effect until they are gone, or lower the value for the remaining images",
    ),
    Check(
        "Modes dropped one by one", tuple(map(float, range(10))),
        {f"{d} dimensions": partial(dropping, d=d, deviation=width, one_by_one=True) for d, width in WIDTH.items()},
        {FIDELITY: (flat,), DIVERSITY: (partial(falls, by=4.0),), OVERALL: (falls,)},
        DROPPED | {FIDELITY: ([(0.0, SAME_AS_REAL), (9.0, SAME_AS_REAL)],)},
        "dropped classes have no effect, or lower the value for the remaining images",
    ),
    Check(
        "Modes dropped and invented", tuple(map(float, range(1, 11))), {"2 dimensions": inventing},
        {FIDELITY: (falls,), DIVERSITY: (rises,), OVERALL: (partial(bell, middle=5.0),)},
        {FIDELITY: ([(1.0, 1.0), (5.0, 1.0)],), DIVERSITY: ([(5.0, 1.0), (10.0, 1.0)],), OVERALL: ([(5.0, 1.0)],)},
        "invented kinds of images count as real, or hide that all real kinds are covered",
    ),
    Check(
        "One mode in place of two", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0), in_dimensions(merged, 1, 8, 64),
        {FIDELITY: (falls,), DIVERSITY: (falls, flat), OVERALL: (falls,)}, alike([(0.0, SAME_AS_REAL)]),
        "images between two kinds (blends) are not distinguished from the two kinds",
    ),
    Check(
        "Surfaces of spheres", (0.1, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9), in_dimensions(shells, 2, 16, 128),
        alike(partial(bell, middle=1.0)), alike([(0.1, NOTHING), (1.0, SAME_AS_REAL), (1.9, NOTHING)]),
        "in many dimensions, samples in the middle of all real images, such as averages, count as real",
    ),
    Check(
        "Cubes, number of images", SIZES, in_dimensions(partial(cubes, real_too=True), 1, 8, 64),
        alike(settles), alike([(SIZES[-1], OVERLAP)], kinds=(FIDELITY, DIVERSITY)),
        "the value depends on the number of images (data), or is not the share that its name says (purpose)",
        "data", "purpose",
    ),
    Check(
        "Cubes, number of samples", SIZES, in_dimensions(partial(cubes, real_too=False), 1, 8, 64),
        alike(settles), alike([(SIZES[-1], OVERLAP)], kinds=(FIDELITY, DIVERSITY)),
        "the value depends on how many samples are drawn: compare only rows with equal n",
        "hyperparameters", "purpose",
    ),
    Check(
        "Ball and ring", SIZES, {f"{name} real": partial(ring, real_ball=name == "ball") for name in ("ball", "ring")},
        alike(settles), alike([(SIZES[-1], NOTHING)]),
        "samples around the real images, but not among them, count as real",
    ),
    Check(
        "Scale of one dimension", (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0), {"2 dimensions": one_scaled},
        alike(flat), alike([(-3.0, NOTHING), (3.0, NOTHING)]),
        "a feature of a large scale hides the others; our features are learnt and not normalised one by one",
        "invariance",
    ),
    Check(
        "Mean difference, heavy tail", tuple(6 * x for x in BOTH_WAYS), {"2 dimensions": heavy},
        alike(partial(bell, middle=0.0)), alike([(-6.0, NOTHING), (0.0, SAME_AS_REAL), (6.0, NOTHING)]),
        "a heavy-tailed feature hides the others",
    ),
    Check(
        "One disjoint dimension among many", (1.0, 4.0, 16.0, 64.0, 256.0), {"disjoint in one": one_disjoint},
        alike(flat), alike([(1.0, NOTHING), (256.0, NOTHING)]),
        "a defect in one feature of many is diluted",
    ),
    Check(
        "Whole numbers, real ones", (0.0, 1.0, 2.0, 3.0), {"real discrete": partial(rounded, real_too=True)},
        alike(flat),
        {FIDELITY: ([(0.0, NOTHING), (3.0, NOTHING)],), OVERALL: ([(0.0, NOTHING), (3.0, NOTHING)],),
         DIVERSITY: ([(0.0, NOTHING), (3.0, NOTHING)], [(0.0, SAME_AS_REAL), (3.0, SAME_AS_REAL)])},
        "whole numbers are only detected if the steps are coarse: quantise both sets alike, as the tables do",
    ),
    Check(
        "Whole numbers, generated ones", (0.0, 1.0, 2.0, 3.0), {"generated discrete": partial(rounded, real_too=False)},
        alike(flat),
        {FIDELITY: ([(0.0, SAME_AS_REAL), (3.0, SAME_AS_REAL)],), OVERALL: ([(0.0, NOTHING), (3.0, NOTHING)],),
         DIVERSITY: ([(0.0, NOTHING), (3.0, NOTHING)],)},
        "rounded samples, which have fewer distinct values than real images, count as real or not depending on the "
        "step: quantise both sets alike, as the tables do",
    ),
)  # fmt: skip
