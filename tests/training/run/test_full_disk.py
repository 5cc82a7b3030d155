"""A full disk: one clear error, exit code 1, and a resume from the last good state ends in the same bytes."""

import errno
import io
import os
import re
import subprocess
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest

from harness.tiny_models import make_tiny_model_folder
from models.model_folder.read import load_model
from tests.training.support import TINY_MLP, command_line, environment, exported_bytes, grid_bytes, sets, write_npz
from training.cli.command_line import main
from training.run import writer
from training.run.folder import RunFolder

SETTINGS = ["mlp", "--epochs", "2", "--threads", "1", *sets([*TINY_MLP, "batch_size=18", "checkpoint_interval_s=0"])]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "draw_curves", lambda *_args, **_kwargs: b"curves")
    monkeypatch.setenv("GIT_DIR", os.devnull)  # so that every run records the same commit


def no_space(*_args: object, **_kwargs: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def the_nth_fails(n: int, real: Callable[..., object]) -> Callable[..., object]:
    calls = count(1)

    def call(*args: object, **kwargs: object) -> object:
        if next(calls) == n:
            no_space()
        return real(*args, **kwargs)

    return call


def only_error(stderr: str) -> str:
    lines = stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, stderr
    assert lines[-1] == errors[0]
    assert "Traceback" not in stderr
    return errors[0]


class Runs:
    """Runs of one recipe on one data set, each in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = write_npz(root / "data.npz")
        assert self.fit("whole") == 0
        self.wanted = self.outcome("whole")

    def fit(self, name: str) -> int:
        return main(["fit", *SETTINGS, "--data", str(self.data), "--out", str(self.root / name)])

    def go_on(self, name: str) -> int:
        if (self.root / name / "config.json").exists():
            return main(["resume", str(self.root / name)])
        return self.fit(name)

    def outcome(self, name: str) -> tuple[dict[str, bytes], bytes]:
        folder = RunFolder(self.root / name)
        return grid_bytes(folder), exported_bytes(folder, folder.read_config(), self.root / "exported" / "model")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.mark.slow
def test_at_every_sync_of_a_run(runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    failures = 0
    for n in count(1):
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", the_nth_fails(n, lambda _descriptor: None))
            code = runs.fit(f"run-{n}")
        if code == 0:
            break
        failures += 1
        assert code == 1
        error = only_error(capsys.readouterr().err)
        assert re.match(rf"error: the disk is full \({runs.root}(/run-\d+[^ ]*)?\); ", error), error
        assert not list((runs.root / f"run-{n}").rglob("*.tmp"))
        assert runs.go_on(f"run-{n}") == 0
        assert runs.outcome(f"run-{n}") == runs.wanted, n
    assert failures == 2 * 15 + 1  # 2 syncs for each of 15 files, and 1 for the folder above


def test_the_state_that_was_saved_stays_as_it_was(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    state = runs.root / "whole" / "checkpoint.safetensors"
    before = state.read_bytes()
    monkeypatch.setattr(os, "fsync", no_space)
    assert main(["resume", str(runs.root / "whole")]) == 1
    assert state.read_bytes() == before


def test_a_log_on_a_full_disk(runs: Runs, capsys: pytest.CaptureFixture[str]):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert main(["fit", *SETTINGS, "--data", str(runs.data), "--out", str(runs.root / "a"), "--dry-run"]) == 0
    folder = RunFolder(runs.root / "a")
    folder.create(RunFolder(runs.root / "whole").read_config())
    folder.log_file.symlink_to("/dev/full")
    capsys.readouterr()
    assert main(["resume", str(folder.path)]) == 1
    assert "the disk is full" in only_error(capsys.readouterr().err)
    folder.log_file.unlink()
    assert main(["resume", str(folder.path)]) == 0
    assert runs.outcome("a") == runs.wanted


def test_a_line_of_the_log_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A part of the line still fits into the current page of the file, and the disk has no room for another page."""
    folder = RunFolder(tmp_path)
    folder.log("first")
    before = folder.log_file.read_bytes()

    class HalfAPage(io.FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            return super().write(bytes(data)[:7]) if self.tell() == len(before) else no_space()

    def open_it(path: Path, mode: str, *, buffering: int) -> io.FileIO:
        assert buffering == 0
        return HalfAPage(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_it)
        with pytest.raises(OSError, match=r"No space left on device: '.*log\.txt'"):
            folder.log("second")
    assert folder.log_file.read_bytes() == before
    folder.log("third")
    assert [line[20:] for line in folder.log_file.read_text().splitlines()] == ["first", "third"]


def test_standard_output_on_a_full_disk(tmp_path: Path):
    """The error appears when the buffer is flushed at the end; `tests.training.support.run` would not buffer."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    own = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    command = command_line("sample", make_tiny_model_folder(tmp_path / "tiny"), "-o", tmp_path / "grid.png")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, env=own, stdout=full, stderr=subprocess.PIPE, text=True, timeout=600, check=False
        )
    assert done.returncode == 1
    assert only_error(done.stderr).startswith("error: the disk is full (standard output); ")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_at_each_line_of_the_log(runs: Runs, n: int, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log", the_nth_fails(n, lambda _folder, _text: None))
        assert runs.fit("a") == 1
    assert runs.go_on("a") == 0
    assert runs.outcome("a") == runs.wanted


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_at_each_record_of_the_events(
    runs: Runs, n: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("training.run.tensorboard.RecordWriter.flush", the_nth_fails(n, lambda _writer: None))
        assert runs.fit("a") == 1
    assert "the disk is full" in only_error(capsys.readouterr().err)
    assert runs.go_on("a") == 0
    assert runs.outcome("a") == runs.wanted


def test_events_on_a_device_that_is_full(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    folder = RunFolder(runs.root / "a")
    folder.create(RunFolder(runs.root / "whole").read_config())
    folder.tensorboard.mkdir()
    (folder.tensorboard / f"events.out.tfevents.1.{os.getpid()}").symlink_to("/dev/full")
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: 1)
        assert runs.go_on("a") == 1
    assert f"the disk is full ({folder.tensorboard}/events.out." in only_error(capsys.readouterr().err)
    assert runs.go_on("a") == 0
    assert runs.outcome("a") == runs.wanted


def test_an_export_leaves_the_old_model_whole(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    model = runs.root / "models" / "mine"
    assert main(["export", str(runs.root / "whole"), "--to", str(model)]) == 0
    before = load_model(model).reference
    for n in (1, 2, 5):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", the_nth_fails(n, lambda _descriptor: None))
            assert main(["export", str(runs.root / "whole"), "--to", str(model)]) == 1
        assert load_model(model).reference == before
        assert sorted(path.name for path in model.parent.iterdir()) == ["mine"]


def test_a_sample_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = make_tiny_model_folder(tmp_path / "tiny")
    picture = tmp_path / "grid.png"
    picture.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", no_space)
    assert main(["sample", str(model), "-o", str(picture)]) == 1
    assert picture.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.png", "tiny"]
