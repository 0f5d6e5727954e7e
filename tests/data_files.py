"""Small files of data in every format that a reader takes."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
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


def check(loaded: Loaded, **expected: Any) -> None:
    """Assert what was read, as far as it is given: `train`, `valid` and `test` images (n, H, W) or (n, H, W, C), and
    `train_labels`, `valid_labels` and `test_labels`; or what the names of FACTS stand for.
    """
    for name, wanted in expected.items():
        if name in FACTS:
            found = FACTS[name](loaded)
            assert found == (tuple(wanted) if isinstance(found, tuple) else wanted), name
        elif name.endswith("labels"):
            labels = getattr(loaded, name)
            assert (None if labels is None else labels.tolist()) == (None if wanted is None else list(wanted)), name
        else:
            images = getattr(loaded, f"{name}_images")
            assert np.array_equal(images[:, 0] if wanted.ndim == 3 else last(images), wanted), name


FACTS: dict[str, Callable[[Loaded], Any]] = {
    "names": lambda loaded: loaded.class_names,
    "labels": lambda loaded: [loaded.class_names[label] for label in loaded.train_labels],
    "sizes": lambda loaded: tuple(
        0 if images is None else len(images)
        for images in (loaded.train_images, loaded.valid_images, loaded.test_images)
    ),
    "labelled": lambda loaded: loaded.source.labels,
    "splits": lambda loaded: loaded.source.splits,
    "remarks": lambda loaded: loaded.source.remarks,
    "passed_over": lambda loaded: loaded.source.passed_over,
}
"""Class names, the class of each training image, images in each split, and what is said of the source."""


def pictures(n: int, *shape: int) -> np.ndarray:
    return DRAW.integers(0, 256, (n, *shape), dtype=np.uint8)


def bytes_of(write_to: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write_to(buffer)
    return buffer.getvalue()


def png_of(header: bytes, data: bytes) -> bytes:
    """A PNG by its parts, as Pillow does not write it."""
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


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


def folders(counts: Mapping[str, int]) -> dict[str, bytes | str]:
    """Random colour images of 8 x 8 pixels, so many in each folder."""
    return {
        f"{name}/{number}.png": png(image)
        for name, n in counts.items()
        for number, image in enumerate(pictures(n, 8, 8, 3))
    }


def image_folder(folder: Path, counts: Mapping[str, int]) -> Path:
    """The same, written."""
    return write(folder, folders(counts))
