"""A trained model as MLflow loads it: `predict({"n": 4, "seed": 0})` gives images, uint8 (n, C, H, W).

MLflow copies this file to the weights and runs it when the model is loaded on any machine; it is no part of
the workflow. The images are those of the `sample` stage for the same seed of latents on the same machine, bit for
bit. A conditional model takes a `label` too: the class to draw. Of several rows, the images of all, one row after the
other.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class Generator(PythonModel):
    """Draws samples from one trained model."""

    def load_context(self, context: Any) -> None:
        """Rebuild the network and put the weights in."""
        import torch
        from safetensors.torch import load_file

        network = context.model_config
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with own_code(Path(__file__).with_name("code")), torch.random.fork_rng():
            from pipeline.training.device import build
            from pipeline.training.sampling import BATCH, in_batches

            self.in_batches, self.batch = in_batches, BATCH
            of_data = {"shape": network["shape"], "classes": network.get("classes", 0)}
            self.model = build(network["class"], network["arguments"], **of_data, seed=0, device=device)
        self.model.load_state_dict(load_file(context.artifacts["weights"]))
        self.model.eval()

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> np.ndarray:
        """Images of each row of n (default 16), seed (default 0), which seeds the latents, and label (default: any)."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # bits depend on it, and the workflow's stages use one
        try:
            return np.concatenate([self.drawn(*row) for row in rows(model_input, self.model.classes)])
        finally:
            torch.set_num_threads(threads)

    def drawn(self, n: int, seed: int, label: int | None) -> np.ndarray:
        """Samples 0 to n - 1 of a seed, all of one class if there is a label."""
        import torch

        def decode(z: Any) -> Any:
            if label is None:
                return self.model.decode(z)
            return self.model.decode(self.model.with_class(z[..., : -self.model.classes], torch.full((len(z),), label)))

        return self.in_batches(self.model, n, seed, decode, self.batch).numpy()


@contextlib.contextmanager
def own_code(folder: Path) -> Iterator[None]:
    """Import `pipeline` from a folder, whatever of that name is loaded already: another model's code, or a checkout."""

    def take_out() -> dict[str, Any]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "pipeline"}

    others = take_out()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        take_out()
        sys.modules.update(others)


def rows(table: pd.DataFrame, classes: int) -> list[tuple[int, int, int | None]]:
    """(n, seed, label or None) of each row of a table (MLflow makes one of a dictionary).

    Raises ValueError for what is not a count, or no class of the model.
    """
    wanted = [
        (int(row.get("n", 16)), int(row.get("seed", 0)), None if pd.isna(row.get("label")) else int(row["label"]))
        for row in table.to_dict("records")
    ]
    if not wanted or any(n < 1 or seed < 0 for n, seed, _ in wanted):
        raise ValueError(f"found n, seed and label {wanted}, expected rows of n >= 1 and seed >= 0")
    for label in (label for _, _, label in wanted if label is not None):
        if not 0 <= label < classes:
            known = f"0 to {classes - 1}" if classes else "none: the model was trained without `conditional: true`"
            raise ValueError(f"label: found {label}, expected {known}")
    return wanted


set_model(Generator())
