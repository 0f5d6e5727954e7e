"""How often is a battle's verdict right? A simulation with known truth: `python -m bench.verdicts --to FILE.csv`

Two adversarial models with judges of unequal ability are compared before third-party judges. An image of quality q has,
before a judge of ability a, a logit that lies a + q below real images'. The rules are those of the product, on logits
that are drawn: the third-party verdict, and the older ones by the pair's own judges.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.battles.scores import JudgeScores
from pipeline.battles.verdicts import Row, battle_rows
from pipeline.core import artifacts
from pipeline.tables.text import to_csv

COLUMNS = ("judges", "seeds", "effect", "better_judge", "rule", "draws", "right", "wrong", "standard_error")
RULES = ("third-party judges", "equation 11", "equation 11, tested", "matched ratio")
SEEDS = (3, 5, 10)
EFFECTS = (0.0, 0.2, 0.4)
BETTER, WORSE = "better", "worse"
PAIR = (BETTER, WORSE)
SHARED = 0.5
"""Correlation of two judges' logits of one image."""


@dataclass(frozen=True)
class World:
    """What is simulated, in standard deviations of a judge's logits on one set of images."""

    judges: int = 3
    """Third-party judge models; their abilities are spread evenly over `abilities`."""
    seeds: int = 5
    effect: float = 0.0
    """How far the worse model's quality lies below the better one's; 0: two equal generators."""
    better_judge: str = WORSE
    """The model whose own judge has an ability of 1.0; the other's has 0.4."""
    abilities: tuple[float, float] = (0.0, 1.5)
    deficit: float = 1.0
    """Of the better model: how far its images lie below real ones before a judge of ability 0."""
    seed_deviation: float = 0.15
    """Between trainings of a generator, and of a judge."""
    taste: float = 0.1
    """Between judge models, of what they think of one generator."""
    strictness: float = 0.1
    """Between judge models: where their real images lie."""
    images: int = 500


def simulate(world: World, rng: np.random.Generator) -> list[JudgeScores]:
    """The scores of all judges of one draw of the world: both models' own, and the third-party ones."""
    abilities = {model: 1.0 if model == world.better_judge else 0.4 for model in PAIR}
    abilities |= {f"judge{n}": float(a) for n, a in enumerate(np.linspace(*world.abilities, world.judges))}
    deficits = {
        (model, seed): world.deficit + lost + rng.normal(0, world.seed_deviation)
        for model, lost in zip(PAIR, (0.0, world.effect), strict=True)
        for seed in range(world.seeds)
    }
    pictures = {key: rng.normal(size=world.images) for key in deficits}
    scores = []
    for judge, ability in abilities.items():
        taste = {model: rng.normal(0, world.taste) for model in PAIR}
        real = 1.3 + rng.normal(0, world.strictness)
        for seed in range(world.seeds):
            able = ability + rng.normal(0, world.seed_deviation)
            means = {key: real - able - deficit - taste[key[0]] for key, deficit in deficits.items()}
            scores.append(_judge(judge, seed, real, means, pictures, real - able - world.deficit, rng))
    return scores


def _judge(
    model: str, seed: int, real: float, means: Mapping[tuple[str, int], float],
    pictures: Mapping[tuple[str, int], NDArray[np.floating]], own: float, rng: np.random.Generator,
) -> JudgeScores:  # fmt: skip
    """One judge's logits; half of the variance of a generated image's is the image's own, before every judge."""
    n = len(next(iter(pictures.values())))
    own_part = math.sqrt(1 - SHARED)
    samples = {
        key: mean + math.sqrt(SHARED) * pictures[key] + own_part * rng.normal(size=n) for key, mean in means.items()
    }
    samples.setdefault((model, seed), own + rng.normal(size=n))
    test, train, valid = (real + rng.normal(size=n) for _ in range(3))
    return JudgeScores(model, seed, test, train, valid, samples)


def winners(row: Row) -> dict[str, str | None]:
    """Rule -> the model that it names, None for a tie or no verdict."""
    low, high = (float(row[f"r_sample_matched_{side}"] or 1) for side in ("low", "high"))
    by_ratio = row["model_1"] if high < 1 else row["model_2"] if low > 1 else None
    named = dict(zip(RULES, (row["verdict"], row["winner"], row["winner_tested"], by_ratio), strict=True))
    return {rule: str(name) if name in PAIR else None for rule, name in named.items()}


def rates(world: World, draws: int, seed: int = 0) -> list[Row]:
    """Rows of COLUMNS: the share of `draws` in which each rule is right, and in which it is wrong.

    With equal generators any winner is wrong; else the worse model as the winner is.
    """
    case = PAIR.index(world.better_judge)
    rng = np.random.default_rng([seed, world.seeds, world.judges, round(100 * world.effect), case])
    named: dict[str, list[str | None]] = {rule: [] for rule in RULES}
    for _ in range(draws):
        (row,) = battle_rows(PAIR, simulate(world, rng))
        for rule, winner in winners(row).items():
            named[rule].append(winner)
    rows: list[Row] = []
    for rule, found in named.items():
        better, worse = (found.count(model) / draws for model in PAIR)
        right, wrong = (better, worse) if world.effect else (0.0, better + worse)
        error = math.sqrt(max(p * (1 - p) for p in (right, wrong)) / draws)
        row = {name: getattr(world, name) for name in ("judges", "seeds", "effect", "better_judge")}
        rows.append({**row, "rule": rule, "draws": draws, "right": right, "wrong": wrong, "standard_error": error})
    return rows


def worlds(judges: tuple[int, ...]) -> Iterator[World]:
    """Every number of judges and seeds and every effect; where there is one, either model may have the better judge."""
    for count, seeds, effect in itertools.product(judges, SEEDS, EFFECTS):
        for better_judge in PAIR if effect else (WORSE,):
            yield World(judges=count, seeds=seeds, effect=effect, better_judge=better_judge)


def main(words: list[str] | None = None) -> None:
    """Simulate, print a line per world, write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.verdicts", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE.csv")
    parser.add_argument("--draws", type=int, default=500, help="of each world (default: 500)")
    parser.add_argument("--judges", type=int, nargs="+", default=[3, 6], help="third-party judges (default: 3 6)")
    asked = parser.parse_args(words)
    found: list[Row] = []
    for world in worlds(tuple(asked.judges)):
        found += rates(world, asked.draws)
        last = ", ".join(f"{row['rule']} {row['right']:.3f}/{row['wrong']:.3f}" for row in found[-len(RULES) :])
        what = f"{world.judges} judges, {world.seeds} seeds, effect {world.effect:g}, {world.better_judge} judge"
        print(f"{what}: right/wrong {last}", flush=True)
    artifacts.write_text(asked.to, to_csv(found, COLUMNS))


if __name__ == "__main__":
    main()
