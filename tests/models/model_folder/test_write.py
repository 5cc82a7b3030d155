"""Writing a model folder: whole or not at all, the same bytes each time, and never in place of anything else."""

import errno
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.tiny_models import make_tiny_model_folder, tiny_png
from models import errors
from models.model_folder.destination import check_destination
from models.model_folder.metadata import parse_metadata
from models.model_folder.read import load_model
from models.model_folder.write import sort_metadata
from tests.models.model_folder.damage import (
    delete,
    header_of,
    link_history_out,
    link_timeline_out,
    link_whole_timeline_out,
    no_metadata,
)
from tests.models.support import write_again


def test_weights_are_those_that_were_written(good: Path, tmp_path: Path) -> None:
    model = load_model(good)
    write_again(model, tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (good / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_bytes_are_the_same_in_every_process(good: Path, tmp_path: Path) -> None:
    code = "import sys, pathlib; from harness.tiny_models import *; make_tiny_model_folder(pathlib.Path(sys.argv[1]))"
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=True)
        assert (tmp_path / name / "model.safetensors").read_bytes() == (good / "model.safetensors").read_bytes()


def test_metadata_keeps_its_order_and_its_meaning(good: Path) -> None:
    data = (good / "model.safetensors").read_bytes()
    header, _ = header_of(data)
    assert list(header["__metadata__"]) == sorted(header["__metadata__"])
    assert header["__metadata__"]["prior"] == "normal"
    metadata = load_model(good).metadata
    assert parse_metadata(metadata.to_strings()) == metadata
    assert sort_metadata(data) == data


def test_tensors_are_aligned_as_the_format_asks(good: Path) -> None:
    (length,) = struct.unpack_from("<Q", (good / "model.safetensors").read_bytes())
    assert length % 8 == 0


def rewrite(path: Path) -> None:
    """Write a model folder anew, with another card."""
    write_again(load_model(path), path, timeline={0: tiny_png(7)}, card="new")


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_what_is_written_takes_the_place_of_what_was_there(good: Path) -> None:
    rewrite(good)
    assert load_model(good).card == "new"
    assert [path.name for path in (good / "timeline").iterdir()] == ["00000.png"]
    assert [path.name for path in good.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    ("owner", "call", "nth"),
    [
        *((Path, "mkdir", nth) for nth in (1, 2)),
        *((os, "fsync", nth) for nth in range(1, 10)),
        *((os, "open", nth) for nth in (1, 5)),
        *((Path, "open", nth) for nth in (1, 2, 3, 4)),
        *((Path, "replace", nth) for nth in (1, 2, 3, 4)),
        *((Path, "rename", nth) for nth in (1, 2)),
    ],
)
def test_a_disk_that_fails_at_any_call_keeps_the_model_that_was_there(
    good: Path, monkeypatch: pytest.MonkeyPatch, owner: object, call: str, nth: int
) -> None:
    before = snapshot(good)
    model = load_model(good)  # before the disk begins to fail
    monkeypatch.setattr(f"{__name__}.load_model", lambda _path: model)
    real, calls = getattr(owner, call), count(1)

    def failing(*arguments: Any, **named: Any) -> Any:
        if next(calls) == nth:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(owner, call, failing)
        with pytest.raises(OSError, match="No space left"):
            rewrite(good)
    assert next(calls) > nth
    assert snapshot(good) == before
    assert [path.name for path in good.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("crashed", ["tiny.old", "tiny"])
def test_what_a_crash_left_behind_is_cleared_away(good: Path, crashed: str) -> None:
    left = good.with_name(f".{crashed}.tmp")
    (left / "timeline").mkdir(parents=True)
    (left / "timeline" / "00099.png").write_bytes(b"x")
    rewrite(good)
    assert [path.name for path in good.parent.iterdir()] == ["tiny"]
    assert [entry.epoch for entry in load_model(good).timeline] == [0]


def test_metadata_and_encoder_must_agree(good: Path, encoding: Path) -> None:
    for one, other in ((good, encoding), (encoding, good)):
        model, encoder = load_model(one), load_model(other).encoder
        before = (one / "model.safetensors").read_bytes()
        with pytest.raises(ValueError, match="the metadata say encoder="):
            write_again(model, one, encoder=encoder)
        assert (one / "model.safetensors").read_bytes() == before


def contents(path: Path) -> dict[str, str]:
    """Everything at and below a path: what kind of thing each is, and the bytes of files."""
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
    """The weights of somebody else's network, under the name that is usual for them."""
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
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # of root, chmod takes nothing away
    with pytest.raises(errors.ModelDestinationError, match="is not a folder that this user can write into"):
        check_destination(tmp_path / "m")


def test_a_mount_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: True)
    (tmp_path / "m").mkdir()
    with pytest.raises(errors.ModelDestinationError, match="is a mount point"):
        check_destination(tmp_path / "m")


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
