"""Small files of data in every format that a reader takes."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline.datasets import load_reader
from pipeline.datasets.loaded import Loaded

DRAW = np.random.default_rng(0)


def read(reader: str, raw: Path, shape: tuple[int, ...] = (3, 8, 8), **options: Any) -> Loaded:
    return load_reader(reader)(raw, {"shape": shape, **options})


def last(images: np.ndarray) -> np.ndarray:
    """(n, C, H, W) as (n, H, W, C)."""
    return images.transpose(0, 2, 3, 1)


def check(loaded: Loaded, *, names: Iterable[str] | None = None, **expected: Any) -> None:
    """Assert what was read, as far as it is given: `train`, `valid` and `test` images (n, H, W) or (n, H, W, C), and
    `train_labels`, `valid_labels` and `test_labels`; the names of the classes.
    """
    for name, wanted in expected.items():
        if name.endswith("labels"):
            assert getattr(loaded, name).tolist() == list(wanted), name
        else:
            found = getattr(loaded, f"{name}_images")
            assert np.array_equal(found[:, 0] if wanted.ndim == 3 else last(found), wanted), name
    assert names is None or loaded.class_names == tuple(names)


def pictures(n: int, *shape: int) -> np.ndarray:
    return DRAW.integers(0, 256, (n, *shape), dtype=np.uint8)


def bytes_of(write_to: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write_to(buffer)
    return buffer.getvalue()


def png(pixels: np.ndarray) -> bytes:
    return picture(pixels, "PNG")


def picture(pixels: np.ndarray, form: str, **options: Any) -> bytes:
    return bytes_of(lambda file: Image.fromarray(pixels).save(file, form, **options))


def idx(array: np.ndarray, kind: int = 0x08) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def npy(array: np.ndarray) -> bytes:
    return bytes_of(lambda file: np.save(file, array))


def npz(*arrays: np.ndarray, **named: np.ndarray) -> bytes:
    return bytes_of(lambda file: np.savez(file, *arrays, **named))


def table(**columns: Any) -> bytes:
    """A Parquet file."""
    return bytes_of(lambda file: pq.write_table(pa.table(columns), file))


def encoded(images: np.ndarray) -> list[dict[str, Any]]:
    """A column of images as Hugging Face writes it."""
    return [{"bytes": png(image), "path": None} for image in images]


def parquet(images: np.ndarray, labels: list[int], names: list[str] | None = None) -> bytes:
    """Images and labels as Hugging Face writes them."""
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())])
    if names:
        features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        schema = schema.with_metadata({"huggingface": json.dumps(features)})
    content = pa.table({"image": encoded(images), "label": labels}, schema=schema)
    return bytes_of(lambda file: pq.write_table(content, file))


def rows(images: np.ndarray, labels: Iterable[int]) -> str:
    """Lines of pixels, the label last."""
    return "".join(",".join(map(str, [*image.reshape(-1), label])) + "\n" for image, label in zip(images, labels))  # noqa: B905


def zipped(files: Mapping[str, bytes]) -> bytes:
    def write_to(file: io.BytesIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)

    return bytes_of(write_to)


def tarred(files: Iterable[tuple[str, bytes]], mode: str = "w", links: Mapping[str, str] | None = None) -> bytes:
    def write_to(file: io.BytesIO) -> None:
        with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
            for name, content in files:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            for name, target in (links or {}).items():
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)

    return bytes_of(write_to)


def database(folder: Path, contents: list[bytes]) -> None:
    """An LMDB as LSUN has them."""
    with lmdb.open(str(folder), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for number, content in enumerate(contents):
            transaction.put(f"{number:04d}".encode(), content)


def film(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "bgr0"
        container.start_encoding()
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Files by their relative paths; text is UTF-8."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def image_folder(folder: Path, counts: Mapping[str, int]) -> Path:
    """Random colour images of 8 x 8 pixels, so many in each folder."""
    for name, n in counts.items():
        write(folder, {f"{name}/{number}.png": png(image) for number, image in enumerate(pictures(n, 8, 8, 3))})
    return folder
