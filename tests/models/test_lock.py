"""Several processes that write the same file or model folder at once: it is whole, and all others are told."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.tiny_models import make_tiny_model_folder
from models import lock
from models.errors import ModelDestinationError
from models.files import write_atomically
from models.lock import only_writer_of_model
from models.model_folder.read import load_model
from tests.models.support import write_again

WRITER = """
import sys
from pathlib import Path
from models.files import write_atomically
path, letter, size = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
told = 0
for _ in range(300):
    try:
        write_atomically(path, letter * size)
    except BlockingIOError as error:
        assert "another process is writing it at this moment; try again" in str(error)
        assert str(path) in str(error)
        told += 1
    assert set(path.read_bytes().decode()) in ({"a"}, {"b"})
    assert path.stat().st_size in (10, 100_000)
print(told)
"""


def test_a_file_that_two_processes_write_is_always_whole(tmp_path: Path):
    path = tmp_path / "file"
    write_atomically(path, b"a" * 10)
    commands = [
        [sys.executable, "-c", WRITER, str(path), letter, size] for letter, size in (("a", "10"), ("b", "100000"))
    ]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    for writer in writers:
        told, _ = writer.communicate(timeout=600)
        assert writer.returncode == 0
        assert 0 <= int(told) < 300
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_that_another_process_is_writing(tmp_path: Path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with (tmp_path / ".file.tmp").open("ab") as other:
        other.write(b"half")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="another process is writing it"):
            write_atomically(path, b"new")
        assert (tmp_path / ".file.tmp").read_bytes() == b"half"
    write_atomically(path, b"new")  # what the other left is no obstacle
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_model_folder_has_one_writer(tmp_path: Path):
    good = make_tiny_model_folder(tmp_path / "good")
    model, before = load_model(good), (good / "model.safetensors").stat().st_mtime_ns
    with (tmp_path / ".good.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        message = "another process is writing a model to .*good: wait until it ends, or name another folder"
        with pytest.raises(ModelDestinationError, match=message):
            write_again(model, good)
    assert (good / "model.safetensors").stat().st_mtime_ns == before
    write_again(model, good)  # a lock file that a killed process left is no obstacle
    assert [entry.name for entry in tmp_path.iterdir()] == ["good"]


def test_the_lock_of_a_model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "new" / "model"
    with only_writer_of_model(path):
        with only_writer_of_model(path):  # the command takes it, and `write_model` again
            pass
        assert [entry.name for entry in path.parent.iterdir()] == [".model.lock"]
    assert list(path.parent.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), only_writer_of_model(path):
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []
    monkeypatch.setattr(lock, "fcntl", None)  # Windows
    with only_writer_of_model(path):
        pass


def test_a_lock_file_that_its_holder_removes_meanwhile_is_not_taken_for_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "model"
    real = lock.lock
    seen: list[int] = []

    def late(descriptor: int) -> bool:
        if not seen:  # the holder ends between the opening of its file and the lock on it
            (tmp_path / ".model.lock").unlink()
        seen.append(os.fstat(descriptor).st_ino)
        return real(descriptor)

    monkeypatch.setattr(lock, "lock", late)
    with only_writer_of_model(path):
        assert (tmp_path / ".model.lock").stat().st_ino == seen[-1]
    assert len(seen) == 2
