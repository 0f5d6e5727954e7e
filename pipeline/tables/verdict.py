"""What a reader wants to know first of a data set's tables, in sentences written from their numbers.

Who leads and how sure that is, who leads on the other headline metrics, what cannot be told apart, who is no better
than noise, what became of the papers' claims, and the rare classes of imbalanced data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.references import REFERENCES
from pipeline.tables.budget import FAR_APART
from pipeline.tables.claims import DISAGREE, UNRESOLVED, Evidence, claim_rows, tally
from pipeline.tables.columns import Description, describe, headline_columns
from pipeline.tables.ranks import Rank, ranks
from pipeline.tables.rows import Row
from pipeline.tables.sentence import ONE_SEED, leaders, listed
from pipeline.tables.tail import few
from pipeline.tables.text import competing, contenders, is_compared, no_better_than_noise, readable, with_interval

Table = Sequence[Mapping[str, Any]]
NAMED = 6
"""Models that a sentence names; more are counted."""
NO_COLUMN = "Nothing is compared: no headline metric has two models with a value."
EXCEPTED = 2
"""'All but' so many models, where more are meant than a sentence names."""
WELCH, HOLM = "Welch's t", "Holm over the headline metrics"
IDEALS = {"lower": "lower is better", "higher": "higher is better", "near_real": "nearer to real images is better"}
TAIL_METRICS = ("coverage_tail", "class_accuracy_tail", "tail_accuracy_gain")


@dataclass(frozen=True)
class Tables:
    """The tables of one data set that the verdict is read from; `trained` maps a model to that whose training it is."""

    main: Table
    seeds: Table = ()
    claims: Table = ()
    metrics: Mapping[str, Description] = field(default_factory=dict)
    trained: Mapping[str, str] = field(default_factory=dict)
    bands: Mapping[str, Any] | None = None

    @property
    def models(self) -> list[Mapping[str, Any]]:
        """The rows that are no references."""
        return [row for row in self.main if row["model"] not in REFERENCES]

    @property
    def headline(self) -> list[str]:
        """The headline metrics, the most important first, and the rating, where at least two models have a value."""
        names = [name for name in headline_columns(self.metrics, self.main) if name in {*self.metrics, "rating"}]
        return [name for name in names if sum(row.get(name) is not None for row in self.models) > 1]

    def label(self, name: str) -> str:
        """A column's name in words."""
        return str(describe(self.metrics)[name]["label"])

    def first(self, name: str) -> list[str]:
        """The best model of a column, then those that cannot be told apart from it."""
        return leaders(self.main, name, describe(self.metrics)[name]["better"])

    def value(self, model: str, name: str) -> str:
        """A cell with its interval."""
        row = next((row for row in self.main if row["model"] == model), {})
        return with_interval(row, name)


def verdict(tables: Tables) -> dict[str, Any]:
    """`lead`, one sentence; `points`, pairs of a title and its lines; `ranks`, each model with its rank.

    `leaders` are the models that may have the first rank, two at most.
    """
    parts = {
        "How sure": [how_sure(tables)],
        "Rare classes": tail(tables),
        "Other headline metrics": others(tables),
        "Cannot be told apart": alike(tables),
        "No better than noise or the mean image": beaten(tables),
        "Status not ok": [not_ok(tables)],
        "Unequal training": [unequal(tables)],
        "The papers' claims": [claimed(tables.claims)],
    }
    places = ranked(tables)
    return {
        "lead": lead(tables),
        "points": [(title, lines) for title, lines in parts.items() if any(lines)],
        "ranks": places,
        "leaders": max(1, min(2, sum(rank is not None and rank.low == 1 for rank, _ in places))),
    }


def lead(tables: Tables) -> str:
    """Who has the best value of the first headline metric, and on what else the same model leads alone."""
    if not tables.headline:
        measured = listed([str(row["model"]) for row in tables.models]) if tables.models else "no model"
        return f"Nothing is compared: only {measured} was measured." if len(tables.models) < 2 else NO_COLUMN
    metric = tables.headline[0]
    first = tables.first(metric)
    if not first:
        reason = (
            "all failed"
            if all(competing(row, metric) is None for row in tables.models)
            else "none is better than noise"
        )
        return f"No model leads on {tables.label(metric)}: {reason}."
    if not is_compared(tables.main, metric):
        return f"Only {first[0]} is compared on {tables.label(metric)}: the others failed."
    if len(first) > 1:
        return f"{_some(first)} lead on {tables.label(metric)} and cannot be told apart."
    led = [
        tables.label(name) for name in tables.headline if tables.first(name) == first and is_compared(tables.main, name)
    ]
    return f"{first[0]} leads on {listed(led)}."


def how_sure(tables: Tables) -> str:
    """The leader's value, the next model's and that of real images, the seeds, and p where there are several seeds."""
    if not tables.headline or not tables.first(tables.headline[0]):
        return ""
    metric = tables.headline[0]
    best, after = tables.first(metric)[0], runner_up(tables, metric)
    apart = f"{best} {best_of(tables, metric)}; {ideal(tables, metric)}; 95 % intervals in brackets."
    seeds = sorted({int(row.get("seeds") or 0) for row in tables.models})
    if seeds == [1]:
        return f"{apart} {ONE_SEED} So this ranks trained models, not methods."
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    words = f"{apart} {count} seeds; the intervals are over seeds."
    test = next((row for row in leader_tests(tables) if row["measure"] == metric), {}) if after else {}
    if (p := test.get("p_holm")) is None:
        return words
    paired = tables.trained.get(best, best) == tables.trained.get(after, after)
    but = f"; {DISAGREE}" if DISAGREE in str(test["reason"]) else ""
    return f"{words} {best} against {after}: {p_value(float(p))} ({'paired t' if paired else WELCH}, {HOLM}){but}."


def best_of(tables: Tables, name: str) -> str:
    """'1.2 [1, 1.4], next b 2 [1.9, 2.1]; real images get 0.1'."""
    best, after = tables.first(name)[0], runner_up(tables, name)
    parts = [tables.value(best, name), f"next {after} {tables.value(after, name)}" if after else ""]
    return "; ".join([", ".join(filter(None, parts)), *filter(None, [real_value(tables, name)])])


def real_value(tables: Tables, name: str) -> str:
    """'real images get 0.1'; empty where they have no value."""
    value = tables.value("real", name).split(" ")[0]
    return f"real images get {value}" if value else ""


def ideal(tables: Tables, name: str) -> str:
    """Which values of a column are better."""
    return IDEALS[describe(tables.metrics)[name]["better"]]


def runner_up(tables: Tables, name: str) -> str:
    """The second best model of a column; empty where there is none."""
    losses = contenders(tables.main, name, describe(tables.metrics)[name]["better"])
    order = sorted(losses, key=lambda index: losses[index])
    return str(tables.main[order[1]]["model"]) if len(order) > 1 else ""


def leader_tests(tables: Tables) -> list[Row]:
    """The best model against the second of every headline metric, as the papers' claims are tested."""
    pairs = [(name, tables.first(name), runner_up(tables, name)) for name in tables.headline if name in tables.metrics]
    asked = [
        {"measure": name, "better": first[0], "worse": second, "claim": "", "paper": "headline", "definition": "ours"}
        for name, first, second in pairs
        if first and second
    ]
    real = next((row for row in tables.main if row["model"] == "real"), {})
    return claim_rows(asked, Evidence(tables.seeds, tables.metrics, real, judged_by=tables.trained))


def p_value(p: float) -> str:
    """'p = 0.012', or 'p < 0.001'."""
    return "p < 0.001" if p < 0.001 else f"p = {readable(p, 2)}"


def others(tables: Tables) -> list[str]:
    """Who leads alone on the other headline metrics."""
    first = tables.first(tables.headline[0]) if tables.headline else []
    lines = []
    for name in tables.headline[1:]:
        leading = tables.first(name)
        if len(leading) == 1 and leading != first and is_compared(tables.main, name):
            lines.append(f"{tables.label(name)}: {leading[0]} {best_of(tables, name)}; {ideal(tables, name)}.")
    return lines


def alike(tables: Tables) -> list[str]:
    """Models with one rank by the first metric, but the leaders, of whom `lead` tells; those that lead on another."""
    places: dict[tuple[int, int], list[str]] = {}
    for rank, model in ranked(tables):
        if rank is not None:
            places.setdefault((rank.low, rank.high), []).append(model)
    names = tables.headline
    groups = [models for (low, _), models in places.items() if len(models) > 1 and low > 1]
    lines = [f"{tables.label(names[0])}: {'; '.join(map(_some, groups))}."] if groups else []
    found = {tables.label(name): tables.first(name) for name in names[1:]}
    return lines + [f"{label}: {_some(models)}." for label, models in found.items() if len(models) > 1]


def beaten(tables: Tables) -> list[str]:
    """Models that noise or the mean image equals or beats on a headline metric."""
    lines = []
    for name in tables.headline:
        models = no_better_than_noise(tables.main, name, describe(tables.metrics)[name]["better"])
        if models:
            lines.append(f"{tables.label(name)}: {_some(models, [str(row['model']) for row in tables.models])}.")
    return [*lines, "Such a value is no evidence of quality."] if lines else []


def not_ok(tables: Tables) -> str:
    """Models whose status is not ok, by status."""
    by_status: dict[str, list[str]] = {}
    for row in tables.models:
        if row.get("status") not in (None, "ok"):
            by_status.setdefault(str(row["status"]), []).append(str(row["model"]))
    return _sentence(f"{listed(models)}: {status}" for status, models in by_status.items())


def unequal(tables: Tables) -> str:
    """Who saw most images in training and who fewest, where they are FAR_APART."""
    seen = {str(row["model"]): float(row["images_seen"]) for row in tables.models if row.get("images_seen")}
    most, fewest = (limit(seen, key=lambda name: seen[name], default="") for limit in (max, min))
    if not seen or seen[most] < FAR_APART * seen[fewest]:
        return ""
    return f"Images seen: from {round(seen[fewest]):,} ({fewest}) to {round(seen[most]):,} ({most})."


def claimed(rows: Table) -> str:
    """How many claims are held, reversed and unresolved, and the most frequent reason of the last."""
    if not rows:
        return ""
    reasons = Counter(str(row["reason"]).split("; ")[0] for row in rows if row["verdict"] == UNRESOLVED)
    why = [f"{count} of these: {reason}" for reason, count in reasons.most_common(1)]
    return f"{'; '.join([tally(rows), *why])}."


def tail(tables: Tables) -> list[str]:
    """Who leads on the columns of rare classes, and how many images these have; nothing for balanced data."""
    if tables.bands is None:
        return []
    lines = []
    for name in TAIL_METRICS:
        if name in tables.metrics and (first := tables.first(name)):
            alone = sum(row.get(name) is not None for row in tables.models) == 1
            lead = first[0] if len(first) == 1 else f"{_some(first)} cannot be told apart;"
            value = " ".join([lead, tables.value(first[0], name)])
            lines.append("; ".join(filter(None, [value, real_value(tables, name), "no other is measured" * alone])))
            lines[-1] = f"{tables.label(name)}: {lines[-1]}."
    return [*lines, f"{few(tables.bands)}."]


def ranked(tables: Tables) -> list[tuple[Rank | None, str]]:
    """Every model with its rank by the first headline metric, the best first; last, without one, those that failed."""
    found: dict[str, Rank] = {}
    if tables.headline:
        known = describe(tables.metrics)
        real = next((row for row in tables.main if row["model"] == "real"), {})
        found = ranks(tables.main, tables.headline[0], Evidence(tables.seeds, known, real, judged_by=tables.trained))
    failed = [str(row["model"]) for row in tables.models if row["model"] not in found]
    return [*((rank, model) for model, rank in found.items()), *((None, model) for model in failed)]


def _some(models: Sequence[str], of: Sequence[str] = ()) -> str:
    """Models by name; where they are more than NAMED, all `of` these but who is left out, or how many they are."""
    left = [name for name in of if name not in models]
    if of and len(models) > 1 and len(left) <= EXCEPTED:
        return f"all but {listed(left)}" if left else "all models"
    if len(models) <= NAMED:
        return listed(models)
    return f"{len(models)} of {len(of)} models" if of else f"{models[0]} and {len(models) - 1} others"


def _sentence(parts: Any) -> str:
    words = "; ".join(parts)
    return f"{words}." if words else ""
