"""Pictures in a zip or a tar, read as they are: classes, splits and labels inside, and archives that mean harm."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.support import tiny_images, write_pngs
from training.data.dataset import load_dataset
from training.data.reading import Reading
from training.data.sources import archive as archives
from training.errors import DataError

N = 24


def png(index: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(tiny_images(N)[index]).save(file, "PNG")
    return file.getvalue()


PNGS = [png(index) for index in range(N)]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def unpacked(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


Pack = Callable[[Path, dict[str, bytes]], Path]
PACKS: list[tuple[Pack, str]] = [(zipped, "pets.zip"), (tarred, "pets.tar")]
CONTENTS = {
    "flat": {f"{n:03d}.png": PNGS[n] for n in range(N)},
    "classes": {f"{'ab'[n % 2]}/{n:03d}.png": PNGS[n] for n in range(N)},
    "classes in a folder": {f"pets/{'ab'[n % 2]}/{n:03d}.png": PNGS[n] for n in range(N)},
    "splits": {f"pets/{'train' if n < 20 else 'test'}/{'ab'[n % 2]}/{n:03d}.png": PNGS[n] for n in range(N)},
    "labels": {f"x/{n:03d}.png": PNGS[n] for n in range(N)}
    | {"labels.csv": ("file,label\n" + "".join(f"x/{n:03d}.png,{n % 3}\n" for n in range(N))).encode()},
    "StyleGAN": {f"{n // 10:05d}/img{n:08d}.png": PNGS[n] for n in range(N)}
    | {"dataset.json": json.dumps({"labels": [[f"{n // 10:05d}/img{n:08d}.png", n % 2] for n in range(N)]}).encode()},
}


@pytest.mark.parametrize(("pack", "name"), PACKS, ids=["zip", "tar"])
@pytest.mark.parametrize("kind", CONTENTS)
def test_an_archive_gives_the_same_as_its_folder(tmp_path: Path, kind: str, pack: Pack, name: str):
    packed = load_dataset(str(pack(tmp_path / name, CONTENTS[kind])))
    folder = load_dataset(str(unpacked(tmp_path / "pets", CONTENTS[kind])))
    assert packed.fingerprint() == folder.fingerprint()
    assert (packed.name, packed.class_names) == (folder.name, folder.class_names) == ("pets", folder.class_names)
    assert len(packed.notes) == len(folder.notes)
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / name, *(tmp_path / "pets").rglob("*"), tmp_path / "pets"])


def test_labels_may_be_given_for_an_archive(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", CONTENTS["flat"])
    labels = tmp_path / "mine.csv"
    labels.write_text("file,label\n" + "".join(f"{n:03d}.png,{'ab'[n % 2]}\n" for n in range(N)))
    assert load_dataset(str(path), reading=Reading(labels=labels)).class_names == ("a", "b")
    labels.write_text(labels.read_text() + "more.png,a\n")
    with pytest.raises(DataError, match=r"mine\.csv have 1 mistake(.|\n)*line 26: there is no picture 'more\.png'"):
        load_dataset(str(path), reading=Reading(labels=labels))


def test_mistakes_of_labels_inside_are_told(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", CONTENTS["flat"] | {"labels.csv": b"file,label\n000.png,a\n"})
    with pytest.raises(DataError, match=rf"pets\.zip/labels\.csv have {N - 1} mistake(.|\n)*pets\.zip/001\.png has no"):
        load_dataset(str(path))


@pytest.mark.parametrize(("pack", "name"), PACKS, ids=["zip", "tar"])
def test_paths_that_lead_outside_are_ignored_and_nothing_is_written(tmp_path: Path, pack: Pack, name: str):
    evil = {"../evil.png": PNGS[0], "/evil.png": PNGS[0], "a/../../evil.png": PNGS[0], "C:/evil.png": PNGS[0]}
    hidden = {"__MACOSX/._a.png": b"x", ".hidden/a.png": b"x", "notes.txt": b"x"}
    path = pack(tmp_path / name, CONTENTS["flat"] | evil | hidden)
    data = load_dataset(str(path))
    assert len(data.images) + len(data.held_out) == N
    assert "ignored 4 entries with paths outside the archive: ../evil.png" in "\n".join(data.notes)
    assert "ignored 2 image(s) that are hidden" in data.notes
    assert "ignored 1 file(s) of other kinds: 1 .txt" in data.notes
    assert list(tmp_path.rglob("evil.png")) == []


def test_an_entry_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = zipped(tmp_path / "bomb.zip", CONTENTS["flat"] | {"bomb.png": bytes(100_000)})
    monkeypatch.setattr(archives, "MAX_ENTRY_BYTES", 99_999)
    data = load_dataset(str(path))
    assert data.skipped == (f"{path}/bomb.png: it has 100,000 bytes, and at most 99,999 are read",)
    monkeypatch.setattr(archives, "MAX_ENTRY_BYTES", 100_000)
    assert load_dataset(str(path)).skipped == (f"{path}/bomb.png: it is not an image of a known kind",)


def test_a_zip_that_lies_about_a_size_is_skipped(tmp_path: Path):
    """The header says that the entry is small; its bytes unpack to more."""
    path = zipped(tmp_path / "lies.zip", CONTENTS["flat"] | {"big.png": bytes(300_000)})
    data = path.read_bytes()
    path.write_bytes(data.replace((300_000).to_bytes(4, "little"), (3_000).to_bytes(4, "little")))
    (skipped,) = load_dataset(str(path)).skipped
    assert skipped.startswith(f"{path}/big.png: ")


def test_a_damaged_entry_is_skipped_and_strict_stops(tmp_path: Path):
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in CONTENTS["flat"].items():
            archive.writestr(name, data)
    path.write_bytes(path.read_bytes().replace(PNGS[3], PNGS[3][:-30] + bytes(30)))
    (skipped,) = load_dataset(str(path)).skipped
    assert skipped == f"{path}/003.png: Bad CRC-32 for file '003.png'"
    with pytest.raises(DataError, match=r"pets\.zip/003\.png cannot be read as an image: Bad CRC-32"):
        load_dataset(str(path), strict=True)


def test_entries_with_a_password_are_skipped(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", CONTENTS["flat"])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")  # the first entry of the directory
    data[at + 8] |= 1  # "encrypted"
    path.write_bytes(data)
    (skipped,) = load_dataset(str(path)).skipped
    assert skipped.startswith(f"{path}/000.png: File ")
    assert "is encrypted, password required" in skipped


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_last_entry_of_a_path_counts(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", CONTENTS["flat"] | {"000.png": b"x"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("000.png", PNGS[0])
    data = load_dataset(str(path))
    assert data.skipped == ()
    assert "1 path(s) occur more than once; the last entry of each was read" in data.notes


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_archive(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"a\.(zip|tar) cannot be read as (a zip|an uncompressed tar): "):
        load_dataset(str(tmp_path / name))


@pytest.mark.parametrize(("pack", "name"), PACKS, ids=["zip", "tar"])
def test_no_pictures_and_cut_archives(tmp_path: Path, pack: Pack, name: str):
    with pytest.raises(DataError, match=r"holds no images \(.*\): give another archive; ignored 1 file"):
        load_dataset(str(pack(tmp_path / name, {"a.txt": b"x"})))
    whole = pack(tmp_path / name, CONTENTS["flat"]).read_bytes()
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        (tmp_path / name).write_bytes(whole[:length])
        with suppress(DataError):  # and no other error
            data = load_dataset(str(tmp_path / name))
            assert len(data.images) + len(data.held_out) + len(data.skipped) <= N


def test_a_compressed_tar_is_told_how_to_unpack_it(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(write_pngs(tmp_path / "p", tiny_images(3)), "p")
    with pytest.raises(DataError, match=r"a\.tar\.gz is an archive: unpack it with `mkdir .*tar -xf"):
        load_dataset(str(tmp_path / "a.tar.gz"))
    (tmp_path / "a.tar.gz").rename(tmp_path / "a.tar")
    with pytest.raises(DataError, match=r"a\.tar cannot be read as an uncompressed tar"):
        load_dataset(str(tmp_path / "a.tar"))


def test_a_folder_with_only_an_archive_names_it(tmp_path: Path):
    (tmp_path / "d").mkdir()
    path = zipped(tmp_path / "d" / "pets.zip", CONTENTS["flat"])
    with pytest.raises(DataError, match=rf"holds no images .*, but {path}: it is read as it is: `--data {path}`"):
        load_dataset(str(tmp_path / "d"))


def test_entries_are_pictures_like_any_others(tmp_path: Path):
    images = np.zeros((20, 30, 40), np.uint8)
    files = {}
    for index, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image + index).save(file, "WEBP", lossless=True)
        files[f"{index}.webp"] = file.getvalue()
    data = load_dataset(str(zipped(tmp_path / "a.zip", files)), side=16, reading=Reading(fit="pad"))
    assert (data.shape.height, data.not_square) == (16, 20)
