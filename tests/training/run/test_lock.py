"""Two processes on one run folder: one clear error, and no file is changed. The first is always a real process."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models import lock
from models.model_folder.read import load_model
from tests.training.support import (
    TINY_MLP,
    command_line,
    environment,
    make_config,
    play,
    sets,
    tiny_recipe,
    write_npz,
)
from training.cli.command_line import main
from training.commands import program
from training.errors import RunError
from training.run.folder import RunFolder
from training.run.lock import only_writer
from training.run.watch import describe_run

ENDLESS = ["--epochs", "1000000", "--threads", "1", *sets([*TINY_MLP, "batch_size=18", "checkpoint_interval_s=0"])]


@contextmanager
def training_process(folder: RunFolder, *arguments: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a command that trains, wait until it has saved a state, and kill it at the end of the block."""
    process = subprocess.Popen(
        command_line(*arguments), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 600
        while not (folder.checkpoint_file.exists() and folder.stats_file.read_bytes()):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


def contents(folder: RunFolder) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder.path)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.path.rglob("*"))
        if path.is_file()
    }


def test_a_second_process_is_told_so_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    data = write_npz(tmp_path / "data.npz")
    folder = RunFolder(tmp_path / "run")
    fit = ["fit", "mlp", *ENDLESS, "--data", str(data), "--out", str(folder.path)]
    with training_process(folder, *fit) as process:
        # Commands that only read the folder work meanwhile.
        assert main(["export", str(folder.path), "--to", str(tmp_path / "model")]) == 0
        assert load_model(tmp_path / "model").metadata.recipe == "mlp"
        assert describe_run(folder)["history"]["epochs"]
        assert process.poll() is None

        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        before = contents(folder)
        for command in (["resume", str(folder.path)], fit):
            capsys.readouterr()
            assert main(command) == 1
            run = folder.path
            assert capsys.readouterr().err == (
                f"error: another process is training in {run}: wait until it ends, or stop it and then run "
                f"`{program()} resume {run}`; or start another run with `fit` and another `--out`\n"
            )
        assert contents(folder) == before
    with only_writer(folder.path):  # the process was killed, and its lock ended with it
        pass
    assert not [name for name in contents(folder) if "lock" in name]


def test_the_lock_is_given_back_whatever_happens(tmp_path: Path):
    with only_writer(tmp_path), pytest.raises(RunError, match="another process is training"), only_writer(tmp_path):
        pass
    with pytest.raises(KeyboardInterrupt), only_writer(tmp_path):
        raise KeyboardInterrupt
    with only_writer(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On Windows, training works without a lock."""
    monkeypatch.setattr(lock, "fcntl", None)
    folder = RunFolder(tmp_path / "run")
    config = make_config(tiny_recipe("mlp", "epochs=1"), write_npz(tmp_path / "data.npz"))
    folder.create(config)
    with only_writer(folder.path), only_writer(folder.path):
        play(folder, config)
    assert folder.checkpoint_file.exists()


@pytest.mark.parametrize("number", [*sorted(lock.REFUSED), 5])
def test_a_file_system_that_knows_no_locks(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch):
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    if number == 5:  # EIO, which does not mean that locks are not supported
        with pytest.raises(OSError, match="Input/output error"), only_writer(tmp_path):
            pass
    else:
        with only_writer(tmp_path):
            pass
