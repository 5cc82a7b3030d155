"""A model folder is written completely or not at all, and always with the same bytes."""

import errno
import os
import struct
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.tiny_models import tiny_png
from models.model_folder.metadata import parse_metadata
from models.model_folder.read import load_model
from models.model_folder.write import sort_metadata
from tests.models.model_folder.damage import (
    header_of,
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
    """Write a model folder again with another card."""
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
    model = load_model(good)  # before the simulated disk fails
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


def test_metadata_and_networks_must_agree(good: Path) -> None:
    """Otherwise a folder that nobody can read would take the place of a good one."""
    before = snapshot(good)
    model = load_model(good)
    wider = model.metadata.model_copy(update={"z_dim": model.metadata.z_dim + 1})
    with pytest.raises(ValueError, match=r"the metadata describe another generator: .*weight differ"):
        write_again(replace(model, metadata=wider), good)
    assert snapshot(good) == before


def test_metadata_and_encoder_must_agree(good: Path, encoding: Path) -> None:
    for one, other in ((good, encoding), (encoding, good)):
        model, encoder = load_model(one), load_model(other).encoder
        before = (one / "model.safetensors").read_bytes()
        with pytest.raises(ValueError, match="the metadata say encoder="):
            write_again(model, one, encoder=encoder)
        assert (one / "model.safetensors").read_bytes() == before
