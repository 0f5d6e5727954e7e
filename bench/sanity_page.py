"""The page of the sanity checks: pass and fail of every check and column, and what they mean, from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.sanity_checks import CHECKS, COPYING, DIVERSITY, FIDELITY, KINDS, OVERALL
from pipeline.tables.rows import Row
from pipeline.tables.text import readable

INTRO = """# Sanity checks of the metrics

This page shows for which purpose each column of the table can be trusted. Räisä et al. 2025
([arXiv:2505.22450](https://arxiv.org/abs/2505.22450)) compare toy distributions with a known relation, and state what a
good metric would show. This page applies their 15 checks to our columns, with the code that fills the tables. The check
with whole numbers has two rows: one for real and one for generated images.

```sh
.venv/bin/python -m bench.sanity --to runs/sanity.csv --page docs/sanity.md
```

The command writes this page from its numbers. {made_by}

Each value is the mean of {repeats} draws of 1,000 points (FLD: one). Shapes, bounds and tolerances are those of the
paper's code. What differs:

- Our sweeps have fewer points and end at 4,000 images instead of 10,000.
- Our columns do not normalise the scale of each feature, so the checks do not either.
- Columns that are neither fidelity nor diversity are checked too. They are scaled so that 1 is as good as real images:
  an error rate is doubled; a distance (the root of a squared one) is divided by the largest one of its sweep and
  subtracted from 1.

A failed check is not an error in the code: the paper finds that every metric fails some checks. It shows which
conclusions a column does not support.

- *purpose*: the values change as they should. *bounds*: the best and the worst value are reached to within 0.05. A
  distance has no worst value.
- *data*: the value converges as the number of images grows. *hyperparameters*: it converges as the number of samples
  grows.
- *invariance*: the value does not depend on the scale of one feature.
"""
HEADS = {
    FIDELITY: "Are samples like real images?",
    DIVERSITY: "Do samples cover all kinds of real images?",
    OVERALL: "Fidelity and diversity together",
    COPYING: "Are samples copies?",
}
ALARMS = """No samples in these checks are copies of training images, so a column about copying passes if it
stays within 0.1 (`fld_gap`: 10) of the value of new real images."""
LADDER = """## The copy ladder

Some of the samples are training points, the others are new points of the real distribution (1,000 points, 16
dimensions). A column about copying must change with every step.
"""

BRACKETS = """The columns named here failed the check. A column in brackets failed only the bounds: its order is right,
but its value for perfect or for useless samples is not fixed. Compare it with the rows `real` and `noise`, not with 0
or 1.
"""
FALSE_ALARMS = """a column about copying reports copies where there are none. Samples nearer to each other or to
  the mean than real images (blurred or averaged ones) are also nearer to training images. Outliers and invented kinds
  of images change `fld_gap`, a mean of unbounded logarithms. If samples have few distinct values, `authenticity`
  depends on chance. Look at the nearest training images before you conclude that a model copies."""
BLIND = "The last four columns are not checked: they rate copies of training images as highly as new real images.\n"


def page(judged: Sequence[Row], steps: Sequence[Row], monotone: Mapping[str, bool], repeats: int, made_by: str) -> str:
    """The whole page, as Markdown."""
    parts = [INTRO.format(repeats=repeats, made_by=made_by)]
    for kind, title in HEADS.items():
        rows = [row for row in judged if KINDS[str(row["column"])] == kind]
        parts.append(f"## {title}\n\n" + (f"{ALARMS}\n\n" if kind == COPYING else "") + verdict_table(kind, rows))
    parts += [meanings(judged), ladder_section(steps, monotone)]
    return "\n".join(parts)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left."""
    lines = [heads, ["---"] + [":-:"] * (len(heads) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def verdict_table(kind: str, judged: Sequence[Row]) -> str:
    """Checks and desiderata as rows, columns of one kind as columns; the last row counts."""
    columns = [column for column in KINDS if KINDS[column] == kind]
    rows = []
    for check, desideratum in dict.fromkeys((row["check"], row["desideratum"]) for row in judged):
        found = {
            row["column"]: row["passed"] for row in judged if (row["check"], row["desideratum"]) == (check, desideratum)
        }
        cells = ["" if column not in found else "pass" if found[column] else "**fail**" for column in columns]
        rows.append([f"{check}: {desideratum}", *cells])
    counts = [[row["passed"] for row in judged if row["column"] == column] for column in columns]
    rows.append(["passed", *(f"{sum(map(bool, found))} of {len(found)}" for found in counts)])
    return table(["Check", *(f"`{column}`" for column in columns)], rows)


def meanings(judged: Sequence[Row]) -> str:
    """What the failures mean, by check, with the columns that fail."""
    lines = [
        "## What the failures mean\n",
        BRACKETS,
    ]
    failed = [row for row in judged if not row["passed"]]
    alarms = [row for row in failed if KINDS[str(row["column"])] == COPYING]
    for check in CHECKS:
        its_own = [row for row in failed if row["check"] == check.title and row not in alarms]
        there = any(row["check"] == check.title for row in judged)
        lines += [f"- **{check.title}**: {check.lesson}. {named(its_own)}"] if there else []
    lines += [f"- **False alarms**: {FALSE_ALARMS}"]
    lines += [f"  - {check}: {named([row for row in alarms if row['check'] == check])}" for check in checks_of(alarms)]
    return "\n".join(lines) + "\n"


def checks_of(rows: Sequence[Row]) -> list[str]:
    """Their checks, each once."""
    return list(dict.fromkeys(str(row["check"]) for row in rows))


def named(failed: Sequence[Row]) -> str:
    """Columns that failed, those whose bounds alone failed in brackets."""
    columns = dict.fromkeys(str(row["column"]) for row in failed)
    if not columns:
        return "None fails."
    alone = {
        column for column in columns if {row["desideratum"] for row in failed if row["column"] == column} == {"bounds"}
    }
    return ", ".join(f"(`{column}`)" if column in alone else f"`{column}`" for column in columns) + "."


def ladder_section(steps: Sequence[Row], monotone: Mapping[str, bool]) -> str:
    """The ladder's values, whether each column is monotone, and what the other columns see of it."""
    columns = [*monotone, "fd_classifier", "precision", "recall", "coverage"]
    rows = [[f"{float(step['share'] or 0):.0%}", *(readable(step[column], 3) for column in columns)] for step in steps]
    rows.append(
        ["monotone", *("pass" if monotone[c] else "**fail**" for c in monotone), *[""] * (len(columns) - len(monotone))]
    )
    return f"{LADDER}\n{table(['Copies', *(f'`{column}`' for column in columns)], rows)}\n{BLIND}"
