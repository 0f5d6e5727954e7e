"""The papers' claims by the length of the trainings: the verdicts of several tables of claims side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tables.claims import Evidence, claim_rows, claims_columns
from pipeline.tables.columns import Description
from pipeline.tables.rows import Row

SHARES = {"third": 0.3333, "two_thirds": 0.6667, "whole": 1.0}
"""Name of a length -> its share of every training's steps."""
KEYS = ("paper", "claim", "definition", "measure", "better", "worse")
VERDICTS = tuple(f"verdict_{name}" for name in SHARES)
LENGTHS_COLUMNS = (*KEYS, *VERDICTS, *(f"difference_{name}" for name in SHARES))


def by_length(claims: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Rows of LENGTHS_COLUMNS from the tables of claims by the name of their length.

    A claim that a table lacks has empty cells there.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    for name, table in claims.items():
        for claim in table:
            keys = {key: claim[key] for key in KEYS}
            row = rows.setdefault(tuple(keys.values()), dict.fromkeys(LENGTHS_COLUMNS) | keys)
            row |= {f"verdict_{name}": claim["verdict"], f"difference_{name}": claim["difference"]}
    return list(rows.values())


def between_lengths(
    claims: Sequence[Mapping[str, str]],
    seeds: Mapping[str, Sequence[Row]],
    metrics: Mapping[str, Description],
    dataset: str,
) -> list[Row]:
    """Rows of CLAIM_COLUMNS for the claims that name models with the length of their training, as in `dcgan@whole`.

    `seeds` are tables by seed by the name of their length. One training's lengths are paired by seed.
    """
    rows: list[Row] = [{**row, "model": f"{row['model']}@{name}"} for name, table in seeds.items() for row in table]
    trained = {str(row["model"]): str(row["model"]).partition("@")[0] for row in rows}
    return claim_rows(claims, Evidence(rows, metrics, judged_by=trained, dataset=dataset))


def changed(rows: Sequence[Row]) -> list[Row]:
    """The claims whose verdict is not the same at every length."""
    return [row for row in rows if len({row[name] for name in VERDICTS}) > 1]


def lengths_columns() -> dict[str, dict[str, Any]]:
    """What LENGTHS_COLUMNS mean, in the form of tables.columns."""
    known = claims_columns()
    described = {
        f"{column}_{name}": known[column] | {"label": f"{known[column]['label']}, {name.replace('_', ' ')}"}
        for column in ("verdict", "difference")
        for name in SHARES
    }
    return known | described
