"""Reading and writing artifacts: atomic, memory-mapped, never a pickle.

Every file is written under a temporary name in its own folder and renamed, so a killed stage leaves nothing that
looks finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

# --- writing --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends without an error, and is deleted otherwise."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
    except OSError as error:
        raise UserError(
            f"{path}: could not be written: {error.strerror or error}; make room or correct the folder's permissions, "
            "then run the same command again (finished files are kept)"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it must not hide what went wrong before
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text (UTF-8) atomically."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_images(path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Write uint8 images (N, ...) and labels (N,) or none as one Arrow file with a fixed-shape tensor column."""
    import numpy as np
    import pyarrow as pa

    if images.dtype != np.uint8:
        raise TypeError(f"{path}: images are {images.dtype}, expected uint8")
    kind = pa.fixed_shape_tensor(pa.uint8(), images.shape[1:])
    width = int(np.prod(images.shape[1:]))
    storage = pa.FixedSizeListArray.from_arrays(_array(pa.uint8(), images), width)
    columns = {"image": pa.ExtensionArray.from_storage(kind, storage)}
    if labels is not None:
        columns["label"] = _array(pa.int64(), labels.astype(np.int64))
    table = pa.table(columns)
    with replacing(path) as partial, pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)


def _array(kind: Any, values: np.ndarray) -> Any:
    """An Arrow array of all of NumPy's values, from their bytes: `pa.array` imports pandas, a second for every job."""
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(kind, values.size, [None, pa.py_buffer(np.ascontiguousarray(values))])


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write torch tensors as safetensors, atomically."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        try:
            save_file(contiguous, partial, metadata=dict(metadata or {}))
        except SafetensorError as error:  # a full disk among them
            raise OSError(str(error)) from error


# --- reading --------------------------------------------------------------------------------------------------


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_images(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Images (N, ...) uint8 and labels (N,) int64 or None, memory-mapped and read-only."""
    import numpy as np
    import pyarrow as pa

    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
    column = table.column("image")
    shape = tuple(column.type.shape)
    labelled = "label" in table.column_names
    if not column.num_chunks:  # no image: a training that diverged before its first samples
        return np.empty((0, *shape), np.uint8), np.empty(0, np.int64) if labelled else None
    images = _values(column.chunk(0).storage.flatten(), np.uint8).reshape(-1, *shape)
    return images, _values(table.column("label").chunk(0), np.int64) if labelled else None


def _values(array: Any, kind: type[np.generic]) -> np.ndarray:
    """NumPy's view of an Arrow array without gaps; `to_numpy` imports pandas."""
    import numpy as np

    return np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array)]


def read_tensors(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file, on the CPU."""
    from safetensors.torch import load_file

    return load_file(path)


def read_metadata(path: Path) -> dict[str, str]:
    """The header's metadata of a safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return dict(file.metadata() or {})


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
