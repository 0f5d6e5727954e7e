"""The page of a paper as Markdown: what it states and claims, its tables with ours, what agrees and what does not.

Values only: no file is read here but the papers' own numbers. Sentences about results come from the results.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.references import REFERENCES
from pipeline.tables.budget import BUDGET_COLUMNS, budget_note, budget_rows
from pipeline.tables.claims import HELD, REVERSED, UNRESOLVED, claims_columns, tally
from pipeline.tables.columns import PAPER_METRICS, Description, describe, headline_columns
from pipeline.tables.comparison import interval
from pipeline.tables.published import CAVEAT, FOLDER, is_of, published_metrics, published_rows
from pipeline.tables.rows import Row, Value
from pipeline.tables.sentence import listed
from pipeline.tables.text import readable, to_markdown

Table = Sequence[Mapping[str, Value]]

WHOSE = {"paper": "by the paper's definition", "ours": "by our definition"}
VERDICTS = {HELD: "What agrees", REVERSED: "What does not agree", UNRESOLVED: "What is unresolved"}
ONE_SEED = "one seed"
WRITTEN = (
    "This page is written by `.venv/bin/python -m pipeline pages` from `results/published/`, "
    "`docs/papers/settings.csv` and `docs/papers/pages.yaml`. Do not edit it."
)


@dataclass(frozen=True)
class Results:
    """A published set as a page shows it.

    `tables` has `main`, `claims`, `battles`, `judges`, `networks` and `cost`, empty where the set has none. `forms` are
    keys of FORMS. `origin` is the table of its README. `figures` are (path beside the page, caption).
    """

    name: str
    title: str
    dataset: str
    budget: str
    models: Sequence[str]
    tables: Mapping[str, Table]
    metrics: Mapping[str, Description]
    forms: Sequence[str] = ()
    published: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[tuple[str, str]] = ()
    checks: Sequence[Mapping[str, str]] = ()
    reasons: Sequence[Mapping[str, str]] = ()

    def rows(self, table: str, *keys: str) -> list[Row]:
        """Rows of a table whose `keys` all name models of the page (or references)."""
        wanted = {*self.models, *REFERENCES}
        return [dict(row) for row in self.tables.get(table, ()) if all(row.get(key) in wanted for key in keys)]

    def budget_rows(self) -> list[Row]:
        """Images seen, CPU seconds and parameters of the page's models."""
        parameters = {str(row["model"]): row.get("parameters") for row in self.tables.get("main", ())}
        return budget_rows(self.rows("cost", "model"), parameters)

    def values(self) -> dict[str, dict[str, Value]]:
        """Model -> every value of its row and of its budget, for the sentences of pages.yaml."""
        values = {str(row["model"]): dict(row) for row in self.tables.get("main", ())}
        for row in self.budget_rows():
            images, seconds = row["images_seen"], row["train_cpu_seconds"]
            more = {} if not images or seconds is None else {"cpu_per_1000": 1000 * float(seconds) / float(images)}
            values.setdefault(str(row["model"]), {}).update(row | more)
        return values


def page(
    about: Mapping[str, Any], settings: Sequence[Mapping[str, str]], claims: Sequence[Mapping[str, str]],
    results: Sequence[Results], not_run: Sequence[Mapping[str, str]],
) -> str:  # fmt: skip
    """The whole page; `about` is its block of pages.yaml, `claims` the paper's rows of claims.csv."""
    parts = [f"# {about['cites']}: {about['title']}", WRITTEN, "## The paper", *about["about"]]
    parts += [*_settings(settings), *_claimed(claims)]
    for found in results:
        parts += _results(found, claims)
    if not results:
        parts += ["## Results", "There are no results yet. The commands are below."]
    parts += _not_run(not_run)
    if results:
        parts += ["## Commands, commits and provenance", *(_origin(found) for found in results)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


# --- the paper --------------------------------------------------------------------------------------------------------


def _settings(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """What the paper states and what it leaves open, models with the same setting in one row."""
    stated, left = ([row for row in settings if (row["value"] == "open") is is_open] for is_open in (False, True))
    parts = ["### Settings that the paper states", _plain_table(
        ("Data set", "Network", "Setting", "Value", "Where"),
        _merged(stated, ("data set", "setting", "value", "source")),
    )] if stated else []  # fmt: skip
    if left:
        rows = _merged(left, ("data set", "setting", "here", "source"))
        parts += ["### What the paper leaves open", _plain_table(
            ("Data set", "Network", "Setting", "Here at the budget `paper`", "What the paper says of it"),
            [(*row[:3], row[3] or "see `params.yaml`", row[4]) for row in rows],
        )]  # fmt: skip
    return parts


def _merged(rows: Iterable[Mapping[str, str]], keys: tuple[str, str, str, str]) -> list[tuple[str, ...]]:
    """Rows (data set, models, setting, value, source) with the models of equal ones together."""
    models: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        models.setdefault(tuple(row[key] for key in keys), []).append(f"`{row['model']}`")
    return [(key[0], ", ".join(names), *key[1:]) for key, names in models.items()]


def _claimed(claims: Sequence[Mapping[str, str]]) -> list[str]:
    """The claims, each once, with where the paper makes them."""
    if not claims:
        return ["### What it claims", "The paper makes no claim about the order of two models."]
    places = {claim["claim"]: claim["section"].split("; the ")[0] for claim in reversed(claims)}
    return [
        "### What it claims",
        "\n".join(f"- {claim[:1].upper()}{claim[1:]} ({place})." for claim, place in reversed(places.items())),
    ]


def _plain_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# --- results ----------------------------------------------------------------------------------------------------------


def _results(found: Results, claims: Sequence[Mapping[str, str]]) -> list[str]:
    """One published set: its tables in the paper's form and in ours, the claims, the figures."""
    rows = found.rows("main", "model")
    parts = [f"## {found.title}", _of_what(found, rows)]
    parts += [part for form in found.forms for part in FORMS[form](found)]
    marked = found.metrics if len({row["model"] for row in rows} - {*REFERENCES}) > 1 else _unmarked(found.metrics)
    parts += ["### In our measures", to_markdown(rows, marked, _there(rows, headline_columns(found.metrics, rows)))]
    budget = found.budget_rows()
    if budget:
        heads = [str(describe()[column]["label"]) for column in BUDGET_COLUMNS]
        cells = [[readable(_whole(row[column])) for column in BUDGET_COLUMNS] for row in budget]
        parts += ["### What each row was given", _plain_table(heads, cells), budget_note(budget)]
    parts += [*_tested(found, claims), *_checks(found)]
    parts += [f"![{caption}]({path})\n\n*{caption}*" for path, caption in found.figures]
    return parts


def _of_what(found: Results, rows: Table) -> str:
    """The set, its budget, and how many trainings and images its numbers are of."""
    models = [row for row in rows if row["model"] not in REFERENCES]
    seeds, n_fake, n_real = (
        min((float(row.get(name) or 0) for row in models), default=0.0) for name in ("seeds", "n_fake", "n_real")
    )
    return (
        f"Published set `{found.name}`: budget `{found.budget}`, {readable(seeds)} {'seed' if seeds == 1 else 'seeds'} "
        f"per model, {readable(n_fake)} samples of each training against {readable(n_real)} held-out images."
    )


def _unmarked(metrics: Mapping[str, Description]) -> dict[str, Description]:
    """Descriptions by which no row is the best one."""
    return {name: {**about, "better": None} for name, about in metrics.items()}


def _whole(value: Value) -> Value:
    return round(value) if isinstance(value, float) else value


def _there(rows: Table, columns: Sequence[str]) -> list[str]:
    return [column for column in columns if any(row.get(column) is not None for row in rows)]


def _scores(found: Results) -> list[str]:
    """The table of Renkila et al., under each of its rows ours by their definitions."""
    ours = ("mmd_linear", "fd_pixels_as_written", "knn_error_max", "naive_bayes_error_max")
    mine = {str(row["model"]): row for row in found.tables.get("main", ())}
    printed = published_metrics((FOLDER / f"{found.published}.csv").read_text(encoding="utf-8"))
    rows: list[list[str]] = []
    for model, values in printed.items():
        rows.append([f"`{model}`, paper", *(values[name] for name in PAPER_METRICS)])
        rows.append([f"`{model}`, ours", *(_with_interval(mine.get(model, {}), name) for name in ours)])
    columns = f"Our columns: {listed([f'`{name}`' for name in ours])}, with 95 % intervals."
    table = _plain_table(("Method", "MMD", "FID", "K-NN", "Bayes"), rows)
    return ["### The paper's table, ours below each row", table, f"{columns} {CAVEAT}"]


def _with_interval(row: Mapping[str, Value], column: str) -> str:
    value, (low, high) = readable(row.get(column)), (readable(bound, 3) for bound in interval(row, column))
    return f"{value} [{low}, {high}]" if value and low and high else value or "not measured"


def _battles(found: Results) -> list[str]:
    """Table 2 of Im et al. 2016."""
    rows = _with_ours(found, "gran_table2_battles", {"winner": "paper_winner"})
    columns = (
        "model_1", "model_2", "paper_r_test", "r_test", "paper_r_sample", "r_sample", "paper_winner", "winner",
        "verdict",
    )  # fmt: skip
    words = "The winner is by eq. 11 of the paper; the verdict is that of third-party judges (`docs/verdicts.md`)."
    return ["### Table 2 of the paper, with our values", to_markdown(rows, {}, columns), words] if rows else []


def _longer(found: Results) -> list[str]:
    """Table 4 of Im et al. 2016: GRAN5 sampled for more steps than it was trained for."""
    rows = _with_ours(found, "gran_table4_more_steps", {}, any_dataset=True)
    columns = ("model_1", "model_2", "paper_r_test", "r_test", "paper_r_sample", "r_sample")
    words = (
        "The paper's numbers are of CIFAR-10. Here both samples share GRAN5's judge, so r_test is 1 by construction."
    )
    rows = [row for row in rows if row.get("r_sample") is not None]
    return ["### Table 4 of the paper, with our values", to_markdown(rows, {}, columns), words] if rows else []


def _with_ours(found: Results, file: str, more: Mapping[str, str], any_dataset: bool = False) -> list[Row]:
    """The paper's battles with ours of the same pair, turned over where ours has the pair the other way round."""
    ours = {(row["model_1"], row["model_2"]): row for row in found.tables.get("battles", ())}
    ours = {**{(b, a): _turned(row) for (a, b), row in ours.items()}, **ours}
    printed = published_rows((FOLDER / f"{file}.csv").read_text(encoding="utf-8"))
    names = {"r_test": "paper_r_test", "r_sample": "paper_r_sample", **more}
    return [
        {**ours.get((row["model_1"], row["model_2"]), {}), "model_1": row["model_1"], "model_2": row["model_2"]}
        | {to: row[name] for name, to in names.items()}
        for row in printed
        if any_dataset or is_of(row, found.dataset)
    ]


def _turned(row: Mapping[str, Value]) -> Row:
    """A battle seen from the other side: the ratios over 1, their bounds exchanged."""
    turned = dict(row)
    for name in ("r_test", "r_sample"):
        for side, other in (("", ""), ("_low", "_high"), ("_high", "_low")):
            value = row.get(name + other)
            turned[name + side] = 1 / float(value) if value else None
    return turned


def _judged(found: Results) -> list[str]:
    """Table 3 of Im et al. 2016: how many samples of models without a discriminator pass GRAN's."""
    ours = {(row["judge"], row["contestant"]): row for row in found.tables.get("judges", ())}
    printed = published_rows((FOLDER / "gran_table3_non_adversarial.csv").read_text(encoding="utf-8"))
    rows: list[Row] = []
    for row in printed:
        if is_of(row, found.dataset):
            pair = (row["judge"], row["contestant"])
            rows.append({**ours.get(pair, {}), "judge": pair[0], "contestant": pair[1], "paper_error": row["error"]})
    columns = ("judge", "contestant", "paper_error", "error")
    return ["### Table 3 of the paper, with our values", to_markdown(rows, {}, columns)] if rows else []


def _sizes(found: Results) -> list[str]:
    """Table 1 of Ponnuru, which names layers, with the sizes and costs that its text compares."""
    rows = found.rows("networks", "model")
    columns = ("parameters_generator", "parameters_encoder", "parameters_discriminator", "parameters")
    return ["### Sizes of the networks", to_markdown(rows, {}, ["model", *_there(rows, columns)])] if rows else []


FORMS: Mapping[str, Callable[[Results], list[str]]] = {
    "scores": _scores,
    "battles": _battles,
    "judged": _judged,
    "longer": _longer,
    "sizes": _sizes,
}
"""A name in pages.yaml -> the table of the paper with our values; nothing where the paper prints no such row."""


# --- claims -----------------------------------------------------------------------------------------------------------


def _tested(found: Results, claims: Sequence[Mapping[str, str]]) -> list[str]:
    """The claims that the set's models let us test: a table, then what agrees, what does not, what is not settled."""
    rows = _in_words(found.tables.get("claims", ()), claims)
    if not rows:
        return ["### The claims", "No claim of the paper is about two models of this set."]
    shown = [
        {**row, "p_holm": readable(row["p_holm"], 2), "difference_low": row["low"], "difference_high": row["high"]}
        for row in rows
    ]
    columns = ("claim", "definition", "measure", "seeds", "difference", "p_holm", "verdict")
    counts = [
        f"{WHOSE[definition].capitalize()}: {tally(own)}."
        for definition in WHOSE
        if (own := [row for row in rows if row["definition"] == definition])
    ]
    parts = ["### The claims", to_markdown(shown, claims_columns(), columns), " ".join(counts), _readings(rows)]
    for verdict, title in VERDICTS.items():
        lines = _explained([row for row in rows if row["verdict"] == verdict], found)
        parts += [f"### {title}", "\n".join(lines)] if lines else []
    return parts


def _in_words(rows: Table, claims: Sequence[Mapping[str, str]]) -> list[Row]:
    """Claims in the paper's order, the paper's definition first, with their measure in words and its name behind."""
    words = {(c["claim"], c["definition"], c["measure"]): c["words"] for c in claims}
    order = list(dict.fromkeys(claim["claim"] for claim in claims))
    placed = sorted(rows, key=lambda row: (order.index(str(row["claim"])), list(WHOSE).index(str(row["definition"]))))
    return [
        {**row, "column": row["measure"],
         "measure": words[str(row["claim"]), str(row["definition"]), str(row["measure"])]}
        for row in placed
    ]  # fmt: skip


def _readings(rows: Table) -> str:
    """What the paper leaves open about its measures."""
    left = dict.fromkeys(
        f"`{row['column']}`: {row['open']}" for row in rows if row.get("open") not in (None, "nothing")
    )
    return f"The paper leaves open: {'; '.join(left)}." if left else ""


def _explained(rows: Table, found: Results) -> list[str]:
    """A line for each claim with one verdict and one reason: by which measures, and why."""
    single = [row for row in rows if str(row["reason"]).startswith(ONE_SEED)]
    lines = []
    if single:
        way = sum(row["difference"] is not None and float(row["difference"]) > 0 for row in single)
        lines.append(
            f"- One seed cannot be tested ({len(single)} of {len(rows)} verdicts). The difference goes the paper's way "
            f"in {way} of {len(single)}."
        )
    together: dict[tuple[Value, str], dict[str, list[str]]] = {}
    for row in rows:
        reason = _reason(row, found)
        if row not in single or reason:
            by = together.setdefault((row["claim"], reason or ("" if row in single else _known(row))), {})
            by.setdefault(WHOSE[str(row["definition"])], []).append(f"`{row['column']}`")
    for (claim, reason), by in together.items():
        measures = "; ".join(f"{whose}: {listed(columns)}" for whose, columns in by.items())
        lines.append(f"- **{claim}**, {measures}{f'. {reason}' if reason else '.'}")
    return lines


def _known(row: Mapping[str, Value]) -> str:
    """What the row itself says of its verdict, where pages.yaml has no reason."""
    if row["verdict"] == HELD:
        return ""
    if row["verdict"] == REVERSED:
        return "Why is not known."
    reason = str(row["reason"])
    return (
        "The seeds vary too much to tell (p above 0.05)."
        if reason.startswith("p above")
        else f"{reason[:1].upper()}{reason[1:]}."
    )


def _reason(row: Mapping[str, Value], found: Results) -> str:
    """The reason that pages.yaml gives for a tested verdict, its numbers filled in from the tables; else nothing."""
    for reason in found.reasons:
        same = (reason["claim"], reason["verdict"]) == (row["claim"], row["verdict"])
        if same and row["p"] is not None and row["column"] in reason["measures"].split():
            return filled(reason["text"], found.values())
    return ""


def _checks(found: Results) -> list[str]:
    """What the paper says without a test, with our numbers beside."""
    rows = [(check["says"], filled(check["here"], found.values())) for check in found.checks]
    rows = [(says, here) for says, here in rows if here]
    return ["### What else it says", _plain_table(("The paper", "Here"), rows)] if rows else []


class _Filler(string.Formatter):
    """Fills in `{model[column]:format}`; raises LookupError for a value that is not there."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """A value by its format; an empty cell is no value."""
        if value is None:
            raise LookupError("an empty cell")
        return str(super().format_field(value, format_spec))


def filled(text: str, values: Mapping[str, Mapping[str, Value]]) -> str:
    """A sentence with the numbers of the tables; nothing where one is missing."""
    try:
        return _Filler().vformat(text, (), values)
    except LookupError:
        return ""


# --- what is left -----------------------------------------------------------------------------------------------------


def _not_run(not_run: Sequence[Mapping[str, str]]) -> list[str]:
    """The experiments of the paper that no published set has at the paper's own settings, and their commands."""
    if not not_run:
        return ["## What has not been run", "Every experiment of the paper has been run with its own settings."]
    parts = ["## What has not been run", "The paper's own settings (budget `paper`) need a GPU; `budget=laptop` in the "
             "same command makes a shorter run on a CPU."]  # fmt: skip
    for item in not_run:
        parts.append(f"**{item['dataset']}** ({item['models']}): {item['state']}")
        parts.append(f"```sh\n{item['command']}\n```")
    return parts


def _origin(found: Results) -> str:
    """The table of a set's README."""
    rows = [(name, value) for name, value in found.origin.items()]
    return f"Set `results/published/{found.name}`:\n\n{_plain_table(('', ''), rows)}"
