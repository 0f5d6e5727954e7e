"""The papers' own numbers, from the text of published/*.csv: shown beside ours, never aligned with them.

000: DRAW-GAN, Tables 1 (MNIST) and 2 (OCR Telugu). 001: GRAN, Tables 2 to 4. Values stay the strings that were printed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

MODELS = {
    "VAE": "vae", "Info VAE": "info_vae", "DRAW": "draw", "DRAW-GAN": "draw_gan", "DVAE": "dvae",
    "GRAN1": "gran1", "GRAN3": "gran3", "GRAN5": "gran5", "GRAN7": "gran5_at7", "GRAN9": "gran5_at9",
}  # fmt: skip

FILES = {"mnist": "draw_gan_table1_mnist.csv", "ocr_telugu": "draw_gan_table2_ocr_telugu.csv"}
"""000's table of a data set, in the folder published/."""

CAVEAT = (
    "000's numbers, as printed. Its feature space and kernel are not stated, so they compare with none of our columns. "
    "Its FIDs of VAE and InfoVAE carry the same decimals in both of its tables (.6821 and .1730)."
)


def published_rows(text: str) -> list[dict[str, str]]:
    """Rows of one of the files, models under our names where they have one."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return [{column: MODELS.get(value, value) for column, value in row.items()} for row in rows]


def published_metrics(text: str) -> Mapping[str, dict[str, str]]:
    """paper_mmd, paper_fid, paper_knn and paper_bayes of each model, from a table of 000."""
    return {
        row["method"]: {f"paper_{name}": row[name] for name in ("mmd", "fid", "knn", "bayes")}
        for row in published_rows(text)
    }
