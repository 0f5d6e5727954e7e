"""What one judge said: its logits on real and on generated images, its errors, and whether it may judge at all.

A judge is a trained discriminator in evaluation mode. Im et al., 'Generating images with recurrent adversarial
networks' (Im et al. 2016), section 4: an image is called real at a logit >= 0, so a real image is an error below 0, a
generated one at or above 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]
Contestant = tuple[str, int]  # model, seed

MATCHED_ERROR = 0.1
"""Error on real validation images to which judges are set before they are compared."""

TIE = "tie"


@dataclass(frozen=True, eq=False)
class JudgeScores:
    """Logits of one trained discriminator, larger = more real.

    `test`, `train` and `valid` are its logits on held-out, training and validation images, each (n,); `samples` holds
    those on every contestant's generated images, (n,) each, its own generator's among them.
    """

    model: str
    seed: int
    test: Logits
    train: Logits
    valid: Logits
    samples: Mapping[Contestant, Logits]

    @property
    def identity(self) -> Contestant:
        return self.model, self.seed

    def is_finite(self) -> bool:
        """Whether every logit is a number: nan is neither below nor above a threshold and would count as no error."""
        return all(np.isfinite(logits).all() for logits in (self.test, self.train, self.valid, *self.samples.values()))


def errors_on_real(logits: Logits, threshold: float = 0.0) -> int:
    """Number of real images called generated."""
    return int(np.count_nonzero(logits < threshold))


def errors_on_generated(logits: Logits, threshold: float = 0.0) -> int:
    """Number of generated images called real."""
    return int(np.count_nonzero(logits >= threshold))


def matched_threshold(valid: Logits, error: float = MATCHED_ERROR) -> float:
    """The largest observed logit that calls at most a share `error` of the real validation images (n,) generated."""
    ordered = np.sort(valid)
    return float(ordered[min(int(error * len(ordered) + 1e-9), len(ordered) - 1)])


def ranks_above(real: Logits, generated: Logits) -> float:
    """Probability that a judge gives a real image (n,) a larger logit than a generated one (m,); ties count half."""
    ordered = np.sort(generated)
    below = np.searchsorted(ordered, real, side="left") + np.searchsorted(ordered, real, side="right")
    return float(below.mean() / 2 / len(generated))


def beats_chance(scores: JudgeScores, level: float = 0.05) -> tuple[bool, str]:
    """Whether a judge tells its own held-out real images from its own generator's, and the reason in words.

    The balanced accuracy has to lie above 0.5 by a one-sided test at `level`; an answer that is always the same has
    exactly 0.5. Add-half rates keep the test honest where a judge makes no error at all.
    """
    own = scores.samples.get(scores.identity)
    if own is None or not len(own) or not len(scores.test):
        return False, "has no images of its own generator or no held-out images to be tried on"
    if not scores.is_finite():
        return False, "has logits that are not finite"
    errors = (errors_on_real(scores.test), errors_on_generated(own))
    totals = (len(scores.test), len(own))
    accuracy = 1 - sum(e / n for e, n in zip(errors, totals, strict=True)) / 2
    rates = [(e + 0.5) / (n + 1) for e, n in zip(errors, totals, strict=True)]
    deviation = math.sqrt(sum(p * (1 - p) / n for p, n in zip(rates, totals, strict=True))) / 2
    limit = accuracy - NormalDist().inv_cdf(1 - level) * deviation
    words = f"balanced accuracy {accuracy:.3f}, at least {limit:.3f} with {1 - level:.0%} confidence"
    return limit > 0.5, words


def judges_of(model: str, logits: Mapping[str, Logits]) -> list[JudgeScores]:
    """A model's judges in the order of their seeds, from arrays named `<seed>/` and what `judge_scores` takes."""
    found: dict[int, dict[str, Logits]] = {}
    for name, values in logits.items():
        seed, _, rest = name.partition("/")
        found.setdefault(int(seed), {})[rest] = values
    return [judge_scores(model, seed, found[seed]) for seed in sorted(found)]


def judge_scores(model: str, seed: int, logits: Mapping[str, Logits]) -> JudgeScores:
    """From named arrays: `test`, `train`, `valid`, and `samples/<model>/<seed>` for every contestant."""
    samples = {}
    for name, values in logits.items():
        if name.startswith("samples/"):
            _, contestant, contestant_seed = name.split("/")
            samples[(contestant, int(contestant_seed))] = values
    return JudgeScores(model, seed, logits["test"], logits["train"], logits["valid"], samples)
