"""The cache of decoded pictures: the same data as without it, made once, whole or not at all."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.support import ROOT, environment, tiny_images, write_pngs
from training.data import cache, load_pictures
from training.data.dataset import Dataset, load_dataset
from training.data.reading import Reading
from training.data.sources import decoding, reader
from training.errors import DataError


@pytest.fixture(autouse=True)
def every_folder_is_worth_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FEW_PICTURES", 1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes with a broken file, a transparent picture, one in colour and a test set."""
    folder = tmp_path / "pets"
    for split, n in (("train", 30), ("test", 6)):
        for number, kind in enumerate(("cat", "dog")):
            write_pngs(folder / split / kind, tiny_images(n, seed=number))
    (folder / "train" / "cat" / "broken.png").write_bytes(b"x")
    Image.new("RGBA", (16, 16), (255, 0, 0, 90)).save(folder / "train" / "dog" / "z.png")
    return folder


def load(data: Path, folder: Path, **options: object) -> Dataset:
    return load_dataset(str(data), reading=Reading(cache=folder), **options)  # type: ignore[arg-type]


def assert_same(one: Dataset, other: Dataset) -> None:
    for field in ("images", "held_out", "labels", "held_out_labels"):
        assert torch.equal(getattr(one, field), getattr(other, field))
    for field in ("name", "shape", "skipped", "class_names", "not_square", "classes"):
        assert getattr(one, field) == getattr(other, field)
    assert one.fingerprint() == other.fingerprint()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets an entry for each time that pictures are read."""
    times: list[int] = []

    def counting(*arguments: object, **options: object) -> object:
        times.append(1)
        return reader.read_pictures(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(load_pictures, "read_pictures", counting)
    return times


def test_the_data_are_those_without_a_cache(data: Path, tmp_path: Path, reads: list[int]):
    without = load_dataset(str(data))
    first, second = load(data, tmp_path / "cache"), load(data, tmp_path / "cache")
    assert_same(first, without)
    assert_same(second, without)
    assert len(reads) == 2  # the one without a cache, and the first
    assert first.notes[:-1] == second.notes[:-1] == without.notes
    assert first.notes[-1].startswith(f"the decoded pictures are kept in the cache {tmp_path}/cache/")
    assert second.notes[-1].startswith(f"the decoded pictures are read from the cache {tmp_path}/cache/")
    (entry,) = (tmp_path / "cache").iterdir()
    assert sorted(file.name for file in entry.iterdir()) == [
        "data.json",
        "held_out.npy",
        "held_out_labels.npy",
        "images.npy",
        "labels.npy",
    ]


def test_grey_pictures_without_labels(tmp_path: Path):
    write_pngs(tmp_path / "grey", tiny_images(30))
    for _ in range(2):
        seen = load(tmp_path / "grey", tmp_path / "cache")
        assert seen.fingerprint() == load_dataset(str(tmp_path / "grey")).fingerprint()
        assert (seen.labels, seen.held_out_labels, seen.shape.channels) == (None, None, 1)


def test_writing_into_the_images_does_not_change_the_cache(data: Path, tmp_path: Path):
    before = load_dataset(str(data)).fingerprint()
    changed = load(data, tmp_path / "cache")
    changed.images.zero_()
    assert changed.fingerprint() != before
    assert load(data, tmp_path / "cache").fingerprint() == before


def test_what_changes_makes_a_new_cache(data: Path, tmp_path: Path, reads: list[int]):
    folder = tmp_path / "cache"
    picture = data / "train" / "cat" / "000.png"

    def same_time(change: str) -> None:
        status = picture.stat()
        Image.fromarray(tiny_images(1, seed=77)[0]).save(picture, compress_level=0 if change == "size" else 6)
        os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))

    load(data, folder)
    for change in ("size", "content"):  # the time of a change can be set back, but not that of the inode
        same_time(change)
        load(data, folder)
        assert_same(load(data, folder), load_dataset(str(data)))
    os.utime(picture)
    load(data, folder)
    write_pngs(data / "train" / "bird", tiny_images(3))
    load(data, folder)
    load(data, folder, side=24)
    load_dataset(str(data), side=24, reading=Reading(cache=folder, fit="pad"))
    (data / "labels.csv").write_text("file,label\n")
    (data / "labels.csv").unlink()
    load(data, folder)
    made = len(list(folder.iterdir()))
    assert made == 7
    load_dataset(str(data), side=24, reading=Reading(cache=folder, fit="crop"))  # as without an option
    assert len(list(folder.iterdir())) == made


def test_a_moved_folder_and_another_name(data: Path, tmp_path: Path):
    load(data, tmp_path / "cache")
    named = load_dataset(str(data), reading=Reading(cache=tmp_path / "cache", name="mine"))
    assert named.name == "mine"
    assert len(list((tmp_path / "cache").iterdir())) == 1
    data.rename(tmp_path / "moved")
    assert load(tmp_path / "moved", tmp_path / "cache").name == "moved"
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_strict_stops_with_a_cache_too(data: Path, tmp_path: Path):
    with pytest.raises(DataError, match=r"broken\.png"):
        load(data, tmp_path / "cache", strict=True)
    assert list((tmp_path / "cache").iterdir()) == []  # nothing is left of the attempt
    load(data, tmp_path / "cache")
    with pytest.raises(DataError, match=r"a file cannot be read as an image; .*broken\.png: it is not an image"):
        load(data, tmp_path / "cache", strict=True)


@pytest.mark.parametrize("file", ["data.json", "images.npy", "held_out.npy", "labels.npy"])
@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_cache_is_made_again(data: Path, tmp_path: Path, file: str, damage: str):
    load(data, tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    whole = (entry / file).read_bytes()
    (entry / file).write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "other": b"{}"}[damage])
    again = load(data, tmp_path / "cache")
    assert_same(again, load_dataset(str(data)))
    assert "are kept in the cache" in again.notes[-1]
    assert (entry / file).read_bytes() == whole


def test_what_a_killed_process_left_is_removed(data: Path, tmp_path: Path):
    load(data, tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    for key in ("0" * 32, entry.name):
        (tmp_path / "cache" / f"{key}-4711.partial").mkdir()
        (tmp_path / "cache" / f"{key}-4711.partial" / "images.npy").write_bytes(b"x")
    load(data, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == [entry]


def test_a_full_disk_is_one_message_and_leaves_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(load_pictures, "write_images", full)
    with pytest.raises(DataError, match=r"the disk of .*/cache is too full .* --cache-dir, or use --no-cache"):
        load(data, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(data: Path, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    seen = load(data, tmp_path / "file" / "cache")
    assert_same(seen, load_dataset(str(data)))
    assert seen.notes[-1].startswith(f"there is no cache of the decoded pictures, because {tmp_path}/file/cache cannot")


def test_few_small_pictures_have_no_cache(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    n = 74
    for few, few_bytes, made in ((n + 1, 10**9, False), (n, 10**9, True), (n + 1, 100, True)):
        monkeypatch.setattr(cache, "FEW_PICTURES", few)
        monkeypatch.setattr(cache, "FEW_BYTES", few_bytes)
        load(data, tmp_path / "cache")
        assert (tmp_path / "cache").exists() == made
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)


AT_ONCE = """
import sys
from pathlib import Path
from training.data import cache
from training.data.dataset import load_dataset
from training.data.reading import Reading
cache.FEW_PICTURES = 1
data = load_dataset(sys.argv[1], reading=Reading(cache=Path(sys.argv[2])))
print(data.fingerprint(), "are kept in" in data.notes[-1])
"""


def test_two_processes_at_once(data: Path, tmp_path: Path):
    """One makes the cache, and the other waits for it or finds it."""
    command = [sys.executable, "-c", AT_ONCE, str(data), str(tmp_path / "cache")]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [process.communicate(timeout=300)[0].split() for process in processes]
    fingerprint = load_dataset(str(data)).fingerprint()
    assert [each[0] for each in told] == [fingerprint] * 2
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_second_waits_for_the_first(
    data: Path, tmp_path: Path, reads: list[int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    began, go_on = threading.Event(), threading.Event()

    def slow(*arguments: object, **options: object) -> object:
        began.set()
        go_on.wait(60)
        reads.append(1)
        return reader.read_pictures(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(load_pictures, "read_pictures", slow)
    monkeypatch.setattr("time.sleep", lambda _: go_on.set())  # the second one waits, so the first may go on
    found: list[Dataset] = []
    threads = [threading.Thread(target=lambda: found.append(load(data, tmp_path / "cache"))) for _ in range(2)]
    threads[0].start()
    assert began.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert len(reads) == 1
    assert_same(*found)
    assert "another process is reading the same pictures: waiting for it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "home", "folder"),
    [("/x/y", "/home/a", "/x/y"), ("relative", "/home/a", "/home/a/.cache"), ("", "/home/a", "/home/a/.cache")],
)
def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, given: str, home: str, folder: str):
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setenv("HOME", home)
    assert cache.default_folder() == Path(folder, "gan-service", "pictures")


def test_threads_change_nothing(data: Path, monkeypatch: pytest.MonkeyPatch):
    alone = load_dataset(str(data))
    monkeypatch.setattr(decoding, "TRIED", 3)
    monkeypatch.setattr(decoding, "SLOW_S", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert_same(load_dataset(str(data)), alone)
    with pytest.raises(DataError, match=r"broken\.png"):
        load_dataset(str(data), strict=True)


def test_many_pictures_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every copy goes block by block; also the turn to colour in the middle."""
    images = tiny_images(50)
    write_pngs(tmp_path / "d", images)
    Image.new("RGB", (16, 16), (255, 0, 0)).save(tmp_path / "d" / "025b.png")
    whole = load_dataset(str(tmp_path / "d"))
    for module in ("cache", "sources.spool", "dataset"):
        monkeypatch.setattr(f"training.data.{module}.BLOCK", 7)
    blocks = load(tmp_path / "d", tmp_path / "cache")
    assert torch.equal(blocks.images, whole.images)
    assert blocks.fingerprint() == whole.fingerprint()
    torch.testing.assert_close(blocks.pixel_means(), whole.images.double().mean(dim=0).div(255).float())
    assert np.isin(blocks.images.numpy(), np.array([*np.unique(images), 255, 0])).all()
