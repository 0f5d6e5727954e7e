"""A trained model in MLflow's own form: `mlflow.pyfunc` from code over safetensors, nothing pickled.

The folder holds a script of this project, the few modules that it needs (as the package `pipeline`, so that it loads
where the project is not installed), the weights, and what rebuilds the network. Its requirements are said,
not inferred: inferring them would run the model in a fresh environment.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.workflow import job_hash

REQUIRED = ("mlflow", "torch", "numpy", "safetensors")


def write_flavour(
    folder: Path, *, script: Path, modules: Iterable[str], weights: Path, settings: Mapping[str, Any]
) -> None:
    """Write the folder: `script` is run when it is loaded, `modules` are the roots of the code that it imports."""
    with tempfile.TemporaryDirectory(prefix="easel-") as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints when this part of it is imported
        from mlflow import pyfunc

        copy_modules(modules, Path(name))
        pyfunc.save_model(
            folder,
            python_model=str(script),
            artifacts={"weights": str(weights)},
            model_config=dict(settings),
            code_paths=[f"{name}/pipeline"],
            pip_requirements=[f"{package}=={job_hash.version(package)}" for package in REQUIRED],
            signature=_signature(settings["shape"]),
        )


def _signature(shape: Iterable[int]) -> Any:
    """n, seed and label, all optional, to images uint8 (n, C, H, W)."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    names = ("n", "seed", "label")
    columns: list[ColSpec | TensorSpec] = [ColSpec(DataType.long, name, required=False) for name in names]
    return ModelSignature(Schema(columns), Schema([TensorSpec(np.dtype(np.uint8), (-1, *shape))]))


def copy_modules(roots: Iterable[str], folder: Path) -> None:
    """Copy the project's modules that the roots import, themselves and their packages included."""
    names = set(job_hash.code_closure(tuple(roots)))
    names |= {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 1)}
    for file in filter(None, map(job_hash.module_file, names)):
        copied = folder / file.relative_to(job_hash.ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
