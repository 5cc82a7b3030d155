"""A model folder never replaces anything except a model folder, and nothing else is changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from harness.tiny_models import make_tiny_model_folder
from models import errors
from models.model_folder.destination import check_destination
from models.model_folder.read import load_model
from tests.models.model_folder.damage import (
    delete,
    link_history_out,
    link_timeline_out,
    link_whole_timeline_out,
    no_metadata,
)
from tests.models.support import write_again


def contents(path: Path) -> dict[str, str]:
    """Record everything at and below a path: the kind of each entry, and the bytes of files."""
    return {
        str(entry.relative_to(path.parent)): f"link to {entry.readlink()}"
        if entry.is_symlink()
        else "folder"
        if entry.is_dir()
        else entry.read_bytes().hex()
        for entry in (path, *path.rglob("*"))
    }


def letters(path: Path) -> None:
    path.mkdir()
    (path / "letter.txt").write_text("Dear Ann")


def hidden_file(path: Path) -> None:
    path.mkdir()
    (path / ".keep").touch()


def model_with(name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        make_tiny_model_folder(path)
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("mine")

    return make


def model_changed_by(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        make_tiny_model_folder(path)
        change(path)

    return make


def linked_model(path: Path) -> None:
    path.symlink_to(make_tiny_model_folder(path.with_name("real")))


def other_weights(path: Path) -> None:
    """Write the weights of another network under their usual name."""
    path.mkdir()
    save_file({"w": torch.zeros(3)}, path / "model.safetensors")


FOREIGN = "{path} holds {name!r}, which is not part of a model folder and would be lost"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (letters, FOREIGN.format(path="there", name="letter.txt")),
        (hidden_file, FOREIGN.format(path="there", name=".keep")),
        (model_with("notes.txt"), FOREIGN.format(path="there", name="notes.txt")),
        (model_with("timeline/holiday.png"), FOREIGN.format(path="there", name="timeline/holiday.png")),
        (model_with("drafts/one.txt"), FOREIGN.format(path="there", name="drafts")),
        (model_changed_by(link_history_out), FOREIGN.format(path="there", name="history.json")),
        (model_changed_by(link_whole_timeline_out), FOREIGN.format(path="there", name="timeline")),
        (model_changed_by(link_timeline_out), FOREIGN.format(path="there", name="timeline/00009.png")),
        (model_changed_by(delete("model.safetensors")), "there is not empty and not a model folder"),
        (model_changed_by(no_metadata), "there is not empty and not a model folder"),
        (other_weights, "there is not empty and not a model folder"),
        (linked_model, "there is a symbolic link, which is not replaced"),
        (lambda path: path.symlink_to("nowhere"), "there is a symbolic link, which is not replaced"),
        (lambda path: path.write_text("a letter"), "there is not a folder, and is not replaced"),
        (os.mkfifo, "there is not a folder, and is not replaced"),
    ],
)
def test_only_a_model_folder_is_replaced(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], message: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    make(Path("there"))
    model = load_model(good)
    is_pipe = Path("there").is_fifo()
    before = None if is_pipe else contents(home)
    for write in (lambda: write_again(model, Path("there")), lambda: check_destination(Path("there"))):
        with pytest.raises(errors.ModelDestinationError) as refused:
            write()
        assert str(refused.value).startswith(message)
        assert before is None or contents(home) == before
        assert Path("there").is_fifo() == is_pipe


@pytest.mark.parametrize("path", [".", "..", "/", "Bad Name!", "models/..", "holiday/.hidden"])
def test_a_name_that_is_no_models_is_refused(good: Path, path: str) -> None:
    with pytest.raises(errors.ModelNameError, match="cannot be a model's name; choose one that matches"):
        write_again(load_model(good), Path(path))


def test_a_folder_cannot_be_made_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Ann")
    for path in (tmp_path / "letter" / "m", tmp_path / "letter" / "models" / "m"):
        with pytest.raises(errors.ModelDestinationError, match="letter is not a folder that this user can write into"):
            check_destination(path)


def test_a_folder_must_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # tests/training/cli/test_surroundings.py has real ones
    with pytest.raises(errors.ModelDestinationError, match="is not a folder that this user can write into"):
        check_destination(tmp_path / "m")


def test_a_mount_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: True)
    (tmp_path / "m").mkdir()
    with pytest.raises(errors.ModelDestinationError, match="is a mount point"):
        check_destination(tmp_path / "m")


def test_the_files_of_a_file_manager_are_no_loss(good: Path, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    opened.mkdir()
    for place in (opened, good, good / "timeline"):
        for name in (".DS_Store", "._00000.png", "Thumbs.db"):
            (place / name).write_bytes(b"")
    assert not check_destination(opened)
    assert check_destination(good)
    assert [entry.epoch for entry in load_model(good).timeline] == [0, 1, 2]
    (good / "timeline" / "._holiday").mkdir()
    with pytest.raises(errors.ModelDestinationError, match=r"holds 'timeline/\._holiday'"):
        check_destination(good)


def test_what_may_be_written_to(good: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not check_destination(tmp_path / "empty")
    assert not check_destination(tmp_path / "new")
    assert not check_destination(tmp_path / "new" / "parents" / "too")
    assert check_destination(good)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "tiny"]
    for path in (tmp_path / "empty", tmp_path / "new" / "parents" / "too", good):
        write_again(load_model(good), path, card="again")
        assert load_model(path).card == "again"
        assert load_model(path).timeline == ()
