"""The model that MLflow keeps: loads far from the project, draws the sample stage's images, holds no pickle."""

from __future__ import annotations

import json
import os
import pickletools
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core import artifacts
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import Progress
from pipeline.stages import sample
from pipeline.stages.track import Training, write_model
from pipeline.training.device import build, pick_device
from pipeline.workflow import job_hash
from tests.conftest import ROOT, plan_of

pytestmark = pytest.mark.skipif(not find_spec("mlflow"), reason="NOT TESTED: MLflow is not installed")

MODELS = ["vae", "draw_gan", "gran3"]
SHAPE = (1, 28, 28)
PROTOCOL_SEED, SEED = 2026, 1
LATENTS_SEED = PROTOCOL_SEED + 1_000_003 * SEED
"""What the sample stage makes of these two."""

LOAD = """
import json, sys, warnings
sys.path = [place for place in sys.path if place not in ("", {project!r})]
import numpy as np
try:
    import pipeline
except ImportError:
    pass
else:
    raise SystemExit("the project is on the path")
import mlflow
threads = __import__("torch").get_num_threads()
for model in {models!r}:
    loaded = mlflow.pyfunc.load_model(model)
    np.save(model + ".npy", loaded.predict({{"n": 4, "seed": {seed}}}))
import pandas as pd
rows = loaded.predict(pd.DataFrame({{"n": [3, 2], "seed": [{seed}, 5]}}))
np.save("rows.npy", rows)
np.save("few.npy", loaded.predict({{"seed": 5, "n": 2}}))
try:
    loaded.predict({{"n": 0, "seed": 0}})
except Exception as error:
    print(json.dumps({{"refused": str(error)}}))
assert __import__("torch").get_num_threads() == threads
print(json.dumps({{"code": sys.modules[type(loaded.unwrap_python_model()).load_context.__module__].__file__}}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder for each of three models, with the weights and the sample stage's images beside it."""
    folder = tmp_path_factory.mktemp("pyfunc")
    pick_device("cpu")
    blocks = plan_of("budget=tiny").params.resolved_models
    for name in MODELS:
        block = blocks[name]
        model = build(block["class"], block["arguments"], SHAPE, seed=3, device="cpu")
        weights = folder / f"{name}.safetensors"
        for parameter in model.parameters():  # as lively as a trained one: an untrained one draws a flat grey
            parameter.data *= 3.0
        artifacts.write_tensors(weights, model.state_dict())
        item = Training(name, SEED, None, None, *[Path("unused")] * 3, weights, *[Path("unused")] * 2)
        write_model(folder / name, item=item, block=block, shape=list(SHAPE))
    return folder


@pytest.fixture(scope="module")
def drawn(folder: Path) -> list[dict[str, Any]]:
    """What a fresh process said that loaded and sampled every model, far from the project and without it."""
    code = LOAD.format(project=str(ROOT), models=MODELS, seed=LATENTS_SEED)
    own = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "OMP_NUM_THREADS")}
    own |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def by_the_stage(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The images of the `sample` stage for these weights."""
    block = plan_of("budget=tiny").params.resolved_models[name]
    job = JobContext(
        stage="sample",
        wildcards={"dataset": "mnist", "model": name, "seed": SEED},
        config={**block, "shape": SHAPE, "n": 300, "canvases": 2, "protocol_seed": PROTOCOL_SEED, "seed": SEED},
        modules=(),
        hash="aaaa",
        inputs={"weights": folder / f"{name}.safetensors"},
        progress=Progress("sample"),
    )
    monkeypatch.chdir(folder)
    sample.run(job)
    return artifacts.read_images(job.outputs["images"])[0]


@pytest.mark.parametrize("name", MODELS)
def test_it_draws_what_the_sample_stage_draws(
    name: str, folder: Path, drawn: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.load(folder / f"{name}.npy")
    assert images.dtype == np.uint8 and images.shape == (4, *SHAPE)
    assert len(np.unique(images)) > 10, "not one flat grey"
    assert np.array_equal(images, by_the_stage(folder, name, monkeypatch)[:4])


def test_several_rows_are_drawn_one_after_the_other(folder: Path, drawn: list[dict[str, Any]]) -> None:
    rows, first, few = (np.load(folder / f"{name}.npy") for name in ("rows", MODELS[-1], "few"))
    assert np.array_equal(rows, np.concatenate([first[:3], few]))
    assert not np.array_equal(few, first[:2]), "another seed, other images"


def test_it_ran_its_own_copy_of_the_code_and_refused_what_is_no_count(
    folder: Path, drawn: list[dict[str, Any]]
) -> None:
    refused, code = drawn
    assert "expected rows of n >= 1" in refused["refused"]
    assert Path(code["code"]).parent == folder / MODELS[-1]


@pytest.mark.parametrize("name", MODELS)
def test_no_file_of_it_is_a_pickle(name: str, folder: Path) -> None:
    files = [file for file in (folder / name).rglob("*") if file.is_file()]
    assert {"MLmodel", "pyfunc_model.py", f"{name}.safetensors"} <= {file.name for file in files}
    for file in files:
        assert file.suffix not in (".pkl", ".pickle", ".pt", ".pth", ".bin", ".npy", ".zip")
        assert not is_pickle(file.read_bytes()), file


def is_pickle(content: bytes) -> bool:
    """Whether a pickle machine would run these bytes to their end."""
    try:
        return sum(1 for _ in pickletools.genops(content)) > 0
    except Exception:  # what genops raises for anything else
        return False


def test_a_pickle_would_be_seen() -> None:
    import pickle

    assert all(is_pickle(pickle.dumps({"weights": [1.0]}, protocol)) for protocol in range(6))


@pytest.mark.parametrize("name", MODELS)
def test_it_holds_the_code_that_it_needs_and_says_what_else(name: str, folder: Path) -> None:
    code = folder / name / "code"
    held = {file.relative_to(code).as_posix() for file in code.rglob("*.py")}
    assert {"pipeline/__init__.py", "pipeline/models/__init__.py", "pipeline/models/base.py"} <= held
    assert not {place for place in held if place.split("/")[1] not in ("__init__.py", "models", "training")}
    others = set(MODELS) - {name} - ({"vae"} if name == "draw_gan" else set())
    assert not {f"pipeline/models/{other}.py" for other in others} & held
    required = (folder / name / "requirements.txt").read_text().splitlines()
    assert set(required) == {f"{lib}=={job_hash.version(lib)}" for lib in ("mlflow", "torch", "numpy", "safetensors")}


@pytest.mark.filterwarnings("ignore:.*Any type hint")
def test_a_label_is_the_class_that_a_conditional_model_draws() -> None:
    import pandas as pd
    import torch

    from pipeline.tracking.pyfunc_model import Generator
    from pipeline.training.sampling import BATCH, in_batches, quantise
    from tests.small_models import CONDITIONAL, block_of, small

    loaded = Generator()
    name = next(name for name in CONDITIONAL if block_of(name)["class"] == "vae")
    loaded.model, loaded.in_batches, loaded.batch = small(name), in_batches, BATCH
    found = loaded.predict(None, pd.DataFrame({"n": [3, 2], "seed": [4, 4], "label": [7.0, float("nan")]}))
    with torch.inference_mode():
        asked = quantise(loaded.model.decode(loaded.model.draw_latents(3, 4, label=7))).numpy()
        free = quantise(loaded.model.decode(loaded.model.draw_latents(2, 4))).numpy()
    assert np.abs(found.astype(int) - np.concatenate([asked, free])).max() <= 1
    with pytest.raises(ValueError, match="label: found 10, expected 0 to 9"):
        loaded.predict(None, pd.DataFrame({"label": [10]}))
    loaded.model = small("vae")
    with pytest.raises(ValueError, match="label: found 1, expected none: the model was trained without"):
        loaded.predict(None, pd.DataFrame({"label": [1]}))
