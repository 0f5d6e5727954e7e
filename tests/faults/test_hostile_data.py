"""Raw files that are damaged, or made to do harm: one line that says what and where, and nothing written elsewhere."""

from __future__ import annotations

import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.ipc
import pytest

from pipeline.core.errors import UserError
from pipeline.datasets import load_reader, members
from pipeline.runtime.job_context import JobContext
from pipeline.runtime.progress import Progress
from pipeline.stages import fetch, prepare
from pipeline.workflow import content_hash, layout
from tests.data_files import (
    database,
    film,
    folders,
    image_folder,
    npz,
    parquet,
    pictures,
    png,
    png_of,
    read,
    rows,
    tarred,
    write,
    zipped,
)  # fmt: skip

BEGUN: list[Progress] = []
"""Logs to be closed."""


@pytest.fixture(autouse=True)
def nothing_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each test works in data/raw/it, with what it is given beside it: no other file may appear, whatever is read."""
    folder = tmp_path / "work"
    (folder / "data/raw/it").mkdir(parents=True)
    monkeypatch.chdir(folder)
    given = tmp_path / "given"
    given.mkdir()
    yield
    while BEGUN:
        BEGUN.pop().close()
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(given)]
    allowed = ("data/raw/it", "data/prepared/it", "it.log")
    assert not [path for path in outside if not str(path.relative_to(folder)).startswith(allowed)]


RAW = Path("data/raw/it")


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return tmp_path / "given"


def refusal(reader: str, place: Path, shape: tuple[int, ...] = (3, 8, 8), **options: Any) -> str:
    with pytest.raises(ValueError) as caught:
        load_reader(reader)(RAW, {"shape": shape, "path": str(place), **options})
    assert not list(RAW.iterdir()), "nothing is left behind"
    return str(caught.value)


MANY = folders({"a": 40})
ARCHIVES = {
    "images.zip": zipped(MANY),
    "images.tar": tarred(MANY.items()),
    "images.tar.gz": tarred(MANY.items(), "w:gz"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_cut_short(name: str, given: Path) -> None:
    whole = ARCHIVES[name]
    for length in (len(whole) // 2, *range(1, 13)):
        (given / name).write_bytes(whole[:length])
        assert f"{name}: damaged or cut short" in refusal("images", given / name), length


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_with_a_bit_turned_over(name: str, given: Path) -> None:
    """A plain tar has no checksum of its contents: what the bit is in decides; PNG's own checksum sees most."""
    content = bytearray(ARCHIVES[name])
    content[len(content) // 2] ^= 0x10
    place = write(given, {name: bytes(content)}) / name
    try:
        read("images", RAW, path=str(place))
    except ValueError as error:
        assert "damaged" in str(error) or "expected one of PNG" in str(error)
    else:
        assert name.endswith(".tar")


@pytest.mark.parametrize("name", ["../escaped.png", "/tmp/escaped.png", "a/../../escaped.png", "..\\escaped.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_climbs_out(kind: str, name: str, given: Path) -> None:
    files = {"a/1.png": png(pictures(1, 8, 8, 3)[0]), name: b"gotcha"}
    write(given, {f"it.{kind}": zipped(files) if kind == "zip" else tarred(files.items())})
    said = refusal("images", given / f"it.{kind}")
    assert f"it.{kind}: {name!r} climbs out of the archive; nothing of it was used" in said


def test_symbolic_links_are_not_followed(given: Path) -> None:
    (given / "shirts").mkdir()
    (given / "shirts" / "secret.png").symlink_to("/etc/passwd")
    assert "shirts/secret.png: a symbolic link, which is not followed" in refusal("images", given)
    write(given, {"it.tar": tarred([], links={"a/1.png": "/etc/passwd"})})
    assert "it.tar: 'a/1.png' is a link, which is not followed" in refusal("images", given / "it.tar")
    with zipfile.ZipFile(given / "it.zip", "w") as archive:
        member = zipfile.ZipInfo("a/1.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    assert "it.zip: 'a/1.png' is a link, which is not followed" in refusal("images", given / "it.zip")


class Harm:
    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.harm = call, arguments

    def __reduce__(self) -> Any:
        return self.harm


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_for_the_shell(protocol: int, given: Path) -> None:
    witness = given.parent / "work" / "witness"
    for harm in (
        Harm(os.system, f"touch {witness}"),
        Harm(eval, f"open({str(witness)!r}, 'w')"),
        Harm(np.memmap, str(witness), "u1", "w+"),
    ):
        (given / "it.pkl").write_bytes(pickle.dumps([([harm], [0])] * 3, protocol=protocol))
        said = refusal("uhtelpcc_pickle", given / "it.pkl", (1, 32, 32), classes=325)
        assert "it.pkl: refused, for it is no plain pickle of arrays (it asks for " in said
        assert not witness.exists()


def bomb(side: int) -> bytes:
    """A grey PNG of side x side zeros, a thousandth of its size."""
    return png_of(struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), bytes(10_000))


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_an_image_that_would_take_all_memory(side: int, given: Path) -> None:
    (given / "bomb.png").write_bytes(bomb(side))
    said = refusal("images", given)
    assert said.startswith("bomb.png: ") and ("expected at most 50,000,000" in said or "decompression bomb" in said)


def test_a_member_that_unfolds_without_end(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "LARGEST", 1000)
    with zipfile.ZipFile(given / "it.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1_000_000))
    assert "a.png: more than 1,000 bytes" in refusal("images", given / "it.zip")


def test_images_of_mixed_sizes_and_modes(given: Path) -> None:
    for number, shape in enumerate([(8, 8, 3), (20, 9), (9, 30, 4)]):
        (given / f"{number}.png").write_bytes(png(pictures(1, *shape)[0]))
    assert "1.png: found an image of 20x9, expected 8x8; say `resize: true`" in refusal("images", given)
    assert read("images", RAW, path=str(given), crop="square", resize=True).train_images.shape == (3, 3, 8, 8)


def test_labels_of_a_csv_out_of_range(given: Path) -> None:
    (given / "train.csv").write_text(rows(np.zeros((30, 64), dtype=int), [325] * 15 + [3] * 15))
    with pytest.raises(UserError, match=r"datasets.it.classes: found 325, but the files hold 2 classes"):
        prepared(given, reader="csv", shape=[1, 8, 8], classes=325, options={"label": "last"})


def test_a_film_of_no_frames(given: Path) -> None:
    film(given / "it.mkv", pictures(0, 16, 16, 3))
    said = refusal("video", given / "it.mkv", (3, 16, 16))
    assert "it.mkv: " in said and ("no frame" in said or "no video" in said)


def test_databases(given: Path) -> None:
    database(given / "a_train_lmdb", [png(image) for image in pictures(200, 8, 8, 3)])
    data = given / "a_train_lmdb" / "data.mdb"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 64 // 4096 * 4096 or 8192])
    assert "data.mdb: " in (said := refusal("lsun", given)) and ("cut short" in said or "damaged" in said)
    data.write_bytes(b"no database" * 1000)
    assert "no LMDB database, or a damaged one" in refusal("lsun", given)
    data.unlink()
    assert "no data.mdb in it" in refusal("lsun", given)


def test_parquet_that_is_damaged(given: Path) -> None:
    whole = parquet(pictures(50, 8, 8, 3), [0] * 50, ["cat", "dog"])
    for place in range(40, len(whole) - 40, len(whole) // 12):
        turned = bytearray(whole)
        turned[place] ^= 0x40
        (given / "train.parquet").write_bytes(turned)
        try:
            read("parquet", RAW, path=str(given))
        except ValueError as error:
            assert "train" in str(error) and "\n" not in str(error).strip()


def test_arrays_of_objects(given: Path) -> None:
    write(given, {"it.npz": npz(images=np.array([Harm(os.system, "touch witness")], dtype=object))})
    assert "it.npz: array 'images' cannot be read" in refusal("arrays", given / "it.npz", (1, 8, 8))


# --- through the stages -----------------------------------------------------------------------------------------


def context(stage: str, place: Path, **block: Any) -> JobContext:
    """A job on a person's own folder, as the plan would have it."""
    whole = {
        "dataset": "it", "reader": "images", "shape": [3, 8, 8], "options": {}, "crop": None, "resize": False,
        "limit": None, "valid": 0.1, "test": 0.1, "split_seed": 0, "classes": None, "files": [],
    }  # fmt: skip
    said = {"dataset": "it", "content": content_hash.digest(place, RAW)} if stage == "fetch" else whole
    BEGUN.append(Progress("it", Path("it.log")))
    return JobContext(
        stage=stage, wildcards={"dataset": "it"}, config=said | block, modules=(), hash="0" * 16,
        inputs={"fetched": layout.path(layout.OUTPUTS["fetch"]["fetched"], dataset="it", hash="0" * 16)},
        progress=BEGUN[-1],
        runtime_only={"path": str(place), "sources": [], "manual_download": "Draw it yourself"},
    )  # fmt: skip


def prepared(place: Path, **block: Any) -> JobContext:
    fetch.run(context("fetch", place))
    job = context("prepare", place, **block)
    prepare.run(job)
    return job


def test_a_class_with_one_image_and_an_empty_class(given: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_folder(given, {"rare": 1, "common": 29})
    (given / "absent").mkdir()
    prepared(given)
    said = capsys.readouterr().err
    assert "warning: 1 classes with no image to train on: absent" in said
    assert "warning: 1 classes with fewer than three images to train on: rare" in said
    with pyarrow.ipc.open_file(f"data/prepared/it/{'0' * 16}/train.arrow") as file:
        labels = file.read_all()["label"].to_pylist()
    assert labels.count(2) == 1 and labels.count(0) == 0


def test_a_folder_that_is_not_there_says_what_to_do(given: Path) -> None:
    with pytest.raises(UserError, match=r"nothing: not found; datasets.it.path names it. Draw it yourself$"):
        fetch.run(context("fetch", given / "nothing"))


def test_a_file_that_may_not_be_read(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the error is put in."""
    image_folder(given, {".": 30})
    opened = Path.open

    def refuse(self: Path, *arguments: Any, **more: Any) -> Any:
        if self.name == "7.png":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **more)

    fetch.run(context("fetch", given))
    job = context("prepare", given)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"7\.png: could not be read: Permission denied; check its rights"):
        prepare.run(job)
    assert not list(Path("data/prepared").rglob("*"))


def test_what_changed_since_it_was_fetched_is_seen(given: Path) -> None:
    image_folder(given, {".": 30})
    fetch.run(context("fetch", given))
    (given / "7.png").write_bytes(png(pictures(1, 8, 8, 3)[0]))
    with pytest.raises(UserError, match="changed or not there any more"):
        prepare.run(context("prepare", given))


# --- identity by content ----------------------------------------------------------------------------------------


def test_the_digest_follows_names_and_bytes_and_no_clock(given: Path) -> None:
    (given / "a.png").write_bytes(b"1")
    first = content_hash.digest(given, RAW)
    os.utime(given / "a.png", (1, 1))
    assert content_hash.digest(given, RAW) == first
    content_hash.write_index(given, RAW)
    assert content_hash.digest(given, RAW) == first
    (given / "a.png").write_bytes(b"2")
    assert (second := content_hash.digest(given, RAW)) != first
    (given / "a.png").rename(given / "b.png")
    assert content_hash.digest(given, RAW) not in (first, second)
    (given / "b.png").unlink()
    assert content_hash.digest(given / "nothing", RAW) == content_hash.ABSENT


def test_an_index_spares_reading_and_a_damaged_one_does_no_harm(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (given / "a.png").write_bytes(b"1")
    os.utime(given / "a.png", (1_000_000_000, 1_000_000_000))
    first = content_hash.digest(given, RAW)
    content_hash.write_index(given, RAW)
    with monkeypatch.context() as patch:
        patch.setattr(content_hash, "_sha256", lambda *_: pytest.fail("it was read again"))
        assert content_hash.digest(given, RAW) == first
    (RAW / content_hash.INDEX).write_bytes(b"\xff\x00 no index\n" * 3)
    assert content_hash.digest(given, RAW) == first
