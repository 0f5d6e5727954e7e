"""Artifacts: never half a file under a finished name, never a damaged one read, the same back as was written."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.core import artifacts, locks
from pipeline.core.errors import UserError
from pipeline.workflow import store
from tests.stored import record


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A finished file, alone in its folder."""
    artifacts.write_text(tmp_path / "table.csv", "old")
    return tmp_path / "table.csv"


def is_untouched(path: Path) -> bool:
    """Whether the old file is whole and nothing but it looks finished."""
    return path.read_text() == "old" and list(path.parent.glob("*")) == [path]


# --- atomicity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (RuntimeError("a bug"), RuntimeError, "a bug"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), UserError,
         "{path}: could not be written: No space left on device; make room"),
    ],
)  # fmt: skip
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(
    table: Path, error: BaseException, kind: type[BaseException], said: str
) -> None:
    with pytest.raises(kind) as caught, artifacts.replacing(table) as partial:
        partial.write_text("half of the")
        assert table.read_text() == "old"
        raise error
    assert str(caught.value).startswith(said.format(path=table)) and "\n" not in str(caught.value)
    assert is_untouched(table)


def test_a_path_that_cannot_be_taken_is_one_line_and_leaves_nothing(table: Path) -> None:
    with pytest.raises(UserError, match=r"table\.csv/below: could not be written: "):
        artifacts.write_text(table / "below", "text")
    folder = table.parent / "taken"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match="taken: could not be written: "):
        artifacts.write_text(folder, "text")
    assert {path.name for path in table.parent.iterdir()} == {"table.csv", "taken"}


def in_a_child(run: Callable[[], None]) -> int:
    """The exit code of a forked process that does this alone."""
    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join()
    return child.exitcode or 0


@pytest.mark.parametrize(
    "write",
    [
        lambda path: artifacts.write_images(path, np.zeros((100, 28, 28), np.uint8)),
        lambda path: artifacts.write_tensors(path, {"w": torch.zeros(20_000)}),
    ],
    ids=["images", "tensors"],
)
def test_a_disk_that_fills_inside_the_format_library_keeps_the_old_file(
    write: Callable[[Path], None], table: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With a limit on the size of a child's files the write fails inside Arrow or safetensors, as on a full disk."""
    said = tmp_path_factory.mktemp("said") / "said"

    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            write(table)
        except UserError as error:
            said.write_text(str(error))

    assert in_a_child(child) == 0
    assert said.read_text().startswith(f"{table}: could not be written: ") and "\n" not in said.read_text()
    assert is_untouched(table)


def test_a_killed_writer_leaves_the_old_file(table: Path) -> None:
    def child() -> None:
        with artifacts.replacing(table) as partial:
            partial.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(child) == -signal.SIGKILL
    assert table.read_text() == "old"
    assert list(table.parent.glob("*.csv")) == [table], "nothing that looks finished"


# --- round trips ------------------------------------------------------------------------------------------------


IMAGES = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)


@pytest.mark.parametrize(
    "images", [IMAGES, IMAGES.transpose(0, 1, 3, 2)[::-1], IMAGES[:0], IMAGES[:1, :1, :1, :1]], ids=np.shape
)
@pytest.mark.parametrize("labels", [None, np.array([-5, 9])], ids=["unlabelled", "labelled"])
def test_images_and_labels_come_back(images: np.ndarray, labels: np.ndarray | None, tmp_path: Path) -> None:
    path = tmp_path / "images.arrow"
    artifacts.write_images(path, images, None if labels is None else labels[: len(images)])
    found, found_labels = artifacts.read_images(path)
    np.testing.assert_array_equal(found, images, strict=True)
    if labels is None:
        assert found_labels is None
    else:
        np.testing.assert_array_equal(found_labels, labels[: len(images)], strict=True)


def test_images_are_mapped_from_the_file_and_read_only(tmp_path: Path) -> None:
    import pyarrow as pa

    path = tmp_path / "images.arrow"
    artifacts.write_images(path, np.ones((64, 1, 28, 28), np.uint8))
    before = pa.total_allocated_bytes()
    images, _ = artifacts.read_images(path)
    assert pa.total_allocated_bytes() - before < images.nbytes, "the images are not copied to memory"
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0, 0] = 2


def test_images_are_uint8(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="float64, expected uint8"):
        artifacts.write_images(tmp_path / "images.arrow", np.zeros((1, 1, 2, 2)))
    assert not list(tmp_path.iterdir())


def test_tensors_and_their_header_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    shared = torch.randn(3, 4)
    tensors = {
        "weight": shared,
        "same_memory": shared,
        "transposed": shared.T,
        "not_finite": torch.tensor([math.nan, -math.inf, -0.0]),
        "whole": torch.arange(3),
        "bits": torch.tensor([True, False]),
        "half": torch.randn(2).bfloat16(),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
    }
    artifacts.write_tensors(path, tensors, {"step": "7"})
    found = artifacts.read_tensors(path)
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert torch.equal(found[name].nan_to_num(9.0), tensor.nan_to_num(9.0)), name
    assert artifacts.read_metadata(path) == {"step": "7"}


def test_json_comes_back_and_has_no_numbers_that_are_none(tmp_path: Path) -> None:
    path, content = tmp_path / "metrics.json", {"": [None, True, -7, 0.1, 1e300, "é\n\u2028\x00"], "{}": {"a": {}}}
    artifacts.write_json(path, content)
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            artifacts.write_json(path, {"fd": number})
    assert artifacts.read_json(path) == content
    assert list(tmp_path.iterdir()) == [path]


# --- records ----------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of some bytes with its record."""
    path = tmp_path / "images.arrow"
    artifacts.write_bytes(path, bytes(range(256)))
    record(tmp_path, "0123456789abcdef", device="cpu")
    return path


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as error:
        store.checked(path)
    message = str(error.value)
    assert "\n" not in message and str(path.parent) in message
    return message


def test_a_sound_file_gives_its_record(file: Path) -> None:
    found = store.checked(file)
    assert (found["hash"], found["device"]) == ("0123456789abcdef", "cpu")
    assert found["files"]["images.arrow"]["bytes"] == 256 and store.is_complete(file.parent)


def test_a_missing_file_says_what_to_do(file: Path, tmp_path: Path) -> None:
    said = complaint(tmp_path / "abc/images.arrow")
    assert "images.arrow: not there yet" in said and f"snakemake --cores all {tmp_path}" in said
    file.unlink()
    assert "not found; delete" in complaint(file) and not store.is_complete(file.parent)


def test_every_flipped_bit_and_every_cut_is_found(file: Path) -> None:
    sound = file.read_bytes()
    for bit in range(0, 8 * len(sound), 61):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        assert "damaged or edited" in complaint(file)
    for kept in (0, 1, 100):
        file.write_bytes(sound[:kept])
        assert "damaged or edited" in complaint(file)
        assert not store.is_complete(file.parent), "by its size"
    file.write_bytes(sound)
    store.checked(file)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"3", b"null", b"{}", b'{"hash": "a"}', b'{"files": {}}', b"\xff\xfe"],
)
def test_a_missing_or_damaged_record_is_found(file: Path, content: bytes | None) -> None:
    path = file.with_name("job.json")
    path.unlink() if content is None else path.write_bytes(content)
    assert "job.json: missing or damaged" in complaint(file) and not store.is_complete(file.parent)


@pytest.mark.parametrize(("umask", "rights"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_results_and_locks_have_the_rights_of_the_umask(umask: int, rights: int, tmp_path: Path) -> None:
    """Several users work on one folder; safetensors makes files that only their owner can read."""
    before = os.umask(umask)
    try:
        artifacts.write_tensors(tmp_path / "weights.safetensors", {"a": torch.zeros(2)})
        store.write(tmp_path, {"hash": "a" * 16})
        handle = locks.take(tmp_path / "a.lock")
    finally:
        os.umask(before)
    assert handle is not None
    os.close(handle)
    for name in ("weights.safetensors", "job.json", "a.lock"):
        assert (tmp_path / name).stat().st_mode & 0o777 == rights, name
