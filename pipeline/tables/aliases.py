"""Old column names of tables that were published before a rename: one table, applied on reading, never on disk."""

from __future__ import annotations

import csv
import io

RENAMED_IN_VERSION_0_2 = {
    "fid_classifier": "fd_classifier",
    "fid_classifier_infinite": "fd_classifier_infinite",
    "fid_pixels": "fd_pixels",
    "fid_pixels_as_written": "fd_pixels_as_written",
    "nn1_loo_error": "c2st_1nn_error",
    "bayes_error": "naive_bayes_error",
    "bayes_error_real": "naive_bayes_error_real",
    "bayes_error_generated": "naive_bayes_error_generated",
    "bayes_error_max": "naive_bayes_error_max",
    "elbo_iw": "iwae_bound",
    "sits": "is_eligible",
}
"""Columns of tables written up to version 0.1 -> their names since."""

COLUMN_ALIASES = RENAMED_IN_VERSION_0_2
"""Old column -> today's. A later rename adds a table of its own here."""
BOUNDS = ("_low", "_high")
"""Endings of the columns with a metric's 95 % interval."""


def current_column(name: str) -> str:
    """Today's name of a column, or of a bound of its interval."""
    ending = next((ending for ending in BOUNDS if name.endswith(ending)), "")
    metric = name.removesuffix(ending)
    return COLUMN_ALIASES.get(metric, metric) + ending


def with_current_columns(text: str) -> str:
    """The text of a CSV table with today's column names; every byte below its header is kept."""
    header, newline, rows = text.partition("\n")
    names = next(csv.reader([header]), [])
    current = [current_column(name) for name in names]
    if current == names:
        return text
    line = io.StringIO()
    csv.writer(line, lineterminator=newline).writerow(current)
    return line.getvalue() + rows
