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
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import artifacts, locks
from pipeline.core.errors import UserError
from pipeline.workflow import store
from tests.stored import record


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- atomicity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "table.csv"
    artifacts.write_text(path, "old")
    with pytest.raises(type(error)), artifacts.replacing(path) as partial:
        partial.write_text("half of the")
        assert path.read_text() == "old"
        raise error
    assert path.read_text() == "old"
    assert files(tmp_path) == {"table.csv"}


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    artifacts.write_text(path, "old")
    with pytest.raises(UserError) as caught, artifacts.replacing(path) as partial:
        partial.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(caught.value).startswith(f"{path}: could not be written: No space left on device")
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert files(tmp_path) == {"table.csv"}


def test_a_rename_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match="could not be written"):
        artifacts.write_text(path, "text")
    assert files(tmp_path) == {"taken"}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written: "):
        artifacts.write_text(tmp_path / "file" / "table.csv", "text")


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
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    """With a limit on the size of a child's files the write fails inside Arrow or safetensors, as on a full disk."""
    path, said = tmp_path / "file", tmp_path / "said"
    path.write_text("old")

    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            write(path)
        except UserError as error:
            said.write_text(str(error))

    assert in_a_child(child) == 0
    assert said.read_text().startswith(f"{path}: could not be written: ") and "\n" not in said.read_text()
    assert path.read_text() == "old"
    assert files(tmp_path) == {"file", "said"}


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    artifacts.write_text(path, "old")

    def child() -> None:
        with artifacts.replacing(path) as partial:
            partial.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(child) == -signal.SIGKILL
    assert path.read_text() == "old"
    assert list(tmp_path.glob("*.csv")) == [path], "nothing that looks finished"


# --- round trips ------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(n=st.integers(0, 5), shape=st.tuples(*[st.integers(1, 4)] * 3), labelled=st.booleans(), seed=st.integers(0, 9))
def test_images_and_labels_come_back(
    tmp_path_factory: pytest.TempPathFactory, n: int, shape: tuple[int, int, int], labelled: bool, seed: int
) -> None:
    path = tmp_path_factory.mktemp("images") / "images.arrow"
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (n, *shape), dtype=np.uint8)
    labels = generator.integers(-5, 5, n) if labelled else None
    artifacts.write_images(path, images, labels)
    found, found_labels = artifacts.read_images(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, images)
    if labels is None:
        assert found_labels is None
    else:
        np.testing.assert_array_equal(found_labels, labels)


def test_images_of_a_view_come_back_in_their_own_order(tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5).transpose(0, 1, 3, 2)[::-1]
    artifacts.write_images(tmp_path / "images.arrow", images)
    np.testing.assert_array_equal(artifacts.read_images(tmp_path / "images.arrow")[0], images)


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
    assert files(tmp_path) == set()


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


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(json_values)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    path = tmp_path_factory.mktemp("json") / "content.json"
    artifacts.write_json(path, content)
    assert artifacts.read_json(path) == content


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_has_no_numbers_that_are_none(tmp_path: Path, number: float) -> None:
    path = tmp_path / "metrics.json"
    artifacts.write_json(path, {"fd": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.write_json(path, {"fd": number})
    assert artifacts.read_json(path) == {"fd": 1.0}
    assert files(tmp_path) == {"metrics.json"}


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


def test_what_was_never_made_is_not_called_damaged(tmp_path: Path) -> None:
    said = complaint(tmp_path / "abc/images.arrow")
    assert "images.arrow: not there yet" in said and f"snakemake --cores all {tmp_path}" in said


def test_every_flipped_bit_is_found(file: Path) -> None:
    sound = file.read_bytes()
    for bit in range(0, 8 * len(sound), 7):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        assert "damaged or edited" in complaint(file)
    file.write_bytes(sound)
    store.checked(file)


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_truncated_file_is_found_by_its_size_too(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    assert "damaged or edited" in complaint(file)
    assert not store.is_complete(file.parent)


def test_a_missing_file_says_what_to_do(file: Path) -> None:
    file.unlink()
    assert "not found; delete" in complaint(file) and not store.is_complete(file.parent)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"3", b"null", b"{}", b'{"hash": "a"}', b'{"files": {}}', b"\xff\xfe"],
)
def test_a_missing_or_damaged_record_is_found(file: Path, content: bytes | None) -> None:
    path = file.with_name("job.json")
    path.unlink() if content is None else path.write_bytes(content)
    assert "job.json: missing or damaged" in complaint(file) and not store.is_complete(file.parent)


def test_a_changed_record_does_not_pass_for_the_file(file: Path) -> None:
    path = file.with_name("job.json")
    content = artifacts.read_json(path)
    content["files"]["images.arrow"]["sha256"] = "0" * 64
    artifacts.write_json(path, content)
    assert "damaged or edited" in complaint(file)


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
