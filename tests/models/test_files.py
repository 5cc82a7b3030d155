"""Atomic writes: a file is complete or not there."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from models.files import replace_folder, write_atomically


def full(*_arguments: object, **_named: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace"), (Path, "open")])
def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, call: str, old: bytes | None
) -> None:
    if old is not None:
        (tmp_path / "file").write_bytes(old)
    with monkeypatch.context() as patched:
        patched.setattr(owner, call, full)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(tmp_path / "file", b"new")
    assert names(tmp_path) == ([] if old is None else ["file"])
    assert old is None or (tmp_path / "file").read_bytes() == old


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for data in (b"a longer one", b"", b"short"):
        write_atomically(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert names(tmp_path) == ["file"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record all syncs and renames from now on, in order."""
    done: list[str] = []
    fsync = os.fsync

    def synced(descriptor: int) -> None:
        done.append("sync of the folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync of the file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)

    def counted(real: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def renamed(path: Path, to: Path) -> Path:
            done.append("rename")
            return real(path, to)

        return renamed

    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    return done


def test_data_is_synced_before_it_takes_its_name(tmp_path: Path, calls: list[str]) -> None:
    write_atomically(tmp_path / "file", b"new")
    assert calls == ["sync of the file", "rename", "sync of the folder"]


def test_a_folders_new_name_is_synced(tmp_path: Path, calls: list[str]) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert calls == ["rename", "rename", "sync of the folder"]
    assert names(tmp_path) == ["old"]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_cannot_take_its_place_leaves_what_was_there(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "a").write_text("a")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "old")
    assert names(tmp_path) == (["old"] if there else [])
    assert not there or names(tmp_path / "old") == ["a"]


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a folder"),
        (lambda path: path.symlink_to("elsewhere"), "a symbolic link"),
        (make_pipe, "a device or a pipe"),
    ],
)
def test_a_file_replaces_nothing_but_a_file(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "there")
    before = (tmp_path / "there").lstat()
    with pytest.raises(FileExistsError, match=f"{kind} is there, and is not replaced"):
        write_atomically(tmp_path / "there", b"new")
    assert (tmp_path / "there").lstat() == before
    assert names(tmp_path) == ["there"]


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_a_path_without_a_name_is_refused(path: str) -> None:
    with pytest.raises(FileExistsError, match="a folder is there"):
        write_atomically(Path(path), b"new")
