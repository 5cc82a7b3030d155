"""A model folder that changes while it is read, or afterwards."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.tiny_models import make_tiny_model_folder, tiny_png
from models import errors
from models.model_folder import read
from models.model_folder.read import load_model, read_picture


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_tiny_model_folder(tmp_path / "tiny")


def becomes(monkeypatch: pytest.MonkeyPatch, path: Path, change: Callable[[], object]) -> None:
    """Change the file between the check and the opening."""
    real = os.open

    def opened(name: object, *arguments: int) -> int:
        if name == path:
            change()
        return real(name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", opened)


@pytest.mark.parametrize("name", ["model.safetensors", "history.json", "CARD.md", "timeline/00001.png"])
def test_a_pipe_that_takes_a_files_place_is_not_waited_for(
    good: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def change() -> None:
        (good / name).unlink()
        os.mkfifo(good / name)

    becomes(monkeypatch, good / name, change)
    with pytest.raises(errors.ModelFileMissingError, match="is not a file any more"):
        load_model(good)


def test_a_file_that_grows_is_not_read_to_its_end(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_TEXT_BYTES", 1000)
    becomes(monkeypatch, good / "CARD.md", lambda: os.truncate(good / "CARD.md", 10**12))
    with pytest.raises(errors.ModelTooLargeError, match="has 1,000,000,000,000 bytes"):
        load_model(good)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no files in memory here")
def test_weights_that_are_cut_while_they_are_parsed(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a mapped file is shortened, the process is killed; and the hash must belong to the loaded weights."""
    whole = load_model(good)
    real = read._parse_weights

    def parsed(path: Path) -> object:
        os.truncate(good / "model.safetensors", 100)
        return real(path)

    monkeypatch.setattr(read, "_parse_weights", parsed)
    model = load_model(good)
    assert model.sha256 == whole.sha256
    for one, other in zip(model.generator.state_dict().values(), whole.generator.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_no_descriptor_is_left_open(good: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        load_model(good)
    assert before == (len(list(Path("/proc/self/fd").iterdir())) if before else 0)


def test_a_picture_is_looked_at_again_when_it_is_shown(good: Path) -> None:
    model = load_model(good)
    entry = model.timeline[1]
    assert read_picture(good, entry) == tiny_png(90)
    secret = good.parent / "secret.png"
    secret.write_bytes(b"secret")
    for change, kind in [
        (lambda: entry.path.symlink_to(secret), errors.ModelPathError),
        (lambda: os.mkfifo(entry.path), errors.ModelFileMissingError),
        (entry.path.mkdir, errors.ModelFileMissingError),
    ]:
        entry.path.rmdir() if entry.path.is_dir() else entry.path.unlink()
        change()
        assert raised_by(lambda: read_picture(good, entry)) is kind


def raised_by(act: Callable[[], object]) -> type[BaseException] | None:
    """Return the kind of error. This runs in a thread, so that a pipe cannot block the tests."""
    told: list[type[BaseException]] = []

    def run() -> None:
        try:
            act()
        except errors.ModelFolderError as error:
            told.append(type(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=120)
    return told[0] if told else None
