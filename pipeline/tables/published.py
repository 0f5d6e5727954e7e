"""The papers' own numbers, from the text of published/*.csv: shown beside ours, never aligned with them.

Renkila et al., Tables I (MNIST) and II (OCR Telugu); Im et al. 2016, Tables 2 to 4. Values stay the strings that were
printed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MODELS = {
    "VAE": "vae", "Info VAE": "info_vae", "DRAW": "draw", "DRAW-GAN": "draw_gan", "DVAE": "dvae",
    "GRAN1": "gran1", "GRAN3": "gran3", "GRAN5": "gran5", "GRAN7": "gran5_at7", "GRAN9": "gran5_at9",
}  # fmt: skip

PAPER_BATTLES = ("paper_r_test", "paper_r_sample", "paper_winner")

FILES = {"mnist": "draw_gan_table1_mnist.csv", "ocr_telugu": "draw_gan_table2_ocr_telugu.csv"}
"""Renkila et al.'s table of a data set, in the folder published/."""

DATASETS = {"LSUN": "lsun_church"}
"""A data set's name in Im et al. 2016's tables -> ours, where it is not the same in small letters."""

FOLDER = Path(__file__).parent / "published"

BATTLE_CAVEAT = (
    "The columns 'paper' are the numbers printed in Im et al. 2016 (Tables 2 and 3), of other networks and images; we "
    "did not measure them. Samples of one training run for longer share its judge: their r_test is 1 by construction. "
    "Table 4 of Im et al. 2016 prints 1.01 to 1.09, and by eq. 11 its three rows form a cycle (GRAN5 before GRAN7 "
    "before GRAN9 before GRAN5), while the text names GRAN7 the winner."
)

CAVEAT = (
    "The numbers of Renkila et al. are as printed. They state no feature space and no kernel, so compare their "
    "numbers with none of our columns. Their FIDs of VAE and InfoVAE carry the same decimals in both of their tables "
    "(.6821 and .1730). Their Table II is of UHTelPCC, and of no other Telugu."
)


def published_rows(text: str) -> list[dict[str, str]]:
    """Rows of one of the files, models under our names where they have one."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return [{column: MODELS.get(value, value) for column, value in row.items()} for row in rows]


def published_metrics(text: str) -> Mapping[str, dict[str, str]]:
    """paper_mmd, paper_fid, paper_knn and paper_bayes of each model, from a table of Renkila et al."""
    return {
        row["method"]: {f"paper_{name}": row[name] for name in ("mmd", "fid", "knn", "bayes")}
        for row in published_rows(text)
    }


def battles_beside(
    rows: Sequence[Mapping[str, Any]], dataset: str, battles: str, more_steps: str
) -> list[dict[str, Any]]:
    """Rows of battles with paper_r_test, paper_r_sample and paper_winner where Im et al. 2016's Table 2 has the pair.

    `battles` and `more_steps` are the texts of its Tables 2 and 4. A pair that stands there the other way round has its
    ratios turned over. What Table 4 prints of another data set's pair goes into the note.
    """
    own, others = _pairs(battles, dataset), _pairs(more_steps)
    beside = []
    for row in rows:
        pair = (str(row["model_1"]), str(row["model_2"]))
        more = {f"paper_{name}": value for name, value in own.get(pair, {}).items()}
        note = row.get("note")
        if pair in others:
            printed = others[pair]
            ratios = f"r_test {printed['r_test']}, r_sample {printed['r_sample']}"
            said = f"Im et al. 2016's Table 4 ({printed['dataset']}) prints {ratios}"
            note = "; ".join(filter(None, [note, said]))
        beside.append({**row, "note": note, **{name: more.get(name) for name in PAPER_BATTLES}})
    return beside


def errors_beside(rows: Sequence[Mapping[str, Any]], dataset: str, errors: str) -> list[dict[str, Any]]:
    """Rows of the judges' matrix with paper_error where Table 3 of Im et al. 2016 (`errors`: its text) has the pair."""
    printed = {(row["judge"], row["contestant"]): row["error"] for row in published_rows(errors) if is_of(row, dataset)}
    return [{**row, "paper_error": printed.get((str(row["judge"]), str(row["contestant"])))} for row in rows]


def _pairs(text: str, dataset: str | None = None) -> dict[tuple[str, str], dict[str, str]]:
    """Both orders of every pair of a table of battles (of one data set), with its ratios in that order."""
    pairs = {}
    for row in published_rows(text):
        if dataset is None or is_of(row, dataset):
            turned = {name: f"{1 / float(row[name]):.3g}" for name in ("r_test", "r_sample")}
            pairs[row["model_1"], row["model_2"]] = row
            pairs[row["model_2"], row["model_1"]] = {**row, **turned}
    return pairs


def is_of(row: Mapping[str, str], dataset: str) -> bool:
    """Whether a printed row is of a data set of params.yaml."""
    return DATASETS.get(row["dataset"], row["dataset"].lower()) == dataset
