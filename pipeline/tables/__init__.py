"""The tables: their rows, the meaning of their columns, and their text as CSV, Markdown, LaTeX and on a terminal."""

from pipeline.tables.columns import (
    COST_COLUMNS,
    NETWORK_COLUMNS,
    describe,
    headline_columns,
    main_columns,
    seeds_columns,
)
from pipeline.tables.published import CAVEAT, FILES, published_metrics, published_rows
from pipeline.tables.rows import Row, Run, cost_table, main_table, network_table, seeds_table
from pipeline.tables.text import (
    battles_markdown,
    claims_markdown,
    from_csv,
    notes_markdown,
    published_markdown,
    ranks_markdown,
    to_csv,
    to_latex,
    to_markdown,
    to_terminal,
)

__all__ = [
    "CAVEAT",
    "COST_COLUMNS",
    "FILES",
    "NETWORK_COLUMNS",
    "Row",
    "Run",
    "battles_markdown",
    "claims_markdown",
    "cost_table",
    "describe",
    "from_csv",
    "headline_columns",
    "main_columns",
    "main_table",
    "network_table",
    "notes_markdown",
    "published_markdown",
    "published_metrics",
    "published_rows",
    "ranks_markdown",
    "seeds_columns",
    "seeds_table",
    "to_csv",
    "to_latex",
    "to_markdown",
    "to_terminal",
]
