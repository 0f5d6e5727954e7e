"""Write docs/papers/*.md from results/published/: for each paper, its claims and tables next to our results."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import artifacts, folders
from pipeline.core.errors import UserError
from pipeline.workflow import layout, params, yaml_loader

if TYPE_CHECKING:
    from pipeline.tables.folder import TableFolder
    from pipeline.tables.paper_page import Results

DOCS, PUBLISHED = Path("docs/papers"), Path("results/published")
IMAGES = "images"
COMPANIONS = ("battles", "judges", "networks", "cost")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("--to", type=Path, default=DOCS, help=f"folder of the pages (default: {DOCS})")


def run(arguments: argparse.Namespace) -> None:
    """Write every page and the figures that they show."""
    from pipeline.tables.claims import read_claims
    from pipeline.tables.paper_page import page
    from pipeline.tables.published import FOLDER

    blocks = yaml_loader.block_of(DOCS / "pages.yaml")
    settings = list(csv.DictReader((DOCS / "settings.csv").read_text(encoding="utf-8").splitlines()))
    stated = read_claims((FOLDER / "claims.csv").read_text(encoding="utf-8"))
    configured = params.load(["budget=paper"])
    images: dict[str, bytes] = {}
    texts: dict[Path, str] = {}
    for name, about in blocks.items():
        path = arguments.to / f"{name}.md"
        try:
            own_rows = [with_ours(row, configured) for row in settings if row["paper"] == about["cites"]]
            claims = [row for row in stated if row["paper"] == about["cites"]]
            results = list(results_of(about, configured, images))
            texts[path] = page(about, own_rows, claims, results, list(not_run(own_rows, results, configured)))
        except KeyError as error:
            problem = f"a key is missing, or a form is unknown: {error}"
            raise UserError(f"{DOCS}/pages.yaml: {name}: {problem}; see the comment at the top of the file") from error
        except ValueError as error:
            raise UserError(str(error)) from error
        print(f"{path}: {', '.join(section.name for section in results) or 'no results yet'}")
    for path, text in texts.items():
        artifacts.write_text(path, text)
    folders.replace(arguments.to / IMAGES, images)


def with_ours(row: Mapping[str, str], configured: params.Params) -> dict[str, str]:
    """A row of settings.csv, with the value of params.yaml where neither the paper nor the row has one."""
    if row["value"] != "open" or row["here"]:
        return dict(row)
    block = configured.model_for(row["data set"], row["model"])
    values = {**block["training"], **block["arguments"]}
    value = values.get(row["setting"], f"{values.get('steps'):,} steps" if row["setting"] == "epochs" else "")
    return {**row, "here": str(value)}


def results_of(about: Mapping[str, Any], configured: params.Params, images: dict[str, bytes]) -> Iterator[Results]:
    """The published sets of a page, in its order; what the page shows of their figures is added to `images`."""
    from pipeline.metrics import columns
    from pipeline.tables.folder import with_most_seeds
    from pipeline.tables.paper_page import Results

    settled: set[tuple[object, ...]] = set()
    for block in about["results"]:
        tables = with_most_seeds([PUBLISHED / name for name in block["sets"]], block["dataset"])
        if tables is None:
            continue
        tested = tables.claims(columns(), configured.judged_by, configured.protocol.battle_tolerance)
        claims = [(key_of(row, block["dataset"]), row) for row in tested if row["paper"] == about["cites"]]
        rows = {"claims": [row for key, row in claims if key not in settled], "main": tables.rows("")}
        settled |= {key for key, row in claims if row["p"] is not None}
        budget, origin = tables.origin()
        yield Results(
            name=name_of(tables),
            title=block["title"],
            dataset=block["dataset"],
            budget=budget,
            models=about["models"],
            tables=rows | {name: tables.rows(name) for name in COMPANIONS},
            metrics=columns(),
            forms=block.get("forms", ()),
            published=block.get("published", ""),
            origin=origin,
            figures=list(figures(tables, block.get("figures", {}), images)),
            checks=block.get("checks", ()),
            reasons=about.get("reasons", ()),
        )


def key_of(row: Mapping[str, Any], dataset: str) -> tuple[object, ...]:
    """What a claim's row is about: an earlier section that has tested it is not repeated."""
    return (dataset, row["claim"], row["definition"], row["measure"])


def name_of(tables: TableFolder) -> str:
    """A published set's name: its path in results/published/."""
    return tables.path.relative_to(PUBLISHED).as_posix()


def figures(tables: TableFolder, wanted: Mapping[str, str], images: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """(path beside the page, caption) of those figures that the set has."""
    for name, caption in wanted.items():
        path = tables.figure(name)
        if path is not None:
            copied = f"{name_of(tables).replace('/', '_')}_{name}.png"
            images[copied] = path.read_bytes()
            yield f"{IMAGES}/{copied}", caption


def not_run(
    settings: Sequence[Mapping[str, str]], results: Sequence[Results], configured: params.Params
) -> Iterator[dict[str, str]]:
    """Data sets of the paper whose networks no published set has at the budget `paper`, with the command."""
    for dataset in dict.fromkeys(row["data set"] for row in settings):
        models = list(dict.fromkeys(row["model"] for row in settings if row["data set"] == dataset))
        there = [(section.budget, str(row["model"])) for section in results if section.dataset == dataset
                 for row in section.tables["main"]]  # fmt: skip
        left = [model for model in models if ("paper", model) not in there]
        if left:
            shorter = [model for model in left if model in {name for _, name in there}]
            rest = [model for model in left if model not in shorter]
            states = {"run at another budget only": shorter, "not run at all": rest}
            state = "; ".join(f"{words}: {', '.join(names)}" for words, names in states.items() if names) + "."
            about = configured.datasets[dataset]
            needs = f" Data: {about.manual_download}." if about.manual_download and not about.sources else ""
            yield {"dataset": dataset, "models": ", ".join(models), "state": state + needs,
                   "command": command(dataset, models)}  # fmt: skip


def command(dataset: str, models: Sequence[str]) -> str:
    """What computes a paper's experiment with its own settings."""
    wanted = ", ".join(f'"{model}"' for model in models)
    chosen_models = f'\'datasets={{"{dataset}": {{"models": [{wanted}]}}}}\''
    target = layout.SUMMARY_TEXT.format(dataset=dataset)
    return f".venv/bin/snakemake --cores 8 --config budget=paper {chosen_models} -- {target}"
